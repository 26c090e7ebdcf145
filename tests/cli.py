"""The command within the process of the test: for what it prints, logs and leaves in the database.

How a process starts and ends, and treats its terminal, pipes and signals, is tested with `tests.conftest.Command`.
"""

import io
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from etl.cli.commands import main
from etl.logs import log


@dataclass(frozen=True)
class Cli:
    """Calls the command with a database of its own, and nothing of the test's environment."""

    dsn: str
    home: Path

    def __call__(self, *arguments: str, **environ: str) -> "CompletedProcess[str]":
        assert arguments[:1] != ("psql",), "psql writes to the process's own stdout: start one"
        home = str(self.home)
        variables = {"PATH": os.environ["PATH"], "HOME": home, "COVID_ETL_HOME": home, "DATABASE_URL": self.dsn}
        out, err = io.StringIO(), io.StringIO()
        with environment(variables | environ), redirect_stdout(out), redirect_stderr(err), log_kept():
            code = main(arguments)
        return CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    def json(self, *arguments: str, **environ: str) -> dict[str, Any]:
        """What the command prints with `--json`."""
        result = self(*arguments, "--json", **environ)
        assert result.stdout, result.stderr
        printed: dict[str, Any] = json.loads(result.stdout)
        return printed | {"returncode": result.returncode}


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Exactly these variables, without those that are empty."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            patch.delenv(name)
        for name, value in variables.items():
            if value:
                patch.setenv(name, value)
        yield


@contextmanager
def log_kept() -> Iterator[None]:
    """Puts the log back to where it went before."""
    root, ours = logging.getLogger(), log
    handlers, level = root.handlers[:], ours.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        ours.setLevel(level)
