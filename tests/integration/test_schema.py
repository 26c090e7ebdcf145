"""The schema as Postgres sees it, against the declaration and the files that make it."""

import re
import subprocess
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from etl import config
from etl.database import connection as database
from etl.database import embedded as server
from etl.database import schema
from etl.database.connection import Connection, fetch_all, fetch_one
from etl.errors import UsageError
from etl.load.merge import FACT_STAMPS, REPORT_STAMPS
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
            ([table for table in TABLES if table != REPORT_TABLE],),
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
    assert fetch_all(conn, CLASSIC_QUERY) == []


def test_the_test_dimension_is_the_declared_one(conn: Connection) -> None:
    declared = [m.test for m in STATE.metrics if m.test]
    found = fetch_all(conn, "select test_id, test_type, unit, result from test_dimension order by 1")
    assert found == [(test.test_id, test.test_type, test.unit, test.result) for test in declared]


def test_locations_are_seeded_with_fips_numbers_and_populations(conn: Connection) -> None:
    found = fetch_all(
        conn, "select location_type, count(*), sum(population) from location_dimension group by 1 order by 1"
    )
    assert found == [("nation", 1, 330792917), ("state", 51, 324697795), ("territory", 5, 3704397)]
    assert fetch_all(conn, "select * from location_dimension where location_id <> fips::int") == []
    california = "select location_id, name, fips, population from location_dimension where location_code = 'CA'"
    assert fetch_one(conn, california) == (6, "California", "06", 39283497)


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
        " weekday_name, is_weekend from date_dimension order by date",
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
        "select date::text, mmwr_year, mmwr_week from date_dimension"
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
        "select date::text, federal_holiday from date_dimension"
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
    juneteenth = "select federal_holiday from date_dimension where date = '2020-06-19'"
    assert fetch_one(conn, juneteenth) == (None,)


# --- how the schema is applied ---


def test_files_are_applied_once_and_recorded_with_their_checksums(empty: Connection) -> None:
    names = list(schema.files())
    assert schema.upgrade(empty) == names
    assert schema.upgrade(empty) == []
    recorded = fetch_all(empty, "select file from ops.migration order by file")
    assert recorded == [(name,) for name in names]


def test_each_file_also_runs_by_hand_with_psql(empty_dsn: str) -> None:
    program = server.psql_program()
    assert program
    for path in schema.files().values():
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
    with pytest.raises(UsageError, match=r"newer version.*migrations/999_future\.sql.*upgrade the program"):
        schema.upgrade(conn)


def test_an_applied_file_that_has_changed_is_refused(conn: Connection) -> None:
    with conn.cursor() as cursor:
        cursor.execute("update ops.migration set checksum = 'x' where file = 'ddl/020_facts.sql'")
    with pytest.raises(UsageError, match=r"sql/ddl/020_facts\.sql has changed since it was applied"):
        schema.upgrade(conn)


def test_a_changed_view_is_applied_again(conn: Connection) -> None:
    with conn.cursor() as cursor:
        cursor.execute("drop view mart.daily_summary cascade")
        cursor.execute("update ops.migration set checksum = 'x' where file = 'views/020_mart.sql'")
    assert schema.upgrade(conn) == ["views/020_mart.sql"]
    assert fetch_all(conn, "select * from mart.daily_summary") == []
    assert schema.upgrade(conn) == []


def test_views_follow_the_tables(conn: Connection) -> None:
    with conn.cursor() as cursor:
        cursor.execute("alter table death_fact add column excess_deaths bigint")
        cursor.execute("alter table history.death_fact_revision add column excess_deaths bigint")
        cursor.execute("delete from ops.migration where file = 'ddl/040_roles.sql'")
    views = [name for name in schema.files() if name.startswith("views/")]
    assert schema.upgrade(conn) == ["ddl/040_roles.sql", *views]
    assert fetch_all(conn, "select excess_deaths from history.death_fact_as_of(now())") == []
    (definition,) = fetch_one(conn, "select pg_get_viewdef('mart.revision_history')")
    assert "excess_deaths" in definition


def test_a_file_that_fails_leaves_nothing_behind(
    empty: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    good, bad = tmp_path / "a.sql", tmp_path / "b.sql"
    good.write_text(schema.files()["ddl/000_operations.sql"].read_text())
    bad.write_text("create table half (n int); select 1/0;")
    monkeypatch.setattr(schema, "files", lambda: {"ddl/a.sql": good, "ddl/b.sql": bad})
    with pytest.raises(Exception, match="division by zero"):
        schema.upgrade(empty)
    assert fetch_all(empty, "select file from ops.migration") == [("ddl/a.sql",)]
    assert fetch_one(empty, "select to_regclass('half')") == (None,)


def test_without_the_schema_a_command_says_what_to_run(empty: Connection) -> None:
    with pytest.raises(UsageError, match=r"run `main\.py load` or `main\.py init-db` first"):
        schema.require(empty)


# --- roles ---


def test_the_reader_reads_everything_and_writes_nothing(conn: Connection) -> None:
    with conn.cursor() as cursor:
        cursor.execute("create table public.later (n int); set role covid_reader")
    assert fetch_one(conn, "select count(*) from cases_fact, history.cases_fact_revision, public.later") == (0,)
    with pytest.raises(Exception, match="permission denied"):
        fetch_all(conn, "delete from cases_fact")


def test_the_loader_role_can_do_all_that_a_load_does_and_no_ddl(dsn: str) -> None:
    from etl.run.pipeline import LoadOptions, run

    with database.connect(config.Database(dsn)) as opened:
        with opened.cursor() as cursor:
            cursor.execute("set role covid_loader")
        assert run(opened, LoadOptions(source="snapshot", locations="us,vi"), {}).exit_code == 0
        with pytest.raises(Exception, match="must be owner"):
            fetch_all(opened, "drop table cases_fact")


def test_an_owner_without_the_right_to_create_roles_skips_them_with_a_notice(
    empty_dsn: str, ordinary_dsn: str
) -> None:
    with administrator(empty_dsn) as cursor:
        cursor.execute("grant create on schema public to public")
        cursor.execute("select current_database()")
        cursor.execute(f"grant create on database {cursor.fetchone()[0]} to public")
    with database.connect(config.Database(ordinary_dsn)) as opened, opened.cursor() as cursor:
        for name, path in schema.files().items():
            text = path.read_text()
            # The server may have the roles already: ask for others.
            cursor.execute(re.sub(r"covid_(loader|reader)", r"covid_\1_of_nobody", text) if "roles" in name else text)
        notices = [notice for notice in opened.notices if "is missing" in notice]
    assert ["covid_loader_of_nobody" in notices[0], "covid_reader_of_nobody" in notices[1]] == [True, True]
    assert "may not create it; an administrator can: create role covid_loader_of_nobody;" in notices[0]
