"""What the report shows, read through the views of `mart` in one transaction, so that its parts agree."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from etl.database import Connection, fetch_all, read_sql, transaction
from etl.errors import DatabaseError
from etl.validate import Check, validate

NATION = "US"
REVISIONS_PER_MEASURE = 5


@dataclass(frozen=True, slots=True)
class Measure:
    """A column of `mart.rolling_7d` that has a curve; its mean is `<column>_7d_mean`."""

    column: str
    title: str
    # What one is, behind a number: "243,538 cases a day".
    unit: str
    # Decimals of the figure per 100,000 people.
    decimals: int


MEASURES = (
    Measure("new_cases", "New cases", "cases a day", 1),
    Measure("new_tests", "New tests", "tests a day", 1),
    Measure("currently_hospitalized", "In hospital", "patients", 1),
    Measure("currently_in_icu", "In intensive care", "patients", 1),
    Measure("currently_on_ventilator", "On a ventilator", "patients", 1),
    Measure("new_deaths", "New deaths", "deaths a day", 2),
)


@dataclass(frozen=True, slots=True)
class Curve:
    """A measure of a location: a value and a mean per day from the location's first day on; None is unknown."""

    first_day: date
    values: list[int | None]
    means: list[float | None]

    @property
    def peak(self) -> tuple[date, float] | None:
        """Day and height of the highest mean, the first of equals; None without any mean above 0."""
        known = [(mean, -index) for index, mean in enumerate(self.means) if mean is not None]
        if not known or max(known)[0] <= 0:
            return None
        mean, index = max(known)
        return self.first_day + timedelta(days=-index), mean

    @property
    def last(self) -> tuple[date, float] | None:
        """Day and height of the newest mean."""
        known = [(index, mean) for index, mean in enumerate(self.means) if mean is not None]
        return (self.first_day + timedelta(days=known[-1][0]), known[-1][1]) if known else None


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
    """What is loaded, and the run that last loaded something of it."""

    reports: int
    locations: int
    first_day: date
    last_day: date
    run_id: int
    source: str
    started_at: datetime
    program_version: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that a report shows; locations by code, the nation first if it is loaded."""

    provenance: Provenance
    locations: dict[str, Location]
    revisions: list[Revision]
    revised_numbers: int
    checks: list[Check]

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
        return Report(Provenance(*loaded[0]), _locations(conn), revisions, revised_numbers, validate(conn))


def _locations(conn: Connection) -> dict[str, Location]:
    arrays = {code: columns for code, *columns in fetch_all(conn, read_sql("report/series.sql"))}
    rows = fetch_all(conn, read_sql("report/locations.sql"))
    return {row[0]: Location(_curves(row[4], arrays[row[0]]), *row) for row in rows}


def _curves(first_day: date, arrays: list[Any]) -> dict[str, Curve]:
    """The curves of a row of `series.sql`, which has two columns per measure, in the order of `MEASURES`."""
    pairs = zip(arrays[::2], arrays[1::2], strict=True)
    return {
        measure.column: Curve(first_day, values, means)
        for measure, (values, means) in zip(MEASURES, pairs, strict=True)
    }


def _revisions(conn: Connection) -> tuple[list[Revision], int]:
    rows = fetch_all(conn, read_sql("report/revisions.sql"), {"per_measure": REVISIONS_PER_MEASURE})
    return [Revision(*row[:-1]) for row in rows], rows[0][-1] if rows else 0
