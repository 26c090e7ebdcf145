"""Drops stored bytes that are old, and says what a replay loses by that."""

from msgspec import Struct

from etl.database.connection import Connection, fetch_all, read_sql, transaction


class Pruned(Struct, frozen=True):
    """The numbers of documents and bytes that were dropped, and the locations that can no longer be replayed.

    `lost` maps the code of such a location to the time before which a replay would lose its revisions.
    """

    documents: int
    size_bytes: int
    lost: dict[str, str]


def prune(conn: Connection, older_than_days: int) -> Pruned:
    """Drops the bytes of documents older than so many days; `sql/prune/old_bytes.sql` says which ones stay."""
    with transaction(conn):
        sizes = [size for (size,) in fetch_all(conn, read_sql("prune/old_bytes.sql"), {"days": older_than_days})]
        lost = dict(fetch_all(conn, read_sql("prune/lost_replay.sql")))
    return Pruned(len(sizes), sum(sizes), lost)
