"""Brings the tables of the star to what a document says: its rows are staged with COPY, and each table is merged.

The merge is one statement for each table, `sql/load/merge.sql`, which also moves superseded rows to the history. The
names in it come from the declaration alone, and its values are bound.
"""

import io
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache

from msgspec import Struct
from msgspec.structs import asdict
from psycopg2 import sql

from etl.database.connection import Connection, execute, fetch_one, read_sql, statements
from etl.load.events import Event
from etl.transform.declaration import DETAIL_TABLE, REPORT_TABLE, TABLES, Metric, key_columns, value_columns
from etl.transform.news import News, pack
from etl.transform.rows import CopyText

# Column -> bound value, for the columns that tell which event brought a row. The row of a report has all of them; a
# fact has only the time.
REPORT_STAMPS = {
    "known_from": "known_at",
    "source_built_at": "build_time",
    "run_id": "run_id",
    "document_id": "document_id",
}
FACT_STAMPS = {"known_from": "known_at"}
# The values that a merge is given, with their types.
BOUND = {
    "location_id": "smallint",
    "days": "date[]",
    "changed_days": "date[]",
    "known_at": "timestamptz",
    "run_id": "bigint",
    "document_id": "bigint",
    "build_time": "timestamptz",
    "change": "text",
}
# The columns that tell when a version of the past was believed, and how it ended.
PAST_STAMPS = ("known_from", "known_to", "change", "changed_columns")


class RowCounts(Struct):
    """Counts of the rows of one table, by their fate."""

    inserted: int = 0
    updated: int = 0
    withdrawn: int = 0
    unchanged: int = 0

    def add(self, other: "RowCounts") -> None:
        """Adds the counts of another document."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def total(self) -> int:
        """How many rows were written, withdrawn, or found unchanged."""
        return self.inserted + self.updated + self.withdrawn + self.unchanged


class MergeCounts(Struct, frozen=True):
    """Row counts by table, and how many rows were revised or withdrawn."""

    rows: dict[str, RowCounts]
    revisions: int

    @property
    def changed_rows(self) -> int:
        """How many rows of the star differ from before."""
        return sum(counts.total - counts.unchanged for counts in self.rows.values())


# --- staging ---


def prepare(conn: Connection) -> None:
    """Makes the staging tables and prepares the merges, unless the session has them already.

    A rollback takes the tables away, but no prepared statements: these are dropped first.
    """
    if fetch_one(conn, "select to_regclass(%s) is not null", (stage_of(REPORT_TABLE),))[0]:
        return
    execute(conn, "deallocate all")
    for table in TABLES:
        columns = _names([*key_columns(table), *value_columns(table), *PAST_STAMPS])
        as_table = f"as select {columns} from history.{table}_revision with no data"  # noqa: S608 (names of the declaration)
        execute(conn, f"create temporary table stage_{table} {as_table}")
        numbered = merge_statement(table) % {name: f"${number}" for number, name in enumerate(BOUND, 1)}
        execute(conn, f"prepare merge_{table} ({', '.join(BOUND.values())}) as {numbered}")


def stage(conn: Connection, rows: Mapping[str, CopyText]) -> None:
    """Empties the staging tables, and copies rows into them."""
    execute(conn, read_sql("load/clear_stage.sql"), {"stages": list(map(stage_of, TABLES))})
    for table, text in rows.items():
        copy(conn, stage_of(table), text.columns, text.text)


def copy(conn: Connection, table: str, columns: Iterable[str], lines: str) -> None:
    """Copies lines in COPY's text format, in which `None` is null, into some columns of a table."""
    with statements(conn) as cursor:
        cursor.copy_expert(f"copy {table} ({_names(columns)}) from stdin with (null 'None')", io.StringIO(lines))


# --- merging ---


def write(conn: Connection, event: Event, news: News) -> MergeCounts:
    """Brings the star to what a document says: reports of new days are copied, other news are merged.

    Known reports are only counted. If the news need a merge, `prepare` was called before.
    """
    counts = {table: RowCounts(unchanged=len(news.same_days)) for table in TABLES}
    if news.same_days:
        counts[DETAIL_TABLE].unchanged = _detail_count(conn, event, news)
    for table, text in news.added.items():
        _copy(conn, event, table, text)
        counts[table].inserted += text.count
    revisions = 0
    if news.needs_merge:
        stage(conn, news.revised)
        revisions = _merge(conn, event, news, counts)
    return MergeCounts(counts, revisions)


