"""Writes `docs/data-dictionary.md` from the live schema's comments and the declaration: `make dictionary`.

The examples are California's on 2021-03-07, the last day, or another location's where California has none.
"""

from collections.abc import Iterator
from pathlib import Path

from live_schema import Column, Table, fresh_database, read_functions, read_tables
from psycopg2 import sql

from etl.database.connection import Connection, fetch_all
from etl.run.pipeline import LoadOptions, run
from etl.transform.declaration import (
    CALCULATED,
    DETAIL_TABLE,
    NATION,
    REPORT_TABLE,
    SHAPES,
    STATE,
    TABLES,
    column_paths,
    value_columns,
)

TARGET = Path(__file__).resolve().parent.parent / "docs" / "data-dictionary.md"
VIEWS = "mart"
SCHEMAS = ("public", VIEWS, "history", "ops")
HEAD = """# Data dictionary

Made by `make dictionary` from the comments of the schema and from `etl/transform/declaration.py`; a test fails when
it is out of date. "Path" is where a document of the API has the value, below `data`: N in the nation's, S in a
state's. "Null" says when a value may be missing: a null always means "not published", never zero. Examples are of
California on 2021-03-07 (or its last full week); where it has no value, of the location whose code stands behind the
example.

Tables: {tables}.

Views for analysts: {views}; and [functions](#functions) that show the past. `main.py psql` finds
them without `mart.`; questions that they answer are in [sql/examples](../sql/examples).
"""


def main() -> None:
    """Writes the dictionary, with examples from the snapshot."""
    with fresh_database() as conn:
        run(conn, LoadOptions(source="snapshot"), {})
        TARGET.write_text(dictionary(conn), encoding="utf-8")


def dictionary(conn: Connection) -> str:
    """The whole text; the database has the snapshot."""
    tables = read_tables(conn, *SCHEMAS)
    head = HEAD.format(
        tables=", ".join(link(table) for table in tables if table.schema != VIEWS),
        views=", ".join(link(table) for table in tables if table.schema == VIEWS),
    )
    return head + "".join(line for table in tables for line in section(conn, table)) + "".join(functions(conn))


def link(table: Table) -> str:
    """A link to the section of a table."""
    return f"[{table.full_name}](#{table.full_name.replace('.', '')})"


def functions(conn: Connection) -> Iterator[str]:
    """A row per function that returns rows."""
    yield "\n## Functions\n\n`mart.vintage_of(date)` is the instant of what a reader saw on an evening of the past.\n"
    yield "\n| function | rows as of | meaning |\n|---|---|---|\n"
    for function in read_functions(conn, *SCHEMAS):
        yield f"| `{function.call}` | `{function.rows_of}` | {function.comment} |\n"


def section(conn: Connection, table: Table) -> Iterator[str]:
    """A table with its comment and a row per column, or for a table of the history per column that it adds."""
    yield f"\n## {table.full_name}\n\n{table.comment}\n"
    if table.schema == VIEWS:
        yield from view_columns(conn, table)
        return
    current = table.name.removesuffix("_revision")
    added = table.columns
    if table.schema == "history":
        yield f"\nThe columns of [{current}](#{current}), and:\n"
        added = tuple(column for column in table.columns if not column_is_copied(column))
    yield "\n| column | type | unit | path | null | example | meaning |\n|---|---|---|---|---|---|---|\n"
    examples = example_row(conn, table)
    for column in added:
        cells = (
            f"`{column.name}`", column.type, unit(table, column), path(table, column), null_rule(table, column),
            examples.get(column.name, ""), column.comment,
        )  # fmt: skip
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def view_columns(conn: Connection, view: Table) -> Iterator[str]:
    """A row per column of a view; its comments say the units and the nulls."""
    yield "\n| column | type | example | meaning |\n|---|---|---|---|\n"
    examples = example_row(conn, view)
    for column in view.columns:
        yield f"| `{column.name}` | {column.type} | {examples.get(column.name, '')} | {column.comment} |\n"


