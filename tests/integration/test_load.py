"""Loading documents into a real database: what is written, what is not, what is kept."""

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from etl.config import SNAPSHOT
from etl.database.connection import Connection, fetch_all, transaction
from etl.errors import Outcome, SourceError, UsageError
from etl.extract.source import Received
from etl.load import merge
from etl.load.events import Event
from etl.load.request import Request
from etl.load.rules import LocationRules
from etl.run import pipeline
from etl.run.pipeline import LoadOptions, run
from etl.run.prepare import make_payload
from etl.run.wording import as_lines
from etl.transform import contract
from etl.transform.declaration import DETAIL_TABLE, FIRST_DAY, LAST_DAY, REPORT_TABLE, STATE, TABLES, key_columns
from etl.transform.locations import Location
from etl.transform.news import Known
from etl.transform.rows import render
from tests.documents import Json, document, encode, nation_day, plant, report, state_history
from tests.warehouse import CALIFORNIA, Warehouse, counted

DIGESTS = "select digests from ops.report_digest"
NO_RULES = LocationRules((), whole=None, skipped_days=frozenset(), key="")
FACTS = [table for table in TABLES if table != REPORT_TABLE]


def days(count: int, **values: Any) -> dict[str, Json]:
    return {f"2021-01-{day:02}": {"cases__total": day * 10} | values for day in range(1, count + 1)}


# --- one document ---


def test_a_document_is_loaded_with_every_column(warehouse: Warehouse) -> None:
    values: Json = {}
    for number, metric in enumerate(STATE.metrics, start=1):
        for offset, path in enumerate(metric.columns.values()):
            values[path.replace(".", "__")] = number * 10 + offset
    record = report(STATE, "2021-01-01", "CA")
    for path, value in values.items():
        plant(record, path.replace("__", "."), value)
    warehouse.publish(CALIFORNIA, document([record]))
    assert warehouse.load().exit_code == 0
    for number, metric in enumerate(STATE.metrics, start=1):
        where = f"and test_id = {metric.test_id}" if metric.test_id else ""
        found = warehouse.rows(
            f"select {', '.join(metric.columns)} from public.{metric.table}"
            f" where location_id = 6 and report_date = '2021-01-01' {where}"
        )
        assert found == [tuple(number * 10 + offset for offset in range(len(metric.columns)))]


def test_the_same_document_again_is_unchanged_and_touches_no_row(warehouse: Warehouse) -> None:
    warehouse.history(days(3, tests__pcr__people__total=5))
    before, loads = warehouse.versions(), warehouse.rows("select count(*) from ops.document_load")
    summary = warehouse.load()
    assert counted(summary) == {"unchanged": 1}
    assert warehouse.versions() == before
    assert warehouse.rows("select count(*) from ops.document_load") == loads


def test_forced_the_same_document_is_merged_and_still_touches_no_row(warehouse: Warehouse) -> None:
    warehouse.history(days(3, tests__pcr__people__total=5))
    before = warehouse.versions()
    summary = warehouse.load(force=True)
    assert counted(summary) == {"loaded": 1}
    assert {(n.inserted, n.updated, n.withdrawn) for n in summary.rows.values()} == {(0, 0, 0)}
    assert (summary.rows["death_fact"].unchanged, summary.revisions) == (3, 0)
    assert warehouse.versions() == before


def wal_records(warehouse: Warehouse, table: str, document_json: Json) -> int:
    """How many WAL records the merge of one table writes if no report is known by its digest, by the server's count."""
    merge.prepare(warehouse.conn)
    request = Request("", Location(6, "CA", STATE, None), NO_RULES, None, FIRST_DAY, LAST_DAY)
    decoded = contract.decode(encode(document_json), request.expected)
    known = Known("", frozenset(decoded.digests))
    news = make_payload(request, Received(b"", "", 0), decoded, known, LAST_DAY).news
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    event = Event(1, 1, moment, "", request.address, 6, FIRST_DAY, LAST_DAY, "", build_time=decoded.meta.build_time)
    with transaction(warehouse.conn, rollback=True):
        merge.stage(warehouse.conn, news.revised)
        explained = "explain (analyze, wal, format json) " + merge.merge_statement(table)
        ((plan,),) = fetch_all(
            warehouse.conn, explained, asdict(event) | {"days": news.revised_days, "changed_days": []}
        )
    return int(plan[0]["Plan"]["WAL Records"])


