"""A month of daily loads from a source that changes every day, and misbehaves on every third."""

import json
import random
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from etl.errors import Outcome
from etl.extract import http
from etl.transform.locations import address_of
from tests.cli import Cli
from tests.conftest import copied
from tests.documents import document, encode, nation_day, state_history
from tests.faults.hostile import Fault, Hostile, every_fault
from tests.warehouse import rows

DAYS = [str(date(2020, 11, 1) + timedelta(days=number)) for number in range(30)]
STATES = ("CA", "NY", "TX", "VT", "WY")
FAULTS = [
    fault for fault in every_fault() if fault.outcome in (Outcome.FAILED, Outcome.REJECTED) and not fault.is_large
]
# Location -> reporting day -> total of cases.
Believed = dict[str, dict[str, int]]

pytestmark = pytest.mark.slow


def published(number: int, chance: random.Random, before: Believed) -> Believed:
    """The figures of a day: one report more everywhere, and here and there another figure for a day before."""
    figures: Believed = {}
    for order, code in enumerate(("US", *STATES)):
        known = {day: total + (chance.random() < 0.05) for day, total in before.get(code, {}).items()}
        figures[code] = known | {DAYS[number]: 1000 * order + 10 * number}
    return figures


def documents(figures: Believed) -> dict[str, bytes]:
    nation = [nation_day(day, cases__total=total)["data"] for day, total in figures["US"].items()]
    states = {
        code: state_history(code, {day: {"cases__total": total} for day, total in figures[code].items()})
        for code in STATES
    }
    histories = {"US": document(nation)} | states
    return {address_of(code): encode(history) for code, history in histories.items()}


def figures_of(dsn: str, fact: str) -> Believed:
    """The totals that a table, or an as-of function of it, has."""
    found: Believed = {}
    query = "select location_code, report_date::text, total_cases from {} join public.location_dimension using (location_id)"
    for code, day, total in rows(dsn, query.format(fact)):
        found.setdefault(code, {})[day] = total
    return found


def star(dsn: str) -> list[tuple[Any, ...]]:
    return rows(dsn, "select location_id, report_date, total_cases from public.cases_fact order by 1, 2")


def test_a_month_with_faults_on_ten_days_ends_as_its_last_day_and_keeps_what_each_day_said(
    cli: Cli,
    server_dsn: str,
    schema_template: str,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    record_property("times", 30)
    monkeypatch.setattr(http, "REQUEST_SECONDS", (0.5, 0.5))
    monkeypatch.setattr(http, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(http, "LONGEST_RETRY_AFTER", 0.05)
    chance = random.Random(30)
    figures: Believed = {}
    believed: list[tuple[str, Believed]] = []
    loaded: Believed = {}
    load = ("load", "--locations", "us,ca,ny,tx,vt,wy", "--json", "--source")
    with Hostile({}, {}) as server:
        for number in range(30):
            figures = published(number, chance, figures)
            server.documents = documents(figures)
            bad: dict[str, Fault] = {}
            if number % 3 == 1:
                bad = dict(zip(chance.sample(STATES, 3), chance.sample(FAULTS, 3), strict=True))
            server.faults = {address_of(code): fault for code, fault in bad.items()}
            done = cli(*load, server.url)
            assert "Traceback" not in done.stderr
            summary = json.loads(done.stdout)
            trouble = {one["location"]: kind for kind in ("failed", "rejected") for one in summary[kind]}
            assert trouble == {code: str(fault.outcome) for code, fault in bad.items()}
            assert (done.returncode == 0) == (not bad)
            loaded |= {code: days for code, days in figures.items() if code not in bad}
            ((now,),) = rows(cli.dsn, "select clock_timestamp()::text")
            believed.append((now, dict(loaded)))
    for now, then in believed:
        assert figures_of(cli.dsn, f"history.cases_fact_as_of('{now}')") == then
    assert figures_of(cli.dsn, "public.cases_fact") == figures
    ((revisions,),) = rows(cli.dsn, "select count(*) from history.cases_fact_revision")
    assert revisions > 50
    with Hostile(documents(figures), {}) as server, copied(server_dsn, schema_template) as empty:
        assert Cli(empty, cli.home)(*load, server.url).returncode == 0
        assert star(empty) == star(cli.dsn)
    assert cli("check").returncode == 0
