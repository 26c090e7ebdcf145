"""The past that is shipped, and its fold: against the history, and against a fold by plain dicts."""

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import msgspec
import pytest

from etl.config import SNAPSHOT
from etl.errors import ContractError, DocumentError
from etl.extract.directory import DirectorySource
from etl.transform import past
from etl.transform.declaration import DETAIL_TABLE, NATION, REPORT_TABLE, STATE, TABLES, Shape
from etl.transform.past import Index, Series, Vintage
from etl.transform.rows import Rows
from tests.documents import snapshot, snapshot_addresses
from tests.integration.test_whole_snapshot import MEASURES

# (location, day, path) -> value
Cells = dict[tuple[str, date, str], Any]

FOLDER = SNAPSHOT / "past"
ATTRIBUTES = {
    "states_reporting": "states",
    "data_quality_grade": "meta.data_quality_grade",
    "updated_at": "meta.updated",
    "total_tests_source": "meta.tests.total_source",
}
# The last vintage did not carry it.
NOT_AT_LAST = "meta.tests.total_source"
# The API v2 had seconds in these times; the vintages, which are of the API v1, have minutes.
WITH_SECONDS = 4
FEW = ("US", "CA", "MA", "NV", "RI", "WA")


def body_of(name: str) -> bytes:
    return gzip.decompress((FOLDER / f"{name.lower()}.json.gz").read_bytes())


@cache
def index() -> Index:
    return past.read_index(body_of("vintages"))


def shape_of(code: str) -> Shape:
    return NATION if code == "US" else STATE


def shipped(code: str) -> Rows:
    return past.versions(body_of(code), code, shape_of(code), index())


def times(code: str) -> list[datetime]:
    return [vintage.known_at for vintage in index().series[shape_of(code).name].vintages]


def path_of(table: str, column: str, test: int, shape: Shape) -> str:
    """The path of a column, found in the test's own table of them."""
    if table == REPORT_TABLE:
        return ATTRIBUTES[column]
    if table == DETAIL_TABLE:
        (path,) = (metric.path for metric in shape.metrics if metric.test_id == test)
        return path
    (path,) = (
        path
        for path, fed in MEASURES.items()
        if fed == (table, column) and path != ("tests.pcr.total" if shape is NATION else "testing.total")
    )
    return path


def cells_as_of(code: str, rows: Rows, at: datetime) -> Cells:
    """The values that are not null in the versions of an instant."""
    cells: Cells = {}
    shape = shape_of(code)
    for table, versions in rows.items():
        names = past.columns(table, shape)
        first = 2 if table == DETAIL_TABLE else 1
        measures = names[first:-4]
        paths = cache(lambda test, table=table, names=measures: [path_of(table, name, test, shape) for name in names])
        for version in versions:
            known_from, known_to = version[-4:-2]
            if known_from <= at and (known_to is None or at < known_to):
                for path, value in zip(paths(version[1] if first == 2 else 0), version[first:-4], strict=True):
                    if value is not None:
                        assert (code, version[0], path) not in cells
                        cells[code, version[0], path] = value
    return cells


def plain_fold(code: str, until: int) -> Cells:
    """The same by plain dicts: the changes of all vintages up to one, in their order, over each other."""
    reports: dict[str, dict[str, Any]] = {}
    for day, _, kind, cells in sorted(
        (delta for delta in json.loads(body_of(code)) if delta[1] <= until), key=lambda delta: delta[1]
    ):
        if kind == "x":
            del reports[day]
        elif kind == "r":
            assert day not in reports
            reports[day] = dict(cells)
        else:
            assert cells
            reports[day].update(cells)
    return {
        (code, date.fromisoformat(day), path): datetime.fromisoformat(value) if path == "meta.updated" else value
        for day, cells in reports.items()
        for path, value in cells.items()
        if value is not None
    }


def published(code: str) -> Cells:
    """Every value of the shipped history that is not null, but what the source calculated."""
    address = "us/daily.json" if code == "US" else f"states/{code.lower()}/daily.json"
    cells: Cells = {}
    for report in json.loads(snapshot(address))["data"]:
        for path, value in leaves(report):
            cells[code, date.fromisoformat(report["date"]), path] = value
    return cells


