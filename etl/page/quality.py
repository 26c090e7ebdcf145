"""The findings of the checks, by check and by location."""

from collections import Counter

from msgspec import Struct

from etl.database.checks import Check
from etl.page import words
from etl.page.data import Contents, Finding


class CheckFindings(Struct, frozen=True):
    """A check with its findings in `mart.data_quality`, the newest day first; none if that does not list them."""

    check: Check
    findings: list[Finding]

    @property
    def has_figures(self) -> bool:
        """Whether the findings are about figures, and not about grades or missing days."""
        return any(finding.value is not None or finding.compared_with is not None for finding in self.findings)

    @property
    def places(self) -> list[tuple[str, int]]:
        """The locations with their number of findings, those with most first."""
        return Counter(sorted(finding.name for finding in self.findings)).most_common()


def by_check(contents: Contents) -> list[CheckFindings]:
    """The advisory checks that found something, those with most findings first."""
    checks = [check for check in contents.checks if check.kind == "advisory" and check.findings]
    checks.sort(key=lambda check: -check.findings)
    return [
        CheckFindings(check, [finding for finding in contents.findings if finding.check == check.name])
        for check in checks
    ]


def of_location(contents: Contents, code: str) -> str:
    """The findings about a location in words, such as `6 findings (poor grades 4, falling total of deaths 2)`."""
    counter = Counter(finding.check for finding in contents.findings if finding.code == code)
    if not counter:
        return "no findings"
    parts = ", ".join(f"{check} {findings:,}" for check, findings in counter.most_common())
    return f"{words.count(counter.total(), 'finding')} ({parts})"
