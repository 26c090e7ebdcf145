"""Values that no honest source publishes: each is the outcome of its own document, and of none besides or after it."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from etl.database.connection import Connection, fetch_all
from etl.run.pipeline import LoadOptions, run
from etl.transform.locations import address_of
from tests.cli import Cli
from tests.documents import Json, encode, plant, snapshot, snapshot_addresses, state_history
from tests.warehouse import Warehouse, counted, rows

LOADED, FAILED, REJECTED = "loaded", "failed", "rejected"
DAY, DAY_BEFORE = "2021-03-07", "2021-03-06"
VALUE, PERCENT = "data.0.cases.total.value", "data.0.cases.total.calculated.population_percent"
GRADE, UPDATED, BUILT = "data.0.meta.data_quality_grade", "data.0.meta.updated", "meta.build_time"
DEEP, DEEPER = "[" * 190 + "]" * 190, "[" * 960 + "]" * 960
LONG = "k" * 10_000

# What is hostile, the place in a sound history, the JSON there, the outcome of the document.
HOSTILE = [
    ("a count beyond all numbers", VALUE, "1e999", REJECTED),
    ("a count of 400 digits", VALUE, "1" + "0" * 400, REJECTED),
    ("a count of 5,000 digits", VALUE, "9" * 5000, REJECTED),
    ("a percentage beyond all numbers", PERCENT, "1e400", REJECTED),
    ("a percentage of 308 digits", PERCENT, "1e307", LOADED),
    ("a percentage next to nothing", PERCENT, "5e-324", LOADED),
    ("a number beyond all numbers where nothing is read", "links", "-1e999", REJECTED),
    ("a lone surrogate in a text", GRADE, r'"\ud800"', FAILED),
    ("a lone surrogate where nothing is read", "meta.license", r'"\udfff"', FAILED),
    ("a lone surrogate in a name", "data.0", r'{"\ud800": 1}', FAILED),
    ("a NUL in a text", GRADE, r'"a\u0000"', REJECTED),
    ("a NUL in a date", "data.0.date", r'"2021-03-07\u0000"', REJECTED),
    ("a NUL in a time", UPDATED, r'"\u0000"', REJECTED),
    ("a NUL in a state", "data.0.state", r'"CA\u0000"', REJECTED),
    ("a NUL in a name", "data.0.x\0", "1", REJECTED),
    ("a NUL in a definition", "meta.field_definitions", r'[{"name": "\u0000"}]', LOADED),
    ("a text of 2,001 characters", GRADE, f'"{"A" * 2001}"', REJECTED),
    ("control characters in a text", GRADE, r'"\u001b[2J\r\n\t\u0007\u202e\\."', LOADED),
    ("control characters in a date", "data.0.date", r'"\u001b]0;\u0007\n"', REJECTED),
    ("control characters in a name", "data.0.\x1b[31m\n2021-01-01T00:00:00Z INFO run ended", "1", LOADED),
    ("control characters in a definition", "meta.field_definitions", r'[{"name": "\u001b[2J\n\u202e"}]', LOADED),
    ("a name of 10,000 characters", f"data.0.{LONG}", "1", REJECTED),
    ("a definition of 10,000 characters", "meta.field_definitions", json.dumps([{"name": LONG}]), LOADED),
    ("a definition of no character", "meta.field_definitions", '[{"name": "x", "field": ""}]', LOADED),
    ("20,000 new names", "data.0.n", ",".join(['1', *(f'"n{n}":1' for n in range(20_000))]), LOADED),
    ("20,000 definitions", "meta.field_definitions", json.dumps([{"name": f"n{n}"} for n in range(20_000)]), LOADED),
    ("data of one report", "data", "{}", REJECTED),
    ("data of text", "data", '"x"', REJECTED),
    ("data of nothing", "data", "null", REJECTED),
    ("data of numbers", "data", "[1, 1.5, true, null]", REJECTED),
    ("a date of a number", "data.0.date", "20210307", REJECTED),
    ("a date of a list", "data.0.date", '["2021-03-07"]', REJECTED),
    ("a date of an object", "data.0.date", '{"2021-03-07": 1}', REJECTED),
    ("a day before all calendars", "data.0.date", '"0000-01-01"', REJECTED),
    ("nesting where nothing is read", "meta.license", DEEP, LOADED),
    ("nesting in a report", "data.0.note", DEEP, LOADED),
    ("nesting at the end of the decoder where nothing is read", "links", DEEPER, REJECTED),
    ("nesting at the end of the decoder", "data.0.note", DEEPER, REJECTED),
    ("nesting beyond the decoder", "data.0.note", "[" * 100_000 + "]" * 100_000, REJECTED),
    ("the first time of Python", BUILT, '"0001-01-01T00:00:00+15:59"', REJECTED),
    ("the last time of Python", UPDATED, '"9999-12-31T23:59:59-15:59"', REJECTED),
    ("the first time that can be stored", UPDATED, '"0002-01-01T00:00:00+15:59"', LOADED),
    ("the last time that can be stored", UPDATED, '"9998-12-31T23:59:59-15:59"', LOADED),
    ("a zone beyond Postgres", UPDATED, '"2021-03-07T00:00:00+16:00"', REJECTED),
    ("a build of the future", BUILT, '"9998-12-31T23:59:59-15:59"', LOADED),
    ("a build of the past", BUILT, '"0002-01-01T00:00:00+15:59"', LOADED),
    ("a change to the end of the numbers", "data.0.cases.total.calculated.change_from_prior_day", str(2**63 - 1), LOADED),
    ("a mean at the end of the numbers", "data.0.outcomes.death.total.calculated.seven_day_average", str(2**63 - 1), LOADED),
]  # fmt: skip
CODES = [address.split("/")[1].upper() for address in snapshot_addresses() if address.startswith("states/")]


def spoiled(code: str, path: str, text: str) -> bytes:
    """A sound history of a state, but for the JSON at one place."""
    content = state_history(code, {DAY: {"cases__total": 5}, DAY_BEFORE: {"cases__total": 4}})
    content["data"] = dict(zip("01", content["data"], strict=True))
    plant(content, path, "@@")
    if isinstance(content["data"], dict):
        content["data"] = list(content["data"].values())
    return encode(content).replace(b'"@@"', text.encode())


def publish(folder: Path, code: str, content: bytes) -> None:
    path = folder / address_of(code)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def assert_plain(text: str) -> None:
    """Nothing in it steers a terminal."""
    assert all(line.isprintable() for line in text.split("\n"))


@pytest.mark.slow
def test_hostile_values_are_the_outcome_of_their_own_document(
    cli: Cli, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("times", len(HOSTILE))
    source = tmp_path / "source"
    for code in CODES:
        publish(source, code, encode(state_history(code, {DAY: {"cases__total": 5}})))
    for code, (_, path, text, _) in zip(CODES, HOSTILE, strict=False):
        publish(source, code, spoiled(code, path, text))
    load = ("load", "--source", str(source), "--locations", "states")

    first = cli.json(*load)
    assert (first["exit_code"], first["returncode"]) == (3, 3)
    found = dict.fromkeys(CODES, LOADED) | {
        trouble["location"]: outcome for outcome in (FAILED, REJECTED) for trouble in first[outcome]
    }
    assert [(what, found[code]) for code, (what, *_) in zip(CODES, HOSTILE, strict=False)] == [
        (what, outcome) for what, _, _, outcome in HOSTILE
    ]
    in_star = rows(
        cli.dsn, "select location_code from public.cases_dimension join public.location_dimension using (location_id)"
    )
    assert {code for (code,) in in_star} == {code for code in CODES if found[code] == LOADED}
    assert len(first["drift"]) < 20
    assert rows(cli.dsn, "select count(*) from ops.drift")[0][0] < 20
    showing = [["status"], ["drift"], ["check"], ["skip", "--list"]]
    showing += [["export", str(tmp_path / "export"), "--tables", "--views"], ["report", str(tmp_path / "report")]]
    for command in showing:
        shown = cli(*command)
        assert shown.returncode == 0, shown.stderr
        assert_plain(shown.stdout + shown.stderr)

    for code in CODES:
        publish(
            source, code, encode(state_history(code, {DAY: {"cases__total": 6}, DAY_BEFORE: {"cases__total": 6}}))
        )
    second = cli.json(*load)
    assert (second["exit_code"], second["documents"]["loaded"]) == (0, len(CODES))
    assert cli("replay").returncode == 0
    assert set(rows(cli.dsn, "select total_cases from public.cases_fact")) == {(6,)}


FORGED = "x\x1b[2J\u202e\n2021-03-08T06:00:01Z INFO run ended status=ok"


def test_text_of_the_source_is_printed_as_text(cli: Cli, tmp_path: Path) -> None:
    content = state_history("CA", {DAY: {"cases__total": 5}})
    content["data"][0][FORGED] = 1
    broken = state_history("NY", {DAY: {}})
    plant(broken["data"][0], "cases.total.value", {FORGED: 1})
    broken["data"][0]["state"] = FORGED
    publish(tmp_path, "CA", encode(content))
    publish(tmp_path, "NY", encode(broken))
    loaded = cli("load", "--source", str(tmp_path), "--locations", "ca,ny")
    for shown in (loaded, cli("drift"), cli("drift", "--accept", "1"), cli("status"), cli("status", "--json")):
        assert_plain(shown.stdout + shown.stderr)
        assert "\n2021-03-08T06" not in shown.stdout + shown.stderr
    assert "x\\u001b[2J\\u202e\\u000a2021-03-08" in loaded.stdout


def test_a_build_time_of_the_future_orders_nothing(warehouse: Warehouse) -> None:
    built = ["2099-01-01T00:00:00Z", "2021-05-04T00:00:00Z", "2021-05-03T00:00:00Z"]
    outcomes: list[str] = []
    for number, build_time in enumerate(built):
        content = state_history("CA", {DAY: {"cases__total": number}}, build_time)
        content["meta"]["field_definitions"] = [{"name": f"Title {min(number, 1)}", "field": "cases"}]
        plant(content["data"][0], f"new{min(number, 1)}", 1)
        warehouse.publish(address_of("CA"), content)
        outcomes += counted(warehouse.load())
    assert outcomes == ["loaded", "loaded", "stale"]
    assert warehouse.rows("select total_cases from public.cases_fact") == [(1,)]
    # The record of definitions and of drift is no more frozen than the figures.
    assert warehouse.rows("select name from public.field_definitions_dimension where is_current") == [("Title 1",)]
    ended = "select path, ended_at is not null from ops.drift where signal = 'shape' order by drift_id"
    assert warehouse.rows(ended) == [("data.new0", True), ("data.new1", False)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"census": {"population": 1}}, "data.census.population of CA is 1, but was"),
        ({"census": {"population": 2**63 - 1}}, "data.census.population of CA is 9223372036854775807, but was"),
        ({"census": {"population": 2**63}}, "Expected `int` <= 9223372036854775807"),
        ({"census": {"population": 0}}, "Expected `int` >= 1"),
        ({"state_code": "NY"}, "data.state_code: a state is there twice"),
        ({"name": "x" * 501}, "Expected `str` of length <= 500"),
        ({"name": "a\0"}, "Expected `str` matching regex"),
        ({"sites": [5]}, "Expected `object`, got `int`"),
    ],
)
def test_impossible_metadata_of_a_location_changes_nothing(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture, change: Json, said: str
) -> None:
    query = "select name, population, sites from public.location_dimension order by 1"
    before = warehouse.rows(query)
    content = json.loads(snapshot("states.json"))
    (california,) = (state for state in content["data"] if state["state_code"] == "CA")
    california |= change
    warehouse.publish("states.json", content)
    assert warehouse.history({DAY: {"cases__total": 5}}).exit_code == 0
    assert warehouse.rows(query) == before
    (warning,) = (record for record in caplog.records if record.message == "location metadata not updated")
    assert said in vars(warning)["reason"]
    content["data"].remove(california)
    warehouse.publish("states.json", content)
    assert warehouse.load().exit_code == 0


@pytest.mark.parametrize(
    ("etag", "kept"),
    [
        (b'"a\x00b"', None),
        (b'"a\x1b[2J"', None),
        (b'"\xff"', None),
        (b'"a\r\n b"', '"a b"'),
        (b'W/"sound"', 'W/"sound"'),
    ],
)
def test_a_validator_that_cannot_be_stored_or_sent_is_none(conn: Connection, etag: bytes, kept: str | None) -> None:
    body = encode(state_history("CA", {DAY: {"cases__total": 5}}))
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nETag: %b\r\nContent-Length: %d\r\n\r\n" % (etag, len(body))
    with answering(head + body) as url:
        for outcome in ("loaded", "unchanged"):
            options = LoadOptions(source=url, locations="ca")
            assert counted(run(conn, options, {})) == {outcome: 1}
    assert fetch_all(conn, "select etag from ops.document_load where location_id is not null") == [(kept,)]


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that sends the same bytes to whoever connects, at its address."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
