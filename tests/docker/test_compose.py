"""The image, the compose file and the crontab on a real engine and under a real cron daemon."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pexpect
import pytest

from etl.config import ROOT
from tests.integration.test_schema import CLASSIC_QUERY
from tests.parts import require

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]

# The names that the README's steps use.
CONTAINER, IMAGE = "docker_postgresql", "covid-tracking-etl"
ADMIN_PSQL = ("exec", "-T", "db", "psql", "-U", "postgres_user", "-d", "postgres_db", "-XAtc")
# A session like that of a run: covid_loader's, with the name of one.
LOADER_PSQL = ("exec", "-T", "db", "psql", "-U", "covid_loader", "-d", "postgres_db", "-XAtc")
HELD_LOCK = """
    select set_config('application_name', to_char(
        now() at time zone 'UTC', '"covid-etl 1@elsewhere "YYYY-MM-DD"T"HH24:MI:SS"Z"'
    ), false);
    select pg_advisory_lock(2020011320210307), pg_sleep(600)
"""


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@dataclass
class Project:
    """A compose project of its own, which nothing survives."""

    name: str
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        return os.environ | {"COMPOSE_PROJECT_NAME": self.name} | self.environ

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            arguments, check=False, cwd=ROOT, env=self.variables, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=300,
        )  # fmt: skip

    def compose(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self.run("docker", "compose", *arguments)

    def spawn(self, line: str) -> "pexpect.spawn[str]":
        """A command on a terminal, as a person types it."""
        return pexpect.spawn("/bin/sh", ["-c", line], cwd=ROOT, env=self.variables, encoding="utf-8", timeout=120)

    def admin(self, query: str) -> str:
        """What the administrator's psql prints."""
        result = self.compose(*ADMIN_PSQL, query)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def hold_lock(self) -> "subprocess.Popen[bytes]":
        """Holds the run lock, as another run would, until `release_lock`."""
        nowhere = subprocess.DEVNULL
        session = subprocess.Popen(
            ["docker", "compose", *LOADER_PSQL, HELD_LOCK],
            cwd=ROOT, env=self.variables, stdin=nowhere, stdout=nowhere, stderr=nowhere,
        )  # fmt: skip
        while self.admin("select count(*) from pg_locks where locktype = 'advisory'") != "1":
            time.sleep(0.2)
        return session

    def release_lock(self, session: "subprocess.Popen[bytes]") -> None:
        self.admin("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'")
        session.wait(timeout=30)


@pytest.fixture(scope="module")
def engine() -> None:
    """A Docker engine that answers."""
    program = shutil.which("docker")
    answers = program and subprocess.run([program, "info"], capture_output=True, check=False).returncode == 0
    require(answers, "no Docker engine answers here")


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    """The compose file as shipped, up once; taken down whatever happens."""
    made = Project("covid-etl-test", {"POSTGRES_PORT": free_port()})
    made.compose("down", "--volumes", "--remove-orphans")
    try:
        yield made
    finally:
        made.compose("down", "--volumes", "--remove-orphans")


@pytest.fixture(scope="module")
def loaded(project: Project) -> Project:
    """After `docker-compose up --build`, typed on a terminal, has loaded."""
    up = project.spawn("docker-compose up --build")
    up.expect(re.compile(r"ok \(run 1, exit code 0\) from snapshot, all days"), timeout=400)
    up.expect(re.compile(r"etl-1 exited with code 0"))
    # The database stays up, as the README says; Ctrl-C in the first terminal would stop it.
    assert up.isalive()
    up.terminate(force=True)
    project.compose("up", "--detach", "--wait", "db")
    return project


def inspect(what: str, template: str) -> Any:
    shown = subprocess.run(["docker", "inspect", "-f", template, what], capture_output=True, text=True, check=True)
    return json.loads(shown.stdout)


# --- the steps of the README ---


def test_up_loads_everything_once(loaded: Project) -> None:
    assert loaded.admin("select count(*) from public.cases_dimension") == "21200"


def test_the_steps_of_the_readme_lead_to_the_classic_query(loaded: Project) -> None:
    shell = loaded.spawn(f"docker exec -it {CONTAINER} bash")
    shell.expect(re.compile(r"[#$] "))
    shell.sendline(f"psql -h {CONTAINER} -d postgres_db -U postgres_user")
    shell.expect("Password for user postgres_user: ")
    shell.sendline("postgres_password")
    shell.expect("postgres_db=# ")
    for line in (
        "\\pset tuples_only on",
        "\\pset format unaligned",
        "\\o /tmp/classic",
        CLASSIC_QUERY.replace("\n", " "),
    ):
        shell.sendline(line)
        shell.expect("postgres_db=# ")
    shell.sendline("\\o")
    shell.sendline("\\! wc -l </tmp/classic")
    shell.expect(r"\s21200\s")
    shell.sendline("\\q")
    shell.close()


