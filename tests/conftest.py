"""The real parts that tests use: a Postgres server, a database each, an HTTP server, the command."""

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import hypothesis
import psycopg2
import pytest
from psycopg2.extensions import make_dsn, parse_dsn
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from etl import config
from etl.database import connection as database
from etl.database import embedded as server
from etl.database import schema
from etl.database.connection import Connection, execute
from etl.run.pipeline import LoadOptions, run
from tests.cli import Cli
from tests.documents import encode
from tests.receiver import Receiver
from tests.warehouse import Warehouse

MAIN = config.ROOT / "main.py"
SERVER_VARIABLE = "TEST_DATABASE_URL"
FOLDER_VARIABLE = "COVID_TEST_FOLDER"
# Where the server is, if there is room: in memory.
MEMORY, ROOM = Path("/dev/shm"), 2 * 2**30  # noqa: S108 (a folder of random name is made in it)
# A server of tests need not survive a power failure; its databases do not live long enough for the rest to pay.
LEFT_OUT = ("fsync", "full_page_writes", "synchronous_commit", "autovacuum", "jit")
DATABASE_VARIABLES = (
    "DATABASE_URL", "DATABASE_URL_FILE", "PGPASSWORD_FILE", "PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE",
)  # fmt: skip


# The nation, two large states, and the territories that publish least and latest.
FEW = "us,as,ca,vi,wa"
WHOLE = pytest.param("loaded_dsn", marks=pytest.mark.slow)
# For a test of the whole snapshot alone, by fixtures that take any.
whole_only = pytest.mark.parametrize("any_dsn", [WHOLE], indirect=True)
# For one whose subject does not hang on how many locations there are.
few_only = pytest.mark.parametrize("any_dsn", ["few_dsn"], indirect=True)

# How many examples hypothesis tries: few with every change, many with `--hypothesis-profile=full`.
hypothesis.settings.register_profile("full", deadline=None, max_examples=100)
hypothesis.settings.register_profile("quick", deadline=None, max_examples=20)
hypothesis.settings.load_profile("quick")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own configuration."""
    for name in (*DATABASE_VARIABLES, *(name for name in os.environ if name.startswith("COVID_ETL_"))):
        monkeypatch.delenv(name, raising=False)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of the whole snapshot as slow, since to load it takes longer than most tests together."""
    for item in items:
        if {"loaded_dsn", "loaded_copy"}.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


def pytest_configure(config: pytest.Config) -> None:
    """Makes the folder that all the workers of a session share; open, since under root the server is not root."""
    # Whoever runs the tests in the background makes them ignore signals, and with them the commands that they start.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if not hasattr(config, "workerinput"):
        folder = tempfile.mkdtemp(prefix="covid-etl-tests-", dir=memory())
        Path(folder).chmod(0o755)
        os.environ[FOLDER_VARIABLE] = folder


def memory() -> Path | None:
    """A file system in memory, where there is a roomy one that programs can be run from.

    Most tests copy a database, which is hundreds of small files: on a disk that takes ten times as long.
    """
    if not MEMORY.is_dir():
        return None
    found = os.statvfs(MEMORY)
    is_roomy = found.f_bavail * found.f_frsize > ROOM
    return MEMORY if is_roomy and not found.f_flag & os.ST_NOEXEC else None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Drops the templates, and removes the shared folder; the last worker has stopped the server in it."""
    if not hasattr(config, "workerinput"):
        folder = Path(os.environ.pop(FOLDER_VARIABLE))
        if configured := os.environ.get(SERVER_VARIABLE):
            with administrator(configured) as cursor:
                for marker in folder.glob("*.template"):
                    cursor.execute(f"drop database if exists {marker.read_text()} with (force)")
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """A folder that all the workers of a test session share."""
    return Path(os.environ[FOLDER_VARIABLE])


@pytest.fixture
def home(shared_folder: Path) -> Iterator[Path]:
    """A home for an embedded server, where its account can get if the tests run as root."""
    with tempfile.TemporaryDirectory(prefix="home-", dir=shared_folder) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "home"


@pytest.fixture(scope="session")
def server_dsn(shared_folder: Path) -> Iterator[str]:
    """A Postgres server with the right to create databases: TEST_DATABASE_URL's, or an embedded one."""
    if configured := os.environ.get(SERVER_VARIABLE):
        yield configured
    else:
        with server.running(shared_folder / "embedded") as dsn:
            with administrator(dsn) as cursor:
                for name in LEFT_OUT:
                    cursor.execute(f"alter system set {name} = off")
                cursor.execute("select pg_reload_conf()")
            yield dsn


