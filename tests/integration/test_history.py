"""What was believed when: revisions, views of the past, replay, pruned bytes; any sequence of documents."""

import hashlib
import json
from copy import deepcopy
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl import config
from etl.database import connection as database
from etl.database.connection import Connection, fetch_all
from etl.errors import UsageError
from etl.run import replay
from etl.run.pipeline import LoadOptions, run
from etl.run.prune import prune
from etl.run.summary import Summary
from etl.transform.declaration import REPORT_TABLE, STATE, TABLES
from tests.conftest import copied
from tests.documents import Json, document, encode, report, state_history
from tests.integration.test_load import days
from tests.warehouse import Warehouse, counted

ADDRESS = "states/ca/daily.json"
KEYS = ("location_id", "report_date", "cases_id", "test_id")
STAMPS = ("known_from", "known_to", "run_id", "document_id", "source_built_at", "superseded_by_run_id")


@pytest.fixture
def warehouse(conn: Connection, tmp_path: Path) -> Warehouse:
    return Warehouse(conn, tmp_path)


def replay_all(warehouse: Warehouse, selection: str = "all") -> Summary:
    return replay.replay(warehouse.conn, selection)


def checksums(warehouse: Warehouse) -> dict[str, str]:
    """A checksum of every row of the star and its history, times and all."""
    found = {}
    for table in TABLES:
        for name in (f"public.{table}", f"history.{table}_revision"):
            rows = warehouse.rows(f"select t::text from {name} as t order by 1")
            found[name] = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    return found


# --- views of the past ---


def test_the_past_can_be_asked_for(warehouse: Warehouse) -> None:
    warehouse.history(days(3))
    (before,) = warehouse.rows("select max(known_at) from ops.document_load")[0]
    warehouse.history(days(4) | {"2021-01-02": {"cases__total": 21, "outcomes__death__total": 5}})
    then = "select total_cases, total_deaths from mart.daily_summary_as_of(%s) order by report_date"
    assert fetch_all(warehouse.conn, then, (before,)) == [(10, None), (20, None), (30, None)]
    assert fetch_all(warehouse.conn, then, ("infinity",)) == [(10, None), (21, 5), (30, None), (40, None)]
    assert fetch_all(warehouse.conn, then, ("-infinity",)) == []
    now = warehouse.rows("select total_cases, total_deaths from mart.daily_summary order by report_date")
    assert now == fetch_all(warehouse.conn, then, ("infinity",))


def test_each_changed_number_is_a_row_of_the_revision_history(warehouse: Warehouse) -> None:
    history = days(20, tests__pcr__people__total=7)
    first = warehouse.history(history)
    second = warehouse.history(
        history | {"2021-01-02": {"cases__total": 21, "cases__confirmed": 8, "tests__pcr__people__total": 9}}
    )
    third = warehouse.history({day: values for day, values in history.items() if day != "2021-01-03"})
    columns = (
        "report_date::text, fact, test_type, measure, old_value::int, new_value::int, kind, run_id,"
        " known_from::date - report_date = lag_days"
    )
    found = warehouse.rows(f"select {columns} from mart.revision_history order by run_id, report_date, fact, measure")
    assert found == [
        ("2021-01-02", "cases_fact", None, "confirmed_cases", None, 8, "revised", second.run_id, True),
        ("2021-01-02", "cases_fact", None, "total_cases", 20, 21, "revised", second.run_id, True),
        ("2021-01-02", "testing_detail_fact", "pcr", "value", 7, 9, "revised", second.run_id, True),
        ("2021-01-02", "cases_fact", None, "confirmed_cases", 8, None, "revised", third.run_id, True),
        ("2021-01-02", "cases_fact", None, "total_cases", 21, 20, "revised", third.run_id, True),
        ("2021-01-02", "testing_detail_fact", "pcr", "value", 9, 7, "revised", third.run_id, True),
        ("2021-01-03", "cases_fact", None, "total_cases", 30, None, "withdrawn", third.run_id, True),
        ("2021-01-03", "testing_detail_fact", "pcr", "value", 7, None, "withdrawn", third.run_id, True),
    ]
    assert first.revisions == 0


def test_every_tracked_table_can_be_asked_for_its_past(conn: Connection) -> None:
    for table in TABLES:
        current = fetch_all(conn, f"select * from history.{table}_as_of('infinity')")
        assert current == []


# --- replay ---


