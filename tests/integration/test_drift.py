"""Drift in a real database: each change once, from its first sight to its end; what accepting it means."""

import gzip
from copy import deepcopy
from datetime import date
from typing import Any

import pytest

from etl.errors import UsageError
from etl.load import drift_record, events
from etl.load.definitions import column_fed
from etl.run import replay
from etl.run.summary import Summary
from etl.run.wording import advice
from etl.transform.declaration import NATION
from tests.documents import DEFINITIONS, Json, document, plant, pluck, report, state_history
from tests.warehouse import CALIFORNIA, Warehouse, counted

DAYS = {"2021-01-01": {"cases__total": 1, "outcomes__death__total": 4}, "2021-01-02": {"cases__total": 2}}
NEW_YORK = "states/ny/daily.json"


@pytest.fixture
def publisher(warehouse: Warehouse) -> "Publisher":
    return Publisher(warehouse)


class Publisher:
    """Publishes histories of California and New York, each build later than the last."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.minute = 0
        self.values = 0

    def load(self, california: Any = None, new_york: Any = None, **meta: Any) -> Summary:
        """Loads both after a change made to each report of one or both, and to the meta."""
        self.minute += 1
        self.values += 1
        for address, code, change in ((CALIFORNIA, "CA", california), (NEW_YORK, "NY", new_york)):
            content = state_history(code, deepcopy(DAYS), f"2021-05-03T12:{self.minute:02}:00Z")
            content["meta"] |= meta
            for row in content["data"]:
                # Something is new in each build, so that it is a document with news.
                plant(row, "tests.pcr.pending.value", self.values)
                if change:
                    change(row)
            self.warehouse.publish(address, content)
        return self.warehouse.load(locations="ca,ny")

    def drift(self) -> list[tuple[Any, ...]]:
        return self.warehouse.rows(
            "select drift_id, change, path, last_location, first_run_id, last_run_id, accepted_at is not null,"
            " ended_at is not null from ops.drift order by 1"
        )


def add_suspected(row: Json) -> None:
    plant(row, "cases.suspected", {"value": 1})


def drop_deaths(row: Json) -> None:
    pluck(row, "outcomes.death.total")


def test_a_change_is_one_event_however_many_documents_and_runs_show_it(publisher: Publisher) -> None:
    publisher.load()
    assert len(publisher.load(add_suspected, add_suspected).drift) == 1
    assert publisher.load(add_suspected, add_suspected).drift == []
    assert publisher.drift() == [(1, "path added", "data.cases.suspected", "NY", 2, 3, False, False)]


def test_a_change_ends_when_the_location_that_showed_it_last_does_not_any_more(publisher: Publisher) -> None:
    publisher.load()
    publisher.load(add_suspected, add_suspected)
    publisher.load(None, add_suspected)
    assert publisher.drift() == [(1, "path added", "data.cases.suspected", "NY", 2, 3, False, False)]
    publisher.load(add_suspected, None)
    assert publisher.drift() == [(1, "path added", "data.cases.suspected", "CA", 2, 4, False, False)]
    publisher.load()
    assert publisher.drift() == [(1, "path added", "data.cases.suspected", "CA", 2, 4, False, True)]
    assert [each.drift_id for each in publisher.load(add_suspected).drift] == [2]


def test_what_was_accepted_stays_known_when_it_goes_and_comes_back(publisher: Publisher) -> None:
    publisher.load(add_suspected)
    assert drift_record.accept(publisher.warehouse.conn, 1, with_loss=False) == (
        "drift 1 accepted: path added: data.cases.suspected, now object; nothing else changes"
    )
    publisher.load()
    assert publisher.load(add_suspected).drift == []
    assert publisher.drift() == [(1, "path added", "data.cases.suspected", "CA", 1, 3, True, False)]


def test_an_older_build_ends_nothing(publisher: Publisher) -> None:
    publisher.load(add_suspected)
    publisher.warehouse.publish(CALIFORNIA, state_history("CA", deepcopy(DAYS), "2020-01-01T00:00:00Z"))
    publisher.warehouse.load(force=True)
    assert [row[-1] for row in publisher.drift()] == [False]


def test_a_dry_run_leaves_no_drift(publisher: Publisher) -> None:
    publisher.load()
    content = state_history("CA", deepcopy(DAYS), "2021-05-04T00:00:00Z")
    add_suspected(content["data"][0])
    publisher.warehouse.publish(CALIFORNIA, content)
    assert len(publisher.warehouse.load(dry_run=True).drift) == 1
    assert publisher.drift() == []


# --- definitions ---


def definition(**changes: Any) -> Json:
    return {"name": "Recovered", "field": "outcomes.recovered", "deprecated": False, "prior_names": []} | changes


def versions(publisher: Publisher) -> list[tuple[Any, ...]]:
    return publisher.warehouse.rows(
        "select name, path, deprecated, prior_names, feeds_column, first_seen_at < last_seen_at, is_current"
        " from public.field_definitions_dimension where path = 'outcomes.recovered' or path like 'outcomes.well%'"
        " order by field_definition_id"
    )


def test_a_changed_definition_closes_the_old_row_and_opens_a_new_one(publisher: Publisher) -> None:
    publisher.load(field_definitions=[*DEFINITIONS, definition()])
    publisher.load(field_definitions=[*DEFINITIONS, definition(deprecated=True)])
    publisher.load(
        field_definitions=[*DEFINITIONS, definition(field="outcomes.well", prior_names=["outcomes.recovered"])]
    )
    fed = "cases_fact.recovered"
    assert versions(publisher) == [
        ("Recovered", "outcomes.recovered", False, [], fed, True, False),
        ("Recovered", "outcomes.recovered", True, [], fed, True, False),
        ("Recovered", "outcomes.well", False, ["outcomes.recovered"], None, False, True),
    ]
    assert [row[1:3] for row in publisher.drift()] == [
        ("definition deprecated", "outcomes.recovered"),
        ("definition renamed", "outcomes.well"),
        ("definition restored", "outcomes.well"),
    ]
    traced = publisher.warehouse.rows(
        "select name, body from public.field_definitions_dimension join ops.document using (document_id)"
    )
    assert len(traced) == len(DEFINITIONS) + 3
    assert all(name.encode() in gzip.decompress(body) for name, body in traced)


def test_definitions_that_change_alone_are_noticed_and_traced_to_their_bytes(publisher: Publisher) -> None:
    publisher.load()
    publisher.values -= 1
    done = publisher.load(field_definitions=[*DEFINITIONS, definition()])
    assert (counted(done)["unchanged"], [change.change for change in done.drift]) == (2, ["definition added"])
    ((document_id, loads),) = publisher.warehouse.rows(
        "select document_id, (select count(*) from ops.document_load as load where load.document_id ="
        " definition.document_id) from public.field_definitions_dimension as definition where name = 'Recovered'"
    )
    assert loads == 0
    assert publisher.warehouse.rows(
        f"select body is not null from ops.document where document_id = {document_id}"
    ) == [(True,)]


def test_an_unchanged_document_in_a_new_file_leaves_no_bytes(publisher: Publisher) -> None:
    publisher.load()
    before = publisher.warehouse.rows("select count(*) from ops.document")
    publisher.values -= 1
    assert counted(publisher.load()) == {"unchanged": 2}
    assert publisher.warehouse.rows("select count(*) from ops.document") == before


def test_definitions_of_an_older_build_change_nothing(publisher: Publisher) -> None:
    publisher.load(field_definitions=[*DEFINITIONS, definition()])
    before = versions(publisher)
    publisher.warehouse.publish(CALIFORNIA, state_history("CA", {"2021-01-01": {}}, "2020-05-03T00:00:00Z"))
    assert publisher.warehouse.load(force=True, allow_withdrawals=True).drift == []
    assert versions(publisher) == before


def test_documents_of_one_build_that_disagree_take_nothing_from_each_other(publisher: Publisher) -> None:
    publisher.load()
    different = [*DEFINITIONS[1:], definition()]
    found = []
    for minute in ("00", "00", "01"):
        build_time = f"2021-06-01T00:{minute}:00Z"
        for address, code, definitions in ((CALIFORNIA, "CA", DEFINITIONS), (NEW_YORK, "NY", different)):
            content = state_history(code, deepcopy(DAYS), build_time)
            content["meta"]["field_definitions"] = definitions
            publisher.warehouse.publish(address, content)
        done = publisher.warehouse.load(locations="ca,ny", force=True)
        found.append([(change.change, change.path) for change in done.drift])
    assert found == [[("definition added", "outcomes.recovered")], [], []]


def test_the_first_of_a_run_decides_also_where_a_later_one_is_the_same_in_another_form(warehouse: Warehouse) -> None:
    outcomes = []
    for minute in range(3):
        for code, title in (("CA", "Date"), ("NY", "Day")):
            content = state_history(code, deepcopy(DAYS), f"2021-05-03T12:{minute:02}:00Z")
            content["meta"]["field_definitions"] = [definition(name=title)]
            if code == "NY" and minute:
                content["data"].reverse()
            warehouse.publish(f"states/{code.lower()}/daily.json", content)
        done = warehouse.load(locations="ca,ny")
        assert done.drift == []
        outcomes.append(counted(done))
    assert outcomes == [{"loaded": 2}, {"unchanged": 2}, {"unchanged": 2}]


def nation(publisher: Publisher, definitions: list[Json], minute: int) -> Summary:
    """Loads the nation's history with some definitions: all documents of its kind."""
    content = document([report(NATION, "2021-01-01", cases__total=minute)], f"2021-05-03T12:{minute:02}:00Z")
    content["meta"]["field_definitions"] = definitions
    publisher.warehouse.publish("us/daily.json", content)
    return publisher.warehouse.load(locations="us")


