"""The fixed corpus that ties RULES_VERSION to outcomes: each rule at its edge, on both sides, and what it leads to.

An outcome that changes without RULES_VERSION would leave documents as they were loaded under the old rules: their
source says "not modified", and nothing is read again.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from etl.errors import ContractError, DocumentError
from etl.transform import bounds, contract, departures, rows
from etl.transform.contract import Document, Expected, decode
from etl.transform.declaration import (
    DETAIL_TABLE,
    NATION,
    RULES_VERSION,
    STATE,
    Shape,
    column_paths,
)
from etl.transform.departures import DepartureError
from etl.transform.drift import Alias
from tests.documents import Json, document, encode, plant, pluck, report, state_history

# The hash of all outcomes under each version of the rules. An outcome that changes on purpose needs a new version; a new
# path alone needs none, since the declaration is in the processing key by itself.
HASHES = {
    1: "42914a023156c85ab22212de5cedc6b393e27525d8d3d4ff8223166f11d679e9",
    2: "63b4867efd4c8e05900e2ac520fcb7568c17b64a037c07927d5ec28068639357",
    3: "56049d34f0026af49117e4129a29e78c170c8a6f5229bfa8f9de86bd011b25a2",
    4: "655d322253ca0454587f9e81d1cf591a85f987c088156d90763fd95c857b9a3c",
    5: "9ae024594ea45f2a823287f2c7088aa27d27aee499580869689a78f84ccf51ed",
}

TODAY = date(2021, 3, 8)
DAY = "2021-03-07"
PEOPLE = 1_000_000
TAB = "\t"


@dataclass(frozen=True)
class Case:
    """A document at the edge of a rule, and its outcome in short."""

    rule: str
    outcome: str
    body: bytes
    expected: Expected
    path: str = ""
    population: int | None = None
    today: date = TODAY


# A document loads; the value at the edge is stored as COPY reads it; a path that is not known is drift.
LOADS = "loads"
AS = "loads as "
NEW = "loads, drift: path added: "
UNREADABLE = "loads, drift: definitions unreadable: meta.field_definitions"
REJECTED = "rejected: "
FAILED = "failed: no JSON: "
UNHELD = ", which the database cannot hold"

COUNT = "data.cases.total.value"
CHANGE = "data.cases.total.calculated.change_from_prior_day"
PERCENT = "data.cases.total.calculated.population_percent"
PERCENT_CHANGE = "data.cases.total.calculated.seven_day_change_percent"
AVERAGE = "data.outcomes.death.total.calculated.seven_day_average"
DEEP = "[" * 100 + "]" * 100


def new_names(count: int) -> str:
    """The value of a new name, and behind it more new names."""
    return ",".join(["1", *(f'"n{number}":1' for number in range(1, count))])


def definitions(count: int = 1, **parts: Any) -> str:
    """The JSON of field definitions."""
    return encode([{"name": "x"} | parts] * count).decode()


# Rule, path in the nation's document of one day, JSON there, outcome.
NATION_VALUES = [
    ("a count may be 0", COUNT, "0", AS + "0"),
    ("a count may be -0", COUNT, "-0", AS + "0"),
    ("a count may be null", COUNT, "null", AS + "None"),
    ("a count may be 2^63-1", COUNT, "9223372036854775807", AS + "9223372036854775807"),
    ("a count is below 2^63", COUNT, "9223372036854775808", REJECTED + f"{COUNT}: expected integer <= 9223372036854775807"),
    ("a count is not negative", COUNT, "-1", REJECTED + f"{COUNT}: expected integer >= 0"),
    ("a count has no fraction, not even 0", COUNT, "5.0", REJECTED + f"{COUNT}: expected integer or null, got number"),
    ("a count has no exponent", COUNT, "1e30", REJECTED + f"{COUNT}: expected integer or null, got number"),
    ("a count is no text", COUNT, '"5"', REJECTED + f"{COUNT}: expected integer or null, got text"),
    ("a count is no boolean", COUNT, "true", REJECTED + f"{COUNT}: expected integer or null, got boolean"),
    ("a count is no array", COUNT, "[1]", REJECTED + f"{COUNT}: expected integer or null, got array"),
    ("a count is no object", COUNT, '{"n":1}', REJECTED + f"{COUNT}: expected integer or null, got object"),
    ("a metric is an object", "data.cases.total", "5", REJECTED + "data.cases.total: expected object, got integer"),
    ("a metric is not null", "data.cases.total", "null", REJECTED + "data.cases.total: expected object, got null"),
    ("a change may be negative", CHANGE, "-9223372036854775807", AS + "-9223372036854775807"),
    ("a change fits a bigint", CHANGE, "-9223372036854775808", REJECTED + f"{CHANGE}: expected integer >= -9223372036854775807"),
    ("a change has no fraction", CHANGE, "1.5", REJECTED + f"{CHANGE}: expected integer or null, got number"),
    ("a percentage may be 0", PERCENT, "0", AS + "0.0"),
    ("a percentage may exceed 100", PERCENT, "295.4272", AS + "295.4272"),
    ("a percentage may be an integer", PERCENT, "5", AS + "5.0"),
    ("a percentage may be huge", PERCENT, "1e300", AS + "1e+300"),
    ("a percentage may be tiny", PERCENT, "1e-7", AS + "1e-07"),
    ("a percentage is not negative", PERCENT, "-0.1", REJECTED + f"{PERCENT}: expected number >= 0.0"),
    ("a percentage is no text", PERCENT, '"5%"', REJECTED + f"{PERCENT}: expected number or null, got text"),
    ("a change in percent may be -100", PERCENT_CHANGE, "-100", AS + "-100.0"),
    ("a change in percent is not below -100", PERCENT_CHANGE, "-100.1", REJECTED + f"{PERCENT_CHANGE}: expected number >= -100.0"),
    ("an average may be 0", AVERAGE, "0", AS + "0"),
    ("an average is not negative", AVERAGE, "-1", REJECTED + f"{AVERAGE}: expected integer >= 0"),
    ("an average is a whole number", AVERAGE, "0.5", REJECTED + f"{AVERAGE}: expected integer or null, got number"),
    ("no state may report", "data.states", "0", AS + "0"),
    ("56 states and territories may report", "data.states", "56", AS + "56"),
    ("57 states and territories cannot report", "data.states", "57", REJECTED + f"data.states of {DAY} is 57: there are 56 states and territories"),
    ("the number of states is not null", "data.states", "null", REJECTED + "data.states: expected integer, got null"),
    ("a date exists", "data.date", '"2021-02-30"', REJECTED + "data.date: invalid rfc3339 encoded date '2021-02-30'"),
    ("a date has dashes", "data.date", '"20210307"', REJECTED + "data.date: invalid rfc3339 encoded date '20210307'"),
    ("a date has no time", "data.date", '"2021-03-07T00:00:00Z"', REJECTED + "data.date: invalid rfc3339 encoded date '2021-03-07T00:00:00Z'"),
    ("a date is text", "data.date", "20210307", REJECTED + "data.date: expected date, got integer"),
    ("the day is the one asked for", "data.date", '"2021-03-06"', REJECTED + "data.date is 2021-03-06, but 2021-03-07 was asked for"),
    ("a new path loads: number", "data.cases.again", "1.5", NEW + "data.cases.again, now number"),
    ("a new path loads: text", "data.note", '"x"', NEW + "data.note, now text"),
    ("a new path loads: null", "data.note", "null", NEW + "data.note, now null"),
    ("a new path loads: object", "data.cases.confirmed", '{"value":1}', NEW + "data.cases.confirmed, now object"),
    ("a new path loads: nested 100 times", "data.note", DEEP, NEW + "data.note, now array"),
    ("a new path loads: nested 198 times", "data.note", "[" * 198 + "]" * 198, NEW + "data.note, now array"),
    ("a new path is not nested 199 times", "data.note", "[" * 199 + "]" * 199, REJECTED + "nested too deeply to be read"),
    ("what is not read is not nested 200 times", "links", "[" * 200 + "]" * 200, REJECTED + "nested too deeply to be read"),
    ("a new path loads: 30 digits", "data.note", "9" * 30, NEW + "data.note, now number"),
    ("a new path loads: in the meta", "meta.copyright", '"x"', NEW + "meta.copyright, now text"),
    ("a new path loads: at the top", "note", "true", NEW + "note, now boolean"),
    ("a name has no NUL", "data.x\0y", "1", REJECTED + "data.x\\u0000y: has a NUL in its name"),
    ("a name may have 500 characters", "data." + "k" * 500, "1", NEW + f"data.{'k' * 500}, now number"),
    ("a name has no 501 characters", "data." + "k" * 501, "1", REJECTED + f"data.{'k' * 40}: has more than 500 characters in its name"),
    ("100 new paths are told apart", "data.n", new_names(100), "loads" + "".join(f", drift: path added: data.{name}, now number" for name in sorted(["n", *(f"n{n}" for n in range(1, 100))]))),
    ("101 new paths are one change", "data.n", new_names(101), NEW + "document, now more than 100 new paths"),
    ("a value that is not read may hold a NUL", "data.note", '"\\u0000"', NEW + "data.note, now text"),
    ("links may be anything", "links", "5", LOADS),
    ("the license may be anything", "meta.license", "[1]", LOADS),
    ("the version may be anything", "meta.version", "2", LOADS),
    ("a document was built at a time", "meta.build_time", '"yesterday"', REJECTED + "meta.build_time: invalid rfc3339 encoded datetime 'yesterday'"),
    ("a time of building has a zone", "meta.build_time", '"2021-05-03T21:28:51"', REJECTED + "meta.build_time: expected datetime with a timezone component"),
    ("a time of building may have any zone", "meta.build_time", '"2021-05-03T21:28:51+05:30"', LOADS),
    ("a time of building can be stored", "meta.build_time", '"9999-05-03T21:28:51Z"', REJECTED + f"meta.build_time is 9999-05-03 21:28:51+00:00{UNHELD}"),
    ("definitions may be none", "meta.field_definitions", "[]", LOADS),
    ("a definition has a name of one character or more", "meta.field_definitions", '[{"name":""}]', UNREADABLE),
    ("a definition has a field of one character or more", "meta.field_definitions", '[{"name":"x","field":""}]', UNREADABLE),
    ("a definition may have a name of 500 characters", "meta.field_definitions", definitions(name="n" * 500), LOADS),
    ("a definition has no name of 501 characters", "meta.field_definitions", definitions(name="n" * 501), UNREADABLE),
    ("a definition may have 100 prior names", "meta.field_definitions", definitions(prior_names=["y"] * 100), LOADS),
    ("a definition has no 101 prior names", "meta.field_definitions", definitions(prior_names=["y"] * 101), UNREADABLE),
    ("there may be 100 definitions", "meta.field_definitions", definitions(100), LOADS),
    ("there are no 101 definitions", "meta.field_definitions", definitions(101), UNREADABLE),
    ("a definition has a name", "meta.field_definitions", '[{"field":"cases"}]', UNREADABLE),
    ("a definition needs no more", "meta.field_definitions", '[{"name":"Cases"}]', LOADS),
    ("a definition may have no field", "meta.field_definitions", '[{"name":"Cases","field":null}]', LOADS),
    ("a definition may say more", "meta.field_definitions", '[{"name":"Cases","unit":"people"}]', LOADS),
    ("a definition has a list of prior names", "meta.field_definitions", '[{"name":"Cases","prior_names":"x"}]', UNREADABLE),
    ("a definition has no NUL", "meta.field_definitions", '[{"name":"Cases\\u0000"}]', UNREADABLE),
    ("definitions are not null", "meta.field_definitions", "null", UNREADABLE),
    ("data is one report", "data", "[]", REJECTED + "data: expected object, got array"),
    ("data is no number", "data", "5", REJECTED + "data: expected object, got integer"),
    ("meta is an object", "meta", "[]", REJECTED + "meta: expected object, got array"),
]  # fmt: skip

GRADE = "data.meta.data_quality_grade"
UPDATED = "data.meta.updated"
TEST = "data.tests.pcr.people.positive"

# Rule, path in a state's document of one day, JSON there, outcome.
STATE_VALUES = [
    ("a text may be null", GRADE, "null", AS + "None"),
    ("a text may be empty", GRADE, '""', AS + ""),
    ("a text may have 2,000 characters", GRADE, f'"{"A" * 2000}"', AS + "A" * 2000),
    ("a text has no more", GRADE, f'"{"A" * 2001}"', REJECTED + GRADE + ": expected text of length <= 2000"),
    ("a text may be None, which is not null", GRADE, '"None"', AS + "\\None"),
    ("a text may be #REF!", GRADE, '"#REF!"', AS + "#REF!"),
    ("a text may hold a tab", GRADE, '"a\\tb"', AS + "a\\tb"),
    ("a text may hold line ends", GRADE, '"a\\r\\nb"', AS + "a\\r\\nb"),
    ("a text may hold backslashes", GRADE, '"\\\\N\\\\."', AS + "\\\\N\\\\."),
    ("a text may hold any letter", GRADE, '"\\u00e9\\ud83d\\ude00\\u202e"', AS + "é😀\u202e"),
    ("a text holds no NUL", GRADE, '"A\\u0000"', REJECTED + f"{GRADE}: expected text without a NUL"),
    ("a text is no number", GRADE, "5", REJECTED + f"{GRADE}: expected text or null, got integer"),
    ("a time may be null", UPDATED, "null", AS + "None"),
    ("a time may be UTC", UPDATED, '"2021-03-07T04:59:00Z"', AS + "2021-03-07 04:59:00+00:00"),
    ("a time may be written small", UPDATED, '"2021-03-07t04:59:00z"', AS + "2021-03-07 04:59:00+00:00"),
    ("a time may have a blank", UPDATED, '"2021-03-07 04:59:00Z"', AS + "2021-03-07 04:59:00+00:00"),
    ("a time may have another zone", UPDATED, '"2021-03-07T04:59:00-05:00"', AS + "2021-03-07 04:59:00-05:00"),
    ("a time may have the farthest zone", UPDATED, '"2021-03-07T04:59:00+15:59"', AS + "2021-03-07 04:59:00+15:59"),
    ("a time has no farther zone to the east", UPDATED, '"2021-03-07T04:59:00+16:00"', REJECTED + f"{UPDATED} of {DAY} is 2021-03-07 04:59:00+16:00{UNHELD}"),
    ("a time has no farther zone to the west", UPDATED, '"2021-03-07T04:59:00-16:00"', REJECTED + f"{UPDATED} of {DAY} is 2021-03-07 04:59:00-16:00{UNHELD}"),
    ("a time may be in the year 2", UPDATED, '"0002-01-01T00:00:00Z"', AS + "0002-01-01 00:00:00+00:00"),
    ("a time is not in the year 1", UPDATED, '"0001-12-31T23:59:59Z"', REJECTED + f"{UPDATED} of {DAY} is 0001-12-31 23:59:59+00:00{UNHELD}"),
    ("a time may be in the year 9998", UPDATED, '"9998-12-31T23:59:59.999999Z"', AS + "9998-12-31 23:59:59.999999+00:00"),
    ("a time is not in the year 9999", UPDATED, '"9999-01-01T00:00:00Z"', REJECTED + f"{UPDATED} of {DAY} is 9999-01-01 00:00:00+00:00{UNHELD}"),
    ("a time is rounded to microseconds", UPDATED, '"2021-03-07T04:59:00.1234567Z"', AS + "2021-03-07 04:59:00.123457+00:00"),
    ("a time has a zone", UPDATED, '"2021-03-07T04:59:00"', REJECTED + f"{UPDATED}: expected datetime with a timezone component"),
    ("a time has no leap second", UPDATED, '"2016-12-31T23:59:60Z"', REJECTED + f"{UPDATED}: invalid rfc3339 encoded datetime '2016-12-31T23:59:60Z'"),
    ("a time is no date", UPDATED, '"2021-03-07"', REJECTED + f"{UPDATED}: invalid rfc3339 encoded datetime '2021-03-07'"),
    ("the state is the one asked for", "data.state", '"NY"', REJECTED + f"data.state of {DAY} is 'NY', not 'CA'"),
    ("the state is in capitals", "data.state", '"ca"', REJECTED + f"data.state of {DAY} is 'ca', not 'CA'"),
    ("the state is text", "data.state", "6", REJECTED + "data.state: expected text, got integer"),
    ("a test with a 0 is a row", f"{TEST}.value", "0", AS + "2021-03-07\t6\t0\tNone\tNone\tNone\tNone"),
    ("a test with nothing is no row", f"{TEST}.value", "null", AS + "no row"),
    ("a test with a calculated number alone is a row", f"{TEST}.calculated.change_from_prior_day", "-3", AS + "2021-03-07\t6\tNone\tNone\t-3\tNone\tNone"),
    ("a test has no average where none was published", f"{TEST}.calculated.seven_day_average", "1", AS + f"no row, drift: path added: {TEST}.calculated.seven_day_average, now number"),
    ("a hospital total has nothing calculated", "data.outcomes.hospitalized.total.calculated", "{}", NEW + "data.outcomes.hospitalized.total.calculated, now object"),
]  # fmt: skip

# Rule, path that is taken out of a state's document of one day, outcome.
STATE_GAPS = [
    ("a metric is there", "data.outcomes.death.total", REJECTED + "data.outcomes.death.total: is missing"),
    ("a group of metrics is there", "data.outcomes.death", REJECTED + "data.outcomes.death: is missing"),
    ("a value is there, if null", COUNT, REJECTED + f"{COUNT}: is missing"),
    ("a calculated number is there, if null", CHANGE, REJECTED + f"{CHANGE}: is missing"),
    ("a grade is there, if null", GRADE, REJECTED + f"{GRADE}: is missing"),
    ("a state is there", "data.state", REJECTED + "data.state: is missing"),
    ("a date is there", "data.date", REJECTED + "data.date: is missing"),
    ("a time of building is there", "meta.build_time", REJECTED + "meta.build_time: is missing"),
    ("meta is there", "meta", REJECTED + "meta: is missing"),
    ("data is there", "data", REJECTED + "data: is missing"),
    ("definitions may be absent", "meta.field_definitions", LOADS),
    ("the license may be absent", "meta.license", LOADS),
]

SOUND = encode(document(report(NATION, DAY, cases__total=5)))
TWICE = SOUND.replace(b'"value":5', b'"value":5,"value":6')

# Rule, body in the place of the nation's document of one day, outcome.
BODIES = [
    ("the last of duplicate keys counts", TWICE, LOADS),
    ("the last of duplicate keys counts even if the first is broken", SOUND.replace(b'"value":5', b'"value":"x","value":6'), LOADS),
    ("the last of duplicate keys counts even if it is broken", SOUND.replace(b'"value":5', b'"value":6,"value":"x"'), REJECTED + f"{COUNT}: expected integer or null, got text"),
    ("a document is an object", b"[]", REJECTED + "document: expected object, got array"),
    ("a document is not null", b"null", REJECTED + "document: expected object, got null"),
    ("a document is not empty", b"", FAILED + "Input data was truncated"),
    ("a document is no page", b"<html>", FAILED + "JSON is malformed: invalid character (byte 0)"),
    ("a document is whole", SOUND[:-2], FAILED + "Input data was truncated"),
    ("a document ends where it ends", SOUND + b"}", FAILED + "JSON is malformed: trailing characters (byte 1255)"),
    ("a document is UTF-8", b'{"data":"\xff"}', FAILED + "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
    ("a text is no half of a pair", b'{"data":"\\ud800"}', FAILED + "Input data was truncated"),
    ("a number is no NaN", b'{"data":NaN}', FAILED + "JSON is malformed: invalid character (byte 8)"),
    ("a number fits a float", b'{"data":1e400}', REJECTED + "Number out of range - at `$[...]`"),
    ("a number has no thousands of digits", b'{"data":%b}' % (b"9" * 5000), REJECTED + "Integer value out of range - at `$[...]`"),
    ("nesting that exhausts the decoder is refused", b'{"meta":' + b"[" * 100_000, REJECTED + "nested too deeply to be read"),
]  # fmt: skip

CALIFORNIA = Expected(STATE, "CA")
FIRST, SECOND = "2021-03-01", "2021-03-02"
SKIPPING = frozenset({date(2021, 3, 2)})


def history(first: str = FIRST, second: str = SECOND) -> Json:
    return state_history("CA", {first: {"cases__total": 1}, second: {"cases__total": 2}})


def four_days() -> Json:
    return state_history("CA", {f"2021-03-0{number}": {} for number in range(1, 5)})


def with_value(content: Json, path: str, value: Any, *places: int) -> Json:
    """A history in which some reports (0 is the newest) have a value at a path."""
    for place in places:
        plant(content["data"][place], path, value)
    return content


def without(content: Json, path: str) -> Json:
    for row in content["data"]:
        pluck(row, path)
    return content


def renamed(old: str, new: str, *prior_names: str) -> Json:
    """A history in which a path has another name, which a definition explains if `prior_names` are given."""
    content = history()
    for row in content["data"]:
        plant(row, new, pluck(row, old))
    if prior_names:
        defined = {"name": "New", "field": new, "deprecated": False, "prior_names": prior_names}
        content["meta"]["field_definitions"].append(defined)
    return content


def aliased(path: str, published: str | None) -> Expected:
    return Expected(STATE, "CA", aliases=(Alias(path, published),))


GONE = REJECTED + "data.cases: is missing (2021-03-02, 2021-03-01)"
BROKEN = REJECTED + "data.cases.total.value: expected integer or null, got text"
OUTSIDE = "is outside 2020-01-01 to 2029-12-31"

# Rule, history of a state, what was asked for, outcome.
HISTORIES = [
    ("a history is loaded in any order", state_history("CA", {FIRST: {}})["data"] + history()["data"][:1], CALIFORNIA, LOADS),
    ("a history is not empty", [], CALIFORNIA, REJECTED + "data: a history without a single report"),
    ("a history is a list", report(STATE, DAY), CALIFORNIA, REJECTED + "data: expected array, got object"),
    ("a report is an object", [5], CALIFORNIA, REJECTED + "data: expected object, got integer"),
    ("a day is there once", history()["data"] * 2, CALIFORNIA, REJECTED + "data.date: 2021-03-01 is there twice"),
    ("the first day of the calendar is in it", history("2020-01-01"), CALIFORNIA, LOADS),
    ("the day before the calendar is refused", history("2019-12-31"), CALIFORNIA, REJECTED + f"data.date: 2019-12-31 {OUTSIDE}"),
    ("today may be published", history("2021-03-08"), CALIFORNIA, LOADS),
    ("tomorrow may not be published", history("2021-03-09"), CALIFORNIA, REJECTED + "data.date: 2021-03-09 is in the future"),
    ("a broken day is named", with_value(history(), "cases.total.value", "x", 0), CALIFORNIA, BROKEN + " (2021-03-02)"),
    ("three broken days are named", with_value(four_days(), "cases.total.value", "x", 0, 1, 2), CALIFORNIA, BROKEN + " (2021-03-04, 2021-03-03, 2021-03-02)"),
    ("four broken days are counted", with_value(four_days(), "cases.total.value", "x", 0, 1, 2, 3), CALIFORNIA, BROKEN + " (4 times)"),
    ("a renamed path is not guessed", renamed("cases", "infections"), CALIFORNIA, GONE),
    ("a definition tells the new name", renamed("cases", "infections", "cases"), CALIFORNIA, GONE + "; data.cases is data.infections now"),
    ("a definition of a part tells that of the whole", renamed("cases", "infections", "old", "cases"), CALIFORNIA, GONE + "; data.cases is data.infections now"),
    ("an alias is read in the place of a path", renamed("cases", "infections"), aliased("cases", "infections"), LOADS),
    ("an alias may be of a part", renamed("cases.total", "cases.all"), aliased("cases.total", "cases.all"), LOADS),
    ("an alias leaves no empty parents", renamed("cases", "figures.cases"), aliased("cases", "figures.cases"), LOADS),
    ("an alias may be of an attribute", renamed("meta.updated", "changed"), aliased("meta.updated", "changed"), LOADS),
    ("a path that is there counts, not its alias", history(), aliased("cases", "infections"), LOADS),
    ("an alias beside its path is a new path", with_value(history(), "infections", 1, 0, 1), aliased("cases", "infections"), NEW + "data.infections, now number"),
    ("an alias that is not there is no help", without(history(), "cases"), aliased("cases", "infections"), GONE),
    ("an alias cannot be put into a number", with_value(with_value(history(), "cases", 5, 0, 1), "infections", 1, 0, 1), aliased("cases.total", "infections"), REJECTED + "data.cases: expected object, got integer (2021-03-02, 2021-03-01)"),
    ("an alias of another type is no help", with_value(without(history(), "cases"), "infections", 1, 0, 1), aliased("cases", "infections"), REJECTED + "data.cases: expected object, got integer (2021-03-02, 2021-03-01)"),
    ("an accepted loss reads as null", without(history(), "cases"), aliased("cases", None), LOADS),
    ("an accepted loss hides no value", history(), aliased("cases", None), LOADS),
    ("a skipped day is passed over", history(), Expected(STATE, "CA", skipped_days=SKIPPING), LOADS),
    ("a skipped day may be broken", with_value(history(), "cases.total.value", "x", 0), Expected(STATE, "CA", skipped_days=SKIPPING), LOADS),
    ("a day that is not skipped may not be broken", with_value(history(), "cases.total.value", "x", 1), Expected(STATE, "CA", skipped_days=SKIPPING), BROKEN + " (2021-03-01)"),
    ("a skipped day may be there twice", [*history()["data"], report(STATE, SECOND)], Expected(STATE, "CA", skipped_days=SKIPPING), LOADS),
    ("something is left beside skipped days", history()["data"][:1], Expected(STATE, "CA", skipped_days=SKIPPING), REJECTED + "data: a history without a single report"),
]  # fmt: skip

# Highest values of a measure that are sound, and that are doubtful, in a million people; one more is the next verdict.
BOUNDS = {
    "cases.total": (266_000, 1_330_000),
    "cases.confirmed": (266_000, 1_330_000),
    "cases.probable": (266_000, 1_330_000),
    "outcomes.recovered": (266_000, 1_330_000),
    "tests.pcr.total": (5_920_000, 29_600_000),
    "tests.pcr.pending": (9_200, 46_000),
    "tests.antigen.people.negative": (5_920_000, 29_600_000),
    "outcomes.hospitalized.currently": (1_940, 9_700),
    "outcomes.hospitalized.total": (19_000, 95_000),
    "outcomes.hospitalized.in_icu.currently": (540, 2_700),
    "outcomes.hospitalized.in_icu.total": (2_400, 12_000),
    "outcomes.hospitalized.on_ventilator.currently": (580, 2_900),
    "outcomes.hospitalized.on_ventilator.total": (1_040, 5_200),
    "outcomes.death.total": (5_400, 27_000),
    "outcomes.death.confirmed": (5_400, 27_000),
    "outcomes.death.probable": (5_400, 27_000),
}
TIMES = "times the highest share of the population ever published"


def expected_day(shape: Shape) -> Expected:
    return Expected(shape, "US" if shape is NATION else "CA", date(2021, 3, 7))


def planted(shape: Shape, path: str, value: str) -> bytes:
    """A sound document of one day but for the JSON at one path."""
    content = document(report(shape, DAY, cases__total=5))
    plant(content, path, "@@")
    return encode(content).replace(b'"@@"', value.encode())


def cut(path: str) -> bytes:
    content = document(report(STATE, DAY, cases__total=5))
    pluck(content, path)
    return encode(content)


def bound_cases() -> Iterator[Case]:
    labels = {metric.path: metric.label for metric in STATE.metrics}
    for path, (sound, doubtful) in BOUNDS.items():
        label = labels[path]
        verdicts = {
            sound: LOADS,
            sound + 1: f"loads, doubtful: {label} of {DAY} is {sound + 1}: 2 {TIMES}",
            doubtful: f"loads, doubtful: {label} of {DAY} is {doubtful}: 10 {TIMES}",
            doubtful + 1: f"{REJECTED}{label} of {DAY} is {doubtful + 1}: 10 {TIMES}",
        }
        for value, outcome in verdicts.items():
            body = planted(STATE, f"data.{path}.value", str(value))
            yield Case(
                f"{path} may be {value} in a million people", outcome, body, expected_day(STATE), population=PEOPLE
            )
    unbounded = planted(STATE, COUNT, "1330001")
    yield Case("without a population nothing is too high", LOADS, unbounded, expected_day(STATE))
    above = f"{REJECTED}cases_fact.total_cases of {DAY} is 1330001: 10 {TIMES}"
    yield Case(
        "the nation is bounded like a state",
        above,
        planted(NATION, COUNT, "1330001"),
        expected_day(NATION),
        population=PEOPLE,
    )


def calendar_cases() -> Iterator[Case]:
    last, after = (encode(history(day)) for day in ("2029-12-31", "2030-01-01"))
    late = date(2030, 1, 1)
    yield Case("the last day of the calendar is in it", LOADS, last, CALIFORNIA, today=late)
    yield Case(
        "the day after the calendar is refused",
        f"{REJECTED}data.date: 2030-01-01 {OUTSIDE}",
        after,
        CALIFORNIA,
        today=late,
    )


def content_of(found: Any) -> Json:
    return found if isinstance(found, dict) and "meta" in found and "data" in found else document(found)


CASES = [
    *(Case(rule, outcome, planted(NATION, path, value), expected_day(NATION), path) for rule, path, value, outcome in NATION_VALUES),
    *(Case(rule, outcome, planted(STATE, path, value), expected_day(STATE), path) for rule, path, value, outcome in STATE_VALUES),
    *(Case(rule, outcome, cut(path), expected_day(STATE)) for rule, path, outcome in STATE_GAPS),
    *(Case(rule, outcome, body, expected_day(NATION)) for rule, body, outcome in BODIES),
    *(Case(rule, outcome, encode(content_of(found)), asked) for rule, found, asked, outcome in HISTORIES),
    *calendar_cases(),
    *bound_cases(),
]  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """Everything that a document becomes which loads."""

    document: Document
    findings: list[bounds.Finding]
    texts: dict[str, rows.CopyText]


def outcome_of(case: Case) -> Outcome:
    shape = case.expected.shape
    document = decode(case.body, case.expected)
    return Outcome(
        document,
        bounds.findings(document.reports, shape, case.population, case.today),
        rows.copy_texts(document.reports, shape),
    )


def in_short(case: Case) -> str:
    """The verdict on a document, in a line."""
    try:
        outcome = outcome_of(case)
    except ContractError as error:
        return f"{REJECTED}{error}"
    except DocumentError as error:
        return f"failed: {error}"
    drift = [f", drift: {change}" for change in outcome.document.changes]
    doubtful = [
        f", doubtful: {finding.measure} of {finding.report_date} is {finding.value}: {finding.meaning}"
        for finding in outcome.findings
    ]
    return "".join([LOADS, stored(case, outcome.texts), *drift, *doubtful])


def stored(case: Case, texts: dict[str, rows.CopyText]) -> str:
    """The value at the edge in COPY's format; nothing if it feeds no column."""
    path = case.path.removeprefix("data.")
    if case.path.startswith(TEST):
        return f" as {texts[DETAIL_TABLE].text or 'no row'}"
    for table in texts.keys() - {DETAIL_TABLE}:
        names = [name for name, fed_by in column_paths(table, case.expected.shape).items() if fed_by == path]
        if names:
            return f" as {texts[table].text.split(TAB)[texts[table].columns.index(names[0])]}"
    return ""


