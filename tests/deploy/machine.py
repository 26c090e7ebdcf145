"""The state machine of template.yaml, run by an interpreter of its language over answers of ECS."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.conftest import NODE_MODULES
from tests.deploy.template import ANSWERS, Template

SCRIPT = Path(__file__).with_name("node") / "run_machine.mjs"
DONE, RETRIED, PERSON = "ended well", "tried again", "failed at once"

Answer = dict[str, Any]


@dataclass(frozen=True)
class Execution:
    """How an execution went: the states that it entered, the tasks that it ran, and how it ended."""

    entered: list[str]
    calls: int
    status: str
    error: str | None = None
    cause: str | None = None

    @property
    def decision(self) -> str:
        """What the machine made of an answer that never changed."""
        if self.status == "ExecutionSucceeded":
            return DONE
        return RETRIED if self.error == "GaveUp" else PERSON


def described(exit_code: int | None) -> dict[str, Any]:
    """A stopped task, in the words of Step Functions; without an exit code, one that never started."""
    container = {"Name": "etl", "LastStatus": "STOPPED"}
    if exit_code is None:
        return {"Containers": [container], "LastStatus": "STOPPED", "StopCode": "TaskFailedToStart"}
    code = {"ExitCode": exit_code}
    return {"Containers": [container | code], "LastStatus": "STOPPED", "StopCode": "EssentialContainerExited"}


def ended(exit_code: int | None) -> Answer:
    """What `runTask.sync` answers when a task has ended: its description, as the cause of an error unless it is 0."""
    task = described(exit_code)
    return {"output": task} if exit_code == 0 else {"error": "States.TaskFailed", "cause": json.dumps(task)}


def execute(node: Path, *executions: list[Answer]) -> list[Execution]:
    """Executions, each by its answers; the last answer stands for all that follow."""
    machine = Template("template.yaml", **ANSWERS).machine()
    done = subprocess.run(
        [node, SCRIPT, NODE_MODULES],
        input=json.dumps({"machine": machine, "executions": executions}),
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return [Execution(**found) for found in json.loads(done.stdout)]
