"""The connection, its transactions, the run lock, and what an operator reads when the database fails."""

import os
import re
import threading
import time
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from etl import config
from etl.database import connection as database
from etl.database.connection import Connection, fetch_all, fetch_one, run_lock, transaction
from etl.errors import DatabaseError, ExitCode, Interrupted, LockedError, StatementError
from tests.cli import Cli
from tests.conftest import administrator


def test_a_transaction_commits_and_a_failed_one_does_not(conn: Connection) -> None:
    with transaction(conn), conn.cursor() as cursor:
        cursor.execute("create table public.t (n int)")
    with pytest.raises(psycopg2.DataError), transaction(conn), conn.cursor() as cursor:
        cursor.execute("insert into public.t values (1); select 1/0")
    with transaction(conn, rollback=True), conn.cursor() as cursor:
        cursor.execute("insert into public.t values (2)")
    assert fetch_all(conn, "select n from public.t") == []


def test_a_transaction_within_another_is_a_savepoint(conn: Connection) -> None:
    with transaction(conn), conn.cursor() as cursor:
        cursor.execute("create table public.t (n int); insert into public.t values (1)")
        with pytest.raises(psycopg2.Error), transaction(conn):
            cursor.execute("insert into public.t values (2), (1/0)")
        with transaction(conn):
            cursor.execute("insert into public.t values (3)")
        with transaction(conn, rollback=True):
            cursor.execute("insert into public.t values (4)")
    assert fetch_all(conn, "select n from public.t order by n") == [(1,), (3,)]


def test_the_session_is_bounded_and_in_utc(conn: Connection) -> None:
    shown = [fetch_one(conn, f"show {name}")[0] for name in ("lock_timeout", "timezone", "search_path")]
    assert shown == ["5s", "UTC", '""']


# --- the run lock ---


def test_the_lock_says_who_holds_it_where_and_since_when(conn: Connection, dsn: str) -> None:
    with run_lock(conn, 0), database.connect(config.Database(dsn)) as other:
        owner = str(database.lock_holder(other))
        assert owner.startswith(f"pid {os.getpid()} on {os.uname().nodename} since 20")
        with (
            pytest.raises(LockedError, match=r"another run holds the lock: pid \d+ on .* since .*Z; wait"),
            run_lock(other, 0),
        ):
            pass
    assert database.lock_holder(conn) is None


def test_the_lock_of_another_database_is_not_ours(conn: Connection, empty_dsn: str) -> None:
    with database.connect(config.Database(empty_dsn)) as other, run_lock(conn, 0):
        assert database.lock_holder(other) is None
        with run_lock(other, 0):
            pass


def test_a_foreign_session_with_the_lock_is_named(conn: Connection, dsn: str) -> None:
    foreign = psycopg2.connect(dsn, application_name="psql")
    foreign.cursor().execute("select pg_advisory_lock(%s)", (database.RUN_LOCK,))
    assert str(database.lock_holder(conn)) == "a session named 'psql'"
    foreign.close()


def test_a_run_waits_for_the_lock_as_long_as_it_is_told(conn: Connection, dsn: str) -> None:
    def hold() -> None:
        with database.connect(config.Database(dsn)) as other, run_lock(other, 0):
            held.set()
            time.sleep(0.5)

    held = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    started = time.monotonic()
    with run_lock(conn, 30):
        assert 0.2 < time.monotonic() - started < 10
    thread.join()


def test_a_lost_connection_that_psycopg2_shows_as_a_system_error_is_one(conn: Connection) -> None:
    with pytest.raises(SystemError, match="another"), database.statements(conn):
        raise SystemError("another")
    with pytest.raises(DatabaseError), database.statements(conn):
        raise SystemError("decode returned a result with an exception set") from psycopg2.OperationalError("lost")


# --- one clear line for each trouble ---


def said(result: Any, code: int) -> str:
    """The reason that the command gives for its failure, on the last and only line of an error."""
    assert result.returncode == code, result.stderr
    (line,) = [line for line in result.stderr.splitlines() if " INFO " not in line and " WARNING " not in line]
    match = re.fullmatch(rf"\S+Z ERROR command failed exit_code={code} reason=(.*)", line)
    assert match, line
    return match[1]


def test_a_server_that_is_not_there(cli: Cli) -> None:
    line = said(cli("load", DATABASE_URL="postgresql://u:hunter2@127.0.0.1:9/covid"), 6)
    assert line.startswith("cannot connect to the database (host=127.0.0.1 port=9 dbname=covid user=u): ")
    assert "Connection refused; Is the server running on that host and accepting TCP/IP connections?; " in line
    assert line.endswith("; check the address, or try again later")
    assert "hunter2" not in line


def test_a_host_that_does_not_exist(cli: Cli) -> None:
    line = said(cli("load", DATABASE_URL="postgresql://nowhere.invalid/covid"), 6)
    assert 'could not translate host name "nowhere.invalid"' in line


