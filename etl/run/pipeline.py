"""The flow of a load, from the options to the closed run."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

import psycopg2

from etl import logs
from etl.database import schema
from etl.database.connection import Connection, fetch_all, fetch_one, read_sql, transaction
from etl.errors import (
    ContractError,
    DocumentError,
    Interrupted,
    Outcome,
    SourceError,
    exit_code_of,
)
from etl.extract import http as extract
from etl.extract.http import NOT_ASKED, NOTHING_KNOWN, Missing, Source
from etl.load import locations, rules
from etl.load.document import DocumentLoad, Loader
from etl.load.drift_record import DriftLog, SeenDrift
from etl.load.findings import FindingLog
from etl.load.rules import Rules
from etl.logs import get_logger
from etl.run import summary as runs
from etl.run.prepare import RUN_SECONDS, LastLoad, Preparer, Ready, Request, Settled, prepare_ahead, rejected
from etl.run.summary import Summary, Trouble
from etl.transform import contract
from etl.transform.declaration import FIRST_DAY, LAST_DAY, processing_key

LATEST = "latest"
NATION_HISTORY = "us/daily.json"
# Of the line that ends a run.
LEVELS = {"ok": logging.INFO, "partial": logging.WARNING, "failed": logging.ERROR}
# What a document says when it is as it should be: what was rejected of its days before is of the past.
SOUND = (Outcome.LOADED, Outcome.UNCHANGED, Outcome.NOT_MODIFIED)

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

    @property
    def kind(self) -> str:
        """What sort of load it is: the same for a scheduled one every day."""
        return "everything" if self.everything else "day" if self.day else "range"


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
    known_rules = rules.read(conn)
    requests = [Request(each, known_rules.of(each), day, first_day, last_day) for each in chosen]
    summary = Summary(source.name, first_day, last_day, options.locations, options.dry_run)
    summary.requested = len(requests)
    summary.passed_over = [over for request in requests if (over := request.passed_over)]
    with recorded(conn, summary):
        loader = make_loader(conn, summary, known_rules, allow_withdrawals=options.allow_withdrawals)
        last_loads = latest_loads(conn, requests)
        deadline, today = time.monotonic() + RUN_SECONDS, datetime.now(UTC).date()
        preparer = Preparer(source, last_loads, options.force, deadline, today)
        for prepared in prepare_ahead(preparer, requests, options.jobs):
            with summary.timed("load"):
                _settle(loader, prepared, last_loads, summary)
            progress(sum(summary.documents.values()), summary.requested, summary.row_count)
        if options.everything:
            _load_locations(loader, source, summary)
    return summary


def make_loader(conn: Connection, summary: Summary, known_rules: Rules, *, allow_withdrawals: bool = False) -> Loader:
    """The loader of a run, with the memory of drift and findings."""
    drift_log, finding_log = DriftLog(conn, summary.run_id or 0, known_rules.aliases), FindingLog(conn)
    return Loader(conn, drift_log, finding_log, dry_run=summary.dry_run, allow_withdrawals=allow_withdrawals)


@contextlib.contextmanager
def recorded(conn: Connection, summary: Summary) -> Iterator[None]:
    """Opens the run in `ops.run`, and closes it however the block ends."""
    runs.open_run(conn, summary)
    if not summary.dry_run:
        logs.bind(run_id=summary.run_id)
    asked = {"source": summary.source, "days": summary.days, "locations": summary.locations}
    log.info("dry run started" if summary.dry_run else "run started", extra=asked)
    try:
        yield
    except (Interrupted, Exception) as error:
        summary.ended_by = exit_code_of(error)
        # The error on its way up tells more than the failure to record it.
        with contextlib.suppress(psycopg2.Error):
            runs.close_run(conn, summary)
        log.error("run ended early", extra=summary.log_fields())
        raise
    runs.close_run(conn, summary)
    log.log(LEVELS[summary.status], "run ended", extra=summary.log_fields())


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
        return contract.newest_day(source.fetch(NATION_HISTORY).body)
    except Missing as error:
        raise SourceError(f"--date latest needs {NATION_HISTORY}, which {source.name} does not have") from error
    except (DocumentError, ContractError) as error:
        raise SourceError(f"--date latest needs {NATION_HISTORY} of {source.name}: {error}") from error


def latest_loads(conn: Connection, requests: list[Request]) -> dict[str, LastLoad]:
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
    last = last_loads.get(prepared.request.address)
    settled = load_one(loader, prepared, last, summary) if isinstance(prepared, Ready) else prepared
    request, outcome, shown = settled.request, settled.outcome, list[SeenDrift]()
    if outcome is Outcome.REJECTED and settled.received:
        shown = loader.reject(
            _event(request, summary, summary.source), settled.received, settled.reason, settled.seen
        )
    elif settled.received and last and request.whole and last.source == summary.source:
        # The same data in another file: without this it would be received in full ever after.
        shown = loader.confirm(last.document_load_id, settled.received, settled.seen)
    summary.notice(shown)
    if outcome in SOUND and request.location.location_id in loader.rejected_locations:
        loader.close_rejections(request.location.location_id, request.first_day, request.last_day)
    breaking = tuple(each for each in shown if each.change.breaking)
    summary.count(outcome, Trouble(request.location.code, request.day, settled.reason, settled.days, breaking))
    if outcome in (Outcome.FAILED, Outcome.REJECTED, Outcome.STALE) and settled.reason != NOT_ASKED:
        log.warning(f"document {outcome}", extra={"address": request.address, "reason": settled.reason})


def load_one(
    loader: Loader, ready: Ready, last: LastLoad | None, summary: Summary, source: str | None = None
) -> Settled:
    """Loads a document; or finds only now, beside what is loaded, that it is to be rejected.

    `source` is where it came from, if not from the run's own.
    """
    source = source or summary.source
    event = _event(ready.request, summary, source, ready)
    change = "source_changed" if last and last.location_source != source else "revised"
    try:
        loaded = loader.load(event, ready.content, change)
    except ContractError as error:
        return rejected(ready.request, ready.content.received, error)
    summary.add(ready.request.location.code, loaded)
    return Settled(ready.request, Outcome.LOADED)


def _event(request: Request, summary: Summary, source: str, ready: Ready | None = None) -> DocumentLoad:
    validators = ready.content.received.validators if ready and request.whole else NOTHING_KNOWN
    return DocumentLoad(
        run_id=summary.run_id or 0,
        source=source,
        address=request.address,
        location_id=request.location.location_id,
        first_day=request.first_day,
        last_day=request.last_day,
        processing_key=request.rules.key,
        skipped_days=sorted(request.rules.skipped_days),
        build_time=ready.build_time if ready else None,
        etag=validators.etag,
        last_modified=validators.last_modified,
    )


def _load_locations(loader: Loader, source: Source, summary: Summary) -> None:
    """Brings names, populations and sites up to date; a failure is a warning, since no figure needs them."""
    try:
        received = source.fetch(locations.ADDRESS)
        states = locations.decode(received.body)
    except (DocumentError, Missing, ContractError) as error:
        log.warning("location metadata not updated", extra={"address": locations.ADDRESS, "reason": str(error)})
        return
    event = DocumentLoad(
        summary.run_id or 0,
        summary.source,
        locations.ADDRESS,
        None,
        summary.first_day,
        summary.last_day,
        processing_key(),
    )
    loader.load_locations(event, received, states)
