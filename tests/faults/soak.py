"""Attacks the program for a quarter of an hour, and writes the table of docs/reliability.md.

    make soak

The attacks are the tests of `tests/faults`, with more kills and longer fuzzing than in the sample of `make test-faults`.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from etl import __version__
from etl.config import ROOT

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- begin: make soak -->", "<!-- end: make soak -->"
# Each of the four tests that fuzz goes on for so many seconds.
OFTEN = {"INTERRUPTED_STARTS": "60", "INTERRUPTED_LOADS": "200", "FUZZ_SECONDS": "150"}


@dataclass(frozen=True)
class Promise:
    """A promise, how it is attacked, and the tests that do it, by a part of their names in a module."""

    text: str
    attack: str
    module: str
    names: tuple[str, ...] = ("test_",)


PROMISES = (
    Promise("A broken API is the failure of single documents; the others load, in bounded time.",
            "drips, floods, lies, resets, redirects and TLS failures of a hostile server, alone and all at once",
            "test_api", ("next_is_had", "its_own_documents", "does_not_make_others_wait", "bounded_time", "tls")),
    Promise("A run takes under 250 MB, whatever arrives.",
            "bombs, endless bodies, millions of brackets and names, by four requests at once",
            "test_api", ("memory",)),
    Promise("No answer of a server is a bug.", "random bytes as answers, and as Retry-After", "test_api",
            ("no_bytes", "no_retry_after")),
    Promise("Without the API the snapshot serves, unless the API is only busy.", "each fault at the probe", "test_api",
            ("probe",)),
    Promise("Whoever is told never delays or changes a load.", "each small fault as heartbeat and as alert receiver",
            "test_api", ("heartbeat", "alert_never")),
    Promise("A hostile value is the outcome of its own document; text of the source is shown as text.",
            "values, keys, times, metadata and validators of every odd kind; forged lines of a log", "test_values"),
    Promise("`decode` returns or raises its own two errors, and a load of any document ends as loads do.",
            "random and mutated documents", "test_fuzz"),
    Promise("An interrupted first start leaves a home that works.",
            "SIGINT, SIGTERM, SIGHUP, SIGKILL, kills of initdb and of the server at random moments", "test_process",
            ("interrupted_first_start",)),
    Promise("An interrupted load is finished by the next; nothing is lost or doubled.",
            "SIGINT, SIGTERM, SIGHUP and SIGKILL at random moments", "test_process", ("interrupted_load",)),
    Promise("A command ends with its code and one line, and deletes nothing of others.",
            "frozen servers, closed and full streams, lack of memory, text that is none, killed exports, odd homes",
            "test_process",
            ("home", "frozen", "given_away", "signal", "streams", "secret", "bytes", "memory", "export", "report",
             "reject")),
    Promise("The history keeps what each day said, and the end is that of the last day.",
            "daily loads of a changing source, with faults on ten of the days", "test_month"),
    Promise("The database keeps every session, lock and role in its place.",
            "planted names, odd settings, held locks, a pooler, roles that try what they must not", "test_database"),
    Promise("No secret is written anywhere.",
            "markers in every place where a secret can be: URLs, files, parameters, refused and accepted",
            "test_secrets"),
)  # fmt: skip


def attack(report: Path) -> None:
    """Runs all attacks; the report of pytest says how each went."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not docker", "tests/faults", f"--junitxml={report}"]
    subprocess.run(command, cwd=ROOT, env=os.environ | OFTEN, check=False)


def table(report: Path) -> Iterator[str]:
    """The lines of the table: a promise each."""
    cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 (written just now)
    yield "| promise | attacked by | times | result | tests |\n|---|---|---|---|---|"
    for promise in PROMISES:
        tried = [case for case in cases if _belongs(case, promise)]
        times = sum(_times(case) for case in tried)
        broken = sum(case.find("failure") is not None or case.find("error") is not None for case in tried)
        result = "not tried" if not tried else f"{broken} tests failed" if broken else "held"
        yield f"| {promise.text} | {promise.attack} | {times:,} | {result} | `tests/faults/{promise.module}.py` |"


def _belongs(case: ET.Element, promise: Promise) -> bool:
    is_there = case.get("classname", "").endswith(f".{promise.module}") and case.find("skipped") is None
    return is_there and any(name in case.get("name", "") for name in promise.names)


def _times(case: ET.Element) -> int:
    """How often a test has tried: what it says itself, or once."""
    return sum(int(item.get("value", "1")) for item in case.iter("property") if item.get("name") == "times") or 1


def main() -> None:
    """Attacks, and replaces the table of the page."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        attack(report)
        lines = "\n".join(table(report))
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    tail = rest.partition(END)[2]
    made = f"Version {__version__}, {datetime.now(UTC):%Y-%m-%d}:"
    PAGE.write_text(f"{head}{BEGIN}\n{made}\n\n{lines}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
