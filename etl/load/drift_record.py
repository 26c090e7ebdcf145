"""The record of drift: each change in what the source publishes, once, and whether somebody has accepted it.

`ops.drift` holds the changes, and `ops.alias` the rules by which accepted ones are read.
"""

import json
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import asdict
from psycopg2 import sql

from etl.config import command
from etl.database.connection import Connection, execute, fetch_all, fetch_one, read_sql, rows_of, transaction
from etl.errors import UsageError
from etl.load.merge import count_of
from etl.transform import drift
from etl.transform.declaration import REPORT_TABLE, SHAPES
from etl.transform.drift import Change, Observation

# More locations than this are only counted.
MOST_NAMED = 3


class RecordedChange(Struct, frozen=True):
    """A change as `sql/drift/list.sql` returns it; times are ISO text in UTC, None for what has not happened."""

    drift_id: int
    endpoint_kind: str
    locations: list[str]
    signal: drift.Signal
    change: str
    path: str
    before: str | None
    after: str | None
    severity: str
    first_seen: str
    last_seen: str
    first_run_id: int
    accepted: str | None
    ended: str | None
    status: str
    accepted_for: list[str] | None

    @property
    def report_path(self) -> str:
        """The path within a report; `path` is that within a document."""
        return self.path.removeprefix(drift.DATA)

    @property
    def where(self) -> str:
        """The places whose documents show it: `nation`, `state TX`, `12 states`; `states` for a field definition."""
        if self.endpoint_kind == "nation":
            return "nation"
        if not self.locations:
            return "states"
        count = len(self.locations)
        return f"{count} states" if count > MOST_NAMED else f"state {', '.join(self.locations)}"

    @property
    def can_be_accepted(self) -> bool:
        """Whether `accept` takes it: not a changed type, nor the loss of what no report can be without."""
        if self.change != drift.PATH_GONE:
            return self.severity == "notice" or self.change == drift.PATH_RENAMED
        attributes = SHAPES[self.endpoint_kind].attributes
        return bool(self.parts) and all(part.nullable or part.path not in self.parts for part in attributes)

    @property
    def parts(self) -> list[str]:
        """The declared paths of values at or below `report_path`."""
        shape = SHAPES[self.endpoint_kind]
        values = [path for metric in shape.metrics for path in metric.columns.values()]
        values += [attribute.path for attribute in shape.attributes]
        return [path for path in values if f"{path}.".startswith(f"{self.report_path}.")]

    def explains(self, other: "RecordedChange") -> bool:
        """Whether people have accepted it, and the other is that change in the words of a field definition."""
        names = [path.removeprefix(drift.DATA) for path in (self.path, self.after or "")]
        is_part = any(f"{other.path}.".startswith(f"{name}.") for name in names)
        return self.status == "accepted" and self.endpoint_kind == other.endpoint_kind and is_part

    @property
    def line(self) -> str:
        """The change with its number, as a summary and an alert show it."""
        return f"drift {self.drift_id} ({self.severity}, {self.where}): {self}"

    def __str__(self) -> str:
        return str(Change(self.signal, self.change, self.path, self.before, self.after))


def changes(conn: Connection) -> list[RecordedChange]:
    """Every recorded change, the open ones first."""
    return rows_of(conn, RecordedChange, read_sql("drift/list.sql"))


def record(conn: Connection, run_id: int, observation: Observation, shown: Sequence[Change]) -> list[RecordedChange]:
    """Records the changes that a document shows, in the caller's transaction, and returns them as recorded."""
    if not shown:
        return []
    different = {(change.signal, change.change, change.path, change.after): change for change in shown}
    values = {
        "endpoint_kind": observation.endpoint_kind,
        "location_code": observation.location_code,
        "build_time": observation.build_time,
        "run_id": run_id,
        "changes": json.dumps([asdict(change) for change in different.values()]),
    }
    numbers = {number for (number,) in fetch_all(conn, read_sql("drift/record.sql"), values)}
    return [change for change in changes(conn) if change.drift_id in numbers]


def end(conn: Connection, observation: Observation, shown: Sequence[RecordedChange]) -> None:
    """Ends the changes of shape that a document lacks and that its location showed last, unless in a newer build."""
    numbers = [change.drift_id for change in shown]
    execute(
        conn,
        "update ops.drift set ended_at = clock_timestamp() where signal = 'shape' and ended_at is null"
        " and accepted_at is null and endpoint_kind = %s and last_location = %s"
        " and (build_time <= last_seen_at and build_time > %s) is not true and drift_id <> all(%s)",
        (observation.endpoint_kind, observation.location_code, observation.build_time, numbers),
    )


