"""The process is attacked at random moments: what it leaves behind always works, and its end is one line."""

import json
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from etl import config
from etl.database import connection as database
from etl.database import embedded as server
from etl.errors import ContractError, UsageError
from etl.extract.directory import DirectorySource
from etl.files import locked, write_atomically
from etl.show import export
from etl.transform import contract
from etl.transform.declaration import STATE, TABLES
from tests.cli import Cli
from tests.conftest import FEW, MAIN, Command, administrator
from tests.faults.conftest import Times
from tests.integration.test_no_false_alarm import star
from tests.integration.test_server import postmaster
from tests.receiver import Receiver
from tests.unit.test_past import shipped

pytestmark = pytest.mark.slow

LOAD = ("load", "--source", "snapshot", "--locations", FEW)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SEED = 20200113
past = cache(shipped)

Attack = Callable[["subprocess.Popen[str]", Command], None]


# --- kills at random moments ---


def by_signal(number: signal.Signals) -> Attack:
    return lambda process, _command: process.send_signal(number)


def at_a_child(program: str) -> Attack:
    """Kills the oldest process of a program, such as the server, that was started for the home."""

    def kill(_process: "subprocess.Popen[str]", command: Command) -> None:
        for pid in sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
            with suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if words[0].endswith(program.encode()) and os.fsencode(command.home) in b" ".join(words):
                    os.kill(pid, signal.SIGKILL)
                    return

    return kill


ON_ITSELF = [by_signal(number) for number in (*SIGNALS, signal.SIGKILL)]
ON_FIRST_START = [*ON_ITSELF, at_a_child("/initdb"), at_a_child("/postgres")]


def attack(command: Command, attacks: list[Attack], duration: float, seed: int) -> None:
    """Starts a load for each attack, and lets that come at a random moment; the moments cover the duration evenly."""
    chance = random.Random(seed)  # the same sample in each run
    slots = chance.sample(range(len(attacks)), len(attacks))
    for slot, strike in zip(slots, attacks, strict=True):
        process = command.start(*LOAD, "--wait", "20")
        time.sleep((slot + chance.random()) / len(attacks) * duration)
        strike(process, command)
        struck = time.monotonic()
        _, said = process.communicate(timeout=60)
        if "KeyboardInterrupt" in said:
            # Python itself was still starting.
            continue
        # Before the program watches its signals, the system ends it.
        by_signals = {code for number in SIGNALS for code in (-number, 128 + number)}
        assert process.returncode in {0, 6, -signal.SIGKILL} | by_signals, said
        assert "Traceback" not in said
        if process.returncode > 128:
            assert time.monotonic() - struck < 8, said
            assert command.dsn or postmaster(command.home) is None


def assert_whole(dsn: str, few_dsn: str) -> None:
    """The database holds what a load of the same data into an empty one makes, and the past of each location once."""
    with database.connect(config.Database(dsn)) as conn, database.connect(config.Database(few_dsn)) as whole:
        assert star(conn, FEW) == star(whole, FEW)
        assert database.fetch_all(
            conn, "select count(*), count(distinct address) from ops.document_load"
        ) == database.fetch_all(whole, "select count(*), count(distinct address) from ops.document_load")
        assert database.fetch_all(conn, "select count(*) from ops.run where status = 'running'") == [(0,)]
        for table in TABLES:
            query = f"select count(*) from history.{table}_revision where known_from in (select known_at from ops.vintage)"
            assert database.fetch_one(conn, query) == (
                sum(len(past(code)[table]) for code in FEW.upper().split(",")),
            )
        assert database.fetch_one(conn, "select count(*) from ops.vintage") == (219 + 269,)


def interrupt_first_starts(count: int, folder: Path, few_dsn: str, seed: int = SEED) -> None:
    """Interrupts so many first starts, in rows of two in the same home; the next load does the rest."""
    started = time.monotonic()
    measured = Command("", folder / "measured")
    measured.home.mkdir()
    assert measured(*LOAD).returncode == 0
    duration = time.monotonic() - started
    kinds = cycle(ON_FIRST_START)
    for number in range(0, count, 2):
        command = Command("", folder / f"home-{number}")
        command.home.mkdir()
        attack(command, [next(kinds), next(kinds)], duration, seed + number)
        result = command(*LOAD, "--wait", "20")
        assert result.returncode == 0, (number, result.stderr)
        assert postmaster(command.home) is None
        with server.running(command.home) as dsn:
            assert_whole(dsn, few_dsn)


