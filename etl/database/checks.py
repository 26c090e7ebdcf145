"""Runs `sql/checks/validate.sql` over what is loaded."""

from dataclasses import asdict, dataclass
from typing import Any

from etl.database.connection import Connection, fetch_all, read_sql
from etl.errors import ExitCode


@dataclass(frozen=True, slots=True)
class Check:
    """One check: required ones hold whatever the source publishes, advisory ones find what it published."""

    name: str
    kind: str
    findings: int
    outcome: str
    meaning: str


def validate(conn: Connection) -> list[Check]:
    """Every check with its outcome, the required ones first."""
    return [Check(*row) for row in fetch_all(conn, read_sql("checks/validate.sql"))]


def exit_code(checks: list[Check]) -> ExitCode:
    """7 if a required check failed."""
    failed = any(check.kind == "required" and check.outcome == "FAILED" for check in checks)
    return ExitCode.CHECK if failed else ExitCode.OK


def as_json(checks: list[Check]) -> dict[str, Any]:
    """What `check --json` prints."""
    return {"exit_code": int(exit_code(checks)), "checks": [asdict(check) for check in checks]}


def as_text(checks: list[Check]) -> str:
    """The checks as a table for people."""
    lines = [
        f"{check.outcome:<8}{check.kind:<10}{check.findings:>8}  {check.name}: {check.meaning}" for check in checks
    ]
    return "\n".join([*lines, verdict(checks)])


def verdict(checks: list[Check]) -> str:
    """What the outcomes come to, in one line."""
    failed = sum(check.kind == "required" and check.outcome == "FAILED" for check in checks)
    return (
        f"{failed} required failed{'' if failed else ': what is loaded is sound'};"
        " advisory findings are about what was published, and fail nothing: docs/data-quality.md"
    )
