"""The README and its neighbours against the program: each command runs, each claim that can be checked is."""

import os
import re
import shlex
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from etl.cli import commands as cli
from etl.config import ROOT
from etl.database.connection import fetch_all
from tests.conftest import Command
from tests.integration.test_schema import CLASSIC_QUERY

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAM = ".venv/bin/python main.py"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def lines() -> list[str]:
    """The commands of the README, without their comments."""
    return [re.sub(r"\s{2,}#.*", "", line) for block in blocks("sh") for line in block.splitlines() if line]


PROGRAM_LINES = [line for line in lines() if PROGRAM in line]
# Run on a database that is loaded.
REPORT_LINES = [line for line in PROGRAM_LINES if f"{PROGRAM} report " in line]
MAKE_LINES = [line for line in lines() if line.startswith("make ")]
# Run by tests/docker.
DOCKER_LINES = [line for line in lines() if line.startswith(("docker", "psql -h docker_postgresql"))]


def test_every_command_is_run_by_some_test() -> None:
    assert set(lines()) == {*PROGRAM_LINES, *MAKE_LINES, *DOCKER_LINES}
    docker_tests = (ROOT / "tests/docker/test_compose.py").read_text().replace("{CONTAINER}", "docker_postgresql")
    for line in DOCKER_LINES:
        parts = [line, ", ".join(f'"{word}"' for word in shlex.split(line)[2:4])]
        assert any(part in docker_tests for part in parts), line


@pytest.mark.parametrize("line", [line for line in PROGRAM_LINES if line not in REPORT_LINES])
def test_a_command_of_the_readme_runs(line: str, command: Command) -> None:
    assert command("init-db").returncode == 0
    assignments, _, rest = line.partition(PROGRAM)
    # The address in the README is an example; the test's own database takes its place.
    assert assignments.strip() in ("", "DATABASE_URL=postgresql://me@db.example/covid")
    result = command(*shlex.split(rest))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("line", REPORT_LINES)
def test_a_report_of_the_readme_is_written(line: str, loaded_dsn: str, tmp_path: Path) -> None:
    *words, folder = shlex.split(line.removeprefix(PROGRAM))
    written = tmp_path / Path(folder).name
    result = Command(loaded_dsn, tmp_path)(*words, str(written))
    assert result.returncode == 0, result.stderr
    assert list(written.iterdir())


def make(*arguments: str) -> str:
    """What make prints, as if typed: the tests themselves may run below another make."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    shown = subprocess.run(["make", *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    return shown.stdout


@pytest.mark.parametrize("line", MAKE_LINES)
def test_a_make_target_of_the_readme_is_there(line: str) -> None:
    assert ".venv/bin/" in make("-n", *shlex.split(line)[1:])


def test_make_alone_lists_the_targets() -> None:
    targets = "load export report test test-docker test-spark lint lock docs erd dictionary bench bench-scale verify-snapshot clean"
    assert [line.split()[0] for line in make().splitlines()] == targets.split()


def test_the_queries_of_the_readme_run(loaded_dsn: str) -> None:
    from etl import config
    from etl.database import connection as database

    deaths, classic, past = blocks("sql")
    assert classic.split() == CLASSIC_QUERY.split()
    with database.connect(config.Database(loaded_dsn)) as conn:
        rows = fetch_all(conn, deaths)
        assert fetch_all(conn, past) == []
        yesterday = past.replace("now() - interval '1 day'", "now()")
        assert len(fetch_all(conn, yesterday)) == 7
    assert (len(rows), str(rows[0][0]), rows[0][1:]) == (
        31,
        "2021-01-01",
        (585, Decimal("289.143"), Decimal("0.736")),
    )


def test_the_psql_session_of_the_readme_prints_what_it_shows(loaded_dsn: str, tmp_path: Path) -> None:
    (session,) = re.findall(r"^```\n(=# .*?)^```", README, re.MULTILINE | re.DOTALL)
    typed = [line[3:] for line in session.splitlines() if line.startswith(("=# ", "-# "))]
    shown = [line for line in session.splitlines() if not line.startswith(("=# ", "-# "))]
    result = Command(loaded_dsn, tmp_path)("psql", "--", "-Xc", "\n".join(typed))
    assert result.stdout.splitlines() == [*shown, ""]


def test_the_crontab_line_is_the_shipped_one() -> None:
    (line,) = re.findall(r"^30 17 .*$", README, re.MULTILINE)
    assert line in (ROOT / "deploy/cron/crontab").read_text().splitlines()


def test_the_table_of_commands_is_the_program_s() -> None:
    table = re.search(r"^\| command \| does \|\n\|---\|---\|\n((?:\|.*\n)+)", README, re.MULTILINE)
    assert table
    assert re.findall(r"^\| `(.*?)` \|", table[1], re.MULTILINE) == list(cli.COMMANDS)


def test_the_table_of_exit_codes_is_the_program_s() -> None:
    def codes(text: str, pattern: str) -> list[tuple[str, str]]:
        found = re.findall(pattern, text, re.MULTILINE)
        return [(code.strip(), meaning.split(";")[0].strip()) for code, meaning in found]

    assert codes(README, r"^\| ([\d, ]+) \| (.*?) \|") == codes(cli.EXIT_CODES, r"^  ([\d, ]+?)  +(\S.*)$")


def test_the_summary_in_the_readme_is_what_a_load_prints(command: Command) -> None:
    shown = command("load", "--source", "snapshot").stdout.splitlines()
    (quoted,) = (block for block in re.findall(r"^```\n(ok .*?)^```", README, re.MULTILINE | re.DOTALL))
    assert shown[1:] == quoted.splitlines()[1:]
    assert re.sub(r"[\d.]+ s$", "", shown[0]) == re.sub(r"[\d.]+ s$", "", quoted.splitlines()[0])


PAGES = sorted(
    path for pattern in ("*.md", "docs/**/*.md", "deploy/**/*.md", "snapshot/*.md") for path in ROOT.glob(pattern)
)


@pytest.mark.parametrize("name", [str(path.relative_to(ROOT)) for path in PAGES])
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_paths_that_are_named_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for path in re.findall(r"`((?:etl|sql|tools|tests|docs|deploy|snapshot)/[\w./-]*)`", text):
        if path != "sql/migrations/":  # from 1.0.0 on
            assert (ROOT / path).exists(), path


def test_the_variables_that_the_readme_names_are_the_program_s() -> None:
    known = set(
        re.findall(r"COVID_ETL_[A-Z_]+", " ".join(path.read_text() for path in Path(ROOT / "etl").rglob("*.py")))
    )
    known |= {
        cli.option_variable(flag) for flag in re.findall(r'"(--[a-z-]+)"', (ROOT / "etl/cli/commands.py").read_text())
    }
    named = {name for name in re.findall(r"COVID_ETL_[A-Z_]+", README) if not name.endswith("_")}
    assert named <= known


def test_nothing_in_the_environment_of_tests_is_needed() -> None:
    assert "DATABASE_URL" not in os.environ