# --- accepting ---


def accept(conn: Connection, drift_id: int, *, with_loss: bool) -> str:
    """Accepts a change and returns the consequences in words; the caller holds the run lock.

    Raises `UsageError` if there is no such change, if it cannot be accepted, and if values would become null without
    `with_loss`.
    """
    change = next((change for change in changes(conn) if change.drift_id == drift_id), None)
    if not change:
        raise UsageError(f"there is no drift {drift_id}; `{command('drift')}` lists all")
    with transaction(conn):
        consequences = _apply(conn, change, with_loss=with_loss)
        execute(
            conn,
            "update ops.drift set accepted_at = coalesce(accepted_at, clock_timestamp()) where drift_id = %s",
            (drift_id,),
        )
    return f"drift {drift_id} accepted: {change}; {consequences}"


def undo(conn: Connection, drift_id: int) -> str:
    """Takes back that a change was accepted; the caller holds the run lock. Raises `UsageError` if it was not."""
    if not fetch_all(conn, read_sql("drift/undo.sql"), {"drift_id": drift_id}):
        raise UsageError(f"drift {drift_id} was not accepted; `{command('drift')}` lists the accepted ones")
    return f"drift {drift_id} is open again: the next load reads its documents as if it had never been accepted"


def _apply(conn: Connection, change: RecordedChange, *, with_loss: bool) -> str:
    """Writes the aliases of an accepted change, if it needs any, and returns the consequences in words."""
    wanted = {"all"} if change.change == drift.PATH_RENAMED else set(change.locations)
    if change.accepted_for and wanted <= set(change.accepted_for):
        way_out = command(f"drift --undo {change.drift_id}")
        raise UsageError(f"drift {change.drift_id} is accepted already; `{way_out}` ends that")
    if not change.can_be_accepted:
        raise UsageError(
            f"drift {change.drift_id} ({change}) cannot be accepted, as no report can be without it or hold its new "
            "type: its documents stay rejected until the source mends that, or a version of this program reads them; "
            f"`{command('skip')}` passes over single days"
        )
    if change.change == drift.PATH_RENAMED:
        published = (change.after or "").removeprefix(drift.DATA)
        _add_alias(conn, change, published, None)
        return f"{published} is read as {change.report_path} from now on. {_how_to_load()}"
    if change.change == drift.PATH_GONE:
        return _accept_loss(conn, change, with_loss=with_loss)
    return "nothing else changes"


def _how_to_load() -> str:
    return f"Now load what was rejected: {command('replay --rejected')}"


def _accept_loss(conn: Connection, change: RecordedChange, *, with_loss: bool) -> str:
    """Accepts that a path is gone, for the locations that have shown this alone; others are still rejected."""
    new = sorted(set(change.locations) - set(change.accepted_for or ()))
    loss = f"{_count_values(conn, change, new)} values of {', '.join(new)} become null when its documents load"
    if not with_loss:
        raise UsageError(
            f"accepting drift {change.drift_id} ({change}) means that {loss} (the history keeps them); "
            f"if that is meant: {command(f'drift --accept {change.drift_id} --with-loss')}"
        )
    for location in new:
        _add_alias(conn, change, None, location)
    return f"{loss}; the history keeps them. {_how_to_load()}"


def _add_alias(conn: Connection, change: RecordedChange, published: str | None, location: str | None) -> None:
    execute(
        conn,
        "insert into ops.alias (endpoint_kind, path, published, location_code, drift_id) values (%s, %s, %s, %s, %s)",
        (change.endpoint_kind, change.report_path, published, location, change.drift_id),
    )


def _count_values(conn: Connection, change: RecordedChange, locations: list[str]) -> int:
    """How many values of some locations the star holds in the columns that the path of a change feeds."""
    shape = SHAPES[change.endpoint_kind]
    columns = [attribute.column for attribute in shape.attributes if attribute.path in change.parts]
    counts = [
        (metric.table, count_of(metric, name))
        for metric in shape.metrics
        for name, path in metric.columns.items()
        if path in change.parts
    ]
    counts += [(REPORT_TABLE, sql.SQL("count({})").format(sql.Identifier(name))) for name in columns]
    return sum(_count(conn, table, count, locations) for table, count in counts)


def _count(conn: Connection, table: str, count: sql.Composed, locations: list[str]) -> int:
    query = sql.SQL(
        "select {} from public.{} inner join public.location_dimension as location using (location_id)"
        " where location.location_code = any(%s)"
    ).format(count, sql.Identifier(table))
    return int(fetch_one(conn, query, (locations,))[0])
