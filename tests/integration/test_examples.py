"""The questions of `sql/examples/`: each file runs in psql, and its first rows are those that it shows."""

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from etl.config import ROOT
from etl.database import embedded as server
from etl.database.connection import Connection, execute, fetch_all
from etl.errors import StatementError
from etl.transform.declaration import NATION
from tests.conftest import load_snapshot, make_template, read_only
from tests.documents import document, report, snapshot, state_history
from tests.warehouse import Warehouse

EXAMPLES = sorted((ROOT / "sql/examples").glob("*.sql"))
SHOWN = re.compile(r"^-- First rows(, with the past)?:\n((?:--.*\n)+)\Z", re.M)

# What the first rows are said to come from, and the fixture that has it.
DATABASE_OF = {None: "loaded_dsn", ", with the past": "with_past"}


def history(state: str, revisions: dict[str, dict[str, int]]) -> Any:
    """A state's history in the snapshot, with other totals on some days; a day without any is left out."""
    document = json.loads(snapshot(f"states/{state}/daily.json"))
    document["data"] = [row for row in document["data"] if revisions.get(row["date"], True)]
    for row in document["data"]:
        for measure, value in revisions.get(row["date"], {}).items():
            (row["cases"] if measure == "cases" else row["outcomes"]["death"])["total"]["value"] = value
    return document


def cells(lines: list[str]) -> list[list[str]]:
    """A table as psql prints it, without its widths."""
    return [[cell.strip() for cell in line.split("|")] for line in lines if not re.fullmatch(r"[-+ ]*", line)]


@pytest.fixture(scope="session")
def with_past(server_dsn: str, shared_folder: Path) -> Iterator[str]:
    """A read-only database with the whole snapshot and the past."""
    template = make_template(server_dsn, shared_folder, "loaded_past", load_snapshot("all", past=True))
    with read_only(server_dsn, template) as dsn:
        yield dsn


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_answers_as_it_says(example: Path, request: pytest.FixtureRequest) -> None:
    text = example.read_text(encoding="utf-8")
    shown = SHOWN.search(text)
    assert shown, "the file ends with its first rows"
    assert text.startswith("-- ")
    assert text.splitlines()[0].endswith("?"), "the file begins with a question"
    program = server.psql_program()
    assert program
    result = subprocess.run(
        [program, request.getfixturevalue(DATABASE_OF[shown[1]]), "-XqP", "null=(null)", "-P", "footer=off", "-v", "ON_ERROR_STOP=1",
         "-c", "set timezone = 'UTC'", "-f", str(example)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    expected = cells([line.removeprefix("--") for line in shown[2].splitlines()])
    assert len(expected) > 1
    assert cells(result.stdout.splitlines())[: len(expected)] == expected


def test_every_example_answers_where_nothing_is_there_but_zeros_and_first_figures(
    conn: Connection, tmp_path: Path
) -> None:
    """A series that begins with zeros, or is short, divides nothing by zero."""
    warehouse = Warehouse(conn, tmp_path)
    first = date(2020, 5, 4)
    figures: dict[str, Any] = {
        str(first + timedelta(days=number)): {"cases__total": max(0, number - 21), "outcomes__death__total": 0}
        for number in range(35)
    }
    warehouse.publish("us/daily.json", document([report(NATION, day, **values) for day, values in figures.items()]))
    warehouse.publish("states/ca/daily.json", state_history("CA", figures))
    assert warehouse.load(locations="us,ca").exit_code == 0
    execute(conn, "set search_path to public")
    for example in EXAMPLES:
        try:
            fetch_all(conn, example.read_text(encoding="utf-8"))
        except StatementError as error:
            pytest.fail(f"{example.stem}: {error}")


def test_the_biggest_revisions_are_found_after_a_change_of_source_too(conn: Connection, tmp_path: Path) -> None:
    revised = {"2021-01-15": {"cases": 2860000}}
    for folder, revisions in (("one", {}), ("other", revised)):
        (tmp_path / folder).mkdir()
        warehouse = Warehouse(conn, tmp_path / folder)
        warehouse.publish("states/ca/daily.json", history("ca", revisions))
        assert warehouse.load().exit_code == 0
    found = fetch_all(conn, (ROOT / "sql/examples/biggest_revisions.sql").read_text())
    assert [(day.isoformat(), old, new, kind) for _, day, _, old, new, _, kind in found] == [
        ("2021-01-15", 2859624, 2860000, "source_changed")
    ]


def test_the_documents_list_every_example_with_its_question() -> None:
    listed = re.findall(
        r"^\| (.*) \| \[(\w+)\]\(\.\./sql/examples/\2\.sql\) \|$", (ROOT / "docs/analysis.md").read_text(), re.M
    )
    questions = [(path.read_text().splitlines()[0].removeprefix("-- "), path.stem) for path in EXAMPLES]
    assert listed == questions
    assert f"answers {len(EXAMPLES)} questions" in (ROOT / "README.md").read_text()
