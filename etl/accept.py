"""Accepting drift: acknowledging a change, and where it broke documents, the rule that makes them loadable."""

from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from etl import drift
from etl.contract import paths_below
from etl.database import Connection, fetch_all, fetch_one, read_sql, transaction
from etl.declaration import NATION, SHAPES, Metric, Shape
from etl.errors import UsageError


@dataclass(frozen=True, slots=True)
class Drift:
    """A change as `drift` lists it: a row of `sql/drift/list.sql`."""

    drift_id: int
    endpoint_kind: str
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
    state: str

    @property
    def shape(self) -> Shape:
        """The kind of endpoint whose documents changed."""
        return next(each for each in SHAPES if each.name == self.endpoint_kind)

    @property
    def report_path(self) -> str:
        """The path in a report."""
        return self.path.removeprefix(drift.DATA)

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
    found = next((each for each in changes(conn) if each.drift_id == drift_id), None)
    if not found:
        raise UsageError(f"there is no drift {drift_id}; `main.py drift` lists what there is")
    with transaction(conn):
        meaning = _apply(conn, found, with_loss=with_loss)
        with conn.cursor() as cursor:
            cursor.execute(read_sql("drift/acknowledge.sql"), {"drift_id": drift_id})
    return f"drift {drift_id} accepted: {found}; {meaning}"


def _apply(conn: Connection, found: Drift, *, with_loss: bool) -> str:
    """Writes the rule that accepting means, if any."""
    if found.change == drift.PATH_RENAMED:
        published = (found.after or "").removeprefix(drift.DATA)
        _add_alias(conn, found, published)
        return f"{published} is read as {found.report_path} from now on. {_HOW_TO_LOAD}"
    if found.change == drift.PATH_GONE:
        lost = _count_values(conn, found)
        if not with_loss:
            raise UsageError(
                f"accepting drift {found.drift_id} ({found}) means that {lost} values become null when the documents "
                "load (the history keeps them); if that is meant, add --with-loss"
            )
        _add_alias(conn, found, None)
        return f"its columns are null from now on, {lost} values are superseded. {_HOW_TO_LOAD}"
    if found.change == drift.TYPE_CHANGED and found.severity == "breaking":
        return "its documents stay rejected until the type is what it was, or this program reads the new one"
    return "no rule changes"


_HOW_TO_LOAD = "Load what was rejected with `main.py replay --rejected`, or with the next load"


def _add_alias(conn: Connection, found: Drift, published: str | None) -> None:
    values = {
        "endpoint_kind": found.endpoint_kind,
        "path": found.report_path,
        "published": published,
        "drift_id": found.drift_id,
    }
    with conn.cursor() as cursor:
        cursor.execute(read_sql("drift/add_alias.sql"), values)


def _count_values(conn: Connection, found: Drift) -> int:
    """How many values the star holds in the columns that a path feeds; raises `UsageError` if none may be without."""
    below = set(paths_below(found.shape, found.report_path))
    required = [each.path for each in found.shape.attributes if not each.nullable and each.path in below]
    if not below or required:
        raise UsageError(
            f"drift {found.drift_id} ({found}) cannot be accepted: no report can be without it; "
            "a new version of this program is needed, or `main.py skip`"
        )
    of_nation = found.shape is NATION
    metrics = [each for each in found.shape.metrics if each.path in below]
    return sum(_count(conn, metric, of_nation=of_nation) for metric in metrics)


def _count(conn: Connection, metric: Metric, *, of_nation: bool) -> int:
    query = sql.SQL(read_sql("drift/count_values.sql")).format(
        counts=sql.SQL(" + ").join(sql.SQL("count({})").format(sql.Identifier(name)) for name in metric.columns),
        table=sql.Identifier(metric.table),
        test=sql.SQL("test_id = {}").format(sql.Literal(metric.test.test_id)) if metric.test else sql.SQL("true"),
    )
    count: int = fetch_one(conn, query, {"of_nation": of_nation})[0]
    return count


def as_text(found: list[Drift]) -> str:
    """The changes as a table for people."""
    if not found:
        return "no drift seen"
    lines = [f"{'id':>4}  {'state':<13}{'severity':<10}{'endpoint':<10}{'first seen (UTC)':<22}change"]
    lines += [
        f"{each.drift_id:>4}  {each.state:<13}{each.severity:<10}{each.endpoint_kind:<10}{each.first_seen:<22}{each}"
        for each in found
    ]
    return "\n".join(lines)


def as_json(found: list[Drift]) -> dict[str, Any]:
    """What `drift --json` prints."""
    return {"drift": [{name: getattr(each, name) for name in Drift.__slots__} for each in found]}
