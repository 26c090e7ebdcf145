"""The past in the database: as of the time of any vintage, all that it had; and nothing that follows changes it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import psycopg2
import pytest

from etl import config
from etl.database import connection as database
from etl.database.checks import validate
from etl.database.connection import Connection, execute, fetch_all, fetch_one
from etl.load import past as loaded_past
from etl.run.pipeline import LoadOptions, run
from etl.run.prune import prune
from etl.run.replay import replay
from etl.run.summary import Summary
from etl.transform.declaration import DETAIL_TABLE, SHAPES, TABLES, Shape, key_columns, value_columns
from etl.transform.past import labels, measures
from tests.conftest import Api, copied, make_template
from tests.documents import snapshot
from tests.integration.test_no_false_alarm import star
from tests.unit.test_past import Cells, body_of, index, path_of, plain_fold, shape_of, shipped, times

FEW = "us,ma,nv,vi"


def load(conn: Connection, locations: str = FEW, **options: Any) -> Summary:
    wanted: dict[str, Any] = {"source": "snapshot", "locations": locations, "past": True} | options
    return run(conn, LoadOptions(**wanted), {})


@pytest.fixture(scope="session")
def past_template(server_dsn: str, shared_folder: Path) -> str:
    return make_template(server_dsn, shared_folder, "past", load)


@pytest.fixture
def few(server_dsn: str, past_template: str) -> Iterator[Connection]:
    """A database with a few locations and their past."""
    with copied(server_dsn, past_template) as dsn, database.connect(config.Database(dsn)) as opened:
        yield opened


def cells_as_of(conn: Connection, code: str, at: datetime) -> Cells:
    """The values that are not null in the as-of functions of the database, but what the source calculated."""
    cells: Cells = {}
    shape = shape_of(code)
    for table in TABLES:
        names = measures(table, shape)
        key = key_columns(table)
        query = (
            f"select {', '.join([*key, *names])} from history.{table}_as_of(%s) as row"
            " inner join public.location_dimension as location using (location_id) where location_code = %s"
        )
        for row in fetch_all(conn, query, (at, code)) if names else ():
            for name, value in zip(names, row[len(key) :], strict=True):
                if value is not None:
                    cells[code, row[0], path_of(table, name, row[1] if table == DETAIL_TABLE else 0, shape)] = value
    return cells


def compare(conn: Connection, codes: list[str], step: int) -> int:
    """How many cells were compared, both ways, as of vintages and just before them."""
    compared = 0
    for code in codes:
        known_at = times(code)
        for number in {*range(0, len(known_at), step), len(known_at) - 1}:
            expected = plain_fold(code, number)
            assert cells_as_of(conn, code, known_at[number]) == expected
            compared += len(expected)
    return compared


def history(conn: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the history of vintages, in one order, without where it lies."""
    return {
        table: fetch_all(
            conn,
            f"select * from history.{table}_revision where known_from < '2022-01-01'"
            f" order by location_id, {', '.join(key_columns(table))}, known_from",
        )
        for table in TABLES
    }


def everything(conn: Connection) -> list[Any]:
    """Every row of the star and its history."""
    return [
        fetch_all(conn, f"select * from {name} order by location_id, {', '.join(key_columns(table))}, known_from")
        for table in TABLES
        for name in (f"public.{table}", f"history.{table}_revision")
    ]


def physical(conn: Connection) -> list[Any]:
    """The physical identity of the rows of the past."""
    return [
        fetch_all(
            conn,
            f"select ctid::text, xmin::text, xmax::text from history.{table}_revision"
            " where known_from < '2022-01-01' order by 1",
        )
        for table in TABLES
    ]


# --- what it says ---


def test_as_of_a_vintage_the_database_has_what_the_vintage_had(few: Connection) -> None:
    assert compare(few, ["US", "MA", "NV", "VI"], 45) > 40_000


