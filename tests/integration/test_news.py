"""Known reports are not read again, and whatever happens ends as if all were."""

from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from etl import config
from etl.database import connection as database
from etl.database.connection import Connection, execute, fetch_all
from etl.errors import UsageError
from etl.load import drift_record, rules
from etl.run.replay import replay, replay_rejected
from etl.run.summary import Summary
from etl.transform.declaration import STATE, TABLES
from tests.conftest import copied
from tests.documents import Json, document, plant, pluck, report
from tests.integration.test_load import states_json
from tests.warehouse import CALIFORNIA, Warehouse

DAYS = [f"2021-01-{day:02}" for day in range(1, 27)]
STEPS = 12
FATAL = {"name": "Fatal", "field": "outcomes.fatal.total", "prior_names": ["outcomes.death.total"]}
# By digests that are wrong no report is known: all are decoded, checked and compared.
KNOW_NOTHING = """
    update ops.report_digest
    set digests = (
        select string_agg(substr(digests, start, 4) || decode(md5(random()::text), 'hex'), '')
        from generate_series(1, length(digests), 20) as start
    )
    where digests <> ''
"""
LEFT = {
    "ops.document": "sha256, data_hash",
    "ops.document_load": "document_load_id, run_id, document_id, address, outcome, reason, build_time, processing_key, changed_rows,"
    " closed_at is null",
    "ops.finding": "finding_id, check_name, measure, report_date, value, meaning, document_id, run_id, ended_at is null",
    "ops.drift": "drift_id, change, path, before, after, first_run_id, last_run_id, accepted_at is null, ended_at is null",
    "public.field_definitions_dimension": "field_definition_id, name, path, is_current, build_time, document_id",
}
# What may be done to a published document before it is sent.
FORMS: list[Callable[[Json], object]] = [
    *([lambda _: None] * 15),
    *([lambda content: content["data"].reverse()] * 3),
    lambda content: content["data"].append(content["data"][0]),
    lambda content: content["data"][0].update(brand_new=1),
    lambda content: content["meta"]["field_definitions"].pop(),
    lambda content: plant(content["data"][0], "cases.total.value", "many"),
    lambda content: [pluck(row, "outcomes.recovered") for row in content["data"]],
    lambda content: (
        [row["outcomes"].update(fatal=pluck(row, "outcomes.death")) for row in content["data"]],
        content["meta"]["field_definitions"].append(FATAL),
    ),
]
OPTIONS: list[dict[str, Any]] = [
    *([{}] * 12),
    {"force": True},
    {"dry_run": True},
    {"allow_withdrawals": True},
    {"first_day": date(2021, 1, 3), "last_day": date(2021, 1, 25)},
]


def valued(number: int) -> dict[str, Any]:
    return {"cases__total": number, "outcomes__death__total": number, "tests__pcr__people__total": number}


def edit(choose: Random, history: dict[str, Json]) -> None:
    """Revises, adds or withdraws some days, or changes a whole measure."""
    kind = choose.choice(["revise", "revise", "revise", "withdraw", "high", "high", "none", "zero", "back"])
    for day in choose.sample(DAYS, 2):
        if kind == "withdraw":
            history.pop(day, None)
        elif kind in ("revise", "high"):
            highest = choose.choice([300_000] * 5 + [2_500_000])
            history[day] = valued(highest if kind == "high" else choose.randrange(5))
    for number, day in enumerate(history):
        if kind == "back":
            history[day] = valued(number)
        elif kind in ("none", "zero"):
            history[day]["outcomes__death__total"] = None if kind == "none" else 0


def publish(choose: Random, source: Warehouse, history: dict[str, Json]) -> None:
    """Publishes the history after an edit, in some form, and now and then another population."""
    edit(choose, history)
    rows = [report(STATE, day, **values) for day, values in sorted(history.items())]
    content = document(rows, f"2021-05-03T00:00:0{choose.choice('555557')}Z")
    choose.choice(FORMS)(content)
    source.publish(CALIFORNIA, content)
    if choose.random() < 0.4:
        source.publish("states.json", states_json(choose.choice([39_000_000, 60_000_000])))


