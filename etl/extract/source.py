"""The parts that all sources share: the document as received, the errors in its place, the limits of size."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self
from urllib.parse import urlsplit

import msgspec

from etl.errors import DocumentError, UsageError

# In bytes, before and after decompression; the largest real document has 2 million.
LARGEST_DOCUMENT = 24 * 2**20
# msgspec raises these for bytes that are no JSON, or JSON of another shape.
DECODING_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
NOT_ASKED = "not asked for, since the source cannot be reached"


@dataclass(frozen=True, slots=True)
class Validators:
    """The version of a document that is known already, in the words of the server."""

    etag: str | None = None
    last_modified: str | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self:
        """The validators in the headers of an answer, without those that cannot be stored or sent again."""
        found = (headers.get(name, "") for name in ("ETag", "Last-Modified"))
        return cls(*(text if text and text.isascii() and text.isprintable() else None for text in found))

    @property
    def headers(self) -> dict[str, str]:
        """The request headers that ask for the document only if it has changed."""
        found = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in found.items() if value}


NOTHING_KNOWN = Validators()


@dataclass(frozen=True, slots=True)
class Received:
    """A complete document: its body, and the body gzip-compressed, as received where the source compressed it."""

    body: bytes
    compressed: bytes
    sha256: str
    validators: Validators = NOTHING_KNOWN


class Missing(Exception):
    """The source lacks the document: the answer was 404, or there is no such file."""


class NotModified(Exception):
    """The document is still the one that the validators name: the answer was 304."""


class TransientError(DocumentError):
    """A failure that may pass; `wait` is the time in seconds that the server asks to be left alone."""

    def __init__(self, text: str, wait: float | None = None) -> None:
        super().__init__(text)
        self.wait = wait


class Source(Protocol):
    """A place that documents come from, such as the API or a directory."""

    name: str

    def fetch(self, address: str, known: Validators = NOTHING_KNOWN) -> Received:
        """The document at an address such as `us/daily.json`.

        Raises `Missing`, `NotModified` (only where validators were given), or `DocumentError`.
        """


def without_password(url: str) -> str:
    """The address without user and password, as it may be shown; raises `UsageError` if it names no server."""
    try:
        parts = urlsplit(url)
        named = parts.hostname and parts.port != 0
    except ValueError:
        named = None
    if not named:
        # The message leaves the address out, which may hold a password anywhere.
        raise UsageError("the URL of the source names no server: give it as https://HOST[:PORT]/PATH")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def check_size(count: int) -> None:
    """Raises `DocumentError` for more bytes than a document may have."""
    if count > LARGEST_DOCUMENT:
        raise DocumentError(f"larger than {LARGEST_DOCUMENT} bytes")


def compress(body: bytes, validators: Validators = NOTHING_KNOWN) -> Received:
    """A document that came uncompressed; raises `DocumentError` if it is too large."""
    check_size(len(body))
    # Level 1 takes a tenth of the time of level 9, for twice the size.
    packed = gzip.compress(body, compresslevel=1, mtime=0)
    return Received(body, packed, hashlib.sha256(body).hexdigest(), validators)


def decompress(data: bytes, validators: Validators = NOTHING_KNOWN) -> Received:
    """A document that came as gzip data of one or more members.

    Raises `TransientError` if the data is cut off or damaged, `DocumentError` if it is too large.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            body = file.read(LARGEST_DOCUMENT + 1)
    except EOFError as error:
        raise TransientError("cut off within gzip data") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise TransientError(f"damaged gzip: {error}") from error
    check_size(len(body))
    return Received(body, data, hashlib.sha256(body).hexdigest(), validators)
