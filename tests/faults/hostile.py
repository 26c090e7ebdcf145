"""A hostile HTTP server over raw sockets: each address may have a misbehaviour of its own."""

import gzip
import random
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Self

from etl.errors import Outcome
from tests.documents import DEFINITIONS, encode

Pieces = Iterable[bytes]
MEGABYTE = 2**20
OK, BUSY = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 503 Busy\r\n"
CHUNKED, PACKED = b"Transfer-Encoding: chunked\r\n\r\n", b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n"
PLAIN = b"Connection: close\r\n\r\n"
# A redirect back to the same address, where this question gets the sound document.
SOUND = "?sound"
# A tiny pause between the pieces of a drip, so that a short limit passes many of them.
PAUSE = 0.02


@dataclass(frozen=True)
class Fault:
    """A misbehaviour: the bytes sent for an address, and what becomes of the document there.

    `pause` is the time between two pieces in seconds. `is_large` says that memory is what it is after, `is_slow` that
    it lasts until the limit of a request.
    """

    name: str
    pieces: Callable[[str], Pieces]
    outcome: Outcome = Outcome.FAILED
    pause: float = 0.0
    is_large: bool = False
    is_slow: bool = False
    resets: bool = False


class Hostile:
    """Serves documents by address, and faults instead at some addresses; closes each connection after an answer."""

    def __init__(
        self, documents: dict[str, bytes], faults: dict[str, Fault], context: ssl.SSLContext | None = None
    ) -> None:
        self.documents, self.faults, self._context = documents, faults, context
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._is_open = True
        scheme = "https" if context else "http"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_open = False
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, self._secured(connection) as secured:
            # Whoever greets in TLS where there is none asks for nothing.
            words = [*secured.recv(65536).decode("latin-1").split(" "), "", ""]
            address, _, question = words[1].removeprefix("/").partition("?")
            self.asked.append(address)
            fault = None if question else self.faults.get(address)
            if fault and fault.resets:
                secured.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            for piece in fault.pieces(address) if fault else self._document(address):
                if not self._is_open:
                    break
                secured.sendall(piece)
                time.sleep(fault.pause if fault else 0.0)

    def _secured(self, connection: socket.socket) -> socket.socket:
        return self._context.wrap_socket(connection, server_side=True) if self._context else connection

    def _document(self, address: str) -> Pieces:
        body = self.documents.get(address)
        if body is None:
            return [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]
        return [OK + b"Content-Length: %d\r\n\r\n" % len(body), body]


# --- misbehaviours ---


def _always(*pieces: bytes) -> Callable[[str], Pieces]:
    return lambda _address: pieces


def _then_forever(head: bytes, piece: bytes) -> Callable[[str], Pieces]:
    return lambda _address: chain([head], repeat(piece))


def _drip(name: str, head: bytes, piece: bytes) -> Fault:
    return Fault(name, _then_forever(head, piece), pause=PAUSE, is_slow=True)


def _drip_headers(_address: str) -> Pieces:
    """Long headers, of which only the number is limited."""
    return chain([OK, b"X: "], repeat(b"x"))


def _flood(name: str, head: bytes, piece: bytes, outcome: Outcome = Outcome.FAILED) -> Fault:
    return Fault(name, _then_forever(head, piece), outcome, is_large=True)


def _redirect(location: bytes) -> bytes:
    return b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\n"


def _to_sound(extra: bytes, piece: bytes) -> Callable[[str], Pieces]:
    """A redirect to the sound document, with a body that never ends."""
    return lambda address: chain([_redirect(f"/{address}{SOUND}".encode()) + extra], repeat(piece))


def _loop(address: str) -> Pieces:
    return [_redirect(f"/{address}".encode()) + b"Content-Length: 0\r\n\r\n"]


def _redirected(name: str, location: bytes) -> Fault:
    return Fault(f"redirect {name}", _always(_redirect(location) + b"Content-Length: 0\r\n\r\n"))