def test_a_merge_without_news_writes_no_wal(warehouse: Warehouse) -> None:
    history = days(20, tests__pcr__people__total=5)
    warehouse.history(history)
    revised = state_history("CA", history | {"2021-01-05": {"cases__total": 1, "tests__pcr__people__total": 6}})
    for table in TABLES:
        # The first reader of a page may tidy it, which writes: so the second merge is counted.
        records = [wal_records(warehouse, table, state_history("CA", history)) for _ in range(2)]
        assert records[1] == 0, table
    for table in ("cases_fact", DETAIL_TABLE):
        assert wal_records(warehouse, table, revised) > 0, table


def test_another_build_of_the_same_data_is_unchanged(warehouse: Warehouse) -> None:
    warehouse.history(days(2))
    warehouse.publish(CALIFORNIA, state_history("CA", days(2), "2021-06-01T00:00:00Z"))
    assert counted(warehouse.load()) == {"unchanged": 1}


def test_the_same_data_in_another_form_is_unchanged(warehouse: Warehouse) -> None:
    known = {"cases__total": 5, "cases__total__calculated__seven_day_change_percent": -17}
    warehouse.history({"2021-01-01": known, "2021-01-02": known})
    other = state_history("CA", dict.fromkeys(("2021-01-01", "2021-01-02"), known), "2021-06-01T00:00:00Z")
    for row in other["data"]:
        plant(row, "cases.total.calculated.seven_day_change_percent", -17.0)
    other["data"] = [dict(reversed(row.items())) for row in reversed(other["data"])]
    warehouse.publish(CALIFORNIA, json.dumps(other, indent=4).encode())
    before, documents = warehouse.versions(), warehouse.rows("select * from ops.document")
    assert counted(warehouse.load()) == {"unchanged": 1}
    assert counted(warehouse.load()) == {"unchanged": 1}
    assert (warehouse.versions(), warehouse.rows("select * from ops.document")) == (before, documents)


def test_a_day_later_only_the_new_report_is_written(warehouse: Warehouse) -> None:
    values = {"cases__total": 5, "tests__pcr__people__total": 6, "tests__antigen__people__total": 7}
    warehouse.history({f"2021-01-{day:02}": values for day in range(1, 20)})
    before = warehouse.versions()
    summary = warehouse.history({f"2021-01-{day:02}": values for day in range(1, 21)})
    counts = {table: (n.inserted, n.updated, n.withdrawn, n.unchanged) for table, n in summary.rows.items()}
    assert counts == dict.fromkeys(TABLES, (1, 0, 0, 19)) | {DETAIL_TABLE: (2, 0, 0, 38)}
    later = warehouse.versions()
    for table in TABLES:
        assert set(before[table]) < set(later[table])
        new = set(later[table]) - set(before[table])
        assert {(row[3], row[4]) for row in new} == {(6, date(2021, 1, 20))}
        assert len(new) == counts[table][0]


def test_without_digests_every_report_is_compared_once(warehouse: Warehouse) -> None:
    warehouse.history(days(3))
    before, known = warehouse.versions(), warehouse.rows(DIGESTS)
    with warehouse.conn.cursor() as cursor:
        cursor.execute("delete from ops.report_digest")
    warehouse.history(days(4))
    assert [digests[:60] for (digests,) in warehouse.rows(DIGESTS)] == [digests for (digests,) in known]
    assert {table: len(rows) for table, rows in warehouse.versions().items()} == dict.fromkeys(TABLES, 4) | {
        DETAIL_TABLE: 0
    }
    assert all(set(before[table]) <= set(warehouse.versions()[table]) for table in TABLES)