@contextmanager
def administrator(dsn: str) -> Iterator[Any]:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    try:
        yield connection.cursor()
    finally:
        connection.close()


def make_template(server_dsn: str, shared_folder: Path, name: str, fill: Callable[[Connection], object]) -> str:
    """Makes a database once for all workers, to be copied by tests; returns its name."""
    with (shared_folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        marker = shared_folder / f"{name}.template"
        if not marker.exists():
            template = f"test_{name}_{uuid4().hex[:12]}"
            with administrator(server_dsn) as cursor:
                cursor.execute(f"create database {template}")
            with database.connect(config.Database(make_dsn(server_dsn, dbname=template))) as conn:
                fill(conn)
                # What every copy would have to do for itself, at its first query or by autovacuum.
                execute(conn, "vacuum (freeze, analyze)")
            marker.write_text(template)
        return marker.read_text()


@contextmanager
def copied(server_dsn: str, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with administrator(server_dsn) as cursor:
        # Without fsync, files are copied in half the time of their blocks.
        is_quick = SERVER_VARIABLE not in os.environ and cursor.connection.server_version >= 150000
        strategy = "strategy file_copy" if is_quick else ""
        cursor.execute(f"create database {name} template {template} {strategy}")
    try:
        yield make_dsn(server_dsn, dbname=name)
    finally:
        with administrator(server_dsn) as cursor:
            cursor.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="session")
def schema_template(server_dsn: str, shared_folder: Path) -> str:
    return make_template(server_dsn, shared_folder, "schema", schema.upgrade)


def load_snapshot(locations: str, *, past: bool = False) -> Callable[[Connection], object]:
    def fill(conn: Connection) -> None:
        assert run(conn, LoadOptions(source="snapshot", locations=locations, past=past), {}).exit_code == 0

    return fill


@pytest.fixture(scope="session")
def loaded_template(server_dsn: str, shared_folder: Path) -> str:
    return make_template(server_dsn, shared_folder, "loaded", load_snapshot("all"))


@pytest.fixture(scope="session")
def few_template(server_dsn: str, shared_folder: Path) -> str:
    return make_template(server_dsn, shared_folder, "few", load_snapshot(FEW))


@pytest.fixture
def empty_dsn(server_dsn: str) -> Iterator[str]:
    """A database without a schema."""
    with copied(server_dsn, "template0") as dsn:
        yield dsn


@pytest.fixture
def ordinary_dsn(empty_dsn: str) -> Iterator[str]:
    """The database without a schema, for a login that has no rights of its own."""
    name = f"test_{uuid4().hex}"
    with administrator(empty_dsn) as cursor:
        cursor.execute(f"create role {name} login password 'secret'")
    try:
        yield make_dsn(empty_dsn, user=name, password="secret")
    finally:
        with administrator(empty_dsn) as cursor:
            cursor.execute(f"drop owned by {name}; drop role {name}")


@pytest.fixture
def dsn(server_dsn: str, schema_template: str) -> Iterator[str]:
    """A database with an empty schema."""
    with copied(server_dsn, schema_template) as name:
        yield name


@contextmanager
def read_only(server_dsn: str, template: str) -> Iterator[str]:
    """A copy that a worker's tests share, since none can change it."""
    with copied(server_dsn, template) as dsn:
        with administrator(dsn) as cursor:
            cursor.execute(f"alter database {parse_dsn(dsn)['dbname']} set default_transaction_read_only = on")
        yield dsn


@pytest.fixture(scope="session")
def loaded_dsn(server_dsn: str, loaded_template: str) -> Iterator[str]:
    """A read-only database with the whole snapshot."""
    with read_only(server_dsn, loaded_template) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def few_dsn(server_dsn: str, few_template: str) -> Iterator[str]:
    """A read-only database with a few locations of the snapshot."""
    with read_only(server_dsn, few_template) as dsn:
        yield dsn


@pytest.fixture(scope="session", params=["few_dsn", WHOLE])
def any_dsn(request: pytest.FixtureRequest) -> str:
    """A few locations, and the whole snapshot where there is time: for what does not hang on how many there are."""
    dsn: str = request.getfixturevalue(request.param)
    return dsn


@pytest.fixture
def few_copy(server_dsn: str, few_template: str) -> Iterator[str]:
    """A database with a few locations of the snapshot, for a test that changes it."""
    with copied(server_dsn, few_template) as dsn:
        yield dsn


@pytest.fixture
def loaded_copy(server_dsn: str, loaded_template: str) -> Iterator[str]:
    """A database with the whole snapshot, for a test that changes it."""
    with copied(server_dsn, loaded_template) as dsn:
        yield dsn


@pytest.fixture
def conn(dsn: str) -> Iterator[Connection]:
    """A connection to a database with an empty schema."""
    with database.connect(config.Database(dsn)) as opened:
        yield opened


@pytest.fixture
def warehouse(conn: Connection, tmp_path: Path) -> Warehouse:
    """A database with an empty schema, and an empty directory as its source."""
    return Warehouse(conn, tmp_path)


@dataclass
class Api:
    """A real HTTP server in the API's layout; an answer may be JSON, bytes, a status, or a function."""

    url: str
    answers: dict[str, Any] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    # Whether it answers with validators, and with 304 to those that are up to date.
    conditional: bool = False
    not_modified: list[str] = field(default_factory=list)
    # What stands behind the question mark of each request.
    queries: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Response:
        address = request.path.removeprefix("/v2/")
        self.requests.append(address)
        self.queries.append(request.query_string.decode())
        found = self.answers.get(address, 404)
        if callable(found):
            found = found(request)
        if isinstance(found, Response):
            return found
        if isinstance(found, int):
            return Response("<html>no</html>", status=found, content_type="text/html")
        response = Response(found if isinstance(found, bytes) else encode(found), content_type="application/json")
        if self.conditional:
            response.add_etag()
            response.make_conditional(request)
        if response.status_code == 304:
            self.not_modified.append(address)
        return response


@pytest.fixture(scope="session")
def api_server() -> Iterator[HTTPServer]:
    """One for all tests: to stop one takes half a second."""
    with HTTPServer(threaded=True) as httpserver:
        yield httpserver


@pytest.fixture
def api(api_server: HTTPServer) -> Api:
    served = Api(api_server.url_for("/v2"))
    api_server.clear()
    api_server.expect_request(re.compile(".*")).respond_with_handler(served.answer)
    return served


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Who is told, of alerts and by a dead man's switch."""
    with HTTPServer(threaded=True) as server:
        yield Receiver(server)


@dataclass(frozen=True)
class Command:
    """Runs `main.py` as a subprocess with a database of its own."""

    dsn: str
    home: Path

    def start(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        variables = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": self.dsn,
            "COVID_ETL_HOME": str(self.home),
            "HOME": str(self.home),
        } | {name: value for name, value in os.environ.items() if name.startswith(("COVERAGE_", "COV_"))}
        return subprocess.Popen(
            [sys.executable, str(MAIN), *arguments],
            env={name: value for name, value in (variables | environ).items() if value},
            cwd=self.home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __call__(self, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments, **environ)
        try:
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def json(self, *arguments: str, **environ: str) -> dict[str, Any]:
        """What the command prints with `--json`."""
        result = self(*arguments, "--json", **environ)
        assert result.stdout, result.stderr
        printed: dict[str, Any] = json.loads(result.stdout)
        return printed | {"returncode": result.returncode}


@pytest.fixture
def command(dsn: str, tmp_path: Path) -> Command:
    return Command(dsn, tmp_path)


@pytest.fixture
def cli(dsn: str, tmp_path: Path) -> Cli:
    return Cli(dsn, tmp_path)


@pytest.fixture(scope="session")
def password_server(shared_folder: Path) -> Iterator[str]:
    """A URL of a server that wants a password over TCP: `covid` with `right`."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    home = shared_folder / f"password-{worker}"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with server.running(home) as dsn, administrator(dsn) as cursor:
        cursor.execute("create role covid login superuser password 'right'")
        cursor.execute("create database covid owner covid")
    rules = "local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
    (home / "postgres" / "pg_hba.conf").write_text(rules)
    with server.running(home, listen_addresses="127.0.0.1", port=str(port)):
        yield f"postgresql://covid@127.0.0.1:{port}/covid"
