"""Row checks: what no report can say unless its document is broken, and what is doubtful. Pure.

The bounds come from the published history: for each measure the highest share of a location's population that it
ever was. `tests/unit/test_checks.py` computes them again from the snapshot.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from etl.errors import ContractError
from etl.transform.declaration import DETAIL_TABLE, REPORT_TABLE, Metric, Shape
from etl.transform.rows import Rows, columns

# The 50 states, the District of Columbia and 5 territories: no more can report.
STATES = 56
# Beyond so many times what ever was, a value is doubtful, and kept as a finding;
DOUBTFUL = 2
# beyond so many times it has other digits or another unit than it should, and its document is rejected.
IMPOSSIBLE = 10
# Measure -> highest published share of the population, rounded up; parts are held to the bound of their whole.
HIGHEST_SHARES = {
    "total_cases": 0.133,
    "confirmed_cases": 0.133,
    "probable_cases": 0.133,
    "recovered": 0.133,
    "total_tests": 2.96,
    "pending_tests": 0.0023,
    "currently_hospitalized": 0.00097,
    "cumulative_hospitalized": 0.0095,
    "currently_in_icu": 0.00027,
    "cumulative_in_icu": 0.0012,
    "currently_on_ventilator": 0.00029,
    "cumulative_on_ventilator": 0.00052,
    "total_deaths": 0.0027,
    "confirmed_deaths": 0.0027,
    "probable_deaths": 0.0027,
}
# Every kind of test is held to the bound of all tests.
_TESTS = HIGHEST_SHARES["total_tests"]
# In words, for the table of findings: what each check looks at.
HIGHEST_VALUE, VALUES_GONE = "highest value", "values gone"
_IMPOSSIBLE_VALUE = "impossible value"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something doubtful in a document that loads; `measure` is a table and a column, or a kind of test."""

    check: str
    measure: str
    report_date: date | None
    value: int
    meaning: str


def check(rows: Rows, shape: Shape, population: int | None, today: date) -> list[Finding]:
    """The doubtful values among the rows of a document; raises `ContractError` for impossible ones.

    `today` is the newest day that a report can have; without a population only days and states are checked.
    """
    _check_days(rows, today)
    _check_states(rows, shape)
    if not population:
        return []
    findings = list(_high_values(rows, shape, population))
    if impossible := [each for each in findings if each.check == _IMPOSSIBLE_VALUE]:
        days = tuple(sorted({str(each.report_date) for each in impossible}))
        worst = max(impossible, key=lambda each: each.value)
        raise ContractError(f"{worst.measure} of {worst.report_date} is {worst.value}: {worst.meaning}", days=days)
    return findings


def _check_days(rows: Rows, today: date) -> None:
    if late := sorted({row[0] for row in rows[REPORT_TABLE] if row[0] > today}):
        raise ContractError(f"data.date: {late[0]} is in the future", days=tuple(map(str, late)))


def _check_states(rows: Rows, shape: Shape) -> None:
    if "states_reporting" not in columns(REPORT_TABLE, shape):
        return
    where = columns(REPORT_TABLE, shape).index("states_reporting")
    if many := sorted((row[0], row[where]) for row in rows[REPORT_TABLE] if row[where] > STATES):
        reason = f"data.states of {many[0][0]} is {many[0][1]}: there are {STATES} states and territories"
        raise ContractError(reason, days=tuple(str(day) for day, _ in many))


def empty_metrics(rows: Rows, shape: Shape) -> list[Metric]:
    """The metrics of a shape whose value is published for none of a document's days."""
    filled = {(DETAIL_TABLE, row[1]) for row in rows[DETAIL_TABLE] if row[2] is not None}
    for table in rows.keys() - {DETAIL_TABLE}:
        for name, values in _columns(table, rows, shape):
            if values.count(None) < len(values):
                filled.add((table, name))
    return [
        each for each in shape.metrics if (each.table, each.test.test_id if each.test else each.measure) not in filled
    ]


def _columns(table: str, rows: Rows, shape: Shape) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The rows of a table as columns with their names: looked at as a whole they cost next to nothing."""
    return zip(columns(table, shape), zip(*rows[table], strict=True), strict=False)


def _high_values(rows: Rows, shape: Shape, population: int) -> Iterator[Finding]:
    for table in rows.keys() - {REPORT_TABLE}:
        for name, values in _columns(table, rows, shape):
            share = _TESTS if table == DETAIL_TABLE and name == "value" else HIGHEST_SHARES.get(name)
            if share and max(filter(None, values), default=0) > share * population * DOUBTFUL:
                for row, value in zip(rows[table], values, strict=True):
                    kind = f" (test_id {row[1]})" if table == DETAIL_TABLE else ""
                    yield from _high_value(f"{table}.{name}{kind}", row[0], value or 0, share * population)


def _high_value(measure: str, day: date, value: int, highest: float) -> Iterator[Finding]:
    if value > highest * DOUBTFUL:
        meaning = f"{int(value / highest)} times the highest share of the population ever published"
        yield Finding(
            HIGHEST_VALUE if value <= highest * IMPOSSIBLE else _IMPOSSIBLE_VALUE, measure, day, value, meaning
        )
