"""The tasks of template.yaml with the real image, a Postgres that demands TLS, and secrets from a secrets manager."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import login
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from moto import mock_aws

from etl.config import ROOT
from etl.errors import ExitCode
from tests.deploy.machine import Execution, ended, execute
from tests.deploy.task import IMAGE, Ended, Tasks, docker
from tests.deploy.template import ANSWERS, AWS, REGION, Template
from tests.deploy.test_machine import DECISIONS
from tests.parts import require

pytestmark = pytest.mark.docker

NETWORK, SERVER, HOST = "covid-etl-task", "covid-etl-task-db", "db.task.example"
# Every character that an address, a shell or a template could take for its own.
OWNER = {"username": "covid_owner", "password": """own&/"@:%#$'{}\\ er"""}
LOADER = {"username": "covid_load", "password": """lo&/"@:%#$'{}\\ ad""", "alert_urls": "json://127.0.0.1:9"}
HELD_LOCK = "select pg_advisory_lock(2020011320210307), pg_sleep(600)"
# As on RDS, the owner is no superuser, may make roles, and owns its database.
SET_UP = r"""#!/bin/sh
set -eu
install -m 600 /tls/server.key "$PGDATA/server.key"
install -m 644 /tls/server.crt "$PGDATA/server.crt"
printf "ssl = on\nlisten_addresses = '*'\n" >>"$PGDATA/postgresql.conf"
printf 'local all all trust\nhostssl all all all scram-sha-256\n' >"$PGDATA/pg_hba.conf"
psql -v ON_ERROR_STOP=1 -U postgres <<'SQL'
\getenv password OWNER_PASSWORD
create role covid_owner login createrole password :'password';
create database covid owner covid_owner;
SQL
"""


@dataclass
class Certified:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def pem(self) -> bytes:
        encoded: bytes = self.certificate.public_bytes(serialization.Encoding.PEM)
        return encoded

    def key_pem(self) -> bytes:
        encoded: bytes = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return encoded


def certify(name: str, by: Certified | None = None) -> Certified:
    """A certificate for a host by an authority, or a new authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    if by:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return Certified(builder.sign(by.key if by else key, hashes.SHA256()), key)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's certificate, and the bundle of the image with the authority of this test in it."""
    made = tmp_path_factory.mktemp("tls")
    authority = certify("authority of the tests")
    server = certify(HOST, authority)
    (made / "server.crt").write_bytes(server.pem())
    (made / "server.key").write_bytes(server.key_pem())
    (made / "set-up.sh").write_text(SET_UP)
    (made / "bundle.pem").write_bytes((AWS / "rds-ca.pem").read_bytes() + authority.pem())
    for path in (made, *made.iterdir()):
        path.chmod(0o755)
    made.parent.chmod(0o755)
    made.parent.parent.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[None]:
    """A Postgres that answers over TLS alone, in a network with the tasks."""
    require(docker("info").returncode == 0, "no Docker engine answers here")
    assert docker("build", "--quiet", "--tag", IMAGE, str(ROOT)).returncode == 0
    remove()
    docker("network", "create", NETWORK)
    started = docker(
        "run", "--detach", "--name", SERVER, "--network", NETWORK, "--network-alias", HOST, "--network-alias",
        "other.example", "--env", "POSTGRES_PASSWORD=unused", "--env", "OWNER_PASSWORD",
        "--volume", f"{folder}:/tls:ro",
        "--volume", f"{folder}/set-up.sh:/docker-entrypoint-initdb.d/set-up.sh:ro", "postgres:17",
        environ={"OWNER_PASSWORD": OWNER["password"]},
    )  # fmt: skip
    try:
        assert started.returncode == 0, started.stderr
        wait_until(lambda: "ready for start up" in docker("logs", SERVER).stdout)
        wait_until(lambda: docker("exec", SERVER, "pg_isready", "-h", "127.0.0.1").returncode == 0)
        yield
    finally:
        remove()


def remove() -> None:
    docker("rm", "--force", "--volumes", SERVER)
    docker("network", "rm", NETWORK)


