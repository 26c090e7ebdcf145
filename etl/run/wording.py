"""The summary of a run in words, for the terminal and for alerts."""

from etl.errors import ExitCode, Outcome, printable
from etl.run.summary import MOST_SKIPPED_DAYS, Summary
from etl.transform.bounds import Finding
from etl.transform.declaration import days_in_words

# Of the documents with one trouble, so many are named, and the rest are counted.
MOST_NAMED = 5


def as_lines(summary: Summary) -> list[str]:
    """The summary as a few lines for people."""
    documents = [f"{count} {outcome.replace('_', ' ')}" for outcome, count in summary.documents.items() if count]
    run = "dry run, nothing written" if summary.dry_run else f"run {summary.run_id}"
    word = "nothing published" if summary.exit_code is ExitCode.NOT_PUBLISHED else summary.status
    days = days_in_words(summary.first_day, summary.last_day)
    return [
        f"{word} ({run}, exit code {int(summary.exit_code)}) from {summary.source}, {days},"
        f" locations {summary.locations}, {summary.elapsed:.1f} s",
        ", ".join([f"documents: {summary.requested} requested", *documents]),
        *_row_lines(summary),
        *trouble_lines(summary),
        *advice(summary),
        *news_lines(summary),
        *(f"passed over: {reports}" for reports in summary.passed_over),
    ]


def _row_lines(summary: Summary) -> list[str]:
    """The row counts, a line for each table of the star."""
    if not summary.documents[Outcome.LOADED]:
        return ["rows: none touched"]
    head = f"{'rows':<22}{'inserted':>10}{'updated':>10}{'withdrawn':>10}{'unchanged':>10}"
    return [head] + [
        f"{table:<22}{n.inserted:>10}{n.updated:>10}{n.withdrawn:>10}{n.unchanged:>10}"
        for table, n in summary.rows.items()
    ]


def trouble_lines(summary: Summary) -> list[str]:
    """The troubles, a line for each reason: a source that does not answer is one line, not fifty."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for name, troubles in (("failed", summary.failed), ("rejected", summary.rejected)):
        for trouble in troubles:
            place = f"{trouble.location} {trouble.date or 'history'}"
            reasons.setdefault((name, trouble.reason), []).append(place)
    return [f"{name}: {_some(places)}: {reason}" for (name, reason), places in reasons.items()]


def _some(places: list[str]) -> str:
    """The first few places, and how many more there are."""
    rest = len(places) - MOST_NAMED
    return ", ".join(places[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def news_lines(summary: Summary) -> list[str]:
    """The new changes, a line each, and the new findings, a line for each measure of a location."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for place, found in summary.findings:
        groups.setdefault((place, found.check, found.measure), []).append(found)
    findings = [
        f"finding: {place} {_some([str(found.report_date or 'history') for found in group])}:"
        f" {check}, {measure}: {group[0].meaning}"
        for (place, check, measure), group in groups.items()
    ]
    return [printable(change.line) for change in summary.drift] + findings


def advice(summary: Summary) -> list[str]:
    """The ways to deal with rejected documents, a line each: accepting, waiting, passing over."""
    if summary.command == "replay":
        is_whole_loss = summary.rejected and not summary.documents[Outcome.LOADED]
        lost = "nothing was changed; to rebuild all the rest without it: main.py replay --allow-rejected"
        return [lost] if is_whole_loss else []
    shown = {change.drift_id: change for trouble in summary.rejected for change in trouble.drift}
    accepting = [number for number, change in sorted(shown.items()) if change.can_be_accepted]
    lines = []
    if accepting:
        commands = [f"main.py drift --accept {number}" for number in accepting]
        lines.append(f"to take the change as it is: {'; '.join([*commands, 'main.py replay --rejected'])}")
    if len(accepting) < len(shown):
        lines.append("a changed type cannot be accepted: wait for the source, or for a program that reads it")
    poison = [trouble for trouble in summary.rejected if trouble.date or trouble.days or not trouble.drift]
    return lines + [f"to pass over it: {trouble.skip_command}" for trouble in poison[:MOST_SKIPPED_DAYS]]
