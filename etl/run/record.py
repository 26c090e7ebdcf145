"""The row of a run in `ops.run`, from the moment that the run has lock and schema until it ends in any way."""

import contextlib
import json
import logging
import os
import socket
from collections.abc import Iterator

from etl import __version__, logs
from etl.database.connection import Connection, execute, fetch_all, fetch_one, read_sql
from etl.errors import EtlError, Interrupted, exit_code_of
from etl.load import drift_record, findings
from etl.load.drift_record import RecordedChange
from etl.load.findings import RecordedFinding
from etl.logs import log
from etl.run.summary import Summary
from etl.transform.declaration import days_in_words

# The status of a run -> the level of its last line in the log.
LEVELS = {"ok": logging.INFO, "partial": logging.WARNING, "failed": logging.ERROR}


@contextlib.contextmanager
def recorded(conn: Connection, summary: Summary) -> Iterator[None]:
    """Opens the run in `ops.run`, and closes it with the summary; the caller holds the run lock.

    Runs that are open are closed first: their processes were killed, since the lock was free.
    """
    summary.broken_off = _close_abandoned(conn)
    _open(conn, summary)
    if not summary.dry_run:
        logs.bind(run_id=summary.run_id)
    try:
        yield
    except (Interrupted, Exception) as error:
        summary.ended_by = exit_code_of(error)
        # The error that ended the run says more than a failure to record its end.
        with contextlib.suppress(EtlError):
            _close(conn, summary)
        if any(summary.documents.values()):
            log.error("run ended early", extra=summary.log_fields())
        raise
    _close(conn, summary)
    log.log(LEVELS[summary.status], "run ended", extra=summary.log_fields())


def resolved(conn: Connection, summary: Summary) -> None:
    """Records the source and the days of a run, once these are known, and logs its start."""
    query = "update ops.run set source = %s, first_day = %s, last_day = %s where run_id = %s"
    execute(conn, query, (summary.source, summary.first_day, summary.last_day, summary.run_id))
    days = days_in_words(summary.first_day, summary.last_day)
    asked = {"source": summary.source, "days": days, "locations": summary.locations}
    log.info("dry run started" if summary.dry_run else "run started", extra=asked)


def frozen(conn: Connection, summary: Summary) -> list[str]:
    """The locations whose document is stale now, and was in every run like this one of the last two days."""
    if not summary.stale:
        return []
    stale = [trouble.location for trouble in summary.stale]
    asked = {name: getattr(summary, name) for name in ("run_id", "locations", "first_day", "last_day")}
    return [code for (code,) in fetch_all(conn, read_sql("run/frozen.sql"), asked | {"stale": stale})]


def news(conn: Connection, run_id: int) -> tuple[list[RecordedChange], list[RecordedFinding]]:
    """The changes and findings that runs after one saw first, without changes that an accepted one explains."""
    changes = drift_record.changes(conn)
    new = [change for change in changes if change.first_run_id > run_id]
    unexplained = [change for change in new if not any(other.explains(change) for other in changes)]
    return unexplained, findings.after(conn, run_id)


def _close_abandoned(conn: Connection) -> list[int]:
    """Closes the runs that were left open, and returns their numbers."""
    query = (
        "update ops.run set status = 'interrupted', ended_at = clock_timestamp()"
        " where status = 'running' returning run_id"
    )
    abandoned = [run_id for (run_id,) in fetch_all(conn, query)]
    for run_id in abandoned:
        log.warning("abandoned run closed", extra={"abandoned_run_id": run_id})
    return abandoned


def _open(conn: Connection, summary: Summary) -> None:
    """Adds the row of a run, and gives the summary its number."""
    query = (
        "insert into ops.run (command, source, first_day, last_day, locations, program_version, host, pid)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s) returning run_id"
    )
    asked = (summary.command, summary.source, summary.first_day, summary.last_day, summary.locations)
    summary.run_id = fetch_one(conn, query, (*asked, __version__, socket.gethostname(), os.getpid()))[0]


def _close(conn: Connection, summary: Summary) -> None:
    """Adds to the summary the changes and findings that the run saw first, and completes the row of the run."""
    summary.drift, summary.findings = news(conn, (summary.run_id or 0) - 1)
    query = (
        "update ops.run set status = %s, exit_code = %s, summary = %s, ended_at = clock_timestamp() where run_id = %s"
    )
    shown = json.dumps(summary.as_json())
    execute(conn, query, (summary.status, summary.exit_code, shown, summary.run_id))