@pytest.mark.slow
def test_as_of_a_vintage_the_database_has_what_the_vintage_had_everywhere(conn: Connection) -> None:
    assert load(conn, "all").exit_code == 0
    assert compare(conn, sorted(index().sha256), 150) > 250_000
    rows = sum(fetch_one(conn, f"select count(*) from history.{table}_revision")[0] for table in TABLES)
    assert rows == 330_111
    assert not any(finding.has_failed for finding in validate(conn))


def test_the_star_is_what_it_is_without_the_past(few: Connection, dsn: str) -> None:
    with database.connect(config.Database(dsn)) as without:
        assert load(without, past=False).exit_code == 0
        assert fetch_one(without, "select count(*) from ops.vintage") == (0,)
        assert not any(history(without).values())
        assert star(few, FEW) == star(without, FEW)


def test_the_last_version_of_a_row_ends_with_the_load_and_is_no_revision(few: Connection) -> None:
    """The last vintage is the history that is shipped; the seconds of `updated_at` are not compared."""
    for table in TABLES:
        ends = (
            f"select count(*), count(*) filter (where change = 'revised' and changed_columns = array[]::text[]),"
            f" (select count(*) from public.{table})"
            f" from history.{table}_revision where known_to > '2022-01-01'"
        )
        ended, unrevised, rows = fetch_one(few, ends)
        assert ended == unrevised == rows


def test_what_the_source_calculated_is_null_in_the_past(few: Connection) -> None:
    for table in TABLES:
        calculated = set(value_columns(table)) - {
            name for shape in SHAPES.values() for name in measures(table, shape)
        }
        for column in calculated:
            assert fetch_one(few, f"select count({column}) from history.{table}_revision") == (0,)


def test_every_check_passes_and_every_row_leads_to_a_vintage_or_a_load(few: Connection) -> None:
    assert not any(finding.has_failed for finding in validate(few))
    assert fetch_one(few, "select count(document_id) from history.cases_dimension_revision") == (0,)


def test_the_instant_of_a_vintage_is_looked_up_once_for_a_query(few: Connection) -> None:
    query = "select * from mart.daily_summary_as_of(mart.vintage_of('2020-07-01')) where location_code = 'MA'"
    assert fetch_all(few, query)
    plan = "\n".join(line for (line,) in fetch_all(few, f"explain {query}"))
    assert "known_to" in plan
    assert "vintage_of" not in plan


def test_a_vintage_tells_its_time_its_columns_and_its_origin(few: Connection) -> None:
    found = fetch_all(
        few, "select known_at, previous_at, exactness, carried, origin, sha256, series from ops.vintage order by 7, 1"
    )
    expected = [
        (
            vintage.known_at, series.vintages[number - 1].known_at if number else None, vintage.exactness,
            [labels(SHAPES[name])[path] for path in vintage.paths], vintage.origin, series.sha256, name,
        )
        for name, series in sorted(index().series.items())
        for number, vintage in enumerate(series.vintages)
    ]  # fmt: skip
    assert found == expected
    assert len(found) == 219 + 269


# --- when it comes ---


def test_a_beginning_with_single_days_loses_nothing(conn: Connection, few: Connection) -> None:
    """The last version of a row that was loaded before ends with that load."""
    load(conn, "ma", day=date(2021, 3, 1))
    assert not any(history(conn).values())
    load(conn, "ma", first_day=date(2021, 3, 1), last_day=date(2021, 3, 2))
    assert not any(history(conn).values())
    load(conn, "ma")
    firsts = dict(fetch_all(conn, "select report_date, known_from from public.death_fact"))
    ends = dict(
        fetch_all(conn, "select report_date, known_to from history.death_fact_revision where known_to > '2022-01-01'")
    )
    assert ends == firsts
    assert len(set(ends.values())) == 3
    assert compare(conn, ["MA"], 100) > 1_000