def test_a_definition_is_gone_when_no_document_of_its_kind_has_it(publisher: Publisher) -> None:
    nation(publisher, [*DEFINITIONS, definition()], 1)
    assert [change.change for change in nation(publisher, DEFINITIONS, 2).drift] == ["definition removed"]
    assert [row[-1] for row in versions(publisher)] == [False]
    assert nation(publisher, DEFINITIONS, 3).drift == []


def test_a_definition_that_some_documents_of_its_kind_lack_is_not_gone(publisher: Publisher) -> None:
    publisher.load(field_definitions=[*DEFINITIONS, definition()])
    assert publisher.load(field_definitions=DEFINITIONS).drift == []
    assert [row[-1] for row in versions(publisher)] == [True]


@pytest.mark.parametrize(
    ("shape", "field", "column"),
    [
        ("state", "outcomes.death.cumulative", "death_fact.total_deaths"),
        ("nation", "tests.pcr.total", "testing_fact.total_tests"),
        ("state", "tests.pcr.total", "testing_fact.total_tests"),
        (
            "nation",
            "outcomes.death.calculated.change_from_prior_day",
            "death_fact.total_deaths_change_from_prior_day",
        ),
        ("state", "date", "cases_dimension.report_date"),
        ("nation", "cases.confirmed", None),
        ("state", None, None),
    ],
)
def test_a_definition_feeds_the_column_of_its_path_after_the_shipped_aliases(
    shape: str, field: str | None, column: str | None
) -> None:
    assert column_fed(shape, field, ()) == column


