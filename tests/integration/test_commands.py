"""The commands: what each prints and logs, its exit code, and what it leaves in the database."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from etl import __version__
from etl.database import schema
from etl.transform.declaration import TABLES
from tests.cli import Cli
from tests.conftest import FEW, Api, administrator
from tests.documents import encode, snapshot_day, snapshot_days, state_history
from tests.receiver import Receiver
from tests.warehouse import CALIFORNIA, rows

DAY = "2021-01-02"


def test_an_early_day_counts_the_locations_that_had_nothing_published(api: Api, cli: Cli) -> None:
    api.answers |= snapshot_days("2020-02-01", "us", "wa", "ca")
    found = cli.json("load", "--date", "2020-02-01", "--source", api.url, "--locations", "us,wa,ca")
    assert (found["returncode"], found["documents"]["loaded"], found["documents"]["not_published"]) == (0, 2, 1)


def test_a_day_before_everything_exits_4(cli: Cli) -> None:
    found = cli.json("load", "--date", "2019-01-01", "--source", "snapshot", "--locations", FEW)
    assert (found["returncode"], found["exit_code"], found["documents"]["not_published"]) == (4, 4, 5)


def test_auto_reads_the_api_that_answers(api: Api, cli: Cli) -> None:
    api.answers["us/daily/2021-03-07.json"] = snapshot_day("us/daily.json", "2021-03-07")
    arguments = ("load", "--date", "2021-03-07", "--locations", "us")
    found = cli.json(*arguments, COVID_ETL_API_URL=api.url)
    assert (found["returncode"], found["source"]) == (0, "api")


def test_auto_reads_nothing_where_the_api_is_gone_and_was_loaded(api: Api, cli: Cli, receiver: Receiver) -> None:
    api.answers["us/daily/2021-03-07.json"] = snapshot_day("us/daily.json", "2021-03-07")
    cli("load", "--date", "2021-03-07", "--locations", "us", COVID_ETL_API_URL=api.url)
    result = cli("load", "--json", COVID_ETL_API_URL="http://127.0.0.1:9")
    found = json.loads(result.stdout)
    assert (result.returncode, found["status"], set(found["documents"].values())) == (0, "ok", {0})
    assert result.stderr.count("WARNING") == 1
    assert "API unavailable: nothing is read, since its documents are loaded" in result.stderr
    assert rows(cli.dsn, "select count(*) from ops.document_load") == [(1,)]
    told = cli("load", COVID_ETL_API_URL="http://127.0.0.1:9", **receiver.environ)
    lines = [
        "the API is gone: nothing was read, and the warehouse keeps what it has",
        "if it is gone for good, stop the schedule, for the series is closed",
        "to have the shipped snapshot, load it into another database: main.py load --source snapshot --database-url URL",
    ]
    assert told.stdout.splitlines()[-3:] == lines
    trouble = "covid-tracking-etl: trouble (exit code 0, run 3)\n" + "\nwhat to do: ".join(lines)
    assert (told.returncode, receiver.taken(), receiver.pings[-1]) == (0, trouble, "")
    # The snapshot is there for those who mean it.
    assert cli.json("load", "--source", "snapshot", "--locations", "vi")["documents"]["loaded"] == 1


def test_auto_falls_back_to_the_snapshot_with_one_warning(cli: Cli) -> None:
    result = cli("load", "--date", "latest", "--locations", "us", "--json", COVID_ETL_API_URL="http://127.0.0.1:9")
    found = json.loads(result.stdout)
    assert (result.returncode, found["source"], found["from"]) == (0, "snapshot", "2021-03-07")
    assert result.stderr.count("WARNING") == 1
    assert "API unavailable: shipped snapshot used" in result.stderr


def test_a_broken_a_failed_and_a_good_document(api: Api, cli: Cli) -> None:
    api.answers |= snapshot_days(DAY, "ca", "wa")
    api.answers[f"states/ca/{DAY}.json"]["data"]["cases"]["total"]["value"] = "many"
    api.answers[f"states/ny/{DAY}.json"] = b"<html>maintenance</html>"
    result = cli("load", "--date", DAY, "--source", api.url, "--locations", "ca,ny,wa")
    assert result.returncode == 3
    assert "rejected: CA 2021-01-02: type changed: data.cases.total.value, now text (was number)" in result.stdout
    assert "failed: NY 2021-01-02: no JSON: JSON is malformed: invalid character (byte 0)" in result.stdout
    assert rows(cli.dsn, "select location_id from public.cases_fact") == [(53,)]


def test_logs_are_on_stderr_and_json_if_wanted(cli: Cli) -> None:
    result = cli("load", "--source", "snapshot", "--date", DAY, "--locations", "us", "--log-format", "json")
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
    cli: Cli, api: Api, broken: list[str], level: str, code: int
) -> None:
    api.answers |= snapshot_days(DAY, "us", "wa")
    for location in broken:
        api.answers["us/daily/2021-01-02.json" if location == "us" else f"states/wa/{DAY}.json"] = {"data": {}}
    result = cli("load", "--date", DAY, "--source", api.url, "--locations", "us,wa", "--log-format", "json")
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert (result.returncode, lines[-1]["event"], lines[-1]["level"]) == (code, "run ended", level)
    assert {
        line["run_id"] for line in lines if line["event"] in ("run started", "document rejected", "run ended")
    } == {1}
    assert sum(line["event"] == "document rejected" for line in lines) == len(broken)


def test_init_db_makes_the_schema_and_then_nothing(cli: Cli, empty_dsn: str) -> None:
    first, second = (cli("init-db", DATABASE_URL=empty_dsn) for _ in range(2))
    assert (first.returncode, second.stdout) == (0, "schema up to date, 0 files applied\n")
    assert first.stdout == f"schema up to date, {len(schema.tables()) + 1} files applied\n"


def test_every_command_with_a_result_prints_it_as_one_object(cli: Cli, tmp_path: Path) -> None:
    cli("load", "--source", "snapshot", "--locations", "vi", "--no-past")
    page, copy = tmp_path / "page", tmp_path / "copy"
    assert cli.json("init-db") == {"applied": [], "returncode": 0}
    assert cli.json("prune") == {"documents": 0, "size_bytes": 0, "lost": {}, "returncode": 0}
    written = cli.json("report", str(page))
    size = (page / "index.html").stat().st_size
    assert written == {"bytes_by_path": {str(page / "index.html"): size}, "returncode": 0}
    mirrored = cli.json("mirror", str(copy), "--source", "snapshot")
    assert mirrored == {"source": "snapshot", "documents": {"written": 58}, "failed": {}, "returncode": 0}
    again = cli.json("mirror", str(copy), "--source", "snapshot")
    assert again["documents"] == {"not_modified": 58}


def test_every_command_that_writes_has_a_limit_of_time(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    monkeypatch.setattr("etl.ending.limit", seen.append)
    for command in ("init-db --wait 5", "prune", "replay", "replay --rejected", "skip --undo 1", "drift --undo 1"):
        cli(*command.split())
    assert seen == [3905, 3900, 3900, 3900, 3900, 3900]
    for command in ("status", "check", "drift", "skip --list"):
        assert cli(*command.split()).returncode == 0
    assert len(seen) == 6


@pytest.mark.parametrize(
    "modes", ["--prometheus --json", "--test-alerts --prometheus", "--prometheus --max-age-days 1"]
)
def test_modes_of_status_exclude_each_other(cli: Cli, modes: str) -> None:
    """Otherwise metrics of old data would hide the alarm that was asked for with them."""
    refused = cli("status", *modes.split())
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--test-alerts and --prometheus each go alone" in refused.stderr


def test_init_db_fails_where_it_cannot_make_the_views_again(cli: Cli, empty_dsn: str) -> None:
    """The views are of another version, and somebody's own view hangs on one of them."""
    assert cli("init-db", DATABASE_URL=empty_dsn).returncode == 0
    with administrator(empty_dsn) as cursor:
        cursor.execute("create view public.mine as select * from mart.latest")
        cursor.execute("update ops.migration set checksum = 'another' where file = 'views'")
        hindered = cli("init-db", DATABASE_URL=empty_dsn)
        assert (hindered.returncode, hindered.stdout) == (2, "")
        assert "in_the_way=view public.mine put_back=" in hindered.stderr
        assert "the tables are up to date, but not the views: the warning above says" in hindered.stderr
        cursor.execute("drop view public.mine")
        assert cli("init-db", DATABASE_URL=empty_dsn).returncode == 0


