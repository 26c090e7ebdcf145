"""The connection: its session, its statements and transactions, the run lock, and the errors for its failures."""

import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any, BinaryIO, TypeVar

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, connection, cursor, make_dsn, parse_dsn

from etl import config
from etl.database import embedded
from etl.errors import BlockedError, DatabaseError, EtlError, LockedError, StatementError, UsageError

Connection = connection
T = TypeVar("T")

SQL = config.ROOT / "sql"
# The number of this program's advisory lock: the first and the last day of the series.
RUN_LOCK = 2020011320210307
APPLICATION = "covid-etl"
# Postgres cuts application names at this length.
LONGEST_APPLICATION_NAME = 63
SESSION = """
    set lock_timeout = '5s';
    set timezone = 'UTC';
    set datestyle = 'ISO, YMD';
    set search_path = public, pg_catalog;
"""
CONNECT_SECONDS = 10
# A server that has vanished is noticed within a minute.
KEEPALIVE: dict[str, Any] = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


@cache
def read_sql(name: str) -> str:
    """The text of a file below `sql/`."""
    return (SQL / name).read_text(encoding="utf-8")


@contextmanager
def target(url: str | None, environ: Mapping[str, str]) -> Iterator[config.Database]:
    """The database in use: the configured one, or the embedded server, running while the block lasts."""
    if configured := config.configured_database(url, environ):
        yield configured
    else:
        with embedded.running(config.home(environ)) as dsn:
            yield config.Database(dsn)


@contextmanager
def connect(database: config.Database) -> Iterator[Connection]:
    """The connection of a command; raises `UsageError` or `DatabaseError`, by whether a retry can help."""
    try:
        opened: Connection = psycopg2.connect(
            database.dsn,
            password=database.password,
            application_name=_application_name(),
            connect_timeout=os.environ.get("PGCONNECT_TIMEOUT") or CONNECT_SECONDS,
            **KEEPALIVE,
        )
    except psycopg2.ProgrammingError as error:
        # The error's own text repeats the URL, with the password.
        raise UsageError(
            "the database URL (--database-url, DATABASE_URL, DATABASE_URL_FILE) cannot be read; "
            "expected postgresql://USER@HOST:PORT/DATABASE"
        ) from error
    except psycopg2.Error as error:
        raise _connection_error(database, error) from error
    with closing(opened):
        opened.autocommit = True
        execute(opened, SESSION)
        yield opened


def split_password(database: config.Database) -> tuple[str, str | None]:
    """The connection string without its password, as a command line may show it, and the password."""
    parameters = parse_dsn(database.dsn)
    password = parameters.pop("password", None)
    return make_dsn(**parameters), database.password or password


# --- statements and transactions ---


@contextmanager
def statements(conn: Connection) -> Iterator[cursor]:
    """A cursor, in whose block a failure of the database is raised as one of the program's own errors."""
    try:
        with conn.cursor() as opened:
            yield opened
    except psycopg2.Error as error:
        raise _own_error(conn, error) from error


def execute(conn: Connection, query: Any, parameters: Any = None) -> int:
    """Runs a statement and returns how many rows it touched."""
    with statements(conn) as opened:
        opened.execute(query, parameters)
        return opened.rowcount


def fetch_all(conn: Connection, query: Any, parameters: Any = None) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with statements(conn) as opened:
        opened.execute(query, parameters)
        return opened.fetchall()


def fetch_one(conn: Connection, query: Any, parameters: Any = None) -> tuple[Any, ...]:
    """The first row of a query that returns at least one."""
    return fetch_all(conn, query, parameters)[0]


def rows_of(conn: Connection, kind: Callable[..., T], query: Any, parameters: Any = None) -> list[T]:
    """The rows of a query as values of a type whose fields are named as its columns."""
    with statements(conn) as opened:
        opened.execute(query, parameters)
        names = [column.name for column in opened.description or ()]
        return [kind(**dict(zip(names, row, strict=True))) for row in opened]


def is_in_transaction(conn: Connection) -> bool:
    """Whether a transaction has begun and not ended."""
    return conn.info.transaction_status != TRANSACTION_STATUS_IDLE


@contextmanager
def transaction(conn: Connection, *, rollback: bool = False) -> Iterator[None]:
    """A transaction, or a savepoint within another one; rolled back on an error, or if asked to."""
    begin, commit, undo = (
        ("savepoint nested", "release nested", "rollback to nested; release nested")
        if is_in_transaction(conn)
        else ("begin", "commit", "rollback")
    )
    # A signal may come at any moment, so that nothing may happen outside the block that undoes it.
    try:
        execute(conn, begin)
        yield
        execute(conn, undo if rollback else commit)
    except BaseException:
        if not conn.closed and is_in_transaction(conn):
            # The error on its way up tells more than a failure to undo.
            with suppress(EtlError):
                execute(conn, undo)
        raise