def column_is_copied(column: Column) -> bool:
    """Whether a history table has the column from the table whose rows it keeps."""
    return column.name not in ("known_to", "change", "changed_columns", "superseded_by_run_id")


# --- cells ---


def unit(table: Table, column: Column) -> str:
    """The unit of a measure; empty for another column."""
    if table.name not in TABLES or table.name == REPORT_TABLE or column.name not in value_columns(table.name):
        return ""
    if column.name.endswith("_percent"):
        return "percent"
    if table.name == DETAIL_TABLE:
        return "test_dimension.unit"
    return "tests" if table.name == "testing_fact" else "people"


def path(table: Table, column: Column) -> str:
    """The path of a value in documents, and both paths where the nation's and the states' differ."""
    if table.schema != "public" or table.name not in TABLES:
        return ""
    if column.name == "report_date":
        return "`date`"
    if table.name == DETAIL_TABLE:
        below = {"value": "value"} | {name: f"calculated.{name}" for name in CALCULATED}
        return f"S `tests.TYPE.UNIT.RESULT.{below[column.name]}`" if column.name in below else ""
    found = {shape.name[0].upper(): column_paths(table.name, shape).get(column.name) for shape in SHAPES.values()}
    if found["N"] == found["S"]:
        return f"`{found['N']}`" if found["N"] else ""
    return ", ".join(f"{kind} `{each}`" for kind, each in found.items() if each)


def null_rule(table: Table, column: Column) -> str:
    """The reasons why a value may be missing."""
    if column.required:
        return "never"
    if table.schema != "public" or table.name not in TABLES:
        return "see meaning"
    if table.name == DETAIL_TABLE:
        return "not published"
    states, nation = (column.name in column_paths(table.name, shape) for shape in (STATE, NATION))
    if states and nation:
        return "not published"
    return "for the nation; not published" if states else "for states"


def example_row(conn: Connection, table: Table) -> dict[str, str]:
    """The values of a typical row by column: California's, or another location's with its code."""
    names = [column.name for column in table.columns]
    found: dict[str, str] = {}
    for place, condition in example_conditions(table):
        query = sql.SQL("select {columns} from {table} where {condition} order by 1, 2, 3, 4 limit 1").format(
            columns=sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in names),
            table=sql.Identifier(table.schema, table.name),
            condition=sql.SQL(condition),
        )
        for row in fetch_all(conn, query):
            found = {name: example(value, place) for name, value in zip(names, row, strict=True) if value} | found
    return {name: value for name, value in found.items() if name not in VARYING}


def example_conditions(table: Table) -> list[tuple[str, str]]:
    """The conditions on the rows for examples, the preferred one first; others come with the code to name."""
    if table.schema == VIEWS:
        if "location_code" not in {column.name for column in table.columns}:
            return [("", "true")]
        day = (
            "week_type = 'mmwr' and last_day = '2021-03-06'"
            if table.name == "weekly"
            else "report_date = '2021-03-07'"
        )
        return [
            ("" if code == "CA" else code, f"location_code = '{code}' and {day}") for code in ("CA", "US", "IA", "AL")
        ]
    if table.schema != "public":
        return []
    if table.name in TABLES:
        return [
            ("", "location_id = 6 and report_date = '2021-03-07'"),
            ("US", "location_id = 0 and report_date = '2021-03-07'"),
        ]
    return [("", "location_code = 'CA'" if table.name == "location_dimension" else "true")]


# The columns that each load fills anew, so that an example would change the file each time it is made.
VARYING = (
    "known_from", "first_seen_at", "last_seen_at", "run_id", "document_id", "sites", "started_at", "ended_at",
    "seconds", "version", "min_lag", "max_lag", "lag_near_latest",
)  # fmt: skip


def example(value: str, place: str) -> str:
    """A value as code, with its location unless that goes without saying."""
    return f"`{value}` ({place})" if place else f"`{value}`"


if __name__ == "__main__":
    main()
