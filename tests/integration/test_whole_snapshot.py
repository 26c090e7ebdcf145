"""Every number that the snapshot publishes, against every number that the database returns: both directions."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from etl import config
from etl.database import connection as database
from etl.database.connection import Connection, execute, fetch_all, fetch_one
from etl.transform.declaration import NATION, REPORT_TABLE, STATE, TABLES
from tests.conftest import whole_only
from tests.documents import snapshot, snapshot_addresses
from tests.integration.test_schema import CLASSIC_QUERY

# What the API calls a metric -> the tables' own measure, written out here once more: a mistake in the
# declaration must not be able to hide in this test.
MEASURES = {
    "cases.total": ("cases_fact", "total_cases"),
    "cases.confirmed": ("cases_fact", "confirmed_cases"),
    "cases.probable": ("cases_fact", "probable_cases"),
    "outcomes.recovered": ("cases_fact", "recovered"),
    "testing.total": ("testing_fact", "total_tests"),
    "tests.pcr.total": ("testing_fact", "total_tests"),
    "tests.pcr.pending": ("testing_fact", "pending_tests"),
    "outcomes.hospitalized.currently": ("hospitalization_fact", "currently_hospitalized"),
    "outcomes.hospitalized.total": ("hospitalization_fact", "cumulative_hospitalized"),
    "outcomes.hospitalized.in_icu.currently": ("hospitalization_fact", "currently_in_icu"),
    "outcomes.hospitalized.in_icu.total": ("hospitalization_fact", "cumulative_in_icu"),
    "outcomes.hospitalized.on_ventilator.currently": ("hospitalization_fact", "currently_on_ventilator"),
    "outcomes.hospitalized.on_ventilator.total": ("hospitalization_fact", "cumulative_on_ventilator"),
    "outcomes.death.total": ("death_fact", "total_deaths"),
    "outcomes.death.confirmed": ("death_fact", "confirmed_deaths"),
    "outcomes.death.probable": ("death_fact", "probable_deaths"),
}
# (location, day, table, kind of test, column) -> value
Cell = tuple[str, str, str, str | None, str]


@pytest.fixture
def loaded(any_dsn: str) -> Iterator[Connection]:
    with database.connect(config.Database(any_dsn)) as opened:
        yield opened


def published_reports(conn: Connection) -> Iterator[dict[str, Any]]:
    """Every report that the snapshot has of the locations that are loaded."""
    for (address,) in fetch_all(conn, "select address from ops.document_load where location_id is not null"):
        yield from json.loads(snapshot(address), parse_float=Decimal)["data"]


def published_numbers(node: Any, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every number below a report that is not null: metric, `value` or the calculated name, number."""
    for key, value in node.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            yield from published_numbers(value, here)
        elif value is not None and not isinstance(value, str) and here != "states":
            metric, _, leaf = here.partition(".calculated.")
            yield (metric, leaf, value) if leaf else (metric.removesuffix(".value"), "value", value)


def published_cells(conn: Connection) -> dict[Cell, Any]:
    cells: dict[Cell, Any] = {}
    for report in published_reports(conn):
        location = report.get("state", "US")
        for metric, leaf, number in published_numbers(report):
            if metric in MEASURES:
                table, measure = MEASURES[metric]
                column = measure if leaf == "value" else f"{measure}_{leaf}"
                cells[location, report["date"], table, None, column] = number
            else:
                assert metric.startswith("tests."), metric
                kind = metric.removeprefix("tests.")
                cells[location, report["date"], "testing_detail_fact", kind, leaf] = number
    return cells


def loaded_cells(conn: Connection) -> dict[Cell, Any]:
    """Every number of every fact that is not null."""
    cells: dict[Cell, Any] = {}
    for table in TABLES:
        if table == REPORT_TABLE:
            continue
        kind, join = ("null", "")
        if table == "testing_detail_fact":
            kind = "test_type || '.' || unit || '.' || result"
            join = "join public.test_dimension using (test_id)"
        with conn.cursor() as cursor:
            cursor.execute(
                f"select location_code, report_date::text, {kind}, {table}.* from public.{table}"
                f" join public.location_dimension using (location_id) {join}"
            )
            assert cursor.description
            names = [column.name for column in cursor.description][3:]
            for location, day, test, *values in cursor:
                for name, value in zip(names, values, strict=True):
                    if name not in ("location_id", "report_date", "cases_id", "test_id", "known_from"):
                        cells[location, day, table, test, name] = value
    return {cell: value for cell, value in cells.items() if value is not None}


