"""The rules that people add in the database: aliases and tombstones, and the key that changes with them.

By an alias, a published path stands for one that we read. By a tombstone, a report or a location is passed over.
"""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from msgspec import Struct

from etl.config import command
from etl.database.connection import Connection, execute, fetch_all, read_sql, rows_of, transaction
from etl.errors import UsageError
from etl.load import events, locations
from etl.load.events import instant
from etl.transform.declaration import FIRST_DAY, LAST_DAY, processing_key
from etl.transform.drift import Alias
from etl.transform.locations import Location


class Tombstone(Struct, frozen=True):
    """A report that loads from `since` until `until` pass over; without a day, all reports of a location."""

    tombstone_id: int
    location_id: int
    location: str
    day: date | None
    reason: str
    since: datetime
    until: datetime | None

    def holds(self, at: datetime | None = None) -> bool:
        """Whether it held for a load that became known at a time; without a time, whether it holds now."""
        if at is None:
            return self.until is None
        return self.since <= at and (self.until is None or at < self.until)

    def __str__(self) -> str:
        until = f", undone {instant(self.until)}" if self.until else ""
        place = f"{self.location} {self.day or 'all days'}"
        return f"{self.tombstone_id}: {place} since {instant(self.since)}{until}: {self.reason}"

    def as_json(self) -> dict[str, Any]:
        """The tombstone as `skip --list --json` prints it."""
        return {
            "tombstone_id": self.tombstone_id,
            "location": self.location,
            "date": self.day and str(self.day),
            "reason": self.reason,
            "since": instant(self.since),
            "until": self.until and instant(self.until),
        }


class LocationRules(Struct, frozen=True):
    """The rules for the documents of a location, and the `key` of these rules: other rules have another.

    `whole` is the tombstone of the whole location, if it has one.
    """

    aliases: tuple[Alias, ...]
    whole: Tombstone | None
    skipped_days: frozenset[date]
    key: str


class Rules(Struct, frozen=True):
    """All rules of a database: aliases, the newest first, and tombstones, also those undone.

    The key of an alias is the kind of endpoint and the location's code, or None for all locations of the kind.
    """

    aliases: Mapping[tuple[str, str | None], tuple[Alias, ...]]
    tombstones: tuple[Tombstone, ...]

    def of(self, location: Location, at: datetime | None = None) -> LocationRules:
        """The rules for a location, with the tombstones that hold now, or that held for a load known `at` a time."""
        kind = location.shape.name
        aliases = self.aliases.get((kind, None), ()) + self.aliases.get((kind, location.code), ())
        here = [tombstone for tombstone in self.tombstones if tombstone.location_id == location.location_id]
        held = {tombstone.day: tombstone for tombstone in here if tombstone.holds(at)}
        days = frozenset(day for day in held if day)
        # The tombstone of a whole location changes none of its loaded documents, so it is not in the key.
        return LocationRules(aliases, held.get(None), days, _key(aliases, days))


def _key(aliases: tuple[Alias, ...], days: frozenset[date]) -> str:
    """The key of the rules: the processing key alone, or a hash of it with aliases and skipped days."""
    if not aliases and not days:
        return processing_key()
    return hashlib.sha256(repr((processing_key(), aliases, sorted(days))).encode()).hexdigest()


def read(conn: Connection) -> Rules:
    """The rules of a database."""
    aliases: dict[tuple[str, str | None], tuple[Alias, ...]] = {}
    # The newest first: the name that was accepted last is the one that is published now.
    query = (
        "select endpoint_kind, location_code, path, published from ops.alias"
        " where undone_at is null order by alias_id desc"
    )
    for kind, code, path, published in fetch_all(conn, query):
        aliases[kind, code] = (*aliases.get((kind, code), ()), Alias(path, published))
    return Rules(aliases, tuple(tombstones(conn)))


# --- tombstones ---


def tombstones(conn: Connection) -> list[Tombstone]:
    """Every tombstone, also those undone."""
    return rows_of(conn, Tombstone, read_sql("rules/tombstones.sql"))


def skip(conn: Connection, code: str, days: list[date], reason: str) -> list[Tombstone]:
    """Passes over some days of a location, or over all of them if none is given.

    Returns the tombstones that hold for these days; a day that was passed over before keeps its own. The loaded
    figures stay. Raises `UsageError` unless `code` names one location. The caller holds the run lock.
    """
    location, *more = locations.choose(conn, code, "LOCATION")
    if more:
        raise UsageError(f"skip passes over one location at a time, such as ca; {code} names {len(more) + 1}")
    wanted: list[date | None] = [*days] or [None]
    with transaction(conn):
        known_at = events.next_known_at(conn)
        for day in wanted:
            values = {"location_id": location.location_id, "day": day, "reason": reason, "since": known_at}
            execute(conn, _ADD, values)
            events.close_rejections(conn, location.location_id, day or FIRST_DAY, day or LAST_DAY)
    here = [held for held in tombstones(conn) if held.location_id == location.location_id]
    return [held for held in here if held.holds() and held.day in wanted]


_ADD = """
    insert into ops.tombstone (location_id, report_date, reason, created_at)
    values (%(location_id)s, %(day)s, %(reason)s, %(since)s)
    on conflict do nothing
"""


def undo(conn: Connection, tombstone_id: int) -> tuple[Tombstone, list[Tombstone]]:
    """Ends a tombstone; returns it, and the others that still pass over some of its reports.

    Raises `UsageError` if no such tombstone holds. The caller holds the run lock.
    """
    ended = execute(
        conn,
        "update ops.tombstone set undone_at = %s where tombstone_id = %s and undone_at is null",
        (events.next_known_at(conn), tombstone_id),
    )
    if not ended:
        raise UsageError(f"no tombstone {tombstone_id} holds; `{command('skip --list')}` lists those that do")
    known = tombstones(conn)
    (undone,) = (tombstone for tombstone in known if tombstone.tombstone_id == tombstone_id)
    here = [other for other in known if other.location_id == undone.location_id and other.holds()]
    return undone, [other for other in here if other.day is None or undone.day is None]
