"""Deploys an image to an environment: the stack, then `init-db`, then one execution of the state machine.

    deploy.py deploy ENVIRONMENT IMAGE     IMAGE by its digest, as build.sh printed it
    deploy.py login ENVIRONMENT            makes the login of the load, or gives it the password of its secret

STACK_PARAMETERS holds the parameters of template.yaml as JSON, and STACK_ROLE_ARN the role that CloudFormation takes.
The exit code is 0, that of the owner's task if it failed, 2 for a wrong command line or a variable that is not set,
and otherwise 1.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import login
from botocore.exceptions import ClientError

TEMPLATE = Path(__file__).with_name("template.yaml")
LABEL = "covid-tracking-etl.schema"
# How often a state is asked for, in seconds; a stack and a task have half an hour, an execution ends by itself.
POLL, WAIT = 10, 1800


class DeploymentError(Exception):
    """A deployment cannot go on; the text says what to do. `exit_code` is that of the task that failed, or 1."""

    def __init__(self, text: str, exit_code: int = 1) -> None:
        super().__init__(text)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Stack:
    """A stack as AWS describes it: its state, its parameters and its outputs."""

    status: str
    parameters: dict[str, str]
    outputs: dict[str, str]


def main(arguments: Sequence[str]) -> int:
    """Runs a command, and returns its exit code."""
    try:
        match arguments:
            case ["deploy", environment, image]:
                deploy(f"covid-tracking-etl-{environment}", image)
            case ["login", environment]:
                make_login(f"covid-tracking-etl-{environment}")
            case _:
                raise DeploymentError((__doc__ or "").strip(), 2)
    except DeploymentError as error:
        say(str(error))
        return error.exit_code
    except Exception as error:
        # Whatever AWS, Docker or a secret brings ends the deployment in one line of its log.
        say(f"{type(error).__name__}: {error}")
        return 1
    return 0


def deploy(name: str, image: str) -> None:
    """Brings a stack to an image. Raises `DeploymentError` where the image cannot take over, or a task fails."""
    before = stack(name)
    if before and before.parameters.get("Image") not in {None, image}:
        require_forward(schema_of(before.parameters["Image"]), schema_of(image))
    update(name, image, exists=before is not None)
    after = stack(name)
    assert after is not None
    run_owner(after, [])
    if before is None:
        say(f"{name} is new: run `deploy.py login`, then this again")
    else:
        execute(after)


# --- the image ---


def schema_of(image: str) -> dict[str, str]:
    """The files that make the tables of an image, with their checksums."""
    subprocess.run(["docker", "pull", "--quiet", image], check=True, stdout=sys.stderr)
    label = '{{index .Config.Labels "' + LABEL + '"}}'
    shown = subprocess.run(["docker", "inspect", "-f", label, image], check=True, capture_output=True, text=True)
    return dict(entry.split("=") for entry in shown.stdout.split())


def require_forward(deployed: dict[str, str], wanted: dict[str, str]) -> None:
    """Raises `DeploymentError` unless the tables of the deployed image are those of the wanted one, or fewer.

    The program would refuse such a database, after the stack has the image.
    """
    if lost := [file for file, checksum in deployed.items() if wanted.get(file) != checksum]:
        raise DeploymentError(
            f"the database has been changed by sql/{lost[0]}, which this image does not have: deploy a newer image,"
            " or restore the database from before that (docs/day-2.md)"
        )


# --- the stack ---


def stack(name: str) -> Stack | None:
    """The stack, or None if there is none."""
    try:
        (found,) = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    parameters = {entry["ParameterKey"]: entry["ParameterValue"] for entry in found.get("Parameters", [])}
    outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in found.get("Outputs", [])}
    return Stack(found["StackStatus"], parameters, outputs)


def setting(name: str) -> str:
    """A variable; raises `DeploymentError` where it is not set."""
    if value := os.environ.get(name):
        return value
    raise DeploymentError(f"{name} is not set: the head of {Path(__file__).name} says what it holds", 2)


def update(name: str, image: str, *, exists: bool) -> None:
    """Makes or changes the stack and waits for it; one that is up to date is left alone."""
    cloudformation = boto3.client("cloudformation")
    parameters = json.loads(setting("STACK_PARAMETERS")) | {"Image": image}
    wanted = {
        "StackName": name,
        "TemplateBody": TEMPLATE.read_text(encoding="utf-8"),
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        "Capabilities": ["CAPABILITY_IAM"],
        "RoleARN": setting("STACK_ROLE_ARN"),
    }
    try:
        (cloudformation.update_stack if exists else cloudformation.create_stack)(**wanted)
    except ClientError as error:
        if "No updates are to be performed" in str(error):
            return
        raise
    waiter = cloudformation.get_waiter("stack_update_complete" if exists else "stack_create_complete")
    waiter.wait(StackName=name, WaiterConfig={"Delay": POLL, "MaxAttempts": WAIT // POLL})


# --- tasks ---


def run_owner(deployed: Stack, command: list[str]) -> None:
    """Runs the owner's task, with another command if one is given; raises `DeploymentError` unless it ends with 0."""
    ecs, outputs = boto3.client("ecs"), deployed.outputs
    network = {
        "subnets": outputs["Subnets"].split(","),
        "securityGroups": [outputs["SecurityGroup"]],
        "assignPublicIp": outputs["AssignPublicIp"],
    }
    overrides = [{"name": "etl", "command": command}] if command else []
    started = ecs.run_task(
        cluster=outputs["Cluster"],
        taskDefinition=outputs["OwnerDefinition"],
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": network},
        overrides={"containerOverrides": overrides},
    )
    if started.get("failures"):
        reason = started["failures"][0].get("reason")
        raise DeploymentError(f"ECS has no place for the task ({reason}): run this again")
    task = started["tasks"][0]["taskArn"]
    waiter = ecs.get_waiter("tasks_stopped")
    waiter.wait(cluster=outputs["Cluster"], tasks=[task], WaiterConfig={"Delay": POLL, "MaxAttempts": WAIT // POLL})
    report(ecs.describe_tasks(cluster=outputs["Cluster"], tasks=[task])["tasks"][0], outputs["LogGroup"])


def report(task: dict[str, Any], log: str) -> None:
    """Says how a task ended; raises `DeploymentError` unless with exit code 0."""
    code = task["containers"][0].get("exitCode")
    number = task["taskArn"].rsplit("/", 1)[1]
    if code is None:
        raise DeploymentError(f"task {number} did not start: {task.get('stoppedReason')}")
    say(f"task {number} ended with exit code {code}; its log: {log}, etl/etl/{number}")
    if code:
        raise DeploymentError(f"the owner's task failed with exit code {code}", code)


def execute(deployed: Stack) -> None:
    """Runs the state machine as the schedule does, waits, and reads the exit code of the load back."""
    states = boto3.client("stepfunctions")
    started = states.start_execution(stateMachineArn=deployed.outputs["StateMachine"], input="{}")
    while (ended := states.describe_execution(executionArn=started["executionArn"]))["status"] == "RUNNING":
        time.sleep(POLL)
    if ended["status"] != "SUCCEEDED":
        raise DeploymentError(f"the load {ended['status']}: {ended.get('error')}: {ended.get('cause')}")
    code = json.loads(ended["output"])["task"]["Containers"][0]["ExitCode"]
    say(f"the load ended with exit code {code}")


def make_login(name: str) -> None:
    """Makes the login of the load by the owner's task, or gives it the password that its secret has now."""
    deployed = stack(name)
    if deployed is None:
        raise DeploymentError(f"there is no stack {name}: deploy first")
    manager = boto3.client("secretsmanager")
    found = manager.get_secret_value(SecretId=deployed.parameters["LoaderSecretArn"])
    secret = json.loads(found["SecretString"])
    run_owner(deployed, login.command(secret["username"], secret["password"]))


def say(text: str) -> None:
    """Prints a line for people."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