def test_the_loader_s_exit_code_is_the_command_s(loaded: Project) -> None:
    load = ("run", "--rm", "-T", "etl", "load", "--date")
    found = loaded.compose(*load, "2021-01-02", "--json")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["documents"]["requested"] == 57
    assert loaded.compose(*load, "2019-01-01").returncode == 4
    assert loaded.compose(*load, "soon").returncode == 2


def test_psql_opens_in_the_container_as_the_loader(loaded: Project) -> None:
    terminal = loaded.spawn("docker compose run --rm etl psql")
    terminal.expect("postgres_db=> ")
    terminal.sendline("select 'I am ' || current_user;")
    terminal.expect("I am covid_loader")
    terminal.sendline("\\q")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_up_again_loads_nothing_new(loaded: Project) -> None:
    before = loaded.admin("select count(*), max(xmin::text::bigint) from public.cases_fact")
    assert loaded.compose("up", "--detach", "--wait", "db").returncode == 0
    status = loaded.compose("run", "--rm", "-T", "etl", "status")
    assert "21200 reports; database postgres_db on db" in status.stdout
    # docker compose up -d
    assert loaded.compose("up", "-d").returncode == 0
    code = loaded.run("docker", "wait", "covid-etl-test-etl-1")
    assert code.stdout.strip() == "0"
    assert loaded.admin("select count(*), max(xmin::text::bigint) from public.cases_fact") == before
    assert "57 unchanged" in loaded.compose("logs", "etl").stdout


def test_an_overlapping_run_leaves_with_75(loaded: Project) -> None:
    session = loaded.hold_lock()
    found = loaded.compose("run", "--rm", "-T", "etl", "load")
    loaded.release_lock(session)
    assert found.returncode == 75
    assert "another run holds the lock: pid 1 on elsewhere since" in found.stderr


def test_a_stopped_container_ends_at_once_with_143(loaded: Project) -> None:
    session = loaded.hold_lock()
    started = loaded.compose("run", "--detach", "etl", "load", "--wait", "600")
    container = started.stdout.strip().splitlines()[-1]
    time.sleep(2)
    before = time.monotonic()
    loaded.run("docker", "stop", container)
    assert time.monotonic() - before < 8
    assert inspect(container, "{{.State.ExitCode}}") == 143
    loaded.run("docker", "rm", container)
    loaded.release_lock(session)


def test_commands_are_shown_as_they_are_typed_here(loaded: Project) -> None:
    wrong = loaded.compose("run", "--rm", "-T", "etl", "drift", "--accept", "7")
    assert "`docker compose run --rm -T etl drift` lists all" in wrong.stderr


def test_a_healthy_database_is_hardly_ever_checked_and_logs_are_bounded(loaded: Project) -> None:
    check = inspect(CONTAINER, "{{json .Config.Healthcheck}}")
    assert (check["StartInterval"], check["Interval"]) == (10**9, 300 * 10**9)
    checked = inspect(CONTAINER, "{{json .State.Health}}")
    time.sleep(3)
    assert (checked["Status"], inspect(CONTAINER, "{{json .State.Health}}")) == ("healthy", checked)
    for container in (CONTAINER, f"{loaded.name}-etl-1"):
        assert inspect(container, "{{json .HostConfig.LogConfig.Config}}") == {"max-file": "3", "max-size": "10m"}


def test_a_password_is_changed_in_the_database_and_then_in_the_environment(loaded: Project) -> None:
    changed = Project(loaded.name, loaded.environ | {"COVID_LOADER_PASSWORD": "it's new"})
    status = ("run", "--rm", "-T", "etl", "status")
    refused = changed.compose(*status)
    assert (refused.returncode, "password authentication failed" in refused.stderr) == (2, True)

    def change(password: str) -> None:
        shell = loaded.spawn(f"docker exec -it {CONTAINER} psql -U postgres_user -d postgres_db")
        shell.expect("postgres_db=# ")
        shell.sendline("\\password covid_loader")
        for prompt in ("Enter new password.*: ", "Enter it again: "):
            shell.expect(prompt)
            shell.sendline(password)
        shell.expect("postgres_db=# ")
        shell.sendline("\\q")
        shell.close()

    change("it's new")
    assert changed.compose(*status).returncode == 0
    change("loader_password")
    assert loaded.compose(*status).returncode == 0


# --- hardening ---


def test_the_loader_runs_without_privileges(loaded: Project) -> None:
    container = "covid-etl-test-etl-1"
    host = inspect(container, "{{json .HostConfig}}")
    assert inspect(container, "{{json .Config.User}}") == "10001:10001"
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False)
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Init"] is True


