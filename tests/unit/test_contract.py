import contextlib
import subprocess
import sys
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.config import ROOT
from etl.errors import ContractError, DocumentError
from etl.transform.contract import Document, Expected, decode, newest_day
from etl.transform.declaration import NATION, STATE
from etl.transform.departures import DepartureError
from etl.transform.drift import Alias, Change
from tests.documents import Json, document, encode, nation_day, plant, pluck, report, snapshot, state_history

DAY = date(2021, 3, 7)
NATION_DAY = Expected(NATION, "US", DAY)
CALIFORNIA = Expected(STATE, "CA")


def of(content: Any, expected: Expected = NATION_DAY) -> Document:
    return decode(content if isinstance(content, bytes) else encode(content), expected)


def changed(path: str, value: Any) -> Json:
    content = nation_day("2021-03-07", cases__total=5)
    plant(content, path, value)
    return content


def test_a_sound_document_decodes_to_typed_records() -> None:
    found = of(nation_day("2021-03-07", cases__total=28756489, cases__total__calculated__population_percent=8.6932))
    assert found.meta.build_time == datetime(2021, 5, 3, 21, 28, 51, 488000, tzinfo=UTC)
    assert found.meta.field_definitions[0].field is None
    assert found.meta.field_definitions[1].prior_names == ("dateModified",)
    (only,) = found.reports
    assert (only.date, only.states, only.cases.total.value) == (DAY, 56, 28756489)
    assert only.cases.total.calculated.population_percent == 8.6932
    assert found.changes == ()


def test_every_document_of_the_snapshot_keeps_the_contract() -> None:
    nation = decode(snapshot("us/daily.json"), Expected(NATION, "US"))
    state = decode(snapshot("states/wa/daily.json"), Expected(STATE, "WA"))
    assert (len(nation.reports), len(state.reports)) == (420, 420)


def test_links_are_optional() -> None:
    assert of(nation_day("2021-03-07") | {"links": {"self": "https://api.covidtracking.com/us/daily"}}).reports


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("data.cases.total.value", "5", "data.cases.total.value: expected integer or null, got text"),
        ("data.cases.total.value", 5.0, "data.cases.total.value: expected integer or null, got number"),
        ("data.cases.total.value", 1e30, "data.cases.total.value: expected integer or null, got number"),
        ("data.cases.total.value", True, "data.cases.total.value: expected integer or null, got boolean"),
        ("data.cases.total.value", -1, "data.cases.total.value: expected integer >= 0"),
        ("data.cases.total.value", 2**63, "data.cases.total.value: expected integer <= 9223372036854775807"),
        ("data.cases.total.value", [1], "data.cases.total.value: expected integer or null, got array"),
        ("data.cases.total", 5, "data.cases.total: expected object, got integer"),
        ("data.cases.total.calculated", None, "data.cases.total.calculated: expected object, got null"),
        (
            "data.cases.total.calculated.seven_day_change_percent",
            -100.1,
            "data.cases.total.calculated.seven_day_change_percent: expected number >= -100.0",
        ),
        ("data.states", None, "data.states: expected integer, got null"),
        ("data.date", "2021-02-30", "data.date: invalid rfc3339 encoded date '2021-02-30'"),
        ("data.date", "20210307", "data.date: invalid rfc3339 encoded date '20210307'"),
        ("data", [], "data: expected object, got array"),
        ("meta.build_time", "yesterday", "meta.build_time: invalid rfc3339 encoded datetime 'yesterday'"),
        ("meta.build_time", "2021-05-03T21:28:51", "meta.build_time: expected datetime with a timezone component"),
    ],
)
def test_a_broken_value_is_rejected_with_its_path(path: str, value: Any, said: str) -> None:
    with pytest.raises(ContractError) as error:
        of(changed(path, value))
    assert str(error.value) == said


def test_a_missing_path_that_feeds_a_column_is_rejected() -> None:
    content = nation_day("2021-03-07")
    pluck(content, "data.outcomes.death")
    with pytest.raises(ContractError, match=r"^data\.outcomes\.death: is missing$"):
        of(content)


