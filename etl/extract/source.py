"""The parts that all sources share: the document as received, the errors in its place, the limits of size."""

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, Self
from urllib.parse import urlsplit

import msgspec

from etl.errors import DocumentError, UsageError

# In bytes; the largest real document has 2 million, and a tenth of a million compressed.
LARGEST_DOCUMENT, LARGEST_COMPRESSED = 24 * 2**20, 8 * 2**20
# A larger body is not kept beside its compressed form, so that four documents under way have less than 64 MB.
LARGEST_KEPT = 4 * 2**20
# Gzip data is read in pieces of so many bytes, each of which becomes at most a thousand times as large.
PIECE = 4096
# zlib's word for gzip data, where it would expect a form of its own.
GZIP = 31
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
    """A complete document, gzip-compressed, as received where the source did that; `size` is that of its body."""

    compressed: bytes
    sha256: str
    size: int
    validators: Validators = NOTHING_KNOWN
    kept: bytes | None = None

    @property
    def body(self) -> bytes:
        """The document itself, which is decompressed anew where it is large."""
        return b"".join(Gunzip().pieces(self.compressed)) if self.kept is None else self.kept


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
        named = parts.hostname and parts.port != 0
    except ValueError:
        named = None
    if not named:
        # The message leaves the address out, which may hold a password anywhere.
        raise UsageError("the URL of the source names no server: give it as https://HOST[:PORT]/PATH")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


class Gunzip:
    """Decompresses gzip data of one or more members, however it is cut into parts, in a time that grows with it."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(GZIP)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What a part of the data becomes; raises `zlib.error` if it is damaged."""
        for start in range(0, len(data), PIECE):
            rest = data[start : start + PIECE]
            while rest:
                if self._member.eof:
                    # Zeros may fill the space behind a member.
                    if not (rest := rest.lstrip(b"\0")):
                        break
                    self._member = zlib.decompressobj(GZIP)
                yield self._member.decompress(rest)
                rest = self._member.unused_data

    @property
    def is_complete(self) -> bool:
        """Whether the last member has its end."""
        return self._member.eof


class Intake:
    """Takes in the parts of one document as they come, gzip-compressed or plain, within the limits of size."""

    def __init__(self, *, packed: bool) -> None:
        self._gunzip = Gunzip() if packed else None
        # Level 1 takes a tenth of the time of level 9, for twice the size.
        self._packer = None if packed else zlib.compressobj(1, zlib.DEFLATED, GZIP)
        self._sha256, self._size = hashlib.sha256(), 0
        self._compressed, self._body = bytearray(), list[bytes]()

    def add(self, part: bytes) -> None:
        """Takes in a part; raises `TransientError` if it is damaged, `DocumentError` if it is too much."""
        try:
            self._compressed += self._packer.compress(part) if self._packer else part
            for piece in self._gunzip.pieces(part) if self._gunzip else [part]:
                self._take(piece)
        except zlib.error as error:
            raise TransientError(f"damaged gzip: {error}") from error

    def received(self, validators: Validators = NOTHING_KNOWN) -> Received:
        """The document, now that all of it has come; raises as `add` does."""
        if self._packer:
            self._compressed += self._packer.flush()
        if self._gunzip and not self._gunzip.is_complete:
            raise TransientError("cut off within gzip data")
        _check_size(len(self._compressed), LARGEST_COMPRESSED, " compressed")
        kept = b"".join(self._body) if self._size <= LARGEST_KEPT else None
        return Received(bytes(self._compressed), self._sha256.hexdigest(), self._size, validators, kept)

    def _take(self, piece: bytes) -> None:
        self._size += len(piece)
        _check_size(self._size, LARGEST_DOCUMENT)
        _check_size(len(self._compressed), LARGEST_COMPRESSED, " compressed")
        self._sha256.update(piece)
        if self._size <= LARGEST_KEPT:
            self._body.append(piece)
        else:
            self._body.clear()


def take_in(data: bytes, *, packed: bool) -> Received:
    """A document that is there as a whole; raises as `Intake` does."""
    intake = Intake(packed=packed)
    intake.add(data)
    return intake.received()


def _check_size(count: int, limit: int, form: str = "") -> None:
    """Raises `DocumentError` for more bytes than a document may have."""
    if count > limit:
        raise DocumentError(f"larger than {limit} bytes{form}")
