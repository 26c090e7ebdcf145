"""Rebuilds the star and its history from the stored bytes, under today's rules; drops bytes that are old."""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from psycopg2 import sql

from etl.database.connection import Connection, fetch_all, fetch_one, read_sql, transaction
from etl.errors import ContractError, DatabaseError, ExitCode
from etl.extract.http import Received, history_of
from etl.load import locations, rules
from etl.load.document import Loader, RowCounts
from etl.load.drift_record import DriftLog
from etl.load.findings import FindingLog
from etl.load.locations import Location
from etl.load.rules import LocationRules
from etl.logs import get_logger
from etl.run.prepare import Request, flatten
from etl.transform import contract
from etl.transform.declaration import TABLES

EVENT = (
    "document_load_id", "run_id", "document_id", "address", "location_id", "first_day", "last_day",
    "known_at", "build_time", "change", "is_pruned",
)  # fmt: skip

log = get_logger()


@dataclass(slots=True)
class Replayed:
    """What a replay did."""

    documents: int = 0
    rejected: list[dict[str, str]] = field(default_factory=list)
    rows: dict[str, RowCounts] = field(default_factory=lambda: {table: RowCounts() for table in TABLES})

    @property
    def exit_code(self) -> ExitCode:
        """5 where a document that was loaded before breaks today's contract."""
        return ExitCode.REJECTED if self.rejected else ExitCode.OK

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "exit_code": int(self.exit_code),
            "documents": self.documents,
            "rejected": self.rejected,
            "rows": {table: asdict(counts) for table, counts in self.rows.items()},
        }


def replay(conn: Connection, selection: str, progress: Callable[[int, int, int], None]) -> Replayed:
    """Walks the loads of the selected locations again; the caller holds the run lock.

    One transaction, with `delete` and not `truncate`: readers see the old star until it commits. Raises
    `DatabaseError` if bytes that it needs were pruned.
    """
    chosen = {location.location_id: location for location in locations.choose(conn, selection)}
    ids = {"location_ids": list(chosen)}
    events = [dict(zip(EVENT, row, strict=True)) for row in fetch_all(conn, read_sql("replay/events.sql"), ids)]
    if pruned := sum(event["is_pruned"] for event in events):
        raise DatabaseError(
            f"the bytes of {pruned} documents were pruned: a replay would lose what they revised; "
            "choose other locations with --locations"
        )
    known_rules, done = rules.read(conn), Replayed()
    loader = Loader(
        conn, DriftLog(conn, 0, known_rules.aliases), FindingLog(conn), dry_run=False, allow_withdrawals=True
    )
    with transaction(conn):
        _clear(conn, list(chosen))
        for event in events:
            location = chosen[event["location_id"]]
            _load_again(
                loader, event, stored_request(event, location, known_rules.of(location, event["known_at"])), done
            )
            progress(done.documents + len(done.rejected), len(events), sum(n.inserted for n in done.rows.values()))
    return done


def _clear(conn: Connection, location_ids: list[int]) -> None:
    with conn.cursor() as cursor:
        for table in TABLES:
            for name in (sql.Identifier("public", table), sql.Identifier("history", f"{table}_revision")):
                delete = sql.SQL("delete from {} where location_id = any(%s)").format(name)
                cursor.execute(delete, (location_ids,))


def stored_request(event: Mapping[str, Any], location: Location, location_rules: LocationRules) -> Request:
    """What was asked for when a stored document came."""
    _, day = history_of(event["address"])
    return Request(
        location, location_rules, date.fromisoformat(day) if day else None, event["first_day"], event["last_day"]
    )


def stored_document(conn: Connection, document_id: int) -> Received:
    """The bytes of a document, which must not have been pruned."""
    compressed, sha256 = fetch_one(
        conn, "select body, sha256 from ops.document where document_id = %s", (document_id,)
    )
    return Received(gzip.decompress(compressed), bytes(compressed), sha256)


def _load_again(loader: Loader, event: dict[str, Any], request: Request, done: Replayed) -> None:
    received = stored_document(loader.conn, event["document_id"])
    try:
        document = contract.decode(received.body, request.expected)
        content = flatten(request, received, document, datetime.now(UTC).date())
    except ContractError as error:
        done.rejected.append({"address": event["address"], "reason": str(error)})
        log.warning("document rejected", extra={"address": event["address"], "reason": str(error)})
        return
    loaded = loader.load_again(event | {"skipped_days": sorted(request.rules.skipped_days)}, content)
    done.documents += 1
    for table, counts in loaded.rows.items():
        done.rows[table].add(counts)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was dropped, and which locations can no longer be replayed (code -> revisions lost before)."""

    documents: int
    size_bytes: int
    lost: dict[str, str]


def prune(conn: Connection, older_than_days: int) -> Pruned:
    """Drops the bytes of documents received longer ago, but for the last whole one of each address."""
    with transaction(conn):
        dropped = fetch_all(conn, read_sql("prune/old_bytes.sql"), {"days": older_than_days})
        lost = dict(fetch_all(conn, read_sql("prune/lost_replay.sql")))
    return Pruned(len(dropped), sum(size for _, size in dropped), lost)
