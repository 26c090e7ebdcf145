"""A backup of the compose file's database, restored into an empty volume, is the same database."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.config import ROOT
from tests.docker.test_compose import Project, engine, free_port

__all__ = ["engine"]
pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("engine")]

TABLES = """
    select format('%I.%I', schemaname, tablename) from pg_tables
    where schemaname in ('public', 'history', 'ops') order by 1
"""
# What is no row: who owns what, who may do what, and that identities go on where they were.
# A right that stands by default and one that is written out are the same.
CATALOG = """
    select concat_ws(' ', pg_class.oid::regclass, relkind, relowner::regrole, array(
        select acl::text from unnest(coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner))) acl
        order by 1))
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace where nspname in ('public', 'history', 'ops', 'mart')
    union all select concat_ws(' ', schemaname, sequencename, last_value) from pg_sequences
    union all select concat_ws(' ', nspname, nspowner::regrole, array(
        select acl::text from unnest(coalesce(nspacl, acldefault('n', nspowner))) acl order by 1))
    from pg_namespace where nspname !~ '^pg_'
"""


def project(name: str) -> Project:
    container = {"POSTGRES_CONTAINER_NAME": f"{name}-db", "POSTGRES_PORT": free_port()}
    made = Project(name, container)
    made.compose("down", "--volumes", "--remove-orphans")
    return made


@pytest.fixture
def loaded() -> Iterator[Project]:
    made = project("covid-etl-saved")
    try:
        assert made.compose("build", "--quiet").returncode == 0
        assert made.compose("up", "--detach", "--wait", "db").returncode == 0
        for locations in ("us,vi", "as"):
            load = ("run", "--rm", "-T", "etl", "load", "--source", "snapshot", "--locations", locations)
            assert made.compose(*load).returncode == 0
        yield made
    finally:
        made.compose("down", "--volumes", "--remove-orphans")


@pytest.fixture
def empty() -> Iterator[Project]:
    made = project("covid-etl-restored")
    try:
        yield made
    finally:
        made.compose("down", "--volumes", "--remove-orphans")


def make(project: Project, target: str, file: Path) -> "subprocess.CompletedProcess[str]":
    arguments = ["make", target, f"FILE={file}"]
    return subprocess.run(
        arguments,
        check=False,
        cwd=ROOT,
        env=os.environ | project.variables,
        capture_output=True,
        text=True,
        timeout=300,
    )


def contents(project: Project) -> dict[str, str]:
    """A digest of every table's rows, and the lines of the catalog in their order."""
    tables = project.admin(TABLES).split()
    digests = " union all ".join(
        f"select '{table} ' || count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by t::text)), 'none') from {table} t"
        for table in tables
    )
    rows = project.admin(digests).splitlines()
    return dict(row.split(" ", 1) for row in rows) | {
        "catalog": "\n".join(sorted(project.admin(CATALOG).splitlines()))
    }


def test_a_restored_backup_is_the_same_database(loaded: Project, empty: Project, tmp_path: Path) -> None:
    file = tmp_path / "covid.dump"
    saved = make(loaded, "backup", file)
    assert saved.returncode == 0, saved.stderr
    before = contents(loaded)
    assert len(before) > 20
    assert before["public.cases_fact"].startswith("1134 ")
    restored = make(empty, "restore", file)
    assert restored.returncode == 0, restored.stderr
    after = contents(empty)
    assert set(after.pop("catalog").splitlines()) ^ set(before.pop("catalog").splitlines()) == set()
    assert after == before
    # The loader goes on where it was.
    load = ("run", "--rm", "-T", "etl", "load", "--source", "snapshot", "--locations", "us,vi,as", "--json")
    again = empty.compose(*load)
    assert again.returncode == 0, again.stderr
    assert '"unchanged": 3' in again.stdout
    # A database that holds something is left as it is.
    twice = make(empty, "restore", file)
    assert twice.returncode != 0
    assert "already exists" in twice.stderr


def test_a_backup_that_fails_leaves_the_last_one(empty: Project, tmp_path: Path) -> None:
    file = tmp_path / "covid.dump"
    file.write_text("the last one")
    assert make(empty, "backup", file).returncode != 0
    assert file.read_text() == "the last one"