def test_status_shows_coverage_and_runs(cli: Cli) -> None:
    cli("load", "--source", "snapshot", "--from", "2021-01-01", "--to", "2021-01-03", "--locations", "us,ca")
    found = cli.json("status")
    coverage = {row.pop("location"): row for row in found["locations"]}
    assert len(coverage) == 57
    three = {"first_day": "2021-01-01", "last_day": "2021-01-03", "reports": 3, "missing_days": 0, "gaps": []}
    nothing: dict[str, Any] = {"first_day": None, "last_day": None, "reports": 0, "missing_days": 0, "gaps": []}
    assert (coverage["US"], coverage["CA"], coverage["NY"]) == (three, three, nothing)
    ((run),) = found["runs"]
    assert (run["run_id"], run["command"], run["status"], run["source"]) == (1, "load", "ok", "snapshot")
    assert (run["from"], run["to"], run["locations"]) == ("2021-01-01", "2021-01-03", "us,ca")
    assert found["lock"] is None
    text = cli("status").stdout
    assert "CA        2021-01-01  2021-01-03         3             0\n" in text
    assert "  load, snapshot, 2021-01-01 to 2021-01-03, us,ca\n" in text
    assert text.endswith("run lock: free\nnothing waits for anybody\n")


def test_status_says_that_a_run_found_nothing_published(cli: Cli) -> None:
    cli("load", "--source", "snapshot", "--date", "2019-01-01", "--locations", "us")
    assert re.search(
        r"^ +1  \S+  nothing published +4  load, snapshot, 2019-01-01, us$", cli("status").stdout, re.MULTILINE
    )


