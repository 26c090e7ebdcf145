"""The README and the other pages against the program: each command runs, each claim that can be checked is."""

import os
import re
import shlex
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from etl import config
from etl.cli import commands as cli
from etl.cli import options
from etl.config import ROOT
from etl.database import connection as database
from etl.database.connection import execute, fetch_all
from etl.errors import ExitCode, first
from tests.cli import Cli
from tests.conftest import FEW, Command
from tests.integration.test_schema import CLASSIC_QUERY

PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for pattern in ("*.md", "docs/*.md", "docs/adr/*.md", "deploy/**/*.md", "snapshot/*.md")
    for path in sorted(ROOT.glob(pattern))
}
README, COMMANDS, CONFIGURATION = (PAGES[name] for name in ("README.md", "docs/commands.md", "docs/configuration.md"))
# Made by `make dictionary`, of the comments in the schema.
DICTIONARY = "docs/data-dictionary.md"
# Pages whose steps have tests of their own: tests/e2e/test_day_2.py, tests/deploy and tests/docker/test_backup.py.
STEPS = {"docs/day-2.md", "deploy/aws/README.md"}
PROGRAM = ".venv/bin/python main.py"
LONGEST_README = 150


def blocks(language: str, page: str) -> list[str]:
    """The fenced blocks of a page in a language; '' for those that name none."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [text for named, text in fenced if named == language]


def lines() -> list[str]:
    """The commands of all pages, each once, without their comments."""
    found = [
        line
        for name, page in PAGES.items()
        if name not in STEPS
        for block in blocks("sh", page)
        for line in block.splitlines()
        if line
    ]
    return list(dict.fromkeys(re.sub(r"\s{2,}#.*", "", line) for line in found))


def table_under(heading: str, page: str) -> list[list[str]]:
    """The cells of the table whose first line is given, without that line."""
    found = re.search(rf"^{re.escape(heading)}\n\|[-|]+\|\n((?:\|.*\n)+)", page, re.MULTILINE)
    assert found, heading
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()]


# --- commands ---

PROGRAM_LINES = [line for line in lines() if PROGRAM in line]
# Run on a database that is loaded.
REPORT_LINES = [line for line in PROGRAM_LINES if f"{PROGRAM} report " in line]
DOCUMENT_LINES = [line for line in PROGRAM_LINES if f"{PROGRAM} document " in line]
MAKE_LINES = [line for line in lines() if line.startswith("make ")]
# Run by tests/docker.
DOCKER_LINES = [line for line in lines() if line.startswith(("docker", "psql -h docker_postgresql"))]


def test_the_readme_is_read_in_one_go() -> None:
    assert len(README.splitlines()) <= LONGEST_README


def test_every_command_is_run_by_some_test() -> None:
    assert set(lines()) == {*PROGRAM_LINES, *MAKE_LINES, *DOCKER_LINES}
    docker_tests = (ROOT / "tests/docker/test_compose.py").read_text().replace("{CONTAINER}", "docker_postgresql")
    for line in DOCKER_LINES:
        parts = [line, ", ".join(f'"{word}"' for word in shlex.split(line)[2:4])]
        assert any(part in docker_tests for part in parts), line


@pytest.mark.parametrize("line", [line for line in PROGRAM_LINES if line not in REPORT_LINES + DOCUMENT_LINES])
def test_a_command_of_the_pages_runs(
    line: str, command: Command, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assignments, _, rest = line.partition(PROGRAM)
    # The address on the page is an example; the test's own database takes its place.
    assert assignments.strip() in ("", "DATABASE_URL=postgresql://me@db.example/covid")
    run = command if rest.startswith(" psql") else cli
    # A command that names no locations takes a few here, and none asks the API.
    result = run(*shlex.split(rest), COVID_ETL_LOCATIONS=FEW, COVID_ETL_API_URL="http://127.0.0.1:9")
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("line", REPORT_LINES)
def test_a_page_or_picture_of_the_pages_is_written(line: str, few_dsn: str, tmp_path: Path) -> None:
    *words, folder = shlex.split(line.removeprefix(PROGRAM))
    written = tmp_path / Path(folder).name
    result = Cli(few_dsn, tmp_path)(*words, str(written))
    assert result.returncode == 0, result.stderr
    assert list(written.iterdir())


def test_the_place_of_a_figure_is_the_one_of_the_page(few_dsn: str, tmp_path: Path) -> None:
    """The numbers of documents and the time are those of another database."""
    (line,) = DOCUMENT_LINES
    shown = Cli(few_dsn, tmp_path)(*shlex.split(line.removeprefix(PROGRAM))).stdout
    (page,) = [block for block in blocks("", COMMANDS) if "its place there" in block]
    loaded, printed = (re.sub(r"document \d+|from \S+Z", "", text).strip() for text in (shown, page))
    assert loaded == printed


def make(*arguments: str) -> str:
    """What make prints, as if typed: the tests themselves may run below another make."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    shown = subprocess.run(["make", *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    return shown.stdout


@pytest.mark.parametrize("line", MAKE_LINES)
def test_a_make_target_of_the_pages_is_there(line: str) -> None:
    assert ".venv/bin/" in make("-n", *shlex.split(line)[1:])


def test_make_alone_lists_the_targets() -> None:
    targets = "load export report backup restore test test-all test-faults soak test-deploy test-docker test-spark lint lock rds-ca docs erd dictionary bench bench-scale verify-snapshot clean"
    assert [line.split()[0] for line in make().splitlines()] == targets.split()


def test_the_table_of_commands_is_the_program_s() -> None:
    assert [name for name, _ in table_under("| command | does |", COMMANDS)] == [f"`{name}`" for name in cli.COMMANDS]


