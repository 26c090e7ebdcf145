"""Writes `docs/data-dictionary.md` from the live schema's comments and the declaration: `make dictionary`.

Examples are of California and the nation on 2021-03-07, the last day, as the snapshot has them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from live_schema import Column, Table, fresh_database, read_tables
from psycopg2 import sql

from etl.database import Connection, fetch_all
from etl.declaration import CALCULATED, DETAIL_TABLE, NATION, REPORT_TABLE, SHAPES, STATE, TABLES, column_paths
from etl.pipeline import LoadOptions, run

TARGET = Path(__file__).resolve().parent.parent / "docs" / "data-dictionary.md"
SCHEMAS = ("public", "mart", "history", "ops")
HEAD = """# Data dictionary

Made by `make dictionary` from the comments of the schema and from `etl/declaration.py`; a test fails when it is
out of date. "Path" is where a document of the API has the value, below `data`: N in the nation's, S in a state's.
"Null" says when a value may be missing: a null always means "not published", never zero. Examples are California (for
figures that only the nation has: the nation) on 2021-03-07.
"""


def main() -> None:
    """Writes the dictionary, with examples from a load of two locations."""
    with fresh_database() as conn:
        TARGET.write_text(dictionary(conn), encoding="utf-8")


def dictionary(conn: Connection) -> str:
    """The whole text; loads what the examples need into an empty schema."""
    run(conn, LoadOptions(source="snapshot", locations="us,ca"), {})
    tables = read_tables(conn, *SCHEMAS)
    return HEAD + "".join(line for table in tables for line in section(conn, table))


def section(conn: Connection, table: Table) -> Iterator[str]:
    """One table: its comment, then a row per column; a table of the history only what it adds."""
    yield f"\n## {table.full_name}\n\n{table.comment}\n"
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
            example(examples.get(column.name)), column.comment,
        )  # fmt: skip
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def column_is_copied(column: Column) -> bool:
    """Whether a history table has the column from the table whose rows it keeps."""
    return column.name not in ("known_to", "change", "changed_columns", "superseded_by_run_id")


# --- what a cell says ---


def unit(table: Table, column: Column) -> str:
    """What the number counts; empty where it is no measure."""
    if table.name not in TABLES or column.name not in measured(table.name):
        return ""
    if column.name.endswith("_percent"):
        return "percent"
    if table.name == DETAIL_TABLE:
        return "test_dimension.unit"
    return "tests" if table.name == "testing_fact" else "people"


def measured(table: str) -> set[str]:
    """The columns of a table that are measures."""
    if table == REPORT_TABLE:
        return set()
    if table == DETAIL_TABLE:
        return {"value", *CALCULATED}
    return set(column_paths(table, STATE)) | set(column_paths(table, NATION))


def path(table: Table, column: Column) -> str:
    """Where documents have the value, of both kinds where they differ."""
    if table.schema != "public" or table.name not in TABLES:
        return ""
    if column.name == "report_date":
        return "`date`"
    if table.name == DETAIL_TABLE:
        below = {"value": "value"} | {name: f"calculated.{name}" for name in CALCULATED}
        return f"S `tests.TYPE.UNIT.RESULT.{below[column.name]}`" if column.name in below else ""
    found = {shape.name[0].upper(): column_paths(table.name, shape).get(column.name) for shape in SHAPES}
    if found["N"] == found["S"]:
        return f"`{found['N']}`" if found["N"] else ""
    return ", ".join(f"{kind} `{each}`" for kind, each in found.items() if each)


def null_rule(table: Table, column: Column) -> str:
    """When the value may be missing."""
    if table.schema == "mart":
        return ""
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


def example_row(conn: Connection, table: Table) -> dict[str, Any]:
    """Values of one typical row by column: California's, and the nation's where California has none."""
    names = [column.name for column in table.columns]
    where = "where location_id = {} and report_date = '2021-03-07'" if table.name in TABLES else ""
    found: dict[str, Any] = {}
    for location in (6, 0):
        query = sql.SQL("select {columns} from {table} {where} order by 1, 2 limit 1").format(
            columns=sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in names),
            table=sql.Identifier(table.schema, table.name),
            where=sql.SQL(where).format(sql.Literal(location)),
        )
        for row in fetch_all(conn, query) if table.schema == "public" else []:
            found = {name: found.get(name) or value for name, value in zip(names, row, strict=True)}
    return {name: value for name, value in found.items() if name not in VARYING}


# What every load makes anew: an example of it would change the file with each making.
VARYING = ("known_from", "first_seen_at", "last_seen_at", "run_id", "document_id", "sites")


def example(value: str | None) -> str:
    """A value as code, or nothing."""
    return f"`{value}`" if value else ""


if __name__ == "__main__":
    main()
