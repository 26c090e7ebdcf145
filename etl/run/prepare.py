"""The steps of a document before the database: it is fetched, decoded, compared and flattened."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import date
from threading import Lock
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from etl.errors import ContractError, DocumentError, ExitCode, Outcome, as_usage_error
from etl.extract.source import Missing, NotModified, Received, Source
from etl.load.document import Payload
from etl.load.drift_record import RecordedChange
from etl.load.request import LastLoad, PackedDays, Request
from etl.transform import bounds, contract
from etl.transform.contract import Document
from etl.transform.departures import DepartureError
from etl.transform.drift import Observation
from etl.transform.news import Known, news_of

RUN_SECONDS = 3600
SWITCH_SECONDS = 0.0002
# The number of mallopt's parameter in malloc.h, and the size of a large block; an ordinary document is smaller.
MMAP_THRESHOLD, LARGE_BLOCK = -3, 4 * 2**20
# The documents behind one that keeps them waiting for so long go first.
PATIENCE_SECONDS = 0.2
T = TypeVar("T")


class Verdict(Struct, frozen=True):
    """The outcome of a document, with the reason and what it shows.

    `days` are those of a `ContractError`; `drift` holds the changes that were recorded of the document.
    """

    outcome: Outcome
    reason: str = ""
    code: ExitCode = ExitCode.SOURCE
    received: Received | None = None
    observation: Observation | None = None
    days: tuple[str, ...] = ()
    drift: Sequence[RecordedChange] = ()


class Preparer(Struct, frozen=True):
    """Prepares documents of a source; many threads use it at once.

    `today` is the newest day that a report can have, `deadline` a time of `time.monotonic()`.
    """

    source: Source
    last_loads: Mapping[str, LastLoad]
    known_days: Mapping[str, PackedDays]
    force: bool
    deadline: float
    today: date
    # Documents are decoded one at a time: a large one takes much memory, and more threads would not be faster.
    _decoding: Lock = field(default_factory=Lock)

    def prepare(self, request: Request) -> Payload | Verdict:
        """The payload of a document that is to be loaded, or the verdict on one that is not."""
        if request.is_skipped:
            return Verdict(Outcome.SKIPPED)
        last = None if self.force else self.last_loads.get(request.address)
        try:
            received = self._fetch(request, last)
        except NotModified:
            return Verdict(Outcome.NOT_MODIFIED)
        except Missing:
            return Verdict(Outcome.NOT_PUBLISHED if request.day else Outcome.FAILED, "not found (404)")
        if last and last.sha256 == received.sha256 and last.is_no_news:
            return Verdict(Outcome.UNCHANGED, received=received)
        with self._decoding:
            return self._decode(request, received, last)

    def _fetch(self, request: Request, last: LastLoad | None) -> Received:
        if time.monotonic() > self.deadline:
            raise DocumentError(f"not asked for: the run took more than {RUN_SECONDS} s")
        return self.source.fetch(request.address, request.validators(last))

    def _decode(self, request: Request, received: Received, last: LastLoad | None) -> Payload | Verdict:
        try:
            known = request.known(self.known_days[request.address])
            if self.force:
                known = known.without_digests()
            document = contract.decode(received.body, request.expected, known)
            if last and last.data_hash == document.data_hash and last.is_no_news:
                return Verdict(Outcome.UNCHANGED, received=received, observation=_observation(request, document))
            build_time = document.meta.build_time
            if last and last.own_build_time and build_time < last.own_build_time:
                return Verdict(Outcome.STALE, f"built {build_time}, before the one loaded")
            payload = make_payload(request, received, document, known, self.today)
            both_fit = not document.changes and known.has_all_digests
            return replace(payload, may_be_same=bool(last and last.is_no_news and both_fit))
        except ContractError as error:
            return rejection(request, received, error)


def decode_stored(request: Request, received: Received, known: Known, today: date) -> Payload:
    """The payload of a stored document under today's rules; raises as `contract.decode` and `make_payload` do."""
    return make_payload(request, received, contract.decode(received.body, request.expected, known), known, today)


def make_payload(request: Request, received: Received, document: Document, known: Known, today: date) -> Payload:
    """The payload of a document: its news and its findings, on the wanted days; raises `ContractError`.

    The decompressed body is let go, since the payload may wait long for the database.
    """
    location = request.location
    reports = [report for report in document.reports if request.first_day <= report.date <= request.last_day]
    findings = bounds.findings(reports, location.shape, location.population, today)
    news = news_of(reports, document.same_days, document.digests, location.shape, known)
    return Payload(replace(received, kept=None), document.data_hash, news, _observation(request, document), findings)


def rejection(request: Request, received: Received, error: ContractError) -> Verdict:
    """The verdict on a document that broke the contract, with the changes that it shows."""
    location = request.location
    observation = None
    if isinstance(error, DepartureError):
        observation = Observation(location.shape.name, location.code, None, error.changes)
    kept = replace(received, kept=None)
    return Verdict(Outcome.REJECTED, str(error), error.exit_code, kept, observation, error.days)


def _observation(request: Request, document: Document) -> Observation:
    location, meta = request.location, document.meta
    return Observation(location.shape.name, location.code, meta.build_time, document.changes, meta.field_definitions)


def prepare_ahead(
    prepare: Callable[[Request], T], requests: Sequence[Request], jobs: int
) -> Iterator[tuple[Request, "Future[T]"]]:
    """The requests, prepared by `jobs` threads; at most `jobs` documents, and one more, are in memory.

    They come in their order, but a request that keeps the others waiting comes later.
    """
    waiting: deque[tuple[Request, Future[T]]] = deque()
    late: set[Future[T]] = set()
    executor = ThreadPoolExecutor(jobs)
    _give_back_large_blocks()
    usual = sys.getswitchinterval()
    # By default the thread that uses the database waits up to 5 ms after each of its many short statements.
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        for request in requests:
            with as_usage_error("no thread can be started", "lower --jobs", RuntimeError):
                waiting.append((request, executor.submit(prepare, request)))
            if len(waiting) > jobs:
                yield _next(waiting, late)
        while waiting:
            yield _next(waiting, late)
    finally:
        sys.setswitchinterval(usual)
        executor.shutdown(wait=False, cancel_futures=True)


def _give_back_large_blocks() -> None:
    """Makes glibc's allocator return a large block to the system as soon as it is freed; other allocators stay as is.

    By default glibc keeps ever larger blocks, in each thread: a run would hold the memory of its largest documents.
    """
    import ctypes

    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, LARGE_BLOCK)


def _next(waiting: "deque[tuple[Request, Future[T]]]", late: "set[Future[T]]") -> tuple[Request, "Future[T]"]:
    """Takes out the first request; if its document is late, the first request whose document is there."""
    oldest = waiting[0][1]
    if wait([oldest], 0 if oldest in late else PATIENCE_SECONDS).not_done:
        late.add(oldest)
    wait([future for _, future in waiting], return_when=FIRST_COMPLETED)
    while not waiting[0][1].done():
        waiting.rotate(-1)
    return waiting.popleft()