def leaves(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        here = f"{path}{key}"
        if key == "value" and value is not None:
            yield path.removesuffix("."), value
        elif isinstance(value, dict) and key != "calculated":
            yield from leaves(value, f"{here}.")
        elif here in ATTRIBUTES.values() and value is not None:
            yield here, datetime.fromisoformat(value) if here == "meta.updated" else value


def compare_last(codes: list[str]) -> tuple[int, int]:
    """How many cells of the last vintage were compared with the history, and how many differ by seconds only."""
    compared = seconds = 0
    for code in codes:
        found = cells_as_of(code, shipped(code), datetime.max.replace(tzinfo=UTC))
        found = {cell: value for cell, value in found.items() if cell[2] != NOT_AT_LAST}
        expected = {cell: value for cell, value in published(code).items() if cell[2] != NOT_AT_LAST}
        assert found.keys() == expected.keys()
        differing = {cell: (value, found[cell]) for cell, value in expected.items() if found[cell] != value}
        assert {path for _, _, path in differing} <= {"meta.updated"}
        assert all(there == here.replace(second=0) for here, there in differing.values())
        compared, seconds = compared + len(found), seconds + len(differing)
    return compared, seconds


def test_the_last_vintage_is_the_history_that_is_shipped() -> None:
    compared, seconds = compare_last(["US", "MA", "VI"])
    assert compared > 10_000
    assert seconds <= WITH_SECONDS


@pytest.mark.slow
def test_the_last_vintage_is_the_history_that_is_shipped_everywhere() -> None:
    codes = sorted(index().sha256)
    assert len(codes) == len(list(snapshot_addresses()))
    assert compare_last(codes) == (311_664, WITH_SECONDS)


def test_what_the_last_vintage_carried_is_all_but_the_source_of_tests() -> None:
    paths = {metric.path for metric in STATE.metrics} | {part.path for part in STATE.attributes}
    never = {"tests.antigen.encounters.negative", "tests.antigen.people.negative"}
    assert set(index().series["state"].vintages[-1].paths) == paths - never - {NOT_AT_LAST}
    paths = {metric.path for metric in NATION.metrics} | {part.path for part in NATION.attributes}
    assert set(index().series["nation"].vintages[-1].paths) == paths


def compare_as_of(code: str, step: int) -> int:
    rows, known_at, compared = shipped(code), times(code), 0
    for number in {*range(0, len(known_at), step), len(known_at) - 1}:
        expected = plain_fold(code, number)
        assert cells_as_of(code, rows, known_at[number]) == expected
        compared += len(expected)
    return compared


@pytest.mark.parametrize("code", FEW)
def test_as_of_a_vintage_is_what_a_plain_fold_of_the_changes_has(code: str) -> None:
    assert compare_as_of(code, 67) > 1_000


@pytest.mark.slow
def test_as_of_a_vintage_is_what_a_plain_fold_has_everywhere() -> None:
    assert sum(compare_as_of(code, 90) for code in index().sha256) > 500_000


def test_only_carried_columns_change() -> None:
    for code in FEW:
        carried = [set(vintage.paths) for vintage in index().series[shape_of(code).name].vintages]
        wrong = [delta for delta in msgspec.json.decode(body_of(code)) if not delta[3].keys() <= carried[delta[1]]]
        assert wrong == []


def test_vintages_are_in_order_and_before_any_load() -> None:
    for series, count in (("nation", 219), ("state", 269)):
        known_at = [vintage.known_at for vintage in index().series[series].vintages]
        assert known_at == sorted(set(known_at))
        assert (len(known_at), known_at[-1]) == (count, datetime(2021, 5, 19, 23, 20, tzinfo=UTC))


def test_versions_of_a_row_follow_one_another() -> None:
    """A version ends with the next one, or with a withdrawal; only the last may have no end."""
    for code in FEW:
        for table, versions in shipped(code).items():
            first = 2 if table == DETAIL_TABLE else 1
            by_key: dict[Any, list[Any]] = {}
            for version in versions:
                by_key.setdefault(version[:first], []).append(version[-4:])
            for ends in by_key.values():
                for (since, until, change, revised), after in zip(ends, [*ends[1:], None], strict=True):
                    assert until is None or since < until
                    assert (change is None) == (until is None) == (revised is None)
                    if after and change == "revised":
                        assert until == after[0]
                    elif after:
                        assert (change, revised) == ("withdrawn", [])
                        assert until <= after[0]


# --- kinds of change ---

DAYS = [datetime(2020, 4, day, 22, tzinfo=UTC) for day in range(1, 6)]
MARCH_4 = date(2020, 3, 4)


def folded(*deltas: Any) -> Rows:
    body = json.dumps(deltas).encode()
    vintages = [Vintage(day, "commit", [], "") for day in DAYS]
    return past.versions(
        body, "CA", STATE, Index({"state": Series("", vintages)}, {"CA": hashlib.sha256(body).hexdigest()})
    )


def test_a_new_report_has_a_row_in_every_table_and_one_for_each_test_that_was_published() -> None:
    rows = folded(["2020-03-04", 1, "r", {"cases.total": 5, "tests.pcr.people.positive": 5}])
    last = (DAYS[1], None, None, None)
    assert rows == {
        "cases_fact": [(MARCH_4, 5, None, None, None, *last)],
        "testing_fact": [(MARCH_4, None, None, *last)],
        "hospitalization_fact": [(MARCH_4, *[None] * 6, *last)],
        "death_fact": [(MARCH_4, None, None, None, *last)],
        "testing_detail_fact": [(MARCH_4, 6, 5, *last)],
        "cases_dimension": [(MARCH_4, None, None, None, *last)],
    }


@pytest.mark.parametrize(("kind", "columns"), [("n", []), ("f", ["confirmed_cases"]), ("c", ["confirmed_cases"])])
def test_a_change_ends_a_version_and_names_its_column_unless_it_is_the_first_value(
    kind: str, columns: list[str]
) -> None:
    rows = folded(["2020-03-04", 0, "r", {"cases.total": 5}], ["2020-03-04", 2, kind, {"cases.confirmed": 4}])
    assert rows["cases_fact"] == [
        (MARCH_4, 5, None, None, None, DAYS[0], DAYS[2], "revised", columns),
        (MARCH_4, 5, 4, None, None, DAYS[2], None, None, None),
    ]
    assert len(rows["death_fact"]) == 1


def test_the_changes_of_one_vintage_make_one_version() -> None:
    rows = folded(
        ["2020-03-04", 0, "r", {"cases.total": 5}],
        ["2020-03-04", 2, "n", {"cases.probable": 1}],
        ["2020-03-04", 2, "c", {"cases.total": 6}],
        ["2020-03-04", 2, "f", {"cases.confirmed": 4}],
    )
    assert rows["cases_fact"][0][-4:] == (DAYS[0], DAYS[2], "revised", ["total_cases", "confirmed_cases"])
    assert rows["cases_fact"][1][:5] == (MARCH_4, 6, 4, 1, None)


def test_a_withdrawn_value_is_null_and_a_test_without_a_value_has_no_row() -> None:
    rows = folded(
        ["2020-03-04", 0, "r", {"cases.total": 5, "tests.pcr.people.positive": 5}],
        ["2020-03-04", 1, "w", {"cases.total": None, "tests.pcr.people.positive": None}],
        ["2020-03-04", 3, "f", {"tests.pcr.people.positive": 7}],
    )
    assert rows["cases_fact"][0][-2:] == ("revised", ["total_cases"])
    assert rows["cases_fact"][1][:5] == (MARCH_4, None, None, None, None)
    assert rows["testing_detail_fact"] == [
        (MARCH_4, 6, 5, DAYS[0], DAYS[1], "withdrawn", []),
        (MARCH_4, 6, 7, DAYS[3], None, None, None),
    ]


def test_a_withdrawn_report_ends_in_every_table_and_may_return() -> None:
    rows = folded(
        ["2020-03-04", 0, "r", {"cases.total": 5, "tests.pcr.people.positive": 5}],
        ["2020-03-04", 1, "x", {}],
        ["2020-03-04", 4, "r", {"cases.total": 5}],
    )
    for table in TABLES:
        assert rows[table][0][-4:] == (DAYS[0], DAYS[1], "withdrawn", [])
        assert [version[-4:] for version in rows[table][1:]] == (
            [] if table == DETAIL_TABLE else [(DAYS[4], None, None, None)]
        )


def test_the_cells_of_each_kind_are_counted_in_the_source_and_in_the_star() -> None:
    """`positive` of the states feeds two columns: one cell of the source, two of the star."""
    source, star, reports = Counter[str](), Counter[str](), Counter[str]()
    for code in index().sha256.keys() - {"US"}:
        for _, _, kind, cells in msgspec.json.decode(body_of(code)):
            star[kind] += len(cells)
            source[kind] += len(cells.keys() - {"tests.pcr.people.positive"})
            reports[kind] += kind in "rx"
    assert source == {"r": 252_944, "n": 48_344, "c": 50_097, "f": 25_336, "w": 22_605, "x": 0}
    assert star == {"r": 273_556, "n": 48_344, "c": 54_838, "f": 25_401, "w": 22_682, "x": 0}
    assert +reports == {"r": 20_788, "x": 8}


# --- odd values ---


def test_odd_values_are_kept_as_published_and_spreadsheet_days_are_times() -> None:
    pending = {row[0]: row[2] for row in shipped("NV")["testing_fact"] if row[2] is not None and row[2] < 0}
    assert pending == {date(2020, 3, 20): -3}
    encounters = [row for row in shipped("WA")[DETAIL_TABLE] if row[2] == 123_018_990_000]
    assert len(encounters) == 38
    (island,) = (
        row for row in shipped("RI")[REPORT_TABLE] if row[0] == date(2020, 3, 1) and row[-4] == times("RI")[195]
    )
    assert island[2] == datetime(2020, 3, 1, 5, tzinfo=UTC)


# --- what is not the shipped past ---


def test_a_changed_file_is_refused() -> None:
    body = body_of("CA").replace(b'"cases.total":53,', b'"cases.total":54,', 1)
    assert body != body_of("CA")
    with pytest.raises(
        DocumentError, match=r"^the past of CA is not the shipped one: its sha256 is not the index's$"
    ):
        past.versions(body, "CA", STATE, index())


def test_the_file_of_another_place_is_refused() -> None:
    with pytest.raises(DocumentError, match="the past of CA is not the shipped one"):
        past.versions(body_of("NV"), "CA", STATE, index())


def test_a_cut_file_is_refused(tmp_path: Any) -> None:
    packed = (FOLDER / "ca.json.gz").read_bytes()
    (tmp_path / "ca.json.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DocumentError, match=r"^cut off within gzip data$"):
        DirectorySource(tmp_path, "past").fetch("ca.json")


def test_a_broken_index_is_refused() -> None:
    with pytest.raises(DocumentError, match="no JSON"):
        past.read_index(body_of("vintages")[:-20])
    with pytest.raises(ContractError, match="`known_at`|datetime"):
        past.read_index(b'{"series": {"state": {"sha256": "", "vintages": [{"known_at": "soon"}]}}, "sha256": {}}')


@pytest.mark.parametrize(
    "delta",
    [
        ["2020-03-04", 0, "y", {}],
        ["2020-03-04", 0, "r", {"cases.total": "5"}],
        ["2020-03-04", 0, "r", {"cases.total": 5.0}],
        ["2020-03-04", 0, "r", {"meta.updated": "2020-03-04"}],
        ["March 4", 0, "r", {}],
    ],
)
def test_a_change_of_another_kind_or_type_is_refused(delta: Any) -> None:
    with pytest.raises(ContractError):
        folded(delta)
