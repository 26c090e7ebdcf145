"""A source over HTTP: the API, or a copy of it in the API's layout."""

import random
import threading
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from etl.errors import DocumentError
from etl.extract import source
from etl.extract.session import REQUEST_ERRORS, Session
from etl.extract.source import NOTHING_KNOWN, Intake, Missing, NotModified, Received, TransientError, Validators
from etl.logs import log

# The limits to connect, and for the whole of a request.
REQUEST_SECONDS = (10.0, 60.0)
ATTEMPTS = 5
BACKOFF_SECONDS = 0.5
LONGEST_RETRY_AFTER = 60.0
BUSY_STATUSES = (429, 500, 502, 503, 504)
CHUNK = 64 * 1024


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

    @property
    def left(self) -> float:
        """The seconds that a request may take."""
        return max(self.LONGEST - self._lost / self._jobs, self.MOMENT * self._jobs)

    def lose(self, seconds: float) -> None:
        """Notes the time of a request that failed."""
        with self._lock:
            self._lost += seconds

    def restore(self) -> None:
        """Notes an answer."""
        self._lost = 0.0

    def wait(self, seconds: float) -> bool:
        """Waits before another attempt, if in all of the run so much waiting is left; threads may wait together."""
        now = time.monotonic()
        with self._lock:
            waited = self._waited + max(0.0, now + seconds - max(now, self._waiting_until))
            if waited > self.LONGEST or self._lost >= self.LONGEST * self._jobs:
                return False
            self._waited, self._lost = waited, self._lost + seconds
            self._waiting_until = max(self._waiting_until, now + seconds)
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
        started = time.monotonic()
        connecting, whole = self._seconds[0], min(self._seconds[1], self._patience.left)
        try:
            with self._session.ask(
                f"{self._base}/{address}{self._query}", (connecting, whole), known.headers
            ) as response:
                self._connected = True
                _check_status(response, known)
                received = _receive(response)
        except (Missing, NotModified):
            self._patience.restore()
            raise
        except (DocumentError, *REQUEST_ERRORS) as error:
            lost = time.monotonic() - started
            self._patience.lose(lost)
            if isinstance(error, DocumentError):
                raise
            raise self._failure(error, f"not complete after {whole:.3g} s" if lost >= whole else "") from error
        self._patience.restore()
        return received

    def _failure(self, error: Exception, timeout: str) -> DocumentError:
        """The error for a failed request, or for a body that broke off; notes whether the host was reached."""
        causes = list(_causes(error))
        if not any(isinstance(cause, NewConnectionError | ConnectTimeoutError) for cause in causes):
            self._connected = True
            if timeout:
                return DocumentError(timeout)
        # A server's own words may hold control characters, of which a log and the database take not every one.
        words = "".join(letter if letter.isprintable() else " " for letter in str(causes[-1])).split()
        reason = " ".join(words) or type(causes[-1]).__name__
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


def _receive(response: requests.Response) -> Received:
    """Reads the body as sent, within the limits of size, which decoding by `requests` would not keep."""
    intake = Intake(packed=response.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip"))
    while chunk := response.raw.read1(CHUNK, decode_content=False):
        intake.add(chunk)
    return intake.received(Validators.of(response.headers))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those that caused it; urllib3 keeps some as `reason`."""
    cause: object = error
    while isinstance(cause, BaseException):
        yield cause
        cause = getattr(cause, "reason", None) or cause.__cause__ or cause.__context__