def revise(warehouse: Warehouse) -> None:
    """A history with a revision, a withdrawal, a return, a range, a single day and another source."""
    warehouse.history(days(20, tests__pcr__people__total=7))
    warehouse.history(days(20) | {"2021-01-02": {"cases__total": 21}})
    without = days(20)
    del without["2021-01-07"]
    warehouse.history(without)
    warehouse.history(days(21, cases__confirmed=1), first_day=date(2021, 1, 5), last_day=date(2021, 1, 12))
    single = document(report(STATE, "2021-01-20", "CA", cases__total=777))
    warehouse.publish("states/ca/2021-01-20.json", single)
    warehouse.load(day=date(2021, 1, 20))
    other = Warehouse(warehouse.conn, warehouse.folder / "other")
    other.history(days(22))


def test_a_replay_ends_with_identical_tables_times_included(warehouse: Warehouse) -> None:
    revise(warehouse)
    before = checksums(warehouse)
    assert len(set(before.values())) > 6
    done = replay_all(warehouse)
    assert (counted(done), done.exit_code) == ({"loaded": 6}, 0)
    assert checksums(warehouse) == before


def test_a_replay_mends_what_was_damaged_and_leaves_other_locations_alone(warehouse: Warehouse) -> None:
    warehouse.publish("states/ny/daily.json", state_history("NY", days(5)))
    warehouse.load(locations="ny")
    revise(warehouse)
    before = checksums(warehouse)
    with warehouse.conn.cursor() as cursor:
        cursor.execute(
            "delete from public.death_fact; update public.cases_fact set total_cases = 0 where location_id = 6"
        )
    assert counted(replay_all(warehouse, "ca")) == {"loaded": 6}
    assert warehouse.rows("select count(*) from public.death_fact where location_id = 36") == [(0,)]
    replay_all(warehouse)
    assert checksums(warehouse) == before


def test_a_replay_of_the_whole_snapshot_is_identical(loaded_copy: str, tmp_path: Path) -> None:
    with database.connect(config.Database(loaded_copy)) as conn:
        loaded = Warehouse(conn, tmp_path)
        before = checksums(loaded)
        assert counted(replay_all(loaded)) == {"loaded": 57}
        assert checksums(loaded) == before


def test_a_reader_sees_the_old_star_until_the_replay_commits(warehouse: Warehouse, dsn: str) -> None:
    warehouse.history(days(5))
    seen: list[Any] = []
    with database.connect(config.Database(dsn)) as reader:

        def look(*_: object) -> None:
            seen.extend(fetch_all(reader, "select count(*) from public.cases_fact"))

        replay.replay(warehouse.conn, "all", progress=look)
    assert seen == [(5,)]


def test_a_reader_s_long_transaction_neither_stops_a_load_nor_sees_it(warehouse: Warehouse, dsn: str) -> None:
    warehouse.history(days(5))
    with database.connect(config.Database(dsn)) as reader, database.transaction(reader):
        count = "select count(*), sum(total_cases) from public.cases_fact"
        with reader.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read")
        before = fetch_all(reader, count)
        assert warehouse.history(days(9, cases__confirmed=1)).exit_code == 0
        assert fetch_all(reader, count) == before
    assert warehouse.rows("select count(*) from public.cases_fact") == [(9,)]


def test_the_order_of_locations_does_not_matter(warehouse: Warehouse, server_dsn: str, schema_template: str) -> None:
    for state in ("ca", "ny", "wa"):
        warehouse.publish(f"states/{state}/daily.json", state_history(state.upper(), days(4)))
    with copied(server_dsn, schema_template) as dsn, database.connect(config.Database(dsn)) as other:
        for selection in ("wa", "ca", "ny"):
            run(other, LoadOptions(source=str(warehouse.folder), locations=selection), {})
        warehouse.load(locations="ca,ny,wa")
        assert star(warehouse.conn) == star(other)


def test_a_rebuilt_schema_is_loaded_anew(warehouse: Warehouse) -> None:
    warehouse.history(days(4))
    before = star(warehouse.conn)
    with warehouse.conn.cursor() as cursor:
        cursor.execute("drop schema ops, history, mart, public cascade; create schema public")
    assert warehouse.load().rows["cases_fact"].inserted == 4
    assert star(warehouse.conn) == before


def test_pruning_drops_old_bytes_and_says_what_a_replay_loses(warehouse: Warehouse) -> None:
    revise(warehouse)
    assert prune(warehouse.conn, 1).documents == 0
    with warehouse.conn.cursor() as cursor:
        cursor.execute("update ops.document_load set known_at = known_at - interval '2 days'")
    pruned = prune(warehouse.conn, 1)
    assert (pruned.documents, list(pruned.lost), pruned.size_bytes > 0) == (3, ["CA"], True)
    kept = warehouse.rows(
        "select address from ops.document_load join ops.document using (document_id) where body is not null"
    )
    # The first history brought the field definitions.
    assert sorted(kept) == [("states/ca/2021-01-20.json",), (ADDRESS,), (ADDRESS,)]
    with pytest.raises(UsageError, match="the bytes of 3 documents of CA were pruned"):
        replay_all(warehouse)


