from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace

from etl.errors import ExitCode, Outcome
from etl.extract.source import NOT_ASKED
from etl.load.drift_record import RecordedChange
from etl.load.findings import RecordedFinding
from etl.load.merge import MergeCounts, RowCounts
from etl.run.summary import Summary, Trouble
from etl.run.wording import advice, as_lines, news_lines, trouble_lines

DRIFT = RecordedChange(
    3, "state", ["CA"], "shape", "path added", "data.cases.x", None, "number", "notice", "", "", first_run_id=7,
    accepted=None, ended=None, status="open", accepted_for=None,
)  # fmt: skip
FINDING = RecordedFinding("highest value", "cases_fact.recovered", date(2021, 1, 2), 9, "high", location="NY")


def summary(*outcomes: Outcome, **fields: Any) -> Summary:
    made = Summary(
        "load", "api", date(2021, 1, 1), date(2021, 1, 2), "all", run_id=7, requested=len(outcomes), **fields
    )
    for outcome in outcomes:
        made.count(outcome, Trouble("CA", None, "why"))
    return made


@pytest.mark.parametrize(
    ("outcomes", "code", "status"),
    [
        ([Outcome.LOADED, Outcome.UNCHANGED, Outcome.STALE], 0, "ok"),
        ([Outcome.LOADED, Outcome.NOT_PUBLISHED], 0, "ok"),
        ([Outcome.NOT_PUBLISHED, Outcome.NOT_PUBLISHED], 4, "ok"),
        ([Outcome.NOT_PUBLISHED, Outcome.REJECTED], 5, "partial"),
        ([Outcome.REJECTED, Outcome.FAILED], 3, "failed"),
        ([Outcome.LOADED, Outcome.FAILED], 3, "partial"),
        ([], 0, "ok"),
    ],
)
def test_outcomes_amount_to_an_exit_code_and_a_status(outcomes: list[Outcome], code: int, status: str) -> None:
    made = summary(*outcomes)
    assert (made.exit_code, made.status) == (code, status)


@pytest.mark.parametrize(
    ("ended_by", "status"),
    [(ExitCode.INTERRUPTED, "interrupted"), (ExitCode.TERMINATED, "interrupted"), (ExitCode.DATABASE, "failed")],
)
def test_what_ended_a_run_early_is_its_exit_code(ended_by: ExitCode, status: str) -> None:
    made = summary(Outcome.FAILED, ended_by=ended_by)
    assert (made.exit_code, made.status) == (ended_by, status)


def test_the_json_has_every_count_and_trouble() -> None:
    made = summary(Outcome.LOADED, Outcome.FAILED, Outcome.REJECTED)
    made.count_rows(MergeCounts({"cases_fact": RowCounts(1, 2, 3, 4)}, revisions=5))
    made.count_rows(MergeCounts({"cases_fact": RowCounts(10, 20, 30, 40)}, revisions=50))
    made.drift, made.findings = [DRIFT], [FINDING]
    found = made.as_json()
    assert found.pop("seconds")["total"] >= 0
    assert found.pop("rows")["cases_fact"] == {"inserted": 11, "updated": 22, "withdrawn": 33, "unchanged": 44}
    trouble = {"location": "CA", "date": None, "reason": "why"}
    assert found == {
        "run_id": 7,
        "dry_run": False,
        "status": "partial",
        "exit_code": 3,
        "source": "api",
        "from": "2021-01-01",
        "to": "2021-01-02",
        "locations": "all",
        "documents": {
            "requested": 3, "not_modified": 0, "not_published": 0, "failed": 1, "loaded": 1, "unchanged": 0,
            "stale": 0, "skipped": 0, "rejected": 1,
        },
        "revisions": 55,
        "drift": [{
            "id": 3, "endpoint_kind": "state", "locations": ["CA"], "severity": "notice", "signal": "shape", "change": "path added",
            "path": "data.cases.x", "before": None, "after": "number",
        }],
        "broken_off": [],
        "passed_over": [],
        "findings": [{
            "location": "NY", "check": "highest value", "measure": "cases_fact.recovered",
            "report_date": "2021-01-02", "value": 9, "meaning": "high",
        }],
        "failed": [trouble],
        "rejected": [trouble | {"skip": "main.py skip ca --reason TEXT"}],
        "stale": [],
    }  # fmt: skip


def test_the_text_says_what_went_wrong_and_what_is_new() -> None:
    made = summary(Outcome.FAILED)
    made.drift, made.findings = [DRIFT], [FINDING]
    lines = as_lines(made)
    assert lines[0].startswith("failed (run 7, exit code 3) from api, 2021-01-01 to 2021-01-02, locations all, ")
    assert lines[1] == "documents: 1 requested, 1 failed"
    assert lines[-3:] == [
        "failed: CA history: why",
        "drift 3 (notice, state CA): path added: data.cases.x, now number",
        "finding: NY 2021-01-02: highest value, cases_fact.recovered: high",
    ]


def test_the_text_prints_the_command_that_passes_over_what_was_rejected() -> None:
    made = summary()
    made.count(Outcome.REJECTED, Trouble("CA", None, "why", days=("2021-01-02", "2021-01-03")))
    assert as_lines(made)[-2:] == [
        "rejected: CA history: why (broken days: 2021-01-02, 2021-01-03)",
        "to pass over it: main.py skip ca 2021-01-02 2021-01-03 --reason TEXT",
    ]


def test_all_days_of_a_broken_history_can_be_passed_over_at_once() -> None:
    made = summary()
    days = tuple(f"2021-01-{day:02}" for day in range(1, 11))
    made.count(Outcome.REJECTED, Trouble("CA", None, "a value", days=days))
    assert as_lines(made)[-2:] == [
        f"rejected: CA history: a value (broken days: {', '.join(days[:5])} and 5 more)",
        f"to pass over it: main.py skip ca {' '.join(days)} --reason TEXT",
    ]


def test_a_history_with_more_broken_days_than_a_month_has_is_passed_over_as_a_whole() -> None:
    month = tuple(f"2021-01-{day:02}" for day in range(1, 32))
    assert Trouble("CA", None, "a value", days=month).skip_command.endswith(f"ca {' '.join(month)} --reason TEXT")
    assert Trouble("CA", None, "a value", days=(*month, "2021-02-01")).skip_command.endswith("ca --reason TEXT")


def test_a_rebuild_without_the_rejected_is_offered_for_the_same_locations() -> None:
    made = summary(Outcome.REJECTED)
    made.command, made.locations = "replay", "ca,ny"
    assert advice(made)[0].endswith("main.py replay --allow-rejected --locations ca,ny")


def test_the_text_says_each_reason_once() -> None:
    made = summary()
    for location in ("CA", "NY"):
        made.count(Outcome.FAILED, Trouble(location, None, "cannot be reached"))
    made.count(Outcome.FAILED, Trouble("WA", date(2021, 1, 1), "status 500"))
    assert as_lines(made)[-2:] == [
        "failed: CA history, NY history: cannot be reached",
        "failed: WA 2021-01-01: status 500",
    ]


def test_the_text_of_a_day_without_anything_says_so() -> None:
    lines = as_lines(summary(Outcome.NOT_PUBLISHED))
    assert lines[0].startswith("nothing published (run 7, exit code 4) from api")
    assert lines[1:] == ["documents: 1 requested, 1 not published", "rows: none touched"]
    late = replace(summary(Outcome.NOT_PUBLISHED), first_day=date(2026, 5, 4), last_day=date(2026, 5, 4))
    assert as_lines(late)[-1] == "the series ended on 2021-03-07: no later day was published"


def broken(change: str, location: str = "CA", **trouble: Any) -> Trouble:
    seen = replace(
        DRIFT, drift_id=4, locations=[location], change=change, path="data.cases", severity="breaking", first_run_id=6
    )
    return Trouble(location, trouble.get("day"), "why", days=trouble.get("days", ()), drift=(seen,))


def advised(*troubles: Trouble) -> list[str]:
    made = summary()
    for trouble in troubles:
        made.count(Outcome.REJECTED, trouble)
    return advice(made)


def test_what_to_do_depends_on_what_broke_the_documents() -> None:
    accept = "to take the change as it is: main.py drift --accept 4; main.py replay --rejected"
    lose = "wait for the source; if it is gone for good, this says what is lost: main.py drift --accept 4"
    wait = "such a change cannot be accepted: wait for the source, or for a program that reads it"
    assert advised(broken("path renamed"), broken("path renamed", "NY")) == [accept]
    assert advised(broken("path gone", day=date(2021, 1, 2))) == [
        lose, "to pass over it: main.py skip ca 2021-01-02 --reason TEXT",
    ]  # fmt: skip
    assert advised(broken("type changed", days=("2021-01-02",))) == [
        wait, "to pass over it: main.py skip ca 2021-01-02 --reason TEXT",
    ]  # fmt: skip
    assert advised(Trouble("NY", None, "why")) == [
        "wait for the source; to pass over it: main.py skip ny --reason TEXT"
    ]
    assert advised() == []


def test_a_change_of_many_documents_is_one_line_however_many_days_show_it() -> None:
    made = summary()
    for number in range(56):
        seen = broken("path renamed", f"X{number:02}")
        made.count(Outcome.REJECTED, replace(seen, reason=f"data.cases: is missing ({number} times)"))
        made.drift.append(seen.drift[0])
    assert trouble_lines(made) == [
        "rejected: X00 history, X01 history, X02 history, X03 history, X04 history and 51 more: "
        "path renamed: data.cases, now number"
    ]
    assert news_lines(made.drift, []) == []


def test_documents_that_were_not_asked_for_come_behind_the_cause_of_that() -> None:
    made = summary()
    for reason in (NOT_ASKED, "[Errno 111] Connection refused"):
        made.count(Outcome.FAILED, Trouble("CA", None, reason))
    assert trouble_lines(made) == [
        f"failed: CA history: {reason}" for reason in ("[Errno 111] Connection refused", NOT_ASKED)
    ]


def test_stale_documents_are_in_the_text_and_frozen_ones_are_trouble() -> None:
    made = summary(Outcome.STALE)
    assert (as_lines(made)[-1], trouble_lines(made)) == ("stale: CA history: why", [])
    made.frozen = ["CA"]
    assert trouble_lines(made) == ["stale for two days: CA history: why"]


def test_commands_are_shown_as_they_are_typed_where_the_program_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVID_ETL_COMMAND", "docker compose run --rm -T etl")
    assert advised(broken("path gone"))[0].endswith(": docker compose run --rm -T etl drift --accept 4")
    assert Trouble("CA", None, "why").skip_command == "docker compose run --rm -T etl skip ca --reason TEXT"


def test_many_documents_with_the_same_trouble_are_counted() -> None:
    made = summary()
    for number in range(8):
        made.count(Outcome.FAILED, Trouble(f"X{number}", None, "cannot be reached"))
    assert as_lines(made)[-1] == (
        "failed: X0 history, X1 history, X2 history, X3 history, X4 history and 3 more: cannot be reached"
    )


def test_what_is_passed_over_is_in_every_summary() -> None:
    made = summary(Outcome.LOADED, passed_over=["NY 2021-01-15"])
    assert as_lines(made)[-1] == "passed over: NY 2021-01-15"


def test_a_dry_run_has_no_number() -> None:
    made = summary(Outcome.LOADED, dry_run=True)
    assert made.as_json()["run_id"] is None
    assert as_lines(made)[0].startswith("ok (dry run, nothing written, exit code 0)")


def test_the_gravest_of_the_failed_documents_is_the_exit_code() -> None:
    made = summary()
    for code in (ExitCode.SOURCE, ExitCode.DATABASE):
        made.count(Outcome.FAILED, Trouble("CA", None, "why", code))
    assert made.exit_code == ExitCode.DATABASE
    made.count(Outcome.FAILED, Trouble("CA", None, "why", ExitCode.BUG))
    assert int(made.exit_code) == 1


def test_a_replay_that_was_rolled_back_counts_its_documents_as_unchanged() -> None:
    made = summary(Outcome.LOADED, Outcome.REJECTED)
    made.command = "replay"
    made.count_rows(MergeCounts({"cases_fact": RowCounts(1, 2, 3, 4)}, revisions=5))
    made.take_back()
    assert (made.documents[Outcome.LOADED], made.documents[Outcome.UNCHANGED], made.row_count) == (0, 1, 0)
    assert advice(made) == [
        "nothing was changed; if main.py drift lists the cause, accept it (again); "
        "to rebuild all the rest without it: main.py replay --allow-rejected"
    ]
