"""What the report shows, read through the views of `mart` in one transaction, so that its parts agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from etl.database.checks import Check, validate
from etl.database.connection import Connection, fetch_all, read_sql, transaction
from etl.errors import DatabaseError

NATION = "US"
PER_PEOPLE = 100_000
REVISIONS_PER_MEASURE = 5


@dataclass(frozen=True, slots=True)
class Measure:
    """A column of `mart.rolling_7d` that has a curve.

    What is new each day is judged by its 7-day mean, `<column>_7d_mean`; a level by the published figure itself.
    """

    column: str
    title: str
    # What one is, behind a number: "243,538 cases a day".
    unit: str
    # Decimals of the figure per 100,000 people.
    decimals: int
    is_level: bool = False


MEASURES = (
    Measure("new_cases", "New cases", "cases a day", 1),
    Measure("new_tests", "New tests", "tests a day", 1),
    Measure("currently_hospitalized", "In hospital", "patients", 1, is_level=True),
    Measure("currently_in_icu", "In intensive care", "patients", 1, is_level=True),
    Measure("currently_on_ventilator", "On a ventilator", "patients", 1, is_level=True),
    Measure("new_deaths", "New deaths", "deaths a day", 2),
)


@dataclass(frozen=True, slots=True)
class Curve:
    """A measure of a location: a value and a mean per day from the location's first day on; None is unknown.

    A level has no means.
    """

    first_day: date
    values: list[int | None]
    means: list[float | None] | None

    @property
    def figures(self) -> Sequence[float | None]:
        """What the measure is judged by, per day: the means, or the values of a level."""
        return self.values if self.means is None else self.means

    @property
    def known(self) -> list[tuple[date, float]]:
        """The days with a figure, and the figure."""
        days = ((self.first_day + timedelta(days=index), figure) for index, figure in enumerate(self.figures))
        return [(day, figure) for day, figure in days if figure is not None]

    @property
    def peak(self) -> tuple[date, float] | None:
        """Day and height of the highest figure, the first of equals; None without any figure above 0."""
        highest = max(self.known, key=lambda each: each[1], default=None)
        return highest if highest and highest[1] > 0 else None

    @property
    def published_from(self) -> date | None:
        """The first day with a value; None without any."""
        found = (index for index, value in enumerate(self.values) if value is not None)
        index = next(found, None)
        return None if index is None else self.first_day + timedelta(days=index)


@dataclass(frozen=True, slots=True)
class Location:
    """A loaded location: its curves by column, and a row of `locations.sql`, with the totals of its newest report."""

    curves: dict[str, Curve]
    code: str
    name: str
    type: str
    population: int | None
    first_day: date
    last_day: date
    total_cases: int | None
    total_deaths: int | None
    grade: str | None

    def per_100k(self, figure: float | None) -> float | None:
        """A figure per 100,000 inhabitants; None where either is unknown."""
        return None if figure is None or not self.population else figure * PER_PEOPLE / self.population


@dataclass(frozen=True, slots=True)
class Finding:
    """A row of `mart.data_quality`: what is doubtful about a published figure; None is not published."""

    check: str
    code: str
    name: str
    report_date: date
    measure: str
    value: Decimal | None
    compared_with: Decimal | None
    grade: str | None


@dataclass(frozen=True, slots=True)
class Revision:
    """One published count that became another; None is not published."""

    name: str
    report_date: date
    measure: str
    old_value: int | None
    new_value: int | None
    difference: int | None
    known_from: datetime
    kind: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is loaded and since when, and the run that last loaded something of it."""

    reports: int
    locations: int
    first_day: date
    last_day: date
    run_id: int
    source: str
    started_at: datetime
    program_version: str
    first_loaded_at: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """All that a report shows; locations by code, the nation first if it is loaded."""

    provenance: Provenance
    locations: dict[str, Location]
    revisions: list[Revision]
    revised_numbers: int
    checks: list[Check]
    findings: list[Finding]

    @property
    def nation(self) -> Location | None:
        """The nation; None where only states are loaded."""
        return self.locations.get(NATION)

    @property
    def states(self) -> list[Location]:
        """States and territories by name."""
        return [location for location in self.locations.values() if location.code != NATION]


def read(conn: Connection) -> Report:
    """Everything, as of one moment; raises `DatabaseError` while nothing is loaded."""
    with transaction(conn):
        fetch_all(conn, "set transaction isolation level repeatable read, read only; select 1")
        loaded = fetch_all(conn, read_sql("report/provenance.sql"))
        if not loaded:
            raise DatabaseError("nothing is loaded yet, so there is nothing to report: run `main.py load` first")
        revisions, revised_numbers = _revisions(conn)
        findings = [Finding(*row) for row in fetch_all(conn, read_sql("report/findings.sql"))]
        return Report(Provenance(*loaded[0]), _locations(conn), revisions, revised_numbers, validate(conn), findings)


def _locations(conn: Connection) -> dict[str, Location]:
    arrays = {code: columns for code, *columns in fetch_all(conn, read_sql("report/series.sql"))}
    rows = fetch_all(conn, read_sql("report/locations.sql"))
    return {row[0]: Location(_curves(row[4], arrays[row[0]]), *row) for row in rows}


def _curves(first_day: date, arrays: list[Any]) -> dict[str, Curve]:
    """The curves of a row of `series.sql`: values, and means unless it is a level, in the order of `MEASURES`."""
    columns = iter(arrays)
    return {
        measure.column: Curve(first_day, next(columns), None if measure.is_level else next(columns))
        for measure in MEASURES
    }


def _revisions(conn: Connection) -> tuple[list[Revision], int]:
    rows = fetch_all(conn, read_sql("report/revisions.sql"), {"per_measure": REVISIONS_PER_MEASURE})
    return [Revision(*row[:-1]) for row in rows], rows[0][-1] if rows else 0
