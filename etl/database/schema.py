"""The schema: applies the files of `sql/ddl` once each, in order, and then those of `sql/views`.

Tables change only by new files: an applied file of `sql/ddl` that has changed since is an error. Views and functions
are `create or replace`, and follow their file and the tables.
"""

import hashlib
from pathlib import Path

from psycopg2 import errors

from etl.database.connection import SQL, Connection, fetch_all, fetch_one, transaction
from etl.errors import DatabaseError
from etl.logs import get_logger

FOLDERS = ("ddl", VIEWS := "views")

log = get_logger()


def files() -> dict[str, Path]:
    """The files that make the schema, by their name below `sql/`, in the order in which they apply."""
    return {f"{folder}/{path.name}": path for folder in FOLDERS for path in sorted((SQL / folder).glob("*.sql"))}


def upgrade(conn: Connection) -> list[str]:
    """Applies the files that are missing and returns their names; the caller holds the run lock.

    Raises `DatabaseError` if the schema is newer than this program, or not of its files.
    """
    waiting = missing(conn)
    for name in waiting:
        _apply(conn, name, files()[name].read_text(encoding="utf-8"))
        log.info("schema file applied", extra={"file": name})
    return waiting


def missing(conn: Connection) -> list[str]:
    """The files not applied yet, or changed since where they may, after checking those that are."""
    applied = _applied(conn)
    shipped = {name: _checksum(path.read_text(encoding="utf-8")) for name, path in files().items()}
    if unknown := sorted(applied.keys() - shipped.keys()):
        raise DatabaseError(
            f"the schema was made by a newer version of this program (it has {unknown[-1]}): upgrade the program"
        )
    changed = {name for name, checksum in applied.items() if checksum != shipped[name]}
    for name in sorted(changed):
        if not name.startswith(VIEWS):
            raise DatabaseError(
                f"sql/{name} has changed since it was applied here: restore the file, and make changes in a new one"
            )
    waiting = changed | (shipped.keys() - applied.keys())
    # Views are made of the tables' columns: when tables change, they are applied again.
    tables_change = any(not name.startswith(VIEWS) for name in waiting)
    return [name for name in shipped if name in waiting or (tables_change and name.startswith(VIEWS))]


def require(conn: Connection) -> None:
    """Raises `DatabaseError` unless the schema is there and up to date."""
    if missing(conn):
        raise DatabaseError(
            "the schema is not there or not up to date: run `main.py load` or `main.py init-db` first"
        )


def _applied(conn: Connection) -> dict[str, str]:
    if fetch_one(conn, "select to_regclass('ops.migration') is null")[0]:
        return {}
    return dict(fetch_all(conn, "select file, checksum from ops.migration order by file"))


def _apply(conn: Connection, name: str, text: str) -> None:
    """Runs one file and records it, in one transaction."""
    try:
        with transaction(conn), conn.cursor() as cursor:
            cursor.execute(text)
            cursor.execute(
                "insert into ops.migration (file, checksum) values (%s, %s) on conflict (file)"
                " do update set checksum = excluded.checksum, applied_at = excluded.applied_at",
                (name, _checksum(text)),
            )
    except (errors.DuplicateTable, errors.DuplicateSchema) as error:
        raise DatabaseError(
            f"sql/{name} cannot be applied, {error.diag.message_primary}: "
            "the tables here were not made by this program; use an empty database"
        ) from error
    finally:
        for notice in conn.notices:
            log.warning("notice from the database", extra={"notice": notice.strip()})
        conn.notices.clear()


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