def _busy(name: str, retry_after: bytes) -> Fault:
    return Fault(f"retry-after {name}", _always(BUSY + b"Retry-After: " + retry_after + b"\r\n" + PLAIN))


def _body(name: str, make: Callable[[], Pieces], outcome: Outcome = Outcome.REJECTED) -> Fault:
    """A complete body, made when it is asked for."""
    return Fault(name, lambda _address: chain([OK + PLAIN], make()), outcome, is_large=True)


def _packed(name: str, make: Callable[[], Pieces]) -> Fault:
    return Fault(name, lambda _address: chain([OK + PACKED], make()), is_large=True)


def _many(head: bytes, piece: bytes, times: int, tail: bytes) -> Callable[[], Pieces]:
    """A body that repeats a piece, sent in larger ones."""
    return lambda: chain([head], repeat(piece * 1000, times // 1000), [tail])


def _bomb() -> Pieces:
    """A gigabyte of white space, packed into one megabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    for _ in range(1024):
        yield packer.compress(b" " * MEGABYTE)
    yield packer.flush()


def _names(times: int) -> Callable[[], Pieces]:
    """An object of very many names, each a new path."""

    def some(first: int) -> bytes:
        return b"".join(b',"%x":0' % number for number in range(first, first + 1000))

    return lambda: chain([b'{"data":[{"a":0'], map(some, range(0, times, 1000)), [b"}]}"])


def _links(piece: bytes, times: int) -> Callable[[], Pieces]:
    """A sound start, then a part that nobody reads and that costs much memory."""
    meta = {"build_time": "2021-05-03T21:28:51.488Z", "field_definitions": DEFINITIONS}
    head = b'{"meta":' + encode(meta) + b',"data":[],"links":['
    return _many(head, piece, times, piece.rstrip(b",") + b"]}")


def _noise() -> Pieces:
    """Text that can hardly be compressed, nearly as long as a document may be."""
    chance = random.Random(1)
    return chain([b'{"data":"'], (chance.randbytes(MEGABYTE // 2).hex().encode() for _ in range(23)), [b'"}'])


DRIPS = [
    _drip("drip of a status line", b"HTTP/1.1 200 O", b"K"),
    Fault("drip of a header", _drip_headers, pause=PAUSE, is_slow=True),
    _drip("drip of interim answers", b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    _drip("drip of a body with a length", OK + b"Content-Length: 100000\r\n\r\n", b" "),
    _drip("drip of a body without a length", OK + PLAIN, b" "),
    _drip("drip of chunks", OK + CHUNKED, b"1\r\n \r\n"),
    _drip("drip of a chunk extension", OK + CHUNKED + b"1;", b"x"),
    _drip("drip of a chunk", OK + CHUNKED + b"fffff\r\n", b"x"),
    _drip("drip of a trailer", OK + CHUNKED + b"0\r\n", b"X: y\r\n"),
    _drip("drip of a redirect's header", b"HTTP/1.1 302 Found\r\nLocation: /", b"x"),
    Fault("hang", _then_forever(b"", b""), pause=PAUSE, is_slow=True),
    Fault("hang within a body", _then_forever(OK + b"Content-Length: 9\r\n\r\n{", b""), pause=PAUSE, is_slow=True),
]

FLOODS = [
    _flood("endless body", OK + PLAIN, b" " * MEGABYTE),
    _flood("endless chunks", OK + CHUNKED, b"100000\r\n" + b" " * MEGABYTE + b"\r\n"),
    _flood("endless gzip", OK + PACKED, gzip.compress(b"", mtime=0)[:10] + b"\x00" * 65536),
    _flood("endless headers", OK, b"X: " + b"x" * 60000 + b"\r\n"),
    _flood("endless header", OK + b"X: ", b"x" * MEGABYTE),
    _flood("endless chunk extension", OK + CHUNKED + b"1;", b"x" * MEGABYTE),
    _flood("endless body of an error", BUSY + PLAIN, b" " * MEGABYTE),
    _flood("endless body of another error", b"HTTP/1.1 403 No\r\n" + PLAIN, b" " * MEGABYTE),
    Fault("endless body of a redirect", _to_sound(PLAIN, b" " * MEGABYTE), Outcome.LOADED, is_large=True),
    _packed("gzip bomb", _bomb),
    _packed("empty gzip members", _many(b"", gzip.compress(b"", mtime=0), 300_000, b"")),
    _body("lists", _many(b"[", b"[],", 7_000_000, b"[]]")),
    _body("objects", _many(b'{"data":[', b"{},", 7_000_000, b"{}]}")),
    _body("fewer objects", _many(b'{"data":[', b"{},", 350_000, b"{}]}")),
    _body("nested lists", _many(b"[", b"[" * 500 + b"]" * 500 + b",", 3000, b"[]]")),
    _body("lists that nobody reads", _links(b"[],", 1_000_000)),
    _body("names", _names(350_000)),
    _body("more names", _names(1_500_000)),
    _body("brackets", lambda: repeat(b"[" * MEGABYTE, 20)),
    _body("noise", _noise, Outcome.FAILED),
]

LIES = [
    Fault("reset", _always(), resets=True),
    Fault("reset within a body", _always(OK + b"Content-Length: 9\r\n\r\n{"), resets=True),
    Fault("early close", _always()),
    Fault("body cut off", _always(OK + b"Content-Length: 9\r\n\r\n{")),
    Fault("garbage", _always(b"\x16\x03\x01\x00\xff no HTTP\r\n\r\n")),
    Fault("binary headers", _always(OK + b"\x00\xff: \x80\r\n: \r\n\r\n")),
    Fault("chunks without a size", _always(OK + CHUNKED + b"x\r\n\r\n")),
    Fault("chunk of negative size", _always(OK + CHUNKED + b"-5\r\nabc\r\n0\r\n\r\n")),
    Fault("length of many digits", _always(OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{")),
    Fault("two lengths", _always(OK + b"Content-Length: 5, 6\r\n\r\n{}")),
    Fault("status of a proxy", _always(b"HTTP/1.1 522 Timed Out\r\n" + PLAIN + b"error code: 522")),
    Fault("status that is no number", _always(b"HTTP/1.1 abc OK\r\n\r\n")),
    Fault("answer of 304 that nobody asked for", _always(b"HTTP/1.1 304 Not Modified\r\n\r\n")),
    Fault("login page", _always(OK + PLAIN + b"<html>Who are you?</html>")),
    Fault("foreign JSON", _always(OK + PLAIN + b'{"error": "no such account"}'), Outcome.REJECTED),
    Fault("damaged gzip", _always(OK + PACKED + b"no gzip")),
    Fault("redirect in a circle", _loop),
    _redirected("to nowhere", b""),
    _redirected("to a broken address", b"http://[::1"),
    _redirected("to a broken port", b"http://a:99999999/"),
    _redirected("to a name too long", b"http://" + b"a" * 300 + b"/"),
    _redirected("to dots", b"http://../"),
    _redirected("to bytes", b"\xff\xfe//\x80"),
    _redirected("to a control character", b"http://a\x01b/"),
    _redirected("to a file", b"file:///etc/passwd"),
    _redirected("to another scheme", b"ftp://127.0.0.1/x"),
    _redirected("to a script", b"javascript:alert(1)"),
    _busy("negative", b"-5"),
    _busy("huge", b"9" * 400),
    _busy("twice", b"1\r\nRetry-After: 2"),
    _busy("with an odd zone", b"Wed, 21 Oct 2015 07:28:00 +9999"),
    _busy("garbage", b"\xff, soon"),
]


def every_fault() -> list[Fault]:
    """All misbehaviours, each of which concerns one document alone."""
    return [*DRIPS, *FLOODS, *LIES]
