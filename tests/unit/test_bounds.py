import gzip
import re
from datetime import date
from operator import attrgetter
from typing import Any

import pytest

from etl.config import ROOT, SNAPSHOT
from etl.errors import ContractError
from etl.transform import bounds
from etl.transform.bounds import Finding
from etl.transform.contract import Expected, decode
from etl.transform.declaration import NATION, REPORT_TABLE, STATE, Shape, value_columns
from etl.transform.locations import LocationMetadata, decode_states
from tests.documents import document, encode, report

TODAY = date(2021, 3, 8)
PEOPLE = 1_000_000


def reports(*published: Any, shape: Shape = STATE) -> list[Any]:
    return decode(encode(document(list(published))), Expected(shape, "CA" if shape is STATE else "US")).reports


def day(number: int, **values: Any) -> Any:
    return report(STATE, f"2021-03-0{number}", "CA", **values)


def test_what_is_within_its_bounds_is_no_finding() -> None:
    made = reports(day(7, cases__total=266_000, tests__pcr__people__total=5_900_000), day(6))
    assert bounds.findings(made, STATE, PEOPLE, TODAY) == []


@pytest.mark.parametrize(
    ("values", "measure", "value"),
    [
        ({"cases__total": 266_001}, "cases_fact.total_cases", 266_001),
        ({"outcomes__death__probable": 5_401}, "death_fact.probable_deaths", 5_401),
        ({"tests__antigen__people__positive": 5_920_001}, "testing_detail_fact.value (test_id 18)", 5_920_001),
    ],
)
def test_more_than_twice_what_ever_was_is_a_finding(values: Any, measure: str, value: int) -> None:
    found = bounds.findings(reports(day(7, **values), day(6)), STATE, PEOPLE, TODAY)
    meaning = "2 times the highest share of the population ever published"
    assert found == [Finding("highest value", measure, date(2021, 3, 7), value, meaning)]


def test_more_than_ten_times_what_ever_was_is_rejected_with_its_day() -> None:
    made = reports(day(7, cases__total=5), day(6, outcomes__death__total=27_001, cases__total=266_001))
    with pytest.raises(ContractError) as error:
        bounds.findings(made, STATE, PEOPLE, TODAY)
    assert str(error.value) == (
        "death_fact.total_deaths of 2021-03-06 is 27001: 10 times the highest share of the population ever published"
    )
    assert error.value.days == ("2021-03-06",)


def test_without_a_population_no_value_is_too_high() -> None:
    assert bounds.findings(reports(day(7, cases__total=10**12)), STATE, None, TODAY) == []


def test_a_day_in_the_future_is_rejected_and_today_is_not() -> None:
    made = reports(day(9), day(8))
    with pytest.raises(ContractError, match=r"^data\.date: 2021-03-09 is in the future$") as error:
        bounds.findings(made, STATE, PEOPLE, TODAY)
    assert error.value.days == ("2021-03-09",)
    assert bounds.findings(made, STATE, PEOPLE, date(2021, 3, 9)) == []


def test_more_states_than_there_are_are_rejected() -> None:
    made = reports(report(NATION, "2021-03-07", states=57), report(NATION, "2021-03-06", states=56), shape=NATION)
    with pytest.raises(ContractError, match=r"^data\.states of 2021-03-07 is 57: there are 56 states and") as error:
        bounds.findings(made, NATION, PEOPLE, TODAY)
    assert error.value.days == ("2021-03-07",)


def states_of(people: int) -> list[LocationMetadata]:
    return decode_states(
        encode({"data": [{"state_code": "CA", "name": "California", "census": {"population": people}, "sites": []}]})
    )


@pytest.mark.parametrize("people", [500, 1000, 2000])
@pytest.mark.parametrize("before", [1000, None])
def test_a_population_may_be_half_or_twice_the_known_one(people: int, before: int | None) -> None:
    bounds.refuse_impossible_populations(states_of(people), {"CA": before})


@pytest.mark.parametrize("people", [1, 499, 2001])
def test_a_population_beyond_that_is_refused(people: int) -> None:
    with pytest.raises(ContractError, match=f"^data.census.population of CA is {people}, but was 1000$"):
        bounds.refuse_impossible_populations(states_of(people), {"CA": 1000})


def published_shares() -> dict[str, float]:
    """Measure -> highest share of the population, in the snapshot; every kind of test as `value`."""
    ddl = (ROOT / "sql/ddl/010_dimensions.sql").read_text()
    people = {code: int(count) for code, count in re.findall(r"'([A-Z]{2})', .*, (\d+)\)", ddl)}
    shares: dict[str, float] = {}
    for path in SNAPSHOT.rglob("daily.json.gz"):
        code, shape = ("US", NATION) if path.parent.name == "us" else (path.parent.name.upper(), STATE)
        history = decode(gzip.decompress(path.read_bytes()), Expected(shape, code))
        for metric in shape.metrics:
            values = map(attrgetter(f"{metric.path}.value"), history.reports)
            share = max(filter(None, values), default=0) / people[code]
            shares[metric.measure] = max(shares.get(metric.measure, 0), share)
    return shares


def test_the_bounds_are_what_was_published_rounded_up() -> None:
    shares = published_shares()
    whole = {"total_cases": ["confirmed_cases", "probable_cases", "recovered"]}
    whole |= {"total_deaths": ["confirmed_deaths", "probable_deaths"], "total_tests": ["value"]}
    parts = {part: name for name, parts in whole.items() for part in parts}
    assert shares.keys() == bounds.HIGHEST_SHARES.keys()
    for name, share in shares.items():
        bound = bounds.HIGHEST_SHARES[parts.get(name, name)]
        assert share <= bound
        if name not in parts:
            assert bound < share * 1.06
        else:
            assert bounds.HIGHEST_SHARES[name] == bound


def test_every_measure_has_a_bound() -> None:
    assert {metric.measure for metric in STATE.metrics} == bounds.HIGHEST_SHARES.keys()
    assert not bounds.HIGHEST_SHARES.keys() & value_columns(REPORT_TABLE)
