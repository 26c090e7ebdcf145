"""The schema: tables, made by the files of `sql/ddl` and `sql/migrations`, and the views and functions on them.

Each file of tables is applied once, in order; a file that has changed since is refused. The files of `sql/views` are
one set, which is dropped and made again as a whole when one of them or the tables change; a load needs none of them.
"""

import hashlib

from etl.config import command
from etl.database.connection import SQL, Connection, execute, fetch_all, fetch_one, holders, read_sql, transaction
from etl.errors import BlockedError, EtlError, StatementError, UsageError, as_usage_error
from etl.logs import log

VIEWS = "views"
# The foreign keys.
KEYS = "ddl/050_keys.sql"
VIEW_LOCK_TIMEOUT, VIEW_TRIES = "2s", 10


def tables() -> dict[str, str]:
    """The files that make the tables: their text by their name below `sql/`, in the order in which they apply."""
    return _texts("ddl") | _texts("migrations")


def _texts(folder: str) -> dict[str, str]:
    paths = sorted((SQL / folder).glob("*.sql"))
    return {str(path.relative_to(SQL)): path.read_text(encoding="utf-8") for path in paths}


def upgrade(conn: Connection, *, keys_later: bool = False) -> list[str]:
    """Applies what is missing and returns its names; the caller holds the run lock.

    With `keys_later` a new schema has no foreign keys yet; the next call makes them.
    Raises `UsageError` if the schema is of another state of this program, such as a newer one, and where only its
    owner can apply what is missing.
    """
    shipped, applied = tables(), _applied(conn)
    waiting = _missing(shipped, applied)
    if keys_later and not applied:
        waiting.remove(KEYS)
    if waiting and applied and not _is_owner(conn):
        run = command("init-db")
        raise UsageError(
            f"the schema lacks sql/{waiting[0]}, which only its owner can apply: run `{run}` as the owner"
        )
    for name in waiting:
        _apply(conn, name, shipped[name])
        log.info("schema file applied", extra={"file": name})
    views, checksum = _views(shipped)
    if applied.get(VIEWS) == checksum or not _remake_views(conn, views, checksum):
        return waiting
    return [*waiting, VIEWS]


def _is_owner(conn: Connection) -> bool:
    query = "select pg_has_role(relowner, 'member') from pg_class where oid = to_regclass('ops.migration')"
    return bool(fetch_one(conn, query)[0])


def _views(shipped: dict[str, str]) -> tuple[str, str]:
    """The text of the set of views, and its checksum with that of the tables."""
    views = "\n".join(_texts(VIEWS).values())
    return views, _checksum("\n".join([*shipped.values(), views]))


def require_views(conn: Connection) -> None:
    """Raises `UsageError` unless the set of views is up to date."""
    if _applied(conn).get(VIEWS) != _views(tables())[1]:
        raise UsageError("the tables are up to date, but not the views: the warning above says what is in the way")


def require(conn: Connection) -> None:
    """Raises `UsageError` unless the tables are there and up to date.

    The foreign keys may be missing: after a first load that was broken off, the next one makes them.
    """
    if _missing(tables(), _applied(conn)) not in ([], [KEYS]):
        ways = f"`{command('load')}` or `{command('init-db')}`"
        raise UsageError(f"the schema is not there or not up to date: run {ways} first")


def _missing(shipped: dict[str, str], applied: dict[str, str]) -> list[str]:
    """The files of tables that are to be applied; raises as `upgrade` does."""
    known = {name: _checksum(text) for name, text in shipped.items()}
    if other := sorted(name for name in applied.keys() - {VIEWS} if applied[name] != known.get(name)):
        raise UsageError(
            f"the schema is of another state of this program, whose sql/{other[0]} differs or is not here: use that "
            "program, or load into a new database (DATABASE_URL or COVID_ETL_HOME); this one keeps its history"
        )
    return [name for name in shipped if name not in applied]


def _applied(conn: Connection) -> dict[str, str]:
    """The checksums of what was applied, by its name."""
    if fetch_one(conn, "select to_regclass('ops.migration') is null")[0]:
        return {}
    return dict(fetch_all(conn, "select file, checksum from ops.migration"))


def _apply(conn: Connection, name: str, text: str) -> None:
    """Runs one file of tables and records it, in one transaction."""
    advice = "if the tables here were not made by this program, use an empty database"
    try:
        with as_usage_error(f"sql/{name} cannot be applied", advice, StatementError), transaction(conn):
            execute(conn, text)
            _record(conn, name, _checksum(text), [])
    finally:
        for notice in conn.notices:
            log.warning("notice from the database", extra={"notice": notice.strip()})
        conn.notices.clear()


def _record(conn: Connection, name: str, checksum: str, objects: list[str]) -> None:
    query = """
        insert into ops.migration (file, checksum, objects) values (%s, %s, %s) on conflict (file) do update
        set checksum = excluded.checksum, objects = excluded.objects, applied_at = excluded.applied_at
    """
    execute(conn, query, (name, checksum, objects))


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# --- views ---


def _remake_views(conn: Connection, views: str, checksum: str) -> bool:
    """Makes the set of views anew, or warns why it stays as it was; returns whether it was made."""
    failure: EtlError | None = None
    for _ in range(VIEW_TRIES):
        try:
            with transaction(conn):
                execute(conn, "select set_config('lock_timeout', %s, true)", (VIEW_LOCK_TIMEOUT,))
                _make_views(conn, views, checksum)
            return True
        except (BlockedError, StatementError, UsageError) as error:
            failure = error
            if not isinstance(error, BlockedError):
                break
            error.holders = holders(conn, r"^mart\.", [])
    hanging = fetch_all(conn, read_sql("schema/hanging.sql"), {"objects": _objects(conn)})
    fields = {"reason": str(failure), "advice": f"run {command('init-db')} when nobody reads them"}
    if hanging:
        fields |= {
            "advice": f"drop what is in the way, run {command('init-db')}, and put it back",
            "in_the_way": ", ".join(name for name, _ in hanging),
            "put_back": " ".join(statement for _, statement in hanging),
        }
    log.warning("views not made again: they stay as they were, and the command goes on", extra=fields)
    return False


def _make_views(conn: Connection, views: str, checksum: str) -> None:
    """Drops the objects of the old set, the last one first, makes those of the new one, and restores the grants.

    A view that somebody else has made in the same schema stays.
    """
    there = _described(conn)
    old = [described for described in _objects(conn) if described in there]
    grants = fetch_all(conn, read_sql("schema/grants.sql"), {"objects": old})
    for described in reversed(old):
        execute(conn, f"drop {described}")
    execute(conn, views)
    new = [described for described in _described(conn) if described in old or described not in there]
    for described, statement in grants:
        if described in new:
            execute(conn, statement)
    _record(conn, VIEWS, checksum, new)


def _objects(conn: Connection) -> list[str]:
    """The objects of the set of views, in the order in which they were made, such as `view mart.latest`."""
    found = fetch_all(conn, "select objects from ops.migration where file = %s", (VIEWS,))
    return found[0][0] if found else []


def _described(conn: Connection) -> list[str]:
    """The views and functions in the schemas of the set, in the order in which they were made."""
    return [described for (described,) in fetch_all(conn, read_sql("schema/objects.sql"))]
