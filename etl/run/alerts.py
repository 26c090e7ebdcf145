"""Alerts for people, and the heartbeat for a dead man's switch; neither changes the result of a command.

People are told when a trouble begins, when it changes, once a day while it lasts, and when it is over. `ops.alert`
remembers this; a trouble with the database itself is therefore told by each run, and its end is found in `ops.run`.
"""

import json
import logging
import re
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from etl import config
from etl.config import command
from etl.database.connection import Connection, fetch_all, read_sql
from etl.errors import (
    DatabaseError,
    EtlError,
    ExitCode,
    Interrupted,
    LockedError,
    UsageError,
    exit_code_of,
    printable,
)
from etl.logs import log
from etl.run.summary import Summary
from etl.run.wording import advice, as_lines, news_lines, trouble_lines

ALERT_URLS = "COVID_ETL_ALERT_URLS"
HEARTBEAT_URL = "COVID_ETL_HEARTBEAT_URL"
# How long whoever is told may keep a command waiting, in all.
HEARTBEAT_SECONDS, ALERT_SECONDS = 5.0, 10.0
JSON = {"Content-Type": "application/json"}
# A message is read on a telephone: so many lines of such a length are shown.
MOST_LINES, LONGEST_LINE = 8, 300
# The exit codes that a dead man's switch should take for success.
SUCCESS = (ExitCode.OK, ExitCode.NOT_PUBLISHED)


@dataclass(frozen=True, slots=True)
class Notice:
    """The content of an alert: troubles, which last until they are mended, and news, which are told once."""

    exit_code: ExitCode
    troubles: list[str] = field(default_factory=list)
    news: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    run_id: int | None = None
    counts: list[str] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        """The notice for a dead man's switch, as JSON."""
        summary = [*self.counts, *_message(self, None).splitlines()]
        return json.dumps({"run_id": self.run_id, "exit_code": int(self.exit_code), "summary": summary}).encode()


def of_summary(summary: Summary) -> Notice:
    """The notice of a run."""
    again = ["failed documents are tried again by the next run"] if summary.failed else []
    texts = trouble_lines(summary), news_lines(summary), again + advice(summary)
    return Notice(summary.exit_code, *texts, summary.run_id, as_lines(summary)[:2])


def of_staleness(stale: str | None) -> Notice:
    """The notice of `status --max-age-days`; `stale` says what is stale, if anything is."""
    if not stale:
        return Notice(ExitCode.OK)
    return Notice(
        ExitCode.CHECK,
        [f"stale: {stale}"],
        advice=[f"see whether the scheduled load runs, or load by hand: {command('load')}"],
    )


def of_error(error: BaseException) -> Notice:
    """The notice of a command that ended with an error."""
    code = exit_code_of(error)
    if isinstance(error, EtlError | OSError):
        return Notice(code, [f"failed: {error}"])
    # The text of an unexpected error may hold a secret.
    problem = f"failed: unexpected {type(error).__name__}, a bug in this program"
    return Notice(code, [problem], advice=["please report it, with the log"])


class Watch:
    """Tells the notice of a command at its end: the one that the command has set, or that of the error that ended it.

    Enter it around the whole command, and `during` around the part with a connection. A notice repeats or ends only
    the troubles of the same `scope`.
    """

    def __init__(self, scope: str, environ: Mapping[str, str], *, heartbeat: bool = False) -> None:
        self.scope = scope
        self._urls = _secret(ALERT_URLS, environ)
        self._heartbeat = _secret(HEARTBEAT_URL, environ) if heartbeat else None
        self.notice: Notice | None = None
        self._is_over = self._is_known = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: TracebackType | None) -> None:
        if notice := self._at_end(error):
            if not self._is_over:
                self._tell(None, notice)
            # Rejected documents that people were told of are no second alarm.
            is_well = notice.exit_code in SUCCESS or (notice.exit_code is ExitCode.REJECTED and self._is_known)
            ping(self._heartbeat, "" if is_well else "/fail", notice.body)

    @contextmanager
    def during(self, conn: Connection) -> Iterator[None]:
        """Tells at the end of the block, where the connection gives access to what was told before."""
        ping(self._heartbeat, "/start")
        error: BaseException | None = None
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            notice = self._at_end(error)
            if notice and not isinstance(error, DatabaseError) and not conn.closed:
                self._tell(conn, notice)
                self._is_over = True

    def _at_end(self, error: BaseException | None) -> Notice | None:
        """The notice to tell; none for whoever interrupts a command, or mistypes it at a terminal.

        There is none for a locked database either, unless a person has to free the lock: the run that holds it tells
        its own.
        """
        is_known = isinstance(error, UsageError) and sys.stderr.isatty()
        is_waited_for = isinstance(error, LockedError) and not error.needs_person
        if is_known or is_waited_for or isinstance(error, Interrupted):
            return None
        return of_error(error) if error else self.notice

    def _tell(self, conn: Connection | None, notice: Notice) -> None:
        """Tells what is new, and notes here and in the run whether people know of the trouble by now."""
        if not self._urls:
            return
        trouble = "\n".join(notice.troubles) or None
        query = (
            # A daily job never begins after exactly 24 hours.
            "select trouble, sent_at > clock_timestamp() - interval '20 hours' from ops.alert"
            " where scope = %s order by alert_id desc limit 1"
        )
        told = _remembered(conn, query, (self.scope,))
        last, is_fresh = told[0] if told else (None, False)
        # Documents that are late change places.
        self._is_known = {*(last or "").splitlines()} == {*(trouble or "").splitlines()}
        if not trouble and not last and notice.run_id:
            found = _remembered(conn, read_sql("run/broken_off.sql"), {"run_id": notice.run_id})
            last = found[0][0] if found else None
        if (trouble and not (self._is_known and is_fresh)) or notice.news or (last and not trouble):
            headline, kind = _headline(notice, last)
            title, message = f"{_sender(conn)}: {headline}", _message(notice, last)
            if deliver(self._urls, title, message, kind):
                add = "insert into ops.alert (scope, trouble, message) values (%s, %s, %s) returning alert_id"
                self._is_known = bool(_remembered(conn, add, (self.scope, trouble, f"{title}\n{message}")))
        if trouble and self._is_known:
            note = """update ops.run set summary = summary || '{"told": true}' where run_id = %s returning run_id"""
            _remembered(conn, note, (notice.run_id,))