def everything(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """Each row of the star, with the document that brought it in place of time and run; and the digests."""
    query = """
        select to_jsonb(known) - 'known_from' - 'run_id', load.document_id
        from public.{} as known inner join ops.document_load as load on known.known_from = load.known_at
        order by 1
    """
    digests = warehouse.rows(f"select *, '' from ({DIGESTS}) as digests")
    return {table: warehouse.rows(query.format(table)) for table in TABLES} | {"digests": digests}


def test_copied_rows_are_those_that_a_merge_makes(warehouse: Warehouse) -> None:
    """Rows of days that nothing is known of are copied straight into their tables."""
    address = "states/wy/daily.json"
    published = json.loads(gzip.decompress((SNAPSHOT / f"{address}.gz").read_bytes()))
    emptied = [report(STATE, row["date"], "WY") for row in published["data"]]
    warehouse.publish(address, published)
    assert warehouse.load(locations="wy").rows["death_fact"].inserted == len(emptied)
    copied = everything(warehouse)
    warehouse.publish(address, document(emptied, "2021-01-01T00:00:00Z"))
    warehouse.load(locations="wy", force=True)
    assert everything(warehouse) != copied
    warehouse.publish(address, published)
    assert warehouse.load(locations="wy").rows["death_fact"].updated > 300
    assert everything(warehouse) == copied


def test_an_older_build_is_stale_and_not_loaded_unless_forced(warehouse: Warehouse) -> None:
    warehouse.history(days(2))
    warehouse.publish(CALIFORNIA, state_history("CA", days(3), "2021-01-01T00:00:00Z"))
    summary = warehouse.load()
    assert (counted(summary), summary.exit_code) == ({"stale": 1}, 0)
    assert warehouse.rows("select count(*) from public.death_fact") == [(2,)]
    assert counted(warehouse.load(force=True)) == {"loaded": 1}
    assert warehouse.rows("select count(*) from public.death_fact") == [(3,)]


def test_an_older_build_of_another_source_is_loaded(warehouse: Warehouse, tmp_path: Path) -> None:
    """A build time orders the documents of one source alone: another source is somebody's choice."""
    warehouse.history(days(2))
    other = Warehouse(warehouse.conn, tmp_path / "other")
    other.publish(CALIFORNIA, state_history("CA", days(3), "2021-01-01T00:00:00Z"))
    assert counted(other.load()) == {"loaded": 1}
    warehouse.publish(CALIFORNIA, state_history("CA", days(4), "2021-01-02T00:00:00Z"))
    assert counted(warehouse.load()) == {"stale": 1}
    assert warehouse.rows("select count(*) from public.death_fact") == [(3,)]


# --- revisions ---


def test_a_revised_value_moves_the_old_row_to_the_history(warehouse: Warehouse) -> None:
    warehouse.history(days(3))
    first = warehouse.rows("select known_from from public.cases_fact where report_date = '2021-01-02'")[0][0]
    revised = days(3)
    revised["2021-01-02"] = {"cases__total": 21, "cases__confirmed": 20}
    summary = warehouse.history(revised)
    assert (summary.rows["cases_fact"].updated, summary.rows["cases_fact"].unchanged) == (1, 2)
    assert (summary.rows["death_fact"].updated, summary.revisions) == (0, 1)
    now = "select total_cases, confirmed_cases, known_from from public.cases_fact where report_date = '2021-01-02'"
    ((total, confirmed, known_from),) = warehouse.rows(now)
    assert (total, confirmed) == (21, 20)
    assert warehouse.rows(
        "select report_date, total_cases, confirmed_cases, known_from, known_to, change, changed_columns,"
        " superseded_by_run_id from history.cases_fact_revision"
    ) == [
        (date(2021, 1, 2), 20, None, first, known_from, "revised", ["total_cases", "confirmed_cases"], summary.run_id)
    ]


def test_the_report_says_which_run_and_document_changed_any_of_its_rows_last(warehouse: Warehouse) -> None:
    first = warehouse.history(days(2))
    revised = days(2)
    revised["2021-01-02"]["tests__pcr__people__total"] = 7
    second = warehouse.history(revised)
    assert warehouse.rows("select run_id from public.cases_dimension order by report_date") == [
        (first.run_id,),
        (second.run_id,),
    ]
    stamped = warehouse.rows(
        "select report.known_from = load.known_at, report.document_id = load.document_id"
        " from public.cases_dimension as report join ops.document_load as load using (run_id)"
    )
    assert stamped == [(True, True)] * 2
    assert warehouse.rows(
        "select report_date::text, run_id, change, changed_columns from history.cases_dimension_revision"
    ) == [("2021-01-02", first.run_id, "revised", [])]


def test_a_withdrawn_day_leaves_the_facts_and_comes_back_as_an_insert(warehouse: Warehouse) -> None:
    warehouse.history(days(20, tests__pcr__people__total=5))
    without = days(20, tests__pcr__people__total=5)
    returning = without.pop("2021-01-07")
    summary = warehouse.history(without)
    assert {n.withdrawn for n in summary.rows.values()} == {1}
    for table in TABLES:
        assert warehouse.rows(f"select count(*) from public.{table} where report_date = '2021-01-07'") == [(0,)]
        assert warehouse.rows(f"select change, changed_columns from history.{table}_revision") == [("withdrawn", [])]
    again = warehouse.history(without | {"2021-01-07": returning})
    assert {n.inserted for n in again.rows.values()} == {1}
    returned = warehouse.rows("select known_from = (select max(known_at) from ops.document_load) from public.cases_fact"
                              " where report_date = '2021-01-07'")  # fmt: skip
    assert returned == [(True,)]


def test_a_history_that_lacks_more_than_a_tenth_of_the_known_days_is_rejected_unless_allowed(
    warehouse: Warehouse,
) -> None:
    warehouse.history(days(20))
    summary = warehouse.history(days(17))
    assert (counted(summary), summary.exit_code) == ({"rejected": 1}, 5)
    assert summary.rejected[0].reason == (
        "data: 3 of 20 known days are missing; if that is meant: "
        f"main.py load --source {warehouse.folder} --locations ca --allow-withdrawals"
    )
    assert warehouse.rows("select count(*) from public.death_fact") == [(20,)]
    assert counted(warehouse.load(allow_withdrawals=True)) == {"loaded": 1}
    # A content that was loaded keeps its data hash, also when it comes back and is rejected.
    warehouse.history(days(20))
    assert counted(warehouse.history(days(17))) == {"rejected": 1}
    assert warehouse.rows("select count(*) from ops.document where data_hash is null") == [(0,)]
    warehouse.load(allow_withdrawals=True)
    assert warehouse.rows("select count(*) from public.death_fact") == [(17,)]


def test_a_range_of_the_history_withdraws_nothing_outside_itself(warehouse: Warehouse) -> None:
    warehouse.history(days(20))
    bounds = {"first_day": date(2021, 1, 18), "last_day": date(2021, 1, 20), "allow_withdrawals": True}
    summary = warehouse.history(days(18), **bounds)
    assert summary.rows["cases_fact"].withdrawn == 2
    assert warehouse.rows("select count(*), max(report_date)::text from public.cases_fact") == [(18, "2021-01-18")]


def test_a_range_loads_only_its_days(warehouse: Warehouse) -> None:
    summary = warehouse.history(days(9), first_day=date(2021, 1, 3), last_day=date(2021, 1, 5))
    assert (summary.first_day, summary.last_day) == (date(2021, 1, 3), date(2021, 1, 5))
    assert warehouse.rows("select report_date::text from public.death_fact order by 1") == [
        ("2021-01-03",), ("2021-01-04",), ("2021-01-05",),
    ]  # fmt: skip
    # What was filtered is not taken for the whole.
    assert counted(warehouse.load()) == {"loaded": 1}
    assert warehouse.rows("select count(*) from public.death_fact") == [(9,)]


def test_a_range_with_one_end_is_open_at_the_other(warehouse: Warehouse) -> None:
    warehouse.history(days(9), first_day=date(2021, 1, 8))
    assert warehouse.rows("select count(*) from public.death_fact") == [(2,)]
    warehouse.load(last_day=date(2021, 1, 2))
    assert warehouse.rows("select count(*) from public.death_fact") == [(4,)]


# --- single days ---


def test_a_single_day_revises_its_report_and_withdraws_no_other(warehouse: Warehouse) -> None:
    warehouse.history(days(3, tests__pcr__people__total=5, tests__pcr__people__negative=4))
    revised = report(STATE, "2021-01-02", "CA", cases__total=21, tests__pcr__people__negative=4)
    warehouse.publish("states/ca/2021-01-02.json", document(revised))
    summary = warehouse.load(day=date(2021, 1, 2))
    assert counted(summary) == {"loaded": 1}
    assert warehouse.rows("select total_cases from public.cases_fact order by report_date") == [(10,), (21,), (30,)]
    # A kind of test of which nothing is published any more is withdrawn, within the day.
    assert warehouse.rows("select report_date::text, test_id from public.testing_detail_fact order by 1, 2") == [
        ("2021-01-01", 5), ("2021-01-01", 7), ("2021-01-02", 7), ("2021-01-03", 5), ("2021-01-03", 7),
    ]  # fmt: skip


def test_after_a_single_day_the_same_history_is_not_unchanged_but_loads_again(warehouse: Warehouse) -> None:
    warehouse.history(days(3))
    warehouse.publish("states/ca/2021-01-02.json", document(report(STATE, "2021-01-02", "CA", cases__total=21)))
    warehouse.load(day=date(2021, 1, 2))
    assert counted(warehouse.load()) == {"loaded": 1}
    assert warehouse.rows("select total_cases from public.cases_fact order by report_date") == [(10,), (20,), (30,)]


def test_a_single_day_that_only_confirms_leaves_the_history_unchanged(warehouse: Warehouse) -> None:
    warehouse.history(days(3))
    warehouse.publish("states/ca/2021-01-02.json", document(report(STATE, "2021-01-02", "CA", cases__total=20)))
    assert counted(warehouse.load(day=date(2021, 1, 2))) == {"loaded": 1}
    assert warehouse.rows("select changed_rows > 0 from ops.document_load order by 1") == [(False,), (True,)]
    assert counted(warehouse.load()) == {"unchanged": 1}
    assert counted(warehouse.load(day=date(2021, 1, 2))) == {"unchanged": 1}


def test_a_day_that_is_not_published_withdraws_nothing_and_exits_4(warehouse: Warehouse) -> None:
    warehouse.history(days(3))
    (warehouse.folder / CALIFORNIA).unlink()
    summary = warehouse.load(day=date(2021, 1, 2))
    assert (counted(summary), summary.exit_code) == ({"not_published": 1}, 4)
    assert warehouse.rows("select count(*) from public.death_fact") == [(3,)]


def test_a_day_published_in_one_location_of_two_exits_0(warehouse: Warehouse) -> None:
    warehouse.publish(CALIFORNIA, state_history("CA", days(1)))
    summary = warehouse.load(day=date(2021, 1, 1), locations="ca,ny")
    assert (counted(summary), summary.exit_code) == ({"loaded": 1, "not_published": 1}, 0)


def test_latest_is_the_newest_day_of_the_nation_s_history(warehouse: Warehouse) -> None:
    nation = [nation_day(day)["data"] for day in ("2021-01-02", "2021-01-01")]
    warehouse.publish("us/daily.json", document(nation))
    summary = warehouse.load(day="latest", locations="us")
    assert (summary.first_day, counted(summary)) == (date(2021, 1, 2), {"loaded": 1})


def test_latest_without_a_national_history_says_what_is_missing(warehouse: Warehouse) -> None:
    with pytest.raises(SourceError, match=r"--date latest needs us/daily\.json, which .* does not have"):
        warehouse.load(day="latest", locations="us")
    warehouse.publish("us/daily.json", b"<html>")
    with pytest.raises(SourceError, match=r"--date latest needs us/daily\.json of .*: JSON is malformed"):
        warehouse.load(day="latest", locations="us")


# --- trouble ---


def test_a_broken_document_is_kept_once_and_does_not_stop_the_others(warehouse: Warehouse) -> None:
    broken = state_history("CA", days(2))
    broken["data"][0]["cases"]["total"]["value"] = "many"
    warehouse.publish(CALIFORNIA, broken)
    warehouse.publish("states/ny/daily.json", state_history("NY", days(2)))
    for _ in range(2):
        summary = warehouse.load(locations="ca,ny")
        assert summary.exit_code == 5
        assert (summary.status, summary.rejected[0].location) == ("partial", "CA")
    assert warehouse.rows("select location_id, count(*) from public.cases_fact group by 1") == [(36, 2)]
    kept = warehouse.rows(
        "select reason, size_bytes, data_hash from ops.document_load join ops.document using (document_id)"
        " where outcome = 'rejected'"
    )
    assert kept == [
        ("data.cases.total.value: expected integer or null, got text (2021-01-02)", len(encode(broken)), None)
    ]


def test_a_mended_document_loads(warehouse: Warehouse) -> None:
    broken = state_history("CA", days(2))
    del broken["data"][0]["cases"]
    warehouse.publish(CALIFORNIA, broken)
    assert warehouse.load().exit_code == 5
    assert warehouse.history(days(2)).exit_code == 0
    assert warehouse.rows("select count(*) from public.cases_fact") == [(2,)]


def test_a_missing_history_is_a_failure(warehouse: Warehouse) -> None:
    summary = warehouse.load()
    assert (counted(summary), summary.exit_code, summary.status) == ({"failed": 1}, 3, "failed")
    assert summary.failed[0].reason == "not found (404)"


def test_a_run_that_takes_too_long_asks_for_nothing_more(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "RUN_SECONDS", -1)
    summary = warehouse.history(days(1))
    assert summary.exit_code == 3
    assert summary.failed[0].reason == "not asked for: the run took more than 3600 s"


def test_what_is_no_json_is_a_failure_and_not_kept(warehouse: Warehouse) -> None:
    warehouse.publish(CALIFORNIA, b"<html>gone</html>")
    summary = warehouse.load()
    assert (counted(summary), summary.exit_code) == ({"failed": 1}, 3)
    assert warehouse.rows("select count(*) from ops.document") == [(0,)]


def test_a_new_path_loads_and_is_in_the_summary(warehouse: Warehouse) -> None:
    content = state_history("CA", days(2))
    content["data"][0]["cases"]["reinfections"] = {"value": 1}
    warehouse.publish(CALIFORNIA, content)
    summary = warehouse.load()
    assert (summary.exit_code, summary.as_json()["drift"]) == (
        0,
        [
            {
                "id": 1,
                "endpoint_kind": "state",
                "locations": ["CA"],
                "severity": "notice",
                "signal": "shape",
                "change": "path added",
                "path": "data.cases.reinfections",
                "before": None,
                "after": "object",
            }
        ],
    )


@pytest.mark.parametrize("selection", ["xx", "us,xx", "", ","])
def test_a_location_that_is_unknown_or_none_is_a_usage_error(warehouse: Warehouse, selection: str) -> None:
    with pytest.raises(UsageError, match="--locations"):
        warehouse.load(locations=selection)


def test_groups_of_locations_may_be_mixed_with_codes(warehouse: Warehouse) -> None:
    assert [warehouse.load(locations=each).requested for each in ("all", "states", "us", "US, ca", "states,us")] == [
        57, 56, 1, 2, 57,
    ]  # fmt: skip


# --- locations' metadata ---


def states_json(population: int) -> Json:
    state = {
        "name": "California", "state_code": "CA", "census": {"population": population},
        "sites": [{"url": "https://example.org/[…]", "label": "primary"}],
    }  # fmt: skip
    return document([state])


def test_a_load_without_dates_updates_the_locations_with_their_provenance(warehouse: Warehouse) -> None:
    warehouse.publish("states.json", states_json(40_000_000))
    warehouse.history(days(1))
    query = "select population, sites from public.location_dimension where location_code = 'CA'"
    assert warehouse.rows(query) == [(40_000_000, [{"url": "https://example.org/[…]", "label": "primary"}])]
    recorded = "select address, location_id from ops.document_load where address = 'states.json'"
    assert warehouse.rows(recorded) == [("states.json", None)]
    before = warehouse.rows("select ctid::text, xmin::text, * from public.location_dimension")
    warehouse.load()
    assert warehouse.rows("select ctid::text, xmin::text, * from public.location_dimension") == before
    assert len(warehouse.rows(recorded)) == 1


@pytest.mark.parametrize("content", [b"<html>", {"data": [{"name": 1}]}, b'{"data":' + b"[" * 100_000])
def test_trouble_with_the_metadata_is_a_warning_only(warehouse: Warehouse, content: Any) -> None:
    warehouse.publish("states.json", content)
    assert warehouse.history(days(1)).exit_code == 0


def test_a_load_of_days_leaves_the_metadata_alone(warehouse: Warehouse) -> None:
    warehouse.publish("states.json", states_json(40_000_000))
    warehouse.history(days(1), first_day=date(2021, 1, 1))
    assert warehouse.rows("select population from public.location_dimension where location_code = 'CA'") == [
        (39283497,)
    ]


# --- dry run ---


def test_a_dry_run_counts_everything_and_writes_nothing(warehouse: Warehouse) -> None:
    warehouse.history(days(5))
    everything = {
        table: warehouse.rows(f"select * from {table} order by 1, 2")
        for table in (
            *(f"public.{table}" for table in TABLES),
            "ops.run",
            "ops.document",
            "ops.document_load",
            "public.location_dimension",
        )
    }
    warehouse.publish("states.json", states_json(1))
    summary = warehouse.history(days(9, cases__confirmed=1), dry_run=True)
    assert (summary.rows["cases_fact"].inserted, summary.rows["cases_fact"].updated) == (4, 5)
    for table, rows in everything.items():
        assert warehouse.rows(f"select * from {table} order by 1, 2") == rows


def test_a_dry_run_keeps_its_documents_apart(warehouse: Warehouse) -> None:
    warehouse.publish(CALIFORNIA, state_history("CA", days(2)))
    warehouse.publish("states/ny/daily.json", state_history("NY", days(3)))
    summary = warehouse.load(dry_run=True, locations="ca,ny")
    assert summary.rows["cases_fact"].inserted == 5


def test_a_dry_run_without_a_schema_says_what_to_run(empty_dsn: str, tmp_path: Path) -> None:
    from etl import config
    from etl.database import connection as database

    with database.connect(config.Database(empty_dsn)) as opened, pytest.raises(UsageError, match="init-db"):
        run(opened, LoadOptions(source=str(tmp_path), dry_run=True), {})


# --- runs ---


def test_a_run_is_recorded_with_its_summary(warehouse: Warehouse) -> None:
    summary = warehouse.history(days(1))
    ((run_id, status, exit_code, kept, ended),) = warehouse.rows(
        "select run_id, status, exit_code, summary, ended_at >= started_at from ops.run"
    )
    assert (run_id, status, exit_code, ended) == (summary.run_id, "ok", 0, True)
    assert {key: kept[key] for key in kept if key != "seconds"} == {
        key: value for key, value in summary.as_json().items() if key != "seconds"
    }


def test_a_run_left_open_by_a_killed_process_is_closed_as_interrupted(warehouse: Warehouse) -> None:
    warehouse.history(days(1))
    with warehouse.conn.cursor() as cursor:
        cursor.execute("update ops.run set status = 'running', ended_at = null")
    summary = warehouse.load()
    assert warehouse.rows("select status from ops.run order by run_id") == [("interrupted",), ("ok",)]
    assert "run 1 was broken off: it was killed, or its machine stopped" in as_lines(summary)
    assert (summary.exit_code, summary.as_json()["broken_off"]) == (0, [1])
    assert warehouse.load().broken_off == []


def test_a_document_that_the_database_refuses_leaves_nothing(warehouse: Warehouse) -> None:
    with warehouse.conn.cursor() as cursor:
        cursor.execute("alter table public.death_fact add constraint no_more check (false)")
    assert "no_more" in warehouse.history(days(1)).failed[0].reason
    assert warehouse.rows("select status, exit_code from ops.run") == [("failed", 1)]
    for table in (*(f"public.{table}" for table in TABLES), "ops.document", "ops.document_load"):
        assert warehouse.rows(f"select count(*) from {table}") == [(0,)], table


def test_times_of_knowledge_increase_even_when_the_clock_does_not(warehouse: Warehouse) -> None:
    warehouse.history(days(1))
    with warehouse.conn.cursor() as cursor:
        cursor.execute("update ops.document_load set known_at = known_at + interval '1 hour'")
    warehouse.history(days(2))
    first, second = (row[0] for row in warehouse.rows("select known_at from ops.document_load order by 1"))
    assert isinstance(first, datetime)
    assert (second - first).total_seconds() == 1e-6


def test_another_source_is_told_from_a_revision(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.history(days(2))
    other = Warehouse(warehouse.conn, tmp_path / "other")
    other.history(days(2, cases__confirmed=1))
    assert other.rows("select distinct change from history.cases_fact_revision") == [("source_changed",)]


# --- COPY ---


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
        | st.sampled_from(["None", "\\N", "\\None", "\\", "a\tb", "\r\n", "\\."])
        | st.none(),
        min_size=1,
    )
)
def test_any_text_survives_copy(conn: Connection, texts: list[str | None]) -> None:
    import io

    staged = render(REPORT_TABLE, ("n", "t"), list(enumerate(texts)))
    with transaction(conn, rollback=True), conn.cursor() as cursor:
        cursor.execute("create temporary table copied (n int, t text)")
        cursor.copy_expert("copy copied (n, t) from stdin with (null 'None')", io.StringIO(staged.text))
        cursor.execute("select t from copied order by n")
        assert [text for (text,) in cursor.fetchall()] == texts