def test_status_is_a_textfile_for_prometheus(cli: Cli) -> None:
    cli("load", "--source", "snapshot", "--date", "2021-01-02", "--locations", "us,ca")
    lines = cli("status", "--prometheus").stdout.splitlines()
    named = re.compile(
        r'# (HELP|TYPE) (covid_etl_[a-z_]+) (.+)|(covid_etl_[a-z_]+)(\{outcome="[a-z_]+"\})? ([0-9.]+)'
    )
    found = [named.fullmatch(line) for line in lines]
    assert None not in found
    values = {f"{line[4]}{line[5] or ''}": line[6] for line in found if line and line[4]}
    ((ended, bytes_used),) = rows(
        cli.dsn, "select extract(epoch from ended_at)::text, pg_database_size(current_database()) from ops.run"
    )
    seconds = values.pop("covid_etl_last_run_duration_seconds")
    assert 0 < float(seconds) < 60
    assert abs(int(values.pop("covid_etl_database_bytes")) - bytes_used) < 10**6
    outcomes = ("loaded", "unchanged", "not_modified", "not_published", "stale", "skipped", "failed", "rejected")
    assert values == {
        "covid_etl_last_success_timestamp_seconds": ended,
        "covid_etl_last_run_timestamp_seconds": ended,
        "covid_etl_last_run_exit_code": "0",
        "covid_etl_last_run_revisions": "0",
        "covid_etl_open_rejections": "0",
        "covid_etl_open_drift": "0",
        "covid_etl_open_findings": "0",
        "covid_etl_reports": "2",
    } | {f'covid_etl_last_run_documents{{outcome="{name}"}}': str(2 * (name == "loaded")) for name in outcomes}


def test_an_empty_warehouse_has_metrics_too(cli: Cli) -> None:
    lines = cli("status", "--prometheus").stdout.splitlines()
    assert "covid_etl_reports 0" in lines
    assert not any("last_" in line for line in lines)


def test_status_is_an_alarm_for_silence(cli: Cli) -> None:
    found = cli.json("status", "--max-age-days", "2")
    assert (found["returncode"], found["stale"]) == (7, "no load has gone well yet")
    cli("load", "--source", "snapshot", "--locations", "us")
    # The last day of the series is years ago, and no trouble.
    found = cli.json("status", "--max-age-days", "2")
    assert (found["returncode"], found["stale"], found["newest_day"]) == (0, None, "2021-03-07")
    with administrator(cli.dsn) as cursor:
        cursor.execute("update ops.run set ended_at = ended_at - interval '3 days'")
    shown = cli("status", "--max-age-days", "2")
    assert shown.returncode == 7
    said = r"the last load that went well was at 20\S+Z, more than 2 days ago"
    assert re.search(rf"\nSTALE: {said}\n", shown.stdout)
    assert re.search(rf"ERROR data is stale reason={said}", shown.stderr)
    assert cli("status").returncode == 0


def test_the_load_that_status_offers_is_the_last_one(cli: Cli, receiver: Receiver) -> None:
    cli("load", "--source", "snapshot", "--locations", "vi")
    with administrator(cli.dsn) as cursor:
        cursor.execute("update ops.run set ended_at = ended_at - interval '9 days'")
    assert cli("status", "--max-age-days", "2", **receiver.environ).returncode == 7
    told = receiver.taken() or ""
    assert told.endswith("or load by hand: main.py load --source snapshot --locations vi")


