"""Sources over real sockets and real files: what is received, retried, refused, missing."""

import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from werkzeug import Request, Response

from etl.errors import DocumentError, UsageError
from etl.extract import choose, http
from etl.extract import source as shared
from etl.extract.choose import PROBE_ADDRESS, open_source, resolve_auto
from etl.extract.directory import DirectorySource
from etl.extract.http import ATTEMPTS, HttpSource
from etl.extract.source import NOT_ASKED, Missing, take_in
from tests.conftest import Api
from tests.documents import document, encode, nation_day, snapshot, snapshot_day

ADDRESS = "us/daily.json"
BODY = encode(nation_day("2021-03-07"))


@pytest.fixture(autouse=True)
def fast_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many retries as ever, without the waits."""
    monkeypatch.setattr(http, "BACKOFF_SECONDS", 0.0)


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
    """Answers every connection with the same pieces and closes it: for what no HTTP library would send.

    One without pieces, and every one that asks for the address `reset`, is reset.
    """

    def __init__(self, *pieces: bytes, pause: float = 0.0, reset: str = "-") -> None:
        self.pieces, self.pause, self.reset = pieces, pause, reset
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
                asked = connection.recv(65536).decode()
                if not self.pieces or f"/{self.reset} " in asked:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    continue
                try:
                    for piece in self.pieces:
                        connection.sendall(piece)
                        time.sleep(self.pause)
                except OSError:
                    continue

    def __enter__(self) -> "RawServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """From now on no connection is taken."""
        if self.listener.fileno() < 0:
            return
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


class KeepAlive(BaseHTTPRequestHandler):
    """Leaves the connection open, and notes from which ports it was asked."""

    protocol_version = "HTTP/1.1"
    ports: ClassVar[set[int]] = set()

    def do_GET(self) -> None:
        self.ports.add(self.client_address[1])
        self.send_response(200)
        if self.path == f"/{ADDRESS}":
            self.send_header("Content-Length", str(len(BODY)))
            body = BODY
        else:
            self.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
        self.end_headers()
        self.wfile.write(body)


def test_connections_are_kept_alive() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), KeepAlive) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        ours = HttpSource(f"http://127.0.0.1:{server.server_port}", "test", 1)
        bodies = [ours.fetch(address).body for address in (ADDRESS, "states.json", ADDRESS)]
        ours._session.close()
        server.shutdown()
        thread.join()
    assert bodies == [BODY] * 3
    assert len(KeepAlive.ports) == 1


# --- statuses ---


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_and_that_is_logged(
    api: Api, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    api.answers[ADDRESS] = in_turn((status, b"", {}), (status, b"", {}), OK)
    assert source(api).fetch(ADDRESS).body == BODY
    assert len(api.requests) == 3
    logged = [vars(record) for record in caplog.records if record.levelname == "WARNING"]
    assert [(fields["message"], fields["url"], fields["reason"]) for fields in logged] == [
        ("asking again", f"{api.url}/{ADDRESS}", f"status {status}")
    ] * 2


def test_a_server_that_stays_busy_is_given_up(api: Api) -> None:
    api.answers[ADDRESS] = 503
    with pytest.raises(DocumentError, match="^status 503$"):
        source(api).fetch(ADDRESS)
    assert len(api.requests) == ATTEMPTS


def test_no_password_is_logged_shown_or_stored(caplog: pytest.LogCaptureFixture) -> None:
    nowhere = HttpSource("http://user:geheim@127.0.0.1:9", "test", 1)
    with pytest.raises(DocumentError) as failed:
        nowhere.fetch(ADDRESS)
    assert resolve_auto({"COVID_ETL_API_URL": "http://user:geheim@127.0.0.1:9"}, loaded_from_api=False) == "snapshot"
    assert {vars(record).get("url") for record in caplog.records} == {f"http://127.0.0.1:9/{ADDRESS}", None}
    assert open_source("http://user:geheim@127.0.0.1:9", {}, 1).name == "http://127.0.0.1:9"
    assert "geheim" not in f"{[vars(record) for record in caplog.records]} {failed.value}"


@pytest.mark.parametrize("url", ["http://", "http://user:ge/heim@host", "http://geheim@[::1", "http://geheim@/v2"])
def test_a_url_without_a_server_is_a_usage_error_that_does_not_show_it(url: str) -> None:
    with pytest.raises(UsageError, match="the URL of the source names no server") as failed:
        open_source(url, {}, 1)
    assert "geheim" not in str(failed.value)


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("asked", ["86400", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_retry_after_is_obeyed_up_to_a_limit(api: Api, monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setattr(http, "LONGEST_RETRY_AFTER", 0.2)
    api.answers[ADDRESS] = in_turn((503, b"", {"Retry-After": asked}), OK)
    started = time.monotonic()
    source(api).fetch(ADDRESS)
    assert 0.2 <= time.monotonic() - started < 10


def test_retry_after_is_a_number_of_seconds_or_a_date() -> None:
    assert http.retry_after("7") == 7
    assert 25 < (http.retry_after(in_seconds(30)) or 0) <= 30
    assert http.retry_after("9" * 5000) == http.retry_after(in_seconds(10**6)) == http.LONGEST_RETRY_AFTER


@pytest.mark.parametrize(
    "header",
    [
        "",
        "soon",
        "-1",
        "0",
        "1.5",
        "nan",
        "\xb2",
        "Wed, 21 Oct 20163899906 07:28:00 GMT",
        "Wed, 21 Oct 2015 07:28:00 -0000",
        "Wed, 99 Oct 2099",
        "Wed, 21 Oct 2015 07:28:00 GMT",
    ],
)
def test_a_retry_after_that_is_malformed_or_past_is_ignored(api: Api, header: str) -> None:
    assert http.retry_after(header) is None
    api.answers[ADDRESS] = in_turn((429, b"", {"Retry-After": header}), OK)
    assert source(api).fetch(ADDRESS).body == BODY


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
        with pytest.raises(DocumentError, match=r"^cut off: IncompleteRead\(8 bytes read, 492 more expected\)$"):
            HttpSource(server.url, "test", 1).fetch(ADDRESS)
        assert server.connections == ATTEMPTS
    assert [record.message for record in caplog.records] == ["asking again"] * (ATTEMPTS - 1)


def test_a_chunked_body_cut_off_midway_is_asked_for_again() -> None:
    with RawServer(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"data":') as server:
        with pytest.raises(DocumentError, match="^cut off: "):
            HttpSource(server.url, "test", 1).fetch(ADDRESS)
        assert server.connections == ATTEMPTS


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
    monkeypatch.setattr(shared, "LARGEST_DOCUMENT", 1000)
    api.answers[ADDRESS] = b" " * 1001
    with pytest.raises(DocumentError, match="^larger than 1000 bytes$"):
        source(api).fetch(ADDRESS)


def test_a_document_that_grows_too_large_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "LARGEST_DOCUMENT", 5000)
    api.answers[ADDRESS] = in_turn((200, gzip.compress(b" " * 10**6), {"Content-Encoding": "gzip"}))
    with pytest.raises(DocumentError, match="^larger than 5000 bytes$"):
        source(api).fetch(ADDRESS)


def test_a_document_may_have_24_mib(api: Api) -> None:
    largest = b" " * (24 * 2**20)
    assert len(take_in([gzip.compress(largest, 1)], packed=True).body) == len(largest)
    with pytest.raises(DocumentError, match="^larger than 25165824 bytes$"):
        take_in([gzip.compress(largest + b" ", 1)], packed=True)


def test_gzip_of_very_many_members_takes_no_more_time_than_it_has_members() -> None:
    def seconds(members: int) -> float:
        started = time.process_time()
        assert take_in([gzip.compress(b"") * members], packed=True).body == b""
        return time.process_time() - started

    assert seconds(40_000) < 40 * seconds(4_000)


@pytest.mark.parametrize(
    ("head", "piece"),
    [(b"Content-Length: 500", b" "), (b"Transfer-Encoding: chunked", b"1\r\n \r\n"), (b"Connection: close", b" ")],
)
def test_a_body_that_trickles_is_given_up_and_not_asked_for_again(head: bytes, piece: bytes) -> None:
    pieces = [b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % head, *[piece] * 100]
    with RawServer(*pieces, pause=0.05) as server:
        with pytest.raises(DocumentError, match=r"^not complete after 0\.2 s$"):
            HttpSource(server.url, "test", 1, seconds=(1, 0.2)).fetch(ADDRESS)
        assert server.connections == 1


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"])
def test_a_server_that_hangs_is_given_up_and_not_asked_again(sent: bytes) -> None:
    with RawServer(sent, pause=0.3) as server:
        with pytest.raises(DocumentError, match=r"^not complete after 0\.2 s$"):
            HttpSource(server.url, "test", 1, seconds=(1, 0.2)).fetch(ADDRESS)
        assert server.connections == 1


def test_a_search_for_an_address_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    # No server of names that hangs can be set for one process.
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: over.wait(10) and [])
    started = time.monotonic()
    with pytest.raises(DocumentError, match=r"^not complete after 0\.2 s$"):
        HttpSource("http://slow.invalid", "test", 1, seconds=(1, 0.2)).fetch(ADDRESS)
    assert time.monotonic() - started < 5
    over.set()


# --- failures of one document, and of the source ---

WHOLE = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY


def test_a_server_that_is_not_there_is_a_failure_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    nowhere = HttpSource("http://127.0.0.1:9", "test", 1)
    with pytest.raises(DocumentError, match="^.Errno 111. Connection refused$"):
        nowhere.fetch(ADDRESS)
    assert len(caplog.records) == ATTEMPTS - 1
    # The other documents are not waited for one by one.
    with pytest.raises(DocumentError, match=f"^{NOT_ASKED}$"):
        nowhere.fetch("states.json")


def test_a_name_that_nobody_has_stops_the_asking() -> None:
    nowhere = HttpSource("http://nowhere.invalid", "test", 1)
    with pytest.raises(DocumentError):
        nowhere.fetch(ADDRESS)
    with pytest.raises(DocumentError, match=f"^{NOT_ASKED}$"):
        nowhere.fetch("states.json")


def test_a_proxy_that_is_not_there_stops_the_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    nowhere = HttpSource("http://api.example", "test", 1)
    with pytest.raises(DocumentError):
        nowhere.fetch(ADDRESS)
    with pytest.raises(DocumentError, match=f"^{NOT_ASKED}$"):
        nowhere.fetch("states.json")


def test_one_address_that_resets_the_connection_does_not_stop_the_others() -> None:
    with RawServer(WHOLE, reset=ADDRESS) as server:
        ours = HttpSource(server.url, "test", 1)
        with pytest.raises(DocumentError, match="^.Errno 104. Connection reset by peer$"):
            ours.fetch(ADDRESS)
        assert server.connections == ATTEMPTS
        others = [f"states/{code}/daily.json" for code in ("ca", "ny", "tx")]
        assert [ours.fetch(other).body for other in others] == [BODY] * 3


@pytest.mark.parametrize("pieces", [[], [b"\x16\x03\x01 no HTTP\r\n\r\n"], [b""]])
def test_a_server_that_only_fails_is_asked_for_every_document(pieces: list[bytes]) -> None:
    with RawServer(*pieces) as server:
        ours = HttpSource(server.url, "test", 1)
        for address in (ADDRESS, "states/ca/daily.json"):
            with pytest.raises(DocumentError, match=f"^(?!{NOT_ASKED})"):
                ours.fetch(address)
        assert server.connections == 2 * ATTEMPTS


def test_a_server_that_has_answered_is_asked_for_every_document() -> None:
    with RawServer(WHOLE) as server:
        ours = HttpSource(server.url, "test", 1)
        ours.fetch(ADDRESS)
        server.close()
        for address in ("states/ca/daily.json", "states/ny/daily.json"):
            with pytest.raises(DocumentError, match="^.Errno 111. Connection refused$"):
                ours.fetch(address)


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


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "LARGEST_DOCUMENT", 1000)
    write(tmp_path / "us/daily.json", b" " * 1001)
    write(tmp_path / "states/ca/daily.json.gz", gzip.compress(b" " * 1001))
    for address in ("us/daily.json", "states/ca/daily.json"):
        with pytest.raises(DocumentError, match="^larger than 1000 bytes$"):
            DirectorySource(tmp_path, "test").fetch(address)


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    for address in ("us/daily.json", "us/daily/2021-03-07.json", "states.json"):
        with pytest.raises(Missing):
            DirectorySource(tmp_path, "test").fetch(address)


def test_a_file_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "states.json.gz").mkdir()
    with pytest.raises(DocumentError, match="is no regular file"):
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
    (tmp_path / "us").mkdir()
    assert open_source("snapshot", environ, 1).name == "snapshot"
    assert open_source("api", environ, 1).name == "api"
    assert open_source(api.url, environ, 1).name == "api"
    assert open_source("http://mirror.example/v2/", environ, 1).name == "http://mirror.example/v2"
    assert open_source(str(tmp_path), environ, 1).name == str(tmp_path.resolve())
    assert open_source(f"file://{tmp_path}", environ, 1).name == str(tmp_path.resolve())


@pytest.mark.parametrize("name", ["nothing", "files"])
def test_a_source_that_is_no_mirror_is_a_usage_error_that_says_how_to_make_one(tmp_path: Path, name: str) -> None:
    write(tmp_path / "files/readme.txt", b"no mirror")
    expected = (
        r"files' is neither auto, api, snapshot, a URL, nor a directory with us/daily\.json and states/CODE/daily\.json "
        r"\(or \.json\.gz\); to make such a directory: main\.py mirror DIR$"
    ).replace("files", name)
    with pytest.raises(UsageError, match=expected):
        open_source(str(tmp_path / name), {}, 1)


def choice(api: Api, *, loaded_from_api: bool = False) -> str | None:
    return resolve_auto({"COVID_ETL_API_URL": api.url}, loaded_from_api=loaded_from_api)


def test_auto_takes_the_api_that_answers(api: Api) -> None:
    api.answers[PROBE_ADDRESS] = BODY
    assert choice(api) == "api"
    assert api.requests == [PROBE_ADDRESS]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_auto_takes_the_api_that_is_only_busy(api: Api, status: int) -> None:
    api.answers[PROBE_ADDRESS] = status
    assert choice(api) == "api"
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        *(204, 401, 404, 410, 501, 520, 522, 523, 530),
        *(b"<html>The project has ended</html>", b"", b"\xff", b"[" * 10**5),
        *(b"[]", b"null", b"{}", b'{"data": {}, "meta": {}}', b'{"error": "no such account", "meta": null}'),
        encode(document([])),
    ],
)
def test_auto_takes_the_snapshot_where_the_api_is_gone(
    api: Api, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    api.answers[PROBE_ADDRESS] = answer
    assert choice(api) == "snapshot"
    assert [(record.message, vars(record)["api"]) for record in caplog.records if record.levelname == "WARNING"] == [
        ("API unavailable: shipped snapshot used", api.url)
    ]


def test_auto_takes_the_snapshot_where_a_login_page_answers(api: Api) -> None:
    api.answers[PROBE_ADDRESS] = in_turn((302, b"", {"Location": f"{api.url}/login"}))
    api.answers["login"] = b"<html>Who are you?</html>"
    assert choice(api) == "snapshot"


def test_auto_takes_the_snapshot_where_nothing_listens_or_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_auto({"COVID_ETL_API_URL": "http://127.0.0.1:9"}, loaded_from_api=False) == "snapshot"
    assert resolve_auto({"COVID_ETL_API_URL": "http://nowhere.invalid"}, loaded_from_api=False) == "snapshot"
    monkeypatch.setattr(choose, "PROBE_SECONDS", (0.2, 0.2))
    for sent in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"):
        with RawServer(sent, pause=0.3) as server:
            assert resolve_auto({"COVID_ETL_API_URL": server.url}, loaded_from_api=False) == "snapshot"


def test_auto_reads_nothing_where_the_api_is_gone_and_was_loaded(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    assert choice(api, loaded_from_api=True) is None
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "API unavailable: nothing is read, since its documents are loaded"
    ]


def test_the_snapshot_is_whole() -> None:
    assert len(json.loads(snapshot("us/daily.json"))["data"]) == 420
