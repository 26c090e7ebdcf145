"""The past in the database: what was published before the first load of a location, in the history alone."""

from functools import cache

from etl import config
from etl.database.connection import Connection, execute, fetch_all, fetch_one, read_sql, statements
from etl.errors import DocumentError
from etl.extract.choose import API, SNAPSHOT
from etl.extract.directory import DirectorySource
from etl.extract.source import Missing
from etl.load import merge
from etl.load.events import Event
from etl.load.request import Request
from etl.transform import past
from etl.transform.declaration import REPORT_TABLE, TABLES, Shape, key_columns
from etl.transform.past import Index, Series
from etl.transform.rows import CopyText, Row, render

FOLDER = config.SNAPSHOT / "past"
# Update times are compared to the minute, since those of the last vintage have no seconds.
_TO_THE_MINUTE = "date_trunc('minute', {}.updated_at)"
# The past is wanted unless the location has rows without a document, which are those of a vintage; and unless the
# clock was before the last vintage at the first load, since that would mix the times of loads and of vintages.
_IS_WANTED = """
    select
        coalesce(min(known_at), clock_timestamp()) > %(last_vintage)s
        and not exists (
            select from history.cases_dimension_revision where location_id = %(location_id)s and document_id is null
        )
    from ops.document_load
    where location_id = %(location_id)s and outcome = 'loaded'
"""
_STAGED = "select *, %(known_at)s::timestamptz as ends_at, %(run_id)s::bigint as run_id from {stage}"
_ENDED_BY_A_LOAD = """
    delete from history.{revision}
    where
        location_id = %(location_id)s
        and known_from in (select known_at from ops.vintage)
        and known_to > %(last_vintage)s
    returning {key}, {values}, known_from, null::timestamptz as known_to, null::text as change,
        null::text[] as changed_columns, known_to as ends_at, superseded_by_run_id as run_id
"""
_ADD_VINTAGE = """
    insert into ops.vintage (series, known_at, previous_at, exactness, carried, origin, sha256)
    values (%s, %s, %s, %s, %s, %s, %s)
"""


def is_wanted(conn: Connection, request: Request) -> bool:
    """Whether a document brings the past of its location: the first whole history from the API or the snapshot does.

    Raises `DocumentError` if the shipped past cannot be read.
    """
    if request.day or not request.is_whole or request.source not in (API, SNAPSHOT):
        return False
    last_vintage = _index().series[request.location.shape.name].vintages[-1].known_at
    bound = {"location_id": request.location.location_id, "last_vintage": last_vintage}
    return bool(fetch_one(conn, _IS_WANTED, bound)[0])


def attach(conn: Connection, event: Event, request: Request) -> None:
    """Loads the past of a location with the event of its whole history.

    The event was recorded before, and its rows merged. Raises `DocumentError` if the shipped past cannot be read.
    """
    shape, index = request.location.shape, _index()
    series = index.series[shape.name]
    bound = {
        "location_id": event.location_id,
        "last_vintage": series.vintages[-1].known_at,
        "known_at": event.known_at,
        "run_id": event.run_id,
    }
    versions = past.versions(_shipped(request.location.code), request.location.code, shape, index)
    rendered = {table: _rendered(table, shape, series, rows) for table, rows in versions.items()}
    merge.stage(conn, rendered)
    for table in _tables(shape):
        execute(conn, _statement(table, shape, _STAGED, frozenset(series.vintages[-1].paths)), bound)
    _add_vintages(conn, shape, series)


def end_again(conn: Connection, location_id: int, shape: Shape) -> None:
    """Ends the last versions of the past of a location with the first loaded rows, which a replay has made again."""
    found = fetch_all(
        conn,
        "select known_at, carried from ops.vintage where series = %s order by known_at desc limit 1",
        (shape.name,),
    )
    for last_vintage, carried in found:
        bound = {"location_id": location_id, "last_vintage": last_vintage}
        paths = frozenset(path for path, label in past.labels(shape).items() if label in carried)
        for table in _tables(shape):
            execute(conn, _statement(table, shape, _ENDED_BY_A_LOAD, paths), bound)


@cache
def _index() -> Index:
    return past.read_index(_shipped("vintages"))


def _rendered(table: str, shape: Shape, series: Series, rows: list[Row]) -> CopyText:
    """Versions for COPY; each time of a vintage becomes text once, since that takes longer than all else."""
    text = {vintage.known_at: str(vintage.known_at) for vintage in series.vintages}
    timed = [(*row[:-4], text[row[-4]], text.get(row[-3]), *row[-2:]) for row in rows]
    return render(table, past.columns(table, shape), timed)


def _tables(shape: Shape) -> list[str]:
    """The tables that hold figures of the shape; the nation has no kinds of test."""
    return [table for table in TABLES if past.measures(table, shape)]


def _shipped(name: str) -> bytes:
    """A file of the shipped past; raises `DocumentError`."""
    try:
        return DirectorySource(FOLDER, "past").fetch(f"{name.lower()}.json").body
    except (Missing, DocumentError) as error:
        raise DocumentError(f"the shipped past, {name.lower()}.json: {error}; --no-past loads without it") from error


def _add_vintages(conn: Connection, shape: Shape, series: Series) -> None:
    """Writes the vintages of a series, unless another location has brought them."""
    if fetch_one(conn, "select exists (select from ops.vintage where series = %s)", (shape.name,))[0]:
        return
    labels, previous = past.labels(shape), None
    with statements(conn) as cursor:
        for vintage in series.vintages:
            carried = [labels[path] for path in vintage.paths]
            known = (shape.name, vintage.known_at, previous, vintage.exactness, carried)
            cursor.execute(_ADD_VINTAGE, (*known, vintage.origin, series.sha256))
            previous = vintage.known_at


@cache
def _statement(table: str, shape: Shape, versions: str, carried: frozenset[str]) -> str:
    """`sql/load/past.sql` with the names of one table; its values are placeholders."""
    key, values = key_columns(table), past.measures(table, shape)
    names = {"key": ", ".join(key), "values": ", ".join(values), "revision": f"{table}_revision"}
    has_run = table == REPORT_TABLE
    return read_sql("load/past.sql").format(
        **names,
        table=table,
        versions=versions.format(**names, stage=merge.stage_of(table)),
        version_values=", ".join(f"version.{name}" for name in values),
        stamps="run_id, known_from" if has_run else "known_from",
        stamp_values="version.run_id, version.known_from" if has_run else "version.known_from",
        changed_columns=", ".join(
            f"case when {_compared('version', name)} is distinct from {_compared('loaded', name)} then '{name}' end"
            for name in past.carried_columns(table, shape, carried)
        ),
    )


def _compared(row: str, column: str) -> str:
    return _TO_THE_MINUTE.format(row) if column == "updated_at" else f"{row}.{column}"
