"""The schema as Postgres sees it, against the declaration and the files that make it."""

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg2.errors import DuplicateObject
from psycopg2.extensions import make_dsn

from etl import config
from etl.database import connection as database
from etl.database import embedded as server
from etl.database import schema
from etl.database.connection import Connection, execute, fetch_all, fetch_one
from etl.errors import UsageError
from etl.load.merge import FACT_STAMPS, REPORT_STAMPS
from etl.logs import log
from etl.run.pipeline import LoadOptions, run
from etl.run.replay import replay
from etl.show import status
from etl.transform.declaration import (
    CALCULATED,
    DETAIL_TABLE,
    FIRST_DAY,
    LAST_DAY,
    REPORT_TABLE,
    STATE,
    TABLES,
    key_columns,
    value_columns,
)
from tests.conftest import administrator
from tests.documents import state_history
from tests.warehouse import CALIFORNIA, Warehouse

CLASSIC_QUERY = """
select * from Cases_Dimension
join Cases_Fact on Cases_Dimension.cases_id = Cases_Fact.cases_id
join Testing_Fact on Cases_Dimension.cases_id = Testing_Fact.cases_id
join Hospitalization_Fact on Cases_Dimension.cases_id = Hospitalization_Fact.cases_id
join Death_Fact on Cases_Dimension.cases_id = Death_Fact.cases_id;
"""
PROJECT_SCHEMAS = ("public", "history", "ops", "mart")


@pytest.fixture
def empty(empty_dsn: str) -> Iterator[Connection]:
    with database.connect(config.Database(empty_dsn)) as opened:
        yield opened


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_exactly_the_declared_columns(conn: Connection, table: str) -> None:
    stamps = REPORT_STAMPS if table == REPORT_TABLE else FACT_STAMPS
    declared = {"location_id", "cases_id", *key_columns(table), *value_columns(table), *stamps}
    found = fetch_all(
        conn, "select column_name from information_schema.columns where table_schema = 'public' and table_name = %s",
        (table,),
    )  # fmt: skip
    assert {name for (name,) in found} == declared


def test_counts_are_bigint_and_percents_numeric_without_scale(conn: Connection) -> None:
    found = dict(
        fetch_all(
            conn,
            "select attname, format_type(atttypid, atttypmod) from pg_attribute"
            " where attrelid = any(%s::regclass[]) and attnum > 0",
            ([f"public.{table}" for table in TABLES if table != REPORT_TABLE],),
        )
    )
    for metric in STATE.metrics:
        for column, path in metric.columns.items():
            kind = CALCULATED.get(path.rsplit(".", 1)[1], "count")
            assert found[column] == ("numeric" if kind.startswith("percent") else "bigint"), column


@pytest.mark.parametrize("table", TABLES)
def test_the_history_of_a_table_has_its_columns_and_when_it_was_superseded(conn: Connection, table: str) -> None:
    columns = (
        "select column_name, data_type from information_schema.columns where table_schema = %s and table_name = %s"
    )
    current = fetch_all(conn, columns, ("public", table))
    revision = fetch_all(conn, columns, ("history", f"{table}_revision"))
    assert set(revision) - set(current) == {
        ("known_to", "timestamp with time zone"),
        ("change", "text"),
        ("changed_columns", "ARRAY"),
        ("superseded_by_run_id", "bigint"),
    }
    assert set(current) <= set(revision)


