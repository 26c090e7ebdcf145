"""`main.py psql` at a real terminal, and without one."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from etl import config
from etl.database import connection as database
from etl.database import embedded as server
from etl.database.connection import fetch_all
from tests.conftest import MAIN, Command

Spawn = Callable[..., "pexpect.spawn[str]"]
PROMPT = re.compile(r"\w+@test_\w+=# ")
GREETING = "Examples, for instance:"


@pytest.fixture
def spawn(loaded_dsn: str, tmp_path: Path) -> Iterator[Spawn]:
    """Starts the command at a terminal, in a folder, with variables and a home of its own."""
    started = []

    def start(*arguments: str, cwd: Path = config.ROOT, columns: int = 250, **environ: str) -> "pexpect.spawn[str]":
        variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "dumb", "DATABASE_URL": loaded_dsn}
        variables |= {name: value for name, value in os.environ.items() if name.startswith(("COVERAGE_", "COV_"))}
        terminal = pexpect.spawn(
            sys.executable, [str(MAIN), "psql", *arguments], cwd=cwd, env=variables | environ, encoding="utf-8",
            timeout=60, dimensions=(60, columns), echo=False,
        )  # fmt: skip
        started.append(terminal)
        return terminal

    yield start
    for terminal in started:
        terminal.close(force=True)


def leave(terminal: "pexpect.spawn[str]") -> None:
    terminal.sendline("\\q")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def answer(terminal: "pexpect.spawn[str]", line: str) -> str:
    terminal.sendline(line)
    terminal.expect(PROMPT)
    return str(terminal.before).replace("\r\n", "\n")


def test_the_greeting_lists_the_views_and_examples_that_run(spawn: Spawn, loaded_dsn: str) -> None:
    terminal = spawn(PAGER="cat")
    terminal.expect(PROMPT)
    greeting = str(terminal.before)
    with database.connect(config.Database(loaded_dsn)) as conn:
        views = fetch_all(
            conn,
            "select relname, obj_description(oid, 'pg_class') from pg_class"
            " where relkind = 'v' and relnamespace = 'mart'::regnamespace",
        )
    for name, comment in views:
        assert re.search(rf"^  {name} +{re.escape(comment.split('. ')[0])}", greeting, re.MULTILINE), name
    examples = re.findall(r"^  (\\i .*\.sql)\r?$", greeting, re.MULTILINE)
    assert len(examples) == 3
    for example in examples:
        assert example.startswith("\\i sql/examples/")
        shown = answer(terminal, example)
        assert "rows)" in shown
        assert "Time: " in shown
    leave(terminal)


def test_the_greeting_says_what_is_loaded_and_where_columns_are_explained(spawn: Spawn) -> None:
    terminal = spawn()
    terminal.expect(PROMPT)
    assert (
        "Loaded: 57 locations to 2021-03-07, last from snapshot."
        " The columns are explained in docs/data-dictionary.md\r\n" in str(terminal.before)
    )
    leave(terminal)


def test_a_database_with_nothing_loaded_is_greeted_with_what_to_do(spawn: Spawn, dsn: str) -> None:
    terminal = spawn(DATABASE_URL=dsn)
    terminal.expect("Nothing is loaded yet: leave with \\\\q and run `main.py load`.")
    terminal.expect(PROMPT)
    assert "ERROR" not in str(terminal.before)
    leave(terminal)


def test_the_examples_of_the_greeting_fit_in_120_columns(spawn: Spawn) -> None:
    terminal = spawn(PAGER="cat", columns=120)
    terminal.expect(PROMPT)
    examples = re.findall(r"^  (\\i .*\.sql)\r?$", str(terminal.before), re.MULTILINE)
    assert examples
    for example in examples:
        shown = answer(terminal, example)
        assert "rows)" in shown
        assert "RECORD" not in shown, example
    leave(terminal)


def test_from_another_folder_the_examples_have_their_whole_path(spawn: Spawn, tmp_path: Path) -> None:
    terminal = spawn(cwd=tmp_path)
    terminal.expect(PROMPT)
    (example, *_) = re.findall(r"^  \\i (.*\.sql)\r?$", str(terminal.before), re.MULTILINE)
    assert Path(example).is_absolute()
    assert Path(example).is_file()


def test_nulls_are_seen_and_views_are_found_by_their_names_alone(spawn: Spawn) -> None:
    terminal = spawn()
    terminal.expect(PROMPT)
    shown = answer(terminal, "select count(*), null as nothing, current_setting('timezone') from latest;")
    assert "57 | (null)  | UTC" in shown
    assert re.search(r"^expanded +auto$", answer(terminal, "\\pset"), re.MULTILINE)


def test_the_user_s_own_startup_file_is_read_and_prevails(spawn: Spawn, tmp_path: Path) -> None:
    (tmp_path / ".psqlrc").write_text("\\pset null 'mine'\n\\echo I was read\n")
    terminal = spawn()
    terminal.expect(GREETING)
    terminal.expect("I was read")
    terminal.expect(PROMPT)
    assert "mine" in answer(terminal, "select null;")
    leave(terminal)


@pytest.mark.parametrize("by_version", [False, True])
def test_a_startup_file_named_by_psqlrc_is_read(spawn: Spawn, tmp_path: Path, *, by_version: bool) -> None:
    program = server.psql_program()
    assert program
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    major = shown.split()[2].split(".")[0]
    (tmp_path / "own").write_text("\\echo the plain one\n")
    if by_version:
        (tmp_path / f"own-{major}").write_text("\\echo that of the version\n")
    terminal = spawn(PSQLRC="~/own")
    terminal.expect("that of the version" if by_version else "the plain one")
    terminal.expect(PROMPT)
    leave(terminal)


def test_the_pager_is_the_user_s_or_less_or_none(spawn: Spawn, tmp_path: Path) -> None:
    without_less = tmp_path / "bin"
    without_less.mkdir()
    program = server.psql_program()
    assert program
    for name in (program, shutil.which("sh"), shutil.which("perl")):
        if name:
            (without_less / Path(name).name).symlink_to(name)
    ours = "less -SRFX" if shutil.which("less") else ""
    for environ, expected in (({"PAGER": "more"}, "unset"), ({}, ours), ({"PATH": str(without_less)}, "")):
        terminal = spawn(**environ)
        terminal.expect(PROMPT)
        assert f"[{expected}]" in answer(terminal, '\\! echo "[${PSQL_PAGER-unset}]"')


def test_a_database_without_the_schema_is_greeted_with_what_to_do(spawn: Spawn, empty_dsn: str) -> None:
    terminal = spawn(DATABASE_URL=empty_dsn)
    terminal.expect("There is no schema in this database yet")
    terminal.expect(PROMPT)
    leave(terminal)


def test_a_terminal_that_is_closed_leaves_no_server_behind(spawn: Spawn, shared_folder: Path) -> None:
    home = shared_folder / "of-a-closed-terminal"
    terminal = spawn(DATABASE_URL="", COVID_ETL_HOME=str(home))
    terminal.expect("=# ")
    running = home / "postgres/postmaster.pid"
    assert running.exists()
    terminal.ptyproc.fileobj.close()  # type: ignore[attr-defined]  # its stubs leave it out
    deadline = time.monotonic() + 30
    while running.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not running.exists()


def test_with_arguments_psql_is_as_it_is_also_at_a_terminal(spawn: Spawn, tmp_path: Path) -> None:
    (tmp_path / ".psqlrc").write_text("\\pset null 'mine'\n")
    terminal = spawn("--", "-Atc", "select null")
    terminal.expect(pexpect.EOF)
    shown = str(terminal.before)
    assert shown.strip().endswith("mine")
    assert GREETING not in shown


def test_without_a_terminal_nothing_is_added(loaded_dsn: str, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, str(MAIN), "psql"], input="\\pset format unaligned\nselect null, current_setting('search_path');\n",
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DATABASE_URL": loaded_dsn},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout == 'Output format is unaligned.\n?column?|current_setting\n|"$user", public\n(1 row)\n'
    assert result.stderr == ""


def test_a_script_fails_with_psql_s_own_code(command: Command) -> None:
    assert command("psql", "--", "-v", "ON_ERROR_STOP=1", "-Atc", "select 1/0").returncode == 1
    assert command("psql", "--", "--no-such-option").returncode == 1


def test_a_read_only_session_refuses_to_write_and_keeps_other_options(command: Command) -> None:
    written = command("psql", "--read-only", "--", "-Atc", "delete from death_fact")
    assert (written.returncode, written.stdout) == (1, "")
    assert "cannot execute DELETE in a read-only transaction" in written.stderr
    ask = ("--", "-Atc", "select current_setting('default_transaction_read_only'), current_setting('work_mem')")
    given = {"PGOPTIONS": "-c work_mem=5MB"}
    assert command("psql", "--read-only", *ask, **given).stdout == "on|5MB\n"
    in_url = make_dsn(command.dsn, options="-c work_mem=6MB")
    assert command("psql", "--read-only", "--database-url", in_url, *ask, **given).stdout == "on|6MB\n"
    assert command("psql", *ask, **given).stdout == "off|5MB\n"
    # Another database that is named behind the dashes, and one that is connected to later, are not written to either.
    name = parse_dsn(command.dsn)["dbname"]
    elsewhere = command("psql", "--read-only", "--", "-d", f"{command.dsn} dbname={name}", *ask[1:], **given)
    assert elsewhere.stdout == "on|5MB\n"
    later = command("psql", "--read-only", "--", "-At", "-c", f'\\c "{command.dsn}"', "-c", ask[2])
    assert later.stdout.splitlines()[-1].startswith("on|")


def test_options_of_a_service_do_not_take_read_only_back(command: Command, tmp_path: Path) -> None:
    service = "\n".join(f"{name}={value}" for name, value in parse_dsn(command.dsn).items())
    (tmp_path / "services").write_text(f"[here]\n{service}\noptions=-c work_mem=7MB\n")
    variables = {"DATABASE_URL": "", "PGSERVICE": "here", "PGSERVICEFILE": str(tmp_path / "services")}
    ask = ("psql", "--read-only", "--", "-Atc", "show default_transaction_read_only")
    assert command(*ask, **variables).stdout == "on\n"


def test_a_url_that_cannot_be_read_is_not_shown(command: Command) -> None:
    for url in ("postgresql://u:S3cret%zz@h/db", "postgresql://u:p@S3cret@127.0.0.1/db"):
        refused = command("psql", "--database-url", url, "--", "-c", "select 1")
        assert refused.returncode == 2
        assert "the database URL (--database-url, DATABASE_URL, DATABASE_URL_FILE) cannot be read" in refused.stderr
        assert "S3cret" not in refused.stderr


def test_an_argument_that_psql_would_ignore_is_refused(command: Command) -> None:
    result = command("psql", "select 1")
    assert result.returncode == 2
    assert "psql takes no 'select 1'; for SQL: main.py psql -- -c 'select 1'" in result.stderr


def test_a_reader_that_leaves_ends_psql_as_it_would_by_itself(command: Command) -> None:
    with command.start("psql", "--", "-Atc", "select generate_series(1, 1000000)") as process:
        assert process.stdout
        assert process.stdout.readline() == "1\n"
        process.stdout.close()
        assert process.wait() == 128 + signal.SIGPIPE
