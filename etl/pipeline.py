"""The flow of a load, from the options to the closed run."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg2

from etl import contract, extract, locations, runs, schema
from etl.contract import Expected, NotJsonError
from etl.database import Connection, fetch_all, fetch_one, read_sql, transaction
from etl.declaration import FIRST_DAY, LAST_DAY, NATION
from etl.errors import ContractError, EtlError, ExitCode, Interrupted, SourceError
from etl.extract import NOT_ASKED, NOTHING_KNOWN, FetchError, Missing, Source
from etl.load import DocumentLoad, Loader
from etl.logs import get_logger
from etl.prepare import RUN_SECONDS, LastLoad, Preparer, Ready, Request, Settled, prepare_ahead
from etl.runs import Outcome, Summary, Trouble

LATEST = "latest"
NATION_HISTORY = "us/daily.json"

log = get_logger()

Progress = Callable[[int, int, int], None]


def _no_progress(_done: int, _total: int, _rows: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What `load` was asked to do; `day` is a date or `latest`."""

    source: str = "auto"
    day: date | str | None = None
    first_day: date | None = None
    last_day: date | None = None
    locations: str = "all"
    dry_run: bool = False
    force: bool = False
    allow_withdrawals: bool = False
    jobs: int = 4

    @property
    def everything(self) -> bool:
        """Whether no dates were given."""
        return self.day is None and self.first_day is None and self.last_day is None


def run(
    conn: Connection, options: LoadOptions, environ: Mapping[str, str], progress: Progress = _no_progress
) -> Summary:
    """Does one load and returns what it did; the caller holds the run lock.

    `progress` is called after each document with what is done, what there is to do, and the rows so far.
    A dry run does all of it in one transaction, which it rolls back.
    """
    if options.dry_run:
        schema.require(conn)
        with transaction(conn, rollback=True):
            return _run(conn, options, environ, progress)
    schema.upgrade(conn)
    runs.close_abandoned(conn)
    return _run(conn, options, environ, progress)


def _run(conn: Connection, options: LoadOptions, environ: Mapping[str, str], progress: Progress) -> Summary:
    chosen = locations.choose(conn, options.locations)
    source = _open_source(conn, options, environ)
    first_day, last_day, day = _days(options, source)
    requests = [Request(location, day, first_day, last_day) for location in chosen]
    summary = Summary(source.name, first_day, last_day, options.locations, options.dry_run)
    summary.requested = len(requests)
    with _recorded(conn, summary):
        loader = Loader(conn, dry_run=options.dry_run, allow_withdrawals=options.allow_withdrawals)
        last_loads = _last_loads(conn, requests)
        preparer = Preparer(source, last_loads, options.force, deadline=time.monotonic() + RUN_SECONDS)
        for prepared in prepare_ahead(preparer, requests, options.jobs):
            with summary.timed("load"):
                _settle(loader, prepared, last_loads, summary)
            progress(sum(summary.documents.values()), summary.requested, summary.row_count)
        if options.everything:
            _load_locations(loader, source, summary)
    return summary


@contextlib.contextmanager
def _recorded(conn: Connection, summary: Summary) -> Iterator[None]:
    """Opens the run in `ops.run`, and closes it however the block ends."""
    runs.open_run(conn, summary)
    log.info("dry run started" if summary.dry_run else "run started", extra=_fields(summary))
    try:
        yield
    except (Interrupted, Exception) as error:
        summary.ended_by = _exit_code(error)
        log.warning("run ended early", extra=_fields(summary))
        # The error on its way up tells more than the failure to record it.
        with contextlib.suppress(psycopg2.Error):
            runs.close_run(conn, summary)
        raise
    runs.close_run(conn, summary)
    log.info("run ended", extra=_fields(summary))


def _exit_code(error: BaseException) -> ExitCode:
    """The exit code that an error will end the command with."""
    if isinstance(error, Interrupted | EtlError):
        return error.exit_code
    return ExitCode.DATABASE if isinstance(error, psycopg2.Error) else ExitCode.BUG


def _fields(summary: Summary) -> dict[str, Any]:
    """What every line about a run says."""
    done = {str(outcome): count for outcome, count in summary.documents.items() if count}
    run = {} if summary.dry_run else {"run_id": summary.run_id}
    return run | {"source": summary.source} | done | ({"status": summary.status} if done else {})


