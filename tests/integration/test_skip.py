"""Passing over what is broken, and loading after all what was rejected: nothing is lost on the way."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from etl.errors import UsageError
from etl.load import events, rules
from etl.load.events import instant
from etl.run import alerts, replay
from etl.run.prune import prune
from etl.transform.declaration import TABLES
from tests.documents import nation_day, plant, state_history
from tests.warehouse import CALIFORNIA, Warehouse, counted

POISON = date(2021, 1, 2)
FIRST = date(2020, 3, 1)


def history(*values: Any) -> Any:
    """California's history from 2021-01-01 on, with these totals of cases."""
    content = state_history("CA", {f"2021-01-{day:02}": {} for day in range(1, len(values) + 1)})
    for row, value in zip(reversed(content["data"]), values, strict=True):
        plant(row, "cases.total.value", value)
    return content


def load(warehouse: Warehouse, *values: Any, **options: Any) -> Any:
    warehouse.publish(CALIFORNIA, history(*values))
    return warehouse.load(**options)


def totals(warehouse: Warehouse) -> list[Any]:
    return [value for (value,) in warehouse.rows("select total_cases from public.cases_fact order by report_date")]


def star(warehouse: Warehouse) -> dict[str, Any]:
    tables = [*(f"public.{table}" for table in TABLES), *(f"history.{table}_revision" for table in TABLES)]
    return {table: warehouse.rows(f"select * from {table} order by 1, 2, 3, known_from") for table in tables}


def test_a_poison_report_is_passed_over_and_what_is_known_of_its_day_stays(warehouse: Warehouse) -> None:
    assert load(warehouse, 1, 2, 3).passed_over == []
    assert load(warehouse, 10, "poison", 30).exit_code == 5
    (made,) = rules.skip(warehouse.conn, "ca", [POISON], "a word")
    assert (made.location, made.day, made.reason, made.until) == ("CA", POISON, "a word", None)
    done = warehouse.load()
    assert (done.exit_code, counted(done), done.revisions) == (0, {"loaded": 1}, 2)
    assert done.passed_over == ["CA 2021-01-02"]
    assert totals(warehouse) == [10, 2, 30]
    assert events.open_rejections(warehouse.conn) == []
    assert counted(warehouse.load()) == {"unchanged": 1}


def test_an_undone_tombstone_lets_the_report_in_again(warehouse: Warehouse) -> None:
    load(warehouse, 1, 2, 3)
    (made,) = rules.skip(warehouse.conn, "ca", [POISON], "to see")
    load(warehouse, 1, 20, 3)
    assert totals(warehouse) == [1, 2, 3]
    assert rules.undo(warehouse.conn, made.tombstone_id)[0].until
    warehouse.load()
    assert totals(warehouse) == [1, 20, 3]
    with pytest.raises(UsageError, match="no tombstone 1 holds"):
        rules.undo(warehouse.conn, made.tombstone_id)


def test_a_tombstoned_day_and_location_are_not_asked_for(warehouse: Warehouse) -> None:
    rules.skip(warehouse.conn, "us", [POISON], "broken")
    warehouse.publish("us/daily/2021-01-02.json", nation_day("2021-01-02"))
    warehouse.publish("us/daily/2021-01-03.json", nation_day("2021-01-03"))
    assert counted(warehouse.load(day=POISON, locations="us")) == {"skipped": 1}
    assert counted(warehouse.load(day=date(2021, 1, 3), locations="us")) == {"loaded": 1}
    rules.skip(warehouse.conn, "us", [], "all of it")
    done = warehouse.load(day=date(2021, 1, 3), locations="us")
    assert (done.exit_code, counted(done)) == (0, {"skipped": 1})


def test_a_location_that_is_passed_over_is_in_each_summary_and_heartbeat_since_when(warehouse: Warehouse) -> None:
    (made,) = rules.skip(warehouse.conn, "ca", [], "phone numbers")
    notice = alerts.of_summary(load(warehouse, 1))
    line = f"passed over: CA all days since {instant(made.since)}: phone numbers; to end that: main.py skip --undo 1"
    assert line in notice.summary
    assert line in json.loads(notice.body)["summary"]