def interrupt_loads(count: int, command: Command, few_dsn: str, seed: int = SEED) -> None:
    """Interrupts so many loads, in rows of four into the same database; the next load does the rest."""
    name = "schema_of_" + parse_dsn(command.dsn)["dbname"]
    with administrator(make_dsn(command.dsn, dbname="postgres")) as cursor:
        cursor.execute(f"create database {name} template {parse_dsn(command.dsn)['dbname']}")
    try:
        started = time.monotonic()
        assert command(*LOAD).returncode == 0
        duration = time.monotonic() - started
        for number in range(0, count, len(ON_ITSELF)):
            with copy_of(name, command.dsn) as dsn:
                attacked = Command(dsn, command.home)
                attack(attacked, ON_ITSELF, duration, seed + number)
                result = attacked(*LOAD, "--wait", "20")
                assert result.returncode == 0, (number, result.stderr)
                assert_whole(dsn, few_dsn)
    finally:
        with administrator(make_dsn(command.dsn, dbname="postgres")) as cursor:
            cursor.execute(f"drop database {name} with (force)")


@contextmanager
def copy_of(template: str, dsn: str) -> Iterator[str]:
    with administrator(make_dsn(dsn, dbname="postgres")) as cursor:
        cursor.execute(f"create database {template}_copy template {template}")
        yield make_dsn(dsn, dbname=f"{template}_copy")
        cursor.execute(f"drop database {template}_copy with (force)")


def test_an_interrupted_first_start_leaves_a_home_that_works(home: Path, few_dsn: str, times: Times) -> None:
    home.mkdir(mode=0o755)
    interrupt_first_starts(times("INTERRUPTED_STARTS", 6), home, few_dsn)


def test_an_interrupted_load_leaves_a_database_that_works(command: Command, few_dsn: str, times: Times) -> None:
    interrupt_loads(times("INTERRUPTED_LOADS", 12), command, few_dsn)


# --- the embedded server ---


@pytest.mark.parametrize("name", ['a\'b,c="d" é', "$HOME`id`", "l" * 120])
def test_a_home_may_have_any_name(name: str, home: Path) -> None:
    home.mkdir(mode=0o755)
    command = Command("", home)
    result = command("init-db", COVID_ETL_HOME=str(home / name))
    assert result.returncode == 0, result.stderr
    assert postmaster(home / name) is None


def test_a_frozen_server_is_stopped_by_a_signal(home: Path) -> None:
    home.mkdir(mode=0o755)
    process = Command("", home).start("psql", "--", "-c", "\\echo connected", "-c", "select pg_sleep(60)")
    assert process.stdout
    assert process.stdout.readline() == "connected\n"
    pid = postmaster(home)
    assert pid
    os.kill(pid, signal.SIGSTOP)
    process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    process.communicate(timeout=20)
    assert (process.returncode, time.monotonic() - started < 6) == (143, True)
    assert postmaster(home) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another account for the server")
def test_under_root_only_what_the_program_has_made_is_given_away(home: Path) -> None:
    home.mkdir(mode=0o755)
    with server.running(home):
        owners = {path.name: path.stat().st_uid for path in home.iterdir() if path.is_dir()}
    assert (home.stat().st_uid, home.stat().st_mode & 0o777) == (0, 0o755)
    assert set(owners) == {"postgres", "run"}
    assert 0 not in owners.values()
    (home / "run").mkdir()
    (home / "run/mine.txt").touch()
    with pytest.raises(UsageError, match="run belongs to somebody else"), server.running(home):
        pass
    assert (home / "run").stat().st_uid == 0


def test_a_user_without_a_home_is_told_what_to_set() -> None:
    with pytest.raises(UsageError, match="set COVID_ETL_HOME"):
        config.home({"COVID_ETL_HOME": "~no-such-user/data"})


# --- a run that hangs ---


def test_a_stopped_run_is_told_once_and_when_it_was_killed_the_next_run_says_so(
    command: Command, cli: Cli, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = command.start(*LOAD)
    assert process.stderr
    while "run started" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGSTOP)
    with monkeypatch.context() as patch:
        # As if an hour had passed.
        patch.setattr(database, "LONGEST_RUN_SECONDS", -10)
        patch.setattr("etl.ending.limit", lambda _seconds: None)
        assert cli(*LOAD, **receiver.environ).returncode == 75
        told = receiver.taken() or ""
        assert f"held by pid {process.pid} on {socket.gethostname()[:24]} since 20" in told
        assert re.search(r"; to free it: select pg_terminate_backend\(\d+\)$", told)
        assert (cli(*LOAD, **receiver.environ).returncode, receiver.taken()) == (75, None)
    process.kill()
    process.communicate()
    result = cli(*LOAD, "--wait", "20", **receiver.environ)
    assert result.returncode == 0, result.stderr
    assert "run 1 was broken off: it was killed, or its machine stopped" in result.stdout
    assert (receiver.taken() or "").startswith("covid-tracking-etl: recovered\nover: failed: the run lock is held by")