def test_the_crontab_line_is_the_shipped_one() -> None:
    (line,) = re.findall(r"^30 17 .*$", README, re.MULTILINE)
    assert line in (ROOT / "deploy/cron/crontab").read_text().splitlines()


# --- results ---


@pytest.mark.slow
def test_the_summary_in_the_readme_is_what_a_load_prints(cli: Cli) -> None:
    shown = cli("load", "--source", "snapshot").stdout.splitlines()
    (quoted,) = (block for block in blocks("", README) if block.startswith("ok "))
    assert shown[1:] == quoted.splitlines()[1:]
    assert re.sub(r"[\d.]+ s$", "", shown[0]) == re.sub(r"[\d.]+ s$", "", quoted.splitlines()[0])


def test_the_psql_session_of_the_readme_prints_what_it_shows(loaded_dsn: str, tmp_path: Path) -> None:
    (session,) = (block for block in blocks("", README) if block.startswith("=# "))
    typed = [line[3:] for line in session.splitlines() if line.startswith(("=# ", "-# "))]
    shown = [line for line in session.splitlines() if not line.startswith(("=# ", "-# "))]
    result = Command(loaded_dsn, tmp_path)("psql", "--", "-Xc", "\n".join(typed))
    assert result.stdout.splitlines() == [*shown, ""]


def test_the_query_that_joins_the_facts_is_the_classic_one() -> None:
    (classic,) = blocks("sql", README)
    assert classic.split() == CLASSIC_QUERY.split()


def test_the_queries_of_the_pages_run(loaded_dsn: str) -> None:
    with database.connect(config.Database(loaded_dsn)) as conn:
        execute(conn, "set search_path = public")
        found = {
            name: [fetch_all(conn, query) for query in blocks("sql", page)]
            for name, page in PAGES.items()
            if name not in STEPS
        }
        (past,) = blocks("sql", PAGES["docs/tables.md"])
        assert len(fetch_all(conn, past.replace("mart.vintage_of('2020-07-01')", "now()"))) == 7
    assert len(found["README.md"][0]) == 21200
    assert found["docs/tables.md"] == [[]]
    deaths = found["docs/analysis.md"][0]
    assert (len(deaths), str(deaths[0][0]), deaths[0][1:]) == (
        31,
        "2021-01-01",
        (585, Decimal("289.143"), Decimal("0.736")),
    )


# --- exit codes, variables, options ---


def test_the_table_of_exit_codes_is_the_program_s() -> None:
    shown = table_under("| code | meaning | what to do |", README)
    assert [(int(code), meaning) for code, meaning, _ in shown] == sorted(
        (int(code), code.meaning) for code in ExitCode
    )


def test_the_precedence_of_exit_codes_is_the_program_s() -> None:
    (shown,) = re.findall(r"the exit code is the first of ([\d, ]+)\.", README)
    codes = [ExitCode(int(code)) for code in shown.split(", ")]
    assert [first(codes[place:]) for place in range(len(codes))] == codes


def own_variables() -> set[str]:
    sources = " ".join(path.read_text() for path in (ROOT / "etl").rglob("*.py"))
    return set(re.findall(r"COVID_ETL_[A-Z_]+", sources))


def test_the_page_on_configuration_names_every_variable_with_its_option() -> None:
    shown = {
        re.findall(r"`(\w+)`", variable)[0]: flag.strip("`")
        for variable, flag, *_ in table_under("| variable | option | read by | holds |", CONFIGURATION)
    }
    assert {name for name in shown if name.startswith("COVID_ETL_")} == own_variables()
    variables = options.VARIABLES | {"--locations": "COVID_ETL_LOCATIONS"}
    assert {flag: name for name, flag in shown.items() if flag} == variables | {"--database-url": "DATABASE_URL"}


@pytest.mark.parametrize("name", [*PAGES, ".env.example", "docker-compose.yml"])
def test_the_variables_that_are_named_are_the_program_s(name: str) -> None:
    named = set(re.findall(r"COVID_ETL_[A-Z_]*[A-Z]", (ROOT / name).read_text(encoding="utf-8")))
    assert {variable.removesuffix("_FILE") for variable in named} <= own_variables()


def test_nothing_in_the_environment_of_tests_is_needed() -> None:
    assert "DATABASE_URL" not in os.environ


# --- links, paths, words ---


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", PAGES[name]):
        path = (ROOT / name).parent / target if target else ROOT / name
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), f"{target}#{anchor}"


@pytest.mark.parametrize("name", [name for name in PAGES if name != "CHANGELOG.md"])
def test_paths_that_are_named_exist(name: str) -> None:
    for path in re.findall(r"`((?:etl|sql|tools|tests|bench|docs|deploy|snapshot)/[\w./-]*)`", PAGES[name]):
        if path != "sql/migrations/":  # from 1.0.0 on
            assert (ROOT / path).exists(), path


def test_the_map_of_the_house_names_every_module() -> None:
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "etl").rglob("*.py") if path.name != "__init__.py"}
    shown = table_under("| module | holds |", PAGES["CONTRIBUTING.md"])
    assert {path for names, _ in shown for path in re.findall(r"`(etl/.*?\.py)`", names)} == modules


@pytest.mark.parametrize("name", [name for name in PAGES if name != DICTIONARY])
def test_no_sentence_needs_the_one_before_it(name: str) -> None:
    """Such a sentence begins with its object or hangs on the line above: "Of these", "What is more", "Whose"."""
    prose = re.sub(r"^```.*?^```", "", PAGES[name], flags=re.MULTILINE | re.DOTALL)
    begun = re.findall(r"(?:^|[.!?:] |\| |[-*#] )(?:Of|What|Whose)\b.*", prose, re.MULTILINE)
    assert begun == []
