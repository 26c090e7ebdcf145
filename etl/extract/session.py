"""HTTP requests that end at a deadline wherever they are, and never read what nobody asked for.

`requests` limits the time between two bytes, and reads the body of a redirect to its end: a server that sends a byte
now and then, or bytes without end, would never let it go.
"""

import http.client
import io
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from etl import __version__, config

T = TypeVar("T")

MOST_REDIRECTS = 5
USER_AGENT = f"{config.PROGRAM}/{__version__} (+https://covidtracking.com/data/api)"
# Everything that a server can bring about; `requests` lets some of urllib3's and http.client's errors through. A
# certificate file that is missing here raises a plain OSError, which a person has to mend.
REQUEST_ERRORS = (requests.RequestException, HTTPError, http.client.HTTPException, TimeoutError, ValueError)


def within(seconds: float, call: Callable[[], T]) -> T:
    """The result of a call, or what it raises; after so many seconds `TimeoutError`, and its thread is left behind.

    It is for what no deadline ends, such as the search for the address of a host.
    """
    future: Future[T] = Future()

    def settle() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=settle, daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError as error:
        raise TimeoutError(f"not complete after {seconds:g} s") from error


# urllib3 logs malformed headers with a traceback, and goes on.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class _Current(threading.local):
    """The request of a thread: `deadline` is a time of `time.monotonic()`."""

    deadline = 0.0

    @property
    def left(self) -> float:
        """The seconds that are left; raises `TimeoutError` if none are."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for the request is over")
        return left


_current = _Current()


class _Stream(io.RawIOBase):
    """The bytes that a server sends, plain or out of TLS, until the deadline of the request."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket, self._raw = sock, sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(_current.left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """A response, which reads its status, headers, chunks and trailers, too, within the deadline."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_Stream(sock))


def _pool(kind: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    """A kind of pool whose connections read by `_Response`."""
    connection = type("Connection", (kind.ConnectionCls,), {"response_class": _Response})
    return type("Pool", (kind,), {"ConnectionCls": connection})


_POOLS = {"http": _pool(HTTPConnectionPool), "https": _pool(HTTPSConnectionPool)}


class _Adapter(HTTPAdapter):
    """An adapter with these pools, also for connections to a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class Session(requests.Session):
    """A session of `requests`, used by many threads at once."""

    def __init__(self, jobs: int = 1) -> None:
        super().__init__()
        self.headers["User-Agent"] = USER_AGENT
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(pool_maxsize=jobs))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None, so that `requests` follows no redirect: it would read the whole body first."""

    @contextmanager
    def ask(
        self, url: str, seconds: tuple[float, float], headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Iterator[requests.Response]:
        """The response to a GET, or with a body to a POST; the response's own body is not read yet.

        `seconds` limits connecting, and all of the request, with redirects, and what is read in the block. Raises one
        of `REQUEST_ERRORS`.
        """
        _current.deadline, method = time.monotonic() + seconds[1], "POST" if body else "GET"
        for _ in range(MOST_REDIRECTS + 1):
            timeout = (min(seconds[0], _current.left), _current.left)
            with self.request(method, url, data=body, stream=True, timeout=timeout, headers=headers) as response:
                if not response.is_redirect:
                    yield response
                    return
                url = _target(url, response.headers["Location"])
        raise requests.TooManyRedirects(f"more than {MOST_REDIRECTS} redirects")


def _target(url: str, location: str) -> str:
    """The address that a redirect leads to; raises `ValueError` if it is malformed, or less safe than `url`."""
    # http.client reads headers as Latin-1, but an address in them is UTF-8.
    target = urljoin(url, location.encode("latin-1").decode())
    scheme = urlsplit(target).scheme
    if scheme != "https" and scheme != urlsplit(url).scheme:
        raise requests.exceptions.InvalidSchema(f"redirected from {urlsplit(url).scheme} to {scheme[:20]!r}")
    return target