def test_a_first_load_from_the_api_brings_the_past_and_its_revisions_are_named(conn: Connection, api: Api) -> None:
    """A figure that the API has otherwise is revised by the load; of a column that was not carried, it is none."""
    body = snapshot("states/vi/daily.json")
    changed = body.replace(b'"total":{"value":2714,', b'"total":{"value":2715,', 1)
    assert changed != body
    api.answers["states/vi/daily.json"] = changed
    summary = run(conn, LoadOptions(source="api", locations="vi", past=True), {"COVID_ETL_API_URL": api.url})
    assert summary.exit_code == 0
    revised = fetch_all(
        conn,
        "select report_date, changed_columns from history.cases_fact_revision"
        " where changed_columns <> array[]::text[] and known_to > '2022-01-01'",
    )
    assert revised == [(date(2021, 3, 7), ["total_cases"])]


def test_another_source_brings_no_past(conn: Connection, api: Api, tmp_path: Path) -> None:
    target = tmp_path / "states" / "vi" / "daily.json"
    target.parent.mkdir(parents=True)
    target.write_bytes(snapshot("states/vi/daily.json"))
    load(conn, "vi", source=str(tmp_path))
    api.answers["states/vi/daily.json"] = target.read_bytes()
    load(conn, "vi", source=api.url, force=True)
    assert not any(history(conn).values())


def test_a_load_without_the_past_can_be_followed_by_one_with_it(conn: Connection) -> None:
    load(conn, "vi", past=False)
    load(conn, "vi")
    assert not any(history(conn).values())
    load(conn, "vi", force=True)
    assert compare(conn, ["VI"], 100) > 500


