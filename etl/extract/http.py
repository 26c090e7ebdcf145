"""A source over HTTP, the API or a copy of it, and the requests of the program.

`requests` limits only the time between two bytes, and reads the body of a redirect to its end: a server that sends a
byte now and then, or bytes without end, would hold it for ever.
"""

import http.client
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from etl import __version__, config
from etl.errors import DocumentError, as_usage_error
from etl.extract import source
from etl.extract.source import NOTHING_KNOWN, Missing, NotModified, Received, TransientError, Validators, take_in
from etl.logs import log

T = TypeVar("T")

# The limits to connect, and for the whole of a request.
REQUEST_SECONDS = (10.0, 60.0)
ATTEMPTS = 5
BACKOFF_SECONDS = 0.5
LONGEST_RETRY_AFTER = 60.0
BUSY_STATUSES = (429, 500, 502, 503, 504)
MOST_REDIRECTS = 5
# Each request that hangs holds a thread and a socket, of which a process has about a thousand.
MOST_HANGING = 250
USER_AGENT = f"{config.PROGRAM}/{__version__} (+https://covidtracking.com/data/api)"
# Everything that a server can bring about; `requests` lets some of urllib3's and http.client's errors through. A
# certificate file that is missing here raises a plain OSError, which a person has to mend.
REQUEST_ERRORS = (requests.RequestException, HTTPError, http.client.HTTPException, ValueError)

# The program logs what fails itself; urllib3 would log malformed headers with a traceback, and go on.
logging.getLogger("urllib3").setLevel(logging.ERROR)


def within(seconds: float, call: Callable[[], T]) -> T:
    """The result of a call, or what it raises; after so many seconds `TimeoutError`, and its thread is left behind.

    No other way ends every request in time: the look-up of a host's address has no limit, and a server may send one
    byte now and then.
    """
    future: Future[T] = Future()

    def settle() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    with as_usage_error("no thread can be started", "lower --jobs", RuntimeError):
        threading.Thread(target=settle, daemon=True).start()
    return future.result(seconds)


