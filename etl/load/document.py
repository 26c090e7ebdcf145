"""Writes one document to the database in one transaction: rows, history, provenance, drift and findings."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from etl.database.connection import Connection, execute, fetch_all, is_in_transaction, read_sql, transaction
from etl.errors import ContractError
from etl.extract.source import NOTHING_KNOWN, Received
from etl.load import drift_record, events, findings, locations, merge, past
from etl.load.definitions import DefinitionRecord
from etl.load.drift_record import RecordedChange
from etl.load.events import Event, StoredEvent
from etl.load.merge import MergeCounts
from etl.load.request import Request, load_command
from etl.load.rules import Rules
from etl.transform.bounds import Finding
from etl.transform.declaration import FIRST_DAY, LAST_DAY, processing_key
from etl.transform.drift import Observation
from etl.transform.locations import ADDRESS, LocationMetadata
from etl.transform.news import News

# A history that is silent about more of the known days than this is taken for damaged, not for a revision.
LARGEST_WITHDRAWAL = 0.1


class Payload(Struct, frozen=True):
    """A sound document: its bytes, the hash of its data, its news, what it shows, and its findings.

    `may_be_same` says that its data may be the data loaded last, written in another way.
    """

    received: Received
    data_hash: str
    news: News
    observation: Observation
    findings: list[Finding]
    may_be_same: bool = False


class Effect(Struct, frozen=True):
    """The row counts of a document that was loaded, and the drift in it."""

    merged: MergeCounts
    drift: list[RecordedChange]


class _SameDataError(Exception):
    """A document changes no row, so that its transaction is rolled back."""


class Loader:
    """Writes the documents of one run, each in a transaction of its own.

    Each document is a savepoint if the caller has begun a transaction, as a dry run does. With `with_past` the whole
    history of a location brings its shipped past.
    """

    def __init__(
        self, conn: Connection, run_id: int, rules: Rules, *, allow_withdrawals: bool = False, with_past: bool = False
    ) -> None:
        self.conn = conn
        self.run_id = run_id
        self.allow_withdrawals = allow_withdrawals
        self.with_past = with_past
        self._is_nested = is_in_transaction(conn)
        self._is_prepared = False
        self.definition_record = DefinitionRecord(conn, rules.aliases)
        # The codes of locations whose next document may end something. A rollback may leave too many, without harm.
        self._unsettled = {code for (code,) in fetch_all(conn, read_sql("load/unsettled_locations.sql"))}

    def load(self, request: Request, payload: Payload, change: str) -> Effect | None:
        """Loads one document; the history marks the rows that it supersedes with `change`.

        Writes nothing and returns None if its data is the data loaded last. Writes nothing and raises `ContractError`
        if it withdraws too much.
        """
        if not self.allow_withdrawals:
            _refuse_large_withdrawal(request, payload.news)
        brings_past = self.with_past and past.is_wanted(self.conn, request)
        if payload.news.needs_merge or brings_past:
            self._prepare()
        with suppress(_SameDataError), self._writing():
            event = self._event(request, payload.received, payload, change)
            merged = merge.write(self.conn, event, payload.news)
            if payload.may_be_same and not merged.changed_rows:
                raise _SameDataError
            merge.write_digests(self.conn, event, payload.news)
            events.record(self.conn, event, merged.changed_rows)
            if brings_past:
                past.attach(self.conn, event, request)
            drift = self._notice(payload.observation, payload.received, event.known_at)
            self._notice_findings(event, payload, merged)
            if self._is_nested:
                _check_keys(self.conn)
            return Effect(merged, drift)
        return None

    def load_again(self, stored: StoredEvent, request: Request, payload: Payload, change: str) -> MergeCounts:
        """Merges a document as at its first load, within the caller's transaction."""
        skipped_days, build_time = sorted(request.rules.skipped_days), payload.observation.build_time
        event = replace(stored, skipped_days=skipped_days, build_time=build_time, change=change)
        self._prepare()
        merged = merge.write(self.conn, event, payload.news)
        _check_keys(self.conn)
        return merged

    def _prepare(self) -> None:
        """Prepares the merges before the first document that may need them, since many runs have none.

        It is done in a transaction, since that checks that the session holds the run lock.
        """
        if not self._is_prepared:
            with transaction(self.conn):
                merge.prepare(self.conn)
            self._is_prepared = True

    def confirm(
        self, document_load_id: int, received: Received, observation: Observation | None
    ) -> list[RecordedChange]:
        """Notes that the data of an earlier load came in another file; returns the drift in that file."""
        with self._writing():
            events.renew_validators(self.conn, document_load_id, received.validators)
            return self._notice(observation, received, events.next_known_at(self.conn)) if observation else []

    def reject(
        self, request: Request, received: Received, reason: str, observation: Observation | None
    ) -> list[RecordedChange]:
        """Keeps a document that broke the contract, once for all times that it comes; returns the drift in it."""
        with self._writing():
            event = replace(self._event(request, received, None, events.REVISED), outcome="rejected", reason=reason)
            if not events.is_rejected_last(self.conn, event.address, event.document_id):
                events.record(self.conn, event)
                self._unsettled.add(request.location.code)
            return self._notice(observation, received, event.known_at) if observation else []

    def close_rejections(self, request: Request) -> None:
        """Closes the rejected documents of the location and days of a sound one, which has overtaken them."""
        if request.location.code in self._unsettled:
            with self._writing():
                location_id = request.location.location_id
                events.close_rejections(self.conn, location_id, request.first_day, request.last_day)

    def load_locations(self, source: str, received: Received, states: list[LocationMetadata]) -> None:
        """Brings the metadata of the locations up to date, and records their document if that changed anything."""
        with self._writing():
            if locations.update(self.conn, states):
                document_id, known_at = events.keep(self.conn, received, None), events.next_known_at(self.conn)
                event = Event(
                    self.run_id, document_id, known_at, source, ADDRESS, None, FIRST_DAY, LAST_DAY, processing_key()
                )
                events.record(self.conn, event)

    def end_of_run(self) -> None:
        """Records the drift that only all documents of a run together show."""
        with self._writing():
            for observation, removed in list(self.definition_record.end_of_run()):
                drift_record.record(self.conn, self.run_id, observation, removed)

    def _notice(self, observation: Observation, received: Received, known_at: datetime) -> list[RecordedChange]:
        """Records the drift in a document, ends the drift that is over, and returns what was recorded."""
        changed_definitions = self.definition_record.observe(observation, received, known_at)
        shown = drift_record.record(self.conn, self.run_id, observation, [*observation.changes, *changed_definitions])
        if observation.location_code in self._unsettled:
            drift_record.end(self.conn, observation, shown)
        if observation.changes:
            self._unsettled.add(observation.location_code)
        return shown

    def _notice_findings(self, event: Event, payload: Payload, merged: MergeCounts) -> None:
        # People who have allowed withdrawals know of them.
        found = [] if self.allow_withdrawals else findings.of_merge(self.conn, event, merged)
        if shown := [*found, *payload.findings]:
            self._unsettled.add(payload.observation.location_code)
        if payload.observation.location_code in self._unsettled:
            findings.observe(self.conn, event, payload.news.days, shown)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction; an error in it also clears the memory of the definitions of the run."""
        try:
            with transaction(self.conn):
                yield
        except _SameDataError:
            # The memory holds nothing of this document yet, and is needed to the end of the run.
            raise
        except BaseException:
            self.definition_record.forget()
            raise

    def _event(self, request: Request, received: Received, payload: Payload | None, change: str) -> Event:
        """Keeps the bytes of a document, and returns its event. A rejected document has no payload."""
        return Event(
            run_id=self.run_id,
            document_id=events.keep(self.conn, received, payload.data_hash if payload else None),
            known_at=events.next_known_at(self.conn),
            source=request.source,
            address=request.address,
            location_id=request.location.location_id,
            first_day=request.first_day,
            last_day=request.last_day,
            processing_key=request.rules.key,
            skipped_days=sorted(request.rules.skipped_days),
            build_time=payload.observation.build_time if payload else None,
            # The validators of a document that is loaded in part would let an answer of 304 hide the rest.
            validators=received.validators if payload and request.is_whole else NOTHING_KNOWN,
            change=change,
        )


def _refuse_large_withdrawal(request: Request, news: News) -> None:
    missing = len(news.gone_days)
    known = missing + len(news.same_days) + len(news.revised_days)
    if missing > known * LARGEST_WITHDRAWAL:
        way_out = load_command(request.source, request.location.code, "--allow-withdrawals")
        raise ContractError(f"data: {missing} of {known} known days are missing; if that is meant: {way_out}")


def _check_keys(conn: Connection) -> None:
    """Checks the deferred foreign keys, as a commit does; in the transaction of a caller that would be too late."""
    execute(conn, "set constraints all immediate; set constraints all deferred")
