"""Alerts for people, and a heartbeat for a dead man's switch; neither ever changes what a command does, or its end.

A trouble is told when it begins, when it changes, and once a day while it lasts; then, that it is over. The memory of
what was told is `ops.alert`: where the database itself is the trouble, each run tells it.
"""

import logging
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import psycopg2

from etl import config
from etl.database.connection import Connection, fetch_all, read_sql
from etl.errors import EtlError, ExitCode, Interrupted, LockedError, UsageError
from etl.logs import get_logger
from etl.run.summary import Summary, advice, finding_lines, trouble_lines

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
    run_id: int | None = None


def of_summary(summary: Summary) -> Report:
    """What a run has to tell."""
    again = ["failed documents are tried again by the next run"] if summary.failed else []
    troubles = trouble_lines("failed", summary.failed) + trouble_lines("rejected", summary.rejected)
    return Report(summary.exit_code, troubles, news(summary), again + advice(summary.rejected), summary.run_id)


def news(summary: Summary) -> list[str]:
    """What a run noticed that nobody has heard of."""
    return [*map(str, summary.drift), *finding_lines(summary.findings)]


def of_error(error: BaseException) -> Report:
    """What a command that an error has ended has to tell."""
    if isinstance(error, EtlError):
        return Report(error.exit_code, [f"failed: {error}"])
    problem = f"failed: unexpected {type(error).__name__}, a bug in this program"
    return Report(ExitCode.BUG, [problem], advice=["please report it, with the log"])


class Watch:
    """Tells, at the end of a command, what there is to tell; `scope` names what may be repeated or mended.

    Enter it around everything, and `during` around what has a connection. Whoever interrupts a command knows, or
    mistypes it at a terminal; and while another run holds the lock, that run tells.
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
        if isinstance(error, Interrupted | LockedError) or (isinstance(error, UsageError) and sys.stderr.isatty()):
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
        if isinstance(error, Interrupted | UsageError | psycopg2.Error) or conn.closed:
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
        is_repetition = is_fresh and trouble == was_trouble
        if (trouble and not is_repetition) or report.news or (was_trouble and not trouble):
            title, message = f"{_whose(conn)}: {_title(report, was_trouble)}", _message(report, was_trouble)
            if deliver(self._urls, title, message, _kind(report, was_trouble)) and conn:
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
        if self._heartbeat:
            ping(self._heartbeat, ending)


def ping(heartbeat: str, ending: str) -> bool:
    """GETs the address of a dead man's switch; logs where it does not answer, and never raises."""
    import requests

    try:
        requests.get(heartbeat.rstrip("/") + ending, timeout=HEARTBEAT_SECONDS).raise_for_status()
    except requests.RequestException as error:
        # Its text names the address, which is a secret.
        log.warning("heartbeat not delivered", extra={"host": _host(heartbeat), "reason": type(error).__name__})
        return False
    return True


def deliver(urls: str, title: str, message: str, kind: str = "info") -> bool:
    """Sends a message to every address, in apprise's notation; logs what could not be sent, and never raises.

    `kind` is apprise's: info, success, warning or failure. False if an address that it understands did not take it.
    """
    recipients, _ = _recipients(urls)
    delivered = bool(recipients) and bool(recipients.notify(title=title, body=message, notify_type=kind))
    if not delivered:
        log.warning("alert not delivered")
    return delivered


def _recipients(urls: str) -> tuple[Any, bool]:
    """Apprise with the addresses that it understands, and whether these are all; None without apprise."""
    try:
        import apprise
    except ImportError:
        log.error("apprise is missing: install requirements/alerts.txt")
        return None, False
    # Its own log lines repeat addresses, which are secrets.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    recipients = apprise.Apprise()
    are_all = bool(recipients.add(" ".join(urls.split())))
    if not are_all:
        log.error(f"{ALERT_URLS} holds an address that apprise does not understand")
    return recipients, are_all


def test(environ: Mapping[str, str]) -> list[str]:
    """Sends a test message and a ping to whoever is configured; returns what is wrong, nothing if they were taken."""
    urls, heartbeat = _secret(ALERT_URLS, environ), _secret(HEARTBEAT_URL, environ)
    if not urls and not heartbeat:
        return [f"neither {ALERT_URLS} nor {HEARTBEAT_URL} is set: nobody would be told"]
    title = f"{_whose(None)}: test"
    problems = []
    if urls and not (deliver(urls, title, "alerts arrive") and _recipients(urls)[1]):
        problems.append(f"{ALERT_URLS}: not every address took the message; the log line above says more")
    if heartbeat and not ping(heartbeat, ""):
        problems.append(f"{HEARTBEAT_URL}: it did not take the ping; the log line above says more")
    return problems


def _whose(conn: Connection | None) -> str:
    """Whose message it is: several installations may tell the same people."""
    database = f"{conn.info.dbname}, " if conn else ""
    return f"{config.PROGRAM} ({database}{socket.gethostname()})"


def _title(report: Report, was_trouble: str | None) -> str:
    if report.troubles:
        run = f", run {report.run_id}" if report.run_id else ""
        return f"trouble (exit code {int(report.exit_code)}{run})"
    return "recovered" if was_trouble else "news of the source"


def _kind(report: Report, was_trouble: str | None) -> str:
    """How grave it is, in apprise's words."""
    if report.troubles:
        return "failure"
    return "success" if was_trouble else "warning"


def _message(report: Report, was_trouble: str | None) -> str:
    over = [f"over: {line}" for line in (was_trouble or "").splitlines()] if not report.troubles else []
    lines = [*over, *report.troubles, *report.news]
    shown = [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..." for line in lines[:MOST_LINES]]
    more = [f"and {len(lines) - MOST_LINES} more: see the log, or main.py status"] if len(lines) > MOST_LINES else []
    return "\n".join([*shown, *more, *(f"what to do: {each}" for each in report.advice)])


def _secret(name: str, environ: Mapping[str, str]) -> str | None:
    try:
        return config.secret(name, environ)
    except UsageError as error:
        log.error("alerts are off", extra={"reason": str(error)})
        return None


def _host(url: str) -> str | None:
    """The part of an address that may be shown."""
    return urlsplit(url).hostname