# --- accepting ---


def test_a_path_that_is_gone_is_accepted_only_with_the_loss_that_it_means(publisher: Publisher) -> None:
    publisher.load()
    done = publisher.load(drop_deaths, drop_deaths)
    assert (done.exit_code, [change.change for change in done.drift]) == (5, ["path gone"])
    conn = publisher.warehouse.conn
    with pytest.raises(
        UsageError, match=r"means that 2 values of CA, NY become null .* main.py drift --accept 1 --with-loss"
    ):
        drift_record.accept(conn, 1, with_loss=False)
    assert publisher.drift()[0][6] is False
    assert drift_record.accept(conn, 1, with_loss=True).startswith(
        "drift 1 accepted: path gone: data.outcomes.death.total; 2 values of CA, NY become null when"
    )
    done = replay.replay_rejected(conn, None)
    assert (done.exit_code, counted(done)["loaded"], done.rows["death_fact"].updated) == (0, 2, 2)
    # Whoever accepts the loss needs no notice of it.
    assert done.findings == []
    # When it comes back, it is read again.
    done = publisher.load()
    assert (done.exit_code, done.rows["death_fact"].updated) == (0, 2)
    assert publisher.warehouse.rows("select count(*) from ops.finding where ended_at is null") == [(0,)]


def test_what_no_report_can_be_without_is_not_accepted(publisher: Publisher) -> None:
    done = publisher.load(lambda row: pluck(row, "state"))
    assert [change.path for change in done.drift] == ["data.state"]
    with pytest.raises(UsageError, match="cannot be accepted, as no report can be without it"):
        drift_record.accept(publisher.warehouse.conn, 1, with_loss=True)


