"""Rejected documents: which are open, and loading them after all, once an alias or a tombstone allows it."""

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime

from etl.database.connection import Connection, fetch_all, read_sql
from etl.errors import ContractError, Outcome, UsageError
from etl.load import locations, rules
from etl.load.document import Loader
from etl.load.locations import Location
from etl.run import pipeline
from etl.run import summary as runs
from etl.run.prepare import Ready, Request, Settled, flatten
from etl.run.prepare import rejected as settle_rejected
from etl.run.replay import stored_document, stored_request
from etl.run.summary import Summary, Trouble
from etl.transform import contract
from etl.transform.declaration import FIRST_DAY, LAST_DAY

# The source of a run that reads what is stored.
STORED = "stored"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rejected document that is open: a row of `sql/rejected/open.sql`."""

    document_load_id: int
    document_id: int
    source: str
    address: str
    location_id: int
    first_day: date
    last_day: date
    reason: str
    known_at: str
    is_overtaken: bool
    is_pruned: bool
    location_code: str


def open_rejections(conn: Connection) -> list[Rejection]:
    """The rejected documents that are open, oldest first."""
    return [Rejection(*row) for row in fetch_all(conn, read_sql("rejected/open.sql"))]


def replay_rejected(conn: Connection, wanted: int | None) -> Summary:
    """Loads the open rejected documents (or the `wanted` one) under today's rules, in their order.

    What a later document has overtaken is left: it would bring back what was believed before. Raises `UsageError`
    where no rejected document has the wanted number. The caller holds the run lock.
    """
    chosen = [each for each in open_rejections(conn) if wanted in (None, each.document_load_id)]
    if wanted and not chosen:
        raise UsageError(f"no rejected document {wanted} is open; `main.py status` lists those that are")
    summary = Summary(STORED, FIRST_DAY, LAST_DAY, "all", requested=len(chosen))
    runs.close_abandoned(conn)
    with pipeline.recorded(conn, summary):
        known_rules = rules.read(conn)
        loader = pipeline.make_loader(conn, summary, known_rules)
        places = {each.location_id: each for each in locations.choose(conn, "all")}
        for rejection in chosen:
            _try_again(loader, rejection, places[rejection.location_id], known_rules, summary)
    return summary


def _try_again(
    loader: Loader, rejection: Rejection, location: Location, known_rules: rules.Rules, summary: Summary
) -> None:
    request = stored_request(asdict(rejection), location, known_rules.of(location))
    settled = _prepare(loader.conn, rejection, request)
    if isinstance(settled, Ready):
        last = pipeline.latest_loads(loader.conn, [request]).get(request.address)
        settled = pipeline.load_one(loader, settled, last, summary, rejection.source)
    if settled.outcome in (Outcome.LOADED, Outcome.SKIPPED):
        _close(loader.conn, rejection)
    summary.count(settled.outcome, Trouble(location.code, request.day, settled.reason, settled.days))


def _prepare(conn: Connection, rejection: Rejection, request: Request) -> Ready | Settled:
    if request.is_skipped:
        return Settled(request, Outcome.SKIPPED)
    if rejection.is_overtaken:
        return Settled(request, Outcome.STALE, "a later document has overtaken it in part")
    if rejection.is_pruned:
        return Settled(request, Outcome.FAILED, "its bytes were pruned")
    received = stored_document(conn, rejection.document_id)
    try:
        document = contract.decode(received.body, request.expected)
        content = flatten(request, received, document, datetime.now(UTC).date())
        return Ready(request, content, document.meta.build_time)
    except ContractError as error:
        return settle_rejected(request, received, error)


def _close(conn: Connection, rejection: Rejection) -> None:
    with conn.cursor() as cursor:
        cursor.execute(
            "update ops.document_load set closed_at = clock_timestamp() where document_load_id = %s",
            (rejection.document_load_id,),
        )
