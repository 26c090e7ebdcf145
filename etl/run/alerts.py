"""Alerts for people, and the heartbeat for a dead man's switch; neither changes the result of a command.

People are told when a trouble begins, when it changes, once a day while it lasts, and when it is over. News are told
until a message with them was taken. `ops.alert` remembers this, except while the database itself is the trouble: each
run tells that, and `ops.run` shows its end.
"""

import json
import logging
import re
import socket
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from msgspec import Struct, field

from etl import config
from etl.database.connection import Connection, fetch_all, fetch_one, read_sql
from etl.errors import DatabaseError, EtlError, ExitCode, UsageError, exit_code_of, printable
from etl.logs import log
from etl.run import record
from etl.run.summary import Summary
from etl.run.wording import advice, as_lines, news_lines, trouble_lines

T = TypeVar("T")

ALERT_URLS = "COVID_ETL_ALERT_URLS"
HEARTBEAT_URL = "COVID_ETL_HEARTBEAT_URL"
# The two scopes of `status --max-age-days`: no load went well, which a good load ends; and the series is old.
STALENESS, OLD_SERIES = "status", "series"
# A heartbeat and an alert may keep a command waiting for so long, each in all.
HEARTBEAT_SECONDS, ALERT_SECONDS = 5.0, 10.0
JSON = {"Content-Type": "application/json"}
# A message is read on a telephone: at most so many lines are shown, each up to such a length.
MOST_LINES, LONGEST_LINE = 8, 300
# The exit codes that a dead man's switch should take for success.
SUCCESS = (ExitCode.OK, ExitCode.NOT_PUBLISHED)
# The last alert of each scope. It counts for 20 hours, since a daily job never begins after exactly 24.
_TOLD = """
    select distinct on (scope)
        scope,
        coalesce(string_to_array(trouble, E'\\n'), array[]::text[]),
        sent_at > clock_timestamp() - interval '20 hours'
    from ops.alert
    where scope = any(%s)
    order by scope, alert_id desc
"""
_REMEMBER = """
    insert into ops.alert (scope, trouble, message, run_id)
    select scope, %s, %s, %s from unnest(%s::text[]) as told (scope)
    returning alert_id
"""
_NOTE_TOLD = """update ops.run set summary = summary || '{"told": true}' where run_id = %s returning run_id"""


class Notice(Struct, frozen=True):
    """The end of a command, for those who are not there: its troubles, what to do, and the summary of a run."""

    exit_code: ExitCode
    troubles: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    run_id: int | None = None
    summary: list[str] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        """The notice for a dead man's switch, as JSON."""
        lines = self.summary or [*self.troubles, *self.advice]
        return json.dumps({"run_id": self.run_id, "exit_code": int(self.exit_code), "summary": lines}).encode()


def of_summary(summary: Summary) -> Notice:
    """The notice of a run."""
    again = ["failed documents are tried again by the next run"] if summary.failed else []
    texts = trouble_lines(summary), again + advice(summary)
    return Notice(summary.exit_code, *texts, summary.run_id, as_lines(summary))


def of_staleness(stale: str | None, load: str) -> Notice:
    """The notice of `status --max-age-days`: what is stale, if anything is, and the command that loads."""
    if not stale:
        return Notice(ExitCode.OK)
    return Notice(
        ExitCode.CHECK, [f"stale: {stale}"], [f"see whether the scheduled load runs, or load by hand: {load}"]
    )


def of_error(error: BaseException) -> Notice:
    """The notice of a command that ended with an error."""
    code = exit_code_of(error)
    if isinstance(error, EtlError | OSError):
        return Notice(code, [f"failed: {error}"])
    # The text of an unexpected error may hold a secret.
    problem = f"failed: unexpected {type(error).__name__}, a bug in this program"
    return Notice(code, [problem], ["please report it, with the log"])


