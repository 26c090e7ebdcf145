"""The failure of one document is its own: the others load, the run says what happened, nothing half done remains."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import psycopg2
import pytest

from etl.database.connection import fetch_all
from etl.errors import DatabaseError, ExitCode, SourceError, UsageError
from etl.run import replay
from etl.run.pipeline import LoadOptions, run
from etl.transform import contract
from etl.transform.news import Known
from tests.documents import plant, state_history
from tests.warehouse import CALIFORNIA, Warehouse, counted

NEW_YORK = "states/ny/daily.json"
DAYS = {"2021-01-01": {"cases__total": 1}, "2021-01-02": {"cases__total": 2}}


def publish(warehouse: Warehouse, **values: Any) -> None:
    """Publishes two days of California and New York."""
    for address, code in ((CALIFORNIA, "CA"), (NEW_YORK, "NY")):
        warehouse.publish(address, state_history(code, {day: known | values for day, known in DAYS.items()}))


@contextmanager
def failing_inserts(warehouse: Warehouse, location_id: int, state: str) -> Iterator[None]:
    """The database refuses deaths of one location, with an error of the given SQLSTATE."""
    with warehouse.conn.cursor() as cursor:
        cursor.execute(
            "create function public.refuse() returns trigger language plpgsql as $$ begin"
            f" if new.location_id = {location_id} then raise exception 'refused' using errcode = '{state}'; end if;"
            " return new; end $$;"
            "create trigger refuse before insert on public.death_fact for each row execute function public.refuse()"
        )
        yield
        cursor.execute("drop trigger refuse on public.death_fact; drop function public.refuse()")


def loaded(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.rows("select location_id, count(*) from public.cases_fact group by 1 order by 1")


@pytest.mark.parametrize(
    ("state", "code"), [("40P01", ExitCode.DATABASE), ("55P03", ExitCode.DATABASE), ("22012", ExitCode.BUG)]
)
def test_a_document_that_the_database_refuses_fails_alone(warehouse: Warehouse, state: str, code: ExitCode) -> None:
    publish(warehouse)
    with failing_inserts(warehouse, 6, state):
        done = warehouse.load(locations="ca,ny")
    assert (counted(done), done.exit_code, done.status) == ({"failed": 1, "loaded": 1}, code, "partial")
    assert f"({state}): refused" in done.failed[0].reason
    assert loaded(warehouse) == [(36, 2)]
    assert counted(warehouse.load(locations="ca,ny")) == {"loaded": 1, "unchanged": 1}


def test_a_bug_in_one_document_is_its_own_and_its_traceback_in_the_log(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def decode(body: bytes, expected: contract.Expected, known: Known) -> contract.Document:
        if expected.location_code == "CA":
            raise ZeroDivisionError("oh")
        return real(body, expected, known)

    real = contract.decode
    publish(warehouse)
    monkeypatch.setattr(contract, "decode", decode)
    done = warehouse.load(locations="ca,ny")
    assert (counted(done), done.exit_code) == ({"failed": 1, "loaded": 1}, ExitCode.BUG)
    assert done.failed[0].reason == "a bug in this program, ZeroDivisionError: the log has more"
    (record,) = [record for record in caplog.records if record.exc_info]
    assert (record.getMessage(), record.address) == (  # type: ignore[attr-defined]
        "document failed by a bug, please report it", CALIFORNIA,
    )  # fmt: skip
    assert loaded(warehouse) == [(36, 2)]


def test_a_lost_connection_ends_the_run(warehouse: Warehouse) -> None:
    publish(warehouse)
    with failing_inserts(warehouse, 6, "57P01"), pytest.raises(DatabaseError, match=r"the database failed \(57P01\)"):
        warehouse.load(locations="ca,ny")
    assert warehouse.rows("select status, exit_code from ops.run") == [("failed", 6)]


def test_a_missing_right_ends_the_run_and_is_for_a_person(warehouse: Warehouse) -> None:
    publish(warehouse)
    with failing_inserts(warehouse, 6, "42501"), pytest.raises(UsageError):
        warehouse.load(locations="ca,ny")
    assert warehouse.rows("select status, exit_code from ops.run") == [("failed", 2)]


# --- runs tell the truth ---


def test_a_source_that_never_answers_leaves_a_run_with_the_source_as_asked(warehouse: Warehouse) -> None:
    with pytest.raises(SourceError):
        warehouse.load(day="latest")
    with pytest.raises(UsageError):
        run(warehouse.conn, LoadOptions(source="/nowhere", first_day=date(2021, 1, 2)), {})
    assert warehouse.rows(
        "select command, source, first_day::text, status, exit_code from ops.run order by run_id"
    ) == [
        ("load", str(warehouse.folder), "2020-01-01", "failed", 3),
        ("load", "/nowhere", "2021-01-02", "failed", 2),
    ]  # fmt: skip


def test_a_replay_is_a_run_like_others(warehouse: Warehouse) -> None:
    publish(warehouse)
    warehouse.load(locations="ca,ny")
    done = replay.replay(warehouse.conn, "ca")
    assert (counted(done), done.requested, done.exit_code) == ({"loaded": 1}, 1, 0)
    assert warehouse.rows(
        "select command, source, locations, status, exit_code, summary -> 'documents' -> 'loaded' from ops.run"
        " order by run_id desc limit 1"
    ) == [("replay", "stored", "ca", "ok", 0, 1)]  # fmt: skip


def test_drift_of_a_document_that_was_rolled_back_is_recorded_with_the_next(warehouse: Warehouse) -> None:
    def suspect(code: str) -> Any:
        content = state_history(code, DAYS)
        for row in content["data"]:
            plant(row, "cases.suspected", 1)
        return content

    warehouse.publish(CALIFORNIA, suspect("CA"))
    warehouse.publish(NEW_YORK, suspect("NY"))
    with failing_inserts(warehouse, 6, "22012"):
        done = warehouse.load(locations="ca,ny")
    assert [(change.path, change.locations) for change in done.drift] == [("data.cases.suspected", ["NY"])]
    assert warehouse.rows("select path, locations from ops.drift") == [("data.cases.suspected", ["NY"])]


def test_a_dry_run_tells_each_change_once_and_leaves_nothing(warehouse: Warehouse) -> None:
    for address, code in ((CALIFORNIA, "CA"), (NEW_YORK, "NY")):
        content = state_history(code, DAYS)
        for row in content["data"]:
            plant(row, "cases.suspected", 1)
        warehouse.publish(address, content)
    done = warehouse.load(locations="ca,ny", dry_run=True)
    assert [(change.path, change.locations) for change in done.drift] == [("data.cases.suspected", ["CA", "NY"])]
    assert (done.rows["cases_fact"].inserted, done.as_json()["run_id"]) == (4, None)
    assert warehouse.rows("select count(*) from ops.drift") == [(0,)]
    assert loaded(warehouse) == warehouse.rows("select * from ops.run") == []


def test_rejected_documents_loaded_together_leave_one_finding(warehouse: Warehouse) -> None:
    doubtful = {"2021-01-01": {"cases__total": 20_000_000}, "2021-01-02": {"cases__total": 2}}
    for death in ("x", "yy"):
        content = state_history("CA", doubtful)
        plant(content["data"][0], "outcomes.death.total.value", death)
        warehouse.publish(CALIFORNIA, content)
        warehouse.load()
    from etl.load import rules

    rules.skip(warehouse.conn, "ca", [date(2021, 1, 2)], "words")
    done = replay.replay_rejected(warehouse.conn, None)
    assert (counted(done), len(done.findings)) == ({"loaded": 2}, 1)
    assert warehouse.rows("select report_date::text, value, ended_at from ops.finding") == [
        ("2021-01-01", 20_000_000, None)
    ]


def test_one_day_has_one_tombstone_and_undoing_it_says_what_still_holds(warehouse: Warehouse) -> None:
    from etl.load import rules

    day = date(2021, 1, 2)
    (first,) = rules.skip(warehouse.conn, "ca", [day], "a word")
    assert rules.skip(warehouse.conn, "ca", [day], "once more") == [first]
    (whole,) = rules.skip(warehouse.conn, "ca", [], "all of it")
    assert rules.undo(warehouse.conn, first.tombstone_id)[1] == [whole]
    assert rules.undo(warehouse.conn, whole.tombstone_id)[1] == []
    with pytest.raises(UsageError, match="no tombstone 1 holds"):
        rules.undo(warehouse.conn, first.tombstone_id)


# --- replay under other rules ---


def everything(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """All that is recorded; digests, which a replay takes away, only save time."""
    tables = warehouse.rows(
        "select table_schema || '.' || table_name from information_schema.tables"
        " where table_schema in ('public', 'history', 'ops') and table_name not in ('run', 'date_dimension', 'report_digest')"
        " and table_type = 'BASE TABLE'"
    )
    return {table: warehouse.rows(f"select t::text from {table} as t order by 1") for (table,) in tables}


def test_a_replay_under_a_stricter_rule_changes_nothing_nor_does_the_next_load(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(warehouse)
    warehouse.load(locations="ca,ny")
    before = everything(warehouse)
    monkeypatch.setattr(contract, "LAST_DAY", date(2021, 1, 1))
    done = replay.replay(warehouse.conn, "all")
    assert (counted(done), done.exit_code, done.status) == ({"rejected": 2}, 5, "failed")
    assert done.rejected[0].reason.startswith("data.date: 2021-01-02 is outside")
    assert everything(warehouse) == before
    assert counted(warehouse.load(locations="ca,ny")) == {"unchanged": 2}
    assert everything(warehouse) == before


def test_a_replay_that_is_allowed_to_refuse_leaves_the_event_out_until_a_later_one_takes_it_again(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(warehouse)
    warehouse.load(locations="ny")
    warehouse.publish(CALIFORNIA, state_history("CA", {"2021-01-01": {"cases__total": 5}}))
    warehouse.load()
    warehouse.publish(CALIFORNIA, state_history("CA", DAYS))
    warehouse.load()
    before = everything(warehouse)
    with monkeypatch.context() as stricter:
        stricter.setattr(contract, "LAST_DAY", date(2021, 1, 1))
        done = replay.replay(warehouse.conn, "ca", allow_rejected=True)
        assert (counted(done), done.exit_code) == ({"loaded": 1, "rejected": 1}, 5)
        assert warehouse.rows(
            "select report_date::text, total_cases from public.cases_fact where location_id = 6"
        ) == [("2021-01-01", 5)]
        assert warehouse.rows(
            "select outcome, left(reason, 21) from ops.document_load where location_id = 6 order by document_load_id"
        ) == [("loaded", None), ("refused", "data.date: 2021-01-02")]
        # It stands for the data no more: the document is read again, and rejected.
        assert counted(warehouse.load()) == {"rejected": 1}
        events = fetch_all(warehouse.conn, "delete from ops.document_load where outcome = 'rejected' returning 1")
        assert len(events) == 1
    assert (replay.replay(warehouse.conn, "ca").exit_code, everything(warehouse)) == (0, before)


def test_a_load_sees_through_psycopg2_errors_of_a_closed_connection(warehouse: Warehouse) -> None:
    warehouse.conn.close()
    with pytest.raises(DatabaseError, match="the connection to the database was lost"):
        fetch_all(warehouse.conn, "select 1")
    assert issubclass(psycopg2.InterfaceError, psycopg2.Error)