def test_a_database_that_does_not_exist(cli: Cli, server_dsn: str) -> None:
    line = said(cli("load", DATABASE_URL=make_dsn(server_dsn, dbname="nothing_here")), 2)
    assert line.endswith(
        'database "nothing_here" does not exist; check its URL, the PG* variables, and the password (PGPASSWORD_FILE, ~/.pgpass)'
    )


@pytest.mark.slow
def test_a_wrong_password(cli: Cli, password_server: str) -> None:
    line = said(cli("load", DATABASE_URL=password_server, PGPASSWORD="hunter2"), 2)
    assert 'password authentication failed for user "covid"' in line
    assert line.endswith("check its URL, the PG* variables, and the password (PGPASSWORD_FILE, ~/.pgpass)")
    assert "hunter2" not in line


@pytest.mark.slow
def test_no_password(cli: Cli, password_server: str) -> None:
    assert "no password supplied; check " in said(cli("load", DATABASE_URL=password_server), 2)


@pytest.mark.slow
def test_a_password_from_a_file(cli: Cli, password_server: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("right\n")
    result = cli("init-db", DATABASE_URL=password_server, PGPASSWORD_FILE=str(secret))
    assert result.returncode == 0, result.stderr


def test_a_url_that_cannot_be_read_is_not_repeated(cli: Cli) -> None:
    line = said(cli("load", DATABASE_URL="postgresql://u:hunter2@[host/x"), 2)
    assert line.startswith("the database URL (--database-url, DATABASE_URL, DATABASE_URL_FILE) cannot be read")
    assert "hunter2" not in line


def test_a_secret_file_that_is_not_there(cli: Cli) -> None:
    line = said(cli("load", DATABASE_URL="", DATABASE_URL_FILE="/nowhere/url"), 2)
    assert line == "DATABASE_URL_FILE names /nowhere/url, which cannot be read: No such file or directory"


def test_no_right_to_create_in_the_schema(cli: Cli, ordinary_dsn: str) -> None:
    line = said(cli("load", DATABASE_URL=ordinary_dsn), 2)
    user, name = (parse_dsn(ordinary_dsn)[key] for key in ("user", "dbname"))
    assert line.startswith(f"permission denied for database {name}: ")
    assert f"grant create on database {name} to {user}; grant create on schema public to {user};" in line


def test_the_grants_that_are_named_are_enough(cli: Cli, ordinary_dsn: str, empty_dsn: str) -> None:
    line = said(cli("init-db", DATABASE_URL=ordinary_dsn), 2)
    grants = line.split("an administrator can run: ")[1]
    with administrator(empty_dsn) as cursor:
        cursor.execute(grants)
    result = cli("load", "--source", "snapshot", "--locations", "vi", DATABASE_URL=ordinary_dsn)
    assert result.returncode == 0, result.stderr


def test_no_right_to_load(cli: Cli, dsn: str, ordinary_dsn: str) -> None:
    url = make_dsn(ordinary_dsn, dbname=parse_dsn(dsn)["dbname"])
    line = said(cli("load", "--source", "snapshot", DATABASE_URL=url), 2)
    assert line.startswith("permission denied for schema ops")
    assert "grant covid_loader to " in line


def test_a_schema_of_a_newer_version(cli: Cli, conn: Connection) -> None:
    with conn.cursor() as cursor:
        cursor.execute("insert into ops.migration (file, checksum) values ('migrations/900_later.sql', 'x')")
    assert "of another state of this program" in said(cli("load"), 2)


def test_the_lock_held_by_another_run(cli: Cli, conn: Connection) -> None:
    with run_lock(conn, 0):
        line = said(cli("load"), 75)
    assert line.startswith(f"another run holds the lock: pid {os.getpid()} on ")


def test_a_table_that_is_gone(cli: Cli, conn: Connection) -> None:
    with conn.cursor() as cursor:
        cursor.execute("drop table ops.run cascade")
    assert "the schema is missing" in said(cli("status"), 2)


def test_a_connection_that_is_lost(dsn: str) -> None:
    with (
        pytest.raises(DatabaseError, match="the connection to the database was lost"),
        database.connect(config.Database(dsn)) as doomed,
        transaction(doomed),
    ):
        fetch_all(doomed, "select pg_terminate_backend(pg_backend_pid())")


def test_a_statement_that_the_database_refuses(dsn: str) -> None:
    with (
        pytest.raises(StatementError, match=r"the database refused a statement \(22012\): division by zero"),
        database.connect(config.Database(dsn)) as opened,
    ):
        fetch_all(opened, "select 1/0")


def test_a_transaction_that_a_signal_ends_at_its_very_end_is_not_left_open(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def execute(conn: Connection, query: Any, parameters: Any = None) -> int:
        if query == "commit":
            raise Interrupted(ExitCode.TERMINATED)
        return real(conn, query, parameters)

    real = database.execute
    monkeypatch.setattr(database, "execute", execute)
    with pytest.raises(Interrupted), transaction(conn):
        real(conn, "create table public.t (n int)")
    assert not database.is_in_transaction(conn)
    assert fetch_all(conn, "select to_regclass('public.t')") == [(None,)]