def test_a_damaged_past_fails_its_document_and_nothing_is_written(
    conn: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("vintages", "vi"):
        packed = (loaded_past.FOLDER / f"{name}.json.gz").read_bytes()
        (tmp_path / f"{name}.json.gz").write_bytes(packed if name == "vintages" else packed[:-100])
    with monkeypatch.context() as patch:
        patch.setattr(loaded_past, "FOLDER", tmp_path)
        summary = load(conn, "vi,ma")
    reasons = {trouble.location: trouble.reason for trouble in summary.failed}
    assert reasons == {
        "VI": "the shipped past, vi.json: cut off within gzip data; --no-past loads without it",
        "MA": "the shipped past, ma.json: no such file; --no-past loads without it",
    }
    assert summary.exit_code == 3
    assert fetch_one(conn, "select count(*) from ops.document_load where location_id is not null") == (0,)
    assert load(conn, "vi").exit_code == 0
    assert compare(conn, ["VI"], 100) > 500


def test_a_database_whose_clock_was_before_the_last_vintage_has_no_past(conn: Connection) -> None:
    load(conn, "vi", day=date(2021, 3, 1))
    execute(conn, "update ops.document_load set known_at = '2021-03-02 12:00:00+00'")
    for table in TABLES:
        execute(conn, f"update public.{table} set known_from = '2021-03-02 12:00:00+00'")
    assert load(conn, "vi").exit_code == 0
    assert fetch_one(conn, "select count(*) from ops.vintage") == (0,)
    assert not any(finding.has_failed for finding in validate(conn))


def test_the_command_loads_the_past_unless_told_otherwise(cli: Any, dsn: str) -> None:
    arguments = ("load", "--source", "snapshot", "--locations", "vi")
    assert cli(*arguments, "--no-past").returncode == 0
    connection = psycopg2.connect(dsn)
    with connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from ops.vintage")
        assert cursor.fetchone() == (0,)
    assert cli(*arguments, "--force").returncode == 0
    with connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from ops.vintage")
        assert cursor.fetchone() == (269,)
    connection.close()


# --- what leaves it as it is ---


def test_a_later_load_writes_nothing_to_the_past(few: Connection, api: Api) -> None:
    """Not if it has nothing new, if it is forced, or if it revises and adds."""
    before = physical(few)
    load(few)
    load(few, force=True)
    body = snapshot("states/vi/daily.json")
    api.answers["states/vi/daily.json"] = body.replace(b'"total":{"value":2714,', b'"total":{"value":2715,', 1)
    run(few, LoadOptions(source="api", locations="vi", past=True), {"COVID_ETL_API_URL": api.url})
    assert fetch_one(few, "select count(*) from history.cases_fact_revision where known_from > '2022-01-01'") == (1,)
    assert physical(few) == before
    assert not any(finding.has_failed for finding in validate(few))


def test_a_dry_run_writes_nothing(conn: Connection) -> None:
    assert load(conn, "vi", dry_run=True).exit_code == 0
    assert not any(history(conn).values())
    assert fetch_one(conn, "select count(*) from ops.vintage") == (0,)


def test_a_replay_ends_with_identical_tables_times_included(few: Connection) -> None:
    before = everything(few)
    assert replay(few, "all").exit_code == 0
    assert everything(few) == before
    assert replay(few, "ma").exit_code == 0
    assert everything(few) == before


def test_a_replay_under_other_rules_ends_the_past_with_what_is_loaded_then(few: Connection) -> None:
    """A load that a replay leaves out did not end the past."""
    load(few, "vi", force=True)
    execute(
        few,
        "delete from ops.document_load where document_load_id = (select min(document_load_id)"
        " from ops.document_load where address = 'states/vi/daily.json')",
    )
    (known_at,) = fetch_one(few, "select max(known_at) from ops.document_load where address = 'states/vi/daily.json'")
    assert replay(few, "vi").exit_code == 0
    for table in TABLES:
        ends = fetch_all(
            few,
            f"select distinct known_to from history.{table}_revision inner join public.location_dimension"
            " using (location_id) where location_code = 'VI' and known_to > '2022-01-01'",
        )
        assert ends == [(known_at,)]


def test_prune_leaves_the_past(few: Connection) -> None:
    before = physical(few)
    prune(few, 0)
    assert physical(few) == before


def test_the_role_of_the_daily_job_may_load_and_replay_the_past(few: Connection, conn: Connection) -> None:
    execute(conn, "set role covid_loader")
    assert load(conn, "vi").exit_code == 0
    before = history(conn)
    assert replay(conn, "vi").exit_code == 0
    assert history(conn) == before
    assert [len(before[table]) for table in TABLES] == [len(shipped("VI")[table]) for table in TABLES]


# --- the views ---

# (location, day, measure) -> the changes of the value: when, and to what.
Changes = dict[tuple[str, date, str], list[tuple[datetime, int | None]]]


def changes(code: str) -> Changes:
    """The changes of every number, by plain dicts from the shipped file."""
    found: Changes = {}
    known_at = times(code)
    names = {
        path: label.partition(".")[2] for path, label in labels(shape_of(code)).items() if "cases_dim" not in label
    }
    names |= {
        path: path.removeprefix("tests.").replace(".", "_") for path, name in names.items() if "test_id" in name
    }
    for day, vintage, kind, cells in sorted(msgspec.json.decode(body_of(code)), key=lambda delta: delta[1]):
        keys = {(code.lower(), date.fromisoformat(day), name): path for path, name in names.items()}
        for key, path in keys.items():
            value = None if kind == "x" else cells.get(path, ...)
            steps = found.setdefault(key, [])
            if value is not ... and value != (steps[-1][1] if steps else None):
                steps.append((known_at[vintage], value))
    return {key: steps for key, steps in found.items() if steps}


def test_the_archive_has_every_change_of_a_number_and_nothing_else(few: Connection) -> None:
    expected = {
        (*key[:2], at, key[2], value)
        for code in FEW.upper().split(",")
        for key, steps in changes(code).items()
        for at, value in steps
    }
    rows = fetch_all(few, "select geo_value, time_value, version, measure, value from mart.archive")
    assert len(rows) == len(expected) > 10_000
    assert set(rows) == expected


def test_the_summary_of_revisions_is_what_a_plain_calculation_gives(few: Connection) -> None:
    expected = set()
    for code in ("US", "MA", "VI"):
        for (_, day, measure), steps in changes(code).items():
            known = [(at, value) for at, value in steps if value is not None]
            known = [step for number, step in enumerate(known) if not number or known[number - 1][1] != step[1]]
            if measure == "total_tests" and code != "US":
                continue
            values, lags = [value for _, value in known], [(at.date() - day).days for at, _ in known]
            near = len(values)
            while near and abs(values[near - 1] - values[-1]) <= 0.01 * abs(values[-1]):
                near -= 1
            spread, highest = max(values) - min(values), max(map(abs, values))
            expected.add((
                code, day, measure, len(values) - 1, lags[0], lags[-1], lags[near], spread,
                round(Decimal(spread) / highest, 4) if highest else None, values[-1],
            ))  # fmt: skip
    found = fetch_all(
        few,
        "select location_code, report_date, measure, n_revisions, min_lag, max_lag, lag_near_latest, spread, rel_spread,"
        " latest_value from mart.revision_summary where location_code in ('US', 'MA', 'VI')"
        " and (measure <> 'total_tests' or location_code = 'US')",
    )
    assert len(found) == len(expected) > 5_000
    assert set(found) == expected


def test_a_change_of_the_unit_of_tests_is_no_revision(few: Connection) -> None:
    """Massachusetts counted people until August 2020, and specimens from then on."""
    found = fetch_all(
        few,
        "select total_tests_source, n_revisions, latest_value from mart.revision_summary where location_code = 'MA'"
        " and report_date = '2020-07-01' and measure = 'total_tests' order by latest_value",
    )
    assert found == [(None, 0, 858435), ("totalTestsViral", 0, 1118078)]


@cache
def carried(shape: Shape) -> dict[str, list[datetime]]:
    """Table and column -> the times of the vintages that had it."""
    found: dict[str, list[datetime]] = {}
    for vintage in index().series[shape.name].vintages:
        for path in vintage.paths:
            found.setdefault(labels(shape)[path], []).append(vintage.known_at)
    return found


def test_a_revision_was_published_after_the_vintage_before_that_carried_the_column(few: Connection) -> None:
    found = fetch_all(
        few,
        "select distinct location_code, fact || '.' || measure, known_from, known_after,"
        " lag_days - lag_days_min = known_from::date - known_after::date from mart.revision_history"
        " where fact <> 'testing_detail_fact'",
    )
    assert len(found) > 300
    for code, label, known_from, known_after, is_difference in found:
        carrying = [at for at in carried(shape_of(code))[label] if at < known_from]
        assert (known_after, is_difference) == (carrying[-1], True)


def test_the_vintage_of_an_evening_is_the_last_before_the_next_morning(few: Connection) -> None:
    for evening in (date(2020, 3, 9), date(2020, 3, 10), date(2020, 7, 1), date(2020, 12, 24), date(2021, 6, 1)):
        morning = datetime.combine(evening + timedelta(days=1), time(10), UTC)
        known = [at for code in ("US", "MA") for at in times(code) if at < morning]
        assert fetch_one(few, "select mart.vintage_of(%s)", (evening,)) == (max(known, default=None),)


def test_figures_per_day_as_of_an_instant_are_those_of_the_totals_then(few: Connection) -> None:
    totals = dict(
        fetch_all(
            few,
            "select report_date, total_cases from mart.daily_summary_as_of(mart.vintage_of('2020-07-01'))"
            " where location_code = 'MA'",
        )
    )
    found = fetch_all(
        few,
        "select report_date, new_cases, new_cases_7d_mean from mart.rolling_7d_as_of(mart.vintage_of('2020-07-01'))"
        " inner join mart.new_per_day_as_of(mart.vintage_of('2020-07-01')) as per_day"
        " using (location_code, report_date, new_cases) where location_code = 'MA' and report_date >= '2020-06-01'",
    )
    assert len(found) == 30 + 1
    for day, new_cases, mean in found:
        assert new_cases == totals[day] - totals[day - timedelta(days=1)]
        assert mean == round(Decimal(totals[day] - totals[day - timedelta(days=7)]) / 7, 3)
    for view in ("new_per_day", "rolling_7d"):
        now = fetch_all(few, f"select * from mart.{view} order by location_code, report_date")
        assert now == fetch_all(few, f"select * from mart.{view}_as_of(now()) order by location_code, report_date")
