"""Sources over real sockets and real files: what is received, retried, refused, missing."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina
from werkzeug import Request, Response

from etl.errors import DocumentError, SourceError, UsageError
from etl.extract import http as extract
from etl.extract.http import DirectorySource, HttpSource, Missing, open_source, resolve_auto
from tests.conftest import Api
from tests.documents import document, encode, nation_day, snapshot, snapshot_day

ADDRESS = "us/daily.json"
BODY = encode(nation_day("2021-03-07"))


@pytest.fixture(autouse=True)
def fast_retries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As many retries as ever, without the waits."""
    monkeypatch.setattr(extract, "BACKOFF_SECONDS", 0.0)
    with stamina.set_testing(True, attempts=extract.BODY_ATTEMPTS):
        yield


def source(api: Api) -> HttpSource:
    return HttpSource(api.url, "test", jobs=2)


def in_turn(*answers: Any) -> Callable[[Request], Response]:
    """Answers one after the other; the last one for ever."""
    waiting = list(answers)

    def answer(_request: Request) -> Response:
        status, body, headers = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return Response(body, status=status, headers=headers)

    return answer


OK: tuple[int, bytes, dict[str, str]] = (200, BODY, {})


class RawServer:
    """Answers every connection with the same bytes and closes it: for what no HTTP library would send."""

    def __init__(self, answer: bytes, pause: float = 0.0, pieces: int = 1) -> None:
        self.answer, self.pause, self.pieces = answer, pause, pieces
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                connection.recv(65536)
                try:
                    for _ in range(self.pieces):
                        connection.sendall(self.answer)
                        time.sleep(self.pause)
                except OSError:
                    continue

    def __enter__(self) -> "RawServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


# --- what is received ---


def test_a_document_is_received_as_it_is(api: Api) -> None:
    api.answers[ADDRESS] = BODY
    received = source(api).fetch(ADDRESS)
    assert (received.body, gzip.decompress(received.compressed)) == (BODY, BODY)


def test_compressed_bytes_are_kept_as_received(api: Api) -> None:
    compressed = gzip.compress(BODY, mtime=7)
    api.answers[ADDRESS] = in_turn((200, compressed, {"Content-Encoding": "gzip"}))
    received = source(api).fetch(ADDRESS)
    assert (received.body, received.compressed) == (BODY, compressed)


def test_the_request_names_the_program_and_asks_for_gzip(api: Api) -> None:
    seen: dict[str, str] = {}

    def answer(request: Request) -> Response:
        seen.update(request.headers)
        return Response(BODY)

    api.answers[ADDRESS] = answer
    source(api).fetch(ADDRESS)
    assert seen["User-Agent"].startswith("covid-tracking-etl/")
    assert seen["Accept-Encoding"] == "gzip"


def test_connections_are_kept_alive(api: Api) -> None:
    ports = set()

    def answer(request: Request) -> Response:
        ports.add(request.environ["REMOTE_PORT"])
        return Response(BODY)

    api.answers[ADDRESS] = answer
    ours = source(api)
    assert [ours.fetch(ADDRESS).body for _ in range(3)] == [BODY] * 3


