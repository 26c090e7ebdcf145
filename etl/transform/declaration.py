"""The one declaration of which published number, at which path of a report, feeds which column.

The record types, the rows, the COPY lists, the merge statements and the tests of the DDL are derived from it. A new
metric is a line here and its columns in `sql/ddl/`.
"""

import hashlib
from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import Literal

from msgspec import Struct

# The version of the rules that are code, not declared below. `tests/unit/test_rules_version.py` fails if the outcome
# of a document changes and this number does not.
RULES_VERSION = 5

# The first and the last day of `date_dimension`; a report of a day outside breaks the contract.
FIRST_DAY = date(2020, 1, 1)
LAST_DAY = date(2029, 12, 31)
# The last day of the published series.
SERIES_END = date(2021, 3, 7)

Kind = Literal["count", "change", "percent", "percent_change", "text", "instant"]

# The numbers that the API calculates for a metric, in the order in which it publishes them.
CALCULATED: dict[str, Kind] = {
    "population_percent": "percent",
    "change_from_prior_day": "change",
    "seven_day_change_percent": "percent_change",
    "seven_day_average": "count",
}
_ALL = tuple(CALCULATED)
# Cumulative totals of cases and tests are published without an average.
_NO_AVERAGE = _ALL[:3]
# Cumulative hospital counts are published without any calculated value.
_NOTHING: tuple[str, ...] = ()


class Metric(Struct, frozen=True):
    """One published number of a report, with its path there, and the table and columns that it feeds.

    A kind of test is a row of `test_dimension`; the path of its metric names its test type, unit and result.
    """

    path: str
    table: str
    measure: str
    calculated: tuple[str, ...] = _ALL
    test_id: int | None = None

    @property
    def label(self) -> str:
        """The table and column of the value, such as `death_fact.total_deaths`, with the number of a kind of test."""
        return f"{self.table}.{self.measure}" + (f" (test_id {self.test_id})" if self.test_id else "")

    @property
    def columns(self) -> dict[str, str]:
        """Column name -> path in a report, the value first."""
        prefix = "" if self.test_id else f"{self.measure}_"
        return {self.measure: f"{self.path}.value"} | {
            f"{prefix}{name}": f"{self.path}.calculated.{name}" for name in self.calculated
        }


class Attribute(Struct, frozen=True):
    """One descriptive value of a report, with its path there, and its column in `cases_dimension`."""

    path: str
    column: str
    kind: Kind
    nullable: bool = True


class Shape(Struct, frozen=True, eq=False):
    """The values in a report of one kind of endpoint, the nation's or the states'."""

    name: str
    attributes: tuple[Attribute, ...]
    metrics: tuple[Metric, ...]


REPORT_TABLE, DETAIL_TABLE = "cases_dimension", "testing_detail_fact"
_CASES, _TESTS, _HOSPITAL, _DEATHS = "cases_fact", "testing_fact", "hospitalization_fact", "death_fact"

# Test type and unit, which is what is counted, of the tests that are published in all and by their result.
_TESTS_BY_RESULT = (
    "pcr.specimens", "pcr.people", "antibody.encounters", "antibody.people", "antigen.encounters", "antigen.people",
)  # fmt: skip
_TEST_PATHS = (
    "tests.pcr.encounters.total",
    *(f"tests.{kind}.{result}" for kind in _TESTS_BY_RESULT for result in ("total", "positive", "negative")),
)


def _test_metrics() -> Iterator[Metric]:
    """The metrics of the kinds of test; totals and people positive by PCR are published without an average."""
    for test_id, path in enumerate(_TEST_PATHS, start=1):
        has_average = not path.endswith(".total") and path != "tests.pcr.people.positive"
        yield Metric(path, DETAIL_TABLE, "value", _ALL if has_average else _NO_AVERAGE, test_id)


NATION = Shape(
    name="nation",
    attributes=(Attribute("states", "states_reporting", "count", nullable=False),),
    metrics=(
        Metric("cases.total", _CASES, "total_cases", _NO_AVERAGE),
        Metric("testing.total", _TESTS, "total_tests", _NO_AVERAGE),
        Metric("outcomes.hospitalized.currently", _HOSPITAL, "currently_hospitalized"),
        Metric("outcomes.hospitalized.in_icu.currently", _HOSPITAL, "currently_in_icu"),
        Metric("outcomes.hospitalized.on_ventilator.currently", _HOSPITAL, "currently_on_ventilator"),
        Metric("outcomes.death.total", _DEATHS, "total_deaths"),
    ),
)

