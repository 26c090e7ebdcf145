import json
from datetime import date
from typing import Any

from etl.transform.contract import Document, Expected, decode
from etl.transform.declaration import REPORT_TABLE, STATE, TABLES
from etl.transform.news import Known, News, news_of
from tests.documents import Json, document, encode, plant, report

KEY, OTHER_KEY = "one set of rules", "another"
MARCH = [date(2021, 3, number) for number in range(8)[1:]]


def decoded(*days: int, **revised: Any) -> Document:
    """A history of days in March; day 2 with other values, if there are any."""
    values = {number: revised if number == 2 else {} for number in days}
    reports = [report(STATE, f"2021-03-0{number}", cases__total=number, **given) for number, given in values.items()]
    return decode(encode(document(reports)), Expected(STATE, "CA"))


def news(found: Document, known: Known) -> News:
    return news_of(found.reports, found.digests, STATE, known)


def after(found: Document, key: str = KEY) -> Known:
    """The knowledge of a warehouse that has loaded a document and nothing else."""
    loaded = news(found, Known(key))
    return Known(key, frozenset(found.digests), frozenset(loaded.digests.values()))


def days_of(made: News) -> dict[str, list[date]]:
    return {
        "added": [date.fromisoformat(line.split("\t")[0]) for line in made.added[REPORT_TABLE].text.splitlines()],
        "revised": made.revised_days,
        "gone": made.gone_days,
        "same": made.same_days,
    }


def test_every_report_is_new_where_nothing_is_known() -> None:
    found = news(decoded(3, 2, 1), Known(KEY))
    assert days_of(found) == {"added": [*MARCH[2::-1]], "revised": [], "gone": [], "same": []}
    assert {table: found.added[table].count for table in TABLES} == dict.fromkeys(TABLES, 3) | {
        "testing_detail_fact": 0
    }
    assert set(found.digests) == set(MARCH[:3])


def test_a_report_with_a_known_digest_is_not_rendered() -> None:
    found = news(decoded(3, 2, 1), after(decoded(3, 2, 1)))
    assert days_of(found) == {"added": [], "revised": [], "gone": [], "same": [*MARCH[2::-1]]}
    assert not any(text.count for text in [*found.added.values(), *found.revised.values()])
    assert found.digests == {}


def test_a_day_later_only_the_new_report_is_news() -> None:
    found = news(decoded(4, 3, 2, 1), after(decoded(3, 2, 1)))
    assert days_of(found) == {"added": [MARCH[3]], "revised": [], "gone": [], "same": [*MARCH[2::-1]]}


def test_other_values_make_a_report_revised_and_missing_days_are_gone() -> None:
    found = news(decoded(2, 1, cases__confirmed=1), after(decoded(3, 2, 1)))
    assert days_of(found) == {"added": [], "revised": [MARCH[1]], "gone": [MARCH[2]], "same": [MARCH[0]]}
    assert [text.count for text in found.revised.values()] == [1, 1, 1, 1, 1, 0]
    assert set(found.digests) == {MARCH[1]}


def test_under_other_rules_every_report_is_compared_again() -> None:
    known = after(decoded(3, 2, 1))
    found = news(decoded(3, 2, 1), Known(OTHER_KEY, known.days, known.digests))
    assert days_of(found) == {"added": [], "revised": [*MARCH[2::-1]], "gone": [], "same": []}
    assert not known.digests & set(found.digests.values())


def test_a_known_day_without_a_digest_is_compared_again() -> None:
    found = news(decoded(2, 1), Known(KEY, frozenset(MARCH[:2])))
    assert days_of(found) == {"added": [], "revised": [MARCH[1], MARCH[0]], "gone": [], "same": []}


def test_a_digest_without_its_day_makes_no_report_known() -> None:
    """The rows of the report are gone, whatever was remembered of it."""
    known = after(decoded(2, 1))
    found = news(decoded(2, 1), Known(KEY, frozenset(MARCH[:1]), known.digests))
    assert days_of(found) == {"added": [MARCH[1]], "revised": [], "gone": [], "same": [MARCH[0]]}


def test_a_report_of_a_single_day_has_the_digest_that_it_has_in_a_history() -> None:
    single = document(report(STATE, "2021-03-02", cases__total=2))
    found = decode(encode(single), Expected(STATE, "CA", MARCH[1]))
    assert found.digests == {MARCH[1]: decoded(2, 1).digests[MARCH[1]]}


def test_the_digest_of_a_report_ignores_key_order_white_space_and_the_form_of_numbers() -> None:
    def other(published: Json) -> bytes:
        plant(published["data"][0], "cases.total.calculated.seven_day_change_percent", -17.0)
        published["data"] = [dict(reversed(row.items())) for row in published["data"]]
        return json.dumps(published, indent=3).encode()

    values = {"cases__total__calculated__seven_day_change_percent": -17}
    published = document([report(STATE, "2021-03-02", **values)])
    expected = Expected(STATE, "CA")
    assert decode(encode(published), expected).digests == decode(other(published), expected).digests
