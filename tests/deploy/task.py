"""A task of template.yaml on a Docker engine: the real image, with exactly the settings of its definition.

What differs from Fargate is said in deploy/aws/README.md: the engine, the network, the driver of the log.
"""

import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from tests.deploy.template import REGION, Template

IMAGE = "covid-tracking-etl"


def docker(*arguments: str, environ: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["docker", *arguments], check=False, capture_output=True, text=True, env=os.environ | (environ or {}),
        stdin=subprocess.DEVNULL, timeout=600,
    )  # fmt: skip


def secret_value(reference: str) -> str:
    """The value that ECS gives to a container: `ARN:KEY:STAGE:VERSION` in the provider's notation."""
    arn, key, stage, version = reference.rsplit(":", 3)
    assert (stage, version) == ("", "")
    found = boto3.client("secretsmanager", REGION).get_secret_value(SecretId=arn)
    value: str = json.loads(found["SecretString"])[key]
    return value


@dataclass
class Ended:
    """A task that has stopped: its exit code, its output, and its log."""

    exit_code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of the log; fails where one is not JSON."""
        return [json.loads(line) for line in self.stderr.splitlines()]


@dataclass
class Tasks:
    """Runs tasks of a template in a network."""

    template: Template
    network: str
    bundle: Path | None
    names: list[str] = field(default_factory=list)

    def arguments(self, definition: str, command: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """The options of `docker run` that stand for a definition, and the variables that they name."""
        task = self.template.resolved(definition)
        (container,) = task["ContainerDefinitions"]
        variables = {entry["Name"]: str(entry["Value"]) for entry in container["Environment"]}
        variables |= {entry["Name"]: secret_value(entry["ValueFrom"]) for entry in container["Secrets"]}
        linux = container["LinuxParameters"]
        options = ["--network", self.network, "--cpus", str(int(task["Cpu"]) / 1024)]
        options += ["--memory", f"{container['Memory']}m", "--memory-swap", f"{container['Memory']}m"]
        options += ["--user", container["User"], "--stop-timeout", str(container["StopTimeout"])]
        options += ["--read-only"] * container["ReadonlyRootFilesystem"] + ["--init"] * linux["InitProcessEnabled"]
        options += [f"--cap-drop={name}" for name in linux["Capabilities"]["Drop"]]
        options += [part for name in variables for part in ("--env", name)]
        if self.bundle:
            options += ["--volume", f"{self.bundle}:{variables['PGSSLROOTCERT']}:ro"]
        return [*options, IMAGE, *(command or container["Command"])], variables

    def run(self, definition: str, *command: str) -> Ended:
        """Runs a task to its end, with the command of its definition or with another one, as `RunTask` may."""
        options, variables = self.arguments(definition, command)
        before = time.monotonic()
        done = docker("run", "--rm", *options, environ=variables)
        return Ended(done.returncode, done.stdout, done.stderr, time.monotonic() - before)

    def start(self, definition: str, *command: str) -> str:
        """Starts a task, and returns the name of its container."""
        options, variables = self.arguments(definition, command)
        started = docker("run", "--detach", *options, environ=variables)
        assert started.returncode == 0, started.stderr
        return started.stdout.strip()

    def stop(self, name: str) -> Ended:
        """Stops a task as ECS does: SIGTERM, and SIGKILL after the stop timeout."""
        before = time.monotonic()
        docker("stop", name)
        seconds = time.monotonic() - before
        code = int(docker("inspect", "-f", "{{.State.ExitCode}}", name).stdout)
        logs = docker("logs", name)
        docker("rm", name)
        return Ended(code, logs.stdout, logs.stderr, seconds)
