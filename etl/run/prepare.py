"""Everything that can be done with a document before the database sees it: fetch, decode, compare, flatten."""

import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime

from etl.errors import ContractError, DocumentError, Outcome
from etl.extract.http import NOTHING_KNOWN, Missing, NotModified, Received, Source, Validators
from etl.load.document import Content, stage
from etl.load.drift_record import Seen
from etl.load.locations import Location
from etl.load.rules import LocationRules
from etl.transform import bounds as checks
from etl.transform import contract
from etl.transform.contract import DepartureError, Document, Expected
from etl.transform.declaration import FIRST_DAY, LAST_DAY
from etl.transform.rows import columns, transform

RUN_SECONDS = 3600
SWITCH_SECONDS = 0.0002


@dataclass(frozen=True, slots=True)
class Request:
    """One document to ask for (a history, or the single `day`), the days wanted of it, the rules for it."""

    location: Location
    rules: LocationRules
    day: date | None
    first_day: date
    last_day: date

    @property
    def address(self) -> str:
        """Where it is below the source."""
        return self.location.address(self.day)

    @property
    def whole(self) -> bool:
        """Whether everything in the document is wanted."""
        return self.day is not None or (self.first_day, self.last_day) == (FIRST_DAY, LAST_DAY)

    @property
    def is_skipped(self) -> bool:
        """Whether there is nothing in the document that is not to be passed over."""
        return self.rules.is_skipped or self.day in self.rules.skipped_days

    @property
    def passed_over(self) -> str | None:
        """What of the document is passed over, in words; None if nothing is."""
        days = sorted(day for day in self.rules.skipped_days if self.first_day <= day <= self.last_day)
        if self.rules.is_skipped:
            return f"{self.location.code} (all days)"
        return f"{self.location.code} {', '.join(map(str, days))}" if days else None

    @property
    def expected(self) -> Expected:
        """What the document should be."""
        rules = self.rules
        return Expected(self.location.shape, self.location.code, self.day, rules.aliases, rules.skipped_days)


@dataclass(frozen=True, slots=True)
class LastLoad:
    """What was loaded last for the days of a request; a row of `sql/load/latest_loads.sql`."""

    address: str
    source: str
    processing_key: str
    data_hash: str | None
    sha256: str
    document_load_id: int
    etag: str | None
    last_modified: str | None
    covers: bool
    own_build_time: datetime | None
    location_source: str

    def stands_for(self, request: Request) -> bool:
        """Whether the same data in the same document would be no news."""
        return self.covers and self.address == request.address and self.processing_key == request.rules.key

    def validators(self, request: Request, source: str) -> Validators:
        """What may be sent, so that an answer of 304 hides nothing."""
        if self.stands_for(request) and self.source == source:
            return Validators(self.etag, self.last_modified)
        return NOTHING_KNOWN


@dataclass(frozen=True, slots=True)
class Ready:
    """A document with news: sound, flattened, rendered for COPY."""

    request: Request
    content: Content
    build_time: datetime


@dataclass(frozen=True, slots=True)
class Settled:
    """A document that will not be loaded, with what it shows all the same; `days` as of `ContractError`."""

    request: Request
    outcome: Outcome
    reason: str = ""
    received: Received | None = None
    seen: Seen | None = None
    days: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preparer:
    """Prepares documents; used by many threads at once."""

    source: Source
    last_loads: Mapping[str, LastLoad]
    force: bool
    deadline: float
    today: date

    def prepare(self, request: Request) -> Ready | Settled:
        """One document, as far as it comes; no failure of source or contract is raised."""
        if request.is_skipped:
            return Settled(request, Outcome.SKIPPED)
        try:
            if time.monotonic() > self.deadline:
                raise DocumentError(f"not asked for: the run took more than {RUN_SECONDS} s")
            last = None if self.force else self.last_loads.get(request.address)
            known = last.validators(request, self.source.name) if last else NOTHING_KNOWN
            received = self.source.fetch(request.address, known)
        except NotModified:
            return Settled(request, Outcome.NOT_MODIFIED)
        except Missing:
            outcome = Outcome.NOT_PUBLISHED if request.day else Outcome.FAILED
            return Settled(request, outcome, "not found (404)")
        except DocumentError as error:
            return Settled(request, Outcome.FAILED, str(error))
        if last and last.sha256 == received.sha256 and last.stands_for(request):
            return Settled(request, Outcome.UNCHANGED, received=received)
        return self._decode(request, received, last)

    def _decode(self, request: Request, received: Received, last: LastLoad | None) -> Ready | Settled:
        try:
            document = contract.decode(received.body, request.expected)
            build_time = document.meta.build_time
            if last and last.data_hash == document.data_hash and last.stands_for(request):
                seen = _seen(request, document)
                return Settled(request, Outcome.UNCHANGED, received=received, seen=seen)
            if last and last.own_build_time and build_time < last.own_build_time:
                return Settled(request, Outcome.STALE, f"built {build_time}, before the one loaded")
            return Ready(request, flatten(request, received, document, self.today), build_time)
        except DocumentError as error:
            return Settled(request, Outcome.FAILED, str(error))
        except ContractError as error:
            return rejected(request, received, error)


def rejected(request: Request, received: Received, error: ContractError) -> Settled:
    """A document that broke the contract, with the drift that it shows."""
    location = request.location
    changes = error.changes if isinstance(error, DepartureError) else None
    seen = None if changes is None else Seen(location.shape.name, location.code, None, changes)
    return Settled(request, Outcome.REJECTED, str(error), received, seen, error.days)


def _seen(request: Request, document: Document) -> Seen:
    return Seen(
        request.location.shape.name,
        request.location.code,
        document.meta.build_time,
        document.changes,
        document.meta.field_definitions,
    )


def flatten(request: Request, received: Received, document: Document, today: date) -> Content:
    """The rows of what is wanted of a document, checked and rendered for COPY; raises `ContractError`."""
    location = request.location
    rows = transform(document.reports, location.shape, request.first_day, request.last_day)
    findings = checks.check(rows, location.shape, location.population, today)
    staged = {table: stage(table, columns(table, location.shape), rows[table]) for table in rows}
    empty = checks.empty_metrics(rows, location.shape)
    return Content(received, document.data_hash, staged, _seen(request, document), findings, empty)


def prepare_ahead(preparer: Preparer, requests: list[Request], jobs: int) -> Iterator[Ready | Settled]:
    """The requests prepared by `jobs` threads, in order, with at most one more than that in memory."""
    waiting: deque[Future[Ready | Settled]] = deque()
    executor = ThreadPoolExecutor(jobs)
    usual = sys.getswitchinterval()
    # Else the thread that talks to the database waits up to 5 ms after each of its many short statements.
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        for request in requests:
            waiting.append(executor.submit(preparer.prepare, request))
            if len(waiting) > jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        sys.setswitchinterval(usual)
        executor.shutdown(wait=False, cancel_futures=True)
