"""The findings of the checks, by check and by location."""

from collections import Counter
from dataclasses import dataclass

from etl.database.checks import Check
from etl.page import words
from etl.page.data import Contents, Finding


@dataclass(frozen=True, slots=True)
class CheckFindings:
    """A check with its findings, the newest day first; a check that only counts has none of them."""

    check: Check
    findings: list[Finding]

    @property
    def has_figures(self) -> bool:
        """Whether the findings are about figures, and not about grades or missing days."""
        return any(finding.value is not None or finding.compared_with is not None for finding in self.findings)

    @property
    def places(self) -> list[tuple[str, int]]:
        """The locations with their number of findings, those with most first."""
        counter = Counter(finding.name for finding in self.findings)
        return sorted(counter.items(), key=lambda place: (-place[1], place[0]))


def by_check(contents: Contents) -> list[CheckFindings]:
    """The advisory checks that found something, those with most findings first."""
    checks = [check for check in contents.checks if check.kind == "advisory" and check.findings]
    checks.sort(key=lambda check: -check.findings)
    return [
        CheckFindings(check, [finding for finding in contents.findings if finding.check == check.name])
        for check in checks
    ]


def by_location(contents: Contents) -> dict[str, str]:
    """The findings in words by code of the location: `6 findings (poor grades 4, falling total of deaths 2)`."""
    counters: dict[str, Counter[str]] = {code: Counter() for code in contents.locations}
    for finding in contents.findings:
        counters[finding.code][finding.check] += 1
    return {code: _in_words(counter) for code, counter in counters.items()}


def _in_words(counter: Counter[str]) -> str:
    if not counter:
        return "no findings"
    parts = ", ".join(f"{check} {findings:,}" for check, findings in counter.most_common())
    return f"{words.count(counter.total(), 'finding')} ({parts})"
