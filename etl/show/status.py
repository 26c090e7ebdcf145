"""The status of the warehouse: its contents, its last runs, and all that waits for a person."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec
from msgspec import Struct

from etl import __version__
from etl.config import command
from etl.database.connection import Connection, fetch_all, lock_holder, read_sql, rows_of
from etl.errors import ExitCode
from etl.load import drift_record, rules
from etl.load.drift_record import RecordedChange
from etl.load.events import StoredEvent, instant, open_rejections
from etl.load.rules import Tombstone
from etl.transform.declaration import SERIES_END, days_in_words

LAST_RUNS = 10
MB = 2**20


class Totals(Struct, frozen=True):
    """The warehouse as a whole.

    `last_success` is the end of the last load that went well. Times and days are ISO text, times in UTC; ages are in
    days. `schema_files` counts the applied files of tables, and the set of views as one more.
    """

    last_success: str | None
    days_since_success: float | None
    newest_day: str | None
    newest_day_age: int | None
    database_bytes: int
    star_bytes: int
    history_bytes: int
    documents_bytes: int
    schema_files: int
    schema_version: str


class Coverage(Struct, frozen=True):
    """The reports of a location; a gap is its first and its last missing day."""

    location: str
    first_day: str | None
    last_day: str | None
    reports: int
    missing_days: int
    gaps: list[list[str]]


class Run(msgspec.Struct, frozen=True, rename={"first_day": "from", "last_day": "to"}):
    """A run, with the days that it asked for."""

    run_id: int
    command: str
    started_at: str
    ended_at: str | None
    status: str
    exit_code: int | None
    source: str
    first_day: date
    last_day: date
    locations: str


class FindingGroup(Struct, frozen=True):
    """The findings of a check on a measure in a location; the days are None where a finding is about all of them."""

    location: str
    check: str
    measure: str
    findings: int
    first_day: str | None
    last_day: str | None
    meaning: str


class Status(Struct, frozen=True):
    """The whole status; `runs` are the last ones, the newest first, and `lock` is the owner of the run lock."""

    totals: Totals
    locations: list[Coverage]
    runs: list[Run]
    lock: str | None
    open_drift: list[RecordedChange]
    rejected: list[StoredEvent]
    findings: list[FindingGroup]
    passed_over: list[Tombstone]
    database: str


def read(conn: Connection) -> Status:
    """The status as it is now."""
    return Status(
        totals=rows_of(conn, Totals, read_sql("status/totals.sql"))[0],
        locations=rows_of(conn, Coverage, read_sql("status/coverage.sql")),
        runs=rows_of(conn, Run, read_sql("status/runs.sql"), {"limit": LAST_RUNS}),
        lock=", ".join(filter(None, (str(holder), holder.trouble))) if (holder := lock_holder(conn)) else None,
        open_drift=[change for change in drift_record.changes(conn) if change.status == "open"],
        rejected=open_rejections(conn),
        findings=rows_of(conn, FindingGroup, read_sql("status/findings.sql")),
        passed_over=[tombstone for tombstone in rules.tombstones(conn) if not tombstone.until],
        database="{dbname} on {host}".format_map({"host": "localhost"} | conn.info.dsn_parameters),
    )


def staleness(totals: Totals, max_age_days: int) -> str | None:
    """The reason why the data is older than so many days; None if it is not.

    Its words stay the same until something newer comes, since an alert with other words would be told at once. The
    age of the newest report counts only where the series has gone on after `SERIES_END`.
    """
    since, newest, age = totals.days_since_success, totals.newest_day, totals.newest_day_age
    if since is None:
        return "no load has gone well yet"
    if since > max_age_days:
        return f"the last load that went well was at {totals.last_success}, more than {max_age_days} days ago"
    if newest and age and newest > str(SERIES_END) and age > max_age_days:
        return f"the newest report is of {newest}, more than {max_age_days} days ago"
    return None


# --- JSON ---


def as_json(status: Status) -> dict[str, Any]:
    """The object that `status --json` prints."""
    shown: dict[str, Any] = msgspec.to_builtins(status)
    shown |= shown.pop("totals") | {"program_version": __version__}
    shown["passed_over"] = [tombstone.as_json() for tombstone in status.passed_over]
    shown["rejected"] = [_rejection_json(rejection) for rejection in status.rejected]
    return shown


def _rejection_json(rejection: StoredEvent) -> dict[str, Any]:
    return {
        "id": rejection.document_load_id,
        "location": rejection.location_code,
        "document_id": rejection.document_id,
        "address": rejection.address,
        "since": instant(rejection.known_at),
        "reason": rejection.reason,
    }


# --- metrics ---


def as_metrics(conn: Connection) -> list[str]:
    """The state as gauges of Prometheus, for the textfile collector of its node exporter."""
    lines = []
    for name, text, labels, value in fetch_all(conn, read_sql("status/metrics.sql")):
        metric = f"covid_etl_{name}"
        lines += [f"# HELP {metric} {text}", f"# TYPE {metric} gauge"] if text else []
        lines.append(f"{metric}{labels} {value}")
    return lines


# --- text ---


def as_lines(status: Status) -> list[str]:
    """The status as tables for people."""
    reports = sum(row.reports for row in status.locations)
    last_success = status.totals.last_success or "never"
    return [
        f"{'location':<10}{'first day':<12}{'last day':<12}{'reports':>8}{'missing days':>14}",
        *map(_coverage_line, status.locations),
        "",
        f"{reports} reports; database {status.database}; last success {last_success}",
        _sizes_line(status.totals),
        "",
        f"{'run':>5}  {'started (UTC)':<22}{'status':<19}{'exit':>4}  command, source, days, locations",
        *map(_run_line, status.runs),
        "",
        f"run lock: {status.lock or 'free'}",
        *(list(_waiting_lines(status)) or ["nothing waits for anybody"]),
    ]


def _coverage_line(row: Coverage) -> str:
    days = f"{row.first_day or '-':<12}{row.last_day or '-':<12}"
    return f"{row.location:<10}{days}{row.reports:>8}{row.missing_days if row.reports else '-':>14}"


def _sizes_line(totals: Totals) -> str:
    sizes = (totals.database_bytes, totals.star_bytes, totals.history_bytes, totals.documents_bytes)
    shown = "size {:.0f} MB (star {:.0f} MB, history {:.0f} MB, documents {:.0f} MB)"
    return f"{shown.format(*(size / MB for size in sizes))}; schema {totals.schema_version}, program {__version__}"


def _run_line(run: Run) -> str:
    word = "nothing published" if run.exit_code == ExitCode.NOT_PUBLISHED else run.status
    exit_code = "-" if run.exit_code is None else run.exit_code
    asked = f"{run.command}, {run.source}, {days_in_words(run.first_day, run.last_day)}, {run.locations}"
    return f"{run.run_id:>5}  {run.started_at:<22}{word:<19}{exit_code:>4}  {asked}"


def _waiting_lines(status: Status) -> Iterator[str]:
    """A line for each thing that waits for a person, with the command that deals with it; then the gaps."""
    for document in status.rejected:
        since = instant(document.known_at)
        its_bytes = "" if document.is_pruned else f"; its bytes: {command(f'document {document.document_id}')}"
        yield f"rejected {document.document_load_id}: {document.address} since {since}: {document.reason}{its_bytes}"
    if status.rejected:
        replay = command("replay --rejected")
        yield f"once that is mended, accepted or passed over ({command('skip')}): {replay}"
    yield from map(_drift_line, status.open_drift)
    for group in status.findings:
        days = group.first_day or "all days"
        yield f"finding: {group.location}, {group.check}, {group.measure}, {days}: {group.meaning}"
    for tombstone in status.passed_over:
        yield f"passed over {tombstone}; to end that: {command('skip --undo')} {tombstone.tombstone_id}"
    for row in status.locations:
        yield from (f"gap: {row.location} {first} to {last}" for first, last in row.gaps)


def _drift_line(change: RecordedChange) -> str:
    accept = f"; to take it as it is: {command(f'drift --accept {change.drift_id}')}"
    return change.line + (accept if change.can_be_accepted else "")
