"""Secrets, planted in every place where one can be: nothing that the program prints, keeps, sends or shows has one."""

import itertools
import logging
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn, parse_dsn
from werkzeug import Request

from etl.extract import http
from etl.transform.declaration import NATION
from tests.cli import Cli
from tests.conftest import Api, Command
from tests.documents import document, report, state_history
from tests.receiver import SECRET, Receiver
from tests.warehouse import rows

# With characters that end a part of an address.
PASSWORDS = [f"a{character}{SECRET}" for character in "@/?#"]
LOAD = ("load", "--locations", "us,ca", "--source")


def planted(*addresses: str) -> list[str]:
    """The first address with each of the passwords, the others with the first one."""
    first, *others = addresses
    return [first.format(password) for password in PASSWORDS] + [address.format(PASSWORDS[0]) for address in others]


def kept(dsn: str) -> str:
    """Everything in the tables of `ops`."""
    tables = rows(dsn, "select tablename from pg_tables where schemaname = 'ops' order by 1")
    return "\n".join(str(rows(dsn, f"select * from ops.{table}")) for (table,) in tables)


def files(folder: Path) -> str:
    return "\n".join(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())


class Talk:
    """Runs commands in the process of the test, whose log is text and JSON in turn; none of them tells the secret."""

    def __init__(self, cli: Cli, receiver: Receiver) -> None:
        self.cli, self.receiver = cli, receiver
        self.formats = itertools.cycle(["text", "json"])

    def __call__(self, *arguments: str, **environ: str) -> int:
        told = self.receiver.environ if arguments[0] == "load" else {}
        done = self.cli(*arguments, **(told | {"COVID_ETL_LOG_FORMAT": next(self.formats)} | environ))
        assert SECRET not in done.stdout + done.stderr
        return done.returncode


@pytest.fixture
def talk(cli: Cli, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Talk]:
    monkeypatch.setattr(http, "BACKOFF_SECONDS", 0.001)
    # The servers of the test are in the same process, and name what they are asked for.
    monkeypatch.setattr(logging.getLogger("werkzeug"), "disabled", True)
    yield Talk(cli, receiver)
    assert SECRET not in "\n".join([kept(cli.dsn), *receiver.messages, *map(str, receiver.bodies)])


@pytest.mark.parametrize("address", ["http://user:{secret}@{place}", "http://{place}?token={secret}#{secret}"])
def test_no_address_of_a_source_is_told(talk: Talk, api: Api, tmp_path: Path, address: str) -> None:
    api.answers["us/daily.json"] = document([report(NATION, "2021-01-01", cases__total=1)])
    broken = state_history("CA", {"2021-01-01": {}})
    del broken["data"][0]["cases"]
    api.answers["states/ca/daily.json"] = broken
    url = address.format(secret=SECRET, place=api.url.removeprefix("http://"))
    assert talk(*LOAD, url) == 5
    assert talk("load", "--locations", "us,ca", COVID_ETL_SOURCE=url) == 5
    assert talk(*LOAD, "api", COVID_ETL_API_URL=url) == 5
    assert rows(talk.cli.dsn, "select count(*) from public.cases_fact") == [(1,)]
    assert all((SECRET in query) == ("token" in url) for query in api.queries)
    for words in (("status",), ("status", "--json"), ("drift", "--json"), ("check",), ("status", "--prometheus")):
        talk(*words)
    for name, *options in (["report"], ["export"], ["mirror", "--source", url]):
        talk(name, str(tmp_path / name), *options)
        assert SECRET not in files(tmp_path / name)


def test_no_address_of_a_source_that_does_not_answer_is_told(talk: Talk) -> None:
    for address in planted(
        "http://u:{}@127.0.0.1:9/v2", "ftp://u:{}@127.0.0.1/v2", "HTTP://u:{}@127.0.0.1:9", "http:/u:{}@127.0.0.1",
        "u:{}@127.0.0.1/v2", "http://127.0.0.1:9/?t={}",
    ):  # fmt: skip
        assert talk("load", "--locations", "us", "--source", address) in (2, 3)


def test_no_address_of_a_database_is_told(talk: Talk, tmp_path: Path) -> None:
    file = tmp_path / "url"
    for url in planted(
        "postgresql://u:{}@127.0.0.1:9/db", "postgres://u@127.0.0.1:9/db?sslpassword={}", "u:{}@127.0.0.1/db",
        "mysql://u:{}@127.0.0.1/db", "host=127.0.0.1 port=9 password={}",
    ):  # fmt: skip
        file.write_text(url)
        assert talk("load", "--database-url", url) in (2, 6)
        assert talk("status", DATABASE_URL="", DATABASE_URL_FILE=str(file)) in (2, 6)
        # Mistyped, so that the parser sees it.
        assert talk("load", f"--databaseurl={url}", url) == 2
        assert talk(url) == 2


def test_no_content_of_a_secret_file_is_told(talk: Talk, tmp_path: Path) -> None:
    file = tmp_path / "file"
    for secret in (SECRET, f"json://u:{SECRET}@[", f"http://u:{SECRET}@127.0.0.1:99999/{SECRET}", f"{SECRET}\0"):
        file.write_text(secret)
        for name in ("PGPASSWORD", "COVID_ETL_ALERT_URLS", "COVID_ETL_HEARTBEAT_URL"):
            talk(*LOAD, "http://127.0.0.1:9", **{name: "", f"{name}_FILE": str(file)})
            talk("status", "--test-alerts", **{name: "", f"{name}_FILE": str(file)})


@pytest.mark.slow
def test_no_secret_is_in_the_list_of_processes(
    command: Command, receiver: Receiver, password_server: str, api: Api
) -> None:
    def slow(_request: Request) -> int:
        time.sleep(2)
        return 500

    api.answers["us/daily.json"] = slow
    url = make_dsn(**parse_dsn(password_server) | {"password": SECRET})
    source = {"COVID_ETL_API_URL": f"{api.url}?{SECRET}", "COVID_ETL_SOURCE": "api"}
    running = [
        command.start("load", **source, **receiver.environ),
        command.start("psql", "--", "-c", "select 1", DATABASE_URL=url),
        command.start("psql", "--", "-c", "select 1", DATABASE_URL=f"{command.dsn} sslpassword={SECRET}"),
    ]
    seen = ""
    while any(process.poll() is None for process in running[1:]):
        seen += subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    running[0].terminate()
    said = [text for process in running for text in process.communicate(timeout=20)]
    assert "main.py" in seen
    assert SECRET not in "\n".join([seen, *said])
    assert [process.returncode for process in running[1:]] == [2, 2]