# --- any sequence of documents ---

DAYS = [f"2021-01-0{day}" for day in range(1, 5)]
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "cases__total": st.integers(0, 3),
        "outcomes__death__total": st.none() | st.integers(0, 3),
        "tests__pcr__people__total": st.none() | st.integers(0, 3),
        "tests__antigen__people__positive__calculated__seven_day_average": st.none() | st.integers(0, 2),
        "meta__data_quality_grade": st.none() | st.sampled_from(["A", "None"]),
    },
)
HISTORY = st.dictionaries(st.sampled_from(DAYS), VALUES, min_size=1)
STEP = st.tuples(st.just("history"), HISTORY) | st.tuples(st.sampled_from(DAYS), VALUES)


def star(conn: Connection, at: str | datetime = "infinity") -> dict[str, list[Any]]:
    """The values of every table as believed at a time, without the times and numbers of loads."""
    found = {}
    for table in TABLES:
        with conn.cursor() as cursor:
            cursor.execute(f"select * from history.{table}_as_of(%s)", (at,))
            assert cursor.description
            names = [column.name for column in cursor.description]
            keep = [index for index, name in enumerate(names) if name not in STAMPS]
            rows = cursor.fetchall()
        found[table] = sorted([tuple(row[index] for index in keep) for row in rows], key=repr)
    return found


def digests(conn: Connection) -> list[tuple[Any, ...]]:
    return fetch_all(conn, "select * from ops.report_digest order by 1, 2")


def apply(state: dict[str, Json], step: tuple[str, Any]) -> dict[str, Json]:
    """What should be known after a step: a history says everything, a single day its own."""
    kind, said = step
    return deepcopy(said) if kind == "history" else state | {kind: said}


@settings(
    max_examples=settings().max_examples // 4,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(STEP, min_size=1, max_size=6))
def test_any_sequence_gives_the_last_state_and_each_state_as_of_then(
    server_dsn: str, schema_template: str, tmp_path: Path, steps: list[tuple[str, Any]]
) -> None:
    with copied(server_dsn, schema_template) as dsn, copied(server_dsn, schema_template) as fresh_dsn:
        with database.connect(config.Database(dsn)) as conn, database.connect(config.Database(fresh_dsn)) as fresh:
            warehouse = Warehouse(conn, tmp_path / "steps")
            state: dict[str, Json] = {}
            believed: list[tuple[datetime, dict[str, list[Any]]]] = []
            for number, step in enumerate(steps):
                state = apply(state, step)
                built = f"2021-05-03T00:00:{number:02}Z"
                if step[0] == "history":
                    warehouse.publish(ADDRESS, state_history("CA", step[1], built))
                    summary = warehouse.load(allow_withdrawals=True)
                else:
                    single = report(STATE, step[0], "CA", **step[1])
                    warehouse.publish(f"states/ca/{step[0]}.json", document(single, built))
                    summary = warehouse.load(day=date.fromisoformat(step[0]))
                assert summary.exit_code == 0
                once = Warehouse(fresh, tmp_path / "once")
                with fresh.cursor() as cursor:
                    cursor.execute(
                        "truncate ops.run, ops.document, ops.document_load, ops.report_digest,"
                        " public.cases_dimension cascade"
                    )
                once.publish(ADDRESS, encode(state_history("CA", state)))
                run(fresh, LoadOptions(source=str(once.folder), locations="ca"), {})
                assert star(conn) == star(fresh)
                assert digests(conn) == digests(fresh)
                (at,) = fetch_all(conn, "select clock_timestamp()")[0]
                believed.append((at, star(conn)))
            for at, then in believed:
                assert star(conn, at) == then
            before = checksums(warehouse)
            replay_all(warehouse)
            assert (checksums(warehouse), digests(conn)) == (before, [])
            overlaps = [
                fetch_all(
                    conn,
                    f"select count(*) from history.{table}_revision as one join history.{table}_revision as other"
                    f" using ({', '.join(key for key in KEYS[:2])})"
                    " where one.ctid <> other.ctid and one.known_from < other.known_to"
                    " and other.known_from < one.known_to",
                )
                for table in TABLES
                if table not in ("testing_detail_fact", REPORT_TABLE)
            ]
            assert overlaps == [[(0,)]] * 4
