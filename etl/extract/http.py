"""Gets documents from a source: the API or a copy of it over HTTP, or a directory in the API's layout.

A source returns the bytes as received. It says `Missing` for a document that the source does not
have, and raises `DocumentError` where no complete answer could be had.
"""

import gzip
import hashlib
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from etl import __version__, config
from etl.errors import DocumentError, SourceError, UsageError
from etl.logs import get_logger

if TYPE_CHECKING:
    import requests
    from urllib3 import BaseHTTPResponse

REQUEST_SECONDS = 60
CONNECT_SECONDS = 10
LARGEST_DOCUMENT = 64 * 2**20
STATUS_RETRIES = 4
BODY_ATTEMPTS = 3
LONGEST_RETRY_AFTER = 60
BACKOFF_SECONDS = 0.5
PROBE_SECONDS = (3, 5)
CHUNK = 64 * 1024
# The probe of `auto`: a small document that will never be rebuilt with other content.
PROBE_ADDRESS = "us/daily/2021-03-07.json"
USER_AGENT = f"{config.PROGRAM}/{__version__} (+https://covidtracking.com/data/api)"

log = get_logger()


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells a server which version of a document is known already; as the server gave it."""

    etag: str | None = None
    last_modified: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The request headers that ask for the document only if it has changed."""
        found = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in found.items() if value}


NOTHING_KNOWN = Validators()
NOT_ASKED = "not asked for, since the source cannot be reached"


@dataclass(frozen=True, slots=True)
class Received:
    """A complete document: its body, and the same gzip-compressed, as received where it came so."""

    body: bytes
    compressed: bytes
    sha256: str
    validators: Validators = NOTHING_KNOWN


class Missing(Exception):
    """The source does not have the document (404, or no such file)."""


class NotModified(Exception):
    """The source says that the document is the one that the validators name (304)."""


class _CutOffError(DocumentError):
    """The body ended, or failed, midway: worth another try."""


class Source(Protocol):
    """Where documents come from."""

    name: str

    def fetch(self, address: str, known: Validators = NOTHING_KNOWN) -> Received:
        """The document at an address such as `us/daily.json`.

        Raises `Missing`, `NotModified` (only where validators were given), or `DocumentError`.
        """


def open_source(spec: str, environ: Mapping[str, str], jobs: int) -> Source:
    """The source that `--source` names, other than `auto`."""
    api = config.api_url(environ)
    if spec == "snapshot":
        return DirectorySource(config.SNAPSHOT, "snapshot")
    if spec in ("api", api):
        return HttpSource(api, "api", jobs)
    if spec.startswith(("http://", "https://")):
        return HttpSource(spec.rstrip("/"), _without_password(spec.rstrip("/")), jobs)
    folder = Path(unquote(urlsplit(spec).path) if spec.startswith("file://") else spec).expanduser()
    if not folder.is_dir():
        raise UsageError(f"--source {spec!r} is neither auto, api, snapshot, a URL, nor a directory that is there")
    return DirectorySource(folder, str(folder.resolve()))