def test_an_accepted_loss_is_no_finding_after_a_single_day_has_shown_it_first(warehouse: Warehouse) -> None:
    warehouse.history(DAYS)
    content = state_history("CA", deepcopy(DAYS))
    for row in content["data"]:
        drop_deaths(row)
    warehouse.publish(CALIFORNIA, content)
    warehouse.publish("states/ca/2021-01-02.json", document(content["data"][0]))
    (gone,) = warehouse.load().drift
    drift_record.accept(warehouse.conn, gone.drift_id, with_loss=True)
    assert counted(warehouse.load(day=date(2021, 1, 2))) == {"loaded": 1}
    done = warehouse.load()
    assert (counted(done), done.findings) == ({"loaded": 1}, [])


def test_a_loss_is_accepted_for_the_locations_that_showed_it_alone(publisher: Publisher) -> None:
    publisher.load()
    publisher.load(drop_deaths)
    conn = publisher.warehouse.conn
    drift_record.accept(conn, 1, with_loss=True)
    assert publisher.load(drop_deaths).exit_code == 0
    done = publisher.load(drop_deaths, drop_deaths)
    assert (done.exit_code, [each.location for each in done.rejected], done.drift) == (5, ["NY"], [])
    assert publisher.warehouse.rows("select locations from ops.drift") == [(["CA", "NY"],)]
    assert "1 values of NY become null" in drift_record.accept(conn, 1, with_loss=True)
    assert publisher.load(drop_deaths, drop_deaths).exit_code == 0
    with pytest.raises(UsageError, match="drift 1 is accepted already"):
        drift_record.accept(conn, 1, with_loss=True)


def test_what_was_accepted_can_be_taken_back(publisher: Publisher) -> None:
    publisher.load(drop_deaths)
    conn = publisher.warehouse.conn
    drift_record.accept(conn, 1, with_loss=True)
    assert [(each.status, each.accepted_for) for each in drift_record.changes(conn)] == [("accepted", ["CA"])]
    assert "drift 1 is open again" in drift_record.undo(conn, 1)
    assert [(each.status, each.accepted_for) for each in drift_record.changes(conn)] == [("open", None)]
    assert publisher.load(drop_deaths).exit_code == 5
    with pytest.raises(UsageError, match="drift 1 was not accepted"):
        drift_record.undo(conn, 1)


def test_a_changed_type_cannot_be_accepted_and_is_over_when_it_is(publisher: Publisher) -> None:
    publisher.load(lambda row: plant(row, "cases.total.value", "many"))
    with pytest.raises(UsageError, match="stay rejected until the source mends that"):
        drift_record.accept(publisher.warehouse.conn, 1, with_loss=True)
    publisher.load()
    assert [row[-1] for row in publisher.drift()] == [True]


def test_a_new_definition_of_all_states_is_accepted_and_taken_back(publisher: Publisher) -> None:
    publisher.load()
    publisher.load(field_definitions=[*DEFINITIONS, definition()])
    conn = publisher.warehouse.conn
    assert drift_record.accept(conn, 1, with_loss=False).endswith("titled Recovered; nothing else changes")
    assert [change.status for change in drift_record.changes(conn)] == ["accepted"]
    assert "drift 1 is open again" in drift_record.undo(conn, 1)
    assert [change.status for change in drift_record.changes(conn)] == ["open"]


def test_the_loss_of_attributes_is_counted(publisher: Publisher) -> None:
    publisher.load(lambda row: plant(row, "meta.data_quality_grade", "A"))
    publisher.load(lambda row: pluck(row, "meta.data_quality_grade"))
    assert "2 values of CA become null" in drift_record.accept(publisher.warehouse.conn, 1, with_loss=True)


