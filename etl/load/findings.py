"""The findings of `ops.finding`: each doubtful thing in what is loaded, once; it ends with a load without it."""

from collections.abc import Iterator, Sequence
from datetime import date

from msgspec.structs import asdict
from psycopg2 import sql

from etl.database.connection import Connection, execute, fetch_all, fetch_one, rows_of
from etl.load.events import REVISED, Event
from etl.load.merge import MergeCounts, count_of
from etl.transform.bounds import VALUES_GONE, Finding
from etl.transform.declaration import REPORT_TABLE, STATE, Metric

MASS_REVISION = "mass revision"
# A history may be damaged, though its values are plausible, if it touches more than `LARGE_SHARE` of the known rows
# of a table and more than `MANY_ROWS` of them.
LARGE_SHARE, MANY_ROWS = 0.05, 20
# The findings that an event may end: those of the days of its news; those without a day, if it speaks of all days.
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
# A mass revision stays to be told after the next document has ended its finding, since the rows stay revised.
_AFTER = """
    select
        location.location_code as location, finding.check_name as "check", finding.measure, finding.report_date,
        finding.value, finding.meaning
    from ops.finding as finding
    inner join public.location_dimension as location using (location_id)
    where
        finding.run_id > %(run_id)s
        and (finding.ended_at is null or finding.check_name = %(mass_revision)s)
    order by finding.finding_id
"""
_LAST_RULES = """
    select processing_key from ops.document_load
    where
        location_id = %(location_id)s
        and address = %(address)s
        and outcome = 'loaded'
        and known_at < %(known_at)s
    order by known_at desc limit 1
"""


def observe(conn: Connection, event: Event, days: list[date], shown: Sequence[Finding]) -> None:
    """Brings the findings of an event up to date, in its transaction.

    `shown` are the findings in the reports of the event's news, whose `days` are given; those of other reports stay.
    """
    bound = asdict(event) | {"is_whole": event.is_whole, "days": days}
    standing = {tuple(identity): finding_id for *identity, finding_id in fetch_all(conn, _STANDING, bound)}
    seen = {(finding.check, finding.measure, finding.report_date, finding.value): finding for finding in shown}
    if over := [standing[identity] for identity in standing.keys() - seen.keys() if _is_over(conn, event, *identity)]:
        end = "update ops.finding set ended_at = %s where finding_id = any(%s)"
        execute(conn, end, (event.known_at, over))
    for identity, finding in seen.items():
        if identity not in standing:
            execute(conn, _ADD, asdict(event) | asdict(finding))


def _is_over(conn: Connection, event: Event, check: str, measure: str, *_: object) -> bool:
    """Whether a finding that is not shown has ended; one of gone values has not until there are values again."""
    metrics = [metric for metric in STATE.metrics if metric.label == measure]
    return check != VALUES_GONE or any(count for metric in metrics for count in _counts(conn, event, [metric], _LEFT))


class RecordedFinding(Finding, frozen=True, kw_only=True):
    """A finding with the code of its location."""

    location: str


def after(conn: Connection, run_id: int) -> list[RecordedFinding]:
    """The findings of all runs after one that have not ended, and the mass revisions of those runs."""
    return rows_of(conn, RecordedFinding, _AFTER, {"run_id": run_id, "mass_revision": MASS_REVISION})


def of_merge(conn: Connection, event: Event, merged: MergeCounts) -> list[Finding]:
    """The findings in what the merge of a whole history has done to the rows that were there before.

    There are none if it came from another source than the last one, or if its rules have changed since: people have
    decided that its figures change, or this program reads them in another way.
    """
    if not event.is_whole or event.change != REVISED:
        return []
    found = [*_values_gone(conn, event, merged)] or [*_mass_revision(merged)]
    if found and fetch_all(conn, _LAST_RULES, asdict(event)) != [(event.processing_key,)]:
        return []
    return found


def _mass_revision(merged: MergeCounts) -> Iterator[Finding]:
    """A finding for the first table of facts of which many of the known rows were touched."""
    for table, counts in merged.rows.items():
        count = counts.updated + counts.withdrawn
        known = count + counts.unchanged
        if table != REPORT_TABLE and count > max(MANY_ROWS, known * LARGE_SHARE):
            meaning = f"one document revised or withdrew {count} of {known} known rows"
            yield Finding(MASS_REVISION, table, None, count, meaning)
            return


def _values_gone(conn: Connection, event: Event, merged: MergeCounts) -> Iterator[Finding]:
    """A finding for each measure that has lost all its values."""
    for table, counts in merged.rows.items():
        metrics = [metric for metric in STATE.metrics if metric.table == table]
        if metrics and counts.updated + counts.withdrawn:
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
    return fetch_one(conn, sql.SQL(query).format(counts=counts, **names), asdict(event))
