"""A source over HTTP: the API, or a copy of it in the API's layout."""

import random
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from etl import __version__, config
from etl.errors import DocumentError
from etl.extract import source
from etl.extract.source import NOTHING_KNOWN, Missing, NotModified, Received, TransientError, Validators
from etl.logs import log

# The limits to connect, and for the whole of a request.
REQUEST_SECONDS = (10.0, 60.0)
ATTEMPTS = 5
BACKOFF_SECONDS = 0.5
LONGEST_RETRY_AFTER = 60.0
BUSY_STATUSES = (429, 500, 502, 503, 504)
CHUNK = 64 * 1024
USER_AGENT = f"{config.PROGRAM}/{__version__} (+https://covidtracking.com/data/api)"


class BusyError(TransientError):
    """The server is there, but too busy to answer."""


class HttpSource:
    """A base address that holds `us/` and `states/`; used by many threads at once.

    `seconds` limits the time to connect, and the time for the whole of a request.
    """

    def __init__(self, base: str, name: str, jobs: int, seconds: tuple[float, float] = REQUEST_SECONDS) -> None:
        self.name = name
        self._base, self._shown, self._seconds = base, source.without_password(base), seconds
        self._connected = self._unreachable = False
        self._session = requests.Session()
        self._session.headers.update(
            {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", "Accept": "application/json"}
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=jobs))

    def fetch(self, address: str, known: Validators = NOTHING_KNOWN) -> Received:
        """GETs a document, at most `ATTEMPTS` times where a failure may pass.

        A host that never took a connection is not asked again, which would only take long.
        """
        if self._unreachable:
            raise DocumentError(source.NOT_ASKED)
        failures = 0
        while True:
            try:
                return self.ask(address, known)
            except TransientError as error:
                failures += 1
                if failures == ATTEMPTS:
                    self._unreachable = not self._connected
                    raise
                log.warning("asking again", extra={"url": f"{self._shown}/{address}", "reason": str(error)})
                # The waits grow, and are never in step with those of other requests.
                backoff = BACKOFF_SECONDS * (2 ** (failures - 1) + random.random())  # noqa: S311 (no secret)
                time.sleep(error.wait or backoff)

    def ask(self, address: str, known: Validators = NOTHING_KNOWN) -> Received:
        """GETs a document once; raises as `fetch` does, and `TransientError` where another attempt may help."""
        deadline = time.monotonic() + self._seconds[1]
        url = f"{self._base}/{address}"
        try:
            with self._session.get(url, stream=True, timeout=self._seconds, headers=known.headers) as response:
                self._connected = True
                _check_status(response, known)
                return _receive(response, deadline)
        except (requests.RequestException, HTTPError, TimeoutError) as error:
            raise self._failure(error, deadline) from error

    def _failure(self, error: Exception, deadline: float) -> DocumentError:
        """The error for a failed request, or for a body that broke off; notes whether the host was reached."""
        causes = list(_causes(error))
        if not any(isinstance(cause, NewConnectionError | ConnectTimeoutError) for cause in causes):
            self._connected = True
            if time.monotonic() > deadline:
                return DocumentError(f"not complete after {self._seconds[1]:g} s")
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
    except (ValueError, OverflowError):
        return None
    return min(seconds, LONGEST_RETRY_AFTER) if seconds > 0 else None


def _receive(response: requests.Response, deadline: float) -> Received:
    """Reads the body as sent, within the limits of time and size, which decoding by `requests` would not keep."""
    body = bytearray()
    # A read returns the bytes that have come so far, so that the clock is looked at however slowly they come.
    while chunk := response.raw.read1(CHUNK, decode_content=False):
        body += chunk
        source.check_size(len(body))
        if time.monotonic() > deadline:
            raise TimeoutError
    validators = Validators.of(response.headers)
    packed = response.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip")
    return (source.decompress if packed else source.compress)(bytes(body), validators)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those that caused it; urllib3 keeps some as `reason`."""
    cause: object = error
    while isinstance(cause, BaseException):
        yield cause
        cause = getattr(cause, "reason", None) or cause.__cause__ or cause.__context__
