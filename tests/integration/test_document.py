"""The command `document`: the stored bytes, and the place of every figure in them."""

import hashlib
import json
import shlex
from contextlib import suppress
from copy import deepcopy
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from unittest.mock import ANY

import pytest

from etl.database.connection import Connection
from etl.errors import UsageError
from etl.load import drift_record
from etl.run.replay import replay_rejected
from etl.show.document import Figure, body_of, figure
from etl.transform.declaration import NATION, STATE, Shape
from tests.cli import Cli
from tests.conftest import Command
from tests.documents import DEFINITIONS, document, plant, pluck, report, snapshot, state_history
from tests.warehouse import CALIFORNIA, Warehouse

DAY = date(2021, 1, 2)
DAYS = {"2021-01-01": {"cases__total": 1}, "2021-01-02": {"cases__total": 2, "outcomes__death__total": 3}}


def names_of(shape: Shape) -> list[str]:
    """Each path of a report that feeds a column, and each column that is of one path."""
    paths = [(name, path.removesuffix(".value")) for metric in shape.metrics for name, path in metric.columns.items()]
    tests = {path for metric in shape.metrics if metric.test_id for path in metric.columns.values()}
    columns = [name for name, path in paths if path not in {test.removesuffix(".value") for test in tests}]
    attributes = [name for part in shape.attributes for name in (part.column, part.path)]
    return [*attributes, *columns, *(path for _, path in paths)]


def at(body: bytes, place: str) -> Any:
    """The value at a place such as `.data[64].cases.total.value`."""
    found = json.loads(body, parse_float=Decimal)
    for part in place.removeprefix(".").replace("[", ".").replace("]", "").split("."):
        found = found[int(part)] if isinstance(found, list) else found[part]
    return found


def is_same(published: Any, loaded: str | None) -> bool:
    if published == loaded or published is None or loaded is None:
        return bool(published == loaded)
    if isinstance(published, str):
        return datetime.fromisoformat(published) == datetime.fromisoformat(loaded)
    return Decimal(published) == Decimal(loaded)


@pytest.mark.parametrize(
    ("address", "code", "shape"), [("us/daily.json", "us", NATION), ("states/ca/daily.json", "ca", STATE)]
)
def test_every_figure_of_a_report_is_at_its_place_in_its_document(
    warehouse: Warehouse, address: str, code: str, shape: Shape
) -> None:
    """The document has three real days, so that the place of each figure is found quickly."""
    history = json.loads(snapshot(address))
    history["data"] = [row for row in history["data"] if "2021-01-01" <= row["date"] <= "2021-01-03"]
    warehouse.publish(address, history)
    assert warehouse.load(locations=code).exit_code == 0
    first = figure(warehouse.conn, code, DAY, "total_cases")
    body, report_place = body_of(warehouse.conn, first.document_id), ".data[1]"
    assert hashlib.sha256(body).hexdigest() == first.sha256
    found: dict[str, Figure] = {}
    for name in names_of(shape):
        with suppress(UsageError):
            found[name] = figure(warehouse.conn, code, DAY, name)
    for name, shown in found.items():
        assert shown.place == f"{report_place}.{shown.column.path}"
        assert is_same(at(body, shown.place), shown.value), name
    assert sum(shown.value is not None for shown in found.values()) > 20
    # A kind of test without any number has no row.
    for name in names_of(shape):
        assert name in found or at(body, f"{report_place}.{name}") in (None, {"value": None, "calculated": ANY})


def rename(warehouse: Warehouse, *names: tuple[str, str]) -> int:
    """Publishes a history with paths under other names, and accepts that one after the other; returns the last drift."""
    content = state_history(
        "CA", deepcopy(DAYS), f"2021-05-{3 + len(warehouse.rows('select 1 from ops.run')):02}T00:00:00Z"
    )
    definitions = []
    for old, new in names:
        for row in content["data"]:
            plant(row, new, pluck(row, old))
        definitions.append({"name": f"was {old}", "field": new, "prior_names": [old]})
    content["meta"]["field_definitions"] = [*DEFINITIONS, *definitions]
    warehouse.publish(CALIFORNIA, content)
    (change,) = (change for change in warehouse.load().drift if change.change == "path renamed")
    drift_record.accept(warehouse.conn, change.drift_id, with_loss=False)
    assert replay_rejected(warehouse.conn, None).exit_code == 0
    return change.drift_id