STATE = Shape(
    name="state",
    attributes=(
        Attribute("meta.data_quality_grade", "data_quality_grade", "text"),
        Attribute("meta.updated", "updated_at", "instant"),
        Attribute("meta.tests.total_source", "total_tests_source", "text"),
    ),
    metrics=(
        Metric("cases.total", _CASES, "total_cases", _NO_AVERAGE),
        Metric("cases.confirmed", _CASES, "confirmed_cases"),
        Metric("cases.probable", _CASES, "probable_cases"),
        Metric("outcomes.recovered", _CASES, "recovered"),
        Metric("tests.pcr.total", _TESTS, "total_tests", _NO_AVERAGE),
        Metric("tests.pcr.pending", _TESTS, "pending_tests"),
        Metric("outcomes.hospitalized.currently", _HOSPITAL, "currently_hospitalized"),
        Metric("outcomes.hospitalized.total", _HOSPITAL, "cumulative_hospitalized", _NOTHING),
        Metric("outcomes.hospitalized.in_icu.currently", _HOSPITAL, "currently_in_icu"),
        Metric("outcomes.hospitalized.in_icu.total", _HOSPITAL, "cumulative_in_icu", _NOTHING),
        Metric("outcomes.hospitalized.on_ventilator.currently", _HOSPITAL, "currently_on_ventilator"),
        Metric("outcomes.hospitalized.on_ventilator.total", _HOSPITAL, "cumulative_on_ventilator", _NOTHING),
        Metric("outcomes.death.total", _DEATHS, "total_deaths"),
        Metric("outcomes.death.confirmed", _DEATHS, "confirmed_deaths"),
        Metric("outcomes.death.probable", _DEATHS, "probable_deaths"),
        *_test_metrics(),
    ),
)

# Kind of endpoint -> its shape.
SHAPES = {shape.name: shape for shape in (NATION, STATE)}

# Every table that documents feed, in the order of merging. The report's own row is merged last, because it records
# whether any other row of the report has changed.
TABLES = (_CASES, _TESTS, _HOSPITAL, _DEATHS, DETAIL_TABLE, REPORT_TABLE)


def key_columns(table: str) -> tuple[str, ...]:
    """The primary key of a table within one location."""
    return ("report_date", "test_id") if table == DETAIL_TABLE else ("report_date",)


def column_paths(table: str, shape: Shape) -> dict[str, str]:
    """Column -> path in a report, for the columns of a table that a shape feeds.

    All kinds of test share columns: for their table the paths are those of the last kind.
    """
    if table == REPORT_TABLE:
        return {attribute.column: attribute.path for attribute in shape.attributes}
    metrics = [metric for metric in shape.metrics if metric.table == table]
    return {column: path for metric in metrics for column, path in metric.columns.items()}


def value_columns(table: str) -> tuple[str, ...]:
    """The columns of a table that documents fill; a change in one of them is a revision."""
    return tuple(column_paths(table, STATE) | column_paths(table, NATION))


def paths_below(shape: Shape, path: str) -> list[str]:
    """The declared paths of metrics and attributes at or below a path of a report."""
    declared = [attribute.path for attribute in shape.attributes] + [metric.path for metric in shape.metrics]
    return [part for part in declared if f"{part}.".startswith(f"{path}.")]


def days_in_words(first_day: date, last_day: date) -> str:
    """A range of days in words: `all days`, `2021-03-01`, or `2021-03-01 to 2021-03-07`."""
    if (first_day, last_day) == (FIRST_DAY, LAST_DAY):
        return "all days"
    return str(first_day) if first_day == last_day else f"{first_day} to {last_day}"


@cache
def processing_key() -> str:
    """A hash of the rules that turn documents into rows; when it changes, the same bytes are loaded again."""
    return hashlib.sha256(repr((RULES_VERSION, FIRST_DAY, LAST_DAY, CALCULATED, SHAPES)).encode()).hexdigest()