def test_a_replay_after_a_loss_was_taken_back_changes_nothing_and_says_what_to_do(publisher: Publisher) -> None:
    publisher.load()
    publisher.load(drop_deaths, drop_deaths)
    conn = publisher.warehouse.conn
    drift_record.accept(conn, 1, with_loss=True)
    assert replay.replay_rejected(conn, None).exit_code == 0
    drift_record.undo(conn, 1)
    refused = replay.replay(conn, "all")
    assert refused.exit_code == 5
    assert "if main.py drift lists the cause, accept it (again)" in advice(refused)[0]
    drift_record.accept(conn, 1, with_loss=True)
    assert replay.replay(conn, "all").exit_code == 0


def test_a_finding_in_a_document_that_a_replay_refuses_ends_with_the_next_load(warehouse: Warehouse) -> None:
    """The next load has the reports of the star, of which the finding says nothing true any more."""
    warehouse.history(DAYS)
    content = state_history("CA", deepcopy(DAYS) | {"2021-01-02": {"outcomes__death__total": 300_000}})
    for row in content["data"]:
        plant(row, "outcomes.fatal", pluck(row, "outcomes.death"))
    fatal = {"name": "Fatal", "field": "outcomes.fatal.total", "prior_names": ["outcomes.death.total"]}
    content["meta"]["field_definitions"] = [fatal]
    warehouse.publish(CALIFORNIA, content)
    (renamed,) = (change for change in warehouse.load().drift if change.change == "path renamed")
    drift_record.accept(warehouse.conn, renamed.drift_id, with_loss=False)
    assert [finding.check for finding in warehouse.load().findings] == ["highest value"]
    drift_record.undo(warehouse.conn, renamed.drift_id)
    replayed = replay.replay(warehouse.conn, "ca", allow_rejected=True)
    assert counted(replayed) == {"loaded": 1, "rejected": 1}
    warehouse.history(DAYS | {"2021-01-03": {}})
    assert warehouse.rows("select max(total_deaths) from public.death_fact") == [(4,)]
    assert warehouse.rows("select count(*) from ops.finding where ended_at is null") == [(0,)]


def test_a_number_that_is_no_drift_is_named(publisher: Publisher) -> None:
    with pytest.raises(UsageError, match=r"there is no drift 7; `main.py drift` lists all"):
        drift_record.accept(publisher.warehouse.conn, 7, with_loss=False)


def test_an_alias_loads_the_renamed_documents_again_only_once(publisher: Publisher) -> None:
    def rename(row: Json) -> None:
        plant(row, "infections", pluck(row, "cases"))

    meta = {"field_definitions": [{"name": "Infections", "field": "infections", "prior_names": ["cases"]}]}
    publisher.load()
    publisher.load(rename, rename, **meta)
    drift_record.accept(publisher.warehouse.conn, 1, with_loss=False)
    assert counted(publisher.load(rename, rename, **meta)) == {"loaded": 2}
    publisher.values -= 1
    assert counted(publisher.load(rename, rename, **meta)) == {"unchanged": 2}
    assert publisher.warehouse.rows("select total_cases from public.cases_fact order by location_id, report_date") == [
        (1,), (2,), (1,), (2,),
    ]  # fmt: skip
    assert events.open_rejections(publisher.warehouse.conn) == []


def test_the_loss_of_a_single_calculated_figure_is_counted_and_accepted(publisher: Publisher) -> None:
    path = "cases.total.calculated.change_from_prior_day"
    publisher.load(lambda row: plant(row, path, 5))
    done = publisher.load(lambda row: pluck(row, path))
    assert [change.path for change in done.drift] == [f"data.{path}"]
    conn = publisher.warehouse.conn
    assert "2 values of CA become null" in drift_record.accept(conn, 1, with_loss=True)
    assert replay.replay_rejected(conn, None).exit_code == 0
    query = "select total_cases_change_from_prior_day from public.cases_fact join public.location_dimension using (location_id) where location_code = 'CA'"
    assert set(publisher.warehouse.rows(query)) == {(None,)}
