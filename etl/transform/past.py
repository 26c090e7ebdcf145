"""The past: what the source published before the first load, folded from the changes from one vintage to the next.

A vintage is everything that was published at one time. The file of a location holds only changes, by day of the
report and then by vintage, such as `["2020-03-04", 12, "c", {"cases.total": 53}]`. Its kinds are those of the
changes: `r` the report is new, `n` a value is published for the first time (no revision), `c` a value changed, `f`
null became a value, `w` a value was withdrawn, `x` the report was withdrawn. `tools/build_past.py` makes the files
and their index.
"""

import hashlib
from collections.abc import Collection
from datetime import date, datetime
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import Any, Literal, TypedDict

import msgspec

from etl.errors import DocumentError
from etl.transform.declaration import DETAIL_TABLE, REPORT_TABLE, TABLES, Shape, column_paths, key_columns
from etl.transform.records import TYPES, Instant, Signed, Text, read
from etl.transform.rows import Rows

# A table, and the number of the kind of test where the table has one row for each.
_Place = tuple[str, tuple[int, ...]]


class Columns(list[str]):
    """Names of columns; as text they are an array of Postgres."""

    def __str__(self) -> str:
        return f"{{{','.join(self)}}}"


# A row that is believed: since when, the columns that changed then, and its values by column.
_Belief = tuple[datetime, Columns, dict[str, Any]]


class Vintage(msgspec.Struct):
    """When a vintage was known, the paths that it carried, and where it was found.

    `exactness` is `commit` if `known_at` is that of a robot's copy, `bound` if it is the latest possible time.
    """

    known_at: Instant
    exactness: Literal["commit", "bound"]
    paths: list[Text]
    origin: Text


class Series(msgspec.Struct):
    """The vintages of the nation or the states, the oldest first, and the SHA-256 of the file that they come from."""

    sha256: Text
    vintages: list[Vintage]


class Index(msgspec.Struct):
    """The series by the name of their shape, and the SHA-256 of the file of each location by its code."""

    series: dict[str, Series]
    sha256: dict[str, Text]


def read_index(body: bytes) -> Index:
    """The index of the past; raises `DocumentError` or `ContractError`."""
    return read(body, msgspec.json.Decoder(Index))


def columns(table: str, shape: Shape) -> tuple[str, ...]:
    """The columns of the rows that `versions` makes for a table, without those that the source calculates."""
    return (*key_columns(table), *measures(table, shape), "known_from", "known_to", "change", "changed_columns")


def versions(body: bytes, location_code: str, shape: Shape, index: Index) -> Rows:
    """Every version of every row of a location, by table; raises `DocumentError` if the body is not the shipped one.

    `known_to`, `change` and the list of `changed_columns` tell how a version ended; they are null in the last one.
    """
    if hashlib.sha256(body).hexdigest() != index.sha256.get(location_code):
        raise DocumentError(f"the past of {location_code} is not the shipped one: its sha256 is not the index's")
    rows: Rows = {table: [] for table in TABLES}
    vintages = index.series[shape.name].vintages
    for day, deltas in groupby(read(body, _decoder(shape)), attrgetter("day")):
        report = _Report(day, shape, rows)
        for delta in deltas:
            report.apply(delta, vintages[delta.vintage].known_at)
        report.end_all(None, None, None)
    return rows


class _Report:
    """One report while its changes are read, with the row that is believed at each of its places in the star."""

    def __init__(self, day: date, shape: Shape, rows: Rows) -> None:
        self.day, self.shape, self.rows, self.targets = day, shape, rows, _targets(shape)
        self.believed: dict[_Place, _Belief] = {}

    def apply(self, delta: Any, now: datetime) -> None:
        """Applies one change to the report."""
        if delta.kind == "r":
            nulls = _unpublished(self.shape).items()
            self.believed = {place: (now, Columns(), dict(values)) for place, values in nulls}
        elif delta.kind == "x":
            self.end_all(now, "withdrawn", Columns())
        for path, value in delta.cells.items():
            place, column = self.targets[path]
            # A kind of test has a row only where it has a value.
            if place[1] and value is None:
                self._end(place, now, "withdrawn", Columns())
                continue
            _, revised, values = self._belief(place, now)
            values[column] = value
            if delta.kind in "cfw":
                revised.append(column)

    def _belief(self, place: _Place, now: datetime) -> _Belief:
        """The row as of a vintage; its first change ends the row before, and its other changes fill in both."""
        known = self.believed.get(place)
        if known is None or known[0] != now:
            revised = Columns()
            self._end(place, now, "revised", revised)
            self.believed[place] = (now, revised, dict(known[2]) if known else {})
        return self.believed[place]

    def end_all(self, *ending: Any) -> None:
        """Ends every row that is believed, as `_end` does."""
        for place in list(self.believed):
            self._end(place, *ending)

    def _end(self, place: _Place, *ending: Any) -> None:
        """Ends the row that is believed, if there is one; `ending` is when, by which change, and in which columns."""
        if belief := self.believed.pop(place, None):
            (table, test), (since, _, values) = place, belief
            self.rows[table].append((self.day, *test, *values.values(), since, *ending))


def carried_columns(table: str, shape: Shape, paths: Collection[str]) -> list[str]:
    """The columns of a table that some paths feed."""
    fed = {column for path, (place, column) in _targets(shape).items() if path in paths and place[0] == table}
    return [column for column in measures(table, shape) if column in fed]


def labels(shape: Shape) -> dict[str, str]:
    """Path -> its table and column, with the number of a kind of test."""
    attributes = {part.path: f"{REPORT_TABLE}.{part.column}" for part in shape.attributes}
    return attributes | {metric.path: metric.label for metric in shape.metrics}


def measures(table: str, shape: Shape) -> list[str]:
    """The columns of a table that the source did not calculate."""
    return [column for column, path in column_paths(table, shape).items() if ".calculated." not in path]


@cache
def _unpublished(shape: Shape) -> dict[_Place, dict[str, None]]:
    """The rows that every report has, without a value."""
    return {(table, ()): dict.fromkeys(measures(table, shape)) for table in TABLES if table != DETAIL_TABLE}


@cache
def _targets(shape: Shape) -> dict[str, tuple[_Place, str]]:
    """Path -> the place and the column that it feeds."""
    targets: dict[str, tuple[_Place, str]] = {
        metric.path: ((metric.table, (metric.test_id,) if metric.test_id else ()), metric.measure)
        for metric in shape.metrics
    }
    return targets | {part.path: ((REPORT_TABLE, ()), part.column) for part in shape.attributes}


@cache
def _decoder(shape: Shape) -> "msgspec.json.Decoder[Any]":
    """The decoder of a location's file; a count may be below zero, since the past is kept as it was published."""
    cells = {attribute.path: TYPES[attribute.kind] | None for attribute in shape.attributes}
    cells |= {metric.path: Signed | None for metric in shape.metrics}
    typed = TypedDict("typed", cells, total=False)  # type: ignore[misc]  # a type made at run time
    fields = [("day", date), ("vintage", int), ("kind", Literal["r", "n", "c", "f", "w", "x"]), ("cells", typed)]
    delta = msgspec.defstruct("Delta", fields, array_like=True, gc=False)
    return msgspec.json.Decoder(list[delta])  # type: ignore[valid-type]  # a type made at run time
