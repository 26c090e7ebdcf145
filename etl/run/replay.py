"""Replays stored documents: all of them to rebuild the star and its history, or the rejected ones to load them."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from etl.config import command
from etl.database.connection import Connection, transaction
from etl.errors import ContractError, Outcome, UsageError
from etl.load import events, locations, merge, past, rules
from etl.load.document import Loader
from etl.load.events import StoredEvent
from etl.load.request import Request, known_days, last_loads
from etl.load.rules import Rules
from etl.run import record
from etl.run.pipeline import DocumentStep, Progress, no_progress
from etl.run.prepare import Verdict, decode_stored, rejection
from etl.run.summary import Summary, Trouble
from etl.transform.declaration import FIRST_DAY, LAST_DAY
from etl.transform.locations import Location, history_of

# The source of a run that reads what is stored.
STORED = "stored"


class _RefusedError(Exception):
    """A loaded document would be rejected now, so the replay is rolled back."""


class _Replayed(Struct, frozen=True):
    """The source of the last event of a location, and the digests of its reports by then.

    They are not written: the findings stay those of the loads, so that the next one has to judge every report.
    """

    source: str
    digests: Mapping[date, bytes]


def replay(
    conn: Connection, selection: str, *, allow_rejected: bool = False, progress: Progress = no_progress
) -> Summary:
    """Merges the events of the selected locations again, under today's rules; the caller holds the run lock.

    It is one transaction, with `delete` and not `truncate`: readers see the old star until it commits. If a loaded
    document would be rejected now, nothing changes. With `allow_rejected` the event of that document is marked as
    refused instead, and a later replay tries it again. Raises `UsageError` if bytes that it needs were pruned.
    """
    summary = Summary("replay", STORED, FIRST_DAY, LAST_DAY, selection)
    with record.recorded(conn, summary):
        places = {location.code: location for location in locations.choose(conn, selection)}
        location_ids = [location.location_id for location in places.values()]
        stored = events.replayable(conn, location_ids)
        _require_bytes(stored)
        record.resolved(conn, summary)
        summary.requested = len(stored)
        known_rules = rules.read(conn)
        replayed: dict[str, _Replayed] = {}
        try:
            with transaction(conn):
                merge.clear_locations(conn, location_ids)
                loader = Loader(conn, 0, known_rules)
                for event in stored:
                    request = _request_of(event, places[event.location_code], known_rules, event.known_at)
                    _merge_again(loader, summary, replayed, event, request)
                    progress(sum(summary.documents.values()), len(stored), summary.row_count)
                for location in places.values():
                    past.end_again(conn, location.location_id, location.shape)
                if summary.rejected and not allow_rejected:
                    raise _RefusedError
        except _RefusedError:
            summary.take_back()
    return summary


def _require_bytes(stored: list[StoredEvent]) -> None:
    if pruned := [event.location_code for event in stored if event.is_pruned]:
        raise UsageError(
            f"the bytes of {len(pruned)} documents of {', '.join(sorted({*pruned}))} were pruned: a replay would "
            "lose what they revised; choose other locations with --locations"
        )


def _merge_again(
    loader: Loader, summary: Summary, replayed: dict[str, _Replayed], event: StoredEvent, request: Request
) -> None:
    """Merges the document of an event again, or refuses it; `replayed` has each location by its code."""
    received = events.stored_document(loader.conn, event.document_id)
    place = (event.location_code, request.day)
    try:
        before = replayed.get(event.location_code, _Replayed(event.source, {}))
        known = replace(request.known(known_days(loader.conn, [request])[request.address]), digests=before.digests)
        payload = decode_stored(request, received, known, datetime.now(UTC).date())
    except ContractError as error:
        summary.count(Outcome.REJECTED, Trouble(*place, str(error), error.exit_code, error.days))
        events.refuse(loader.conn, event.document_load_id, str(error))
        return
    change = events.REVISED if before.source == event.source else events.SOURCE_CHANGED
    merged = loader.load_again(event, request, payload, change)
    replayed[event.location_code] = _Replayed(event.source, payload.news.digests)
    if event.outcome == "refused":
        events.refuse(loader.conn, event.document_load_id, None)
    summary.count_rows(merged)
    summary.count(Outcome.LOADED, Trouble(*place, ""))


def _request_of(event: StoredEvent, location: Location, known_rules: Rules, at: datetime | None = None) -> Request:
    """The request that a stored document answers, with the rules of now or those that held `at` a time."""
    _, day = history_of(event.address)
    single = date.fromisoformat(day) if day else None
    return Request(event.source, location, known_rules.of(location, at), single, event.first_day, event.last_day)


# --- rejected documents ---


def replay_rejected(conn: Connection, wanted: int | None) -> Summary:
    """Loads the open rejected documents, or the `wanted` one, under today's rules; the caller holds the run lock.

    A document that a later one has overtaken stays rejected: its figures are older than the loaded ones. Raises
    `UsageError` if no rejected document has the wanted number.
    """
    summary = Summary("replay --rejected", STORED, FIRST_DAY, LAST_DAY, "all")
    with record.recorded(conn, summary):
        chosen = [event for event in events.open_rejections(conn) if wanted in (None, event.document_load_id)]
        if wanted and not chosen:
            raise UsageError(f"no rejected document {wanted} is open; `{command('status')}` lists those that are")
        record.resolved(conn, summary)
        summary.requested = len(chosen)
        known_rules = rules.read(conn)
        step = DocumentStep(Loader(conn, summary.run_id or 0, known_rules), summary)
        places = {location.code: location for location in locations.choose(conn, "all")}
        for event in chosen:
            request = _request_of(event, places[event.location_code], known_rules)
            step.take(request, partial(_try_again, step, event, request))
    return summary


def _try_again(step: DocumentStep, event: StoredEvent, request: Request) -> Verdict:
    """Loads a rejected document if the rules allow that now, and closes it."""
    verdict = _load_rejected(step, event, request)
    if verdict.outcome in (Outcome.LOADED, Outcome.SKIPPED):
        events.close_rejection(step.loader.conn, event.document_load_id)
    return verdict


def _load_rejected(step: DocumentStep, event: StoredEvent, request: Request) -> Verdict:
    if request.is_skipped:
        return Verdict(Outcome.SKIPPED)
    if event.is_overtaken:
        return Verdict(Outcome.STALE, "a later document has overtaken it in part")
    if event.is_pruned:
        return Verdict(Outcome.FAILED, "its bytes were pruned")
    conn = step.loader.conn
    received = events.stored_document(conn, event.document_id)
    try:
        known = request.known(known_days(conn, [request])[request.address])
        payload = decode_stored(request, received, known, datetime.now(UTC).date())
    except ContractError as error:
        return rejection(request, received, error)
    return step.load(request, last_loads(conn, [request]).get(request.address), payload)