# --- signals, streams, text, memory ---


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=str)
def test_a_signal_while_modules_are_imported_ends_in_one_line(number: signal.Signals, command: Command) -> None:
    for moment in range(8):
        process = command.start(*LOAD)
        time.sleep(0.03 + 0.03 * moment)
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
        assert process.returncode in (-number, 128 + number), said
        assert "Traceback" not in said


def test_a_second_signal_does_not_cut_off_the_first(command: Command) -> None:
    process = command.start(*LOAD)
    assert process.stderr
    while "run started" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode in (130, 143)
    assert said.count("ERROR command failed") == 1


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full"])
@pytest.mark.parametrize("arguments", ["status", "load --source snapshot --locations vi --no-progress", "--help"])
def test_closed_and_full_streams_end_in_no_traceback(arguments: str, streams: str, command: Command) -> None:
    environ = {"PATH": os.environ["PATH"], "DATABASE_URL": command.dsn}
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} {MAIN} {arguments} {streams}"],
        env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    is_full = streams == ">/dev/full" and arguments != "--help"
    assert done.returncode == (2 if is_full else 0), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("ERROR") == is_full


@pytest.mark.parametrize("variable", ["DATABASE_URL_FILE", "PGPASSWORD_FILE"])
@pytest.mark.parametrize("secret", [b"postgresql://\xff@h/x", b"a\0b"])
def test_a_secret_that_is_no_text_is_one_line(variable: str, secret: bytes, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(secret)
    database_url = cli.dsn if variable == "PGPASSWORD_FILE" else ""
    result = cli("status", DATABASE_URL=database_url, **{variable: str(tmp_path / "secret")})
    assert (result.returncode, result.stderr.count("\n")) == (2, 1), result.stderr
    assert f"{variable} names" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (("load", "--locations", "c\udcff"), {}),
        (("l\udcff",), {}),
        (("status", "--database-url", "postgresql://u\udcff@h/x"), {}),
        (("status",), {"DATABASE_URL": "postgresql://u\udcff@h/x"}),
        (("status",), {"PGHOST": "\udcff"}),
    ],
)
def test_bytes_that_are_no_text_are_one_line(
    arguments: tuple[str, ...], environ: dict[str, str], command: Command
) -> None:
    result = command(*arguments, **environ)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1), result.stderr
    assert "is not UTF-8" in result.stderr


def test_a_lack_of_memory_is_no_bug(command: Command) -> None:
    for megabytes in (100, 150, 200, 350):
        limited = [
            "bash", "-c", f'ulimit -v {megabytes * 1024} && exec "$0" "$@"', sys.executable, str(MAIN), *LOAD, "--force",
        ]  # fmt: skip
        environ = {"PATH": os.environ["PATH"], "DATABASE_URL": command.dsn}
        result = subprocess.run(limited, env=environ, capture_output=True, text=True, check=False)
        assert result.returncode in (0, 2), result.stderr
        assert "Traceback" not in result.stderr


# --- files ---


@pytest.fixture
def exported(cli: Cli, tmp_path: Path) -> Path:
    folder = tmp_path / "x"
    assert cli("export", str(folder), "--tables", "cases_fact", "--format", "parquet").returncode == 0
    return folder


def again(cli: Cli, folder: Path) -> "subprocess.CompletedProcess[str]":
    return cli("export", str(folder), "--tables", "test_dimension")


def test_a_file_in_a_folder_of_an_export_is_never_deleted(exported: Path, cli: Cli) -> None:
    note = exported / "cases_fact" / "note.txt"
    note.write_text("mine")
    result = again(cli, exported)
    assert (result.returncode, "holds cases_fact/note.txt, which is no part" in result.stderr) == (2, True)
    assert note.read_text() == "mine"


