"""Accepting drift: acknowledging a change, and where it broke documents, the rule that makes them loadable."""

from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from etl.database.connection import Connection, fetch_all, fetch_one, read_sql, transaction
from etl.errors import UsageError
from etl.load.drift_record import in_words
from etl.transform import drift
from etl.transform.contract import paths_below
from etl.transform.declaration import SHAPES, Metric, Shape


@dataclass(frozen=True, slots=True)
class Drift:
    """A change as `drift` lists it: a row of `sql/drift/list.sql`."""

    drift_id: int
    endpoint_kind: str
    locations: list[str]
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
    def shape(self) -> Shape:
        """The kind of endpoint whose documents changed."""
        return next(each for each in SHAPES if each.name == self.endpoint_kind)

    @property
    def report_path(self) -> str:
        """The path in a report."""
        return self.path.removeprefix(drift.DATA)

    @property
    def where(self) -> str:
        """Whose documents show it, in words."""
        return in_words(self.endpoint_kind, self.locations)

    def __str__(self) -> str:
        return str(drift.Change("shape", self.change, self.path, self.before, self.after))


def changes(conn: Connection) -> list[Drift]:
    """Every change seen, the open ones first."""
    return [Drift(*row) for row in fetch_all(conn, read_sql("drift/list.sql"))]


def accept(conn: Connection, drift_id: int, *, with_loss: bool) -> str:
    """Accepts a change and returns what that means, in words; the caller holds the run lock.

    Raises `UsageError` where there is no such change, where it cannot be accepted, and where values would become null
    but `with_loss` is not given.
    """
    found = _find(conn, drift_id)
    with transaction(conn):
        meaning = _apply(conn, found, with_loss=with_loss)
        with conn.cursor() as cursor:
            cursor.execute(read_sql("drift/acknowledge.sql"), {"drift_id": drift_id})
    return f"drift {drift_id} accepted: {found}; {meaning}"


def undo(conn: Connection, drift_id: int) -> str:
    """Takes back what was accepted; the caller holds the run lock. Raises `UsageError` if nothing was."""
    if not fetch_all(conn, read_sql("drift/undo.sql"), {"drift_id": drift_id}):
        raise UsageError(f"drift {drift_id} was not accepted; `main.py drift` lists what was")
    return f"drift {drift_id} is open again: the next load reads its documents without what was accepted"


def _find(conn: Connection, drift_id: int) -> Drift:
    found = next((each for each in changes(conn) if each.drift_id == drift_id), None)
    if not found:
        raise UsageError(f"there is no drift {drift_id}; `main.py drift` lists what there is")
    return found


def _apply(conn: Connection, found: Drift, *, with_loss: bool) -> str:
    """Writes the rule that accepting means, if any."""
    if set(found.accepted_for or ()) >= ({"all"} if found.change == drift.PATH_RENAMED else set(found.locations)):
        raise UsageError(f"drift {found.drift_id} is accepted already; `main.py drift --undo ID` takes that back")
    if found.change == drift.PATH_RENAMED:
        published = (found.after or "").removeprefix(drift.DATA)
        _add_alias(conn, found, published, None)
        return f"{published} is read as {found.report_path} from now on. {_HOW_TO_LOAD}"
    if found.change == drift.PATH_GONE:
        return _accept_loss(conn, found, with_loss=with_loss)
    if found.severity == "breaking":
        raise UsageError(
            f"drift {found.drift_id} ({found}) cannot be accepted: its documents stay rejected until the type is "
            "what it was, or a version of this program reads the new one; `main.py skip` passes over single days"
        )
    return "nothing else changes"


_HOW_TO_LOAD = "Now load what was rejected: main.py replay --rejected"


def _accept_loss(conn: Connection, found: Drift, *, with_loss: bool) -> str:
    """Accepts for the locations that have shown it that a path is gone; others would be rejected anew."""
    new = sorted(set(found.locations) - set(found.accepted_for or ()))
    lost, where = _count_values(conn, found, new), ", ".join(new)
    if not with_loss:
        raise UsageError(
            f"accepting drift {found.drift_id} ({found}) means that {lost} values of {where} become null when its "
            "documents load (the history keeps them); if that is meant, add --with-loss"
        )
    for location in new:
        _add_alias(conn, found, None, location)
    return f"{lost} values of {where} become null when its documents load; the history keeps them. {_HOW_TO_LOAD}"


def _add_alias(conn: Connection, found: Drift, published: str | None, location: str | None) -> None:
    values = {
        "endpoint_kind": found.endpoint_kind,
        "path": found.report_path,
        "published": published,
        "location_code": location,
        "drift_id": found.drift_id,
    }
    with conn.cursor() as cursor:
        cursor.execute(read_sql("drift/add_alias.sql"), values)


def _count_values(conn: Connection, found: Drift, locations: list[str]) -> int:
    """How many values the star holds in the columns that a path feeds; raises `UsageError` if none may be without."""
    below = set(paths_below(found.shape, found.report_path))
    required = [each.path for each in found.shape.attributes if not each.nullable and each.path in below]
    if not below or required:
        raise UsageError(
            f"drift {found.drift_id} ({found}) cannot be accepted: no report can be without it; "
            "a new version of this program is needed, or `main.py skip`"
        )
    return sum(_count(conn, metric, locations) for metric in found.shape.metrics if metric.path in below)


def _count(conn: Connection, metric: Metric, locations: list[str]) -> int:
    query = sql.SQL(read_sql("drift/count_values.sql")).format(
        counts=sql.SQL(" + ").join(sql.SQL("count({})").format(sql.Identifier(name)) for name in metric.columns),
        table=sql.Identifier(metric.table),
        test=sql.SQL("test_id = {}").format(sql.Literal(metric.test.test_id)) if metric.test else sql.SQL("true"),
    )
    count: int = fetch_one(conn, query, {"locations": locations})[0]
    return count


def as_text(found: list[Drift]) -> str:
    """The changes as a table for people."""
    if not found:
        return "no drift seen"
    lines = [f"{'id':>4}  {'status':<13}{'severity':<10}{'where':<16}{'first seen (UTC)':<22}change"]
    lines += [
        f"{each.drift_id:>4}  {each.status:<13}{each.severity:<10}{each.where:<16}{each.first_seen:<22}{each}"
        for each in found
    ]
    return "\n".join(lines)


def as_json(found: list[Drift]) -> dict[str, Any]:
    """What `drift --json` prints."""
    return {"drift": [{name: getattr(each, name) for name in Drift.__slots__} for each in found]}
