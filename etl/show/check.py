"""The results of `check` in words, in JSON, and as an exit code."""

from typing import Any

from msgspec.structs import asdict

from etl.database.checks import Check
from etl.errors import ExitCode


def exit_code(checks: list[Check]) -> ExitCode:
    """The exit code 7 if a required check failed, else 0."""
    return ExitCode.CHECK if any(check.has_failed for check in checks) else ExitCode.OK


def as_json(checks: list[Check]) -> dict[str, Any]:
    """The object that `check --json` prints."""
    return {"exit_code": int(exit_code(checks)), "checks": [asdict(check) for check in checks]}


def as_lines(checks: list[Check]) -> list[str]:
    """A line per check, and one for all of them."""
    lines = [
        f"{check.outcome:<13}{check.kind:<10}{check.findings:>8}  {check.name}: {check.meaning}" for check in checks
    ]
    failed = sum(check.has_failed for check in checks)
    verdict = f"{failed} required failed"
    if not failed and any(check.was_made for check in checks):
        verdict += ": nothing that is loaded contradicts itself"
    if unmade := sum(not check.was_made for check in checks):
        verdict += f"; {unmade} not checked: something that they need is not loaded"
    advisory = "advisory findings are about what was published, and fail nothing: docs/data-quality.md"
    return [*lines, f"{verdict}; {advisory}"]