def test_the_database_is_published_on_loopback_only(loaded: Project) -> None:
    ports = inspect(CONTAINER, "{{json .HostConfig.PortBindings}}")
    assert [binding["HostIp"] for bindings in ports.values() for binding in bindings] == ["127.0.0.1"]


def test_the_loader_is_no_administrator(loaded: Project) -> None:
    found = loaded.admin("select rolsuper, rolcreatedb, rolcreaterole from pg_roles where rolname = 'covid_loader'")
    assert found == "f|f|f"
    owner = "select distinct tableowner from pg_tables where schemaname in ('public', 'history', 'ops')"
    assert loaded.admin(owner) == "covid_loader"


def test_the_image_holds_the_program_and_no_tools(loaded: Project) -> None:
    def inside(line: str) -> str:
        found = loaded.run("docker", "run", "--rm", "--entrypoint", "sh", IMAGE, "-c", line)
        return found.stdout.strip()

    assert inside("id -u") == "10001"
    assert inside("ls /app") == "etl\nmain.py\nsnapshot\nsql"
    assert inside("for tool in gcc cc make git; do command -v $tool; done") == ""
    assert inside("python -c 'import pip' 2>&1 | tail -n 1").startswith("ModuleNotFoundError")
    assert inside("ls /var/lib/apt/lists /var/cache/apt") == "/var/cache/apt:\n\n/var/lib/apt/lists:"


def test_the_image_answers_by_itself(loaded: Project) -> None:
    shown = loaded.run("docker", "run", "--rm", IMAGE, "--help")
    assert (shown.returncode, shown.stdout.startswith("usage: main.py")) == (0, True)
    bare = loaded.run("docker", "run", "--rm", IMAGE, "status")
    assert bare.returncode == 2
    assert "no database is configured and no embedded server is installed: set DATABASE_URL" in bare.stderr
    network = ("--network", "covid-etl-test_default")
    login = (
        "-e",
        "PGHOST=db",
        "-e",
        "PGUSER=covid_loader",
        "-e",
        "PGPASSWORD=loader_password",
        "-e",
        "PGDATABASE=postgres_db",
    )
    status = loaded.run("docker", "run", "--rm", *network, *login, IMAGE, "status", "--json")
    assert status.returncode == 0, status.stderr
    assert json.loads(status.stdout)["locations"][0]["reports"] == 420


def test_no_secret_is_in_the_image(loaded: Project) -> None:
    history = loaded.run("docker", "history", "--no-trunc", IMAGE).stdout
    config = json.dumps(inspect(IMAGE, "{{json .Config}}"))
    assert "password" not in (history + config).lower()


# --- other ways to configure it ---


def test_passwords_from_files_and_other_names(tmp_path: Path) -> None:
    for name in ("postgres", "loader"):
        (tmp_path / name).write_text(f"{name} it's a $hush\n")
        (tmp_path / name).chmod(0o644)
    made = Project(
        "covid-etl-secrets",
        {
            "COMPOSE_FILE": "docker-compose.yml:deploy/compose/secrets.yml",
            "POSTGRES_PASSWORD_FILE": str(tmp_path / "postgres"),
            "COVID_LOADER_PASSWORD_FILE": str(tmp_path / "loader"),
            "POSTGRES_CONTAINER_NAME": "covid_etl_other_name",
            "POSTGRES_PORT": free_port(),
        },
    )
    try:
        assert made.compose("up", "--detach", "--wait", "db").returncode == 0
        found = made.compose("run", "--rm", "-T", "etl", "load", "--source", "snapshot", "--locations", "vi")
        assert found.returncode == 0, found.stderr
        assert made.admin("select count(*) from public.cases_fact") == "357"
        assert inspect("covid_etl_other_name", "{{json .State.Running}}") is True
        shown = json.dumps(inspect("covid_etl_other_name", "{{json .Config.Env}}"))
        assert "hush" not in shown
    finally:
        made.compose("down", "--volumes")


def test_a_database_whose_loader_could_not_be_made_is_not_healthy(tmp_path: Path) -> None:
    for name in ("postgres", "loader"):
        (tmp_path / name).write_text("secret")
        (tmp_path / name).chmod(0o600)
    made = Project(
        "covid-etl-unreadable",
        {
            "COMPOSE_FILE": "docker-compose.yml:deploy/compose/secrets.yml",
            "POSTGRES_PASSWORD_FILE": str(tmp_path / "postgres"),
            "COVID_LOADER_PASSWORD_FILE": str(tmp_path / "loader"),
            "POSTGRES_CONTAINER_NAME": "covid_etl_unreadable",
            "POSTGRES_PORT": free_port(),
        },
    )
    try:
        up = made.compose("up", "--detach", "--wait", "--wait-timeout", "25", "db")
        assert up.returncode != 0
        assert "Permission denied" in made.compose("logs", "db").stdout
    finally:
        made.compose("down", "--volumes")


