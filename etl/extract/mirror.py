"""Saves the API as files in its own layout, each compressed as received: usable later as `--source DIR`."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from etl.errors import ContractError, DocumentError, ExitCode, SourceError
from etl.extract.http import (
    NOTHING_KNOWN,
    Missing,
    NotModified,
    Received,
    Source,
    Validators,
    decompressed,
)
from etl.load import locations
from etl.logs import get_logger

MANIFEST = ".mirror.json"
NATION = "us/daily.json"

log = get_logger()


class _Dated(msgspec.Struct):
    date: str


class _History(msgspec.Struct):
    data: list[_Dated]


@dataclass(slots=True)
class Mirrored:
    """How many documents were written, not_modified, not_published or failed, and why those failed."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> ExitCode:
        """3 where a document could not be had."""
        return ExitCode.SOURCE if self.failed else ExitCode.OK


class Mirror:
    """A folder that is brought up to date; run again, it asks only for what has changed or is missing."""

    def __init__(self, source: Source, folder: Path, jobs: int, progress: Callable[[int, int, int], None]) -> None:
        self.source, self.folder, self.jobs, self.progress = source, folder, jobs, progress
        self.result = Mirrored()
        self._entries: dict[str, dict[str, Any]] = self._read_manifest()

    def update(self, *, single_days: bool) -> Mirrored:
        """Saves the metadata, all histories, and on request every single day that the histories hold.

        Raises `SourceError` if `states.json`, which names the states, cannot be had.
        """
        try:
            self._save_all([locations.ADDRESS])
            histories = [NATION, *(f"states/{code.lower()}/daily.json" for code in self._codes())]
            self._save_all(histories)
            if single_days:
                self._save_all([day for history in histories for day in self._days(history)])
        finally:
            if self._entries:
                text = json.dumps(self._entries, indent=0, sort_keys=True)
                write_atomically(self.folder / MANIFEST, text.encode())
        return self.result

    def _save_all(self, addresses: list[str]) -> None:
        total = self.result.counts.total() + len(addresses)
        with ThreadPoolExecutor(self.jobs) as executor:
            for saved in executor.map(self._save, addresses):
                self.result.counts[saved] += 1
                self.progress(self.result.counts.total(), total, 0)

    def _save(self, address: str) -> str:
        """Saves one document; returns what became of it."""
        entry = self._entries.get(address)
        try:
            received = self.source.fetch(address, self._known(address, entry))
        except NotModified:
            return "not_modified"
        except Missing:
            return "not_published"
        except DocumentError as error:
            self.result.failed[address] = str(error)
            log.warning("document failed", extra={"address": address, "reason": str(error)})
            return "failed"
        if entry and entry["sha256"] == received.sha256 and self._intact(address, entry):
            written = "not_modified"
        else:
            write_atomically(self._path(address), received.compressed)
            written = "written"
        self._entries[address] = asdict(received.validators) | {"sha256": received.sha256}
        return written

    def _known(self, address: str, entry: dict[str, Any] | None) -> Validators:
        if entry and self._intact(address, entry):
            return Validators(entry["etag"], entry["last_modified"])
        return NOTHING_KNOWN

    def _intact(self, address: str, entry: dict[str, Any]) -> bool:
        """Whether the file is still the one that was written."""
        try:
            return self._read(address).sha256 == str(entry["sha256"])
        except (OSError, DocumentError):
            return False

    def _read(self, address: str) -> Received:
        return decompressed(self._path(address).read_bytes())

    def _path(self, address: str) -> Path:
        return self.folder / f"{address}.gz"

    def _codes(self) -> list[str]:
        try:
            return [state["location_code"] for state in locations.decode(self._read(locations.ADDRESS).body)]
        except (OSError, DocumentError, ContractError) as error:
            reason = self.result.failed.get(locations.ADDRESS, error)
            raise SourceError(
                f"mirror needs {locations.ADDRESS} of {self.source.name}: {reason}; "
                "the shipped history can be copied with --source snapshot"
            ) from error

    def _days(self, history: str) -> Iterable[str]:
        try:
            found = msgspec.json.decode(self._read(history).body, type=_History)
        except (OSError, DocumentError, msgspec.DecodeError):
            return
        for row in found.data:
            yield f"us/daily/{row.date}.json" if history == NATION else history.replace("daily", row.date)

    def _read_manifest(self) -> dict[str, dict[str, Any]]:
        try:
            found: dict[str, dict[str, Any]] = json.loads((self.folder / MANIFEST).read_bytes())
        except (OSError, ValueError):
            return {}
        return found


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces a file at once, after reading back what was written; raises `OSError` if that differs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if hashlib.sha256(partial.read_bytes()).digest() != hashlib.sha256(content).digest():
        raise OSError(f"{partial} was not written as it should be")
    partial.replace(path)
