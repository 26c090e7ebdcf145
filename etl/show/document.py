"""The stored bytes of documents, and the place of a loaded figure in them."""

import json
import re
import shlex
from datetime import date
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from etl.config import command
from etl.database.connection import Connection, fetch_all, read_sql, rows_of
from etl.errors import UsageError
from etl.load import events, locations, rules
from etl.transform import departures
from etl.transform.declaration import REPORT_TABLE, Shape
from etl.transform.drift import Alias


class Column(Struct, frozen=True):
    """The table and column of a figure, and its path in a report; `test_id` is the kind of test, if it is of one."""

    table: str
    name: str
    path: str
    test_id: int | None = None


class Figure(Struct, frozen=True):
    """A figure of the star as text, with the document that brought its row: a row of `sql/document/figure.sql`.

    `place` is its place in the document in the words of jq, None where it is not known.
    """

    column: Column
    location: str
    date: str
    value: str | None
    document_id: int
    sha256: str
    source: str
    address: str
    run_id: int
    known_from: str
    is_pruned: bool
    place: str | None = None

    def as_lines(self) -> list[str]:
        """The figure in words, with the command that shows it in its document."""
        column, place = self.column, "its place there has a name that no alias of now leads to"
        if self.is_pruned:
            place = "the bytes of the document were pruned"
        elif self.place:
            place = f"its place there: {command(f'document {self.document_id}')} | jq {shlex.quote(self.place)}"
        value = "null" if self.value is None else self.value
        test = f" of test {column.test_id}" if column.test_id else ""
        return [
            f"{column.table}.{column.name}{test}, {self.location}, {self.date}: {value}",
            f"known from {self.known_from}, by run {self.run_id}",
            f"document {self.document_id}: {self.address} of {self.source}, sha256 {self.sha256}",
            place,
        ]


def body_of(conn: Connection, document_id: int) -> bytes:
    """The stored bytes of a document, decompressed; raises `UsageError` where there are none."""
    found = fetch_all(conn, "select body is null from ops.document where document_id = %s", (document_id,))
    if found == [(False,)]:
        return events.stored_document(conn, document_id).body
    reason = f"the bytes of document {document_id} were pruned" if found else f"there is no document {document_id}"
    raise UsageError(f"{reason}; `{command('status')}` numbers those that were rejected")


def figure(conn: Connection, code: str, day: date, name: str) -> Figure:
    """The figure of one location and day in a column, such as `total_deaths`, or at a path, as of a kind of test.

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
    found = rows_of(conn, partial(Figure, column=column), query, bound)
    if not found:
        raise UsageError(f"{column.table} has no row of {location.code}, {day}")
    if found[0].is_pruned:
        return found[0]
    body, aliases = body_of(conn, found[0].document_id), rules.read(conn).of(location).aliases
    return replace(found[0], place=_place(body, found[0].date, column.path, location.shape, aliases))


def _columns(shape: Shape) -> dict[str, Column]:
    """The columns by their path, and those that hold one metric alone also by their name."""
    columns = [Column(REPORT_TABLE, part.column, part.path) for part in shape.attributes]
    for metric in shape.metrics:
        columns += [Column(metric.table, name, path, metric.test_id) for name, path in metric.columns.items()]
    by_path = {path: column for column in columns for path in (column.path, column.path.removesuffix(".value"))}
    return by_path | {column.name: column for column in columns if not column.test_id}


def _place(body: bytes, day: str, path: str, shape: Shape, aliases: tuple[Alias, ...]) -> str | None:
    """The place of what the program reads at a path of the report of a day; None where the aliases of now find none.

    Each report is read as a load reads it, but with the place of each value in place of the value.
    """
    values: dict[str, Any] = {}
    places = {"data": _places(msgspec.json.decode(body)["data"], ".data", values)}
    departures.adapt(places, shape, aliases, ())
    reports = places["data"] if isinstance(places["data"], list) else [places["data"]]
    found = (
        departures.find(report, path) for report in reports if values.get(departures.find(report, "date")) == day
    )
    return next((place for place in found if place in values), None)


def _places(value: Any, place: str, values: dict[str, Any]) -> Any:
    """The value with the place of each leaf in the words of jq instead of it; `values` takes the leaves by place."""
    if isinstance(value, list):
        return [_places(item, f"{place}[{number}]", values) for number, item in enumerate(value)]
    if isinstance(value, dict):
        return {name: _places(part, f"{place}{_step(name)}", values) for name, part in value.items()}
    values[place] = value
    return place


def _step(name: str) -> str:
    return f".{name}" if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else f"[{json.dumps(name)}]"