class Watch:
    """Tells the notice of a command at its end: the one that the command has set, or one of the error that ended it.

    The command sets `conn` once it has a connection, and keeps it open to the end: it leads to the alerts before.
    Troubles belong to the first of the `scopes`; a notice without troubles ends those of all scopes. Only a load has
    a heartbeat.
    """

    def __init__(self, environ: Mapping[str, str], *scopes: str, is_load: bool = False) -> None:
        self.scopes, self._is_load = [*scopes], is_load
        self._recipients, problem = recipients_of(environ)
        if problem:
            log.error(problem)
        self._heartbeat = _secret(HEARTBEAT_URL, environ) if is_load else None
        self.conn: Connection | None = None
        self.notice: Notice | None = None
        self._is_known = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: TracebackType | None) -> None:
        if not (notice := self._at_end(error)):
            return
        is_connected = self.conn and not self.conn.closed and not isinstance(error, DatabaseError)
        self._tell(self.conn if is_connected else None, notice)
        # People who were told of rejected documents need no second alarm.
        is_well = notice.exit_code in SUCCESS or (notice.exit_code is ExitCode.REJECTED and self._is_known)
        ping(self._heartbeat, "" if is_well else "/fail", notice.body)

    def start(self) -> None:
        """Tells the dead man's switch that the work begins, since the command has the run lock."""
        ping(self._heartbeat, "/start")

    def _at_end(self, error: BaseException | None) -> Notice | None:
        """The notice to tell; none if a person interrupted the command, or mistyped it at a terminal.

        A locked database gives none, unless a person has to free the lock: the run that holds it tells its own.
        """
        is_known = isinstance(error, UsageError) and sys.stderr.isatty()
        if is_known or not getattr(error, "needs_person", True):
            return None
        return of_error(error) if error else self.notice

    def _tell(self, conn: Connection | None, notice: Notice) -> None:
        """Tells what is new, and notes here and in the run whether people know of the trouble by now."""
        if self._recipients is None:
            return
        rows = _remembered(conn, fetch_all, _TOLD, (self.scopes,))
        # Scope -> the lines of its trouble, none where all was well, and whether they were told today.
        told = {scope: (trouble, is_fresh) for scope, trouble, is_fresh in rows}
        last, is_fresh = told.get(self.scopes[0], ([], False))
        # The order does not count, since late documents change places.
        self._is_known = {*last} == {*notice.troubles}
        over = [] if notice.troubles else [line for trouble, _ in told.values() for line in trouble]
        if not (notice.troubles or over) and self._is_load:
            broken_off = _remembered(conn, fetch_all, read_sql("run/broken_off.sql"), {"run_id": notice.run_id})
            over = [line for (line,) in broken_off]
        news = _remembered(conn, _untold) if notice.run_id else []
        if over or news or (notice.troubles and not (self._is_known and is_fresh)):
            headline, kind = _headline(notice, is_recovery=bool(over))
            title, message = f"{_sender(conn)}: {headline}", _message(notice, over, news)
            if deliver(self._recipients, title, message, kind):
                ended = [] if notice.troubles else [scope for scope, (trouble, _) in told.items() if trouble]
                values = ("\n".join(notice.troubles) or None, f"{title}\n{message}", notice.run_id)
                kept = _remembered(conn, fetch_all, _REMEMBER, (*values, ended or self.scopes[:1]))
                self._is_known = bool(kept)
        if notice.troubles and self._is_known:
            _remembered(conn, fetch_all, _NOTE_TOLD, (notice.run_id,))


def _remembered(conn: Connection | None, ask: Callable[..., list[T]], *arguments: Any) -> list[T]:
    """The rows that the database answers; none without a connection, or after a failure, which is logged."""
    try:
        return ask(conn, *arguments) if conn else []
    except EtlError as error:
        log.warning("alerts not remembered", extra={"reason": str(error)})
        return []


