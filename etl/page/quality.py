"""What the checks found, check by check and state by state."""

from collections import Counter
from dataclasses import dataclass

from etl.database.checks import Check
from etl.page import words
from etl.page.data import Finding, Report

NEWEST = 10


@dataclass(frozen=True, slots=True)
class Found:
    """A check with what it found; `findings` is empty where a check only counts."""

    check: Check
    findings: list[Finding]

    @property
    def newest(self) -> list[Finding]:
        """Some of the findings, the newest day first."""
        return self.findings[:NEWEST]

    @property
    def has_figures(self) -> bool:
        """Whether the findings are about figures, not about grades or missing days."""
        return any(finding.value is not None or finding.compared_with is not None for finding in self.findings)

    @property
    def places(self) -> list[tuple[str, int]]:
        """The locations with their number of findings, those with most first."""
        return sorted(
            Counter(finding.name for finding in self.findings).items(), key=lambda each: (-each[1], each[0])
        )


def found(report: Report) -> list[Found]:
    """The advisory checks that found something, those with most findings first."""
    checks = [check for check in report.checks if check.kind == "advisory" and check.findings]
    checks.sort(key=lambda check: -check.findings)
    return [Found(check, [each for each in report.findings if each.check == check.name]) for check in checks]


def findings_by_location(report: Report) -> dict[str, str]:
    """In words, by code of the location: `6 findings (poor grades 4, falling total of deaths 2)`."""
    counters: dict[str, Counter[str]] = {code: Counter() for code in report.locations}
    for finding in report.findings:
        counters[finding.code][finding.check] += 1
    return {code: _in_words(counter) for code, counter in counters.items()}


def _in_words(counter: Counter[str]) -> str:
    if not counter:
        return "no findings"
    parts = ", ".join(f"{check} {findings:,}" for check, findings in counter.most_common())
    return f"{words.count(counter.total(), 'finding')} ({parts})"
