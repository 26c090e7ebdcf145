"""Tombstones: passing over a report, or a location, whose document would otherwise be rejected time and again."""

import itertools
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from etl.database.connection import Connection, fetch_all, fetch_one, read_sql, transaction
from etl.errors import UsageError
from etl.load import locations
from etl.transform.declaration import FIRST_DAY, LAST_DAY


@dataclass(frozen=True, slots=True)
class Skipped:
    """A tombstone as `skip --list` shows it: a row of `sql/skip/list.sql`."""

    tombstone_id: int
    location: str
    date: str | None
    reason: str
    since: str
    until: str | None

    def __str__(self) -> str:
        until = f", undone {self.until}" if self.until else ""
        return (
            f"{self.tombstone_id}: {self.location} {self.date or 'all days'} since {self.since}{until}: {self.reason}"
        )


def skip(conn: Connection, location: str, days: list[date], reason: str) -> list[Skipped]:
    """Passes over some days of a location (of several: as for `--locations`), or all of it without days.

    What is known of them stays as it is. Raises `UsageError` for an unknown location. The caller holds the run lock.
    """
    try:
        chosen = locations.choose(conn, location)
    except UsageError as error:
        raise UsageError(str(error).replace("--locations", "LOCATION")) from error
    wanted: list[date | None] = [*days] or [None]
    ids: list[int] = []
    with transaction(conn), conn.cursor() as cursor:
        for place, day in itertools.product(chosen, wanted):
            values = {"location_id": place.location_id, "report_date": day, "reason": reason}
            ids += fetch_one(conn, read_sql("skip/add.sql"), values)
            span = {"first_day": day or FIRST_DAY, "last_day": day or LAST_DAY}
            cursor.execute(read_sql("load/close_rejections.sql"), values | span)
    return [each for each in tombstones(conn) if each.tombstone_id in ids]


def undo(conn: Connection, tombstone_id: int) -> Skipped:
    """Ends a tombstone; the next load reads what was passed over. Raises `UsageError` if there is none to end."""
    if not fetch_all(conn, read_sql("skip/undo.sql"), {"tombstone_id": tombstone_id}):
        raise UsageError(f"no tombstone {tombstone_id} holds; `main.py skip --list` lists those that do")
    return next(each for each in tombstones(conn) if each.tombstone_id == tombstone_id)


def tombstones(conn: Connection) -> list[Skipped]:
    """Every tombstone, also those undone."""
    return [Skipped(*row) for row in fetch_all(conn, read_sql("skip/list.sql"))]


def as_json(found: list[Skipped]) -> dict[str, Any]:
    """What `skip --list --json` prints."""
    return {"tombstones": [asdict(each) for each in found]}