def test_all_differences_are_named_and_the_same_on_many_days_once() -> None:
    content = state_history("CA", {f"2021-01-0{day}": {} for day in range(1, 10)})
    for row in content["data"]:
        plant(row, "cases.total.value", "x")
        pluck(row, "tests.pcr.people")
    with pytest.raises(ContractError) as error:
        of(content, CALIFORNIA)
    assert str(error.value) == (
        "data.cases.total.value: expected integer or null, got text (9 times); data.tests.pcr.people: is missing (9 times)"
    )


def test_a_message_names_five_differences_and_counts_the_rest() -> None:
    content = document(report(NATION, "2021-03-07"))
    content["data"] = {}
    content["meta"] = {}
    with pytest.raises(ContractError, match="; and 1 more$"):
        of(content)


def test_a_document_of_another_kind_of_json_is_rejected() -> None:
    with pytest.raises(ContractError, match=r"^document: expected object, got array$"):
        of([])
    with pytest.raises(ContractError, match=r"^meta: is missing; data: is missing$"):
        of({"error": "gone"})


def test_a_new_path_loads_and_is_reported_once() -> None:
    content = state_history("CA", {"2021-01-01": {"cases__total": 1}, "2021-01-02": {"cases__total": 2}})
    for row in content["data"]:
        row["cases"]["reinfections"] = {"value": 3}
    found = of(content, CALIFORNIA)
    assert found.changes == (Change("shape", "path added", "data.cases.reinfections", after="object"),)
    assert [row.cases.total.value for row in found.reports] == [2, 1]


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>gone</html>", b"Data unavailable", encode(nation_day("2021-03-07"))[:-40], b'{"data": "\xff"}'],
)
def test_what_is_no_json_is_a_failure_of_the_source(body: bytes) -> None:
    with pytest.raises(DocumentError):
        of(body)


def test_a_document_cut_off_behind_a_broken_value_is_a_failure_of_the_source() -> None:
    body = encode(changed("data.cases.total.value", "x"))[:-2]
    with pytest.raises(DocumentError):
        of(body)


def test_a_document_with_very_many_new_paths_shows_one_change() -> None:
    content = nation_day("2021-03-07", cases__total=5)
    content["data"] |= {f"n{number}": number for number in range(101)}
    assert of(content).changes == (Change("shape", "path added", "document", after="more than 100 new paths"),)
    content["data"].pop("n100")
    assert len(of(content).changes) == 100


def test_a_message_shows_only_the_beginning_of_what_the_source_says() -> None:
    content = state_history("CA", {"2021-01-01": {}})
    content["data"][0]["state"] = "x" * 10_000
    with pytest.raises(ContractError) as error:
        of(content, CALIFORNIA)
    assert len(str(error.value)) < 100
    content["data"][0] |= {"state": "CA", "k" * 10_000: 1}
    assert str(shown(content)).endswith("kk: has more than 500 characters in its name (2021-01-01)")
    assert len(str(shown(content))) < 150


def test_a_name_that_postgres_cannot_hold_is_rejected() -> None:
    with pytest.raises(ContractError, match=r"^data\.x\\u0000y: has a NUL in its name$"):
        of(changed("data.x\0y", 1))


@pytest.mark.parametrize(
    "instant",
    ["0001-12-31T23:59:59Z", "9999-01-01T00:00:00Z", "2021-03-07T00:00:00+16:00", "2021-03-07T00:00:00-23:59"],
)
def test_a_time_that_python_and_postgres_cannot_both_hold_is_rejected(instant: str) -> None:
    with pytest.raises(ContractError, match="which the database cannot hold") as error:
        of(state_history("CA", {"2021-01-01": {"meta__updated": instant}, "2021-01-02": {}}), CALIFORNIA)
    assert error.value.days == ("2021-01-01",)
    with pytest.raises(ContractError) as error:
        of(state_history("CA", {f"2021-01-0{day}": {"meta__updated": instant} for day in (1, 2)}), CALIFORNIA)
    assert error.value.days == ("2021-01-01", "2021-01-02")
    with pytest.raises(ContractError, match="^meta.build_time is .*, which the database cannot hold$"):
        of(changed("meta.build_time", instant))


