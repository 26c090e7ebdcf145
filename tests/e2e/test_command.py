"""The command as its users run it: a process, a real HTTP server, a real database."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from werkzeug import Request, Response

from etl import __version__
from etl.database import schema
from etl.show import status
from etl.transform.declaration import TABLES
from tests.conftest import MAIN, Api, Command
from tests.documents import snapshot, snapshot_addresses, snapshot_day

DAY = "2021-01-02"


def rows(dsn: str, query: str) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(dsn)
    try:
        cursor = connection.cursor()
        cursor.execute(query)
        return cursor.fetchall()
    finally:
        connection.close()


def versions(dsn: str) -> dict[str, list[tuple[Any, ...]]]:
    query = "select ctid::text, xmin::text, xmax::text from {} order by 1"
    return {table: rows(dsn, query.format(table)) for table in TABLES}


def serve_day(api: Api, day: str) -> None:
    for history in snapshot_addresses():
        single = "us/daily/{}.json" if history == "us/daily.json" else history.replace("daily.json", "{}.json")
        try:
            api.answers[single.format(day)] = snapshot_day(history, day)
        except ValueError:
            continue


def test_one_day_of_all_locations_and_the_same_again(api: Api, command: Command) -> None:
    serve_day(api, DAY)
    first = command.json("load", "--date", DAY, "--source", api.url)
    assert (first["returncode"], first["status"], first["run_id"]) == (0, "ok", 1)
    assert first["documents"]["loaded"] == 57
    assert first["rows"]["cases_dimension"] == {"inserted": 57, "updated": 0, "withdrawn": 0, "unchanged": 0}
    before = versions(command.dsn)
    second = command.json("load", "--date", DAY, "--source", api.url)
    assert second["documents"]["unchanged"] == 57
    assert {(n["inserted"], n["updated"], n["withdrawn"]) for n in second["rows"].values()} == {(0, 0, 0)}
    assert versions(command.dsn) == before


def test_an_early_day_counts_the_locations_that_had_nothing_published(api: Api, command: Command) -> None:
    serve_day(api, "2020-02-01")
    found = command.json("load", "--date", "2020-02-01", "--source", api.url)
    assert (found["returncode"], found["documents"]["loaded"], found["documents"]["not_published"]) == (0, 5, 52)


def test_a_day_before_everything_exits_4(command: Command) -> None:
    found = command.json("load", "--date", "2019-01-01", "--source", "snapshot")
    assert (found["returncode"], found["exit_code"], found["documents"]["not_published"]) == (4, 4, 57)


def test_the_whole_history_over_http(api: Api, command: Command) -> None:
    for address in (*snapshot_addresses(), "states.json"):
        api.answers[address] = snapshot(address)
    found = command.json("--source", api.url)
    assert (found["returncode"], found["rows"]["cases_dimension"]["inserted"]) == (0, 21200)
    assert found["source"] == api.url
    query = "select count(*), count(*) filter (where location_id = 0) from cases_dimension"
    assert rows(command.dsn, query) == [(21200, 420)]
    assert sorted(api.requests) == sorted([*snapshot_addresses(), "states.json"])


def test_auto_reads_the_api_that_answers(api: Api, command: Command) -> None:
    api.answers["us/daily/2021-03-07.json"] = snapshot_day("us/daily.json", "2021-03-07")
    arguments = ("load", "--date", "2021-03-07", "--locations", "us")
    found = command.json(*arguments, COVID_ETL_API_URL=api.url)
    assert (found["returncode"], found["source"]) == (0, "api")
    # Once the API was there, the snapshot never takes its place.
    result = command(*arguments, COVID_ETL_API_URL="http://127.0.0.1:9")
    assert result.returncode == 3
    assert "this database was loaded from it before" in result.stderr


def test_auto_falls_back_to_the_snapshot_with_one_warning(command: Command) -> None:
    result = command(
        "load", "--date", "latest", "--locations", "us", "--json", COVID_ETL_API_URL="http://127.0.0.1:9"
    )
    found = json.loads(result.stdout)
    assert (result.returncode, found["source"], found["from"]) == (0, "snapshot", "2021-03-07")
    assert result.stderr.count("WARNING") == 1
    assert "API unavailable: shipped snapshot used" in result.stderr


def test_a_broken_a_failed_and_a_good_document(api: Api, command: Command) -> None:
    serve_day(api, DAY)
    api.answers[f"states/ca/{DAY}.json"]["data"]["cases"]["total"]["value"] = "many"
    api.answers[f"states/ny/{DAY}.json"] = b"<html>maintenance</html>"
    result = command("load", "--date", DAY, "--source", api.url, "--locations", "ca,ny,wa")
    assert result.returncode == 3
    assert "rejected: CA 2021-01-02: data.cases.total.value: expected integer or null, got text" in result.stdout
    assert "failed: NY 2021-01-02: no JSON: JSON is malformed: invalid character (byte 0)" in result.stdout
    assert rows(command.dsn, "select location_id from cases_fact") == [(53,)]


def test_a_run_that_is_terminated_is_closed_and_the_next_does_the_rest(api: Api, command: Command) -> None:
    def slow(_request: Request) -> Response:
        time.sleep(5)
        return Response(b"late")

    serve_day(api, DAY)
    answer = api.answers[f"states/wa/{DAY}.json"]
    api.answers[f"states/wa/{DAY}.json"] = slow
    arguments = ("load", "--date", DAY, "--source", api.url, "--locations", "us,wa", "--json", "--jobs", "1")
    process = command.start(*arguments)
    while not rows(command.dsn, "select from cases_fact"):
        time.sleep(0.05)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 143, err
    assert time.monotonic() - started < 4
    assert "terminated" in err
    assert rows(command.dsn, "select status, exit_code from ops.run") == [("interrupted", 143)]
    api.answers[f"states/wa/{DAY}.json"] = answer
    found = command.json(*arguments[:-3])
    assert (found["returncode"], found["documents"]["unchanged"], found["documents"]["loaded"]) == (0, 1, 1)


def test_logs_are_on_stderr_and_json_if_wanted(command: Command) -> None:
    result = command("load", "--source", "snapshot", "--date", DAY, "--locations", "us", "--log-format", "json")
    started, ended = (json.loads(line) for line in result.stderr.splitlines())
    assert (started["event"], started["level"], started["run_id"]) == ("run started", "INFO", 1)
    assert (started["source"], started["days"], started["locations"]) == ("snapshot", DAY, "us")
    assert ended.pop("time") > started["time"]
    assert ended.pop("seconds") > 0
    assert ended == {
        "event": "run ended", "level": "INFO", "run_id": 1, "status": "ok", "exit_code": 0, "source": "snapshot",
        "loaded": 1, "rows_inserted": 5,
    }  # fmt: skip
    assert result.stdout.startswith("ok (run 1, exit code 0) from snapshot, 2021-01-02, locations us, ")


@pytest.mark.parametrize(("broken", "level", "code"), [(["wa"], "WARNING", 5), (["us", "wa"], "ERROR", 5)])
def test_the_line_that_ends_a_run_is_as_grave_as_its_end(
    command: Command, api: Api, broken: list[str], level: str, code: int
) -> None:
    serve_day(api, DAY)
    for location in broken:
        api.answers["us/daily/2021-01-02.json" if location == "us" else f"states/wa/{DAY}.json"] = {"data": {}}
    result = command("load", "--date", DAY, "--source", api.url, "--locations", "us,wa", "--log-format", "json")
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert (result.returncode, lines[-1]["event"], lines[-1]["level"]) == (code, "run ended", level)
    assert {
        line["run_id"] for line in lines if line["event"] in ("run started", "document rejected", "run ended")
    } == {1}
    assert sum(line["event"] == "document rejected" for line in lines) == len(broken)


def test_a_terminal_sees_a_progress_line_unless_it_declines(dsn: str, tmp_path: Path) -> None:
    def errors(*arguments: str) -> str:
        ours, theirs = pty.openpty()
        subprocess.run(
            [sys.executable, str(MAIN), "load", "--source", "snapshot", "--locations", "vi", "--force", *arguments],
            env=os.environ | {"DATABASE_URL": dsn}, stdout=subprocess.DEVNULL, stderr=theirs, check=True,
        )  # fmt: skip
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # Linux says so at the end of a terminal
            pass
        os.close(ours)
        return shown.decode()

    assert "\r1 of 1 documents, " in errors()
    assert "documents" not in errors("--no-progress")


# --- the other commands ---


def test_init_db_makes_the_schema_and_then_nothing(command: Command, empty_dsn: str) -> None:
    first, second = (command("init-db", DATABASE_URL=empty_dsn) for _ in range(2))
    assert (first.returncode, second.stdout) == (0, "schema up to date, 0 files applied\n")
    assert first.stdout == f"schema up to date, {len(schema.files())} files applied\n"


def test_status_shows_coverage_and_runs(command: Command) -> None:
    command("load", "--source", "snapshot", "--from", "2021-01-01", "--to", "2021-01-03", "--locations", "us,ca")
    found = command.json("status")
    coverage = {row.pop("location"): row for row in found["locations"]}
    assert len(coverage) == 57
    three = {"first_day": "2021-01-01", "last_day": "2021-01-03", "reports": 3, "missing_days": 0, "gaps": []}
    nothing: dict[str, Any] = {"first_day": None, "last_day": None, "reports": 0, "missing_days": 0, "gaps": []}
    assert (coverage["US"], coverage["CA"], coverage["NY"]) == (three, three, nothing)
    ((run),) = found["runs"]
    assert (run["run_id"], run["status"], run["source"], run["from"]) == (1, "ok", "snapshot", "2021-01-01")
    assert found["lock"] is None
    text = command("status").stdout
    assert "CA        2021-01-01  2021-01-03         3             0\n" in text
    assert "snapshot, 2021-01-01 to 2021-01-03\n" in text
    assert text.endswith("run lock: free\nnothing waits for anybody\n")


def test_status_says_that_a_run_found_nothing_published(command: Command) -> None:
    command("load", "--source", "snapshot", "--date", "2019-01-01", "--locations", "us")
    assert re.search(
        r"^ +1  \S+  nothing published +4  snapshot, 2019-01-01$", command("status").stdout, re.MULTILINE
    )


def test_status_is_an_alarm_for_silence(command: Command) -> None:
    found = command.json("status", "--max-age-days", "2")
    assert (found["returncode"], found["stale"]) == (7, "no load has gone well yet")
    command("load", "--source", "snapshot", "--locations", "us")
    # The last day of the series is years ago, and no trouble.
    found = command.json("status", "--max-age-days", "2")
    assert (found["returncode"], found["stale"], found["newest_day"]) == (0, None, "2021-03-07")
    connection = psycopg2.connect(command.dsn)
    connection.cursor().execute("update ops.run set ended_at = ended_at - interval '3 days'")
    connection.commit()
    connection.close()
    shown = command("status", "--max-age-days", "2")
    assert shown.returncode == 7
    assert "\nSTALE: the last load that went well was 3.0 days ago, at 20" in shown.stdout
    assert "ERROR data is stale reason=the last load that went well was 3.0 days ago" in shown.stderr
    assert command("status").returncode == 0


def test_a_series_that_goes_on_is_watched_by_its_newest_day() -> None:
    found: dict[str, Any] = {"days_since_success": 0.5, "newest_day": "2026-01-01", "newest_day_age": 9}
    assert status.staleness(found, 2) == "the newest report is of 2026-01-01, 9 days ago"
    assert status.staleness(found, 9) is None
    assert status.staleness(found | {"newest_day": "2021-03-07", "newest_day_age": 2000}, 2) is None


def test_status_names_the_gaps(command: Command) -> None:
    for day in ("2021-01-01", "2021-01-05", "2021-01-07"):
        command("load", "--source", "snapshot", "--date", day, "--locations", "us")
    nation = command.json("status")["locations"][0]
    assert (nation["missing_days"], nation["gaps"]) == (
        4,
        [["2021-01-02", "2021-01-04"], ["2021-01-06", "2021-01-06"]],
    )
    assert "\ngap: US 2021-01-02 to 2021-01-04\ngap: US 2021-01-06 to 2021-01-06\n" in command("status").stdout


def test_status_knows_the_schema_and_the_sizes(command: Command) -> None:
    found = command.json("status")
    applied = [name for name in schema.files() if name.startswith("ddl/")]
    assert (found["schema_version"], found["schema_files"]) == (applied[-1], len(schema.files()))
    assert found["program_version"] == __version__
    assert found["database_bytes"] > found["star_bytes"] > found["history_bytes"] > 0
    assert re.search(
        r"\nsize \d+ MB \(star \d+ MB, history \d+ MB, documents \d+ MB\); schema ddl/", command("status").stdout
    )


def test_what_waits_for_somebody_is_in_status_with_the_command_that_deals_with_it(command: Command, api: Api) -> None:
    serve_day(api, DAY)
    state = api.answers[f"states/wa/{DAY}.json"]
    state["data"]["cases"]["suspected"] = 1
    state["data"]["outcomes"].pop("death")
    arguments = ("load", "--date", DAY, "--source", api.url, "--locations", "us,wa")
    result = command(*arguments)
    assert result.stdout.splitlines()[-5:] == [
        f"rejected: WA {DAY}: data.outcomes.death: is missing",
        "to take the change as it is: main.py drift --accept 1; main.py replay --rejected",
        f"to pass over it: main.py skip wa {DAY} --reason TEXT",
        "drift 1 (breaking, state WA): path gone: data.outcomes.death",
        "drift 2 (notice, state WA): path added: data.cases.suspected, now number",
    ]
    waiting = command("status").stdout.partition("run lock: free\n")[2].splitlines()
    assert re.fullmatch(rf"rejected 2: states/wa/{DAY}.json since \S+Z: data.outcomes.death: is missing", waiting[0])
    assert waiting[1:] == [
        "once that is mended or accepted: main.py replay --rejected",
        "drift 1 (breaking, state WA): path gone: data.outcomes.death; to take it as it is: main.py drift --accept 1",
        "drift 2 (notice, state WA): path added: data.cases.suspected, now number; "
        "to take it as it is: main.py drift --accept 2",
    ]
    table = command("drift").stdout.splitlines()
    assert table[0].split() == ["id", "status", "severity", "where", "first", "seen", "(UTC)", "change"]
    assert re.fullmatch(r" +1  open +breaking +state WA +\S+  path gone: data.outcomes.death", table[1])
    refused = command("drift", "--accept", "1")
    assert (refused.returncode, "0 values of WA become null" in refused.stderr) == (2, True)
    assert command("drift", "--accept", "1", "--with-loss").stdout.startswith("drift 1 accepted: path gone")
    replayed = command("replay", "--rejected", "2")
    assert (replayed.returncode, replayed.stdout.splitlines()[1]) == (0, "documents: 1 requested, 1 loaded")
    assert "rejected" not in command("status").stdout


def test_alerts_can_be_tried_from_the_command_line(command: Command) -> None:
    result = command("status", "--test-alerts")
    assert (result.returncode, "nobody would be told" in result.stdout) == (7, True)


def test_skip_says_what_is_passed_over_and_since_when(command: Command) -> None:
    assert command("skip", "--list").stdout == "nothing is passed over\n"
    made = command("skip", "ca", DAY, "--reason", "a phone number")
    line = rf"1: CA {DAY} since \S+Z: a phone number\n"
    assert re.fullmatch(line + r"load what was rejected for it: main.py replay --rejected\n", made.stdout)
    assert re.fullmatch(line, command("skip", "--list").stdout)
    assert f": CA {DAY}: a phone number; to end that: main.py skip --undo 1\n" in command("status").stdout
    assert re.fullmatch(
        rf"1: CA {DAY} since \S+Z, undone \S+Z: a phone number\nthe next load reads it again\n",
        command("skip", "--undo", "1").stdout,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["skip"], "give either a LOCATION with --reason, or --list, or --undo ID"),
        (["skip", "ca", "--list"], "give either a LOCATION"),
        (["skip", "ca", DAY], "--reason is missing"),
        (["skip", "xx", "--reason", "y"], "unknown XX"),
        (["skip", "ca", "yesterday", "--reason", "y"], "argument DAY"),
        (["skip", "--undo", "4"], "no tombstone 4 holds"),
        (["drift", "--accept", "4"], "there is no drift 4"),
        (["drift", "--undo", "4"], "drift 4 was not accepted"),
        (["drift", "--accept", "4", "--undo", "4"], "either --accept or --undo"),
        (["replay", "--rejected", "4"], "no rejected document 4 is open"),
        (["replay", "--rejected", "--locations", "ca"], "--rejected goes without --locations"),
    ],
)
def test_what_cannot_be_done_is_said_on_one_line(command: Command, arguments: list[str], said: str) -> None:
    result = command(*arguments)
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert said in result.stderr


def test_psql_opens_the_database_in_use_with_its_exit_code(command: Command) -> None:
    result = command("psql", "--", "-XAtc", "select count(*) from location_dimension")
    assert (result.returncode, result.stdout) == (0, "57\n")
    assert command("psql", "--", "-Xc", "select 1/0", "-v", "ON_ERROR_STOP=1").returncode == 1


def test_psql_gets_the_password_by_the_environment_alone(command: Command, tmp_path: Path) -> None:
    fake = tmp_path / "psql"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@" "password=$PGPASSWORD"\n')
    fake.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    result = command("psql", "--", "-X", DATABASE_URL="postgresql://me:s3cret@db.example/covid", PATH=path)
    assert result.stdout.splitlines() == ["user=me dbname=covid host=db.example", "-X", "password=s3cret"]


def test_the_embedded_server_serves_where_nothing_is_configured(command: Command, shared_folder: Path) -> None:
    home = shared_folder / "of-the-command"
    environ = {"DATABASE_URL": "", "COVID_ETL_HOME": str(home)}
    try:
        result = command("load", "--source", "snapshot", "--locations", "us", **environ)
        assert result.returncode == 0, result.stderr
        count = command("psql", "--", "-XAtc", "select count(*) from cases_dimension", **environ)
        assert count.stdout == "420\n"
    finally:
        shutil.rmtree(home)


def test_a_reader_of_stdout_that_leaves_early_is_no_error(command: Command) -> None:
    line = f"{sys.executable} {MAIN} status | true; exit ${{PIPESTATUS[0]}}"
    command("init-db")
    result = subprocess.run(
        ["bash", "-c", line],
        env=os.environ | {"DATABASE_URL": command.dsn},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("load", "--help")])
def test_help_and_version_need_neither_database_nor_heavy_libraries(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys; from etl.cli.commands import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print([name for name in ('requests', 'psycopg2', 'msgspec', 'stamina') if name in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=MAIN.parent, capture_output=True, text=True, check=True
    ).stdout
    assert shown.endswith("[]\n")
    assert __version__ in shown or "usage:" in shown


def test_replay_rebuilds_the_star_without_a_source(command: Command) -> None:
    command("load", "--source", "snapshot", "--locations", "us,vi")
    query = "select md5(string_agg(t::text, '|' order by t::text)) from cases_fact as t"
    before = rows(command.dsn, query)
    connection = psycopg2.connect(command.dsn)
    connection.cursor().execute("delete from cases_fact")
    connection.commit()
    connection.close()
    found = command.json("replay")
    assert (found["returncode"], found["documents"], found["rows"]["cases_fact"]["inserted"]) == (0, 2, 777)
    assert rows(command.dsn, query) == before
    assert command("replay").stdout.startswith("2 documents replayed, 0 rejected\nrows ")


def test_prune_says_what_it_dropped(command: Command) -> None:
    command("load", "--source", "snapshot", "--locations", "vi", "--to", "2020-06-01")
    command("load", "--source", "snapshot", "--locations", "vi")
    connection = psycopg2.connect(command.dsn)
    connection.cursor().execute("update ops.document_load set known_at = known_at - interval '400 days'")
    connection.commit()
    connection.close()
    shown = command("prune")
    assert (shown.returncode, shown.stdout) == (0, "0 documents dropped, 0 bytes before compression\n")


def test_mirror_saves_a_source(command: Command, tmp_path: Path) -> None:
    target = str(tmp_path / "copy")
    shown = command("mirror", target, "--source", "snapshot")
    assert (shown.returncode, shown.stdout) == (0, f"snapshot -> {target}: 58 written\n")
    assert command("mirror", target, "--source", "snapshot").stdout == f"snapshot -> {target}: 58 not modified\n"
    assert command("load", "--source", target, "--locations", "us").returncode == 0


def test_the_past_is_a_query_away(command: Command) -> None:
    command("load", "--source", "snapshot", "--locations", "us", "--date", "2021-03-07")
    query = "select total_deaths from mart.daily_summary_as_of(now())"
    assert command("psql", "--", "-XAtc", query).stdout == "515151\n"
