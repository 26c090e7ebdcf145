"""The data of the page and the pictures, read through the views of `mart` as of one moment."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from msgspec import Struct

from etl.config import command
from etl.database.checks import Check, validate
from etl.database.connection import Connection, at_one_moment, read_sql, rows_of
from etl.errors import UsageError

NATION = "US"
PER_PEOPLE = 100_000
REVISIONS_PER_MEASURE = 5


class Measure(Struct, frozen=True):
    """A column of `mart.rolling_7d` that has a curve.

    A count of new things is judged by its 7-day mean in `<column>_7d_mean`, a level by the published figure itself.
    `unit` follows a number, as in "243,538 cases a day"; `decimals` are those of the figure per 100,000 people.
    """

    column: str
    title: str
    unit: str
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


class Point(NamedTuple):
    """A day and its figure."""

    day: date
    figure: float


class Curve(Struct, frozen=True):
    """A measure of a location: a value and a mean per day from the location's first day on, None where unknown.

    A level has no means.
    """

    first_day: date
    values: list[int | None]
    means: list[float | None] | None

    @property
    def figures(self) -> Sequence[float | None]:
        """The figure per day by which the measure is judged: the mean, or the value of a level."""
        return self.values if self.means is None else self.means

    @property
    def known(self) -> list[Point]:
        """The days with a figure."""
        return self._points(self.figures)

    @property
    def peak(self) -> Point | None:
        """The first point with the highest figure; None without any figure above 0."""
        highest = max(self.known, key=lambda point: point.figure, default=None)
        return highest if highest and highest.figure > 0 else None

    @property
    def published(self) -> list[Point]:
        """The days with a value."""
        return self._points(self.values)

    def _points(self, figures: Sequence[float | None]) -> list[Point]:
        days = (self.first_day + timedelta(days=index) for index in range(len(figures)))
        return [Point(day, figure) for day, figure in zip(days, figures, strict=True) if figure is not None]


class Location(Struct, frozen=True):
    """A loaded location: the totals and the grade of its newest report, and its curves by column of the measure."""

    code: str
    name: str
    population: int | None
    first_day: date
    last_day: date
    total_cases: int | None
    total_deaths: int | None
    grade: str | None
    curves: dict[str, Curve]

    def per_100k(self, figure: float | None) -> float | None:
        """A figure per 100,000 inhabitants; None where either is unknown."""
        return None if figure is None or not self.population else figure * PER_PEOPLE / self.population


class Finding(Struct, frozen=True):
    """A row of `mart.data_quality`: a figure, and the one that makes it doubtful; each None if not published."""

    check: str
    code: str
    name: str
    report_date: date
    measure: str
    value: Decimal | None
    compared_with: Decimal | None
    grade: str | None


class Revision(Struct, frozen=True):
    """A change of one published count, None where it was not published; `revised_numbers` counts all changes."""

    name: str
    report_date: date
    measure: str
    old_value: int | None
    new_value: int | None
    difference: int | None
    known_from: datetime
    kind: str
    revised_numbers: int


class Provenance(Struct, frozen=True):
    """The reports that are loaded, the time of the first load, and the last run that loaded any."""

    reports: int
    first_day: date
    last_day: date
    run_id: int
    source: str
    started_at: datetime
    program_version: str
    first_loaded_at: datetime


class Contents(Struct, frozen=True):
    """All that the page and the pictures show; locations by code, the nation first if it is loaded."""

    provenance: Provenance
    locations: dict[str, Location]
    revisions: list[Revision]
    checks: list[Check]
    findings: list[Finding]

    @property
    def nation(self) -> Location | None:
        """The nation; None where only states are loaded."""
        return self.locations.get(NATION)

    @property
    def states(self) -> list[Location]:
        """The states and territories, by name."""
        return [location for location in self.locations.values() if location.code != NATION]


def read(conn: Connection) -> Contents:
    """Everything, as of one moment; raises `UsageError` while nothing is loaded."""
    with at_one_moment(conn):
        provenance = rows_of(conn, Provenance, read_sql("page/provenance.sql"))
        if not provenance:
            raise UsageError(f"nothing is loaded yet, so there is nothing to report: run `{command('load')}` first")
        locations = rows_of(conn, _location, read_sql("page/locations.sql"))
        limit = {"per_measure": REVISIONS_PER_MEASURE}
        return Contents(
            provenance=provenance[0],
            locations={location.code: location for location in locations},
            revisions=rows_of(conn, Revision, read_sql("page/revisions.sql"), limit),
            checks=validate(conn),
            findings=rows_of(conn, Finding, read_sql("page/findings.sql")),
        )


def _location(**row: Any) -> Location:
    """A location from a row of `locations.sql`, with a column for each measure's values, and one for its means."""
    curves = {
        measure.column: Curve(row["first_day"], row.pop(measure.column), row.pop(f"{measure.column}_7d_mean", None))
        for measure in MEASURES
    }
    return Location(**row, curves=curves)
