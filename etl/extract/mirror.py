"""Saves the API as gzip files in its own layout, usable later as `--source DIR`."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec.structs import asdict

from etl.errors import ContractError, DocumentError, SourceError, as_usage_error
from etl.extract.directory import DirectorySource
from etl.extract.source import DECODING_ERRORS, NOTHING_KNOWN, Missing, NotModified, Source, Validators
from etl.files import write_atomically
from etl.logs import log
from etl.transform.locations import ADDRESS, address_of, decode_states

MANIFEST = ".mirror.json"
# A code and a day become names of files, which must not lead out of the folder.
CODE, DAY = re.compile("[A-Za-z]{2}"), re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Entry(Validators, frozen=True):
    """A file in the manifest: the hash of its document, and the validators that came with it."""

    sha256: str = ""


class _Document(msgspec.Struct):
    """The part by which a document of the API is known, so that a page of maintenance replaces no good copy."""

    data: msgspec.Raw


class Mirror:
    """A folder of documents; each update asks only for those that have changed or are missing.

    `counts` holds how many documents were written, not_modified, not_published or failed, `failed` the reasons by
    address.
    """

    def __init__(self, source: Source, folder: Path, jobs: int, progress: Callable[[int, int, int], None]) -> None:
        self.source, self.folder, self.jobs, self.progress = source, folder, jobs, progress
        self.counts: Counter[str] = Counter()
        self.failed: dict[str, str] = {}
        self._saved = DirectorySource(folder, str(folder))
        self._entries = self._read_manifest()

    def update(self, *, single_days: bool) -> None:
        """Saves the metadata, all histories, and on request every single day that the histories hold.

        Raises `SourceError` if `states.json`, which names the states, cannot be had and is not saved either.
        """
        try:
            with ThreadPoolExecutor(self.jobs) as executor:
                for addresses in self._rounds(single_days=single_days):
                    total = self.counts.total() + len(addresses)
                    for saved in executor.map(self._save, addresses):
                        self.counts[saved] += 1
                        self.progress(self.counts.total(), total, 0)
        finally:
            if self._entries:
                self._write(MANIFEST, msgspec.json.encode(self._entries, order="sorted"))

    def _rounds(self, *, single_days: bool) -> Iterator[list[str]]:
        """The addresses to save, in rounds: the documents of one name those of the next."""
        yield [ADDRESS]
        histories = {code: address_of(code) for code in self._codes()}
        yield list(histories.values())
        if single_days:
            yield [address_of(code, day) for code, history in histories.items() for day in self._days(history)]

    def _save(self, address: str) -> str:
        """Saves one document; returns the word under which it is counted."""
        saved, entry = self._saved_hash(address), self._entries.get(address)
        try:
            received = self.source.fetch(address, entry if entry and entry.sha256 == saved else NOTHING_KNOWN)
            msgspec.json.decode(received.body, type=_Document)
        except NotModified:
            return "not_modified"
        except Missing:
            return "not_published"
        except (DocumentError, *DECODING_ERRORS) as error:
            self.failed[address] = str(error)
            log.warning("document failed", extra={"address": address, "reason": str(error)})
            return "failed"
        self._entries[address] = Entry(**asdict(received.validators), sha256=received.sha256)
        if received.sha256 == saved:
            return "not_modified"
        self._write(f"{address}.gz", received.compressed)
        return "written"

    def _write(self, name: str, content: bytes) -> None:
        """Writes a file; raises `UsageError` if a link leads out of the folder, or the disk does not take it."""
        path = self.folder / name
        with as_usage_error(f"mirror cannot write {path}", "mend that, and run it again: it goes on where it ended"):
            if not path.resolve().is_relative_to(self.folder.resolve()):
                raise OSError("a link leads out of the folder")
            write_atomically(path, content)

    def _saved_hash(self, address: str) -> str | None:
        """The hash of a saved document; None if its file is not there, or damaged."""
        with suppress(Missing, DocumentError):
            return self._saved.read(address).sha256
        return None

    def _codes(self) -> list[str]:
        """The codes of the locations, by the metadata that is saved."""
        try:
            states = decode_states(self._saved.fetch(ADDRESS).body)
        except (Missing, DocumentError, ContractError) as error:
            reason = self.failed.get(ADDRESS, error)
            raise SourceError(
                f"mirror needs {ADDRESS} of {self.source.name}: {reason}; "
                "the shipped history can be copied with --source snapshot"
            ) from error
        # A state that is named twice would be written by two threads at once.
        codes = [state.location_code.lower() for state in states if CODE.fullmatch(state.location_code)]
        return list(dict.fromkeys(["us", *codes]))

    def _days(self, history: str) -> list[str]:
        """The days of a saved history."""
        with suppress(Missing, DocumentError):
            return list(filter(DAY.fullmatch, self._saved.history(history)[1]))
        return []

    def _read_manifest(self) -> dict[str, Entry]:
        with suppress(OSError, *DECODING_ERRORS):
            return msgspec.json.decode((self.folder / MANIFEST).read_bytes(), type=dict[str, Entry])
        return {}
