"""The record of drift: each change in what the source publishes once, and whether somebody has accepted it.

`ops.drift` holds the changes, `ops.alias` the rules that accepting them has made.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from psycopg2 import sql

from etl.database.connection import Connection, execute, fetch_all, fetch_one, read_sql, rows_of, transaction
from etl.errors import UsageError
from etl.load.merge import count_of
from etl.transform import drift
from etl.transform.declaration import SHAPES, Metric, paths_below
from etl.transform.drift import Change, Observation

# More locations than this are only counted.
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Drift:
    """A change in what the source publishes: a row of `sql/drift/list.sql`; times are ISO text in UTC."""

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
    acknowledged: str | None
    ended: str | None
    status: str
    accepted_for: list[str] | None

    @property
    def report_path(self) -> str:
        """The path in a report."""
        return self.path.removeprefix(drift.DATA)

    @property
    def where(self) -> str:
        """The documents that show it: `nation`, `state TX`, `12 states`; `states` if it is not about single ones."""
        if self.endpoint_kind == "nation":
            return self.endpoint_kind
        if not self.locations:
            return f"{self.endpoint_kind}s"
        count = len(self.locations)
        return f"{count} states" if count > MOST_NAMED else f"state {', '.join(self.locations)}"

    @property
    def can_be_accepted(self) -> bool:
        """Whether `accept` may take it; a changed type could only be hidden."""
        return self.severity == "notice" or self.change in drift.ACCEPTABLE

    @property
    def line(self) -> str:
        """The change with its number, for a summary, a log and an alert."""
        return f"drift {self.drift_id} ({self.severity}, {self.where}): {self}"

    def __str__(self) -> str:
        return str(Change(self.signal, self.change, self.path, self.before, self.after))


def changes(conn: Connection) -> list[Drift]:
    """Every change in the record, the open ones first."""
    return rows_of(conn, Drift, read_sql("drift/list.sql"))


def record(conn: Connection, run_id: int, observation: Observation, shown: Sequence[Change]) -> list[Drift]:
    """Writes the changes that a document shows, in the caller's transaction, and returns them as they are now."""
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
    return [entry for entry in changes(conn) if entry.drift_id in numbers]


def end(conn: Connection, observation: Observation, shown: Sequence[Drift]) -> None:
    """Ends the changes of shape that a document lacks, and that its location showed last, in no newer build."""
    execute(
        conn,
        "update ops.drift set ended_at = clock_timestamp() where signal = 'shape' and ended_at is null"
        " and acknowledged_at is null and endpoint_kind = %s and last_location = %s"
        " and (build_time > %s) is not true and drift_id <> all(%s)",
        (
            observation.endpoint_kind, observation.location_code, observation.build_time,
            [entry.drift_id for entry in shown],
        ),
    )  # fmt: skip


# --- accepting ---


def accept(conn: Connection, drift_id: int, *, with_loss: bool) -> str:
    """Accepts a change and returns the consequences in words; the caller holds the run lock.

    Raises `UsageError` where there is no such change, where it cannot be accepted, and where values would become null
    but `with_loss` is not given.
    """
    entry = next((entry for entry in changes(conn) if entry.drift_id == drift_id), None)
    if not entry:
        raise UsageError(f"there is no drift {drift_id}; `main.py drift` lists what there is")
    with transaction(conn):
        consequences = _apply(conn, entry, with_loss=with_loss)
        execute(
            conn,
            "update ops.drift set acknowledged_at = coalesce(acknowledged_at, clock_timestamp()) where drift_id = %s",
            (drift_id,),
        )
    return f"drift {drift_id} accepted: {entry}; {consequences}"


def undo(conn: Connection, drift_id: int) -> str:
    """Takes back what was accepted; the caller holds the run lock. Raises `UsageError` if nothing was."""
    if not fetch_all(conn, read_sql("drift/undo.sql"), {"drift_id": drift_id}):
        raise UsageError(f"drift {drift_id} was not accepted; `main.py drift` lists what was")
    return f"drift {drift_id} is open again: the next load reads its documents without what was accepted"


def _apply(conn: Connection, entry: Drift, *, with_loss: bool) -> str:
    """Writes the rules that accepting a change means, if any, and returns the consequences in words."""
    wanted = {"all"} if entry.change == drift.PATH_RENAMED else set(entry.locations)
    if entry.accepted_for and wanted <= set(entry.accepted_for):
        raise UsageError(f"drift {entry.drift_id} is accepted already; `main.py drift --undo ID` takes that back")
    if not entry.can_be_accepted:
        raise UsageError(
            f"drift {entry.drift_id} ({entry}) cannot be accepted: its documents stay rejected until the type is "
            "what it was, or a version of this program reads the new one; `main.py skip` passes over single days"
        )
    if entry.change == drift.PATH_RENAMED:
        published = (entry.after or "").removeprefix(drift.DATA)
        _add_alias(conn, entry, published, None)
        return f"{published} is read as {entry.report_path} from now on. {_HOW_TO_LOAD}"
    if entry.change == drift.PATH_GONE:
        return _accept_loss(conn, entry, with_loss=with_loss)
    return "nothing else changes"


_HOW_TO_LOAD = "Now load what was rejected: main.py replay --rejected"


def _accept_loss(conn: Connection, entry: Drift, *, with_loss: bool) -> str:
    """Accepts that a path is gone, for the locations that have shown it; others would be rejected anew."""
    new = sorted(set(entry.locations) - set(entry.accepted_for or ()))
    loss = f"{_count_values(conn, entry, new)} values of {', '.join(new)} become null when its documents load"
    if not with_loss:
        raise UsageError(
            f"accepting drift {entry.drift_id} ({entry}) means that {loss} (the history keeps them); "
            "if that is meant, add --with-loss"
        )
    for location in new:
        _add_alias(conn, entry, None, location)
    return f"{loss}; the history keeps them. {_HOW_TO_LOAD}"


def _add_alias(conn: Connection, entry: Drift, published: str | None, location: str | None) -> None:
    execute(
        conn,
        "insert into ops.alias (endpoint_kind, path, published, location_code, drift_id) values (%s, %s, %s, %s, %s)",
        (entry.endpoint_kind, entry.report_path, published, location, entry.drift_id),
    )


def _count_values(conn: Connection, entry: Drift, locations: list[str]) -> int:
    """How many values the star holds in the columns that a path feeds.

    Raises `UsageError` if no report can be without one of them.
    """
    shape = SHAPES[entry.endpoint_kind]
    below = set(paths_below(shape, entry.report_path))
    if not below or any(item.path in below for item in shape.attributes if not item.nullable):
        raise UsageError(
            f"drift {entry.drift_id} ({entry}) cannot be accepted: no report can be without it; "
            "a new version of this program is needed, or `main.py skip`"
        )
    return sum(_count(conn, metric, locations) for metric in shape.metrics if metric.path in below)


def _count(conn: Connection, metric: Metric, locations: list[str]) -> int:
    query = sql.SQL(
        "select {} from public.{} inner join public.location_dimension as location using (location_id)"
        " where location.location_code = any(%s)"
    ).format(sql.SQL(" + ").join(count_of(metric, name) for name in metric.columns), sql.Identifier(metric.table))
    count: int = fetch_one(conn, query, (locations,))[0]
    return count
