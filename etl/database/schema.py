"""The schema, made of the files of `sql/ddl`, each applied once and in order, and then those of `sql/views`.

Only new files change tables: a file of `sql/ddl` that differs from the one applied is an error. Views and functions
are `create or replace`, and are applied again when their file or the tables change.
"""

import hashlib
from pathlib import Path

from etl.database.connection import SQL, Connection, execute, fetch_all, fetch_one, transaction
from etl.errors import StatementError, UsageError, as_usage_error
from etl.logs import log

FOLDERS = ("ddl", VIEWS := "views")


def files() -> dict[str, Path]:
    """The files that make the schema, by their name below `sql/`, in the order in which they apply."""
    return {f"{folder}/{path.name}": path for folder in FOLDERS for path in sorted((SQL / folder).glob("*.sql"))}


def upgrade(conn: Connection) -> list[str]:
    """Applies the files that are missing and returns their names; the caller holds the run lock.

    Raises `UsageError` if the schema is newer than this program, or differs from its files.
    """
    waiting = missing(conn)
    for name in waiting:
        _apply(conn, name, files()[name].read_text(encoding="utf-8"))
        log.info("schema file applied", extra={"file": name})
    return waiting


def missing(conn: Connection) -> list[str]:
    """The files that are to be applied; raises as `upgrade` does."""
    applied = _applied(conn)
    shipped = {name: _checksum(path.read_text(encoding="utf-8")) for name, path in files().items()}
    if unknown := sorted(applied.keys() - shipped.keys()):
        raise UsageError(
            f"the schema was made by a newer version of this program (it has {unknown[-1]}): upgrade the program"
        )
    waiting = {name for name, checksum in shipped.items() if applied.get(name) != checksum}
    tables = sorted(name for name in waiting if not name.startswith(VIEWS))
    if changed := [name for name in tables if name in applied]:
        raise UsageError(
            f"sql/{changed[0]} has changed since it was applied here: restore the file, and make changes in a new one"
        )
    # A view has the columns that its tables had when it was applied.
    return [name for name in shipped if name in waiting or (tables and name.startswith(VIEWS))]


def require(conn: Connection) -> None:
    """Raises `UsageError` unless the schema is there and up to date."""
    if missing(conn):
        raise UsageError("the schema is not there or not up to date: run `main.py load` or `main.py init-db` first")


def _applied(conn: Connection) -> dict[str, str]:
    if fetch_one(conn, "select to_regclass('ops.migration') is null")[0]:
        return {}
    return dict(fetch_all(conn, "select file, checksum from ops.migration order by file"))


def _apply(conn: Connection, name: str, text: str) -> None:
    """Runs one file and records it, in one transaction."""
    advice = "if the tables here were not made by this program, use an empty database"
    try:
        with as_usage_error(f"sql/{name} cannot be applied", advice, StatementError), transaction(conn):
            execute(conn, text)
            execute(
                conn,
                "insert into ops.migration (file, checksum) values (%s, %s) on conflict (file)"
                " do update set checksum = excluded.checksum, applied_at = excluded.applied_at",
                (name, _checksum(text)),
            )
    finally:
        for notice in conn.notices:
            log.warning("notice from the database", extra={"notice": notice.strip()})
        conn.notices.clear()


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
