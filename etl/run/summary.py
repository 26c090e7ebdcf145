"""The summary of a run as data: counts of documents and rows, troubles, drift and findings, and the exit code."""

import shlex
import time
from collections import defaultdict
from datetime import date
from typing import Any

import msgspec
from msgspec import Struct, field

from etl.config import command
from etl.errors import SIGNALS, ExitCode, Outcome, first
from etl.load.drift_record import RecordedChange
from etl.load.findings import RecordedFinding
from etl.load.merge import MergeCounts, RowCounts
from etl.transform.declaration import FIRST_DAY, LAST_DAY, TABLES

# A history with more broken reports than this is better passed over as a whole.
MOST_SKIPPED_DAYS = 31


class Trouble(Struct, frozen=True):
    """A document that failed, was rejected or is stale, and why; `date` is None for a history.

    `days` are those of the broken reports of a rejected document, none if all are broken; `drift` holds the changes
    that broke it.
    """

    location: str
    date: date | None
    reason: str
    code: ExitCode = ExitCode.SOURCE
    days: tuple[str, ...] = ()
    drift: tuple[RecordedChange, ...] = ()

    @property
    def skip_command(self) -> str:
        """The command that passes over the broken reports of the document, or over its location."""
        days = [str(self.date)] if self.date else self.days if len(self.days) <= MOST_SKIPPED_DAYS else []
        return command(shlex.join(["skip", self.location.lower(), *days, "--reason", "TEXT"]))

    def as_json(self) -> dict[str, Any]:
        """The trouble as `--json` prints it."""
        return {"location": self.location, "date": self.date, "reason": self.reason}


class Summary(Struct):
    """The deeds of a run, as `--json` prints and `ops.run` keeps them; `command` is `load` or a kind of replay.

    `drift` and `findings` are those that this run saw first. `broken_off` are the earlier runs that did not end.
    `frozen` are the locations whose document was stale in every run of two days. `is_source_gone` says that nothing
    was read, since the API is gone.
    """

    command: str
    source: str
    first_day: date
    last_day: date
    locations: str
    dry_run: bool = False
    run_id: int | None = None
    requested: int = 0
    documents: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    rows: dict[str, RowCounts] = field(default_factory=lambda: {table: RowCounts() for table in TABLES})
    revisions: int = 0
    drift: list[RecordedChange] = field(default_factory=list)
    findings: list[RecordedFinding] = field(default_factory=list)
    broken_off: list[int] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    failed: list[Trouble] = field(default_factory=list)
    rejected: list[Trouble] = field(default_factory=list)
    stale: list[Trouble] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    is_source_gone: bool = False
    is_empty_range: bool = False
    ended_by: ExitCode | None = None
    started: float = field(default_factory=time.monotonic)

    def count(self, outcome: Outcome, trouble: Trouble) -> None:
        """Counts one document; `trouble` is kept if it failed, was rejected or is stale."""
        self.documents[outcome] += 1
        kept = {Outcome.FAILED: self.failed, Outcome.REJECTED: self.rejected, Outcome.STALE: self.stale}
        if outcome in kept:
            kept[outcome].append(trouble)

    def count_rows(self, merged: MergeCounts) -> None:
        """Adds the row counts of one document."""
        self.revisions += merged.revisions
        for table, counts in merged.rows.items():
            self.rows[table].add(counts)

    def take_back(self) -> None:
        """Counts the loaded documents as unchanged, after all of them were rolled back."""
        self.rows = {table: RowCounts() for table in TABLES}
        self.revisions = 0
        self.documents[Outcome.UNCHANGED] += self.documents[Outcome.LOADED]
        self.documents[Outcome.LOADED] = 0

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the error that ended the run, or else the gravest of its documents."""
        if self.ended_by:
            return self.ended_by
        asked = self.requested - self.documents[Outcome.SKIPPED]
        nothing = self.is_empty_range or self.documents[Outcome.NOT_PUBLISHED] == asked > 0
        codes = [trouble.code for trouble in self.failed]
        codes += [ExitCode.REJECTED] * bool(self.rejected) + [ExitCode.NOT_PUBLISHED] * nothing
        return first(codes)

    @property
    def status(self) -> str:
        """`ok`, `partial` if some documents failed or were rejected, `failed` if all were, or `interrupted`."""
        if self.ended_by:
            return "interrupted" if self.ended_by in SIGNALS else "failed"
        bad = len(self.failed) + len(self.rejected)
        return "ok" if not bad else "failed" if bad == self.requested else "partial"

    @property
    def row_count(self) -> int:
        """How many rows were compared or written so far."""
        return sum(counts.total for counts in self.rows.values())

    def log_fields(self) -> dict[str, Any]:
        """The fields of the last line in the log; counts of 0 are left out."""
        counts = {str(outcome): count for outcome, count in self.documents.items()}
        for name in ("inserted", "updated", "withdrawn"):
            counts[f"rows_{name}"] = sum(getattr(table, name) for table in self.rows.values())
        counts |= {"revisions": self.revisions, "new_drift": len(self.drift), "new_findings": len(self.findings)}
        ended = {"status": self.status, "exit_code": int(self.exit_code), "source": self.source}
        shown = {name: count for name, count in counts.items() if count}
        return ended | shown | {"seconds": round(self.elapsed, 3)}

    def as_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        shown: dict[str, Any] = {
            "run_id": None if self.dry_run else self.run_id,
            "dry_run": self.dry_run,
            "status": self.status,
            "exit_code": self.exit_code,
            "source": self.source,
            "from": None if self.first_day == FIRST_DAY else self.first_day,
            "to": None if self.last_day == LAST_DAY else self.last_day,
            "locations": self.locations,
            "documents": {"requested": self.requested, **self.documents},
            "rows": self.rows,
            "revisions": self.revisions,
            "drift": [_drift_json(change) for change in self.drift],
            "broken_off": self.broken_off,
            "passed_over": self.passed_over,
            "findings": self.findings,
            "failed": [trouble.as_json() for trouble in self.failed],
            "rejected": [trouble.as_json() | {"skip": trouble.skip_command} for trouble in self.rejected],
            "stale": [trouble.as_json() for trouble in self.stale],
            "seconds": {name: round(number, 3) for name, number in {**self.seconds, "total": self.elapsed}.items()},
        }
        return dict(msgspec.to_builtins(shown))


def _drift_json(change: RecordedChange) -> dict[str, Any]:
    names = ("endpoint_kind", "locations", "severity", "signal", "change", "path", "before", "after")
    return {"id": change.drift_id} | {name: getattr(change, name) for name in names}