@pytest.mark.parametrize(
    "instant",
    [
        "0002-01-01T00:00:00+15:59", "9998-12-31T23:59:59.999999-15:59", "2021-03-07T04:59:00.123457-05:00",
        "1600-02-29T00:00:00Z",
    ],
)  # fmt: skip
def test_any_time_that_loads_is_read_back(warehouse: Warehouse, instant: str) -> None:
    warehouse.publish(CALIFORNIA, state_history("CA", {"2021-01-01": {"meta__updated": instant}}, instant))
    assert counted(warehouse.load()) == {"loaded": 1}
    (stored,) = warehouse.rows("select updated_at, source_built_at from public.cases_dimension")
    assert stored == (datetime.fromisoformat(instant), datetime.fromisoformat(instant))


def test_outcomes_add_up_to_what_was_requested(warehouse: Warehouse) -> None:
    warehouse.publish(CALIFORNIA, state_history("CA", days(1)))
    warehouse.publish("states/ny/daily.json", b"<html>")
    summary = warehouse.load(locations="states")
    assert sum(summary.documents.values()) == summary.requested == 56
    assert summary.documents[Outcome.FAILED] == 55
    assert replace(summary).as_json()["documents"]["requested"] == 56


def test_keys_are_part_of_every_merge() -> None:
    assert key_columns(DETAIL_TABLE) == ("report_date", "test_id")
    assert {key_columns(table) for table in FACTS if table != DETAIL_TABLE} == {("report_date",)}


@pytest.mark.parametrize(
    "bounds",
    [
        {"first_day": date(2022, 1, 1), "last_day": date(2022, 1, 31)},
        {"last_day": date(2019, 1, 1)},
        {"first_day": date(2035, 1, 1)},
    ],
)
def test_a_range_of_which_nothing_is_published_exits_4_each_time(
    warehouse: Warehouse, bounds: dict[str, date]
) -> None:
    warehouse.publish(CALIFORNIA, state_history("CA", days(3)))
    assert [warehouse.load(**bounds).exit_code for _ in range(2)] == [4, 4]
    warehouse.load()
    assert warehouse.load(**bounds).exit_code == 4
    assert warehouse.load(first_day=date(2021, 1, 3)).exit_code == 0
    for table in ("run", "document_load"):
        assert warehouse.rows(f"select count(*) from ops.{table} where first_day > last_day") == [(0,)]