def test_a_figure_of_a_single_day_is_found(warehouse: Warehouse) -> None:
    warehouse.history(DAYS)
    warehouse.publish("states/ca/2021-01-02.json", document(report(STATE, "2021-01-02", cases__total=5)))
    warehouse.load(day=DAY)
    found = figure(warehouse.conn, "ca", DAY, "total_cases")
    assert (found.value, found.place) == ("5", ".data.cases.total.value")


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("cases.total", "infections.all", ".data[0].infections.all.value"),
        ("cases.total", "cases.all-infections", '.data[0].cases["all-infections"].value'),
        ("cases.total", "it's.0total", """.data[0]["it's"]["0total"].value"""),
        ("date", "day", ".data[0].cases.total.value"),
    ],
)
def test_a_figure_of_another_name_is_found(warehouse: Warehouse, old: str, new: str, place: str) -> None:
    """jq reads the place behind quotes for the shell."""
    warehouse.history({"2021-01-02": {"cases__total": 9}})
    drift_id = rename(warehouse, (old, new))
    found = figure(warehouse.conn, "ca", DAY, "total_cases")
    assert (found.value, found.place) == ("2", place)
    (_, filter_of_jq) = shlex.split(found.as_lines()[-1].partition(" | ")[2])
    assert filter_of_jq == place
    drift_record.undo(warehouse.conn, drift_id)
    if old != "date":
        found = figure(warehouse.conn, "ca", DAY, "total_cases")
        assert (found.place, found.is_pruned) == (None, False)
        assert found.as_lines()[-1] == "its place there has a name that no alias of now leads to"


def test_a_figure_whose_path_is_gone_has_no_place(warehouse: Warehouse) -> None:
    warehouse.history(DAYS)
    content = state_history("CA", deepcopy(DAYS), "2021-05-04T00:00:00Z")
    for row in content["data"]:
        pluck(row, "outcomes.death.total")
    warehouse.publish(CALIFORNIA, content)
    (change,) = warehouse.load().drift
    drift_record.accept(warehouse.conn, change.drift_id, with_loss=True)
    assert replay_rejected(warehouse.conn, None).exit_code == 0
    found = figure(warehouse.conn, "ca", DAY, "total_deaths")
    assert (found.value, found.place, found.is_pruned) == (None, None, False)


def test_an_empty_text_and_the_word_null_are_no_null(warehouse: Warehouse) -> None:
    for grade, shown in (("", ""), ("null", "null"), (None, "null")):
        warehouse.history({"2021-01-02": {"cases__total": 2, "meta__data_quality_grade": grade}})
        found = figure(warehouse.conn, "ca", DAY, "data_quality_grade")
        assert found.value == grade
        assert found.as_lines()[0] == f"cases_dimension.data_quality_grade, CA, 2021-01-02: {shown}"


def test_pruned_bytes_are_said_to_be_pruned(warehouse: Warehouse) -> None:
    warehouse.history(DAYS)
    with warehouse.conn.cursor() as cursor:
        cursor.execute("update ops.document set body = null")
    found = figure(warehouse.conn, "ca", DAY, "total_cases")
    assert (found.place, found.as_lines()[-1]) == (None, "the bytes of the document were pruned")
    with pytest.raises(UsageError, match="the bytes of document 1 were pruned"):
        body_of(warehouse.conn, found.document_id)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("us,ca", DAY, "total_cases"), "a figure is of one location, such as ca; us,ca names 2"),
        (("us", DAY, "recovered"), "no report of a nation has 'recovered': give a column of the star"),
        (("ca", DAY, "value"), "no report of a state has 'value': give a column of the star"),
        (("ca", date(2019, 1, 1), "total_cases"), "cases_fact has no row of CA, 2019-01-01"),
        (("xx", DAY, "total_cases"), "LOCATION: unknown XX; use all"),
    ],
)
def test_a_figure_that_is_not_there_is_refused(conn: Connection, asked: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        figure(conn, *asked)


def test_the_command_writes_the_stored_bytes_and_names_the_place(command: Command) -> None:
    loaded = command("load", "--source", "snapshot", "--locations", "vi", "--no-past")
    assert loaded.returncode == 0
    shown = command("document", "vi", "2021-01-02", "total_deaths")
    assert shown.stdout.splitlines()[0] == "death_fact.total_deaths, VI, 2021-01-02: 23"
    assert shown.stdout.splitlines()[3] == (
        "its place there: main.py document 1 | jq '.data[64].outcomes.death.total.value'"
    )
    found = json.loads(command("document", "vi", "2021-01-02", "total_deaths", "--json").stdout)
    body = command("document", "1").stdout.encode()
    assert hashlib.sha256(body).hexdigest() == found["sha256"]
    assert at(body, found["place"]) == 23
    with command.start("document", "1") as process:
        assert process.stdout
        process.stdout.close()
        assert process.wait() == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ca",), "give the number of a document alone, or LOCATION DAY FIGURE; see main.py document --help"),
        (("1", "2021-01-02"), "give the number of a document alone, or LOCATION DAY FIGURE"),
        (("ca", "yesterday", "total_deaths"), "'yesterday' is no date; expected YYYY-MM-DD"),
        (("7",), "there is no document 7; `main.py status` numbers those that were rejected"),
        (("9" * 18,), "there is no document 999"),
        (("9" * 5000,), "give the number of a document alone"),
        (("7", "--json"), "give the number of a document alone"),
    ],
)
def test_a_document_that_is_not_there_is_refused(cli: Cli, words: tuple[str, ...], said: str) -> None:
    refused = cli("document", *words)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr
