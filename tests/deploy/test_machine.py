"""The state machine decides by exit codes as etl/errors.py means them."""

import re
from pathlib import Path

from etl.config import ROOT
from etl.errors import SIGNALS, ExitCode
from tests.deploy.machine import DONE, PERSON, RETRIED, Execution, described, ended, execute

# Every exit code that the program knows, and what the state machine does about it.
DECISIONS = {
    ExitCode.OK: DONE,
    ExitCode.NOT_PUBLISHED: DONE,
    ExitCode.REJECTED: DONE,
    ExitCode.SOURCE: RETRIED,
    ExitCode.DATABASE: RETRIED,
    ExitCode.LOCKED: RETRIED,
    **dict.fromkeys(SIGNALS, RETRIED),
    ExitCode.BUG: PERSON,
    ExitCode.USAGE: PERSON,
    ExitCode.CHECK: PERSON,
}


def test_every_exit_code_has_a_decision() -> None:
    assert DECISIONS.keys() == set(ExitCode)


def test_what_is_tried_again_is_what_the_readme_says_to_run_again() -> None:
    rows = re.findall(r"^\| (\d+) \| .* \| (.*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    again = {int(code) for code, advice in rows if advice.startswith("run again")}
    assert again == {code for code, decision in DECISIONS.items() if decision == RETRIED}


def test_an_exit_code_leads_to_its_decision(node: Path) -> None:
    found = execute(node, *([ended(code)] for code in DECISIONS))
    assert {code: execution.decision for code, execution in zip(DECISIONS, found, strict=True)} == DECISIONS
    for execution in found:
        assert execution.calls == (4 if execution.decision == RETRIED else 1)


def test_an_unknown_exit_code_needs_a_person(node: Path) -> None:
    # Killed by the kernel for its memory, and a code that the program has not.
    killed, unknown = execute(node, [ended(137)], [ended(8)])
    assert (killed.decision, killed.calls, killed.error) == (PERSON, 1, "NeedsPerson")
    assert unknown.cause == "The load ended with exit code 8; its log says why."


def test_an_exit_code_counts_also_where_the_task_is_no_error(node: Path) -> None:
    # Both are documented: an error with the task as its cause, and an output with the exit code in it.
    person, again = execute(node, [{"output": described(2)}], [{"output": described(6)}])
    assert (person.decision, again.decision) == (PERSON, RETRIED)


def test_a_retry_meets_what_there_is_then(node: Path) -> None:
    well, bug = execute(node, [ended(6), ended(75), ended(0)], [ended(3), ended(1)])
    assert (well.decision, well.calls, well.entered.count("Pause")) == (DONE, 3, 2)
    assert (bug.error, bug.calls) == ("NeedsPerson", 2)


def test_a_task_that_was_never_placed_is_tried_again(node: Path) -> None:
    no_room = {"error": "AmazonECS.Unknown", "cause": '{"Failures":[{"Reason":"RESOURCE:MEMORY"}],"Tasks":[]}'}
    for answer in (no_room, ended(None)):
        never, later = execute(node, [answer], [answer, ended(0)])
        assert (never.decision, never.calls, never.error) == (RETRIED, 4, "GaveUp")
        assert (later.decision, later.calls) == (DONE, 2)


def test_a_task_that_hangs_is_not_tried_again(node: Path) -> None:
    (found,) = execute(node, [{"error": "States.Timeout", "cause": ""}])
    assert (found.error, found.calls) == ("TookTooLong", 1)


def test_a_refused_call_fails_with_its_own_words(node: Path) -> None:
    words = "User: arn:aws:sts::123456789012:assumed-role/x is not authorized to perform: ecs:RunTask"
    (found,) = execute(node, [{"error": "ECS.AccessDeniedException", "cause": words}])
    assert found == Execution(["FirstAttempt", "Load", "IsTask", "Refused"], 1, "ExecutionFailed", "Refused", words)
