"""The findings of `ops.finding`: each doubtful thing in what is loaded, once, until a later load is without it."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date

from psycopg2 import sql

from etl.database.connection import Connection, execute, fetch_all, fetch_one
from etl.load.events import Event
from etl.load.merge import MergeCounts, count_of
from etl.transform.bounds import VALUES_GONE, Finding
from etl.transform.declaration import STATE, Metric

# The findings that an event may end: about the days of its news, or without a day if it speaks of all days.
_STANDING = """
    select check_name, measure, report_date, value, finding_id
    from ops.finding
    where
        location_id = %(location_id)s
        and ended_at is null
        and coalesce(report_date = any(%(days)s), %(is_whole)s)
"""
_ADD = """
    insert into ops.finding (
        check_name, location_id, report_date, measure, value, meaning, document_id, run_id, found_at
    )
    values (
        %(check)s, %(location_id)s, %(report_date)s, %(measure)s, %(value)s, %(meaning)s, %(document_id)s,
        %(run_id)s, %(known_at)s
    )
"""


def observe(conn: Connection, event: Event, days: list[date], shown: Sequence[Finding]) -> list[Finding]:
    """Brings the findings of an event up to date, in its transaction; returns those that are new.

    `shown` are the findings in the reports of the event's news, whose `days` are given; those of other reports stay.
    """
    bound = vars(event) | {"is_whole": event.is_whole, "days": days}
    standing = {tuple(identity): finding_id for *identity, finding_id in fetch_all(conn, _STANDING, bound)}
    seen = {(finding.check, finding.measure, finding.report_date, finding.value): finding for finding in shown}
    if over := [standing[identity] for identity in standing.keys() - seen.keys() if _is_over(conn, event, *identity)]:
        end = "update ops.finding set ended_at = %s where finding_id = any(%s)"
        execute(conn, end, (event.known_at, over))
    new = [finding for identity, finding in seen.items() if identity not in standing]
    for finding in new:
        execute(conn, _ADD, vars(event) | asdict(finding))
    return new


def _is_over(conn: Connection, event: Event, check: str, measure: str, *_: object) -> bool:
    """Whether a finding that is not shown has ended: that values are gone stays true until there are some."""
    metrics = [metric for metric in STATE.metrics if metric.label == measure]
    return check != VALUES_GONE or any(count for metric in metrics for count in _counts(conn, event, [metric], _LEFT))


def values_gone(conn: Connection, event: Event, merged: MergeCounts) -> Iterator[Finding]:
    """A finding for each measure that has lost all its values by the merge of a whole history."""
    for table, counts in merged.rows.items():
        metrics = [metric for metric in STATE.metrics if metric.table == table]
        if event.is_whole and metrics and counts.updated + counts.withdrawn:
            left = _counts(conn, event, metrics, _LEFT)
            empty = [metric for metric, count in zip(metrics, left, strict=True) if not count]
            for metric, count in zip(empty, _counts(conn, event, empty, _TAKEN), strict=True):
                if count:
                    yield Finding(VALUES_GONE, metric.label, None, count, f"all {count} values were taken back")


# The values that the star has, and those that an event has moved to the history.
_LEFT = "select {counts} from public.{table} where location_id = %(location_id)s"
_TAKEN = "select {counts} from history.{revision} where location_id = %(location_id)s and known_to = %(known_at)s"


def _counts(conn: Connection, event: Event, metrics: Sequence[Metric], query: str) -> tuple[int, ...]:
    """How many values of some metrics of one table a query finds at the location of an event."""
    if not metrics:
        return ()
    table = metrics[0].table
    counts = sql.SQL(", ").join(count_of(metric, metric.measure) for metric in metrics)
    names = {"table": sql.Identifier(table), "revision": sql.Identifier(f"{table}_revision")}
    return fetch_one(conn, sql.SQL(query).format(counts=counts, **names), vars(event))
