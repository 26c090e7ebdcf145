"""The events of `ops.document_load`, and the contents of `ops.document` that they have brought."""

from datetime import date, datetime

from msgspec import Struct, field
from msgspec.structs import asdict

from etl.database.connection import Connection, execute, fetch_all, fetch_one, read_sql, rows_of
from etl.extract.source import NOTHING_KNOWN, Received, Validators, take_in
from etl.transform.declaration import FIRST_DAY, LAST_DAY

REVISED = "revised"
SOURCE_CHANGED = "source_changed"


class Event(Struct, frozen=True):
    """A row of `ops.document_load`: a content that became known, its origin, its run, and what became of it.

    It speaks of the days from `first_day` to `last_day` without `skipped_days`. `location_id` is None for
    `states.json`. `change` is the mark of the rows that it supersedes, in the history: `revised` or `source_changed`.
    """

    run_id: int
    document_id: int
    known_at: datetime
    source: str
    address: str
    location_id: int | None
    first_day: date
    last_day: date
    processing_key: str
    skipped_days: list[date] = field(default_factory=list)
    build_time: datetime | None = None
    validators: Validators = NOTHING_KNOWN
    change: str = REVISED
    outcome: str = "loaded"
    reason: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it speaks of all days."""
        return (self.first_day, self.last_day) == (FIRST_DAY, LAST_DAY)


def instant(moment: datetime) -> str:
    """A time as text; the database gives all times in UTC."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def next_known_at(conn: Connection) -> datetime:
    """The `known_at` of the next event: the time of the clock, but always later than that of every earlier event.

    A tombstone begins and ends at such a time too, so that a replay finds each event on the same side of it.
    """
    query = """
        select greatest(
            clock_timestamp(),
            (select max(known_at) from ops.document_load) + interval '1 microsecond',
            (select max(greatest(created_at, undone_at)) from ops.tombstone) + interval '1 microsecond'
        )
    """
    known_at: datetime = fetch_one(conn, query)[0]
    return known_at


def keep(conn: Connection, received: Received, data_hash: str | None) -> int:
    """Stores a content if it is new, and returns its number."""
    values = {
        "sha256": received.sha256,
        "data_hash": data_hash,
        "body": received.compressed,
        "size_bytes": received.size,
    }
    return int(fetch_one(conn, read_sql("load/keep_document.sql"), values)[0])


def record(conn: Connection, event: Event, changed_rows: int = 0) -> None:
    """Writes an event."""
    execute(
        conn,
        """
        insert into ops.document_load (
            run_id, document_id, source, address, location_id, first_day, last_day,
            outcome, reason, known_at, build_time, processing_key, etag, last_modified, changed_rows
        ) values (
            %(run_id)s, %(document_id)s, %(source)s, %(address)s, %(location_id)s, %(first_day)s,
            %(last_day)s, %(outcome)s, %(reason)s, %(known_at)s, %(build_time)s, %(processing_key)s,
            %(etag)s, %(last_modified)s, %(changed_rows)s
        )
        """,
        asdict(event) | asdict(event.validators) | {"changed_rows": changed_rows},
    )


def renew_validators(conn: Connection, document_load_id: int, validators: Validators) -> None:
    """Notes the validators of another file with the data of an event."""
    execute(
        conn,
        "update ops.document_load set etag = %(etag)s, last_modified = %(last_modified)s"
        " where document_load_id = %(document_load_id)s"
        " and (etag, last_modified) is distinct from (%(etag)s::text, %(last_modified)s::text)",
        asdict(validators) | {"document_load_id": document_load_id},
    )


def is_loaded_from(conn: Connection, source: str) -> bool:
    """Whether any document of a source was ever loaded."""
    query = "select exists (select from ops.document_load where source = %s and outcome = 'loaded')"
    return bool(fetch_one(conn, query, (source,))[0])


# --- stored documents ---


class StoredEvent(Event, frozen=True, kw_only=True):
    """An event whose document can be read again: a row of `sql/replay/events.sql`."""

    document_load_id: int
    location_code: str
    is_pruned: bool
    is_overtaken: bool


def replayable(conn: Connection, location_ids: list[int]) -> list[StoredEvent]:
    """The events that a replay of some locations merges, in their order, with those that an earlier one refused."""
    values = {"outcomes": ["loaded", "refused"], "location_ids": location_ids}
    return rows_of(conn, StoredEvent, read_sql("replay/events.sql"), values)


def open_rejections(conn: Connection) -> list[StoredEvent]:
    """The rejected documents that are open, oldest first."""
    values = {"outcomes": ["rejected"], "location_ids": None}
    return rows_of(conn, StoredEvent, read_sql("replay/events.sql"), values)


def stored_document(conn: Connection, document_id: int) -> Received:
    """The bytes of a content, which must not have been pruned."""
    (compressed,) = fetch_one(conn, "select body from ops.document where document_id = %s", (document_id,))
    return take_in([bytes(compressed)], packed=True)


def refuse(conn: Connection, document_load_id: int, reason: str | None) -> None:
    """Marks an event as refused under today's rules for a reason; without a reason, as loaded again."""
    execute(
        conn,
        "update ops.document_load set outcome = %(outcome)s, reason = %(reason)s"
        " where document_load_id = %(id)s and (outcome, reason) is distinct from (%(outcome)s, %(reason)s)",
        {"id": document_load_id, "outcome": "refused" if reason else "loaded", "reason": reason},
    )


# --- rejected documents ---


def is_rejected_last(conn: Connection, address: str, document_id: int) -> bool:
    """Whether the last open event of an address is the rejection of this content."""
    query = (
        "select outcome, document_id from ops.document_load where address = %s and closed_at is null"
        " order by document_load_id desc limit 1"
    )
    return fetch_all(conn, query, (address,)) == [("rejected", document_id)]


def close_rejection(conn: Connection, document_load_id: int) -> None:
    """Closes one rejected document, which was loaded or passed over after all."""
    query = "update ops.document_load set closed_at = clock_timestamp() where document_load_id = %s"
    execute(conn, query, (document_load_id,))


def close_rejections(conn: Connection, location_id: int, first_day: date, last_day: date) -> None:
    """Closes the rejected documents of a location that speak of no other days than these."""
    execute(
        conn,
        "update ops.document_load set closed_at = clock_timestamp() where outcome = 'rejected' and closed_at is null"
        " and location_id = %s and first_day >= %s and last_day <= %s",
        (location_id, first_day, last_day),
    )
