import json
from datetime import date
from typing import Any

import pytest

from etl.errors import ContractError
from etl.transform.contract import EMPTY_HISTORY, Document, Expected, decode
from etl.transform.declaration import REPORT_TABLE, STATE, TABLES
from etl.transform.news import Known, News, news_of, pack, unpack
from tests.documents import Json, document, encode, report

KEY, OTHER_KEY = "one set of rules", "another"
MARCH = [date(2021, 3, number) for number in range(1, 8)]
NOTHING = Known(KEY)
CALIFORNIA = Expected(STATE, "CA")


def history(*days: int, **revised: Any) -> Json:
    """A history of days in March; day 2 with other values, if there are any."""
    values = [(number, revised if number == 2 else {}) for number in days]
    return document([report(STATE, f"2021-03-0{number}", cases__total=number, **given) for number, given in values])


def news(published: Json, known: Known) -> News:
    found = decode(encode(published), CALIFORNIA, known)
    return news_of(found.reports, found.same_days, found.digests, STATE, known)


def after(published: Json, key: str = KEY) -> Known:
    """The knowledge of a warehouse that has loaded a document and nothing else."""
    digests = decode(encode(published), CALIFORNIA, Known(key)).digests
    return Known(key, frozenset(digests), digests)


def days_of(made: News) -> dict[str, list[date]]:
    return {"added": made.added_days, "revised": made.revised_days, "gone": made.gone_days, "same": made.same_days}


def test_every_report_is_new_where_nothing_is_known() -> None:
    found = news(history(3, 2, 1), NOTHING)
    assert days_of(found) == {"added": MARCH[2::-1], "revised": [], "gone": [], "same": []}
    assert {table: found.added[table].count for table in TABLES} == dict.fromkeys(TABLES, 3) | {
        "testing_detail_fact": 0
    }
    assert found.added[REPORT_TABLE].text.startswith("2021-03-03\t")
    assert set(found.digests) == set(MARCH[:3])


def test_a_known_report_is_neither_decoded_nor_rendered() -> None:
    known = after(history(3, 2, 1))
    assert decode(encode(history(3, 2, 1)), CALIFORNIA, known).reports == []
    found = news(history(3, 2, 1), known)
    assert days_of(found) == {"added": [], "revised": [], "gone": [], "same": MARCH[2::-1]}
    assert not any(text.count for text in [*found.added.values(), *found.revised.values()])
    assert found.digests == known.digests


def test_a_day_later_only_the_new_report_is_news() -> None:
    found = news(history(4, 3, 2, 1), after(history(3, 2, 1)))
    assert days_of(found) == {"added": [MARCH[3]], "revised": [], "gone": [], "same": MARCH[2::-1]}


def test_other_values_make_a_report_revised_and_missing_days_are_gone() -> None:
    found = news(history(2, 1, cases__confirmed=1), after(history(3, 2, 1)))
    assert days_of(found) == {"added": [], "revised": [MARCH[1]], "gone": [MARCH[2]], "same": [MARCH[0]]}
    assert {table: text.count for table, text in found.revised.items() if text.count} == dict.fromkeys(
        set(TABLES) - {"testing_detail_fact"}, 1
    )
    assert set(found.digests) == {MARCH[0], MARCH[1]}


@pytest.mark.parametrize("key", [OTHER_KEY, f"{KEY} 1"])
def test_under_other_rules_every_report_is_compared_again(key: str) -> None:
    known = after(history(3, 2, 1))
    found = news(history(3, 2, 1), Known(key, known.days, known.digests))
    assert days_of(found) == {"added": [], "revised": MARCH[2::-1], "gone": [], "same": []}
    assert not set(known.digests.values()) & set(found.digests.values())


def test_a_known_day_without_a_digest_is_compared_again() -> None:
    found = news(history(2, 1), Known(KEY, frozenset(MARCH[:2])))
    assert days_of(found) == {"added": [], "revised": [MARCH[1], MARCH[0]], "gone": [], "same": []}


def test_what_is_known_is_read_from_packed_days_without_the_skipped_ones() -> None:
    days = [number.to_bytes(4) for number in (7730, 7731)]
    digests = [number.to_bytes(4) + digest for number, digest in ((7730, b"a" * 16), (7732, b"b" * 16))]
    packed = (b"".join(days), b"".join(digests), KEY)
    known = Known(KEY, frozenset(MARCH[:2]), {MARCH[0]: b"a" * 16, MARCH[2]: b"b" * 16})
    assert unpack(*packed, frozenset()) == known
    assert pack(known.digests) == packed[1]
    assert known.days_by_digest == {b"a" * 16: MARCH[0]}
    assert not known.has_all_digests
    assert unpack(*packed, frozenset([MARCH[0]])) == Known(KEY, frozenset([MARCH[1]]), known.digests)
    assert unpack(*packed, frozenset([MARCH[1]])).has_all_digests


def test_digests_of_days_that_a_document_does_not_speak_of_stay() -> None:
    digests = {day: bytes([number]) * 16 for number, day in enumerate(MARCH)}
    known = Known(KEY, frozenset(MARCH[1:3]), digests)
    later = dict(news(history(2), known).digests)
    assert later.pop(MARCH[1]) != digests.pop(MARCH[1])
    del digests[MARCH[2]]
    assert later == digests == known.without_digests().digests


def test_a_report_of_a_single_day_has_the_digest_that_it_has_in_a_history() -> None:
    single = document(report(STATE, "2021-03-02", cases__total=2))
    found = decode(encode(single), Expected(STATE, "CA", MARCH[1]), NOTHING)
    assert found.digests == {MARCH[1]: decode(encode(history(2, 1)), CALIFORNIA, NOTHING).digests[MARCH[1]]}


def test_a_report_in_another_form_is_compared_again() -> None:
    published = history(2, 1)
    published["data"][0] = dict(reversed(published["data"][0].items()))
    found = decode(json.dumps(published).encode(), CALIFORNIA, after(history(2, 1)))
    assert [row.date for row in found.reports] == [MARCH[1], MARCH[0]]


def test_a_document_that_departs_from_the_declaration_is_decoded_whole_and_has_no_digest() -> None:
    published = history(2, 1)
    published["data"][0]["reinfections"] = 5
    found = decode(encode(published), CALIFORNIA, after(history(2, 1)))
    assert ([row.date for row in found.reports], found.same_days, found.digests) == ([MARCH[1], MARCH[0]], [], {})


@pytest.mark.parametrize("days", [(2, 1, 2), (3, 2, 1, 3)])
def test_a_known_report_that_is_there_twice_is_refused(days: tuple[int, ...]) -> None:
    with pytest.raises(ContractError, match=r"^data\.date: 2021-03-0[23] is there twice$"):
        decode(encode(history(*days)), CALIFORNIA, after(history(2, 1)))


def test_a_history_of_known_reports_is_not_empty_and_one_without_any_is() -> None:
    assert isinstance(decode(encode(history(1)), CALIFORNIA, after(history(1))), Document)
    with pytest.raises(ContractError, match=EMPTY_HISTORY):
        decode(encode(history()), CALIFORNIA, after(history(1)))