def _remembered(conn: Connection | None, query: str, parameters: Any) -> list[tuple[Any, ...]]:
    """The rows of a statement on `ops.alert`; none without a connection, or if it fails, which is logged."""
    try:
        return fetch_all(conn, query, parameters) if conn else []
    except EtlError as error:
        log.warning("alerts not remembered", extra={"reason": str(error)})
        return []


def ping(heartbeat: str | None, ending: str, body: bytes = b"") -> bool:
    """Sends a ping to a dead man's switch, if there is one, and returns whether that was taken; never raises.

    `ending` is appended to its address: `/start`, `/fail`, or nothing for success. With a body it is a POST.
    """
    if not heartbeat:
        return True

    def knock() -> bool:
        from etl.extract.http import Session

        address, seconds = heartbeat.rstrip("/") + ending, (3.0, HEARTBEAT_SECONDS)
        with Session() as session, session.ask(address, seconds, JSON, body) as response:
            response.raise_for_status()
        return True

    return _is_taken("heartbeat", HEARTBEAT_SECONDS, knock)


def deliver(urls: str, title: str, message: str, kind: str = "info") -> bool:
    """Sends a message to the addresses that apprise understands; returns whether all of these took it, never raises.

    `kind` is one of apprise's: info, success, warning or failure.
    """
    # As text: apprise escapes what is markup to a service, but for the beginnings of mentions.
    sent = {"title": printable(title), "body": re.sub("[@<]", "\\g<0>\u200b", message), "body_format": "text"}

    def notify() -> bool:
        recipients, _ = _recipients(urls)
        return bool(recipients) and bool(recipients.notify(**sent, notify_type=kind))

    return _is_taken("alert", ALERT_SECONDS, notify)


def _is_taken(what: str, seconds: float, send: Callable[[], bool]) -> bool:
    """Whether a message is taken in time; a failure is logged without its text, which may hold an address."""
    from etl.extract.http import within

    try:
        if within(seconds, send):
            return True
        reason = "refused"
    except Exception as error:
        reason = type(error).__name__
    log.warning(f"{what} not delivered", extra={"reason": reason})
    return False


def _recipients(urls: str) -> tuple[Any, bool]:
    """Apprise with the addresses that it understands, and whether it understands all; None without apprise."""
    try:
        import apprise
    except ImportError:
        log.error("apprise is missing: install requirements/alerts.txt")
        return None, False
    # The log lines of apprise contain addresses, which are secrets.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    recipients = apprise.Apprise()
    are_all = bool(recipients.add(" ".join(urls.split())))
    if not are_all:
        log.error(f"{ALERT_URLS} holds an address that apprise does not understand")
    return recipients, are_all


def test(environ: Mapping[str, str]) -> list[str]:
    """Sends a test message and a ping to all that is configured; returns the problems, none if both were taken."""
    urls, heartbeat = _secret(ALERT_URLS, environ), _secret(HEARTBEAT_URL, environ)
    if not urls and not heartbeat:
        return [f"neither {ALERT_URLS} nor {HEARTBEAT_URL} is set: nobody would be told"]
    problems = []
    if urls and not (deliver(urls, f"{_sender(None)}: test", "alerts arrive") and _recipients(urls)[1]):
        problems.append(f"{ALERT_URLS}: not every address took the message; see the log line above")
    if not ping(heartbeat, "", Notice(ExitCode.OK, news=["test"]).body):
        problems.append(f"{HEARTBEAT_URL}: it did not take the ping; see the log line above")
    return problems


def _sender(conn: Connection | None) -> str:
    """The sender of a message, by which people tell installations apart."""
    database = f"{conn.info.dbname}, " if conn else ""
    return f"{config.PROGRAM} ({database}{socket.gethostname()})"


def _headline(notice: Notice, was_trouble: str | None) -> tuple[str, str]:
    """The title of a message, and its kind in the words of apprise."""
    if notice.troubles:
        run = f", run {notice.run_id}" if notice.run_id else ""
        return f"trouble (exit code {int(notice.exit_code)}{run})", "failure"
    return ("recovered", "success") if was_trouble else ("news of the source", "warning")


def _message(notice: Notice, was_trouble: str | None) -> str:
    over = [f"over: {line}" for line in (was_trouble or "").splitlines()] if not notice.troubles else []
    lines = [*over, *notice.troubles, *notice.news]
    shown = [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..." for line in lines[:MOST_LINES]]
    rest = len(lines) - MOST_LINES
    more = [f"and {rest} more: see the log, or {command('status')}"] if rest > 0 else []
    return "\n".join([*shown, *more, *(f"what to do: {line}" for line in notice.advice)])


def _secret(name: str, environ: Mapping[str, str]) -> str | None:
    try:
        return config.secret(name, environ)
    except UsageError as error:
        log.error("alerts are off", extra={"reason": str(error)})
        return None