def test_trouble_is_told_from_the_container_with_addresses_from_a_file(loaded: Project, tmp_path: Path) -> None:
    addresses = tmp_path / "alert_urls"
    addresses.write_text("json://user:hush@receiver:8080/alert?method=GET\n")
    addresses.chmod(0o644)
    files = "docker-compose.yml:deploy/compose/alerts.yml"
    settings = {"COVID_ETL_ALERT_URLS_FILE": str(addresses), "COVID_ETL_HEARTBEAT_URL": "http://receiver:8080/ping"}
    telling = Project(loaded.name, loaded.environ | settings | {"COMPOSE_FILE": files})
    server = ("--detach", "--rm", "--name", "receiver", "--network", f"{loaded.name}_default")
    assert (
        loaded.run("docker", "run", *server, "--entrypoint", "python", IMAGE, "-m", "http.server", "8080").returncode
        == 0
    )
    try:
        found = telling.compose(
            "run", "--rm", "-T", "etl", "load", "--source", "http://receiver:9", "--locations", "us"
        )
        seen = loaded.run("docker", "logs", "receiver").stderr
    finally:
        loaded.run("docker", "rm", "--force", "receiver")
    assert found.returncode == 3, found.stderr
    assert "hush" not in found.stderr
    # Messages and runs name the machine, and not the container.
    assert loaded.admin("select host from ops.run order by run_id desc limit 1") == socket.gethostname()
    paths = re.findall(r'"(?:GET|POST) (/\w+(?:/\w+)?)', seen)
    assert paths == ["/ping/start", "/alert", "/ping/fail"]


def test_the_example_of_the_environment_is_the_compose_file_s_defaults() -> None:
    example = dict(re.findall(r"^#([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    overlays = [ROOT / "deploy/compose" / name for name in ("secrets.yml", "alerts.yml")]
    text = "".join(path.read_text() for path in (ROOT / "docker-compose.yml", *overlays))
    defaults = dict(re.findall(r"\$\{([A-Z_]+):-(.*?)\}", text))
    files = set(re.findall(r"\$\{([A-Z_]+):\?", text)) | {"COMPOSE_FILE"}
    assert example.keys() == defaults.keys() | files
    for name, value in defaults.items():
        if value:
            assert example[name] == value, name


# --- cron ---


@pytest.fixture
def cron(loaded: Project, tmp_path: Path) -> Iterator[Path]:
    """The shipped crontab under a real daemon, every minute and with a log of its own; yields the log."""
    if not shutil.which("cron"):
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "cron"], check=True)
    log = tmp_path / "load.log"
    mailer = tmp_path / "sendmail"
    mailer.write_text(f"#!/bin/sh\ncat >>{tmp_path}/mail\n")
    mailer.chmod(0o755)
    lines = (ROOT / "deploy/cron/crontab").read_text()
    lines = lines.replace("/opt/covid-tracking-etl", str(ROOT)).replace("/var/log/covid-tracking-etl.log", str(log))
    lines = lines.replace("\n30 17 * * *", "\n* * * * *")
    names = "".join(
        f"{name}={value}\n" for name, value in (loaded.environ | {"COMPOSE_PROJECT_NAME": loaded.name}).items()
    )
    table = Path("/etc/cron.d/covid-tracking-etl-test")
    sendmail = Path("/usr/sbin/sendmail")
    had_mailer = sendmail.exists()
    if not had_mailer:
        sendmail.symlink_to(mailer)
    table.write_text(names + lines)
    table.chmod(0o644)
    daemon = subprocess.Popen(["cron", "-f"])
    try:
        yield log
    finally:
        daemon.terminate()
        daemon.wait(timeout=10)
        table.unlink()
        if not had_mailer:
            sendmail.unlink()


def wait_for(path: Path, text: str, seconds: float = 150) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists() and text in path.read_text():
            return path.read_text()
        time.sleep(0.5)
    raise AssertionError(f"{path} has no {text!r}: {path.read_text() if path.exists() else 'no file'}")


def test_cron_runs_the_container_and_mails_only_failures(loaded: Project, cron: Path) -> None:
    log = wait_for(cron, "ok (run ")
    assert ", exit code 0) from snapshot" in log
    assert "57 unchanged" in log
    mail = cron.parent / "mail"
    assert not mail.exists()
    session = loaded.hold_lock()
    log = wait_for(cron, "exit_code=75 ")
    loaded.release_lock(session)
    assert "another run holds the lock" in log
    if Path("/usr/sbin/sendmail").resolve() == (cron.parent / "sendmail").resolve():
        assert "another run holds the lock" in wait_for(mail, "exit_code=75", 20)
