"""The connection: opened once, autocommit, with explicit transactions, one run lock, and clear errors."""

import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg2
from psycopg2 import errors
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, connection, make_dsn, parse_dsn

from etl import config
from etl.database import embedded as server
from etl.errors import DatabaseError, LockedError, UsageError
from etl.logs import get_logger

Connection = connection

SQL = config.ROOT / "sql"
# The advisory lock of this program in a database: any constant of its own.
RUN_LOCK = 2020011320210307
APPLICATION = "covid-etl"
# What Postgres keeps of an application name.
LONGEST_APPLICATION_NAME = 63
SESSION = """
    set lock_timeout = '5s';
    set timezone = 'UTC';
    set datestyle = 'ISO, YMD';
    set search_path = public, pg_catalog;
"""

log = get_logger()


def read_sql(name: str) -> str:
    """The text of a file below `sql/`."""
    return (SQL / name).read_text(encoding="utf-8")


@contextmanager
def target(url: str | None, environ: Mapping[str, str]) -> Iterator[config.Database]:
    """The database in use: the configured one, or the embedded server, running while the block lasts."""
    configured = config.configured_database(url, environ)
    with ExitStack() as stack:
        home = config.home(environ)
        yield configured or config.Database(stack.enter_context(server.running(home)))


@contextmanager
def connect(database: config.Database) -> Iterator[Connection]:
    """Opens the connection of a command; failures of the database within become `DatabaseError`."""
    try:
        opened: Connection = psycopg2.connect(database.dsn, **_connection_options(database))
    except psycopg2.ProgrammingError as error:
        # Its text repeats the URL, with the password.
        raise UsageError(
            "the database URL (--database-url, DATABASE_URL, DATABASE_URL_FILE) cannot be read; "
            "expected postgresql://USER@HOST:PORT/DATABASE"
        ) from error
    except psycopg2.Error as error:
        raise DatabaseError(_connection_problem(database, error)) from error
    try:
        opened.autocommit = True
        with opened.cursor() as cursor:
            cursor.execute(SESSION)
        yield opened
    except psycopg2.Error as error:
        raise DatabaseError(_database_problem(opened, error)) from error
    finally:
        opened.close()


def _connection_options(database: config.Database) -> dict[str, Any]:
    """Names this process, bounds the attempt, and notices a peer that has gone within a minute."""
    password = {"password": database.password} if database.password else {}
    return password | {
        "application_name": _application_name(),
        "connect_timeout": os.environ.get("PGCONNECT_TIMEOUT") or 10,
        "keepalives": 1,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }


@contextmanager
def transaction(conn: Connection, *, rollback: bool = False) -> Iterator[None]:
    """One transaction, or within another one a savepoint; rolled back on an error, or if asked to."""
    outer = conn.info.transaction_status == TRANSACTION_STATUS_IDLE
    begin, commit, undo = (
        ("begin", "commit", "rollback")
        if outer
        else ("savepoint nested", "release nested", "rollback to nested; release nested")
    )
    with conn.cursor() as cursor:
        cursor.execute(begin)
        try:
            yield
        except BaseException:
            if not conn.closed:
                cursor.execute(undo)
            raise
        cursor.execute(undo if rollback else commit)


def fetch_all(conn: Connection, query: Any, parameters: Any = None) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with conn.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall()


def fetch_one(conn: Connection, query: Any, parameters: Any = None) -> tuple[Any, ...]:
    """The first row of a query that returns at least one."""
    return fetch_all(conn, query, parameters)[0]


# --- the run lock ---


@contextmanager
def run_lock(conn: Connection, wait_seconds: float) -> Iterator[None]:
    """Holds the one lock that every writing command takes, before any DDL; raises `LockedError`."""
    deadline = time.monotonic() + wait_seconds
    while not fetch_one(conn, "select pg_try_advisory_lock(%s)", (RUN_LOCK,))[0]:
        if time.monotonic() >= deadline:
            raise LockedError(f"another run holds the lock: {lock_owner(conn)}; wait for it with --wait SECONDS")
        time.sleep(min(0.2, max(0.0, deadline - time.monotonic())))
    try:
        yield
    finally:
        if not conn.closed:
            fetch_all(conn, "select pg_advisory_unlock(%s)", (RUN_LOCK,))


def lock_owner(conn: Connection) -> str | None:
    """Who holds the run lock, as `pid 12 on host HOST since TIME`; None if nobody does."""
    rows = fetch_all(
        conn,
        "select application_name from pg_locks join pg_stat_activity using (pid)"
        " where locktype = 'advisory' and granted and objsubid = 1"
        " and (classid::bigint << 32 | objid::bigint) = %s"
        " and pg_locks.database = (select oid from pg_database where datname = current_database())",
        (RUN_LOCK,),
    )
    if not rows:
        return None
    match = re.fullmatch(rf"{APPLICATION} (\S+) (\d+)@(.*)", rows[0][0] or "")
    return f"pid {match[2]} on {match[3]} since {match[1]}" if match else f"a session named {rows[0][0]!r}"


def _application_name() -> str:
    """Names this process to others, since every role may read it: time, pid and host."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{APPLICATION} {now} {os.getpid()}@{socket.gethostname()}"[:LONGEST_APPLICATION_NAME]


# --- errors, in words ---

_CONNECTION_ADVICE = {
    "password authentication failed": "check the user and the password (PGPASSWORD, PGPASSWORD_FILE, ~/.pgpass)",
    "no password supplied": "give a password (PGPASSWORD, PGPASSWORD_FILE, ~/.pgpass)",
    "does not exist": "create it, or correct the name",
    "could not translate host name": "check the host name",
    "timeout expired": "is the address right, and does a firewall let it through?",
    "the database system is starting up": "try again in a moment",
}


def _connection_problem(database: config.Database, error: psycopg2.Error) -> str:
    """One line: where to, what libpq said, what to do."""
    lines = [line.strip() for line in str(error).rsplit("FATAL: ", 1)[-1].splitlines() if line.strip()]
    reason = "; ".join(lines)
    advice = next((text for sign, text in _CONNECTION_ADVICE.items() if sign in reason), "")
    return f"cannot connect to the database{_place(database)}: {reason}" + (f"; {advice}" if advice else "")


def _place(database: config.Database) -> str:
    shown = {name: parse_dsn(database.dsn).get(name) for name in ("host", "port", "dbname", "user")}
    return f" ({make_dsn(**{k: v for k, v in shown.items() if v})})" if any(shown.values()) else ""


def _database_problem(conn: Connection, error: psycopg2.Error) -> str:
    message = " ".join((error.diag.message_primary or str(error)).split())
    if isinstance(error, errors.InsufficientPrivilege):
        return f"{message}: {_grants(conn)}"
    if isinstance(error, errors.UndefinedTable | errors.InvalidSchemaName):
        return f"{message}: the schema is missing; run `main.py init-db`"
    if conn.closed or error.pgcode is None:
        return f"the connection to the database was lost: {message}"
    return f"the database refused ({error.pgcode}): {message}"


def _grants(conn: Connection) -> str:
    """The grants that help, for the role and the database at hand."""
    parameters = conn.info.dsn_parameters
    user, database = parameters.get("user", "USER"), parameters.get("dbname", "DATABASE")
    return (
        f"for loads into a schema that is there, its owner can run: grant covid_loader to {user}; "
        f"to create the schema, an administrator can run: grant create on database {database} to {user}; "
        f"grant create on schema public to {user};"
    )