def test_a_day_that_is_nowhere_published_stays_so_beside_one_that_is_skipped(warehouse: Warehouse) -> None:
    rules.skip(warehouse.conn, "us", [POISON], "broken")
    done = warehouse.load(day=POISON, locations="us,ca")
    assert (done.exit_code, counted(done)) == (4, {"skipped": 1, "not_published": 1})


def test_a_passed_over_day_is_no_withdrawal(warehouse: Warehouse) -> None:
    load(warehouse, 1, 2)
    rules.skip(warehouse.conn, "ca", [date(2021, 1, 1), POISON], "both")
    assert load(warehouse, 1, "x", 3).exit_code == 0
    assert totals(warehouse) == [1, 2, 3]


def test_a_replay_passes_over_what_its_loads_passed_over(warehouse: Warehouse) -> None:
    load(warehouse, 1, 2, 3)
    (made,) = rules.skip(warehouse.conn, "ca", [POISON], "poison")
    load(warehouse, 10, "poison", 30)
    rules.undo(warehouse.conn, made.tombstone_id)
    load(warehouse, 10, 20, 30)
    rules.skip(warehouse.conn, "ca", [date(2021, 1, 3)], "later")
    before = star(warehouse)
    done = replay.replay(warehouse.conn, "ca")
    assert (done.exit_code, star(warehouse)) == (0, before)
    assert totals(warehouse) == [10, 20, 30]


def test_an_unknown_location_is_not_passed_over(warehouse: Warehouse) -> None:
    with pytest.raises(UsageError, match="unknown XX"):
        rules.skip(warehouse.conn, "xx", [], "why")


def test_many_locations_are_not_passed_over_at_once(warehouse: Warehouse) -> None:
    for selection, count in (("all", 57), ("states", 56), ("ca,ny", 2)):
        with pytest.raises(UsageError, match=f"one location at a time, such as ca; {selection} names {count}"):
            rules.skip(warehouse.conn, selection, [], "why")
    assert rules.tombstones(warehouse.conn) == []


def test_a_replay_finds_each_load_on_its_side_of_a_tombstone_though_the_clock_was_ahead(warehouse: Warehouse) -> None:
    load(warehouse, 1)
    with warehouse.conn.cursor() as cursor:
        for table in (*TABLES, *(f"history.{table}_revision" for table in TABLES)):
            name = table if "." in table else f"public.{table}"
            cursor.execute(f"update {name} set known_from = known_from + interval '1 year'")
        cursor.execute("update ops.document_load set known_at = known_at + interval '1 year'")
    (made,) = rules.skip(warehouse.conn, "ca", [date(2021, 1, 1)], "why")
    rules.undo(warehouse.conn, made.tombstone_id)
    load(warehouse, 2)
    before = star(warehouse)
    assert (replay.replay(warehouse.conn, "ca").exit_code, star(warehouse)) == (0, before)
    assert totals(warehouse) == [2]


# --- rejected documents ---


def reasons(warehouse: Warehouse) -> list[str | None]:
    return [each.reason for each in events.open_rejections(warehouse.conn)]


def test_a_rejected_document_is_open_until_a_sound_one_speaks_of_its_days(warehouse: Warehouse) -> None:
    load(warehouse, 1, 2)
    load(warehouse, 1, "x")
    load(warehouse, 1, "x")
    load(warehouse, 1, "yy")
    assert len(reasons(warehouse)) == 2
    load(warehouse, 1, 3)
    assert reasons(warehouse) == []


def test_the_document_of_before_closes_it_too(warehouse: Warehouse) -> None:
    load(warehouse, 1, 2)
    load(warehouse, 1, "x")
    assert counted(load(warehouse, 1, 2)) == {"unchanged": 1}
    assert reasons(warehouse) == []
    # And broken in the same way once more it is open again.
    load(warehouse, 1, "x")
    assert len(reasons(warehouse)) == 1