def test_every_published_value_is_in_the_database_and_nothing_else(loaded: Connection) -> None:
    published, found = published_cells(loaded), loaded_cells(loaded)
    (reports,) = fetch_one(loaded, "select count(*) from public.cases_dimension")
    assert len(published) > reports * 20
    assert published.keys() - found.keys() == set()
    assert found.keys() - published.keys() == set()
    assert [(cell, value, found[cell]) for cell, value in published.items() if value != found[cell]] == []


def test_every_descriptive_value_is_in_the_database(loaded: Connection) -> None:
    published = {}
    for report in published_reports(loaded):
        meta = report.get("meta", {"data_quality_grade": None, "updated": None, "tests": {"total_source": None}})
        published[report.get("state", "US"), report["date"]] = (
            report.get("states"),
            meta["data_quality_grade"],
            meta["updated"],
            meta["tests"]["total_source"],
        )
    found = {
        (location, day): tuple(values)
        for location, day, *values in fetch_all(
            loaded,
            """
            select
                location_code, report_date::text, states_reporting, data_quality_grade,
                to_char(updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), total_tests_source
            from public.cases_dimension join public.location_dimension using (location_id)
            """,
        )
    }
    assert found == published


@whole_only
def test_every_report_of_every_document_is_there(loaded: Connection) -> None:
    addresses = {address for (address,) in fetch_all(loaded, "select address from ops.document_load")}
    assert addresses == {*snapshot_addresses(), "states.json"}
    count = "select count(*), count(*) filter (where location_id = 0) from public.cases_dimension"
    assert fetch_one(loaded, count) == (21200, 420)


def test_the_sites_are_those_of_states_json(loaded: Connection) -> None:
    published = {state["state_code"]: state["sites"] for state in json.loads(snapshot("states.json"))["data"]}
    found = dict(
        fetch_all(
            loaded, "select location_code, sites from public.location_dimension where location_type <> 'nation'"
        )
    )
    assert found == published


def test_the_classic_query_returns_every_report(loaded: Connection) -> None:
    (reports,) = fetch_one(loaded, "select count(*) from public.cases_dimension")
    execute(loaded, "set search_path = public")
    assert len(fetch_all(loaded, CLASSIC_QUERY)) == reports


def test_cases_id_names_location_and_day(loaded: Connection) -> None:
    query = "select cases_id from public.cases_dimension where location_id = 6 and report_date = '2021-03-07'"
    assert fetch_one(loaded, query) == (620210307,)


def test_every_row_leads_to_the_bytes_it_came_from(loaded: Connection) -> None:
    for table in TABLES:
        strays = fetch_all(
            loaded,
            f"select count(*) from public.{table} as fact left join ops.document_load as load"
            " on fact.known_from = load.known_at and fact.location_id = load.location_id"
            " where load.document_id is null",
        )
        assert strays == [(0,)], table
    wrong = fetch_all(
        loaded,
        "select count(*) from public.cases_dimension as report left join ops.document_load as load using (document_id)"
        " where (load.run_id, load.build_time) is distinct from (report.run_id, report.source_built_at)",
    )
    assert wrong == [(0,)]


def test_the_stored_bytes_are_the_documents(loaded: Connection) -> None:
    rows = fetch_all(
        loaded,
        "select address, body, sha256, size_bytes from ops.document_load join ops.document using (document_id)",
    )
    assert rows
    for address, compressed, sha256, size in rows:
        body = gzip.decompress(compressed)
        assert body == snapshot(address)
        assert (hashlib.sha256(body).hexdigest(), len(body)) == (sha256, size)


def test_the_declaration_s_tests_are_those_of_the_api() -> None:
    assert {metric.path for metric in STATE.metrics} | {metric.path for metric in NATION.metrics} == {
        *MEASURES,
        *(metric.path for metric in STATE.metrics if metric.test_id),
    }
