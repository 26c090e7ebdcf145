"""Alerts for people, and a heartbeat for a dead man's switch; neither ever changes what a command does, or its end.

A trouble is told when it begins, when it changes, and once a day while it lasts; then, that it is over. The memory of
what was told is `ops.alert`: where the database itself is the trouble, each run tells it.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import psycopg2

from etl import config
from etl.database import Connection, fetch_all, read_sql
from etl.errors import EtlError, ExitCode, Interrupted, LockedError, UsageError
from etl.logs import get_logger
from etl.runs import Summary, finding_lines, trouble_lines

ALERT_URLS = "COVID_ETL_ALERT_URLS"
HEARTBEAT_URL = "COVID_ETL_HEARTBEAT_URL"
HEARTBEAT_SECONDS = (3, 5)
# A message is read on a telephone: more lines than this are only counted, longer ones cut.
MOST_LINES, LONGEST_LINE = 8, 300
# What a dead man's switch should take for a job that went well.
WELL = (ExitCode.OK, ExitCode.NOT_PUBLISHED)

log = get_logger()


@dataclass(frozen=True, slots=True)
class Report:
    """What a command has to tell: troubles, which last until they are mended, and news, which are told once."""

    exit_code: ExitCode
    troubles: list[str] = field(default_factory=list)
    news: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)


def of_summary(summary: Summary) -> Report:
    """What a run has to tell."""
    advice = ["failed documents are tried again by the next run"] if summary.failed else []
    if any(each.change.breaking for each in summary.drift):
        advice.append("to take a change as it is: main.py drift --accept ID; then: main.py replay --rejected")
    if summary.rejected:
        advice.append(f"to pass over it: {summary.rejected[0].skip_command}")
    troubles = trouble_lines("failed", summary.failed) + trouble_lines("rejected", summary.rejected)
    news = [*map(str, summary.drift), *finding_lines(summary.findings)]
    return Report(summary.exit_code, troubles, news, advice)


def of_error(error: BaseException) -> Report:
    """What a command that an error has ended has to tell."""
    if isinstance(error, EtlError):
        return Report(error.exit_code, [f"failed: {error}"], advice=["the message says what to do"])
    problem = f"failed: unexpected {type(error).__name__}, a bug in this program"
    return Report(ExitCode.BUG, [problem], advice=["please report it, with the log"])


class Watch:
    """Tells, at the end of a command, what there is to tell; `scope` names what may be repeated or mended.

    Enter it around everything, and `during` around what has a connection. Whoever interrupts a command knows; and
    while another run holds the lock, that run tells.
    """

    def __init__(self, scope: str, environ: Mapping[str, str], *, heartbeat: bool = False) -> None:
        self.scope = scope
        self._urls = _secret(ALERT_URLS, environ)
        self._heartbeat = _secret(HEARTBEAT_URL, environ) if heartbeat else None
        self._report: Report | None = None
        self._is_told = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: TracebackType | None) -> None:
        if isinstance(error, Interrupted | LockedError):
            return
        report = of_error(error) if error else self._report
        if report and not self._is_told:
            self._tell(None, report)
        if report:
            self._ping("" if report.exit_code in WELL else "/fail")

    @contextmanager
    def during(self, conn: Connection) -> Iterator[None]:
        """Tells while the connection is there, for the memory of what was told."""
        self._ping("/start")
        with ExitStack() as stack:
            stack.push(lambda _type, error, _traceback: self._after(conn, error))
            yield

    def report(self, report: Report) -> None:
        """Sets what there is to tell, if no error follows."""
        self._report = report

    def _after(self, conn: Connection, error: BaseException | None) -> None:
        if isinstance(error, Interrupted | psycopg2.Error) or conn.closed:
            return
        report = of_error(error) if error else self._report
        if report:
            self._tell(conn, report)
            self._is_told = True

    def _tell(self, conn: Connection | None, report: Report) -> None:
        if not self._urls:
            return
        trouble = "\n".join(report.troubles) or None
        was_trouble, is_fresh = self._last(conn)
        title = _title(report, was_trouble=was_trouble is not None)
        is_repetition = is_fresh and trouble == was_trouble
        if (trouble and not is_repetition) or report.news or (was_trouble and not trouble):
            message = _message(report)
            if deliver(self._urls, title, message) and conn:
                self._remember(conn, trouble, f"{title}\n{message}")

    def _last(self, conn: Connection | None) -> tuple[str | None, bool]:
        """The trouble told last, if any, and whether that was within a day."""
        try:
            rows = fetch_all(conn, read_sql("alerts/last.sql"), {"scope": self.scope}) if conn else []
        except psycopg2.Error as error:
            log.warning("alerts not remembered", extra={"reason": str(error).strip()})
            rows = []
        return rows[0] if rows else (None, False)

    def _remember(self, conn: Connection, trouble: str | None, message: str) -> None:
        try:
            with conn.cursor() as cursor:
                values = {"scope": self.scope, "trouble": trouble, "message": message}
                cursor.execute(read_sql("alerts/add.sql"), values)
        except psycopg2.Error as error:
            log.warning("alerts not remembered", extra={"reason": str(error).strip()})

    def _ping(self, ending: str) -> None:
        """Tells the dead man's switch that the job began (`/start`), went well, or did not (`/fail`)."""
        if not self._heartbeat:
            return
        import requests

        try:
            response = requests.get(self._heartbeat.rstrip("/") + ending, timeout=HEARTBEAT_SECONDS)
            response.raise_for_status()
        except requests.RequestException as error:
            # Its text names the address, which is a secret.
            log.warning("heartbeat not delivered", extra=_where(self._heartbeat) | {"reason": type(error).__name__})


def deliver(urls: str, title: str, message: str) -> bool:
    """Sends a message to every address, in apprise's notation; logs what could not be sent, and never raises."""
    try:
        import apprise
    except ImportError:
        log.error("alert not sent: apprise is missing; install requirements/alerts.txt")
        return False
    # Its own log lines repeat addresses, which are secrets.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    recipients = apprise.Apprise()
    if not recipients.add(" ".join(urls.split())):
        log.error(f"{ALERT_URLS} holds an address that apprise does not understand")
    if not len(recipients):
        return False
    delivered = bool(recipients.notify(title=title, body=message))
    if not delivered:
        log.warning("alert not delivered", extra={"recipients": len(recipients)})
    return delivered


def _title(report: Report, *, was_trouble: bool) -> str:
    if report.troubles:
        what = f"trouble (exit code {int(report.exit_code)})"
    else:
        what = "recovered" if was_trouble else "new in the source"
    return f"{config.PROGRAM}: {what}"


def _message(report: Report) -> str:
    lines = report.troubles + report.news
    shown = [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..." for line in lines[:MOST_LINES]]
    more = [f"and {len(lines) - MOST_LINES} more: see the log, or main.py status"] if len(lines) > MOST_LINES else []
    return "\n".join([*shown, *more, *(f"what to do: {each}" for each in report.advice)]) or "all is well again"


def _secret(name: str, environ: Mapping[str, str]) -> str | None:
    try:
        return config.secret(name, environ)
    except UsageError as error:
        log.error("alerts are off", extra={"reason": str(error)})
        return None


def _where(url: str) -> dict[str, str | None]:
    """The part of an address that may be shown."""
    return {"host": urlsplit(url).hostname}