def test_keys_and_foreign_keys_are_those_of_the_design(conn: Connection) -> None:
    execute(conn, "set search_path = public")
    found = fetch_all(
        conn,
        "select conrelid::regclass::text, contype, pg_get_constraintdef(oid) from pg_constraint"
        " where connamespace = 'public'::regnamespace and contype in ('p', 'f', 'u')",
    )
    facts = [table for table in TABLES if table != REPORT_TABLE]
    reference = (
        "FOREIGN KEY (location_id, report_date) REFERENCES cases_dimension(location_id, report_date)"
        " DEFERRABLE INITIALLY DEFERRED"
    )
    keys = {(table, "p", f"PRIMARY KEY (location_id, {', '.join(key_columns(table))})") for table in TABLES}
    assert set(found) == keys | {(table, "f", reference) for table in facts} | {
        (REPORT_TABLE, "u", "UNIQUE (cases_id)"),
        (REPORT_TABLE, "f", "FOREIGN KEY (report_date) REFERENCES date_dimension(date)"),
        (REPORT_TABLE, "f", "FOREIGN KEY (location_id) REFERENCES location_dimension(location_id)"),
        (DETAIL_TABLE, "f", "FOREIGN KEY (test_id) REFERENCES test_dimension(test_id)"),
        ("date_dimension", "p", "PRIMARY KEY (date)"),
        ("location_dimension", "p", "PRIMARY KEY (location_id)"),
        ("location_dimension", "u", "UNIQUE (location_code)"),
        ("location_dimension", "u", "UNIQUE (fips)"),
        ("field_definitions_dimension", "p", "PRIMARY KEY (field_definition_id)"),
        ("test_dimension", "p", "PRIMARY KEY (test_id)"),
        ("test_dimension", "u", "UNIQUE (test_type, unit, result)"),
    }


def test_every_schema_table_and_column_has_a_comment(conn: Connection) -> None:
    bare = fetch_all(
        conn,
        """
        select relation.oid::regclass::text, attribute.attname
        from pg_class as relation
        inner join pg_attribute as attribute on attribute.attrelid = relation.oid
        where
            relation.relnamespace::regnamespace::text = any(%s)
            and relation.relkind in ('r', 'v', 'm')
            and attribute.attnum > 0 and not attribute.attisdropped
            and col_description(relation.oid, attribute.attnum) is null
        union all
        select oid::regclass::text, null
        from pg_class
        where
            relnamespace::regnamespace::text = any(%s) and relkind in ('r', 'v', 'm')
            and obj_description(oid, 'pg_class') is null
        union all
        select nspname, null
        from pg_namespace
        where nspname = any(%s) and obj_description(oid, 'pg_namespace') is null
        """,
        (list(PROJECT_SCHEMAS),) * 3,
    )
    assert bare == []


def test_the_classic_query_runs_as_it_stands(conn: Connection) -> None:
    execute(conn, "set search_path = public")
    assert fetch_all(conn, CLASSIC_QUERY) == []


def test_the_test_dimension_is_the_declared_one(conn: Connection) -> None:
    declared = [(metric.test_id, *metric.path.split(".")[1:]) for metric in STATE.metrics if metric.test_id]
    found = fetch_all(conn, "select test_id, test_type, unit, result from public.test_dimension order by 1")
    assert found == declared


def test_locations_are_seeded_with_fips_numbers_and_populations(conn: Connection) -> None:
    found = fetch_all(
        conn, "select location_type, count(*), sum(population) from public.location_dimension group by 1 order by 1"
    )
    assert found == [("nation", 1, 330792917), ("state", 51, 324697795), ("territory", 5, 3704397)]
    assert fetch_all(conn, "select * from public.location_dimension where location_id <> fips::int") == []
    california = (
        "select location_id, name, fips, population from public.location_dimension where location_code = 'CA'"
    )
    assert fetch_one(conn, california) == (6, "California", "06", 39283497)


