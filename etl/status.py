"""What the warehouse holds, per location, and what the last runs did."""

from datetime import date
from typing import Any

from etl.database import Connection, fetch_all, lock_owner, read_sql
from etl.declaration import SERIES_END
from etl.errors import ExitCode
from etl.runs import days_in_words

LAST_RUNS = 10


def status(conn: Connection) -> dict[str, Any]:
    """Coverage per location, the last runs (newest first), and who holds the run lock."""
    coverage = fetch_all(conn, read_sql("status/coverage.sql"))
    last_runs = fetch_all(conn, read_sql("status/runs.sql"), {"limit": LAST_RUNS})
    names = ("location", "first_day", "last_day", "reports", "missing_days")
    run_names = ("run_id", "started_at", "ended_at", "status", "exit_code", "source", "from", "to")
    ((days_since, last_success, newest_day, newest_day_age),) = fetch_all(conn, read_sql("status/freshness.sql"))
    return {
        "last_success": last_success,
        "days_since_success": None if days_since is None else round(float(days_since), 3),
        "newest_day": newest_day,
        "newest_day_age": newest_day_age,
        "locations": [dict(zip(names, row, strict=True)) for row in coverage],
        "runs": [dict(zip(run_names, row, strict=True)) for row in last_runs],
        "lock": lock_owner(conn),
        "database": "{dbname} on {host}".format_map({"host": "localhost"} | conn.info.dsn_parameters),
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
    lines += ["", f"{'run':>5}  {'started (UTC)':<22}{'status':<19}{'exit':>4}  source, days"]
    lines += [_run_line(row) for row in found["runs"]]
    lines += ["", f"run lock: {found['lock'] or 'free'}"]
    return "\n".join(lines)


def _run_line(row: dict[str, Any]) -> str:
    word = "nothing published" if row["exit_code"] == ExitCode.NOT_PUBLISHED else row["status"]
    exit_code = "-" if row["exit_code"] is None else row["exit_code"]
    days = days_in_words(date.fromisoformat(row["from"]), date.fromisoformat(row["to"]))
    return f"{row['run_id']:>5}  {row['started_at']:<22}{word:<19}{exit_code:>4}  {row['source']}, {days}"
