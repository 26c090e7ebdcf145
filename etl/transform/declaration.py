"""The one declaration: which published number, at which path of a report, feeds which column.

The contract's types, the transform, the COPY lists, the merge statements and the tests of the DDL
are all derived from it. To add a metric, add a line here and its columns in `sql/ddl/`.
"""

import hashlib
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Literal

# The days that `date_dimension` holds; a report of any other day breaks the contract.
FIRST_DAY = date(2020, 1, 1)
LAST_DAY = date(2029, 12, 31)
# The project stopped collecting after this day.
SERIES_END = date(2021, 3, 7)

NumberKind = Literal["count", "change", "percent", "percent_change"]
AttributeKind = Literal["count", "text", "instant"]

# What the API calculates for a metric, in the order that it publishes them.
CALCULATED: dict[str, NumberKind] = {
    "population_percent": "percent",
    "change_from_prior_day": "change",
    "seven_day_change_percent": "percent_change",
    "seven_day_average": "count",
}
_ALL = tuple(CALCULATED)
# Cumulative totals of cases and tests are published without an average,
_NO_AVERAGE = _ALL[:3]
# and cumulative hospital counts without any calculated value.
_NOTHING: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TestKind:
    """One row of `test_dimension`: what is counted (unit), by which test, with which result."""

    test_id: int
    test_type: str
    unit: str
    result: str


@dataclass(frozen=True, slots=True)
class Metric:
    """One published number of a report: its path there, and the table and columns that it feeds."""

    path: str
    table: str
    measure: str
    calculated: tuple[str, ...] = _ALL
    test: TestKind | None = None

    @property
    def label(self) -> str:
        """Table and column of its value, such as `death_fact.total_deaths`; of a kind of test with its number."""
        return f"{self.table}.{self.measure}" + (f" (test_id {self.test.test_id})" if self.test else "")

    @property
    def columns(self) -> dict[str, str]:
        """Column name -> path in a report, the value first."""
        prefix = "" if self.test else f"{self.measure}_"
        return {self.measure: f"{self.path}.value"} | {
            f"{prefix}{name}": f"{self.path}.calculated.{name}" for name in self.calculated
        }


@dataclass(frozen=True, slots=True)
class Attribute:
    """One descriptive value of a report: its path there, and its column in `cases_dimension`."""

    path: str
    column: str
    kind: AttributeKind
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Shape:
    """What a report of one kind of endpoint (the nation's or the states') holds."""

    name: str
    attributes: tuple[Attribute, ...]
    metrics: tuple[Metric, ...]


REPORT_TABLE = "cases_dimension"
DETAIL_TABLE = "testing_detail_fact"
_CASES, _TESTS, _HOSPITAL, _DEATHS = (
    "cases_fact",
    "testing_fact",
    "hospitalization_fact",
    "death_fact",
)


def _test_metrics() -> tuple[Metric, ...]:
    """The 19 kinds of test; the API publishes no average for totals, nor for people positive by PCR."""
    every = ("total", "positive", "negative")
    units: dict[str, dict[str, tuple[str, ...]]] = {
        "pcr": {"encounters": every[:1], "specimens": every, "people": every},
        "antibody": {"encounters": every, "people": every},
        "antigen": {"encounters": every, "people": every},
    }
    kinds = [
        (test_type, unit, result)
        for test_type, by_unit in units.items()
        for unit, results in by_unit.items()
        for result in results
    ]
    return tuple(
        Metric(
            path=f"tests.{test_type}.{unit}.{result}",
            table=DETAIL_TABLE,
            measure="value",
            calculated=_NO_AVERAGE
            if result == "total" or (test_type, unit, result) == ("pcr", "people", "positive")
            else _ALL,
            test=TestKind(test_id, test_type, unit, result),
        )
        for test_id, (test_type, unit, result) in enumerate(kinds, start=1)
    )


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
        Metric(
            "outcomes.hospitalized.on_ventilator.total",
            _HOSPITAL,
            "cumulative_on_ventilator",
            _NOTHING,
        ),
        Metric("outcomes.death.total", _DEATHS, "total_deaths"),
        Metric("outcomes.death.confirmed", _DEATHS, "confirmed_deaths"),
        Metric("outcomes.death.probable", _DEATHS, "probable_deaths"),
        *_test_metrics(),
    ),
)

SHAPES = (NATION, STATE)

# Every table that documents feed, in the order in which they are merged: the report's own row comes
# last, because it records whether any other row of the report has changed.
TABLES = (_CASES, _TESTS, _HOSPITAL, _DEATHS, DETAIL_TABLE, REPORT_TABLE)


def key_columns(table: str) -> tuple[str, ...]:
    """The primary key of a table within one location."""
    return ("report_date", "test_id") if table == DETAIL_TABLE else ("report_date",)


def column_paths(table: str, shape: Shape) -> dict[str, str]:
    """Column -> path in a report, for what a shape feeds into a table of one row per report."""
    if table == REPORT_TABLE:
        return {attribute.column: attribute.path for attribute in shape.attributes}
    columns = (metric.columns for metric in shape.metrics if metric.table == table)
    return {column: path for by_column in columns for column, path in by_column.items()}


def value_columns(table: str) -> tuple[str, ...]:
    """Every column of a table that some document can fill; a change in one of them is a revision."""
    if table == DETAIL_TABLE:
        return ("value", *CALCULATED)
    return tuple(column_paths(table, STATE) | column_paths(table, NATION))


@cache
def processing_key() -> str:
    """A hash of the rules that turn documents into rows; under other rules the same bytes load anew."""
    return hashlib.sha256(repr((FIRST_DAY, LAST_DAY, CALCULATED, SHAPES)).encode()).hexdigest()