def _open_source(conn: Connection, options: LoadOptions, environ: Mapping[str, str]) -> Source:
    spec = options.source
    if spec == "auto":
        query = "select exists (select from ops.document_load where source = 'api' and outcome = 'loaded')"
        spec = extract.resolve_auto(environ, loaded_from_api=fetch_one(conn, query)[0])
    return extract.open_source(spec, environ, options.jobs)


def _days(options: LoadOptions, source: Source) -> tuple[date, date, date | None]:
    """The first and the last day wanted, and the day whose single documents are to be read, if any."""
    day = _latest_day(source) if options.day == LATEST else options.day
    if isinstance(day, date):
        return day, day, day
    return options.first_day or FIRST_DAY, options.last_day or LAST_DAY, None


def _latest_day(source: Source) -> date:
    """The newest day of the nation's history; raises `SourceError` if that cannot be had."""
    try:
        body = source.fetch(NATION_HISTORY).body
        history = contract.decode(body, Expected(NATION, "US"))
    except Missing as error:
        raise SourceError(f"--date latest needs {NATION_HISTORY}, which {source.name} does not have") from error
    except (FetchError, NotJsonError, ContractError) as error:
        raise SourceError(f"--date latest needs {NATION_HISTORY} of {source.name}: {error}") from error
    newest: date = max(report.date for report in history.reports)
    return newest


def _last_loads(conn: Connection, requests: list[Request]) -> dict[str, LastLoad]:
    """What was loaded last for each request, by its address."""
    parameters = {
        "addresses": [request.address for request in requests],
        "location_ids": [request.location.location_id for request in requests],
        "first_days": [request.first_day for request in requests],
        "last_days": [request.last_day for request in requests],
    }
    rows = fetch_all(conn, read_sql("load/latest_loads.sql"), parameters)
    return {address: LastLoad(*last) for address, *last in rows}


def _settle(loader: Loader, prepared: Ready | Settled, last_loads: Mapping[str, LastLoad], summary: Summary) -> None:
    """Loads a document, or keeps a rejected one; counts it, and logs what an operator should see."""
    if isinstance(prepared, Ready):
        prepared = _load(loader, prepared, last_loads.get(prepared.request.address), summary)
    request, outcome = prepared.request, prepared.outcome
    last = last_loads.get(request.address)
    if outcome is Outcome.REJECTED and prepared.received:
        loader.reject(_event(request, summary), prepared.received, prepared.reason)
    elif prepared.received and last and request.whole and last.source == summary.source:
        # The same data in another file: without this it would be received in full ever after.
        loader.confirm(last.document_load_id, prepared.received.validators)
    trouble = Trouble(request.location.code, request.day, prepared.reason)
    summary.count(outcome, trouble)
    if outcome in (Outcome.FAILED, Outcome.REJECTED, Outcome.STALE) and prepared.reason != NOT_ASKED:
        fields = {"run_id": summary.run_id, "address": request.address, "reason": prepared.reason}
        log.warning(f"document {outcome}", extra=fields)


def _load(loader: Loader, ready: Ready, last: LastLoad | None, summary: Summary) -> Settled:
    event = _event(ready.request, summary, ready)
    change = "source_changed" if last and last.location_source != summary.source else "revised"
    try:
        loaded = loader.load(event, ready.content, change)
    except ContractError as error:
        return Settled(ready.request, Outcome.REJECTED, str(error), ready.content.received)
    summary.add(loaded)
    summary.new_paths.update(ready.new_paths)
    return Settled(ready.request, Outcome.LOADED)


def _event(request: Request, summary: Summary, ready: Ready | None = None) -> DocumentLoad:
    validators = ready.content.received.validators if ready and request.whole else NOTHING_KNOWN
    return DocumentLoad(
        run_id=summary.run_id or 0,
        source=summary.source,
        address=request.address,
        location_id=request.location.location_id,
        first_day=request.first_day,
        last_day=request.last_day,
        build_time=ready.build_time if ready else None,
        etag=validators.etag,
        last_modified=validators.last_modified,
    )


def _load_locations(loader: Loader, source: Source, summary: Summary) -> None:
    """Brings names, populations and sites up to date; a failure is a warning, since no figure needs them."""
    try:
        received = source.fetch(locations.ADDRESS)
        states = locations.decode(received.body)
    except (FetchError, Missing, NotJsonError, ContractError) as error:
        fields = {"run_id": summary.run_id, "address": locations.ADDRESS, "reason": str(error)}
        log.warning("location metadata not updated", extra=fields)
        return
    event = DocumentLoad(
        summary.run_id or 0, summary.source, locations.ADDRESS, None, summary.first_day, summary.last_day
    )
    loader.load_locations(event, received, states)
