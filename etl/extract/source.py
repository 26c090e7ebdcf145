"""The parts that all sources share: the document as received, the errors in its place, the limits of size."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, Self
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from etl.errors import DocumentError, UsageError

# In bytes; the largest real document has 2 million, and a tenth of a million compressed.
LARGEST_DOCUMENT, LARGEST_COMPRESSED = 24 * 2**20, 8 * 2**20
# A larger body is not kept beside its compressed form, so that four documents under way have less than 64 MB.
LARGEST_KEPT = 4 * 2**20
# So many bytes of a body or a file are read at a time.
PART = 64 * 1024
# Gzip data is read in pieces of so many bytes, each of which becomes at most a thousand times as large.
PIECE = 4096
# The `wbits` by which zlib expects gzip data, and not its own format.
GZIP = 31
# msgspec raises these for bytes that are no JSON, or JSON of another shape.
DECODING_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
NOT_ASKED = "not asked for, since the source cannot be reached"


class Validators(Struct, frozen=True):
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


class Received(Struct, frozen=True):
    """A complete document as gzip data: as received if the source compressed it, else compressed here.

    `size` counts the bytes of its body, and `kept` is the body itself unless it is large.
    """

    compressed: bytes
    sha256: str
    size: int
    validators: Validators = NOTHING_KNOWN
    kept: bytes | None = None

    @property
    def body(self) -> bytes:
        """The document itself, which is decompressed at each call where it is large."""
        return b"".join(gunzip([self.compressed])) if self.kept is None else self.kept


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
    """The address without user, password and query, as it may be shown; raises `UsageError` if it names no server."""
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0:
            raise ValueError
    except ValueError:
        # The message leaves the address out, which may hold a password anywhere.
        raise UsageError("the URL of the source names no server: give it as https://HOST[:PORT]/PATH") from None
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def gunzip(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The data of one or more gzip members, however these are cut into parts; the time is linear in their size.

    Raises `TransientError` if they are damaged, or if the last one lacks its end.
    """
    member = zlib.decompressobj(GZIP)
    try:
        for piece in (part[start : start + PIECE] for part in parts for start in range(0, len(part), PIECE)):
            # Zeros may fill the space behind a member.
            rest = piece.lstrip(b"\0") if member.eof else piece
            while rest:
                member = zlib.decompressobj(GZIP) if member.eof else member
                yield member.decompress(rest)
                rest = member.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise TransientError(f"damaged gzip: {error}") from error
    if not member.eof:
        raise TransientError("cut off within gzip data")


def take_in(parts: Iterable[bytes], *, packed: bool, validators: Validators = NOTHING_KNOWN) -> Received:
    """The document that comes in parts, gzip-compressed or plain.

    Raises `TransientError` if it is damaged, `DocumentError` if it is too large.
    """
    compressed, body, sha256, size = bytearray(), list[bytes](), hashlib.sha256(), 0
    # Level 1 takes a tenth of the time of level 9, for twice the size.
    packer = zlib.compressobj(1, zlib.DEFLATED, GZIP)

    def noted() -> Iterator[bytes]:
        for part in parts:
            compressed.extend(part if packed else packer.compress(part))
            _check_size(len(compressed), LARGEST_COMPRESSED, " compressed")
            yield part

    for piece in gunzip(noted()) if packed else noted():
        size += len(piece)
        _check_size(size, LARGEST_DOCUMENT)
        sha256.update(piece)
        if size <= LARGEST_KEPT:
            body.append(piece)
    if not packed:
        compressed += packer.flush()
    kept = b"".join(body) if size <= LARGEST_KEPT else None
    return Received(bytes(compressed), sha256.hexdigest(), size, validators, kept)


def _check_size(count: int, limit: int, form: str = "") -> None:
    """Raises `DocumentError` for more bytes than a document may have."""
    if count > limit:
        raise DocumentError(f"larger than {limit} bytes{form}")
