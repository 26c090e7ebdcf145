"""The record of a run: opened before the first document, closed with its counts, printed as the summary."""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from etl import __version__
from etl.database.connection import Connection, fetch_one
from etl.errors import SIGNALS, ExitCode, Outcome, first
from etl.load.document import Loaded, RowCounts
from etl.load.drift_record import SeenDrift
from etl.logs import get_logger
from etl.transform import drift
from etl.transform.bounds import Finding
from etl.transform.declaration import FIRST_DAY, LAST_DAY, TABLES

log = get_logger()

# Where more reports of a history than this are broken, passing over the location is what is offered.
MOST_SKIPPED_DAYS = 3
# Documents with the same trouble: the others are only counted.
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Trouble:
    """A document that failed or was rejected, and why; `date` is null for a history.

    `days` are the reports of a rejected one to which that is due, if it is not all of them; `drift` is what broke it.
    """

    location: str
    date: date | None
    reason: str
    days: tuple[str, ...] = ()
    drift: tuple[SeenDrift, ...] = ()

    @property
    def skip_command(self) -> str:
        """What would pass over it."""
        days = [str(self.date)] if self.date else self.days if len(self.days) <= MOST_SKIPPED_DAYS else []
        return " ".join(["main.py skip", self.location.lower(), *days, "--reason TEXT"])


def advice(rejected: list[Trouble]) -> list[str]:
    """What to do about rejected documents, a line for each way: accepting, waiting, passing over."""
    shown = {each.drift_id: each.change for trouble in rejected for each in trouble.drift}
    accepting = [number for number, change in sorted(shown.items()) if change.change in drift.ACCEPTABLE]
    lines = []
    if accepting:
        commands = [f"main.py drift --accept {number}" for number in accepting]
        lines.append(f"to take the change as it is: {'; '.join([*commands, 'main.py replay --rejected'])}")
    if len(accepting) < len(shown):
        lines.append("a changed type cannot be accepted: wait for the source, or for a program that reads it")
    poison = [each for each in rejected if each.date or each.days or not each.drift]
    return lines + [f"to pass over it: {each.skip_command}" for each in poison[:MOST_SKIPPED_DAYS]]


@dataclass(slots=True)
class Summary:
    """What a run did, as `--json` prints it and `ops.run` keeps it."""

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
    drift: list[SeenDrift] = field(default_factory=list)
    findings: list[tuple[str, Finding]] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    failed: list[Trouble] = field(default_factory=list)
    rejected: list[Trouble] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    ended_by: ExitCode | None = None
    started: float = field(default_factory=time.monotonic)

    def count(self, outcome: Outcome, trouble: Trouble) -> None:
        """Counts one document; `trouble` is kept if it failed or was rejected."""
        self.documents[outcome] += 1
        if outcome is Outcome.FAILED:
            self.failed.append(trouble)
        elif outcome is Outcome.REJECTED:
            self.rejected.append(trouble)

    def notice(self, shown: list[SeenDrift]) -> None:
        """Keeps what of the drift that a document shows nobody saw before."""
        self.drift += [each for each in shown if each.is_new]

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Adds the seconds that a block takes to those of a part of the run."""
        started = time.monotonic()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.monotonic() - started

    def add(self, location: str, loaded: Loaded) -> None:
        """Adds what the load of one document did."""
        self.revisions += loaded.revisions
        self.notice(loaded.drift)
        self.findings += [(location, finding) for finding in loaded.findings]
        for table, counts in loaded.rows.items():
            self.rows[table].add(counts)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the error that ended the run, or that the documents amount to."""
        if self.ended_by:
            return self.ended_by
        asked = self.requested - self.documents[Outcome.SKIPPED]
        nothing = self.documents[Outcome.NOT_PUBLISHED] == asked > 0
        happened = {
            ExitCode.SOURCE: bool(self.failed),
            ExitCode.REJECTED: bool(self.rejected),
            ExitCode.NOT_PUBLISHED: nothing,
        }
        return first(code for code, has_happened in happened.items() if has_happened)

    @property
    def status(self) -> str:
        """ok; partial: some documents failed or were rejected; failed: all of them; interrupted."""
        if self.ended_by:
            return "interrupted" if self.ended_by in SIGNALS else "failed"
        bad = len(self.failed) + len(self.rejected)
        return "ok" if not bad else "failed" if bad == self.requested else "partial"

    @property
    def row_count(self) -> int:
        """How many rows were compared or written so far."""
        return sum(n.inserted + n.updated + n.withdrawn + n.unchanged for n in self.rows.values())

    @property
    def days(self) -> str:
        """The days asked for, in words."""
        return days_in_words(self.first_day, self.last_day)

    def log_fields(self) -> dict[str, Any]:
        """What the line that ends the run says: the counts that are not 0."""
        rows = [
            sum(getattr(each, name) for each in self.rows.values()) for name in ("inserted", "updated", "withdrawn")
        ]
        counts = {str(outcome): count for outcome, count in self.documents.items()} | {
            "rows_inserted": rows[0],
            "rows_updated": rows[1],
            "rows_withdrawn": rows[2],
            "revisions": self.revisions,
            "new_drift": len(self.drift),
            "new_findings": len(self.findings),
        }
        seconds = round(time.monotonic() - self.started, 3)
        ended = {"status": self.status, "exit_code": int(self.exit_code), "source": self.source}
        return ended | {name: count for name, count in counts.items() if count} | {"seconds": seconds}

    def as_json(self) -> dict[str, Any]:
        """The summary in the form that `--json` prints."""
        return {
            "run_id": None if self.dry_run else self.run_id,
            "dry_run": self.dry_run,
            "status": self.status,
            "exit_code": int(self.exit_code),
            "source": self.source,
            "from": None if self.first_day == FIRST_DAY else str(self.first_day),
            "to": None if self.last_day == LAST_DAY else str(self.last_day),
            "locations": self.locations,
            "documents": {"requested": self.requested} | {str(k): n for k, n in self.documents.items()},
            "rows": {table: asdict(counts) for table, counts in self.rows.items()},
            "revisions": self.revisions,
            "drift": [each.as_json() for each in self.drift],
            "passed_over": self.passed_over,
            "findings": [_finding_json(location, each) for location, each in self.findings],
            "failed": [_trouble_json(each) for each in self.failed],
            "rejected": [_trouble_json(each) | {"skip": each.skip_command} for each in self.rejected],
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()}
            | {"total": round(time.monotonic() - self.started, 3)},
        }

    def as_text(self) -> str:
        """The summary for people, a few lines."""
        documents = [f"{count} {outcome.replace('_', ' ')}" for outcome, count in self.documents.items() if count]
        run = "dry run, nothing written" if self.dry_run else f"run {self.run_id}"
        word = "nothing published" if self.exit_code is ExitCode.NOT_PUBLISHED else self.status
        lines = [
            f"{word} ({run}, exit code {int(self.exit_code)}) from {self.source},"
            f" {self.days}, locations {self.locations},"
            f" {time.monotonic() - self.started:.1f} s",
            f"documents: {self.requested} requested" + "".join(f", {each}" for each in documents),
            *self._row_lines(),
        ]
        for name, troubles in (("failed", self.failed), ("rejected", self.rejected)):
            lines += trouble_lines(name, troubles)
        lines += [*advice(self.rejected), *map(str, self.drift), *finding_lines(self.findings)]
        lines += [f"passed over: {each}" for each in self.passed_over]
        return "\n".join(lines)

    def _row_lines(self) -> list[str]:
        """What became of the rows, unless no document had news."""
        if not self.documents[Outcome.LOADED]:
            return ["rows: none touched"]
        return row_table(self.rows)


