"""Random documents: whatever bytes a source sends, decoding keeps its contract, and a load ends as a load does.

`FUZZ_SECONDS` is how long each test goes on; for a soak: `FUZZ_SECONDS=600 pytest tests/faults/test_fuzz.py`.
"""

import json
import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from datetime import date
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st

from etl.errors import ContractError, DocumentError, ExitCode
from etl.run.wording import as_lines
from etl.transform.contract import Expected, decode, newest_day
from etl.transform.declaration import NATION, STATE, Shape
from etl.transform.drift import Alias
from etl.transform.locations import decode_states
from etl.transform.rows import copy_texts
from tests.documents import Json, snapshot
from tests.warehouse import Warehouse

Record = Callable[[str, object], None]
SECONDS = float(os.environ.get("FUZZ_SECONDS", "5"))
DAY = date(2021, 3, 7)
ALIASES = (Alias("cases.total", "figures.all"), Alias("outcomes.death", None))
NATION_CODE, STATE_CODE = "US", "CA"


def beginning(address: str, reports: int = 3) -> Json:
    """A real history, cut to its newest reports."""
    content: Json = json.loads(snapshot(address))
    return content | {"data": content["data"][:reports]}


REAL = {NATION_CODE: beginning("us/daily.json"), STATE_CODE: beginning("states/ca/daily.json")}
STATES = beginning("states.json")
EDGES: list[Any] = [
    None, True, -1, 0, -0.0, 5.0, 2**53, 2**63 - 1, 2**63, -(2**63), 10**400, 1e308, 5e-324, float("inf"), float("nan"),
    "", "\0", "a\0b", "\x1b[2J\n", "\u202e", "\ud800", "\\.", "None", "x" * 10_000, "2021-03-06", "2021-02-30", "20210307",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0002-01-01T00:00:00+15:59", "9998-12-31T23:59:59-15:59",
    "2021-03-07T00:00:00", "2021-03-07T23:59:60Z", "2021-03-07T00:00:00+23:59", [], {}, [[]], [None], {"": 1}, {"\0": 1},
    {"\ud800": 1}, {"x" * 10_000: 1}, {f"n{number}": number for number in range(200)}, [{"name": "x", "field": ""}],
]  # fmt: skip
TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
LEAVES = st.sampled_from(EDGES).map(deepcopy) | TEXTS | st.integers() | st.floats() | st.datetimes().map(str)
VALUES = st.recursive(
    LEAVES, lambda parts: st.lists(parts, max_size=4) | st.dictionaries(TEXTS, parts, max_size=4), max_leaves=12
)


@st.composite
def mutated(draw: st.DrawFn, original: Json) -> bytes:
    """A document with some nodes changed, and perhaps some bytes."""
    content = deepcopy(original)
    for _ in range(draw(st.integers(1, 4))):
        mutate(draw, content)
    body = json.dumps(content, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 3)) == 0:
        start = draw(st.integers(0, len(body)))
        body = body[:start] + draw(st.binary(max_size=6)) + body[start + draw(st.integers(0, 6)) :]
    return body


def mutate(draw: st.DrawFn, content: Any) -> None:
    """Changes one node: it is replaced, removed, renamed or repeated."""
    node, key = content, draw(st.sampled_from(sorted(content)))
    while node[key] and isinstance(node[key], dict | list) and draw(st.integers(0, 9)):
        node = node[key]
        key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
    action = draw(st.integers(0, 7))
    if action == 0 and (node is not content or len(content) > 1):
        del node[key]
    elif action == 1 and isinstance(node, dict):
        node[draw(TEXTS | st.sampled_from(["\0", "x" * 10_000, "calculated", "value"]))] = node.pop(key)
    elif action == 2 and isinstance(node, list):
        node.insert(0, deepcopy(node[key]))
    elif action == 3 and isinstance(node, dict):
        node[draw(TEXTS)] = draw(VALUES)
    else:
        node[key] = draw(VALUES)


def nested(parts: tuple[int, str]) -> bytes:
    """A document that is nested so many times at some place."""
    depth, place = parts
    return json.dumps(REAL[NATION_CODE] | {"links": "@@"}).replace(place, "[" * depth + "]" * depth).encode()


BODIES = (
    mutated(REAL[NATION_CODE])
    | mutated(REAL[STATE_CODE])
    | mutated(STATES)
    | VALUES.map(lambda value: json.dumps(value).encode())
    | st.tuples(st.integers(0, 1100), st.sampled_from(['"@@"', '"data": [', '"CC-BY-4.0"'])).map(nested)
    | st.binary(max_size=200)
)


def fuzz(bodies: st.SearchStrategy[bytes], check: Callable[[bytes], None], record: Record) -> None:
    """Checks random bodies for a while, and records how many."""
    deadline, checked = time.monotonic() + SECONDS, 0

    def check_in_time(body: bytes) -> None:
        nonlocal checked
        if time.monotonic() < deadline:
            check(body)
            checked += 1

    while time.monotonic() < deadline:
        given = hypothesis.given(bodies)(check_in_time)
        settings = hypothesis.settings(
            max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )
        settings(hypothesis.seed(random.getrandbits(64))(given))()
    record("times", checked)


def assert_decoding_keeps_its_contract(body: bytes) -> None:
    for shape, code, day, aliases in EXPECTED:
        with suppress(ContractError, DocumentError):
            reports = decode(body, Expected(shape, code, day, aliases, frozenset({date(2021, 3, 5)}))).reports
            for text in copy_texts(reports, shape).values():
                assert text.text.count("\n") == max(text.count, 1) - 1
    for read in (newest_day, decode_states):
        with suppress(ContractError, DocumentError):
            read(body)


EXPECTED: list[tuple[Shape, str, date | None, tuple[Alias, ...]]] = [
    (NATION, NATION_CODE, None, ()),
    (NATION, NATION_CODE, DAY, ALIASES),
    (STATE, STATE_CODE, None, ALIASES),
    (STATE, STATE_CODE, DAY, ()),
]


@pytest.mark.slow
def test_decoding_returns_or_raises_its_two_errors_for_every_sequence_of_bytes(record_property: Record) -> None:
    fuzz(BODIES, assert_decoding_keeps_its_contract, record_property)


@pytest.mark.slow
@pytest.mark.parametrize("code", [NATION_CODE, STATE_CODE])
def test_a_load_of_any_document_ends_as_loads_do(warehouse: Warehouse, code: str, record_property: Record) -> None:
    address = {NATION_CODE: "us/daily.json", STATE_CODE: "states/ca/daily.json"}[code]
    warehouse.publish(address, REAL[code])
    assert warehouse.load(locations=code).exit_code is ExitCode.OK

    def check(body: bytes) -> None:
        warehouse.publish(address, body)
        summary = warehouse.load(locations=code, dry_run=True, allow_withdrawals=True)
        assert summary.exit_code in (ExitCode.OK, ExitCode.SOURCE, ExitCode.REJECTED), as_lines(summary)
        json.dumps(summary.as_json())

    fuzz(mutated(REAL[code]), check, record_property)


@pytest.mark.slow
def test_a_load_of_any_metadata_of_the_locations_ends_well(warehouse: Warehouse, record_property: Record) -> None:
    warehouse.publish("states/ca/daily.json", REAL[STATE_CODE])

    def check(body: bytes) -> None:
        warehouse.publish("states.json", body)
        assert warehouse.load(dry_run=True).exit_code is ExitCode.OK

    fuzz(mutated(STATES), check, record_property)