def undo_skip(warehouse: Warehouse) -> None:
    held = [known.tombstone_id for known in rules.tombstones(warehouse.conn) if known.holds()]
    rules.undo(warehouse.conn, max(held, default=0))


def decide(warehouse: Warehouse, number: int) -> None:
    """Accepts a change, or takes that back."""
    changes = sorted(drift_record.changes(warehouse.conn), key=lambda change: change.drift_id)
    for change in changes[number : number + 1] or changes[:1]:
        if change.status == "accepted":
            drift_record.undo(warehouse.conn, change.drift_id)
        else:
            drift_record.accept(warehouse.conn, change.drift_id, with_loss=True)


def step(choose: Random, source: Warehouse, history: dict[str, Json]) -> Callable[[Warehouse], Any]:
    """Publishes something or not, and returns what is then done to each of the warehouses."""
    kind = choose.choice(["history"] * 14 + ["day"] * 3 + ["again", "skip", "undo", "decide", "replay", "rejected"])
    number, day, options = choose.randrange(9), choose.choice(DAYS), choose.choice(OPTIONS)
    if kind == "history":
        publish(choose, source, history)
    source.publish(f"states/ca/{day}.json", document(report(STATE, day, **valued(number))))
    actions: dict[str, Callable[[Warehouse], Any]] = {
        "day": lambda warehouse: warehouse.load(day=date.fromisoformat(day)),
        "skip": lambda warehouse: rules.skip(warehouse.conn, "ca", [date.fromisoformat(day)], "why"),
        "undo": undo_skip,
        "decide": lambda warehouse: decide(warehouse, number),
        "replay": lambda warehouse: replay(warehouse.conn, "all", allow_rejected=number > 1),
        "rejected": lambda warehouse: replay_rejected(warehouse.conn, None),
    }
    return actions.get(kind, lambda warehouse: warehouse.load(**options))


def left(conn: Connection) -> dict[str, list[Any]]:
    """All that documents have left, with the number of the event in place of each time."""
    known = fetch_all(conn, "select known_at from ops.document_load order by 1")
    number_of = {at: number for number, (at,) in enumerate(known)}
    found = {name: fetch_all(conn, f"select {columns} from {name} order by 1, 2") for name, columns in LEFT.items()}
    for table in TABLES:
        for name, end in ((f"public.{table}", "null"), (f"history.{table}_revision", "known_to")):
            query = (
                f"select to_jsonb(t) - 'known_from' - 'known_to', known_from, {end} from {name} as t order by 1, 2"
            )
            rows = fetch_all(conn, query)
            found[name] = [(row, number_of[begin], number_of.get(end)) for row, begin, end in rows]
    return found


@settings(
    max_examples=settings().max_examples // 10,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.integers(0, 1_000_000))
def test_digests_change_nothing_but_the_time(
    server_dsn: str, schema_template: str, tmp_path: Path, seed: int
) -> None:
    choose, history = Random(seed), {day: valued(number) for number, day in enumerate(DAYS[:24])}
    with copied(server_dsn, schema_template) as dsn, copied(server_dsn, schema_template) as other_dsn:
        with database.connect(config.Database(dsn)) as conn, database.connect(config.Database(other_dsn)) as other:
            source, comparing = (Warehouse(each, tmp_path / str(seed)) for each in (conn, other))
            for _ in range(STEPS):
                act, said = step(choose, source, history), []
                execute(other, KNOW_NOTHING)
                for warehouse in (source, comparing):
                    with suppress(UsageError):
                        done = act(warehouse)
                        said.append(done.as_json() | {"seconds": 0} if isinstance(done, Summary) else None)
                assert said[:1] == said[1:]
                assert left(conn) == left(other)