@pytest.mark.parametrize("data", [5, "x", None, True, [5], [[]], {"date": {}}])
@pytest.mark.parametrize("expected", [NATION_DAY, CALIFORNIA])
def test_data_of_any_type_is_rejected(data: Any, expected: Expected) -> None:
    with pytest.raises(ContractError):
        of(changed("data", data), expected)


def mutated(draw: st.DrawFn, value: Any) -> Any:
    """JSON in which some parts are anything."""
    if draw(st.integers(0, 30)) == 0:
        return draw(ANYTHING)
    if isinstance(value, dict):
        return {name: mutated(draw, part) for name, part in value.items()}
    return [mutated(draw, part) for part in value] if isinstance(value, list) else value


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda some: st.lists(some, max_size=2) | st.dictionaries(st.text(max_size=3), some, max_size=2),
    max_leaves=3,
)
DOCUMENTS = (
    nation_day("2021-03-07", cases__total=5),
    document([report(STATE, "2021-01-02"), report(STATE, "2021-01-01")]),
)
RULED = Expected(
    STATE, "CA", None, (Alias("cases.total", "tests.pcr"), Alias("outcomes", None)), frozenset({date(2021, 1, 1)})
)


@given(st.data())
def test_decoding_ends_in_one_of_its_two_errors_or_in_records(data: st.DataObject) -> None:
    content = data.draw(st.composite(mutated)(data.draw(st.sampled_from(DOCUMENTS))))
    body = bytearray(encode(content))
    for place in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=2)):
        body[place] = data.draw(st.integers(0, 255))
    for expected in (NATION_DAY, CALIFORNIA, RULED):
        with contextlib.suppress(ContractError, DocumentError):
            decode(bytes(body), expected)


def test_nesting_that_exhausts_the_decoder_is_rejected() -> None:
    deep = b'{"meta":' + b"[" * 100_000
    with pytest.raises(ContractError, match="nested too deeply"):
        of(deep)


def test_another_day_than_asked_for_is_rejected() -> None:
    with pytest.raises(ContractError, match="data.date is 2021-03-06, but 2021-03-07 was asked for"):
        of(nation_day("2021-03-06"))


def test_another_state_than_asked_for_is_rejected() -> None:
    with pytest.raises(ContractError, match="data.state of 2021-01-01 is 'NY', not 'CA'"):
        of(state_history("NY", {"2021-01-01": {}}), CALIFORNIA)


def test_a_day_that_is_there_twice_is_rejected() -> None:
    content = state_history("CA", {"2021-01-01": {}})
    content["data"] *= 2
    with pytest.raises(ContractError, match="2021-01-01 is there twice"):
        of(content, CALIFORNIA)


@pytest.mark.parametrize("day", ["2019-12-31", "2030-01-01"])
def test_a_day_outside_the_calendar_is_rejected(day: str) -> None:
    with pytest.raises(ContractError, match=f"{day} is outside 2020-01-01 to 2029-12-31"):
        of(state_history("CA", {day: {}}), CALIFORNIA)


def test_an_empty_history_is_rejected() -> None:
    with pytest.raises(ContractError, match="without a single report"):
        of(document([]), CALIFORNIA)


def test_text_that_postgres_cannot_hold_is_rejected() -> None:
    content = state_history("CA", {"2021-01-01": {"meta__data_quality_grade": "A\0"}})
    with pytest.raises(ContractError, match=r"data\.meta\.data_quality_grade: expected text"):
        of(content, CALIFORNIA)


def test_the_data_hash_ignores_build_time_and_the_white_space_around_reports() -> None:
    first = encode(two_days())
    second = first.replace(b"2021-05-03", b"2022-01-01").replace(b"},{", b"}\n,  {")
    assert first != second
    assert of(first, CALIFORNIA).data_hash == of(second, CALIFORNIA).data_hash


