"""docs/day-2.md: its steps do what it says."""

import os
import re
import subprocess
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from etl.config import ROOT
from etl.database.embedded import installed_binaries
from tests.conftest import Command, administrator, copied
from tests.parts import require

PAGE = (ROOT / "docs/day-2.md").read_text()


def blocks(heading: str, language: str) -> list[str]:
    """The blocks of a section, in a language."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def test_the_commands_of_a_restore_are_those_that_the_docker_tests_run() -> None:
    (restore,) = blocks("Restore", "sh")
    tests = (ROOT / "tests/docker/test_backup.py").read_text()
    for target in re.findall(r"^make (\w+)", restore, re.MULTILINE):
        assert f'"{target}"' in tests
        assert f"\n{target}: ## " in (ROOT / "Makefile").read_text()


def test_pruning_by_cron_is_a_command_of_the_program(command: Command) -> None:
    (line,) = re.findall(r" etl (prune .*)$", PAGE, re.MULTILINE)
    assert command(*line.split()).returncode == 0


def test_a_stuck_lock_is_freed(command: Command, dsn: str) -> None:
    (free,) = blocks("A lock that is stuck", "sql")
    holder = psycopg2.connect(dsn)
    holder.autocommit = True
    holder.cursor().execute("select pg_advisory_lock(2020011320210307)")
    load = ("load", "--source", "snapshot", "--locations", "as")
    assert command(*load).returncode == 75
    with administrator(dsn) as cursor:
        cursor.execute(free)
        assert cursor.fetchall() == [(True,)]
    assert command(*load).returncode == 0


def rows(dsn: str) -> dict[str, str]:
    """A digest of every table's rows."""
    with administrator(dsn) as cursor:
        cursor.execute(
            "select schemaname || '.' || tablename from pg_tables where schemaname in ('public', 'history', 'ops')"
        )
        tables = [name for (name,) in cursor.fetchall()]
        found = {}
        for table in tables:
            cursor.execute(f"select md5(string_agg(t::text, '|' order by t::text)) from {table} t")
            found[table] = cursor.fetchone()[0]
    return found


@pytest.mark.slow
def test_an_embedded_database_moves_to_a_server(server_dsn: str, home: Path, tmp_path: Path) -> None:
    programs = next(iter(installed_binaries(as_root=os.geteuid() == 0).values()))
    require((programs / "pg_dump").exists(), "no pg_dump of the embedded server's version here")
    save, restore = blocks("From the embedded database to a server", "sh")
    (roles,) = blocks("From the embedded database to a server", "sql")
    environ = os.environ | {"COVID_ETL_HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}"}

    def shell(script: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        (tmp_path / ".venv").symlink_to(ROOT / ".venv") if not (tmp_path / ".venv").exists() else None
        script = script.replace("main.py", str(ROOT / "main.py"))
        done = subprocess.run(
            ["sh", "-ec", script], cwd=tmp_path, env=environ | variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done

    load = ".venv/bin/python main.py load --source snapshot --locations us,vi"
    shell(load)
    shell(save)
    with copied(server_dsn, "template0") as target:
        database = parse_dsn(target)["dbname"]
        with administrator(target) as cursor:
            statements = [line for line in roles.splitlines() if line]
            for statement in statements[:-1]:
                name = re.search(r"create role (\w+)", statement)
                cursor.execute("select 1 from pg_roles where rolname = %s", (name[1] if name else "",))
                if not cursor.fetchone():
                    cursor.execute(statement)
            assert statements[-1] == "create database covid owner covid_owner;"
            cursor.execute("alter role covid_owner password 'secret'")
            cursor.execute(f"alter database {database} owner to covid_owner")
        owner = make_dsn(target, user="covid_owner", password="secret")
        try:
            shell(restore, DATABASE_URL=owner)
            with administrator(target) as cursor:
                cursor.execute(
                    "select distinct tableowner from pg_tables where schemaname in ('public', 'ops', 'history')"
                )
                assert cursor.fetchall() == [("covid_owner",)]
            again = shell(f"{load} --json", DATABASE_URL=owner)
            assert '"unchanged": 2' in again.stdout
            assert rows(owner)["public.cases_fact"]
        finally:
            with administrator(target) as cursor:
                cursor.execute("drop owned by covid_owner cascade")
                cursor.execute(f"alter database {database} owner to current_user")
                cursor.execute("drop role covid_owner")
