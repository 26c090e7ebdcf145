"""The record of a run in `ops.run`: from the moment that lock and schema stand until its end, however that comes."""

import contextlib
import json
import logging
import os
import socket
from collections.abc import Iterator

from etl import __version__, logs
from etl.database.connection import Connection, execute, fetch_all, fetch_one
from etl.errors import EtlError, Interrupted, exit_code_of
from etl.logs import log
from etl.run.summary import Summary
from etl.transform.declaration import days_in_words

# The level of the log's line that ends a run, by the run's status.
LEVELS = {"ok": logging.INFO, "partial": logging.WARNING, "failed": logging.ERROR}


@contextlib.contextmanager
def recorded(conn: Connection, summary: Summary) -> Iterator[None]:
    """Opens the run in `ops.run`, and closes it with the summary; the caller holds the run lock.

    Runs that a killed process has left open are closed first: since the lock was free, they are dead.
    """
    _close_abandoned(conn)
    _open(conn, summary)
    if not summary.dry_run:
        logs.bind(run_id=summary.run_id)
    try:
        yield
    except (Interrupted, Exception) as error:
        summary.ended_by = exit_code_of(error)
        # The error on its way up tells more than the failure to record it.
        with contextlib.suppress(EtlError):
            _close(conn, summary)
        if any(summary.documents.values()):
            log.error("run ended early", extra=summary.log_fields())
        raise
    _close(conn, summary)
    log.log(LEVELS[summary.status], "run ended", extra=summary.log_fields())


def resolved(conn: Connection, summary: Summary) -> None:
    """Notes the source and the days of a run, once these are known."""
    execute(
        conn,
        "update ops.run set source = %s, first_day = %s, last_day = %s where run_id = %s",
        (summary.source, summary.first_day, summary.last_day, summary.run_id),
    )
    days = days_in_words(summary.first_day, summary.last_day)
    asked = {"source": summary.source, "days": days, "locations": summary.locations}
    log.info("dry run started" if summary.dry_run else "run started", extra=asked)


def _close_abandoned(conn: Connection) -> None:
    abandoned = fetch_all(
        conn,
        "update ops.run set status = 'interrupted', ended_at = clock_timestamp()"
        " where status = 'running' returning run_id",
    )
    for (run_id,) in abandoned:
        log.warning("abandoned run closed", extra={"abandoned_run_id": run_id})


def _open(conn: Connection, summary: Summary) -> None:
    """Records the start of a run, and gives the summary its number."""
    summary.run_id = fetch_one(
        conn,
        "insert into ops.run (command, source, first_day, last_day, locations, program_version, host, pid)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s) returning run_id",
        (
            summary.command, summary.source, summary.first_day, summary.last_day, summary.locations,
            __version__, socket.gethostname(), os.getpid(),
        ),
    )[0]  # fmt: skip


def _close(conn: Connection, summary: Summary) -> None:
    execute(
        conn,
        "update ops.run set status = %s, exit_code = %s, summary = %s, ended_at = clock_timestamp()"
        " where run_id = %s",
        (summary.status, summary.exit_code, json.dumps(summary.as_json()), summary.run_id),
    )
