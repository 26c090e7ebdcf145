"""The connection: its session, its statements and transactions, the run lock, and the errors for its failures."""

import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from functools import cache
from typing import Any, BinaryIO, TypeVar

import psycopg2
from msgspec import Struct
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, connection, cursor, make_dsn, parse_dsn

from etl import config
from etl.config import command
from etl.database import embedded
from etl.errors import BlockedError, DatabaseError, EtlError, LockedError, StatementError, UsageError

T = TypeVar("T")

SQL = config.ROOT / "sql"
# The number of this program's advisory lock: the first and the last day of the series.
RUN_LOCK = 2020011320210307
# A load asks for an hour at most. The watchdog leaves it, like every command that writes, five more minutes for its
# last requests and statements.
LONGEST_RUN_SECONDS = 3900
APPLICATION = "covid-etl"
CONNECT_SECONDS = 10
# A server that is starting, stopping or full is asked again for so long.
RETRY_SECONDS = 30
# A server that has vanished is noticed within a minute.
KEEPALIVE = {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}


class Connection(connection):
    """A connection; while it holds the run lock, `lock_pid` is the process of the server that took it."""

    lock_pid: int | None = None


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
        # libpq would read its variables for the embedded server too, which none of them is meant for.
        for name in [name for name in os.environ if name.startswith("PG")]:
            del os.environ[name]
        with embedded.running(config.home(environ)) as dsn:
            yield config.Database(dsn)


@contextmanager
def connect(database: config.Database) -> Iterator[Connection]:
    """The connection of a command; raises `UsageError` or `DatabaseError`, by whether a retry can help."""
    with closing(_open(database)) as opened:
        encoding = opened.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise UsageError(
                f"the database {opened.info.dbname} is encoded in {encoding}, which cannot hold every text of the "
                "source; make one that can: create database NAME encoding 'UTF8' locale 'C' template template0"
            )
        opened.autocommit = True
        execute(opened, read_sql("session/settings.sql"))
        yield opened


def _open(database: config.Database) -> Connection:
    """Connects, and tries again for a while where the server is starting, stopping or full."""
    parameters, deadline = _parameters(database), time.monotonic() + RETRY_SECONDS
    # libpq asks the variable last: the URL and a service file have their say before it.
    os.environ["PGCONNECT_TIMEOUT"] = os.environ.get("PGCONNECT_TIMEOUT") or str(CONNECT_SECONDS)
    while True:
        try:
            opened: Connection = psycopg2.connect(**parameters, connection_factory=Connection)
            return opened
        except psycopg2.Error as error:
            failure = _connection_error(database, error)
            if not isinstance(failure, _BusyError) or time.monotonic() > deadline:
                raise failure from error
        time.sleep(1)


def _given(database: config.Database) -> dict[str, str]:
    """The parameters in the connection string; raises `UsageError` if the database URL cannot be read."""
    try:
        given: dict[str, str] = parse_dsn(database.dsn)
        # A password with an @ or a / in it would be taken for the name of a host, and shown.
        if "://" in database.dsn and any("@" in given.get(name, "") for name in ("host", "dbname")):
            raise psycopg2.ProgrammingError
    except psycopg2.ProgrammingError as error:
        # The error's own text repeats the URL, with the password.
        raise UsageError(
            "the database URL (--database-url, DATABASE_URL, DATABASE_URL_FILE) cannot be read; "
            "expected postgresql://USER@HOST:PORT/DATABASE, with special characters of a password as in %40"
        ) from error
    return given


def _parameters(database: config.Database) -> dict[str, Any]:
    """The parameters of libpq for a connection of the program."""
    own = {"application_name": _name(), "client_encoding": "UTF8"}
    return KEEPALIVE | _given(database) | own | ({"password": database.password} if database.password else {})


def split_password(database: config.Database) -> tuple[str, str | None]:
    """The connection string without its password, as a command line may show it, and the password.

    Raises `UsageError` if the database URL cannot be read.
    """
    parameters = _given(database)
    password = parameters.pop("password", None)
    return make_dsn(**parameters), database.password or password