def _without_password(url: str) -> str:
    """The address as it may be shown and stored: without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def resolve_auto(environ: Mapping[str, str], *, loaded_from_api: bool) -> str:
    """`api`, or `snapshot` where the API is gone and this database never had its values.

    Raises `SourceError` where it had: the snapshot would withdraw values that only the API had.
    """
    api = config.api_url(environ)
    problem = _probe(api)
    if problem is None:
        return "api"
    if loaded_from_api:
        raise SourceError(
            f"the API does not answer ({problem}), and this database was loaded from it before: "
            "try later, or choose with --source snapshot"
        )
    log.warning("API unavailable: shipped snapshot used", extra={"api": api, "reason": problem})
    return "snapshot"


def _probe(api: str) -> str | None:
    """What is wrong with the API for good, from one GET without retries; None if it is there or busy."""
    import requests

    try:
        response = requests.get(f"{api}/{PROBE_ADDRESS}", timeout=PROBE_SECONDS, headers={"User-Agent": USER_AGENT})
    except requests.RequestException as error:
        return _reason(error)
    if response.status_code == 429 or response.status_code >= 500:
        return None
    if response.status_code != 200:
        return f"status {response.status_code}"
    try:
        response.json()
    except requests.JSONDecodeError:
        return "no JSON"
    return None


class HttpSource:
    """A base address that holds `us/` and `states/`."""

    def __init__(self, base: str, name: str, jobs: int) -> None:
        self.base = base
        self.name = name
        self._session = _session(jobs)
        self._unreachable = False

    def fetch(self, address: str, known: Validators = NOTHING_KNOWN) -> Received:
        """GETs a document: bad statuses are retried by urllib3, bodies cut off midway here."""
        import stamina

        if self._unreachable:
            raise DocumentError(NOT_ASKED)
        stamina.instrumentation.set_on_retry_hooks([])
        for attempt in stamina.retry_context(
            on=_CutOffError, attempts=BODY_ATTEMPTS, timeout=None, wait_initial=BACKOFF_SECONDS
        ):
            if attempt.num > 1:
                log.warning("asking again", extra={"address": address, "reason": "cut off"})
            with attempt:
                return self._get(address, known)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _get(self, address: str, known: Validators) -> Received:
        import requests

        deadline = time.monotonic() + REQUEST_SECONDS
        try:
            timeout = (CONNECT_SECONDS, REQUEST_SECONDS)
            url = f"{self.base}/{address}"
            with self._session.get(url, stream=True, timeout=timeout, headers=known.headers) as response:
                if response.status_code == 304 and known.headers:
                    raise NotModified(address)
                if response.status_code == 404:
                    raise Missing(address)
                if response.status_code != 200:
                    raise DocumentError(f"status {response.status_code}")
                return _receive(response, deadline)
        except requests.ConnectionError as error:
            # After all retries: asking for each of the other documents would only take long.
            self._unreachable = True
            raise DocumentError(_reason(error)) from error
        except requests.RequestException as error:
            raise DocumentError(_reason(error)) from error


def _session(jobs: int) -> "requests.Session":
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    class LoggedRetry(Retry):
        def sleep(self, response: "BaseHTTPResponse | None" = None) -> None:
            last = self.history[-1]
            log.warning("asking again", extra={"url": last.url, "reason": last.status or _reason(last.error)})
            super().sleep(response)

    retry = LoggedRetry(
        total=STATUS_RETRIES,
        status_forcelist=(429, 500, 502, 503, 504),
        backoff_factor=BACKOFF_SECONDS,
        backoff_jitter=BACKOFF_SECONDS,
        retry_after_max=LONGEST_RETRY_AFTER,
        raise_on_status=False,
    )
    session = requests.Session()
    adapter = HTTPAdapter(max_retries=retry, pool_maxsize=jobs)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", "Accept": "application/json"})
    return session


def _receive(response: "requests.Response", deadline: float) -> Received:
    """Reads the body as sent, within the limits of time and size; gzip is decoded here, to keep both."""
    from urllib3.exceptions import HTTPError

    received = bytearray()
    try:
        for chunk in response.raw.stream(CHUNK, decode_content=False):
            received += chunk
            if time.monotonic() > deadline:
                raise DocumentError(f"not complete after {REQUEST_SECONDS} s")
            if len(received) > LARGEST_DOCUMENT:
                raise DocumentError(f"larger than {LARGEST_DOCUMENT} bytes")
    except HTTPError as error:
        raise _CutOffError(f"cut off after {len(received)} bytes: {_reason(error)}") from error
    validators = Validators(response.headers.get("ETag"), response.headers.get("Last-Modified"))
    if response.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip"):
        return decompressed(bytes(received), validators)
    return _compressed(bytes(received), validators)


def decompressed(data: bytes, validators: Validators = NOTHING_KNOWN) -> Received:
    """Of gzip data, of one or more members; raises `DocumentError` if it is cut off, damaged or too large."""
    body, rest = bytearray(), data
    while rest:
        decoder = zlib.decompressobj(wbits=31)
        try:
            body += decoder.decompress(rest, LARGEST_DOCUMENT + 1 - len(body))
        except zlib.error as error:
            raise _CutOffError(f"damaged gzip: {error}") from error
        if len(body) > LARGEST_DOCUMENT:
            raise DocumentError(f"larger than {LARGEST_DOCUMENT} bytes when decompressed")
        if not decoder.eof:
            raise _CutOffError("cut off within gzip data")
        rest = decoder.unused_data
    return Received(bytes(body), data, hashlib.sha256(body).hexdigest(), validators)


def _compressed(body: bytes, validators: Validators = NOTHING_KNOWN) -> Received:
    # Level 1: twice the size of level 9 for a tenth of its time, and only for sources that do not compress.
    packed = gzip.compress(body, compresslevel=1, mtime=0)
    return Received(body, packed, hashlib.sha256(body).hexdigest(), validators)


def _reason(error: BaseException | None) -> str:
    """The innermost message of a network error, on one line."""
    inner = error
    while isinstance(inner, BaseException):
        error = inner
        inner = getattr(error, "reason", None) or error.__cause__ or error.__context__
    return " ".join(str(error).split()) or type(error).__name__


class DirectorySource:
    """The API as files: each plain or `.gz`; a single day without a file is cut from the history."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self._days: Callable[[str], dict[str, Received]] = lru_cache(maxsize=4)(self._cut_into_days)

    def fetch(self, address: str, known: Validators = NOTHING_KNOWN) -> Received:  # noqa: ARG002 (files have none)
        """Reads a document; a missing single day is made of its history's `meta` and its row."""
        try:
            return self._read(address)
        except Missing:
            history, day = history_of(address)
            if not day:
                raise
            try:
                return self._days(history)[day]
            except KeyError:
                raise Missing(address) from None

    def _read(self, address: str) -> Received:
        path = self.folder / address
        try:
            if path.is_file():
                return _compressed(path.read_bytes())
            return decompressed(path.with_name(path.name + ".gz").read_bytes())
        except FileNotFoundError as error:
            raise Missing(address) from error
        except OSError as error:
            raise DocumentError(f"cannot be read: {error.strerror}") from error

    def _cut_into_days(self, history: str) -> dict[str, Received]:
        """The single-day documents that a history holds, by day."""
        import msgspec

        class Dated(msgspec.Struct):
            date: str

        class History(msgspec.Struct):
            meta: msgspec.Raw
            data: list[msgspec.Raw]

        try:
            whole = msgspec.json.decode(self._read(history).body, type=History)
            rows = {msgspec.json.decode(row, type=Dated).date: bytes(row) for row in whole.data}
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DocumentError(f"{history} has no days to cut: {error}") from error
        meta = bytes(whole.meta)
        return {day: _compressed(b'{"meta":%b,"data":%b}' % (meta, row)) for day, row in rows.items()}


def history_of(address: str) -> tuple[str, str | None]:
    """The history of a single day's address, and the day: us/daily/D.json, states/ca/D.json."""
    folder, _, name = address.rpartition("/")
    day = name.removesuffix(".json")
    try:
        date.fromisoformat(day)
    except ValueError:
        return address, None
    return (f"{folder}.json" if folder == "us/daily" else f"{folder}/daily.json"), day