def test_a_load_does_not_end_that_the_newest_report_is_old(cli: Cli, receiver: Receiver, tmp_path: Path) -> None:
    path = tmp_path / "source" / CALIFORNIA
    path.parent.mkdir(parents=True)
    path.write_bytes(encode(state_history("CA", {"2022-01-01": {}})))
    load = ("load", "--source", str(tmp_path / "source"), "--locations", "ca")
    assert cli(*load, **receiver.environ).returncode == 0
    assert cli("status", "--max-age-days", "2", **receiver.environ).returncode == 7
    assert "stale: the newest report is of 2022-01-01" in (receiver.taken() or "")
    assert (cli(*load, **receiver.environ).returncode, receiver.taken()) == (0, None)
    assert (cli("status", "--max-age-days", "2", **receiver.environ).returncode, receiver.taken()) == (7, None)
    assert cli("status", "--max-age-days", "36500", **receiver.environ).returncode == 0
    assert (receiver.taken() or "").startswith("covid-tracking-etl: recovered\nover: stale: the newest report")


def test_status_names_the_gaps(cli: Cli) -> None:
    for day in ("2021-01-01", "2021-01-05", "2021-01-07"):
        cli("load", "--source", "snapshot", "--date", day, "--locations", "us")
    nation = cli.json("status")["locations"][0]
    assert (nation["missing_days"], nation["gaps"]) == (
        4,
        [["2021-01-02", "2021-01-04"], ["2021-01-06", "2021-01-06"]],
    )
    assert "\ngap: US 2021-01-02 to 2021-01-04\ngap: US 2021-01-06 to 2021-01-06\n" in cli("status").stdout


def test_status_knows_the_schema_and_the_sizes(cli: Cli) -> None:
    found = cli.json("status")
    applied = list(schema.tables())
    assert (found["schema_version"], found["schema_files"]) == (applied[-1], len(applied) + 1)
    assert found["program_version"] == __version__
    assert found["database_bytes"] > found["star_bytes"] > found["history_bytes"] > 0
    assert re.search(
        r"\nsize \d+ MB \(star \d+ MB, history \d+ MB, documents \d+ MB\); schema ddl/", cli("status").stdout
    )


def test_what_waits_for_somebody_is_in_status_with_the_command_that_deals_with_it(cli: Cli, api: Api) -> None:
    api.answers |= snapshot_days(DAY, "us", "wa")
    state = api.answers[f"states/wa/{DAY}.json"]
    state["data"]["cases"]["suspected"] = 1
    state["data"]["outcomes"].pop("death")
    arguments = ("load", "--date", DAY, "--source", api.url, "--locations", "us,wa")
    result = cli(*arguments)
    assert result.stdout.splitlines()[-4:] == [
        f"rejected: WA {DAY}: path gone: data.outcomes.death",
        "wait for the source; if it is gone for good, this says what is lost: main.py drift --accept 1",
        f"to pass over it: main.py skip wa {DAY} --reason TEXT",
        "drift 2 (notice, state WA): path added: data.cases.suspected, now number",
    ]
    waiting = cli("status").stdout.partition("run lock: free\n")[2].splitlines()
    assert re.fullmatch(
        rf"rejected 2: states/wa/{DAY}.json since \S+Z: data.outcomes.death: is missing; its bytes: main.py document 2",
        waiting[0],
    )
    assert waiting[1:] == [
        "once that is mended, accepted or passed over (main.py skip): main.py replay --rejected",
        "drift 1 (breaking, state WA): path gone: data.outcomes.death; to take it as it is: main.py drift --accept 1",
        "drift 2 (notice, state WA): path added: data.cases.suspected, now number; "
        "to take it as it is: main.py drift --accept 2",
    ]
    table = cli("drift").stdout.splitlines()
    assert table[0].split() == ["id", "status", "severity", "where", "first", "seen", "(UTC)", "change"]
    assert re.fullmatch(r" +1  open +breaking +state WA +\S+  path gone: data.outcomes.death", table[1])
    refused = cli("drift", "--accept", "1")
    assert (refused.returncode, "0 values of WA become null" in refused.stderr) == (2, True)
    assert cli("drift", "--accept", "1", "--with-loss").stdout.startswith("drift 1 accepted: path gone")
    replayed = cli("replay", "--rejected", "2")
    assert (replayed.returncode, replayed.stdout.splitlines()[1]) == (0, "documents: 1 requested, 1 loaded")
    assert "rejected 2" not in cli("status").stdout