def test_the_data_hash_tells_values_and_new_paths_apart() -> None:
    hashes = {
        of(nation_day("2021-03-07", cases__total=5)).data_hash,
        of(nation_day("2021-03-07", cases__total=6)).data_hash,
        of(nation_day("2021-03-07")).data_hash,
        of(changed("data.cases.reinfections", 1)).data_hash,
        of(changed("data.cases.reinfections", 2)).data_hash,
    }
    assert len(hashes) == 5


@pytest.mark.parametrize("value", [b"{}", b"[]", b"1", b'{"a":{"a":{"a":1}}}'])
def test_a_document_of_too_many_values_is_refused_before_it_is_decoded(value: bytes) -> None:
    content = b'{"data":[%b]}' % b",".join([value] * (4_000_000 // len(value)))
    with pytest.raises(ContractError, match=r"^document: more than 800000 values$"):
        of(content, CALIFORNIA)


RACE = """
import sys, threading
from datetime import date
from etl.transform import contract, records
from etl.transform.declaration import STATE
from tests.documents import document, encode, report

sys.setswitchinterval(1e-6)
body = encode(document(report(STATE, "2021-01-02", "CA")))
for _ in range(60):
    for made in (records.envelope_decoder, records.data_decoder, records.report_tree):
        made.cache_clear()
    expected = contract.Expected(STATE, "CA", date(2021, 1, 2))
    threads = [threading.Thread(target=contract.decode, args=(body, expected)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_the_first_documents_may_be_decoded_by_many_threads_at_once() -> None:
    result = subprocess.run([sys.executable, "-c", RACE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


# --- drift and the rules that the database adds ---


def shown(content: Any, expected: Expected = CALIFORNIA) -> DepartureError:
    with pytest.raises(DepartureError) as error:
        of(content, expected)
    return error.value


def two_days() -> Json:
    return state_history("CA", {"2021-01-01": {"cases__total": 1}, "2021-01-02": {"cases__total": 2}})


def test_a_type_that_has_changed_is_drift_and_an_impossible_value_is_not() -> None:
    content = two_days()
    plant(content["data"][0], "cases.total.value", "2")
    plant(content["data"][1], "cases.confirmed.value", -1)
    error = shown(content)
    assert error.changes == (
        Change("shape", "type changed", "data.cases.total.value", "number", "text", breaking=True),
    )
    assert error.days == ()


@pytest.mark.parametrize("value", [5.0, -1, None])
def test_a_null_and_another_number_are_no_drift(value: Any) -> None:
    content = nation_day("2021-03-07")
    plant(content, "data.states", value)
    assert shown(content, NATION_DAY).changes == ()


def test_the_reports_that_are_broken_are_named_unless_all_are() -> None:
    content = two_days()
    plant(content["data"][0], "cases.total.value", -1)
    assert shown(content).days == ("2021-01-02",)
    plant(content["data"][1], "cases.total.value", -1)
    assert shown(content).days == ()


def test_text_that_is_no_date_is_not_named_as_a_day() -> None:
    content = two_days()
    content["data"][0]["date"] = "2021-01-02; rm -r .\0"
    error = shown(content)
    assert str(error) == "data.date: invalid rfc3339 encoded date '2021-01-02; rm -r .\\x00'"
    assert error.days == ()


def test_a_report_that_is_passed_over_breaks_nothing() -> None:
    content = two_days()
    plant(content["data"][0], "cases.total.value", "x")
    passing = Expected(STATE, "CA", skipped_days=frozenset({date(2021, 1, 2)}))
    assert [row.date for row in of(content, passing).reports] == [date(2021, 1, 1)]
    assert [row.date for row in of(two_days(), passing).reports] == [date(2021, 1, 1)]


def renamed(content: Json, old: str, new: str) -> Json:
    for row in content["data"]:
        plant(row, new, pluck(row, old))
    return content


@pytest.mark.parametrize(
    ("path", "published"),
    [
        ("cases", "infections"),
        ("cases.total", "cases.all"),
        ("cases.total", "figures.cases.all"),
        ("meta.data_quality_grade", "grade"),
        ("outcomes.hospitalized.in_icu", "outcomes.intensive"),
    ],
)
def test_an_alias_is_read_in_the_place_of_a_path_that_is_not_there(path: str, published: str) -> None:
    aliased = Expected(STATE, "CA", aliases=(Alias(path, published),))
    assert shown(renamed(two_days(), path, published)).changes
    found = of(renamed(two_days(), path, published), aliased)
    assert [row.cases.total.value for row in found.reports] == [2, 1]
    assert found.changes == ()
    # Where the path is there, it counts.
    assert [row.cases.total.value for row in of(two_days(), aliased).reports] == [2, 1]


def test_an_alias_is_no_help_where_its_place_is_taken() -> None:
    content = two_days()
    for row in content["data"]:
        row |= {"cases": 5, "infections": {"value": 1}}
    aliased = Expected(STATE, "CA", aliases=(Alias("cases.total", "infections"),))
    assert str(shown(content, aliased)).startswith("data.cases: expected object, got integer")


def test_the_data_hash_is_that_of_the_data_as_published() -> None:
    aliased = Expected(STATE, "CA", aliases=(Alias("cases", "infections"),))
    assert of(renamed(two_days(), "cases", "infections"), aliased).data_hash != of(two_days(), aliased).data_hash


def test_a_path_whose_absence_was_accepted_reads_as_null() -> None:
    content = two_days()
    for row in content["data"]:
        pluck(row, "outcomes.death")
    found = of(content, Expected(STATE, "CA", aliases=(Alias("outcomes.death", None),)))
    assert [row.outcomes.death.confirmed.calculated.seven_day_average for row in found.reports] == [None, None]
    assert [row.cases.total.value for row in found.reports] == [2, 1]


def test_a_renaming_that_a_definition_explains_is_one_change() -> None:
    content = renamed(two_days(), "cases", "infections")
    content["meta"]["field_definitions"].append(
        {"name": "Infections", "field": "infections.total", "deprecated": False, "prior_names": ["cases.total"]}
    )
    error = shown(content)
    assert error.changes == (
        Change("shape", "path renamed", "data.cases", "data.cases", "data.infections", breaking=True),
    )
    assert str(error) == "data.cases: is missing (2021-01-02, 2021-01-01); data.cases is data.infections now"


def test_what_is_new_in_the_meta_is_noticed_too() -> None:
    content = nation_day("2021-03-07")
    content["meta"]["copyright"] = "none"
    assert of(content).changes == (Change("shape", "path added", "meta.copyright", after="text"),)


def test_definitions_that_cannot_be_read_explain_nothing() -> None:
    content = renamed(two_days(), "cases", "infections")
    content["meta"]["field_definitions"] = [{"name": 5}]
    assert [change.change for change in shown(content).changes] == [
        "path gone", "path added", "definitions unreadable",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "definitions", [None, {}, [{"field": "cases"}], [{"name": "Cases", "prior_names": "x"}], "x"]
)
def test_definitions_that_cannot_be_read_stop_no_document(definitions: Any) -> None:
    content = nation_day("2021-03-07", cases__total=5)
    content["meta"]["field_definitions"] = definitions
    found = of(content)
    assert (found.reports[0].cases.total.value, found.meta.field_definitions) == (5, [])
    assert found.changes == (Change("shape", "definitions unreadable", "meta.field_definitions"),)


def test_what_is_not_read_may_be_anything() -> None:
    content = nation_day("2021-03-07") | {"links": 5}
    content["meta"] |= {"license": 1, "version": [2]}
    assert of(content).changes == ()


def test_the_newest_day_of_a_history_is_read_whatever_else_is_in_it() -> None:
    assert newest_day(encode({"data": [{"date": "2021-01-02", "x": 1}, {"date": "2021-01-03"}]})) == date(2021, 1, 3)
    with pytest.raises(ContractError, match="without a single report"):
        newest_day(encode({"data": []}))
    with pytest.raises(ContractError):
        newest_day(encode({"data": [{"day": "2021-01-02"}]}))
    with pytest.raises(DocumentError):
        newest_day(b"<html>")
