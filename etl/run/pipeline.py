"""The flow of a load, from its options to its summary."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import UTC, date, datetime
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from etl.database import schema
from etl.database.connection import Connection, transaction
from etl.errors import (
    MACHINE_ERRORS,
    ContractError,
    DocumentError,
    EtlError,
    Outcome,
    SourceError,
    exit_code_of,
    shown,
)
from etl.extract import choose
from etl.extract.source import NOT_ASKED, Missing, Source
from etl.load import events, locations, rules
from etl.load.document import Loader, Payload
from etl.load.request import LastLoad, Request, known_days, last_loads
from etl.logs import log
from etl.run import record
from etl.run.prepare import RUN_SECONDS, Preparer, Verdict, prepare_ahead, rejection
from etl.run.summary import Summary, Trouble
from etl.transform import contract
from etl.transform.declaration import FIRST_DAY, LAST_DAY
from etl.transform.locations import ADDRESS, address_of, decode_states

LATEST, EVERYTHING, RANGE = "latest", "everything", "range"
NATION_HISTORY = address_of("us")
# A document with one of these outcomes is sound, so that the rejected ones of its days are overtaken.
SOUND = (Outcome.LOADED, Outcome.UNCHANGED, Outcome.NOT_MODIFIED)
# A document with one of these outcomes has a line in the log.
LOGGED = (Outcome.FAILED, Outcome.REJECTED, Outcome.STALE)

Progress = Callable[[int, int, int], None]


def no_progress(_done: int, _total: int, _rows: int) -> None:
    """The progress of a caller that shows none."""


class LoadOptions(Struct, frozen=True):
    """The options of `load`; `day` is a date or `latest`. The command has `past` on by default, unlike this class."""

    source: str = "auto"
    day: date | str | None = None
    first_day: date | None = None
    last_day: date | None = None
    locations: str = "all"
    dry_run: bool = False
    force: bool = False
    allow_withdrawals: bool = False
    past: bool = False
    jobs: int = 4

    @property
    def kind(self) -> str:
        """The sort of load, by its dates; a scheduled load has the same every day."""
        if self.day:
            return "day"
        return RANGE if self.first_day or self.last_day else EVERYTHING


def run(
    conn: Connection, options: LoadOptions, environ: Mapping[str, str], progress: Progress = no_progress
) -> Summary:
    """Does one load and returns its summary; the caller holds the run lock.

    `progress` is called after each document with the documents done, the documents in all, and the rows so far.
    A dry run does all this in one transaction, and rolls it back.
    """
    if options.dry_run:
        schema.require(conn)
        with transaction(conn, rollback=True):
            return _run(conn, options, environ, progress)
    has_changed = schema.upgrade(conn, keys_later=True)
    summary = _run(conn, options, environ, progress)
    if has_changed:
        schema.upgrade(conn)
    return summary


def _run(conn: Connection, options: LoadOptions, environ: Mapping[str, str], progress: Progress) -> Summary:
    summary = Summary("load", shown(options.source), *_days_asked(options), options.locations, options.dry_run)
    with record.recorded(conn, summary):
        chosen = locations.choose(conn, options.locations)
        source = _open_source(conn, options, environ)
        if source is None:
            summary.is_source_gone = True
            return summary
        summary.source = source.name
        summary.first_day, summary.last_day, day = _days(options, source)
        record.resolved(conn, summary)
        known_rules = rules.read(conn)
        requests = [
            Request(source.name, location, known_rules.of(location), day, summary.first_day, summary.last_day)
            for location in chosen
        ]
        summary.requested = len(requests)
        summary.passed_over = [reports for request in requests if (reports := request.passed_over)]
        allowed, past = options.allow_withdrawals, options.past
        loader = Loader(conn, summary.run_id or 0, known_rules, allow_withdrawals=allowed, with_past=past)
        last, packed = last_loads(conn, requests), known_days(conn, requests)
        deadline, today = time.monotonic() + RUN_SECONDS, datetime.now(UTC).date()
        preparer = Preparer(source, last, packed, options.force, deadline, today)
        step = DocumentStep(loader, summary)
        for request, prepared in prepare_ahead(preparer.prepare, requests, options.jobs):
            started = time.monotonic()
            step.take(request, partial(_settle, step, request, last.get(request.address), prepared))
            summary.seconds["load"] += time.monotonic() - started
            progress(sum(summary.documents.values()), summary.requested, summary.row_count)
        loader.end_of_run()
        summary.frozen = record.frozen(conn, summary)
        if options.kind == RANGE:
            summary.is_empty_range = not locations.are_covered(conn, chosen, summary.first_day, summary.last_day)
        if options.kind == EVERYTHING:
            _load_locations(loader, source)
    return summary


def _settle(
    step: "DocumentStep", request: Request, last: LastLoad | None, prepared: "Future[Payload | Verdict]"
) -> Verdict:
    """Loads a document with news, keeps a rejected one, and notes another file with known data."""
    verdict, loader = prepared.result(), step.loader
    if isinstance(verdict, Payload):
        verdict = step.load(request, last, verdict)
    received, drift = verdict.received, verdict.drift
    if received and verdict.outcome is Outcome.REJECTED:
        drift = loader.reject(request, received, verdict.reason, verdict.observation)
    elif received and last and request.is_whole and last.source == request.source:
        # Without the new validators the source would send the document every time.
        drift = loader.confirm(last.document_load_id, received, verdict.observation)
    if verdict.outcome in SOUND:
        loader.close_rejections(request)
    return replace(verdict, drift=drift)


class DocumentStep(Struct, frozen=True):
    """The last step of each document: into the database, the summary and the log."""

    loader: Loader
    summary: Summary

    def take(self, request: Request, settle: Callable[[], Verdict]) -> None:
        """Settles a document and counts it; an error makes the document a failed one, unless it ends the run."""
        try:
            verdict = settle()
        except (EtlError, *MACHINE_ERRORS) as error:
            if isinstance(error, EtlError) and error.ends_run:
                raise
            verdict = Verdict(Outcome.FAILED, str(error) or "out of memory", exit_code_of(error))
        except Exception as error:
            log.exception("document failed by a bug, please report it", extra={"address": request.address})
            reason = f"a bug in this program, {type(error).__name__}: the log has more"
            verdict = Verdict(Outcome.FAILED, reason, exit_code_of(error))
        breaking = tuple(change for change in verdict.drift if change.severity == "breaking")
        place = (request.location.code, request.day)
        self.summary.count(verdict.outcome, Trouble(*place, verdict.reason, verdict.code, verdict.days, breaking))
        if verdict.outcome in LOGGED and verdict.reason != NOT_ASKED:
            log.warning(f"document {verdict.outcome}", extra={"address": request.address, "reason": verdict.reason})

    def load(self, request: Request, last: LastLoad | None, payload: Payload) -> Verdict:
        """Loads a document, or rejects it if it contradicts what is loaded."""
        is_other_source = last and last.location_source != request.source
        change = events.SOURCE_CHANGED if is_other_source else events.REVISED
        try:
            effect = self.loader.load(request, payload, change)
        except ContractError as error:
            return rejection(request, payload.received, error)
        if not effect:
            return Verdict(Outcome.UNCHANGED, received=payload.received, observation=payload.observation)
        self.summary.count_rows(effect.merged)
        return Verdict(Outcome.LOADED, drift=effect.drift)


def _open_source(conn: Connection, options: LoadOptions, environ: Mapping[str, str]) -> Source | None:
    """The source, or None where there is nothing to read."""
    spec: str | None = options.source
    if spec == choose.AUTO:
        spec = choose.resolve_auto(environ, loaded_from_api=events.is_loaded_from(conn, choose.API))
    return choose.open_source(spec, environ, options.jobs) if spec else None


def _days_asked(options: LoadOptions) -> tuple[date, date]:
    """The first and the last day asked for; those of all days as long as `latest` is not known."""
    if isinstance(options.day, date):
        return options.day, options.day
    first_day = options.first_day or min(FIRST_DAY, options.last_day or FIRST_DAY)
    return first_day, options.last_day or max(LAST_DAY, first_day)


def _days(options: LoadOptions, source: Source) -> tuple[date, date, date | None]:
    """The first day, the last day, and the single day that is wanted, or None if histories are to be read."""
    day = _latest_day(source) if options.day == LATEST else options.day
    return (day, day, day) if isinstance(day, date) else (*_days_asked(options), None)


def _latest_day(source: Source) -> date:
    """The newest day in the history of the nation; raises `SourceError` if that cannot be had."""
    try:
        return contract.newest_day(source.fetch(NATION_HISTORY).body)
    except Missing as error:
        raise SourceError(f"--date latest needs {NATION_HISTORY}, which {source.name} does not have") from error
    except (DocumentError, ContractError) as error:
        raise SourceError(f"--date latest needs {NATION_HISTORY} of {source.name}: {error}") from error


def _load_locations(loader: Loader, source: Source) -> None:
    """Brings names, populations and sites up to date; a failure is a warning, since no figure needs them."""
    try:
        received = source.fetch(ADDRESS)
        loader.load_locations(source.name, received, decode_states(received.body))
    except (DocumentError, Missing, ContractError) as error:
        log.warning("location metadata not updated", extra={"address": ADDRESS, "reason": str(error)})