def _untold(conn: Connection) -> list[str]:
    """The news of all runs since the last one with which a message was taken."""
    (run_id,) = fetch_one(conn, "select coalesce(max(run_id), 0) from ops.alert")
    return news_lines(*record.news(conn, run_id))


def ping(heartbeat: str | None, ending: str, body: bytes = b"") -> bool:
    """Sends a ping to a dead man's switch, if there is one; returns whether it was taken, and never raises.

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


def deliver(recipients: Any, title: str, message: str, kind: str = "info") -> bool:
    """Sends a message to the recipients that apprise holds; returns whether all of these took it, never raises.

    `kind` is one of apprise's: info, success, warning or failure.
    """
    # The message is sent as text: apprise escapes the markup of a service in it, except the beginnings of mentions.
    sent = {"title": printable(title), "body": re.sub("[@<]", "\\g<0>\u200b", message), "body_format": "text"}
    return _is_taken("alert", ALERT_SECONDS, lambda: bool(recipients.notify(**sent, notify_type=kind)))


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


def recipients_of(environ: Mapping[str, str]) -> tuple[Any, str | None]:
    """Apprise with the addresses that are set, or None without any; and a reason if some of them are not told."""
    if not (urls := _secret(ALERT_URLS, environ)):
        return None, None
    # The log lines of apprise contain addresses, which are secrets.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    try:
        import apprise

        recipients = apprise.Apprise()
        if recipients.add(" ".join(urls.split())):
            return recipients, None
    except Exception as error:
        # A load goes on if apprise is missing or broken; the text of the error may hold an address.
        return None, f"nobody is told: apprise fails ({type(error).__name__}), install requirements/alerts.txt"
    return recipients, f"{ALERT_URLS} holds an address that apprise does not understand: nobody is told there"


def test(environ: Mapping[str, str]) -> list[str]:
    """Sends a test message and a ping to all that is configured; returns the problems, none if both were taken."""
    (recipients, problem), heartbeat = recipients_of(environ), _secret(HEARTBEAT_URL, environ)
    problems = [problem] if problem else []
    if not (recipients or problem or heartbeat):
        return [f"neither {ALERT_URLS} nor {HEARTBEAT_URL} is set: nobody would be told"]
    if recipients and not deliver(recipients, f"{_sender(None)}: test", "alerts arrive"):
        problems.append(f"{ALERT_URLS}: not every address took the message; see the log line above")
    if not ping(heartbeat, "", Notice(ExitCode.OK, summary=["test"]).body):
        problems.append(f"{HEARTBEAT_URL}: it did not take the ping; see the log line above")
    return problems


def _sender(conn: Connection | None) -> str:
    """The sender of a message, by which people tell installations apart."""
    database = f"{conn.info.dbname}, " if conn else ""
    return f"{config.PROGRAM} ({database}{socket.gethostname()})"


def _headline(notice: Notice, *, is_recovery: bool) -> tuple[str, str]:
    """The title of a message, and its kind in the words of apprise."""
    if notice.troubles:
        run = f", run {notice.run_id}" if notice.run_id else ""
        return f"trouble (exit code {int(notice.exit_code)}{run})", "failure"
    return ("recovered", "success") if is_recovery else ("news of the source", "warning")


def _message(notice: Notice, over: list[str], news: list[str]) -> str:
    lines = [*(f"over: {line}" for line in over), *notice.troubles, *news]
    shown = [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..." for line in lines[:MOST_LINES]]
    rest = len(lines) - MOST_LINES
    more = [f"and {rest} more: see the log, or {config.command('status')}"] if rest > 0 else []
    return "\n".join([*shown, *more, *(f"what to do: {line}" for line in notice.advice)])


def _secret(name: str, environ: Mapping[str, str]) -> str | None:
    try:
        return config.secret(name, environ)
    except UsageError as error:
        log.error("nobody is told by this address", extra={"variable": name, "reason": str(error)})
        return None