def wait_until(holds: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, docker("logs", SERVER)
        time.sleep(0.3)


def admin(query: str) -> str:
    done = docker("exec", SERVER, "psql", "-U", "postgres", "-d", "covid", "-XAtc", query)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def tasks(server: None, folder: Path) -> Iterator[Tasks]:
    """The tasks of the template, whose secrets are in a secrets manager."""
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        manager = boto3.client("secretsmanager", REGION)
        owner = manager.create_secret(Name="owner", SecretString=json.dumps(OWNER))["ARN"]
        loader = manager.create_secret(Name="loader", SecretString=json.dumps(LOADER))["ARN"]
        answers = ANSWERS | {"DatabaseHost": HOST, "OwnerSecretArn": owner, "LoaderSecretArn": loader}
        template = Template("template.yaml", **answers | {"Source": "snapshot"})
        yield Tasks(template, NETWORK, folder / "bundle.pem")


@pytest.fixture(scope="module")
def made(tasks: Tasks) -> Tasks:
    """After the owner's definition has made the schema and the login of the load."""
    assert tasks.run("OwnerDefinition").exit_code == 0
    statement = login.command(LOADER["username"], LOADER["password"])
    found = tasks.run("OwnerDefinition", *statement)
    assert found.exit_code == 0, found.stderr
    return tasks


@pytest.fixture(scope="module")
def loaded(made: Tasks) -> Tasks:
    """After the first load, by the definition as it is."""
    found = made.run("LoadDefinition")
    assert found.exit_code == 0, found.stderr
    return made


def with_answers(tasks: Tasks, **answers: str) -> Tasks:
    return replace(tasks, template=Template("template.yaml", **tasks.template.values | answers))


def decision(node: Path, found: Ended) -> Execution:
    (execution,) = execute(node, [ended(found.exit_code)])
    assert execution.decision == DECISIONS[ExitCode(found.exit_code)]
    return execution


def test_the_load_fills_the_database_that_init_db_made(node: Path, loaded: Tasks) -> None:
    assert admin("select count(*) from cases_dimension") == "21200"
    owners = "select distinct tableowner from pg_tables where schemaname in ('public', 'history', 'ops')"
    assert admin(owners) == "covid_owner"
    again = loaded.run("LoadDefinition")
    assert (again.exit_code, again.log[-1]["exit_code"]) == (0, 0)
    decision(node, again)


def test_the_login_of_the_load_is_a_loader_and_no_more(loaded: Tasks) -> None:
    of = "from pg_auth_members where member = 'covid_load'::regrole"
    assert admin(f"select string_agg(roleid::regrole::text, ',') {of}") == "covid_loader"
    rights = "select rolsuper or rolcreaterole or rolcreatedb from pg_roles where rolname = 'covid_load'"
    assert admin(rights) == "f"
    refused = loaded.run("LoadDefinition", "psql", "--", "-c", "create table public.mine (id int)")
    assert "permission denied for schema public" in refused.stderr


def test_status_reads_over_tls(loaded: Tasks) -> None:
    status = loaded.run("LoadDefinition", "status", "--json", "--log-format", "json")
    assert status.exit_code == 0, status.stderr
    assert json.loads(status.stdout)["locations"][0]["reports"] == 420
    shown = loaded.run(
        "LoadDefinition", "psql", "--", "-XAtc", "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
    )
    assert shown.stdout == "t\n"


def test_a_server_without_the_provider_s_root_is_refused(loaded: Tasks) -> None:
    found = replace(loaded, bundle=None).run("LoadDefinition")
    assert found.exit_code == ExitCode.USAGE
    assert "certificate verify failed" in found.log[-1]["reason"]


def test_a_server_of_another_name_is_refused(loaded: Tasks) -> None:
    found = with_answers(loaded, DatabaseHost="other.example").run("LoadDefinition")
    assert found.exit_code == ExitCode.USAGE
    assert "does not match host name" in found.log[-1]["reason"]


def test_a_wrong_password_needs_a_person(node: Path, loaded: Tasks) -> None:
    wrong = boto3.client("secretsmanager", REGION).create_secret(
        Name="wrong", SecretString=json.dumps(LOADER | {"password": "wrong"})
    )
    found = with_answers(loaded, LoaderSecretArn=wrong["ARN"]).run("LoadDefinition")
    assert found.exit_code == ExitCode.USAGE
    assert "password authentication failed" in found.log[-1]["reason"]
    assert decision(node, found).error == "NeedsPerson"


def test_days_without_reports_end_well(node: Path, loaded: Tasks) -> None:
    found = loaded.run("LoadDefinition", "load", "--date", "2019-01-01", "--log-format", "json")
    assert found.exit_code == ExitCode.NOT_PUBLISHED
    decision(node, found)


def test_a_broken_document_ends_well_and_is_told_by_the_program(node: Path, loaded: Tasks, folder: Path) -> None:
    document = json.loads(gzip.decompress((ROOT / "snapshot/us/daily.json.gz").read_bytes()))
    document["data"][0]["cases"]["total"]["value"] = "many"
    (folder / "us").mkdir()
    (folder / "us" / "daily.json").write_text(json.dumps(document))
    serve = ("--entrypoint", "python", IMAGE, "-m", "http.server", "--directory", "/source", "8080")
    name = docker(
        "run", "--detach", "--rm", "--network", NETWORK, "--network-alias", "source.example", "--volume",
        f"{folder}:/source:ro", *serve,
    ).stdout.strip()  # fmt: skip
    try:
        source = with_answers(loaded, Source="http://source.example:8080")
        found = source.run("LoadDefinition", "load", "--locations", "us", "--log-format", "json")
    finally:
        docker("rm", "--force", name)
    assert found.exit_code == ExitCode.REJECTED, found.stderr
    decision(node, found)


def test_a_database_that_is_not_there_is_tried_again(node: Path, loaded: Tasks) -> None:
    found = with_answers(loaded, DatabasePort="5433").run("LoadDefinition")
    assert found.exit_code == ExitCode.DATABASE, found.stderr
    assert decision(node, found).calls == 4


def test_another_run_and_a_stopped_task_are_tried_again(node: Path, loaded: Tasks) -> None:
    # In the name of a run, since a load waits for no other session.
    database = f"dbname=covid application_name='covid-etl 7@elsewhere {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}'"
    docker("exec", "--detach", SERVER, "psql", "-U", "postgres", "-d", database, "-c", HELD_LOCK)
    wait_until(lambda: admin("select count(*) from pg_locks where locktype = 'advisory'") == "1")
    try:
        locked = loaded.run("LoadDefinition")
        waiting = loaded.start("LoadDefinition", "load", "--wait", "600", "--log-format", "json")
        wait_until(lambda: admin("select count(*) from pg_stat_activity where usename = 'covid_load'") == "1")
        stopped = loaded.stop(waiting)
    finally:
        admin("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'")
    assert (locked.exit_code, stopped.exit_code) == (ExitCode.LOCKED, ExitCode.TERMINATED)
    assert stopped.seconds < 10
    assert decision(node, locked).calls == decision(node, stopped).calls == 4


def test_the_compose_override_for_production_loads_from_outside_aws(loaded: Tasks, folder: Path) -> None:
    project = "covid-etl-production"
    (folder / "password").write_text(LOADER["password"])
    (folder / "password").chmod(0o644)
    environ = {
        "COMPOSE_PROJECT_NAME": project,
        "COMPOSE_FILE": f"{ROOT}/docker-compose.yml:{ROOT}/deploy/compose/production.yml",
        "PGHOST": HOST,
        "PGUSER": LOADER["username"],
        "PGPASSWORD_FILE": str(folder / "password"),
        "PGSSLROOTCERT": str(folder / "bundle.pem"),
        "POSTGRES_DB": "covid",
        "COVID_ETL_SOURCE": "snapshot",
    }
    try:
        assert docker("compose", "create", "etl", environ=environ).returncode == 0
        assert docker("network", "connect", "--alias", HOST, f"{project}_default", SERVER).returncode == 0
        found = docker("compose", "run", "--rm", "-T", "etl", environ=environ)
        limits = docker(
            "inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}", f"{project}-etl-1"
        ).stdout
    finally:
        docker("network", "disconnect", f"{project}_default", SERVER)
        docker("compose", "down", environ=environ)
    assert found.returncode == 0, found.stderr
    assert limits.split() == ["1073741824", "100"]


def test_no_secret_reaches_the_log_or_the_options_of_the_task(loaded: Tasks) -> None:
    options, variables = loaded.arguments("LoadDefinition", [])
    shown = "\n".join(options) + loaded.run("LoadDefinition").stderr
    assert variables["PGPASSWORD"] == LOADER["password"]
    assert LOADER["password"] not in shown