class Session(requests.Session):
    """A session of `requests`, used by many threads at once."""

    def __init__(self, jobs: int = 1) -> None:
        super().__init__()
        self.headers["User-Agent"] = USER_AGENT
        for scheme in ("http://", "https://"):
            self.mount(scheme, HTTPAdapter(pool_maxsize=jobs))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None, so that `requests` follows no redirect: it would read the whole body first."""

    @contextmanager
    def ask(
        self, url: str, seconds: tuple[float, float], headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Iterator[requests.Response]:
        """The response to a GET, or with a body to a POST; the response's own body is not read yet.

        `seconds` limits connecting, and the time between two bytes. Raises one of `REQUEST_ERRORS`.
        """
        method = "POST" if body else "GET"
        for _ in range(MOST_REDIRECTS + 1):
            with self.request(method, url, data=body, stream=True, timeout=seconds, headers=headers) as response:
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


class BusyError(TransientError):
    """The server is there, but too busy to answer."""


class Patience:
    """The time that a run may lose to a source that gives it nothing; its `jobs` threads share it.

    After a minute without an answer nothing is asked for twice, and each request is cut to `MOMENT * jobs` seconds,
    so that the documents that are left take half a minute at most. An answer gives the minute back.
    """

    LONGEST, MOMENT = 60.0, 0.4

    def __init__(self, jobs: int) -> None:
        self._jobs, self._lock = jobs, threading.Lock()
        self._lost = self._waited = self._waiting_until = 0.0

    @contextmanager
    def request(self) -> Iterator[float]:
        """The seconds that a request in the block may take; its time is lost if it ends in a `DocumentError`."""
        started, is_answered = time.monotonic(), True
        try:
            yield max(self.LONGEST - self._lost / self._jobs, self.MOMENT * self._jobs)
        except DocumentError:
            is_answered = False
            raise
        finally:
            with self._lock:
                self._lost = 0.0 if is_answered else self._lost + time.monotonic() - started

    def wait(self, seconds: float) -> bool:
        """Waits before another attempt; returns False instead if the run has waited or lost too much.

        A time in which several threads wait counts once.
        """
        now = time.monotonic()
        with self._lock:
            until = max(self._waiting_until, now + seconds)
            waited = self._waited + until - max(self._waiting_until, now)
            if waited > self.LONGEST or self._lost >= self.LONGEST * self._jobs:
                return False
            self._waited, self._waiting_until, self._lost = waited, until, self._lost + seconds
        time.sleep(seconds)
        return True


class HttpSource:
    """A base address that holds `us/` and `states/`; used by many threads at once.

    `seconds` limits the time to connect, and the time for the whole of a request.
    """

    def __init__(self, base: str, name: str, jobs: int, seconds: tuple[float, float] | None = None) -> None:
        self.name = name
        self._shown, self._seconds = source.without_password(base), seconds or REQUEST_SECONDS
        self._base, mark, query = base.partition("#")[0].partition("?")
        self._query = mark + query
        self._connected = self._unreachable = False
        self._patience = Patience(jobs)
        self._most_threads = MOST_HANGING + 2 * jobs
        self._session = Session(jobs)
        self._session.headers.update({"Accept-Encoding": "gzip", "Accept": "application/json"})

    def fetch(self, address: str, known: Validators = NOTHING_KNOWN) -> Received:
        """GETs a document, at most `ATTEMPTS` times where a failure may pass.

        A host that never took a connection is not asked again, which would only take long.
        """
        failures = 0
        while not self._unreachable:
            try:
                return self.ask(address, known)
            except TransientError as error:
                failures += 1
                # The waits grow, and are never in step with those of other requests.
                backoff = BACKOFF_SECONDS * (2 ** (failures - 1) + random.random())  # noqa: S311 (no secret)
                if failures == ATTEMPTS or not self._patience.wait(error.wait or backoff):
                    self._unreachable = not self._connected
                    raise
                log.warning("asking again", extra={"url": f"{self._shown}/{address}", "reason": str(error)})
        raise DocumentError(source.NOT_ASKED)

    def ask(self, address: str, known: Validators = NOTHING_KNOWN) -> Received:
        """GETs a document once; raises as `fetch` does, and `TransientError` where another attempt may help."""
        if threading.active_count() > self._most_threads:
            raise DocumentError("not asked for, since too many requests hang")
        with self._patience.request() as longest:
            seconds = min(self._seconds[1], longest)
            try:
                return within(seconds, lambda: self._get(address, known, time.monotonic() + seconds))
            except TimeoutError as error:
                raise DocumentError(f"not complete after {seconds:.3g} s") from error

    def _get(self, address: str, known: Validators, deadline: float) -> Received:
        """The answer; nobody waits for it after the deadline, a time of `time.monotonic()`."""
        url = f"{self._base}/{address}{self._query}"
        # A thread that was left behind ends when its server has been silent for so long.
        seconds = (self._seconds[0], sum(self._seconds))
        try:
            with self._session.ask(url, seconds, known.headers) as response:
                self._connected = True
                _check_status(response, known)
                headers, parts = response.headers, _parts(response, deadline)
                is_packed = headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip")
                return take_in(parts, packed=is_packed, validators=Validators.of(headers))
        except REQUEST_ERRORS as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> DocumentError:
        """The error for a failed request, or for a body that broke off; notes whether the host was reached."""
        causes = list(_causes(error))
        if not any(isinstance(cause, NewConnectionError | ConnectTimeoutError) for cause in causes):
            self._connected = True
        reason = " ".join(str(causes[-1]).split()) or type(causes[-1]).__name__
        if isinstance(error, HTTPError):
            return TransientError(f"cut off: {reason}")
        return TransientError(reason) if isinstance(error, requests.ConnectionError) else DocumentError(reason)


def _check_status(response: requests.Response, known: Validators) -> None:
    status = response.status_code
    text = f"status {status}"
    if status == 304 and known.headers:
        raise NotModified(text)
    if status == 404:
        raise Missing(text)
    if status in BUSY_STATUSES:
        raise BusyError(text, retry_after(response.headers.get("Retry-After", "")))
    if status != 200:
        raise DocumentError(text)


def retry_after(header: str) -> float | None:
    """The seconds that a Retry-After asks for, at most `LONGEST_RETRY_AFTER`; None if it is malformed or past.

    It is a number of seconds or a date (RFC 9110, 10.2.3).
    """
    try:
        seconds = float(header) if header.isdecimal() else parsedate_to_datetime(header).timestamp() - time.time()
    except (ValueError, ArithmeticError, LookupError, TypeError, OSError):
        # The parser of dates raises many kinds of errors.
        return None
    return min(seconds, LONGEST_RETRY_AFTER) if seconds > 0 else None


def _parts(response: requests.Response, deadline: float) -> Iterator[bytes]:
    """The body as sent, in parts; decoding by `requests` would know no limits of size."""
    while part := response.raw.read1(source.PART, decode_content=False):
        if time.monotonic() > deadline:
            raise TimeoutError
        yield part


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those that caused it; urllib3 keeps some as `reason`."""
    cause: object = error
    while isinstance(cause, BaseException):
        yield cause
        cause = getattr(cause, "reason", None) or cause.__cause__ or cause.__context__