def in_full(case: Case) -> str:
    """Everything that a document becomes, or the error with all that it carries."""
    try:
        outcome = outcome_of(case)
        document = outcome.document
        parts = (msgspec.to_builtins((document.meta, document.reports)), document.data_hash, document.changes)
        return repr((*parts, outcome.findings, outcome.texts))
    except (ContractError, DocumentError) as error:
        changes = error.changes if isinstance(error, DepartureError) else ()
        return repr((type(error).__name__, str(error), getattr(error, "days", ()), changes))


def hash_of_outcomes() -> str:
    outcomes = "\n".join(f"{case.rule}: {in_full(case)}" for case in CASES)
    return hashlib.sha256(outcomes.encode()).hexdigest()


@pytest.mark.parametrize("case", CASES, ids=[case.rule for case in CASES])
def test_a_rule_leads_to_its_outcome(case: Case) -> None:
    assert in_short(case) == case.outcome


def test_outcomes_change_only_with_the_version_of_the_rules() -> None:
    found = hash_of_outcomes()
    assert HASHES.get(RULES_VERSION) == found, (
        "Documents become something else than under this version of the rules. If that is meant, raise RULES_VERSION"
        f" in etl/transform/declaration.py and add the hash of the new outcomes here: {found!r}; for a new path alone, take the hash under this version"
    )


def test_each_rule_is_named_once() -> None:
    assert len({case.rule for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (bounds, "DOUBTFUL", 3),
        (bounds, "IMPOSSIBLE", 11),
        (bounds, "STATES", 57),
        (bounds, "HIGHEST_SHARES", bounds.HIGHEST_SHARES | {"pending_tests": 0.00461}),
        (contract, "FIRST_DAY", date(2019, 12, 31)),
        (contract, "LAST_DAY", date(2030, 1, 1)),
        (contract, "LARGEST_OFFSET", timedelta(hours=16)),
        (contract, "_refuse_nesting", lambda *_: None),
        (departures, "NAMED_DAYS", 1),
        (departures, "MOST_NAMES", 101),
        (departures, "LONGEST_NAME", 501),
        (departures, "_pluck", pluck),
        (departures, "_nulls", lambda _: {}),
        (departures, "_day", lambda _: None),
        (rows, "_escaped", lambda value: value),
        (rows, "_NOT_PUBLISHED", (0,) * 5),
    ],
)
def test_a_changed_rule_changes_the_hash(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, value: Any) -> None:
    monkeypatch.setattr(module, name, value)
    assert hash_of_outcomes() != HASHES[RULES_VERSION]