def trouble_lines(name: str, troubles: list[Trouble]) -> list[str]:
    """What went wrong, a line for each reason, so that a source that is down is one line and not fifty."""
    reasons: dict[str, list[str]] = {}
    for each in troubles:
        reasons.setdefault(each.reason, []).append(f"{each.location} {each.date or 'history'}")
    return [f"{name}: {_some(documents)}: {reason}" for reason, documents in reasons.items()]


def _some(documents: list[str]) -> str:
    """The first few of many, and how many more there are."""
    rest = len(documents) - MOST_NAMED
    return ", ".join(documents[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def finding_lines(findings: list[tuple[str, Finding]]) -> list[str]:
    """What is doubtful in what was loaded, a line for each finding."""
    return [
        f"finding: {location} {each.report_date or 'history'}: {each.check}, {each.measure}: {each.meaning}"
        for location, each in findings
    ]


def row_table(rows: Mapping[str, RowCounts]) -> list[str]:
    """Row counts as a table for people, a line per table."""
    head = f"{'rows':<22}{'inserted':>10}{'updated':>10}{'withdrawn':>10}{'unchanged':>10}"
    return [head] + [
        f"{table:<22}{n.inserted:>10}{n.updated:>10}{n.withdrawn:>10}{n.unchanged:>10}" for table, n in rows.items()
    ]


def days_in_words(first_day: date, last_day: date) -> str:
    """A range of days as people say it."""
    if (first_day, last_day) == (FIRST_DAY, LAST_DAY):
        return "all days"
    return str(first_day) if first_day == last_day else f"{first_day} to {last_day}"


def _trouble_json(trouble: Trouble) -> dict[str, Any]:
    return {"location": trouble.location, "date": trouble.date and str(trouble.date), "reason": trouble.reason}


def _finding_json(location: str, finding: Finding) -> dict[str, Any]:
    shown = {"location": location} | asdict(finding)
    return shown | {"report_date": finding.report_date and str(finding.report_date)}


def close_abandoned(conn: Connection) -> None:
    """Closes runs left open by a process that was killed; the caller holds the lock, so they are dead."""
    with conn.cursor() as cursor:
        cursor.execute(
            "update ops.run set status = 'interrupted', ended_at = clock_timestamp()"
            " where status = 'running' returning run_id"
        )
        for (run_id,) in cursor.fetchall():
            log.warning("abandoned run closed", extra={"abandoned_run_id": run_id})


def open_run(conn: Connection, summary: Summary) -> None:
    """Records the start of a run, and gives the summary its number."""
    summary.run_id = fetch_one(
        conn,
        "insert into ops.run (source, first_day, last_day, locations, program_version, host, pid)"
        " values (%s, %s, %s, %s, %s, %s, %s) returning run_id",
        (
            summary.source, summary.first_day, summary.last_day, summary.locations,
            __version__, socket.gethostname(), os.getpid(),
        ),
    )[0]  # fmt: skip


def close_run(conn: Connection, summary: Summary) -> None:
    """Records the end of a run, with its summary."""
    with conn.cursor() as cursor:
        cursor.execute(
            "update ops.run set status = %s, exit_code = %s, summary = %s, ended_at = clock_timestamp()"
            " where run_id = %s",
            (
                summary.status,
                summary.exit_code,
                json.dumps(summary.as_json()),
                summary.run_id,
            ),
        )