def test_states_are_in_the_divisions_of_the_census_bureau(conn: Connection) -> None:
    # U.S. Census Bureau, Census Regions and Divisions of the United States.
    divisions = {
        ("Northeast", "New England"): "CT MA ME NH RI VT",
        ("Northeast", "Middle Atlantic"): "NJ NY PA",
        ("Midwest", "East North Central"): "IL IN MI OH WI",
        ("Midwest", "West North Central"): "IA KS MN MO ND NE SD",
        ("South", "South Atlantic"): "DC DE FL GA MD NC SC VA WV",
        ("South", "East South Central"): "AL KY MS TN",
        ("South", "West South Central"): "AR LA OK TX",
        ("West", "Mountain"): "AZ CO ID MT NM NV UT WY",
        ("West", "Pacific"): "AK CA HI OR WA",
        (None, None): "AS GU MP PR US VI",
    }
    found = fetch_all(
        conn,
        "select census_region, census_division, string_agg(location_code, ' ' order by location_code)"
        " from public.location_dimension group by 1, 2",
    )
    assert {(region, division): codes for region, division, codes in found} == divisions


# --- the calendar ---


def mmwr(day: date) -> tuple[int, int]:
    """The CDC's week by its own definition: Sunday to Saturday; week 1 has four days or more in January."""
    sunday = day - timedelta(days=day.isoweekday() % 7)
    year = (sunday + timedelta(days=3)).year
    january = date(year, 1, 1)
    first = january - timedelta(days=january.isoweekday() % 7)
    if (january - first).days > 3:
        first += timedelta(days=7)
    return year, (sunday - first).days // 7 + 1


def test_the_calendar_has_every_day_with_its_weeks(conn: Connection) -> None:
    found = fetch_all(
        conn,
        "select date, year, month, day_of_month, month_start, iso_year, iso_week, iso_weekday, mmwr_year, mmwr_week,"
        " weekday_name, is_weekend from public.date_dimension order by date",
    )
    days = [FIRST_DAY + timedelta(days=n) for n in range((LAST_DAY - FIRST_DAY).days + 1)]
    assert found == [
        (
            day, day.year, day.month, day.day, day.replace(day=1), *day.isocalendar(), *mmwr(day),
            day.strftime("%A"), day.isoweekday() > 5,
        )
        for day in days
    ]  # fmt: skip


def test_mmwr_weeks_agree_with_the_cdc_s_calendar(conn: Connection) -> None:
    # Last days of the MMWR years 2020 (53 weeks) and 2025, as the CDC's published calendars have them.
    found = fetch_all(
        conn,
        "select date::text, mmwr_year, mmwr_week from public.date_dimension"
        " where date in ('2021-01-02', '2021-01-03', '2026-01-03', '2026-01-04') order by 1",
    )
    assert found == [
        ("2021-01-02", 2020, 53),
        ("2021-01-03", 2021, 1),
        ("2026-01-03", 2025, 53),
        ("2026-01-04", 2026, 1),
    ]


def test_federal_holidays_are_those_of_the_law(conn: Connection) -> None:
    found = fetch_all(
        conn,
        "select date::text, federal_holiday from public.date_dimension"
        " where year = 2021 and federal_holiday is not null order by date",
    )
    assert found == [
        ("2021-01-01", "New Year's Day"),
        ("2021-01-18", "Birthday of Martin Luther King, Jr."),
        ("2021-02-15", "Washington's Birthday"),
        ("2021-05-31", "Memorial Day"),
        ("2021-06-19", "Juneteenth National Independence Day"),
        ("2021-07-04", "Independence Day"),
        ("2021-09-06", "Labor Day"),
        ("2021-10-11", "Columbus Day"),
        ("2021-11-11", "Veterans Day"),
        ("2021-11-25", "Thanksgiving Day"),
        ("2021-12-25", "Christmas Day"),
    ]
    juneteenth = "select federal_holiday from public.date_dimension where date = '2020-06-19'"
    assert fetch_one(conn, juneteenth) == (None,)


# --- how the schema is applied ---


def test_files_are_applied_once_and_recorded_with_their_checksums(empty: Connection) -> None:
    names = [*schema.tables(), schema.VIEWS]
    assert schema.upgrade(empty) == names
    assert schema.upgrade(empty) == []
    recorded = fetch_all(empty, "select file from ops.migration order by file")
    assert recorded == [(name,) for name in names]


