"""Everything that can be done with a document before the database sees it: fetch, decode, compare, flatten."""

import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime

from etl import contract
from etl.contract import Document, Expected, NotJsonError
from etl.declaration import processing_key
from etl.errors import ContractError
from etl.extract import FetchError, Missing, Received, Source
from etl.load import Content, stage
from etl.locations import Location
from etl.runs import Outcome
from etl.transform import columns, transform

RUN_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Request:
    """One document to ask for (a history, or the single `day`), and the days wanted of it."""

    location: Location
    day: date | None
    first_day: date
    last_day: date

    @property
    def address(self) -> str:
        """Where it is below the source."""
        return self.location.address(self.day)


@dataclass(frozen=True, slots=True)
class LastLoad:
    """What was loaded last for the days of a request; a row of `sql/load/latest_loads.sql`."""

    address: str
    source: str
    processing_key: str
    data_hash: str
    covers: bool
    own_build_time: datetime | None


@dataclass(frozen=True, slots=True)
class Ready:
    """A document with news: sound, flattened, rendered for COPY."""

    request: Request
    content: Content
    build_time: datetime
    new_paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """A document that will not be loaded; a rejected one comes with its bytes, to be kept."""

    request: Request
    outcome: Outcome
    reason: str = ""
    received: Received | None = None


@dataclass(frozen=True, slots=True)
class Preparer:
    """Prepares documents; used by many threads at once."""

    source: Source
    last_loads: Mapping[str, LastLoad]
    force: bool
    deadline: float

    def prepare(self, request: Request) -> Ready | Settled:
        """One document, as far as it comes; no failure of source or contract is raised."""
        try:
            if time.monotonic() > self.deadline:
                raise FetchError(f"not asked for: the run took more than {RUN_SECONDS} s")
            received = self.source.fetch(request.address)
        except Missing:
            outcome = Outcome.NOT_PUBLISHED if request.day else Outcome.FAILED
            return Settled(request, outcome, "not found (404)")
        except FetchError as error:
            return Settled(request, Outcome.FAILED, str(error))
        try:
            expected = Expected(request.location.shape, request.location.code, request.day)
            document = contract.decode(received.body, expected)
        except NotJsonError as error:
            return Settled(request, Outcome.FAILED, f"no JSON: {error}")
        except ContractError as error:
            return Settled(request, Outcome.REJECTED, str(error), received)
        return self._flatten(request, received, document)

    def _flatten(self, request: Request, received: Received, document: Document) -> Ready | Settled:
        last = self.last_loads.get(request.address)
        if last and not self.force:
            if _is_unchanged(request, document, last):
                return Settled(request, Outcome.UNCHANGED)
            if last.own_build_time and document.meta.build_time < last.own_build_time:
                return Settled(request, Outcome.STALE, f"built {document.meta.build_time}, before the one loaded")
        shape = request.location.shape
        rows = transform(document.reports, shape, request.first_day, request.last_day)
        staged = {table: stage(table, columns(table, shape), rows[table]) for table in rows}
        content = Content(received, document.data_hash, staged)
        return Ready(request, content, document.meta.build_time, document.unknown_paths)


def _is_unchanged(request: Request, document: Document, last: LastLoad) -> bool:
    return (
        last.covers
        and last.address == request.address
        and last.data_hash == document.data_hash
        and last.processing_key == processing_key()
    )


def prepare_ahead(preparer: Preparer, requests: list[Request], jobs: int) -> Iterator[Ready | Settled]:
    """The requests prepared by `jobs` threads, in order, with at most one more than that in memory."""
    waiting: deque[Future[Ready | Settled]] = deque()
    executor = ThreadPoolExecutor(jobs)
    try:
        for request in requests:
            waiting.append(executor.submit(preparer.prepare, request))
            if len(waiting) > jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
