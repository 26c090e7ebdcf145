"""How the command ends: its exit code through a pipe, JSON to the last line, soon after its last word."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug import Request, Response

from tests.cli import Cli
from tests.conftest import MAIN, Api, Command
from tests.documents import state_history
from tests.warehouse import rows

CALIFORNIA, NEW_YORK = "states/ca/daily.json", "states/ny/daily.json"
DAYS = {"2021-01-01": {"cases__total": 1}}


def wait_for(condition: Callable[[], object]) -> None:
    """Waits until something is so, and fails after 20 s."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def hanging(api: Api) -> Iterator[Api]:
    """An API that answers for California, and never for New York."""
    end = threading.Event()

    def hang(_request: Request) -> Response:
        end.wait(60)
        return Response(status=500)

    api.answers[CALIFORNIA] = state_history("CA", DAYS)
    api.answers[NEW_YORK] = hang
    yield api
    end.set()


def load(api: Api) -> tuple[str, ...]:
    return ("load", "--source", api.url, "--locations", "ca,ny")


def own_session(command: Command) -> list[tuple[Any, ...]]:
    return rows(
        command.dsn,
        "select pid from pg_stat_activity where application_name like 'covid-etl %' and datname = current_database()",
    )


def test_a_fatal_error_ends_the_process_while_a_request_hangs(command: Command, hanging: Api) -> None:
    process = command.start(*load(hanging))
    wait_for(lambda: NEW_YORK in hanging.requests)
    ended = time.monotonic()
    # The document before the hanging one meets the lost connection.
    rows(command.dsn, "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'covid-etl %'"
                      " and datname = current_database()")  # fmt: skip
    hanging.answers[CALIFORNIA] = 500
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - ended < 5, (out, err)
    assert process.returncode in (6, 143), err


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [(signal.SIGHUP, 129, "hung up"), (signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_ends_the_process_while_a_request_hangs(
    command: Command, hanging: Api, number: signal.Signals, code: int, reason: str
) -> None:
    process = command.start(*load(hanging), COVID_ETL_LOG_FORMAT="json")
    wait_for(lambda: NEW_YORK in hanging.requests)
    time.sleep(0.3)
    process.send_signal(number)
    started = time.monotonic()
    _, err = process.communicate(timeout=20)
    assert (process.returncode, time.monotonic() - started < 5) == (code, True), err
    last = json.loads(err.splitlines()[-1])
    assert (last["event"], last["reason"], last["exit_code"]) == ("command failed", reason, code)
    assert rows(command.dsn, "select status, exit_code from ops.run") == [("interrupted", code)]


def test_a_signal_ends_the_process_while_the_server_is_frozen(command: Command, hanging: Api) -> None:
    process = command.start(*load(hanging))
    wait_for(lambda: NEW_YORK in hanging.requests)
    ((backend,),) = own_session(command)
    os.kill(backend, signal.SIGSTOP)
    try:
        process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        _, err = process.communicate(timeout=20)
        assert (process.returncode, time.monotonic() - started < 6) == (143, True), err
        assert "ERROR command ended by force exit_code=143" in err
    finally:
        os.kill(backend, signal.SIGCONT)


def piped(command: Command, arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Runs the command with a reader of stdout that leaves at once."""
    return subprocess.run(
        ["bash", "-c", f"{sys.executable} {MAIN} {arguments} | true; exit ${{PIPESTATUS[0]}}"],
        env=os.environ | {"DATABASE_URL": command.dsn} | environ, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_reader_of_stdout_that_leaves_changes_no_exit_code(command: Command) -> None:
    assert (piped(command, "status").returncode, piped(command, "status").stderr) == (0, "")
    assert piped(command, "status --max-age-days 2").returncode == 7
    assert piped(command, "load --source snapshot --date 2019-01-01 --locations us").returncode == 4


@pytest.mark.parametrize(
    ("arguments", "environ", "code"),
    [
        (("load", "--log-format", "json", "--nonsense"), {}, 2),
        (("load", "--log-format=json", "--date", "x"), {}, 2),
        (("laod",), {"COVID_ETL_LOG_FORMAT": "json"}, 2),
        (("status",), {"COVID_ETL_LOG_FORMAT": "json", "DATABASE_URL": "postgresql://u@127.0.0.1:9/x"}, 6),
    ],
)
def test_each_line_of_stderr_is_json(
    cli: Cli, arguments: tuple[str, ...], environ: dict[str, str], code: int
) -> None:
    result = cli(*arguments, **environ)
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert (result.returncode, lines[-1]["exit_code"], lines[-1]["event"]) == (code, code, "command failed")


def test_a_full_standard_output_is_said_in_one_line(command: Command) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, str(MAIN), "status"],
            env=os.environ | {"DATABASE_URL": command.dsn}, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert "No space left on device" in result.stderr


def test_a_module_that_does_not_fit_into_memory_is_one_line(command: Command, tmp_path: Path) -> None:
    reason = "libpq.so.5: failed to map segment from shared object"
    (tmp_path / "psycopg2.py").write_text(f"raise ImportError({reason!r})")
    result = command("status", PYTHONPATH=str(tmp_path))
    assert (result.returncode, result.stderr.count("\n")) == (2, 1), result.stderr
    assert f"exit_code=2 reason={reason}" in result.stderr.replace('"', "")


def test_variables_are_read_by_the_commands_that_use_them_alone(cli: Cli) -> None:
    environ = {"COVID_ETL_LOCATIONS": "ca", "COVID_ETL_JOBS": "many", "COVID_ETL_FORMAT": "xml"}
    result = cli("replay", "--rejected", **environ)
    assert result.returncode == 0, result.stderr
    assert cli("status", COVID_ETL_WAIT="soon").returncode == 0
    found = cli.json("load", "--source", "snapshot", COVID_ETL_LOCATIONS="vi", COVID_ETL_FORMAT="xml")
    assert (found["returncode"], found["locations"]) == (0, "vi")


def test_the_command_without_a_word_loads(command: Command) -> None:
    result = command(COVID_ETL_SOURCE="snapshot", COVID_ETL_LOCATIONS="vi")
    assert (result.returncode, result.stdout.splitlines()[1]) == (0, "documents: 1 requested, 1 loaded"), (
        result.stderr
    )


def test_a_closed_standard_output_changes_no_exit_code(command: Command) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} {MAIN} status >&-"],
        env=os.environ | {"DATABASE_URL": command.dsn}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


SWALLOWING = """
import os, signal
from etl import ending

ending.watch_signals()
try:
    os.kill(os.getpid(), signal.SIGTERM)
    while True:
        pass
except BaseException:
    pass
ending.leave(0)
"""


def test_a_signal_that_a_library_swallows_ends_with_its_code_all_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWING], cwd=MAIN.parent, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (143, "")
    assert "command ended after a signal" in done.stderr