def test_each_file_also_runs_by_hand_with_psql(empty_dsn: str) -> None:
    program = server.psql_program()
    assert program
    for path in [*sorted((database.SQL / "ddl").glob("*.sql")), *sorted((database.SQL / "views").glob("*.sql"))]:
        result = subprocess.run(
            [program, empty_dsn, "-X", "-v", "ON_ERROR_STOP=1", "-f", str(path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr


def test_a_schema_made_by_hand_is_refused_with_a_reason(empty: Connection) -> None:
    with empty.cursor() as cursor:
        cursor.execute("create schema ops")
    with pytest.raises(UsageError, match=r"000_operations\.sql cannot be applied.*use an empty database"):
        schema.upgrade(empty)


def test_a_schema_of_a_newer_version_is_refused(conn: Connection) -> None:
    with conn.cursor() as cursor:
        cursor.execute("insert into ops.migration (file, checksum) values ('migrations/999_future.sql', 'x')")
    with pytest.raises(
        UsageError, match=r"whose sql/migrations/999_future\.sql differs or is not here: use that program"
    ):
        schema.upgrade(conn)


def test_tables_of_another_state_are_refused_with_the_way_out(conn: Connection) -> None:
    with conn.cursor() as cursor:
        cursor.execute("update ops.migration set checksum = 'x' where file = 'ddl/020_facts.sql'")
    with pytest.raises(
        UsageError, match=r"whose sql/ddl/020_facts\.sql differs or is not here: .*load into a new database"
    ):
        schema.upgrade(conn)


def test_a_file_that_fails_leaves_nothing_behind(
    empty: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    good, bad = tmp_path / "ddl/a.sql", tmp_path / "ddl/b.sql"
    good.parent.mkdir()
    good.write_text(schema.tables()["ddl/000_operations.sql"])
    bad.write_text("create table public.half (n int); select 1/0;")
    monkeypatch.setattr(schema, "SQL", tmp_path)
    with pytest.raises(Exception, match="division by zero"):
        schema.upgrade(empty)
    assert fetch_all(empty, "select file from ops.migration") == [("ddl/a.sql",)]
    assert fetch_one(empty, "select to_regclass('public.half')") == (None,)


def test_without_the_schema_a_command_says_what_to_run(empty: Connection) -> None:
    with pytest.raises(UsageError, match=r"run `main\.py load` or `main\.py init-db` first"):
        schema.require(empty)


# --- the foreign keys ---

KEYS = """
    select conrelid::regclass::text, pg_get_constraintdef(oid), convalidated
    from pg_constraint
    where contype = 'f' and connamespace = 'public'::regnamespace
    order by 1, 2
"""


def test_a_load_that_makes_the_schema_leaves_the_keys_that_init_db_makes(
    conn: Connection, empty: Connection, tmp_path: Path
) -> None:
    assert Warehouse(empty, tmp_path).history({"2021-01-01": {"cases__total": 1}}).exit_code == 0
    keys = fetch_all(empty, KEYS)
    assert keys == fetch_all(conn, KEYS)
    assert len(keys) == 8
    assert all(validated for _, _, validated in keys)
    schema.require(empty)


def test_keys_that_a_broken_off_load_has_not_made_are_made_by_the_next(
    conn: Connection, empty: Connection, tmp_path: Path
) -> None:
    """The progress is shown after each document: the load breaks off there."""

    def leave(*_: int) -> None:
        raise KeyboardInterrupt

    warehouse = Warehouse(empty, tmp_path)
    warehouse.publish(CALIFORNIA, state_history("CA", {"2021-01-01": {"cases__total": 1}}))
    options = LoadOptions(source=str(tmp_path), locations="ca")
    with pytest.raises(KeyboardInterrupt):
        run(empty, options, {}, leave)
    assert fetch_all(empty, "select location_id, total_cases from public.cases_fact") == [(6, 1)]
    assert fetch_all(empty, KEYS) == []
    assert [entry.status for entry in status.read(empty).runs] == ["running"]
    assert run(empty, LoadOptions(source=str(tmp_path), locations="ca", dry_run=True), {}).exit_code == 0
    assert replay(empty, "ca").exit_code == 0
    schema.require(empty)
    execute(empty, "grant usage on schema ops, public to covid_loader; set role covid_loader")
    with pytest.raises(
        UsageError,
        match=r"the schema lacks sql/ddl/050_keys.sql, which only its owner can apply: run `main.py init-db` as",
    ):
        run(empty, options, {})
    execute(empty, "reset role")
    assert run(empty, options, {}).exit_code == 0
    assert fetch_all(empty, KEYS) == fetch_all(conn, KEYS)


# --- roles ---


def test_an_owner_without_the_right_to_create_roles_skips_them_with_a_notice(
    empty_dsn: str, ordinary_dsn: str
) -> None:
    with administrator(empty_dsn) as cursor:
        cursor.execute("grant create on schema public to public")
        cursor.execute("select current_database()")
        cursor.execute(f"grant create on database {cursor.fetchone()[0]} to public")
    with database.connect(config.Database(ordinary_dsn)) as opened, opened.cursor() as cursor:
        for name, text in schema.tables().items():
            # The server may have the roles already: ask for others.
            cursor.execute(re.sub(r"covid_(loader|reader)", r"covid_\1_of_nobody", text) if "roles" in name else text)
        notices = [notice for notice in opened.notices if "is missing" in notice]
    assert ["covid_loader_of_nobody" in notices[0], "covid_reader_of_nobody" in notices[1]] == [True, True]
    assert "may not create it; an administrator can: create role covid_loader_of_nobody;" in notices[0]


# --- upgrades: migrations over today's tables, and the one set of views ---

# What an analyst has made beside and on top of our objects.
ANALYST = """
    create table public.notes (text text);
    create index analyst_index on public.cases_fact (total_cases);
    alter table public.cases_fact add column my_note text;
    alter table public.death_fact add column at timestamptz;
    alter table history.death_fact_revision add column remark text;
    grant select on mart.latest to analyst;
    create schema analyst;
    create view analyst.of_tables as select total_cases from public.cases_fact;
    create view mart.of_an_analyst as select total_deaths from public.death_fact;
"""
HANGING = """
    create view analyst.of_ours as select location_code, total_cases from mart.latest;
    create materialized view analyst.kept as select location_code from analyst.of_ours;
    create function analyst.of_time() returns setof mart.daily_summary language sql
        begin atomic select * from mart.daily_summary_as_of(now()); end;
"""
MIGRATION = """
    alter table public.death_fact add column excess_deaths bigint;
    alter table history.death_fact_revision add column excess_deaths bigint;
"""
AS_OF = "select count(*) from history.{}_as_of(now())"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `sql/`, from which the schema is made."""
    copy = tmp_path / "sql"
    shutil.copytree(database.SQL, copy)
    monkeypatch.setattr(schema, "SQL", copy)
    return copy


@pytest.fixture
def lived_in(conn: Connection, tmp_path: Path, server_dsn: str) -> Iterator[Warehouse]:
    """A database with data, history and an analyst's objects."""
    with administrator(server_dsn) as cursor, suppress(DuplicateObject):
        cursor.execute("create role analyst")
    warehouse = Warehouse(conn, tmp_path / "source")
    warehouse.history({"2021-01-01": {"outcomes__death__total": 1}})
    warehouse.history({"2021-01-01": {"outcomes__death__total": 2}})
    execute(conn, ANALYST)
    yield warehouse
    execute(conn, "reset role; drop owned by analyst")


def add_migration(folder: Path, number: int, text: str) -> str:
    path = folder / f"migrations/{number:04}_test.sql"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return f"migrations/{path.name}"


def change_views(folder: Path, column: str = "name") -> None:
    """Another version of the set, in which a view has more columns and another view is new."""
    with (folder / "views/999_more.sql").open("a") as file:
        file.write(f"create view mart.more as select {column} from mart.latest;\n")


def picture(conn: Connection) -> list[Any]:
    """Every object of the database and every row of the star and its history."""
    described = (
        "select oid, relname, relkind, relacl::text from pg_class where oid > 16384 and relkind <> 't' order by 1"
    )
    tables = [place for table in TABLES for place in (f"public.{table}", f"history.{table}_revision")]
    return [
        fetch_all(conn, described),
        fetch_all(conn, "select oid, proname, prosrc from pg_proc where oid > 16384 order by 1"),
        fetch_all(conn, "select file, checksum, objects, applied_at from ops.migration order by 1"),
        *(fetch_all(conn, f"select * from {table} order by 1, 2") for table in tables),
    ]


def test_migrations_apply_in_order_over_data_and_the_objects_of_people(lived_in: Warehouse, folder: Path) -> None:
    conn = lived_in.conn
    names = [
        add_migration(folder, 1, MIGRATION),
        add_migration(folder, 2, "update public.death_fact set excess_deaths = 3"),
    ]
    with pytest.raises(UsageError, match="not up to date"):
        schema.require(conn)
    assert schema.upgrade(conn) == [*names, schema.VIEWS]
    assert schema.upgrade(conn) == []
    schema.require(conn)
    assert fetch_all(conn, "select total_deaths, excess_deaths from history.death_fact_as_of(now())") == [(2, 3)]
    (definition,) = fetch_one(conn, "select pg_get_viewdef('mart.revision_history')")
    assert "excess_deaths" in definition
    assert fetch_all(conn, "select old_value, new_value from mart.revision_history") == [(1, 2)]
    assert fetch_one(conn, "select has_table_privilege('analyst', 'mart.latest', 'select')") == (True,)
    assert fetch_all(conn, "select * from mart.of_an_analyst, analyst.of_tables") == [(2, None)]
    assert lived_in.history({"2021-01-01": {"outcomes__death__total": 5}}).exit_code == 0
    for table in TABLES:
        fetch_all(conn, AS_OF.format(table))


def test_a_migration_that_fails_leaves_everything_as_it_was(lived_in: Warehouse, folder: Path) -> None:
    before = picture(lived_in.conn)
    add_migration(folder, 1, f"{MIGRATION} select 1/0;")
    with pytest.raises(UsageError, match=r"sql/migrations/0001_test\.sql cannot be applied: .*division by zero"):
        schema.upgrade(lived_in.conn)
    assert picture(lived_in.conn) == before


def test_a_migration_that_has_changed_or_is_newer_is_refused(lived_in: Warehouse, folder: Path) -> None:
    add_migration(folder, 1, MIGRATION)
    schema.upgrade(lived_in.conn)
    add_migration(folder, 1, f"{MIGRATION}\n")
    with pytest.raises(UsageError, match=r"whose sql/migrations/0001_test\.sql differs"):
        schema.upgrade(lived_in.conn)
    (folder / "migrations/0001_test.sql").unlink()
    with pytest.raises(
        UsageError, match=r"whose sql/migrations/0001_test\.sql differs or is not here: use that program"
    ):
        schema.upgrade(lived_in.conn)


def test_views_are_made_again_as_one_set_forward_and_back(lived_in: Warehouse, folder: Path) -> None:
    conn = lived_in.conn
    kept = fetch_one(conn, "select 'mart.latest'::regclass::oid")
    assert schema.upgrade(conn) == []
    assert fetch_one(conn, "select 'mart.latest'::regclass::oid") == kept
    change_views(folder)
    assert schema.upgrade(conn) == [schema.VIEWS]
    assert fetch_all(conn, "select name from mart.more") == [("California",)]
    assert fetch_one(conn, "select 'mart.latest'::regclass::oid") != kept
    (folder / "views/999_more.sql").unlink()
    assert schema.upgrade(conn) == [schema.VIEWS]
    assert fetch_one(conn, "select to_regclass('mart.more'), to_regclass('mart.of_an_analyst') is null") == (
        None,
        False,
    )
    assert lived_in.history({"2021-01-01": {"outcomes__death__total": 6}}).exit_code == 0


def test_views_that_people_build_on_stay_and_the_load_goes_on(
    lived_in: Warehouse, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    conn = lived_in.conn
    execute(conn, HANGING)
    before = picture(conn)
    change_views(folder)
    monkeypatch.setattr(log, "propagate", True)
    assert schema.upgrade(conn) == []
    assert picture(conn) == before
    (warning,) = [vars(record) for record in caplog.records if record.levelname == "WARNING"]
    assert warning["in_the_way"] == "view analyst.of_ours, materialized view analyst.kept, function analyst.of_time()"
    schema.require(conn)
    with pytest.raises(UsageError, match="the tables are up to date, but not the views"):
        schema.require_views(conn)
    assert lived_in.history({"2021-01-01": {"outcomes__death__total": 6}}).exit_code == 0
    # What the warning says puts everything back.
    execute(conn, "drop function analyst.of_time; drop materialized view analyst.kept; drop view analyst.of_ours")
    assert schema.upgrade(conn) == [schema.VIEWS]
    schema.require_views(conn)
    execute(conn, warning["put_back"])
    assert fetch_all(conn, "select * from analyst.kept") == [("CA",)]
    assert fetch_all(conn, "select total_deaths from analyst.of_time()") == [(6,)]


def test_a_reader_of_a_view_is_not_waited_for_without_end(
    lived_in: Warehouse, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    conn = lived_in.conn
    change_views(folder)
    before = picture(conn)
    monkeypatch.setattr(log, "propagate", True)
    monkeypatch.setattr(schema, "VIEW_LOCK_TIMEOUT", "50ms")
    with administrator(make_dsn(conn.dsn, password=conn.info.password, application_name="a notebook")) as reader:
        reader.execute("begin; select * from mart.latest")
        assert schema.upgrade(conn) == []
        assert picture(conn) == before
        (warning,) = [vars(record) for record in caplog.records if record.levelname == "WARNING"]
        assert "(a notebook) since 20" in warning["reason"]
        assert fetch_one(conn, "show lock_timeout") == ("5s",)
        timer = threading.Timer(0.2, reader.execute, ["rollback"])
        timer.start()
        assert schema.upgrade(conn) == [schema.VIEWS]
        timer.join()


def test_a_loader_that_does_not_own_the_views_loads_without_new_ones(
    lived_in: Warehouse, folder: Path, dsn: str
) -> None:
    change_views(folder)
    with database.connect(config.Database(dsn)) as loader:
        execute(loader, "set role covid_loader")
        assert schema.upgrade(loader) == []
        lived_in.conn = loader
        assert lived_in.history({"2021-01-01": {"outcomes__death__total": 6}}).exit_code == 0


def test_what_people_add_breaks_neither_a_load_nor_an_as_of(lived_in: Warehouse) -> None:
    conn = lived_in.conn
    for table in TABLES:
        execute(conn, f"alter table public.{table} add column is_staged text, add column change text default 'x'")
    summary = lived_in.history({"2021-01-01": {"outcomes__death__total": 7}, "2021-01-02": {}})
    assert (summary.exit_code, summary.revisions) == (0, 1)
    for table in TABLES:
        fetch_all(conn, AS_OF.format(table))
    assert fetch_all(conn, "select total_deaths from mart.daily_summary_as_of(now()) order by report_date") == [
        (7,),
        (None,),
    ]
    assert fetch_all(conn, "select old_value, new_value from mart.revision_history order by 1") == [(1, 2), (2, 7)]