# --- statuses ---


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_and_that_is_logged(
    api: Api, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    api.answers[ADDRESS] = in_turn((status, b"", {}), (status, b"", {}), OK)
    assert source(api).fetch(ADDRESS).body == BODY
    assert len(api.requests) == 3
    waits = [vars(record)["reason"] for record in caplog.records if record.message == "asking again"]
    assert waits == [status, status]


def test_a_server_that_stays_busy_is_given_up(api: Api) -> None:
    api.answers[ADDRESS] = 503
    with pytest.raises(DocumentError, match="^status 503$"):
        source(api).fetch(ADDRESS)
    assert len(api.requests) == 1 + extract.STATUS_RETRIES


def test_retry_after_is_obeyed(api: Api) -> None:
    api.answers[ADDRESS] = in_turn((429, b"", {"Retry-After": "1"}), OK)
    started = time.monotonic()
    source(api).fetch(ADDRESS)
    assert time.monotonic() - started >= 1


def test_retry_after_is_capped(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "LONGEST_RETRY_AFTER", 1)
    api.answers[ADDRESS] = in_turn((503, b"", {"Retry-After": "86400"}), OK)
    started = time.monotonic()
    source(api).fetch(ADDRESS)
    assert 1 <= time.monotonic() - started < 30


def test_404_is_missing_and_not_asked_again(api: Api) -> None:
    with pytest.raises(Missing):
        source(api).fetch(ADDRESS)
    assert len(api.requests) == 1


@pytest.mark.parametrize("status", [201, 204, 400, 403, 410])
def test_another_status_is_a_failure(api: Api, status: int) -> None:
    api.answers[ADDRESS] = status
    with pytest.raises(DocumentError, match=f"^status {status}$"):
        source(api).fetch(ADDRESS)


def test_a_redirect_is_followed(api: Api) -> None:
    api.answers["old.json"] = in_turn((301, b"", {"Location": f"{api.url}/{ADDRESS}"}))
    api.answers[ADDRESS] = BODY
    assert source(api).fetch("old.json").body == BODY


# --- bodies that are not whole ---


def test_a_body_cut_off_midway_is_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    with RawServer(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"data":') as server:
        with pytest.raises(DocumentError, match="^cut off after 8 bytes: "):
            HttpSource(server.url, "test", 1).fetch(ADDRESS)
        assert server.connections == extract.BODY_ATTEMPTS
    assert [record.message for record in caplog.records] == ["asking again"] * (extract.BODY_ATTEMPTS - 1)


def test_a_chunked_body_cut_off_midway_is_asked_for_again() -> None:
    with RawServer(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"data":') as server:
        with pytest.raises(DocumentError, match="^cut off after "):
            HttpSource(server.url, "test", 1).fetch(ADDRESS)
        assert server.connections == extract.BODY_ATTEMPTS


@pytest.mark.parametrize(
    ("body", "said"),
    [(gzip.compress(BODY)[:-9], "cut off within gzip data"), (b"no gzip at all", "damaged gzip: ")],
)
def test_damaged_gzip_is_asked_for_again(api: Api, body: bytes, said: str) -> None:
    headers = {"Content-Encoding": "gzip"}
    api.answers[ADDRESS] = in_turn((200, body, headers), (200, gzip.compress(BODY), headers))
    assert source(api).fetch(ADDRESS).body == BODY
    api.answers[ADDRESS] = in_turn((200, body, headers))
    with pytest.raises(DocumentError, match=said):
        source(api).fetch(ADDRESS)


def test_gzip_of_several_members_is_one_document(api: Api) -> None:
    api.answers[ADDRESS] = in_turn(
        (200, gzip.compress(BODY[:50]) + gzip.compress(BODY[50:]), {"Content-Encoding": "gzip"})
    )
    assert source(api).fetch(ADDRESS).body == BODY


def test_a_document_that_is_too_large_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "LARGEST_DOCUMENT", 1000)
    api.answers[ADDRESS] = b" " * 1001
    with pytest.raises(DocumentError, match="^larger than 1000 bytes$"):
        source(api).fetch(ADDRESS)


def test_a_document_that_grows_too_large_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "LARGEST_DOCUMENT", 5000)
    api.answers[ADDRESS] = in_turn((200, gzip.compress(b" " * 10**6), {"Content-Encoding": "gzip"}))
    with pytest.raises(DocumentError, match="^larger than 5000 bytes when decompressed$"):
        source(api).fetch(ADDRESS)


def test_a_body_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "REQUEST_SECONDS", 0.5)
    monkeypatch.setattr(extract, "CHUNK", 1)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
    with (
        RawServer(head, pause=0.1, pieces=20) as server,
        pytest.raises(DocumentError, match=r"^not complete after 0\.5 s$"),
    ):
        HttpSource(server.url, "test", 1).fetch(ADDRESS)


def test_a_server_that_is_not_there_is_a_failure_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "STATUS_RETRIES", 1)
    nowhere = HttpSource("http://127.0.0.1:9", "test", 1)
    with pytest.raises(DocumentError, match="^.Errno 111. Connection refused$"):
        nowhere.fetch(ADDRESS)
    # The other documents are not waited for one by one.
    with pytest.raises(DocumentError, match=f"^{extract.NOT_ASKED}$"):
        nowhere.fetch("states.json")


# --- directories ---


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_a_file_is_read_plain_or_compressed(tmp_path: Path) -> None:
    write(tmp_path / "us/daily.json", BODY)
    write(tmp_path / "states/ca/daily.json.gz", gzip.compress(BODY, mtime=5))
    folder = DirectorySource(tmp_path, "test")
    plain, packed = folder.fetch("us/daily.json"), folder.fetch("states/ca/daily.json")
    assert (plain.body, gzip.decompress(plain.compressed)) == (BODY, BODY)
    assert (packed.body, packed.compressed) == (BODY, gzip.compress(BODY, mtime=5))


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    for address in ("us/daily.json", "us/daily/2021-03-07.json", "states.json"):
        with pytest.raises(Missing):
            DirectorySource(tmp_path, "test").fetch(address)


