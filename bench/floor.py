"""The floor: typed decode and bare COPY of the same values, one thing at a time.

    python -m bench.floor URL DSN

Unlogged tables without keys, checks or generated columns; no history, no provenance, no hashes, one transaction.
Decoder, rows and rendering are copies of the loader's as they once were: a loader that gets better at these gets
nearer to the floor. The declaration of the columns alone is shared.
"""

import io
import sys
from collections.abc import Callable
from datetime import date, datetime
from operator import attrgetter
from typing import Annotated, Any

import msgspec
import psycopg2
import requests
from msgspec import Meta, defstruct

from etl.transform.declaration import (
    CALCULATED,
    DETAIL_TABLE,
    NATION,
    REPORT_TABLE,
    STATE,
    TABLES,
    Shape,
    column_paths,
    key_columns,
    value_columns,
)

MAX_BIGINT = 2**63 - 1
Count = Annotated[int, Meta(ge=0, le=MAX_BIGINT)]
Text = Annotated[str, Meta(pattern=r"^[^\x00]*\Z")]
Instant = Annotated[datetime, Meta(tz=True)]
TYPES: dict[str, Any] = {
    "count": Count,
    "change": Annotated[int, Meta(ge=-MAX_BIGINT, le=MAX_BIGINT)],
    "percent": Annotated[float, Meta(ge=0)],
    "percent_change": Annotated[float, Meta(ge=-100)],
    "text": Text,
    "instant": Instant,
}

Row = tuple[Any, ...]
Rows = dict[str, list[Row]]
Read = Callable[[Any], Row]
NOT_PUBLISHED: Row = (None,) * (1 + len(CALCULATED))


# --- decoding ---


def make_decoder(shape: Shape) -> Any:
    """The decoder of a history."""
    definition = defstruct(
        "FieldDefinition",
        [("name", Text), ("deprecated", bool, False), ("prior_names", list[Text], []), ("field", Text | None, None)],
        gc=False,
    )
    definitions: Any = list[definition]  # type: ignore[valid-type]  # a type made at run time
    named: list[Any] = [("license", Any, None), ("version", Any, None), ("field_definitions", definitions, [])]
    meta = record_type("Meta", [("build_time", Instant), *named])
    report = tree_type("Report", report_tree(shape))
    reports: Any = list[report]  # type: ignore[valid-type]  # a type made at run time
    return msgspec.json.Decoder(record_type("Document", [("meta", meta), ("data", reports), ("links", Any, None)]))


def report_tree(shape: Shape) -> dict[str, Any]:
    """The structure of a report, as nested dicts with a type at each leaf."""
    tree: dict[str, Any] = {"date": date} | ({"state": str} if shape is STATE else {})
    for attribute in shape.attributes:
        kind = TYPES[attribute.kind]
        plant(tree, attribute.path, kind | None if attribute.nullable else kind)
    for metric in shape.metrics:
        plant(tree, f"{metric.path}.value", Count | None)
        for name in metric.calculated:
            plant(tree, f"{metric.path}.calculated.{name}", TYPES[CALCULATED[name]] | None)
    return tree


def plant(tree: dict[str, Any], path: str, leaf: Any) -> None:
    """Puts a leaf into nested dicts at a dotted path."""
    *parents, name = path.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
    tree[name] = leaf


def tree_type(name: str, tree: dict[str, Any]) -> Any:
    """The record type of nested dicts."""
    fields = [(key, tree_type(key, leaf) if isinstance(leaf, dict) else leaf) for key, leaf in tree.items()]
    return record_type(name, fields)


def record_type(name: str, fields: Any) -> Any:
    """A type that knows its fields and no others."""
    return defstruct(name, fields, forbid_unknown_fields=True, gc=False)


# --- rows ---


def make_reader(shape: Shape) -> Callable[[bytes], Rows]:
    """A function that reads a history into rows by table."""
    decoder = make_decoder(shape)
    facts = [table for table in TABLES if table != DETAIL_TABLE]
    readers = {table: attrgetter("date", *column_paths(table, shape).values()) for table in facts}
    details = [(metric.test_id, padded(tuple(metric.columns.values()))) for metric in shape.metrics if metric.test_id]

    def read_history(body: bytes) -> Rows:
        reports = decoder.decode(body).data
        rows = {table: list(map(read, reports)) for table, read in readers.items()}
        return rows | {DETAIL_TABLE: detail_rows(reports, details)}

    return read_history


def padded(paths: tuple[str, ...]) -> Read:
    """A reader of five numbers; one that is not published reads as null."""
    read, padding = attrgetter(*paths), NOT_PUBLISHED[len(paths) :]
    return (lambda report: read(report) + padding) if padding else read


def detail_rows(reports: list[Any], readers: list[tuple[int, Read]]) -> list[Row]:
    """A row per report and test, where anything of it is published."""
    return [
        (report.date, test_id, *values)
        for report in reports
        for test_id, read in readers
        if (values := read(report)) != NOT_PUBLISHED
    ]


def column_names(table: str, shape: Shape) -> str:
    """The columns of a table's rows, as COPY names them."""
    values = ("value", *CALCULATED) if table == DETAIL_TABLE else tuple(column_paths(table, shape))
    return ", ".join((*key_columns(table), *values))


# --- rendering ---


def render(table: str, rows: list[Row]) -> str:
    """Rows as COPY reads them; null is `None`."""
    as_text = escaped if table == REPORT_TABLE else str
    return "\n".join(["\t".join(map(as_text, row)) for row in rows])


def escaped(value: object) -> str:
    """A value of a table that has text columns."""
    if not isinstance(value, str):
        return str(value)
    if value == "None":
        return "\\None"
    for character, escape in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        value = value.replace(character, escape)
    return value


def main(url: str, dsn: str) -> None:
    """Loads every document once."""
    connection, session = psycopg2.connect(dsn), requests.Session()
    cursor = connection.cursor()
    cursor.execute("create schema floor")
    for table in TABLES:
        names = ", ".join((*key_columns(table), *value_columns(table)))
        cursor.execute(
            f"create unlogged table floor.{table} as select location_id, {names} from public.{table} with no data"
        )
    readers = {shape: make_reader(shape) for shape in (NATION, STATE)}
    cursor.execute("select location_id, location_code from public.location_dimension order by 1")
    for location_id, code in cursor.fetchall():
        shape = STATE if location_id else NATION
        address = f"states/{code.lower()}/daily.json" if location_id else "us/daily.json"
        for table, rows in readers[shape](session.get(f"{url}/{address}").content).items():
            cursor.execute(f"alter table floor.{table} alter column location_id set default {location_id}")
            copy = f"copy floor.{table} ({column_names(table, shape)}) from stdin with (null 'None')"
            cursor.copy_expert(copy, io.StringIO(render(table, rows)))
    connection.commit()


if __name__ == "__main__":
    main(*sys.argv[1:])
