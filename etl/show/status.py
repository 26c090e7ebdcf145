"""What the warehouse holds, per location; what the last runs did; what waits for somebody."""

from dataclasses import asdict
from datetime import date
from typing import Any

from etl import __version__
from etl.database.connection import Connection, fetch_all, lock_owner, read_sql
from etl.errors import ExitCode
from etl.load import accept, skip
from etl.load.drift_record import in_words
from etl.run import rejected
from etl.run.summary import days_in_words
from etl.transform.declaration import SERIES_END
from etl.transform.drift import ACCEPTABLE, Change

LAST_RUNS = 10
# Column names of the statements in sql/status/, in their order.
COVERAGE = ("location", "first_day", "last_day", "reports", "missing_days", "gaps")
RUN = ("run_id", "started_at", "ended_at", "status", "exit_code", "source", "from", "to")
FINDING = ("location", "check", "measure", "findings", "first_day", "last_day", "meaning")
SIZES = ("database_bytes", "star_bytes", "history_bytes", "documents_bytes", "schema_files", "schema_version")


def status(conn: Connection) -> dict[str, Any]:
    """Coverage, last runs (newest first), the run lock's owner, open drift, rejected documents, findings, sizes."""
    ((days_since, last_success, newest_day, newest_day_age),) = fetch_all(conn, read_sql("status/freshness.sql"))
    return {
        "last_success": last_success,
        "days_since_success": None if days_since is None else round(float(days_since), 3),
        "newest_day": newest_day,
        "newest_day_age": newest_day_age,
        "locations": _records(conn, "coverage", COVERAGE),
        "runs": _records(conn, "runs", RUN, limit=LAST_RUNS),
        "lock": lock_owner(conn),
        "open_drift": [asdict(each) for each in accept.changes(conn) if each.status == "open"],
        "rejected": [_rejection(each) for each in rejected.open_rejections(conn)],
        "findings": _records(conn, "findings", FINDING),
        "passed_over": [asdict(each) for each in skip.tombstones(conn) if not each.until],
        **_records(conn, "sizes", SIZES)[0],
        "program_version": __version__,
        "database": "{dbname} on {host}".format_map({"host": "localhost"} | conn.info.dsn_parameters),
    }


def _records(conn: Connection, name: str, columns: tuple[str, ...], **parameters: Any) -> list[dict[str, Any]]:
    rows = fetch_all(conn, read_sql(f"status/{name}.sql"), parameters)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _rejection(each: rejected.Rejection) -> dict[str, Any]:
    return {
        "id": each.document_load_id,
        "location": each.location_code,
        "address": each.address,
        "since": each.known_at,
        "reason": each.reason,
    }


def staleness(found: dict[str, Any], max_age_days: int) -> str | None:
    """What is too old in a status, in words; None if nothing is.

    The series ended on `SERIES_END`: the age of its last day is no trouble, unless the series has gone on since.
    """
    since = found["days_since_success"]
    if since is None:
        return "no load has gone well yet"
    if since > max_age_days:
        return f"the last load that went well was {since:.1f} days ago, at {found['last_success']}"
    newest = found["newest_day"]
    if newest and newest > str(SERIES_END) and found["newest_day_age"] > max_age_days:
        return f"the newest report is of {newest}, {found['newest_day_age']} days ago"
    return None


def as_text(found: dict[str, Any]) -> str:
    """The status as tables for people."""
    lines = [f"{'location':<10}{'first day':<12}{'last day':<12}{'reports':>8}{'missing days':>14}"]
    lines += [
        f"{row['location']:<10}{row['first_day'] or '-':<12}{row['last_day'] or '-':<12}"
        f"{row['reports']:>8}{row['missing_days'] if row['reports'] else '-':>14}"
        for row in found["locations"]
    ]
    total = sum(row["reports"] for row in found["locations"])
    lines += ["", f"{total} reports; database {found['database']}; last success {found['last_success'] or 'never'}"]
    lines += [_sizes_line(found)]
    lines += ["", f"{'run':>5}  {'started (UTC)':<22}{'status':<19}{'exit':>4}  source, days"]
    lines += [_run_line(row) for row in found["runs"]]
    lines += ["", f"run lock: {found['lock'] or 'free'}", *_waiting_lines(found)]
    return "\n".join(lines)


def _sizes_line(found: dict[str, Any]) -> str:
    parts = {"star": "star_bytes", "history": "history_bytes", "documents": "documents_bytes"}
    sizes = ", ".join(f"{name} {found[key] / 2**20:.0f} MB" for name, key in parts.items())
    schema = f"schema {found['schema_version']}, program {found['program_version']}"
    return f"size {found['database_bytes'] / 2**20:.0f} MB ({sizes}); {schema}"


def _waiting_lines(found: dict[str, Any]) -> list[str]:
    """What waits for somebody, with the command that deals with it; and the gaps."""
    lines = [
        f"rejected {each['id']}: {each['address']} since {each['since']}: {each['reason']}"
        for each in found["rejected"]
    ]
    lines += ["once that is mended or accepted: main.py replay --rejected"] if lines else []
    lines += [_drift_line(each) for each in found["open_drift"]]
    lines += [
        f"finding: {each['location']}, {each['check']}, {each['measure']}, {each['first_day'] or 'all days'}: "
        f"{each['meaning']}"
        for each in found["findings"]
    ]
    lines += [
        f"passed over since {each['since']}: {each['location']} {each['date'] or '(all days)'}: {each['reason']}; "
        f"to end that: main.py skip --undo {each['tombstone_id']}"
        for each in found["passed_over"]
    ]
    gaps = {row["location"]: row["gaps"] for row in found["locations"] if row["gaps"]}
    lines += [f"gap: {location} {first} to {last}" for location, spans in gaps.items() for first, last in spans]
    return lines or ["nothing waits for anybody"]


def _drift_line(each: dict[str, Any]) -> str:
    change = Change("shape", each["change"], each["path"], each["before"], each["after"])
    where = in_words(each["endpoint_kind"], each["locations"])
    can_be_taken = each["severity"] == "notice" or each["change"] in ACCEPTABLE
    hint = f"; to take it as it is: main.py drift --accept {each['drift_id']}" if can_be_taken else ""
    return f"drift {each['drift_id']} ({each['severity']}, {where}): {change}{hint}"


def _run_line(row: dict[str, Any]) -> str:
    word = "nothing published" if row["exit_code"] == ExitCode.NOT_PUBLISHED else row["status"]
    exit_code = "-" if row["exit_code"] is None else row["exit_code"]
    days = days_in_words(date.fromisoformat(row["from"]), date.fromisoformat(row["to"]))
    return f"{row['run_id']:>5}  {row['started_at']:<22}{word:<19}{exit_code:>4}  {row['source']}, {days}"