def without_writes(dsn: str, environ: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The connection string and the variables of a session that writes nothing unless somebody takes that back in it.

    The variable holds for connections that are made later, too. libpq reads it only where neither the connection
    string nor a service file has options: there the string has them all.
    """
    refuse, given = "-c default_transaction_read_only=on", parse_dsn(dsn)
    variables = {"PGOPTIONS": f"{environ.get('PGOPTIONS', '')} {refuse}".strip()}
    if "options" in given:
        return make_dsn(dsn, options=f"{given['options']} {refuse}"), variables
    is_service = "service" in given or "PGSERVICE" in environ
    return make_dsn(dsn, options=variables["PGOPTIONS"]) if is_service else dsn, variables


# --- statements and transactions ---


@contextmanager
def statements(conn: Connection) -> Iterator[cursor]:
    """A cursor, in whose block a failure of the database is raised as one of the program's own errors."""
    try:
        with conn.cursor() as opened:
            yield opened
    except (psycopg2.Error, SystemError) as error:
        # Where psycopg2 runs Python code while its error for a lost connection is set, Python raises a SystemError,
        # whose cause is that error.
        own = error if isinstance(error, psycopg2.Error) else error.__cause__
        if not isinstance(own, psycopg2.Error):
            raise
        raise _own_error(conn, own) from error


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
    is_nested = is_in_transaction(conn)
    commit, undo = ("release nested", "rollback to nested; release nested") if is_nested else ("commit", "rollback")
    # A signal may come at any moment, so even the beginning is inside the block that undoes it.
    try:
        begin = "savepoint nested" if is_nested else "begin"
        if conn.lock_pid and not is_nested:
            _require_lock(conn, begin)
        else:
            execute(conn, begin)
        yield
        execute(conn, undo if rollback else commit)
    except BaseException as error:
        if not conn.closed and is_in_transaction(conn):
            # The error on its way up tells more than a failure to undo.
            with suppress(EtlError):
                execute(conn, undo)
                if isinstance(error, BlockedError):
                    error.holders = error.holders or holders(conn, _TABLES, _HARMLESS)
        raise


def _require_lock(conn: Connection, begin: str) -> None:
    """Begins a transaction; raises `UsageError` unless its session still holds the run lock.

    A pooler may give each transaction another session, which does not hold it: two runs could write at once.
    """
    if not fetch_one(conn, f"{begin}; select {_IS_HELD_HERE}")[0]:
        raise UsageError(
            "this session of the database does not hold the run lock any more: a pooler in transaction mode "
            "(such as pgbouncer) changes sessions; connect to the server itself, or to a pool in session mode"
        )


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

_IS_LOCK = f"""
    locktype = 'advisory' and granted and objsubid = 1 and (classid::bigint << 32 | objid::bigint) = {RUN_LOCK}
"""
_IS_HELD_HERE = f"exists (select from pg_locks where pid = pg_backend_pid() and {_IS_LOCK})"
# A session may take the lock twice, and a pooler may give one session to two runs, so a session that has the lock is
# refused. The name of the session says since when it has the lock.
_TAKE = f"""
    select pg_backend_pid(), set_config('application_name', to_char(clock_timestamp(), %s), false)
    where case when {_IS_HELD_HERE} then false else pg_try_advisory_lock({RUN_LOCK}) end
"""
# Where a pooler has changed the session, this ends the one that was left with the lock.
_RELEASE = f"""
    select case pid when pg_backend_pid() then pg_advisory_unlock({RUN_LOCK}) else pg_terminate_backend(pid) end
    from pg_locks
    where pid = %s and {_IS_LOCK}
"""  # noqa: S608 (of constants)


class LockHolder(Struct, frozen=True):
    """The session that holds the run lock, and whether its role may load: the schema's owner and covid_loader may."""

    pid: int
    role: str
    application: str
    may_load: bool
    now: datetime

    @property
    def _run(self) -> "re.Match[str] | None":
        """The process, host and time in the name of the session of a run."""
        return re.fullmatch(rf"{APPLICATION} (\d+)@(\S*) (\S+Z)", self.application)

    def __str__(self) -> str:
        run = self._run
        return f"pid {run[1]} on {run[2]} since {run[3]}" if run else f"a session named {self.application!r}"

    @property
    def trouble(self) -> str | None:
        """Why a person has to free the lock, and how; None for a run, which frees it."""
        run, longest = self._run, timedelta(seconds=LONGEST_RUN_SECONDS)
        if not run or not self.may_load:
            reason = "which is no run of this program"
        elif self.now - datetime.fromisoformat(run[3]) > longest:
            reason = "longer than a run may last"
        else:
            return None
        end = f"select pg_terminate_backend({self.pid})"
        return f"{reason} (role {self.role}, pid {self.pid} of the server); to free it: {end}"

    def error(self) -> LockedError:
        """The error for whoever needs the lock."""
        if trouble := self.trouble:
            return LockedError(f"the run lock is held by {self}, {trouble}", needs_person=True)
        return LockedError(f"another run holds the lock: {self}; wait for it with --wait SECONDS")


@contextmanager
def run_lock(conn: Connection, wait_seconds: float) -> Iterator[None]:
    """Holds the lock that every writing command takes first; raises `LockedError` where another session has it.

    It waits for another run, but not for a session that a person has to end.
    """
    deadline = time.monotonic() + wait_seconds
    # The time is filled in by the server, whose clock tells how long the lock is held.
    name = f'"{_name()} "YYYY-MM-DD"T"HH24:MI:SS"Z"'
    while not (taken := fetch_all(conn, _TAKE, (name,))):
        error = holder.error() if (holder := lock_holder(conn)) else None
        if error and (error.needs_person or time.monotonic() >= deadline):
            raise error
        time.sleep(0.2)
    try:
        conn.lock_pid = taken[0][0]
        yield
    finally:
        pid, conn.lock_pid = conn.lock_pid, None
        if not conn.closed:
            fetch_all(conn, _RELEASE, (pid,))


def _name() -> str:
    """The name of a session of this process, which every role can read; Postgres cuts it at 63 characters."""
    return f"{APPLICATION} {os.getpid()}@{socket.gethostname()[:24]}"


def lock_holder(conn: Connection) -> LockHolder | None:
    """The holder of the run lock; None if nobody has it."""
    return next(iter(rows_of(conn, LockHolder, read_sql("session/lock_holder.sql"), {"lock": RUN_LOCK})), None)


# --- errors ---

# libpq shows a server's answer as "SEVERITY:  text", in the server's language; its own words never have two spaces.
_ANSWER = re.compile(r"failed: [^\s:]+:  ")
_BUSY = re.compile(
    "starting up|shutting down|recovery mode|accepting connections|too many (clients|connections)"
    "|remaining connection slots|no more connections allowed"
)
# libpq has these words for what is wrong on this machine.
_LOCAL = re.compile(
    "no password supplied|certificate|private key|SSL was required|definition of service|service file|weak sslmode"
    "|invalid "
)
# The tables of the program, and the locks on them that keep no load waiting.
_TABLES = r"^((history|ops)\.|public\..*_(dimension|fact)$)"
_HARMLESS = ["AccessShareLock", "ShareUpdateExclusiveLock"]
_NO_SCHEMA = "the schema is missing or not this program's; run `{init_db}`"
# The way out of a failure that a person has to mend, by its SQLSTATE.
_ADVICE = {
    "42501": "for loads into a schema that is there, its owner can run: grant covid_loader to {user}; "
    "to create the schema, an administrator can run: grant create on database {database} to {user}; "
    "grant create on schema public to {user};",
    "42P01": _NO_SCHEMA,
    "3F000": _NO_SCHEMA,
    "25006": "this server only reads; connect to the one that it copies",
}


class _BusyError(DatabaseError):
    """The server answers that it takes no connection just now."""


def holders(conn: Connection, relations: str, harmless: list[str]) -> str:
    """The other sessions with locks, harmless ones aside, on the relations that match a pattern; '' without any."""
    bound = {"relations": relations, "harmless": harmless}
    return ", ".join(holder for (holder,) in fetch_all(conn, read_sql("session/locks.sql"), bound))


def _connection_error(database: config.Database, error: psycopg2.Error) -> EtlError:
    """The error for a connection that was not made: a retry helps unless the server or this machine refuses it."""
    # Names stand in quotes, and may hold any of the words that are looked for.
    words = re.sub('"[^"]*"', '""', str(error))
    is_answered = _ANSWER.search(words)
    reason = "; ".join(line.strip() for line in _ANSWER.split(str(error))[-1].splitlines() if line.strip())
    shown = make_dsn(**{name: parse_dsn(database.dsn).get(name) for name in ("host", "port", "dbname", "user")})
    failure = f"cannot connect to the database{f' ({shown})' if shown else ''}: {reason}"
    if is_answered and _BUSY.search(words):
        return _BusyError(f"{failure}; try again later")
    if is_answered or _LOCAL.search(words):
        advice = "check its URL, the PG* variables, and the password (PGPASSWORD_FILE, ~/.pgpass)"
        return UsageError(f"{failure}; {advice}")
    return DatabaseError(f"{failure}; check the address, or try again later")


def _own_error(conn: Connection, error: psycopg2.Error) -> EtlError:
    """The program's own error for one of psycopg2, by its SQLSTATE; its class says whether it ends the run."""
    message, state = " ".join((error.diag.message_primary or str(error)).split()), error.pgcode or ""
    if conn.closed or (isinstance(error, psycopg2.OperationalError) and not state):
        return DatabaseError(f"the connection to the database was lost: {message}")
    if state.startswith(("08", "53", "57P")):
        return DatabaseError(f"the database failed ({state}): {message}")
    if advice := _ADVICE.get(state):
        known = {"user": conn.info.user, "database": conn.info.dbname, "init_db": command("init-db")}
        return UsageError(f"{message}: {advice.format_map(known)}")
    if state in ("55P03", "40P01", "40001", "57014"):
        blocked = BlockedError(f"the statement was stopped ({state}): {message}")
        blocked.holders = "" if is_in_transaction(conn) else holders(conn, _TABLES, _HARMLESS)
        return blocked
    return StatementError(f"the database refused a statement ({state}): {message}")
