"""Bounds: the figures that no sound document has, and those that are doubtful.

The bound of a measure is the highest share of a location's population in the published history;
`tests/unit/test_bounds.py` computes each again from the snapshot.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from operator import attrgetter
from typing import Any

from msgspec import Struct

from etl.errors import ContractError
from etl.transform.declaration import NATION, Metric, Shape
from etl.transform.locations import LocationMetadata

# The reports of a day come from the 50 states, the District of Columbia and 5 territories.
STATES = 56
# A value beyond so many times the highest share ever published loads, and is noted as a finding.
DOUBTFUL = 2
# A value beyond so many times that share has wrong digits or another unit, and its document is rejected.
IMPOSSIBLE = 10
# Measure -> highest published share of the population, rounded up. A part has the bound of its whole; `value` is the
# measure of every kind of test, which has the bound of all tests.
HIGHEST_SHARES = {
    **dict.fromkeys(("total_cases", "confirmed_cases", "probable_cases", "recovered"), 0.133),
    **dict.fromkeys(("total_tests", "value"), 2.96),
    "pending_tests": 0.0046,
    "currently_hospitalized": 0.00097,
    "cumulative_hospitalized": 0.0095,
    "currently_in_icu": 0.00027,
    "cumulative_in_icu": 0.0012,
    "currently_on_ventilator": 0.00029,
    "cumulative_on_ventilator": 0.00052,
    **dict.fromkeys(("total_deaths", "confirmed_deaths", "probable_deaths"), 0.0027),
}
# A population of more than so many times the known one, or less than the known one divided by this, would make sound
# counts look impossible.
OTHER_POPULATION = 2
# The names of the checks in `ops.finding`.
HIGHEST_VALUE, VALUES_GONE = "highest value", "values gone"


class Finding(Struct, frozen=True):
    """A doubtful value in a document that loads; `measure` names its table and column, and the kind of test."""

    check: str
    measure: str
    report_date: date | None
    value: int
    meaning: str


def findings(reports: Sequence[Any], shape: Shape, population: int | None, today: date) -> list[Finding]:
    """The doubtful values in some reports of a document; raises `ContractError` for impossible ones.

    No report can have a day after `today`. Without a population only the count of states can be too high.
    """
    _refuse_impossible_reports(reports, shape, today)
    values = _values(reports, shape)
    doubtful = list(_high_values(reports, values, population or 0, DOUBTFUL))
    if doubtful and (impossible := list(_high_values(reports, values, population or 0, IMPOSSIBLE))):
        days = tuple(sorted({str(finding.report_date) for finding in impossible}))
        worst = max(impossible, key=lambda finding: finding.value)
        raise ContractError(f"{worst.measure} of {worst.report_date} is {worst.value}: {worst.meaning}", days=days)
    return doubtful


def refuse_impossible_populations(states: Iterable[LocationMetadata], known: Mapping[str, int | None]) -> None:
    """Raises `ContractError` for a population that is far from the one known of its state."""
    for state in states:
        published, before = state.census.population, known.get(state.location_code)
        if before and not before / OTHER_POPULATION <= published <= before * OTHER_POPULATION:
            raise ContractError(f"data.census.population of {state.location_code} is {published}, but was {before}")


def _refuse_impossible_reports(reports: Sequence[Any], shape: Shape, today: date) -> None:
    """Refuses reports of the future, and of more states than there are."""
    if late := sorted(str(report.date) for report in reports if report.date > today):
        raise ContractError(f"data.date: {late[0]} is in the future", days=tuple(late))
    counts = [(str(report.date), report.states) for report in reports] if shape is NATION else []
    if many := sorted((day, count) for day, count in counts if count > STATES):
        reason = f"data.states of {many[0][0]} is {many[0][1]}: there are {STATES} states and territories"
        raise ContractError(reason, days=tuple(day for day, _ in many))


# A metric, with its values in some reports.
_Column = tuple[Metric, tuple[int | None, ...]]


def _values(reports: Sequence[Any], shape: Shape) -> list[_Column]:
    """The values of each metric as one column: a look at whole columns costs next to nothing."""
    values = map(attrgetter(*(f"{metric.path}.value" for metric in shape.metrics)), reports)
    return list(zip(shape.metrics, zip(*values, strict=True), strict=False))


def _high_values(reports: Sequence[Any], columns: list[_Column], population: int, times: int) -> Iterator[Finding]:
    """The values beyond so many times the highest share of the population ever published."""
    for metric, values in columns:
        highest = HIGHEST_SHARES[metric.measure] * population
        if highest and max(filter(None, values), default=0) > highest * times:
            for report, value in zip(reports, values, strict=True):
                if value and value > highest * times:
                    meaning = f"{int(value / highest)} times the highest share of the population ever published"
                    yield Finding(HIGHEST_VALUE, metric.label, report.date, value, meaning)