def test_a_file_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "states.json.gz").mkdir()
    with pytest.raises(DocumentError, match="cannot be read: Is a directory"):
        DirectorySource(tmp_path, "test").fetch("states.json")


@pytest.mark.parametrize(
    ("address", "history", "day"),
    [
        ("us/daily/2021-01-02.json", "us/daily.json", "2021-01-02"),
        ("states/ny/2020-03-04.json", "states/ny/daily.json", "2020-03-04"),
    ],
)
def test_a_single_day_without_a_file_is_cut_from_the_history(address: str, history: str, day: str) -> None:
    received = open_source("snapshot", {}, 1).fetch(address)
    assert json.loads(received.body) == snapshot_day(history, day)
    assert gzip.decompress(received.compressed) == received.body


def test_a_day_that_the_history_lacks_is_missing() -> None:
    with pytest.raises(Missing):
        open_source("snapshot", {}, 1).fetch("us/daily/2019-01-01.json")


def test_a_day_with_a_file_of_its_own_is_read_from_there(tmp_path: Path) -> None:
    write(tmp_path / "us/daily/2021-03-07.json", BODY)
    write(tmp_path / "us/daily.json", encode(document([])))
    assert DirectorySource(tmp_path, "test").fetch("us/daily/2021-03-07.json").body == BODY


def test_a_history_without_days_is_a_failure(tmp_path: Path) -> None:
    write(tmp_path / "us/daily.json", b"<html>")
    with pytest.raises(DocumentError, match=r"us/daily\.json has no days to cut"):
        DirectorySource(tmp_path, "test").fetch("us/daily/2021-03-07.json")


# --- the choice ---


def test_sources_are_named(tmp_path: Path, api: Api) -> None:
    environ = {"COVID_ETL_API_URL": f"{api.url}/"}
    assert open_source("snapshot", environ, 1).name == "snapshot"
    assert open_source("api", environ, 1).name == "api"
    assert open_source(api.url, environ, 1).name == "api"
    assert open_source("http://mirror.example/v2/", environ, 1).name == "http://mirror.example/v2"
    assert open_source(str(tmp_path), environ, 1).name == str(tmp_path.resolve())
    assert open_source(f"file://{tmp_path}", environ, 1).name == str(tmp_path.resolve())


def test_a_source_that_is_nothing_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither auto, api, snapshot, a URL, nor a directory"):
        open_source(str(tmp_path / "nothing"), {}, 1)


def choice(api: Api, *, loaded_from_api: bool = False) -> str:
    return resolve_auto({"COVID_ETL_API_URL": api.url}, loaded_from_api=loaded_from_api)


def test_auto_takes_the_api_that_answers(api: Api) -> None:
    api.answers[extract.PROBE_ADDRESS] = BODY
    assert choice(api) == "api"
    assert api.requests == [extract.PROBE_ADDRESS]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_auto_takes_the_api_that_is_only_busy(api: Api, status: int) -> None:
    api.answers[extract.PROBE_ADDRESS] = status
    assert choice(api) == "api"


@pytest.mark.parametrize("answer", [404, 410, b"<html>The project has ended</html>", b""])
def test_auto_takes_the_snapshot_where_the_api_is_gone(
    api: Api, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    api.answers[extract.PROBE_ADDRESS] = answer
    assert choice(api) == "snapshot"
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "API unavailable: shipped snapshot used"
    ]


def test_auto_takes_the_snapshot_where_nothing_listens_or_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_auto({"COVID_ETL_API_URL": "http://127.0.0.1:9"}, loaded_from_api=False) == "snapshot"
    assert resolve_auto({"COVID_ETL_API_URL": "http://nowhere.invalid"}, loaded_from_api=False) == "snapshot"
    monkeypatch.setattr(extract, "PROBE_SECONDS", (0.2, 0.2))
    with RawServer(b"", pause=2) as server:
        assert resolve_auto({"COVID_ETL_API_URL": server.url}, loaded_from_api=False) == "snapshot"


def test_auto_never_puts_the_snapshot_over_what_the_api_gave(api: Api) -> None:
    with pytest.raises(SourceError, match=r"loaded from it before: try later, or choose with --source snapshot"):
        choice(api, loaded_from_api=True)


def test_the_snapshot_is_whole() -> None:
    assert len(json.loads(snapshot("us/daily.json"))["data"]) == 420
