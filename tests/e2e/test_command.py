"""The command as its users run it: a process, a real HTTP server, a real database."""

import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from werkzeug import Request, Response

from etl import __version__
from etl.transform.declaration import TABLES
from tests.conftest import FEW, MAIN, Api, Command
from tests.documents import snapshot, snapshot_addresses, snapshot_days
from tests.warehouse import rows

DAY = "2021-01-02"


def versions(dsn: str) -> dict[str, list[tuple[Any, ...]]]:
    query = "select ctid::text, xmin::text, xmax::text from {} order by 1"
    return {table: rows(dsn, query.format(table)) for table in TABLES}


def test_one_day_of_some_locations_and_the_same_again(api: Api, command: Command) -> None:
    api.answers |= snapshot_days(DAY, *FEW.split(","))
    arguments = ("load", "--date", DAY, "--source", api.url, "--locations", FEW)
    first = command.json(*arguments)
    assert (first["returncode"], first["status"], first["run_id"]) == (0, "ok", 1)
    assert first["documents"]["loaded"] == 5
    assert first["rows"]["cases_dimension"] == {"inserted": 5, "updated": 0, "withdrawn": 0, "unchanged": 0}
    before = versions(command.dsn)
    second = command.json(*arguments)
    assert second["documents"]["unchanged"] == 5
    assert {(n["inserted"], n["updated"], n["withdrawn"]) for n in second["rows"].values()} == {(0, 0, 0)}
    assert versions(command.dsn) == before


@pytest.mark.slow
def test_the_whole_history_over_http(api: Api, command: Command) -> None:
    for address in (*snapshot_addresses(), "states.json"):
        api.answers[address] = snapshot(address)
    found = command.json("--source", api.url)
    assert (found["returncode"], found["rows"]["cases_dimension"]["inserted"]) == (0, 21200)
    assert found["source"] == api.url
    query = "select count(*), count(*) filter (where location_id = 0) from public.cases_dimension"
    assert rows(command.dsn, query) == [(21200, 420)]
    assert sorted(api.requests) == sorted([*snapshot_addresses(), "states.json"])


def test_a_run_that_is_terminated_is_closed_and_the_next_does_the_rest(api: Api, command: Command) -> None:
    end = threading.Event()

    def slow(_request: Request) -> Response:
        end.wait(10)
        return Response(b"late")

    api.answers |= snapshot_days(DAY, "us", "wa")
    answer = api.answers[f"states/wa/{DAY}.json"]
    api.answers[f"states/wa/{DAY}.json"] = slow
    arguments = ("load", "--date", DAY, "--source", api.url, "--locations", "us,wa", "--json", "--jobs", "1")
    process = command.start(*arguments)
    while not rows(command.dsn, "select from public.cases_fact"):
        time.sleep(0.05)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    end.set()
    assert process.returncode == 143, err
    assert time.monotonic() - started < 4
    assert "terminated" in err
    assert rows(command.dsn, "select status, exit_code from ops.run") == [("interrupted", 143)]
    api.answers[f"states/wa/{DAY}.json"] = answer
    found = command.json(*arguments[:-3])
    assert (found["returncode"], found["documents"]["unchanged"], found["documents"]["loaded"]) == (0, 1, 1)


def test_a_terminal_sees_a_progress_line_unless_it_declines(dsn: str, tmp_path: Path) -> None:
    def errors(*arguments: str) -> str:
        ours, theirs = pty.openpty()
        subprocess.run(
            [sys.executable, str(MAIN), "load", "--source", "snapshot", "--locations", "vi", "--force", *arguments],
            env=os.environ | {"DATABASE_URL": dsn}, stdout=subprocess.DEVNULL, stderr=theirs, check=True,
        )  # fmt: skip
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # Linux says so at the end of a terminal
            pass
        os.close(ours)
        return shown.decode()

    assert "\r1 of 1 documents, " in errors()
    assert "documents" not in errors("--no-progress")


def test_psql_opens_the_database_in_use_with_its_exit_code(command: Command) -> None:
    result = command("psql", "--", "-XAtc", "select count(*) from public.location_dimension")
    assert (result.returncode, result.stdout) == (0, "57\n")
    assert command("psql", "--", "-Xc", "select 1/0", "-v", "ON_ERROR_STOP=1").returncode == 1


def test_psql_gets_the_password_by_the_environment_alone(command: Command, tmp_path: Path) -> None:
    fake = tmp_path / "psql"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@" "password=$PGPASSWORD"\n')
    fake.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    result = command("psql", "--", "-X", DATABASE_URL="postgresql://me:s3cret@db.example/covid", PATH=path)
    assert result.stdout.splitlines() == ["user=me dbname=covid host=db.example", "-X", "password=s3cret"]


@pytest.mark.slow
def test_the_embedded_server_serves_where_nothing_is_configured(command: Command, shared_folder: Path) -> None:
    home = shared_folder / "of-the-command"
    environ = {"DATABASE_URL": "", "COVID_ETL_HOME": str(home)}
    try:
        result = command("load", "--source", "snapshot", "--locations", "us", **environ)
        assert result.returncode == 0, result.stderr
        count = command("psql", "--", "-XAtc", "select count(*) from public.cases_dimension", **environ)
        assert count.stdout == "420\n"
    finally:
        shutil.rmtree(home)


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("load", "--help")])
def test_help_and_version_need_neither_database_nor_heavy_libraries(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys; from etl.cli.commands import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print([name for name in ('requests', 'psycopg2', 'msgspec') if name in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=MAIN.parent, capture_output=True, text=True, check=True
    ).stdout
    assert shown.endswith("[]\n")
    assert __version__ in shown or "usage:" in shown