@contextmanager
def at_one_moment(conn: Connection) -> Iterator[None]:
    """A transaction that writes nothing, and whose queries all see the database of one moment."""
    with transaction(conn):
        execute(conn, "set transaction isolation level repeatable read, read only")
        yield


def copy_out(conn: Connection, query: str, file: BinaryIO) -> int:
    """Writes the rows of a query as CSV with a header, one `write` per line; returns the number of rows."""
    with statements(conn) as opened:
        opened.copy_expert(f"copy ({query}) to stdout with (format csv, header)", file)
        return opened.rowcount


# --- the run lock ---


@contextmanager
def run_lock(conn: Connection, wait_seconds: float) -> Iterator[None]:
    """Holds the lock that every writing command takes first; raises `LockedError` where another run has it."""
    deadline = time.monotonic() + wait_seconds
    while not fetch_one(conn, "select pg_try_advisory_lock(%s)", (RUN_LOCK,))[0]:
        if time.monotonic() >= deadline:
            raise LockedError(f"another run holds the lock: {lock_owner(conn)}; wait for it with --wait SECONDS")
        time.sleep(0.2)
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
        " and (classid::bigint << 32 | objid::bigint) = %s and datname = current_database()",
        (RUN_LOCK,),
    )
    if not rows:
        return None
    match = re.fullmatch(rf"{APPLICATION} (\S+) (\d+)@(.*)", rows[0][0] or "")
    return f"pid {match[2]} on {match[3]} since {match[1]}" if match else f"a session named {rows[0][0]!r}"


def _application_name() -> str:
    """The time, the process and the host, which every role can read of a session that holds the lock."""
    return f"{APPLICATION} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {os.getpid()}@{socket.gethostname()}"[
        :LONGEST_APPLICATION_NAME
    ]


# --- errors ---

# libpq shows a server's answer as "SEVERITY:  text", in the server's language; its own words never have two spaces.
_ANSWER = re.compile(r"failed: [^\s:]+:  ")
_NOT_NOW = re.compile("starting up|shutting down|recovery mode|too many clients|remaining connection slots")
# libpq has these words for what is wrong on this machine.
_LOCAL = re.compile("no password supplied|certificate|private key|SSL was required|definition of service|invalid ")


def _connection_error(database: config.Database, error: psycopg2.Error) -> EtlError:
    """The error for a connection that was not made: a retry helps unless the server or this machine refuses it."""
    text = str(error)
    # A name in quotes, such as that of a host, may hold any word.
    words = re.sub('"[^"]*"', '""', text)
    answered = _ANSWER.search(words) and not _NOT_NOW.search(words)
    reason = "; ".join(line.strip() for line in _ANSWER.split(text)[-1].splitlines() if line.strip())
    shown = make_dsn(**{name: parse_dsn(database.dsn).get(name) for name in ("host", "port", "dbname", "user")})
    failure = f"cannot connect to the database{f' ({shown})' if shown else ''}: {reason}"
    if answered or _LOCAL.search(words):
        return UsageError(
            f"{failure}; check its URL, the PG* variables, and the password (PGPASSWORD_FILE, ~/.pgpass)"
        )
    return DatabaseError(f"{failure}; check the address, or try again later")


def _own_error(conn: Connection, error: psycopg2.Error) -> EtlError:
    """The program's own error for one of psycopg2, by its SQLSTATE; its class says whether it ends the run."""
    message, state = " ".join((error.diag.message_primary or str(error)).split()), error.pgcode or ""
    if conn.closed or (isinstance(error, psycopg2.OperationalError) and not state):
        return DatabaseError(f"the connection to the database was lost: {message}")
    if state.startswith(("08", "53", "57P")):
        return DatabaseError(f"the database failed ({state}): {message}")
    if state == "42501":
        return UsageError(f"{message}: {_grants(conn)}")
    if state in ("42P01", "3F000"):
        return UsageError(f"{message}: the schema is missing or not this program's; run `main.py init-db`")
    if state in ("55P03", "40P01", "40001", "57014"):
        return BlockedError(f"another session stopped the statement ({state}): {message}")
    return StatementError(f"the database refused a statement ({state}): {message}")


def _grants(conn: Connection) -> str:
    """The statements that give the role of the session its rights in this database."""
    user, database = conn.info.user, conn.info.dbname
    return (
        f"for loads into a schema that is there, its owner can run: grant covid_loader to {user}; "
        f"to create the schema, an administrator can run: grant create on database {database} to {user}; "
        f"grant create on schema public to {user};"
    )