def test_every_rejected_document_loads_in_its_order_after_a_fix(warehouse: Warehouse) -> None:
    load(warehouse, 1, 2)
    load(warehouse, 10, "x")
    load(warehouse, 100, "x")
    rules.skip(warehouse.conn, "ca", [POISON], "x")
    done = replay.replay_rejected(warehouse.conn, None)
    assert (done.exit_code, counted(done), done.revisions) == (0, {"loaded": 2}, 2)
    assert warehouse.rows("select total_cases from history.cases_fact_revision order by known_to") == [(1,), (10,)]
    assert (totals(warehouse), reasons(warehouse)) == ([100, 2], [])
    assert warehouse.rows("select source, status, exit_code from ops.run order by run_id desc limit 1") == [
        ("stored", "ok", 0)
    ]
    assert {source for (source,) in warehouse.rows("select source from ops.document_load")} == {str(warehouse.folder)}


def test_one_document_can_be_chosen_and_one_that_is_still_broken_stays_open(warehouse: Warehouse) -> None:
    load(warehouse, 1, "x")
    load(warehouse, 1, "yy")
    numbers = [each.document_load_id for each in events.open_rejections(warehouse.conn)]
    done = replay.replay_rejected(warehouse.conn, numbers[0])
    assert (done.exit_code, counted(done)) == (5, {"rejected": 1})
    assert [each.document_load_id for each in events.open_rejections(warehouse.conn)] == numbers
    with pytest.raises(UsageError, match="no rejected document 99 is open"):
        replay.replay_rejected(warehouse.conn, 99)


def test_what_a_later_document_has_overtaken_is_left(warehouse: Warehouse) -> None:
    load(warehouse, 1, 2)
    load(warehouse, 10, "x")
    warehouse.publish("states/ca/2021-01-01.json", {"meta": history(5)["meta"], "data": history(5)["data"][0]})
    warehouse.load(day=date(2021, 1, 1))
    rules.skip(warehouse.conn, "ca", [POISON], "x")
    done = replay.replay_rejected(warehouse.conn, None)
    assert (counted(done), totals(warehouse)) == ({"stale": 1}, [5, 2])
    assert len(reasons(warehouse)) == 1


def test_bytes_that_come_again_after_pruning_are_kept_again(warehouse: Warehouse) -> None:
    load(warehouse, 1)
    load(warehouse, 2)
    load(warehouse, 1)
    with warehouse.conn.cursor() as cursor:
        cursor.execute("update ops.document_load set known_at = known_at - interval '9 days'")
    assert prune(warehouse.conn, 1).documents == 1
    load(warehouse, 2)
    assert warehouse.rows("select count(*) from ops.document where body is null") == [(0,)]
    assert (replay.replay(warehouse.conn, "ca").exit_code, totals(warehouse)) == (0, [2])


def test_a_rejected_document_that_comes_again_is_not_written_again(warehouse: Warehouse) -> None:
    load(warehouse, 1, "x")
    written = "select ctid::text, xmin::text from ops.document"
    before = warehouse.rows(written)
    assert load(warehouse, 1, "x").exit_code == 5
    assert warehouse.rows(written) == before


def test_pruning_keeps_the_bytes_of_what_is_open(warehouse: Warehouse) -> None:
    load(warehouse, 1, 2)
    load(warehouse, 1, "x")
    kept = "select count(*) from ops.document where body is not null"
    with warehouse.conn.cursor() as cursor:
        cursor.execute("update ops.document_load set known_at = known_at - interval '9 days'")
    assert prune(warehouse.conn, 1).documents == 0
    load(warehouse, 1, 3)
    with warehouse.conn.cursor() as cursor:
        cursor.execute("update ops.document_load set known_at = known_at - interval '9 days'")
    # The first brought the field definitions, the last is what a replay begins with.
    assert (prune(warehouse.conn, 1).documents, warehouse.rows(kept)) == (1, [(2,)])


def test_what_is_passed_over_is_rejected_no_longer(warehouse: Warehouse) -> None:
    load(warehouse, 1, "x")
    rules.skip(warehouse.conn, "ca", [], "all of it")
    assert reasons(warehouse) == []
    assert counted(warehouse.load()) == {"skipped": 1}


