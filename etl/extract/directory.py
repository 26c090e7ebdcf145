"""A source of files: a directory in the layout of the API."""

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import msgspec

from etl.errors import DocumentError
from etl.extract.source import DECODING_ERRORS, NOTHING_KNOWN, PART, Missing, Received, Validators, take_in
from etl.transform.locations import history_of


class _Dated(msgspec.Struct):
    """A report, of which only the day is read."""

    date: str


class _History(msgspec.Struct):
    meta: msgspec.Raw
    data: list[msgspec.Raw]


class DirectorySource:
    """A directory of documents, each plain or as `.gz`; a single day without a file is cut from the history.

    `history` returns the `meta` of the history at an address, and its reports by day as written there.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.history: Callable[[str], tuple[bytes, dict[str, bytes]]] = lru_cache(maxsize=4)(self._cut_into_days)

    def fetch(self, address: str, known: Validators = NOTHING_KNOWN) -> Received:  # noqa: ARG002 (files have none)
        """The document at an address; a single day without a file has its history's `meta` and its row."""
        try:
            return self.read(address)
        except Missing:
            history, day = history_of(address)
            meta, rows = self.history(history) if day else (b"", {})
            if day in rows:
                return take_in([b'{"meta":%b,"data":%b}' % (meta, rows[day])], packed=False)
            raise

    def read(self, address: str) -> Received:
        """The document that has a file of its own; raises as `fetch` does."""
        path = self.folder / address
        try:
            file = path if path.exists() else path.with_name(f"{path.name}.gz")
            if not file.exists():
                raise Missing("no such file")
            # A pipe, or a device, would keep its reader waiting.
            if not file.is_file():
                raise DocumentError("is no regular file")
            with file.open("rb") as opened:
                return take_in(iter(partial(opened.read, PART), b""), packed=file is not path)
        except OSError as error:
            raise DocumentError(f"cannot be read: {error.strerror}") from error

    def _cut_into_days(self, history: str) -> tuple[bytes, dict[str, bytes]]:
        try:
            whole = msgspec.json.decode(self.read(history).body, type=_History)
            return bytes(whole.meta), {msgspec.json.decode(row, type=_Dated).date: bytes(row) for row in whole.data}
        except DECODING_ERRORS as error:
            raise DocumentError(f"{history} has no days to cut: {error}") from error
