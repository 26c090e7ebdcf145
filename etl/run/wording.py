"""The summary of a run in words, for the terminal and for alerts."""

from etl.config import command
from etl.errors import ExitCode, Outcome, printable
from etl.extract.source import NOT_ASKED
from etl.load.drift_record import RecordedChange
from etl.load.findings import RecordedFinding
from etl.load.request import load_command
from etl.run.summary import Summary, Trouble
from etl.transform import drift
from etl.transform.declaration import SERIES_END, days_in_words

# A trouble names at most `MOST_NAMED` documents and counts the rest; at most `MOST_OFFERED` skips are offered.
MOST_NAMED, MOST_OFFERED = 5, 3


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
        *[f"the series ended on {SERIES_END}: no later day was published"] * _is_after_the_end(summary),
        *(f"run {run_id} was broken off: it was killed, or its machine stopped" for run_id in summary.broken_off),
        *trouble_lines(summary),
        *_lines("stale", [trouble for trouble in summary.stale if trouble.location not in summary.frozen]),
        *advice(summary),
        *news_lines(summary.drift, summary.findings),
        *(f"passed over: {reports}" for reports in summary.passed_over),
    ]


def _is_after_the_end(summary: Summary) -> bool:
    return summary.exit_code is ExitCode.NOT_PUBLISHED and summary.first_day > SERIES_END


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
    """The troubles, a line for each cause: a source that does not answer is one line, not fifty.

    The words stay the same from run to run as long as the trouble does, so that an alert knows it again.
    """
    frozen = [trouble for trouble in summary.stale if trouble.location in summary.frozen]
    gone = ["the API is gone: nothing was read, and the warehouse keeps what it has"] * summary.is_source_gone
    gone_wrong = gone + _lines("failed", summary.failed) + _lines("rejected", summary.rejected)
    return gone_wrong + _lines("stale for two days", frozen)


def _lines(name: str, troubles: list[Trouble]) -> list[str]:
    causes: dict[str, list[str]] = {}
    for trouble in troubles:
        causes.setdefault(_cause(trouble), []).append(f"{trouble.location} {trouble.date or 'history'}")
    # Documents that were not asked for come last, since they say nothing of the cause.
    ordered = sorted(causes, key=lambda cause: cause == NOT_ASKED)
    return [f"{name}: {_some(sorted(causes[cause]))}: {cause}" for cause in ordered]


def _cause(trouble: Trouble) -> str:
    """The reason of a trouble, with the broken days if there are many; the changes instead if they broke all days."""
    if trouble.days[1:]:
        return f"{trouble.reason} (broken days: {_some([*trouble.days])})"
    if not trouble.drift or trouble.days:
        return trouble.reason
    return printable("; ".join(dict.fromkeys(map(str, trouble.drift[:MOST_NAMED]))))


def _some(places: list[str]) -> str:
    """The first few places, and how many more there are."""
    rest = len(places) - MOST_NAMED
    return ", ".join(places[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def news_lines(drift: list[RecordedChange], doubtful: list[RecordedFinding]) -> list[str]:
    """The open changes that break nothing, a line each, and the findings, a line for each measure of a location.

    A change that breaks documents is named with these, as a trouble.
    """
    groups: dict[tuple[str, str, str], list[RecordedFinding]] = {}
    for finding in doubtful:
        groups.setdefault((finding.location, finding.check, finding.measure), []).append(finding)
    findings = [
        f"finding: {place} {_some([str(finding.report_date or 'history') for finding in group])}:"
        f" {check}, {measure}: {group[0].meaning}"
        for (place, check, measure), group in groups.items()
    ]
    notices = [change for change in drift if change.severity == "notice" and change.status == "open"]
    return [printable(change.line) for change in notices] + findings


def advice(summary: Summary) -> list[str]:
    """The ways to deal with rejected and frozen documents, a line each: waiting, accepting, passing over."""
    if summary.command == "replay":
        some = "" if summary.locations == "all" else f" --locations {summary.locations}"
        rest = f"to rebuild all the rest without it: {command(f'replay --allow-rejected{some}')}"
        again = f"nothing was changed; if {command('drift')} lists the cause, accept it (again); {rest}"
        return [again] if summary.rejected and not summary.documents[Outcome.LOADED] else []
    poison = [trouble for trouble in summary.rejected if trouble.date or trouble.days or not trouble.drift]
    lines = _accepting({change.drift_id: change for trouble in summary.rejected for change in trouble.drift})
    for trouble in poison[:MOST_OFFERED]:
        wait = "" if trouble.date or trouble.days else "wait for the source; "
        lines.append(f"{wait}to pass over it: {trouble.skip_command}")
    if summary.is_source_gone:
        other = command("load --source snapshot --database-url URL")
        lines.append("if it is gone for good, stop the schedule, for the series is closed")
        lines.append(f"to have the shipped snapshot, load it into another database: {other}")
    if summary.frozen:
        again = load_command(summary.source, ",".join(summary.frozen), "--force")
        lines.append(f"wait, a cache may serve an old copy; to load it as it is: {again}")
    return lines


def _accepting(changes: dict[int, RecordedChange]) -> list[str]:
    known = [change for _, change in sorted(changes.items()) if change.can_be_accepted]
    losses = [f"drift --accept {change.drift_id}" for change in known if change.change == drift.PATH_GONE]
    others = [f"drift --accept {change.drift_id}" for change in known if change.change != drift.PATH_GONE]
    lines = []
    if len(known) < len(changes):
        lines.append("such a change cannot be accepted: wait for the source, or for a program that reads it")
    if losses:
        loss = "; ".join(map(command, losses))
        lines.append(f"wait for the source; if it is gone for good, this says what is lost: {loss}")
    if others:
        lines.append(f"to take the change as it is: {'; '.join(map(command, [*others, 'replay --rejected']))}")
    return lines
