"""The stored bytes of documents, and the place of a loaded figure in them."""

from datetime import date
from typing import Any

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import asdict

from etl.config import command
from etl.database.connection import Connection, fetch_all, read_sql, rows_of
from etl.errors import UsageError
from etl.load import events, locations, rules
from etl.transform.declaration import REPORT_TABLE, Shape
from etl.transform.departures import find
from etl.transform.drift import Alias


class Column(Struct, frozen=True):
    """The place of a figure in the star, and its path in a report."""

    table: str
    name: str
    path: str
    test_id: int | None = None


class Origin(Struct, frozen=True):
    """A figure as text, and the document that brought its row: a row of `sql/document/figure.sql`."""

    value: str | None
    document_id: int
    sha256: str
    source: str
    address: str
    run_id: int
    known_from: str
    is_pruned: bool


class Figure(Struct, frozen=True):
    """A figure of the star with its origin, and its `place` in that document; None where the bytes were pruned."""

    location: str
    day: date
    column: Column
    origin: Origin
    place: str | None

    def as_json(self) -> dict[str, Any]:
        """The figure as `document --json` prints it."""
        table, name = self.column.table, self.column.name
        where = {"location": self.location, "date": str(self.day), "table": table, "column": name}
        return where | {"test_id": self.column.test_id} | asdict(self.origin) | {"place": self.place}

    def as_lines(self) -> list[str]:
        """The figure in words, with the command that shows it in its document."""
        origin, test = self.origin, f" of test {self.column.test_id}" if self.column.test_id else ""
        shown = command(f"document {origin.document_id} | jq '{self.place}'")
        return [
            f"{self.column.table}.{self.column.name}{test}, {self.location}, {self.day}: {origin.value or 'null'}",
            f"known from {origin.known_from}, by run {origin.run_id}",
            f"document {origin.document_id}: {origin.address} of {origin.source}, sha256 {origin.sha256}",
            f"its place there: {shown}" if self.place else "the bytes of the document were pruned",
        ]


def body_of(conn: Connection, document_id: int) -> bytes:
    """The stored bytes of a document, decompressed; raises `UsageError` where there are none."""
    found = fetch_all(conn, "select body is null from ops.document where document_id = %s", (document_id,))
    if not found:
        raise UsageError(f"there is no document {document_id}; `{command('status')}` numbers the rejected ones")
    if found[0][0]:
        raise UsageError(f"the bytes of document {document_id} were pruned")
    return events.stored_document(conn, document_id).body


def figure(conn: Connection, code: str, day: date, name: str) -> Figure:
    """The figure of one location and day in a column, such as `total_deaths`, or of a path, as of a kind of test.

    Raises `UsageError` for an unknown location or name, and where no such row is loaded.
    """
    location, *more = locations.choose(conn, code, "LOCATION")
    if more:
        raise UsageError(f"a figure is of one location, such as ca; {code} names {len(more) + 1}")
    column = _columns(location.shape).get(name)
    if not column:
        raise UsageError(
            f"no report of a {location.shape.name} has {name!r}: give a column of the star, such as total_deaths, "
            "or a path in a report, such as tests.pcr.people.positive"
        )
    query = read_sql("document/figure.sql").format(table=column.table)
    bound = {"location_id": location.location_id, "day": day, "column_name": column.name, "test_id": column.test_id}
    origins = rows_of(conn, Origin, query, bound)
    if not origins:
        raise UsageError(f"{column.table} has no row of {location.code}, {day}")
    place, aliases = None, rules.read(conn).of(location).aliases
    if not origins[0].is_pruned:
        place = _place(body_of(conn, origins[0].document_id), day, column.path, aliases)
    return Figure(location.code, day, column, origins[0], place)


def _columns(shape: Shape) -> dict[str, Column]:
    """The columns by their name and their path; those of kinds of test, which share names, by their path alone."""
    columns = [Column(REPORT_TABLE, part.column, part.path) for part in shape.attributes]
    for metric in shape.metrics:
        columns += [Column(metric.table, name, path, metric.test_id) for name, path in metric.columns.items()]
    by_path = {column.path.removesuffix(".value"): column for column in columns}
    return by_path | {column.name: column for column in columns if not column.test_id}


def _place(body: bytes, day: date, path: str, aliases: tuple[Alias, ...]) -> str | None:
    """The place of a path in the report of a day, in the words of jq; an alias may name another path for it."""
    data = msgspec.json.decode(body)["data"]
    renamed = [
        f"{alias.published}{path.removeprefix(alias.path)}"
        for alias in aliases
        if alias.published and f"{path}.".startswith(f"{alias.path}.")
    ]
    reports = (
        {f".data[{number}]": report for number, report in enumerate(data)}
        if isinstance(data, list)
        else {".data": data}
    )
    for place, report in reports.items():
        if report["date"] == str(day):
            return next((f"{place}.{name}" for name in (path, *renamed) if find(report, name) is not UNSET), None)
    return None
