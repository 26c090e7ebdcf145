"""The checks over what is loaded: what they find in the shipped history, and that each can fail."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl import config
from etl.database import connection as database
from etl.database import embedded as server
from etl.database.checks import Check, validate
from etl.database.connection import Connection, fetch_all
from etl.show.check import as_lines, exit_code
from tests.cli import Cli
from tests.conftest import copied
from tests.documents import document, nation_day
from tests.integration.test_load import days
from tests.warehouse import Warehouse

# What docs/data-quality.md explains. A change here is a change of the data or of a rule.
SHIPPED = {
    "reports without a row in every fact": 0,
    "rows that lead to no document": 0,
    "overlapping times of belief": 0,
    "holes in times of belief": 0,
    "more than 56 states reporting": 0,
    "missing days": 0,
    "falling total of cases": 24,
    "falling total of tests": 49,
    "falling total of deaths": 73,
    "jumps of new cases": 12,
    "jumps of new deaths": 64,
    "days without new cases": 207,
    "figures that went missing": 36,
    "more in intensive care than in hospital": 0,
    "more on ventilators than in intensive care": 57,
    "cases that do not add up": 165,
    "deaths that do not add up": 156,
    "national figures that are not the sum": 0,
    "poor grades": 816,
    "grades that are none": 60,
    "population percents that differ": 0,
    "changes that differ": 0,
    "weekly changes that differ": 0,
    "averages that differ": 0,
}
REQUIRED = list(SHIPPED)[:5]
TIMES_OF_BELIEF = REQUIRED[2:4]


@pytest.fixture
def loaded(loaded_dsn: str) -> Iterator[Connection]:
    with database.connect(config.Database(loaded_dsn)) as opened:
        yield opened


def findings(conn: Connection) -> dict[str, int]:
    return {check.name: check.findings for check in validate(conn)}


def not_checked(checks: list[Check]) -> set[str]:
    return {check.name for check in checks if check.outcome == "NOT CHECKED"}


def test_the_findings_of_the_shipped_history_are_known(loaded: Connection) -> None:
    checks = validate(loaded)
    assert {check.name: check.findings for check in checks} == SHIPPED
    assert [check.name for check in checks if check.kind == "required"] == REQUIRED
    assert all((check.outcome == "NOTED") == (check.findings > 0) for check in checks)
    # The past is not loaded here.
    assert not_checked(checks) == set(TIMES_OF_BELIEF)
    assert exit_code(checks) == 0


def test_the_document_explains_every_finding() -> None:
    text = (config.ROOT / "docs/data-quality.md").read_text()
    table = {
        name: int(count.replace(",", ""))
        for name, count in re.findall(r"^\| (.+?) \| ([\d,]+) \|", text, re.MULTILINE)
    }
    assert table == SHIPPED


def test_backlogs_of_deaths_are_found_also_where_they_take_days(loaded: Connection) -> None:
    found = fetch_all(
        loaded,
        "select location_code, report_date::text, value, compared_with from mart.data_quality"
        " where finding = 'jumps of new deaths' and location_code in ('IN', 'OH') order by 1, 2",
    )
    assert found == [
        ("IN", "2021-02-04", 1546, 37),
        ("OH", "2021-02-11", 721, 63),
        ("OH", "2021-02-12", 2559, 63),
        ("OH", "2021-02-13", 1204, 81),
        ("OH", "2021-03-05", 467, 49),
    ]


def test_a_fall_that_the_source_did_not_report_is_found(conn: Connection, tmp_path: Path) -> None:
    warehouse = Warehouse(conn, tmp_path)
    warehouse.history(days(10) | {"2021-01-08": {"cases__total": 5}})
    fell = fetch_all(conn, "select report_date::text from mart.new_per_day where cases_fell")
    found = fetch_all(
        conn,
        "select report_date::text, value, compared_with from mart.data_quality"
        " where finding = 'falling total of cases'",
    )
    assert (fell, found) == ([("2021-01-08",)], [("2021-01-08", 5, 70)])


def test_what_differs_from_our_own_calculation_is_listed(few_copy: str) -> None:
    with database.connect(config.Database(few_copy)) as conn, conn.cursor() as cursor:
        cursor.execute(
            "update public.testing_detail_fact set change_from_prior_day = 7"
            " where location_id = 6 and report_date = '2021-01-02' and test_id = 2"
        )
        found = fetch_all(
            conn,
            "select location_code, report_date::text, finding, fact, test_type, unit, result, measure,"
            " published_value, recomputed_value from mart.calculated_differences",
        )
        assert findings(conn)["changes that differ"] == 1
    assert found == [
        ("CA", "2021-01-02", "changes that differ", "testing_detail_fact", "pcr", "specimens", "total",
         "change_from_prior_day", 7, 333131),
    ]  # fmt: skip


def test_no_check_is_made_where_nothing_is_loaded(conn: Connection) -> None:
    checks = validate(conn)
    assert not_checked(checks) == set(SHIPPED)
    assert (set(findings(conn).values()), exit_code(checks)) == ({0}, 0)
    assert as_lines(checks)[-1].startswith(
        "0 required failed; 24 not checked: something that they need is not loaded;"
    )


def test_a_check_is_made_only_where_all_that_it_needs_is_loaded(conn: Connection, tmp_path: Path) -> None:
    warehouse = Warehouse(conn, tmp_path)
    sums, states = "national figures that are not the sum", "more than 56 states reporting"
    warehouse.history(days(10))
    assert not_checked(validate(conn)) >= {sums, states, "falling total of deaths", *TIMES_OF_BELIEF}
    assert not_checked(validate(conn)).isdisjoint({"falling total of cases", "missing days", *REQUIRED[:2]})
    warehouse.publish("us/daily.json", document([nation_day("2021-01-01")["data"]]))
    warehouse.load(locations="us")
    assert not_checked(validate(conn)).isdisjoint({sums, states})
    warehouse.history(days(10) | {"2021-01-03": {"cases__total": 31}})
    assert not_checked(validate(conn)).isdisjoint(TIMES_OF_BELIEF)


@pytest.fixture(scope="module")
def revised(server_dsn: str, schema_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """The nation, and California with one revision."""
    with copied(server_dsn, schema_template) as dsn, database.connect(config.Database(dsn)) as conn:
        warehouse = Warehouse(conn, tmp_path_factory.mktemp("revised"))
        nation = [nation_day(f"2021-01-{day:02}", cases__total=day * 10)["data"] for day in range(1, 11)]
        warehouse.publish("us/daily.json", document(nation))
        warehouse.load(locations="us")
        warehouse.history(days(10))
        warehouse.history(days(10) | {"2021-01-03": {"cases__total": 31}})
        yield conn


@pytest.fixture(scope="module")
def before(revised: Connection) -> dict[str, int]:
    return findings(revised)


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        ("delete from public.death_fact where location_id = 6 and report_date = '2021-01-02'", REQUIRED[0]),
        ("update public.cases_fact set known_from = known_from - interval '1 s' where location_id = 6", REQUIRED[1]),
        ("update history.cases_fact_revision set known_to = known_to + interval '1 s'", REQUIRED[2]),
        ("update history.cases_fact_revision set known_to = known_to - interval '1 us'", REQUIRED[3]),
        ("update public.cases_dimension set states_reporting = 224 where location_id = 0", REQUIRED[4]),
        ("delete from public.cases_dimension where location_id = 6 and report_date = '2021-01-02'", "missing days"),
        *(
            (
                f"update public.{fact} set total_{each} = 100 - extract(day from report_date) where location_id = 6",
                f"falling total of {each}",
            )
            for each, fact in (("cases", "cases_fact"), ("tests", "testing_fact"), ("deaths", "death_fact"))
        ),
        (
            "update public.cases_fact set total_cases = total_cases + 5000 where location_id = 6 and report_date >= '2021-01-08'",
            "jumps of new cases",
        ),
        (
            "update public.death_fact set total_deaths = case when report_date < '2021-01-08' then 10 else 110 end"
            " where location_id = 6",
            "jumps of new deaths",
        ),
        (
            "update public.cases_fact set total_cases = 1000 * least(9, extract(day from report_date)) where location_id = 6",
            "days without new cases",
        ),
        (
            "update public.hospitalization_fact set currently_in_icu = 9, currently_hospitalized = 8",
            "more in intensive care than in hospital",
        ),
        (
            "update public.hospitalization_fact set currently_on_ventilator = 9, currently_in_icu = 8",
            "more on ventilators than in intensive care",
        ),
        (
            "update public.cases_fact set confirmed_cases = 1, probable_cases = 1, total_cases = 3",
            "cases that do not add up",
        ),
        (
            "update public.death_fact set confirmed_deaths = 1, probable_deaths = 1, total_deaths = 3",
            "deaths that do not add up",
        ),
        (
            "update public.cases_fact set total_cases = 7 where location_id = 0",
            "national figures that are not the sum",
        ),
        *(
            (
                f"update public.{table} set {column} = nullif(extract(day from report_date), 7) where location_id = 6",
                "figures that went missing",
            )
            for table, column in (
                ("cases_fact", "total_cases"),
                ("testing_fact", "total_tests"),
                ("death_fact", "total_deaths"),
                ("hospitalization_fact", "currently_hospitalized"),
                ("hospitalization_fact", "currently_in_icu"),
                ("hospitalization_fact", "currently_on_ventilator"),
            )
        ),
        ("update public.testing_fact set total_tests = location_id + 1", "national figures that are not the sum"),
        ("update public.death_fact set total_deaths = location_id + 1", "national figures that are not the sum"),
        (
            "update public.hospitalization_fact set currently_hospitalized = location_id + 1",
            "national figures that are not the sum",
        ),
        ("update public.cases_dimension set data_quality_grade = 'F' where location_id = 6", "poor grades"),
        (
            "update public.cases_dimension set data_quality_grade = '#REF!' where location_id = 6",
            "grades that are none",
        ),
        ("update public.death_fact set total_deaths_population_percent = 50", "population percents that differ"),
        ("update public.cases_fact set total_cases_change_from_prior_day = 99", "changes that differ"),
        ("update public.cases_fact set total_cases_seven_day_change_percent = 99", "weekly changes that differ"),
        ("update public.death_fact set total_deaths_seven_day_average = 99", "averages that differ"),
    ],
)
def test_each_check_finds_what_it_is_for(
    revised: Connection, before: dict[str, int], damage: str, check: str
) -> None:
    with database.transaction(revised, rollback=True):
        database.execute(revised, "set local session_replication_role = replica")
        database.execute(revised, damage)
        found = validate(revised)
    assert {each.name: each.findings for each in found}[check] > before[check]
    if check in REQUIRED:
        assert exit_code(found) == 7


def test_the_checks_run_by_hand_in_psql(dsn: str) -> None:
    program = server.psql_program()
    assert program
    file = str(config.ROOT / "sql/checks/validate.sql")
    shown = subprocess.run(
        [program, dsn, "-X", "-v", "ON_ERROR_STOP=1", "-f", file], capture_output=True, text=True, check=True
    )
    assert shown.stdout.count("NOT CHECKED") == len(SHIPPED)


def test_the_command_prints_and_exits_by_the_required_checks(few_copy: str, tmp_path: Path) -> None:
    cli = Cli(few_copy, tmp_path)
    found = cli("check")
    assert found.returncode == 0
    assert re.search(
        r"^NOTED        advisory         \d  falling total of cases: a running total below the day before$",
        found.stdout, re.MULTILINE,
    )  # fmt: skip
    assert found.stdout.splitlines()[-1].startswith(
        "0 required failed: nothing that is loaded contradicts itself; 3 not checked: something that they need is not"
        " loaded; advisory findings are"
    )
    with database.connect(config.Database(few_copy)) as conn, conn.cursor() as cursor:
        cursor.execute("update public.cases_dimension set states_reporting = 224 where cases_id = 20210307")
    assert cli("check").stdout.splitlines()[-1].startswith("1 required failed; 3 not checked: ")
    printed = cli.json("check")
    assert (printed["returncode"], printed["exit_code"]) == (7, 7)
    failed = [
        check["name"] for check in printed["checks"] if check["outcome"] == "FAILED" and check["kind"] == "required"
    ]
    assert failed == ["more than 56 states reporting"]
