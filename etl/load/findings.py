"""The findings of `ops.finding`: each doubtful thing in what is loaded, once, until a later load is without it."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from psycopg2 import sql

from etl.database.connection import Connection, execute, fetch_all, fetch_one, rows_of
from etl.load.events import REVISED, Event
from etl.load.merge import MergeCounts, count_of
from etl.transform.bounds import VALUES_GONE, Finding
from etl.transform.declaration import REPORT_TABLE, Metric

MASS_REVISION = "mass revision"
# A history that touches more than this share of the known rows of a table, and more rows than that, may be damaged
# though its values are plausible.
LARGE_SHARE, MANY_ROWS = 0.05, 20
# The findings that an event may end: about its days, or without a day if it speaks of all days. That all values of a
# measure have gone stays true while the measure is empty.
_STANDING = """
    select check_name, measure, report_date, value, finding_id
    from ops.finding
    where
        location_id = %(location_id)s
        and ended_at is null
        and coalesce(
            report_date between %(first_day)s and %(last_day)s and report_date <> all(%(skipped_days)s::date[]),
            %(is_whole)s
        )
        and not (check_name = %(values_gone)s and measure = any(%(empty)s))
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
# What a mass revision has done stays when the next document ends the finding.
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
    where location_id = %(location_id)s and outcome = 'loaded' and known_at < %(known_at)s
    order by known_at desc limit 1
"""


def observe(conn: Connection, event: Event, shown: Sequence[Finding], empty: Sequence[Metric]) -> None:
    """Brings the findings of an event's days up to date, in its transaction.

    `shown` are the findings in its document, and `empty` the metrics without any value there.
    """
    labels = [metric.label for metric in empty]
    bound = asdict(event) | {"is_whole": event.is_whole, "values_gone": VALUES_GONE, "empty": labels}
    standing = {tuple(identity): finding_id for *identity, finding_id in fetch_all(conn, _STANDING, bound)}
    seen = {(finding.check, finding.measure, finding.report_date, finding.value): finding for finding in shown}
    if over := [finding_id for identity, finding_id in standing.items() if identity not in seen]:
        end = "update ops.finding set ended_at = %s where finding_id = any(%s)"
        execute(conn, end, (event.known_at, over))
    for identity, finding in seen.items():
        if identity not in standing:
            execute(conn, _ADD, asdict(event) | asdict(finding))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFinding(Finding):
    """A finding with the code of its location."""

    location: str


def after(conn: Connection, run_id: int) -> list[RecordedFinding]:
    """The findings of runs after one, without those that are over; a mass revision is one as long as it is news."""
    return rows_of(conn, RecordedFinding, _AFTER, {"run_id": run_id, "mass_revision": MASS_REVISION})


def of_merge(conn: Connection, event: Event, empty: Sequence[Metric], merged: MergeCounts) -> list[Finding]:
    """The findings in what the merge of a whole history has done to the rows that were there before.

    There are none if the rules for its location have changed since its last load: then people have decided that its
    figures change, or this program reads them in another way.
    """
    if not event.is_whole:
        return []
    found = [*_values_gone(conn, event, empty, merged)] or [*_mass_revision(event, merged)]
    if found and fetch_all(conn, _LAST_RULES, asdict(event)) != [(event.processing_key,)]:
        return []
    return found


def _mass_revision(event: Event, merged: MergeCounts) -> Iterator[Finding]:
    """A finding for the first table of facts of which many of the known rows were touched; not for another source."""
    for table, counts in merged.rows.items() if event.change == REVISED else ():
        count = counts.updated + counts.withdrawn
        known = count + counts.unchanged
        if table != REPORT_TABLE and count > max(MANY_ROWS, known * LARGE_SHARE):
            meaning = f"one document revised or withdrew {count} of {known} known rows"
            yield Finding(MASS_REVISION, table, None, count, meaning)
            return


def _values_gone(conn: Connection, event: Event, empty: Sequence[Metric], merged: MergeCounts) -> Iterator[Finding]:
    """A finding for each measure that has lost all its values."""
    for table, counts in merged.rows.items():
        metrics = [metric for metric in empty if metric.table == table]
        if metrics and counts.updated + counts.withdrawn:
            gone = fetch_one(conn, _count_gone(table, metrics), asdict(event))
            for metric, count in zip(metrics, gone, strict=True):
                if count:
                    yield Finding(VALUES_GONE, metric.label, None, count, f"all {count} values were taken back")


def _count_gone(table: str, metrics: Sequence[Metric]) -> sql.Composed:
    """A query for how many values an event has moved to the history, of each of some metrics of a table."""
    counts = sql.SQL(", ").join(count_of(metric, metric.measure) for metric in metrics)
    query = sql.SQL("select {} from history.{} where location_id = %(location_id)s and known_to = %(known_at)s")
    return query.format(counts, sql.Identifier(f"{table}_revision"))
