"""What is doubtful in what was loaded, kept in `ops.finding`: each thing once, as long as it stands."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from etl.database.connection import Connection, fetch_all, fetch_one, read_sql
from etl.transform.bounds import VALUES_GONE, Finding
from etl.transform.declaration import FIRST_DAY, LAST_DAY, Metric

if TYPE_CHECKING:
    from etl.load.document import Loaded


@dataclass(frozen=True, slots=True)
class _Standing:
    """A finding that stands; a row of `sql/findings/standing.sql`."""

    finding_id: int
    location_id: int
    check: str
    measure: str
    report_date: date | None
    value: int

    def is_same(self, finding: Finding) -> bool:
        return (self.check, self.measure, self.report_date, self.value) == (
            finding.check,
            finding.measure,
            finding.report_date,
            finding.value,
        )


class FindingLog:
    """Records findings, each once, and ends those that a later load of the same days is without."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        rows = fetch_all(conn, read_sql("findings/standing.sql"))
        self._standing = [_Standing(*row) for row in rows]

    def record(
        self, load: Mapping[str, Any], found: list[Finding], empty: list[Metric], loaded: "Loaded"
    ) -> list[Finding]:
        """Brings the findings of a load's days up to date, in its transaction; returns those that are new."""
        gone = list(self._values_gone(load, empty, loaded))
        about = [each for each in self._standing if _is_about(each, load)]
        still_empty = {metric.label for metric in empty}
        over = [
            each
            for each in about
            if not any(map(each.is_same, found)) and not (each.check == VALUES_GONE and each.measure in still_empty)
        ]
        new = gone + [each for each in found if not any(standing.is_same(each) for standing in about)]
        self._write(load, new, [each.finding_id for each in over])
        return new

    def _values_gone(self, load: Mapping[str, Any], empty: list[Metric], loaded: "Loaded") -> Iterator[Finding]:
        """The measures of which a whole history has taken every value away."""
        if not _is_whole(load):
            return
        for table, counts in loaded.rows.items():
            metrics = [metric for metric in empty if metric.table == table]
            if metrics and counts.updated + counts.withdrawn:
                for metric, count in zip(
                    metrics, fetch_one(self.conn, _count_gone(table, metrics), load), strict=True
                ):
                    meaning = f"all {count} values were taken back"
                    yield from [Finding(VALUES_GONE, metric.label, None, count, meaning)] if count else []

    def _write(self, load: Mapping[str, Any], new: list[Finding], over: list[int]) -> None:
        with self.conn.cursor() as cursor:
            for each in new:
                found = {"check_name": each.check} | asdict(each)
                cursor.execute(read_sql("findings/add.sql"), {**load, **found})
            if over:
                cursor.execute(read_sql("findings/end.sql"), {**load, "ids": over})


def _count_gone(table: str, metrics: list[Metric]) -> sql.Composed:
    """`sql/findings/gone.sql` for some metrics of a table."""
    of_test = "count(old.{}) filter (where old.test_id = {})"
    counts = [
        sql.SQL(of_test).format(sql.Identifier(metric.measure), sql.Literal(metric.test.test_id))
        if metric.test
        else sql.SQL("count(old.{})").format(sql.Identifier(metric.measure))
        for metric in metrics
    ]
    text = read_sql("findings/gone.sql")
    return sql.SQL(text).format(counts=sql.SQL(", ").join(counts), revision=sql.Identifier(f"{table}_revision"))


def _is_whole(load: Mapping[str, Any]) -> bool:
    return (load["first_day"], load["last_day"]) == (FIRST_DAY, LAST_DAY)


def _is_about(standing: _Standing, load: Mapping[str, Any]) -> bool:
    """Whether a finding is about a location and days of which a load speaks."""
    day = standing.report_date
    is_within = load["first_day"] <= day <= load["last_day"] if day else _is_whole(load)
    return standing.location_id == load["location_id"] and is_within and day not in load["skipped_days"]