def test_alerts_can_be_tried_from_the_command_line(cli: Cli) -> None:
    result = cli("status", "--test-alerts")
    assert (result.returncode, "nobody would be told" in result.stdout) == (7, True)


def test_skip_says_what_is_passed_over_and_since_when(cli: Cli) -> None:
    assert cli("skip", "--list").stdout == "nothing is passed over\n"
    made = cli("skip", "ca", DAY, "--reason", "a phone number")
    line = rf"1: CA {DAY} since \S+Z: a phone number\n"
    assert re.fullmatch(line + r"load what was rejected for it: main.py replay --rejected\n", made.stdout)
    assert re.fullmatch(line, cli("skip", "--list").stdout)
    told = rf"^passed over 1: CA {DAY} since \S+Z: a phone number; to end that: main.py skip --undo 1$"
    assert re.search(told, cli("status").stdout, re.MULTILINE)
    assert re.fullmatch(
        rf"1: CA {DAY} since \S+Z, undone \S+Z: a phone number\nthe next load reads it again\n",
        cli("skip", "--undo", "1").stdout,
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
def test_what_cannot_be_done_is_said_on_one_line(cli: Cli, arguments: list[str], said: str) -> None:
    result = cli(*arguments)
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert said in result.stderr


def everything(dsn: str) -> dict[str, list[tuple[Any, ...]]]:
    """The star and its history, times included."""
    tables = [*TABLES, *(f"history.{table}_revision" for table in TABLES)]
    return {table: rows(dsn, f"select t::text from {table} as t order by 1") for table in tables}


def publish_thrice(cli: Cli, folder: Path) -> None:
    """Loads a history of California, then two revisions of it."""
    path = folder / CALIFORNIA
    path.parent.mkdir(parents=True)
    for deaths in (1, 2, 3):
        days = {"2021-01-01": {"cases__total": 7}, "2021-01-02": {"outcomes__death__total": deaths}}
        path.write_bytes(encode(state_history("CA", days)))
        assert cli("load", "--source", str(folder), "--locations", "ca").returncode == 0


def test_replay_rebuilds_the_star_and_its_history_without_a_source(cli: Cli, tmp_path: Path) -> None:
    publish_thrice(cli, tmp_path / "source")
    before = everything(cli.dsn)
    assert len(before["history.death_fact_revision"]) == 2
    with administrator(cli.dsn) as cursor:
        cursor.execute("delete from public.cases_fact; update public.death_fact set total_deaths = 0;"
                       " delete from history.death_fact_revision")  # fmt: skip
    found = cli.json("replay")
    assert (found["returncode"], found["documents"]["loaded"]) == (0, 3)
    assert everything(cli.dsn) == before
    assert cli("replay").stdout.startswith("ok (run 5, exit code 0) from stored, all days, locations all, ")
    assert everything(cli.dsn) == before


def test_prune_says_what_it_dropped_and_what_a_replay_loses(cli: Cli, tmp_path: Path) -> None:
    publish_thrice(cli, tmp_path / "source")
    nothing = "0 documents dropped, 0 bytes before compression\n"
    assert cli("prune").stdout == nothing
    with administrator(cli.dsn) as cursor:
        cursor.execute("update ops.document_load set known_at = known_at - interval '400 days'")
    # The first brought the field definitions, the last is what a replay begins with.
    assert re.fullmatch(
        r"1 documents dropped, \d{4,} bytes before compression\n"
        r"CA: can no longer be replayed; that would lose its revisions before \S+Z\n",
        cli("prune").stdout,
    )
    assert cli("prune").stdout.splitlines()[0] == nothing.rstrip()
    assert (cli("replay").returncode, cli("status").returncode) == (2, 0)


def test_mirror_saves_a_source(cli: Cli, tmp_path: Path) -> None:
    target = str(tmp_path / "copy")
    shown = cli("mirror", target, "--source", "snapshot")
    assert (shown.returncode, shown.stdout) == (0, f"snapshot -> {target}: 58 written\n")
    assert cli("mirror", target, "--source", "snapshot").stdout == f"snapshot -> {target}: 58 not modified\n"
    assert cli("load", "--source", target, "--locations", "us").returncode == 0


def test_the_past_is_a_query_away(cli: Cli) -> None:
    cli("load", "--source", "snapshot", "--locations", "us", "--date", "2021-03-07")
    assert rows(cli.dsn, "select total_deaths from mart.daily_summary_as_of(now())") == [(515151,)]
