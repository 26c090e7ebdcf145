"""Dropping stored bytes that are old, and saying what a replay loses by it."""

from dataclasses import dataclass

from etl.database.connection import Connection, fetch_all, read_sql, transaction


@dataclass(frozen=True, slots=True)
class Pruned:
    """The documents and bytes that were dropped, and the locations that can no longer be replayed.

    `lost` has the time before which the revisions of such a location are lost, by its code.
    """

    documents: int
    size_bytes: int
    lost: dict[str, str]


def prune(conn: Connection, older_than_days: int) -> Pruned:
    """Drops the bytes of documents received longer ago, but for the last whole one of each address."""
    with transaction(conn):
        sizes = [size for (size,) in fetch_all(conn, read_sql("prune/old_bytes.sql"), {"days": older_than_days})]
        lost = dict(fetch_all(conn, read_sql("prune/lost_replay.sql")))
    return Pruned(len(sizes), sum(sizes), lost)