# --- row checks ---


def test_an_impossible_value_rejects_its_document_and_a_doubtful_one_is_kept(warehouse: Warehouse) -> None:
    assert load(warehouse, 1, 60_000_000).rejected[0].reason == (
        "cases_fact.total_cases of 2021-01-02 is 60000000: "
        "11 times the highest share of the population ever published"
    )
    assert totals(warehouse) == []
    done = load(warehouse, 1, 20_000_000)
    assert (done.exit_code, len(done.findings)) == (0, 1)
    kept = "select check_name, location_id, report_date::text, measure, value, ended_at is null from ops.finding order by 1"
    finding = ("highest value", 6, "2021-01-02", "cases_fact.total_cases", 20_000_000)
    assert warehouse.rows(kept) == [(*finding, True)]
    # Seen again it is the same finding; corrected it is over.
    assert load(warehouse, 2, 20_000_000).findings == []
    assert load(warehouse, 2, 2).findings == []
    assert warehouse.rows(kept) == [(*finding, False)]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda deaths: [0] * len(deaths), ["death_fact: one document revised or withdrew 300 of 300 known rows"]),
        (
            lambda deaths: [count + (day < 22) for day, count in enumerate(deaths)],
            ["death_fact: one document revised or withdrew 22 of 300 known rows"],
        ),
        (lambda deaths: deaths[:-25], ["cases_fact: one document revised or withdrew 25 of 300 known rows"]),
        (lambda deaths: [count + (day < 14) for day, count in enumerate(deaths)], []),
    ],
    ids=["all deaths become 0", "three weeks are revised", "four weeks vanish", "two weeks are revised"],
)
def test_a_history_that_changes_much_at_once_is_a_finding_once(
    warehouse: Warehouse, change: Callable[[list[int]], list[int]], found: list[str]
) -> None:
    def publish(deaths: list[int]) -> list[str]:
        done = warehouse.history(daily(deaths))
        assert done.exit_code == 0
        return [f"{finding.measure}: {finding.meaning}" for finding in done.findings]

    deaths = list(range(1, 301))
    assert publish(deaths) == []
    assert publish(change(deaths)) == found
    assert publish(change(deaths)) == []
    # The next document ends it.
    publish([*change(deaths), 900])
    assert warehouse.rows("select count(*) from ops.finding where ended_at is null") == [(0,)]


def daily(deaths: list[int]) -> dict[str, Any]:
    """Reports with these totals of deaths from a day on."""
    return {str(FIRST + timedelta(days=n)): {"outcomes__death__total": count} for n, count in enumerate(deaths)}


def test_much_that_people_have_decided_is_no_finding(warehouse: Warehouse, tmp_path: Path) -> None:
    deaths = list(range(1, 101))
    warehouse.history(daily(deaths))
    assert warehouse.history(daily(deaths[:50]), allow_withdrawals=True).findings == []
    other = Warehouse(warehouse.conn, tmp_path / "other")
    assert other.history(daily([7] * 50)).findings == []
    assert warehouse.history({day: {} for day in daily(deaths[:50])}).findings == []


def test_values_that_are_all_taken_back_are_a_finding(warehouse: Warehouse) -> None:
    def publish(total: int | None, positive: int | None) -> Any:
        values = {"outcomes__death__total": total, "tests__pcr__people__positive": positive, "cases__total": 1}
        warehouse.publish(CALIFORNIA, state_history("CA", {"2021-01-01": values, "2021-01-02": values}))
        return warehouse.load()

    publish(5, 6)
    done = publish(None, None)
    assert [(each.check, each.measure, each.value) for each in done.findings] == [
        ("values gone", "death_fact.total_deaths", 2),
        ("values gone", "testing_detail_fact.value (test_id 6)", 2),
    ]
    still = "select measure from ops.finding where ended_at is null order by 1"
    assert publish(None, 7).findings == []
    assert warehouse.rows(still) == [("death_fact.total_deaths",)]
    publish(5, 7)
    assert warehouse.rows(still) == []