def _copy(conn: Connection, event: Event, table: str, text: CopyText) -> None:
    """Copies rows of days that are not known straight into a table, with their location and their stamps."""
    if text.count:
        stamps, values = _stamps(table), asdict(event)
        begin, end = f"{event.location_id}\t", "".join(f"\t{values[bound]}" for bound in stamps.values())
        lines = begin + text.text.replace("\n", f"{end}\n{begin}") + end
        copy(conn, f"public.{table}", ("location_id", *text.columns, *stamps), lines)


def _merge(conn: Connection, event: Event, news: News, counts: Mapping[str, RowCounts]) -> int:
    """Merges the staged rows of each table, adds to the counts, and returns how many rows were revised.

    The table of reports comes last: it is given every day on which another table changed.
    """
    values = ", ".join(f"%({name})s" for name in BOUND)
    bound = asdict(event) | {"days": news.revised_days + news.gone_days, "changed_days": []}
    revisions, changed_days = 0, set[date]()
    for table in TABLES:
        if table == REPORT_TABLE:
            bound["changed_days"] = list(changed_days)
        inserted, updated, withdrawn, revised, days = fetch_one(conn, f"execute merge_{table} ({values})", bound)
        counts[table].add(RowCounts(inserted, updated, withdrawn, news.revised[table].count - inserted - updated))
        revisions += revised
        changed_days.update(days or ())
    return revisions


def _detail_count(conn: Connection, event: Event, news: News) -> int:
    """How many rows of testing detail the days without news have; every other table has one for each day."""
    query = """
        select count(*) from public.testing_detail_fact
        where
            location_id = %(location_id)s
            and report_date between %(first_day)s and %(last_day)s
            and report_date <> all(%(skipped_days)s::date[] || %(days)s::date[])
    """
    return int(fetch_one(conn, query, asdict(event) | {"days": news.days})[0])


def write_digests(conn: Connection, event: Event, news: News) -> None:
    """Writes the digests that the reports of a location have after an event, if they differ from before."""
    query = """
        insert into ops.report_digest as known (location_id, digests) values (%s, %s)
        on conflict (location_id) do update set digests = excluded.digests
        where known.digests <> excluded.digests
    """
    execute(conn, query, (event.location_id, pack(news.digests)))


@cache
def merge_statement(table: str) -> str:
    """`sql/load/merge.sql` with the names of one table; its values are placeholders."""
    key, values = key_columns(table), value_columns(table)
    stamps = _stamps(table)
    columns = ["location_id", *key, "cases_id", *values, *stamps]
    assignments = [f"{name} = difference.{name}" for name in values]
    assignments += [f"{name} = %({bound})s" for name, bound in stamps.items()]
    return read_sql("load/merge.sql").format(
        table=table,
        stage=stage_of(table),
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
    """Deletes all rows of some locations from the star, and from its history but for those of vintages.

    Their digests go too, so that the next load of each compares all reports.
    """
    delete = sql.SQL(
        "delete from {} where location_id = any(%s) and known_from not in (select known_at from ops.vintage)"
    )
    for table in TABLES:
        for name in (sql.Identifier("public", table), sql.Identifier("history", f"{table}_revision")):
            execute(conn, delete.format(name), (location_ids,))
    execute(conn, "delete from ops.report_digest where location_id = any(%s)", (location_ids,))


def count_of(metric: Metric, column: str) -> sql.Composed:
    """An expression that counts the values in a column of a metric; tables of tests hold other metrics too."""
    test = sql.SQL("test_id = {}").format(sql.Literal(metric.test_id)) if metric.test_id else sql.SQL("true")
    return sql.SQL("count({}) filter (where {})").format(sql.Identifier(column), test)


def _stamps(table: str) -> dict[str, str]:
    return REPORT_STAMPS if table == REPORT_TABLE else FACT_STAMPS


def stage_of(table: str) -> str:
    """The staging table of a table, which is the session's own."""
    return f"pg_temp.stage_{table}"


def _names(names: Iterable[str], prefix: str = "") -> str:
    return ", ".join(prefix + name for name in names)
