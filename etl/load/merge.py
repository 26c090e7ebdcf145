"""Brings the tables of the star to what a document says: its rows are staged with COPY, and each table is merged.

The merge is one statement for each table, `sql/load/merge.sql`, which also moves superseded rows to the history. The
names in it come from the declaration alone, and its values are bound.
"""

import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from functools import cache

from psycopg2 import sql

from etl.database.connection import Connection, execute, fetch_one, read_sql, statements
from etl.load.events import Event
from etl.transform.declaration import REPORT_TABLE, TABLES, Metric, key_columns, value_columns
from etl.transform.rows import CopyText

# Column -> bound value, for the columns that tell by which event a row came. The row of a report has all of these, a
# fact has only the time.
REPORT_STAMPS = {
    "known_from": "known_at",
    "source_built_at": "build_time",
    "run_id": "run_id",
    "document_id": "document_id",
}
FACT_STAMPS = {"known_from": "known_at"}
# The columns that tell when a version of the past was believed, and how it ended.
PAST_STAMPS = ("known_from", "known_to", "change", "changed_columns")


@dataclass(slots=True)
class RowCounts:
    """What became of the rows of one table."""

    inserted: int = 0
    updated: int = 0
    withdrawn: int = 0
    unchanged: int = 0

    def add(self, other: "RowCounts") -> None:
        """Adds the counts of another document."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    @property
    def total(self) -> int:
        """How many rows were written, withdrawn, or found unchanged."""
        return self.inserted + self.updated + self.withdrawn + self.unchanged


@dataclass(frozen=True, slots=True)
class MergeCounts:
    """Row counts by table, and how many rows were revised or withdrawn."""

    rows: dict[str, RowCounts]
    revisions: int

    @property
    def changed_rows(self) -> int:
        """How many rows of the star differ from before."""
        return sum(counts.total - counts.unchanged for counts in self.rows.values())


# --- staging ---


def make_stage(conn: Connection) -> None:
    """Makes the staging tables, which last as long as the session; versions of the past have times too."""
    for table in TABLES:
        columns = _names([*key_columns(table), *value_columns(table), *PAST_STAMPS])
        as_table = f"as select {columns} from history.{table}_revision with no data"  # noqa: S608 (names of the declaration)
        execute(conn, f"create temporary table if not exists stage_{table} on commit delete rows {as_table}")


def clear_stage(conn: Connection) -> None:
    """Empties the staging tables, between two documents of one transaction."""
    execute(conn, f"truncate {', '.join(map(_stage, TABLES))}")


def stage(conn: Connection, rows: Mapping[str, CopyText]) -> None:
    """Copies rows into the staging tables; each transaction begins with empty ones."""
    with statements(conn) as cursor:
        for table, text in rows.items():
            copy = f"copy {_stage(table)} ({_names(text.columns)}) from stdin with (null 'None')"
            cursor.copy_expert(copy, io.StringIO(text.text))


def missing_days(conn: Connection, event: Event) -> tuple[int, int]:
    """How many of the days that an event speaks of are known, and how many known ones are not staged."""
    query = read_sql("load/withdrawal_size.sql").format(stage=_stage(REPORT_TABLE))
    known, missing = fetch_one(conn, query, asdict(event))
    return known, missing


# --- merging ---


def merge(conn: Connection, event: Event, rows: Mapping[str, CopyText]) -> MergeCounts:
    """Merges the staged rows; those of reports themselves last, with every day on which another table changed."""
    counts, revisions, changed_days = {}, 0, set[date]()
    for table in TABLES:
        days = list(changed_days) if table == REPORT_TABLE else []
        inserted, updated, withdrawn, revised, days = fetch_one(
            conn, merge_statement(table), asdict(event) | {"changed_days": days}
        )
        counts[table] = RowCounts(inserted, updated, withdrawn, rows[table].count - inserted - updated)
        revisions += revised
        changed_days.update(days or ())
    return MergeCounts(counts, revisions)


@cache
def merge_statement(table: str) -> str:
    """`sql/load/merge.sql` with the names of one table; its values are placeholders."""
    key, values = key_columns(table), value_columns(table)
    stamps = REPORT_STAMPS if table == REPORT_TABLE else FACT_STAMPS
    columns = ["location_id", *key, "cases_id", *values, *stamps]
    assignments = [f"{name} = difference.{name}" for name in values]
    assignments += [f"{name} = %({bound})s" for name, bound in stamps.items()]
    return read_sql("load/merge.sql").format(
        table=table,
        stage=_stage(table),
        revision=f"{table}_revision",
        key=_names(key),
        target_key=_names(key, "target."),
        new_key=_names(key, "difference."),
        columns=_names(columns),
        known_columns=_names(columns, "known."),
        values=_names(values),
        known_values=_names(values, "known."),
        staged_values=_names(values, "staged."),
        changed_columns=", ".join(
            f"case when known.{name} is distinct from difference.{name} then '{name}' end" for name in values
        ),
        assignments=", ".join(assignments),
        stamps=_names(stamps),
        stamp_values=", ".join(f"%({bound})s" for bound in stamps.values()),
    )


def clear_locations(conn: Connection, location_ids: list[int]) -> None:
    """Deletes all rows of some locations from the star, and from its history but for those of vintages."""
    delete = sql.SQL(
        "delete from {} where location_id = any(%s) and known_from not in (select known_at from ops.vintage)"
    )
    for table in TABLES:
        for name in (sql.Identifier("public", table), sql.Identifier("history", f"{table}_revision")):
            execute(conn, delete.format(name), (location_ids,))


def count_of(metric: Metric, column: str) -> sql.Composed:
    """An expression that counts the values in a column of a metric; tables of tests hold other metrics too."""
    test = sql.SQL("test_id = {}").format(sql.Literal(metric.test_id)) if metric.test_id else sql.SQL("true")
    return sql.SQL("count({}) filter (where {})").format(sql.Identifier(column), test)


def _stage(table: str) -> str:
    return f"pg_temp.stage_{table}"


def _names(names: Iterable[str], prefix: str = "") -> str:
    return ", ".join(prefix + name for name in names)