def test_a_file_that_comes_during_an_export_is_never_deleted(
    exported: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = export._write

    def write_slowly(*arguments: Any) -> Any:
        (exported / "note.txt").write_text("mine")
        return write(*arguments)

    monkeypatch.setattr(export, "_write", write_slowly)
    result = again(cli, exported)
    assert (result.returncode, "holds note.txt" in result.stderr) == (2, True)
    assert {path.name for path in exported.iterdir()} == {"README.md", "manifest.json", "cases_fact", "note.txt"}
    assert [path.name for path in exported.parent.iterdir()] == ["x"]


def test_the_next_export_removes_what_a_killed_one_left_and_nothing_else(exported: Path, cli: Cli) -> None:
    killed, running = (exported.with_name(f".x.{config.PROGRAM}-{name}") for name in ("killed", "running"))
    for folder in (killed / "new", running / "new", exported.with_name(".x.mine")):
        folder.mkdir(parents=True)
    with locked(running):
        assert again(cli, exported).returncode == 0
    assert sorted(path.name for path in exported.parent.iterdir()) == [running.name, ".x.mine", "x"]


def test_an_export_that_was_killed_between_the_two_folders_is_put_back(exported: Path, cli: Cli) -> None:
    work = exported.with_name(f".x.{config.PROGRAM}-killed")
    (work / "new").mkdir(parents=True)
    exported.rename(work / "old")
    result = cli("export", str(exported), "--tables", "no_such_table")
    assert result.returncode == 2
    assert (exported / "cases_fact").is_dir()
    assert [path.name for path in exported.parent.iterdir()] == ["x"]


def test_a_folder_that_is_merely_named_like_a_work_folder_stays(exported: Path, cli: Cli) -> None:
    notes = exported.with_name(f".x.{config.PROGRAM}-notes")
    notes.mkdir()
    (notes / "thesis").write_text("mine")
    assert again(cli, exported).returncode == 0
    assert (notes / "thesis").read_text() == "mine"


def test_a_file_that_a_killed_report_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".index.html.partial").write_bytes(b"half of a longer page")
    write_atomically(tmp_path / "index.html", b"whole")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"index.html": b"whole"}


# --- a document that does not fit ---


def test_to_reject_a_history_takes_not_much_longer_than_to_decode_it() -> None:
    body = DirectorySource(config.SNAPSHOT, "snapshot").fetch("states/ca/daily.json").body
    broken = json.loads(body)
    broken["data"][200]["outcomes"]["death"]["total"]["value"] = "many"
    expected = contract.Expected(STATE, "CA")

    def seconds(document: bytes) -> float:
        started = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        with suppress(ContractError):
            contract.decode(document, expected)
        return resource.getrusage(resource.RUSAGE_SELF).ru_utime - started

    usual = max(min(seconds(body) for _ in range(3)), 0.004)
    # Without the look at the whole it was a hundred times as long.
    assert min(seconds(json.dumps(broken).encode()) for _ in range(3)) < 15 * usual


# --- this machine ---


def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "source/states/ca").mkdir(parents=True)
    os.mkfifo(tmp_path / "source/states/ca/daily.json.gz")
    result = cli("load", "--source", str(tmp_path / "source"), "--locations", "ca")
    assert result.returncode == 3
    assert "failed: CA history: is no regular file" in result.stdout


def test_variables_of_libpq_are_not_for_the_embedded_server(home: Path) -> None:
    home.mkdir(mode=0o755)
    foreign = {"PGREQUIREAUTH": "scram-sha-256", "PGOPTIONS": "-c default_transaction_read_only=on"}
    foreign |= {"PGTARGETSESSIONATTRS": "standby", "PGCHANNELBINDING": "require", "PGCONNECT_TIMEOUT": "abc"}
    result = Command("", home)("init-db", **foreign)
    assert result.returncode == 0, result.stderr


def test_a_command_that_was_started_to_ignore_a_hangup_ignores_it(command: Command) -> None:
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with command.start(*LOAD) as process:
            time.sleep(0.5)
            process.send_signal(signal.SIGHUP)
            process.communicate(timeout=60)
            assert process.returncode == 0
    finally:
        signal.signal(signal.SIGHUP, previous)


@pytest.mark.parametrize(
    ("digits", "said"),
    [(5, "days are more than 36500"), (23, "... is too large a number"), (5000, "... is too large a number")],
)
def test_more_days_than_there_are_is_a_matter_of_usage(digits: int, said: str, cli: Cli) -> None:
    result = cli("prune", "--older-than-days", "9" * digits)
    assert (result.returncode, said in result.stderr) == (2, True)


def test_a_missing_certificate_file_is_a_matter_of_this_machine_and_no_bug(cli: Cli) -> None:
    missing = {"REQUESTS_CA_BUNDLE": "/nowhere/ca.pem"}
    result = cli("load", "--source", "https://localhost:9", "--date", "2021-01-02", "--locations", "us", **missing)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "/nowhere/ca.pem" in result.stdout


def test_a_missing_service_file_is_a_matter_of_this_machine(command: Command) -> None:
    result = command("status", DATABASE_URL="", PGSERVICE="warehouse", PGSERVICEFILE="/nowhere")
    assert (result.returncode, "Traceback" in result.stderr) == (2, False)
