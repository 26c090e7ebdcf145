"""Flattens the records of a document into rows for each table of the star, and renders the rows for COPY."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

from msgspec import Struct

from etl.transform.declaration import (
    CALCULATED,
    DETAIL_TABLE,
    REPORT_TABLE,
    TABLES,
    Metric,
    Shape,
    column_paths,
    key_columns,
)

Row = tuple[Any, ...]
Rows = dict[str, list[Row]]

_NOT_PUBLISHED: Row = (None,) * (1 + len(CALCULATED))


class CopyText(Struct, frozen=True):
    """The rows for one table in COPY's text format, in which `None` is null."""

    columns: tuple[str, ...]
    text: str
    count: int


def columns(table: str, shape: Shape) -> tuple[str, ...]:
    """The columns of the rows that `flatten` makes for a table: its key, then what the shape feeds."""
    values = ("value", *CALCULATED) if table == DETAIL_TABLE else column_paths(table, shape)
    return (*key_columns(table), *values)


def flatten(reports: Sequence[Any], shape: Shape) -> Rows:
    """The rows of reports for each table, without the location."""
    tables = [table for table in TABLES if table != DETAIL_TABLE]
    rows = {table: list(map(attrgetter("date", *column_paths(table, shape).values()), reports)) for table in tables}
    return rows | {DETAIL_TABLE: _details(reports, shape)}


def _details(reports: Sequence[Any], shape: Shape) -> list[Row]:
    """One row per report and kind of test, where any of its five numbers is published."""
    metrics = {metric.test_id: metric for metric in shape.metrics if metric.test_id}
    if not metrics:
        return []
    tests_of = attrgetter(*(metric.path for metric in metrics.values()))
    readers = [(test_id, *_reader(metric)) for test_id, metric in metrics.items()]
    return [
        (report.date, test_id, *values, *padding)
        for report in reports
        for test, (test_id, read, nothing, padding) in zip(tests_of(report), readers, strict=True)
        if (values := read(test)) != nothing
    ]


def _reader(metric: Metric) -> tuple[Callable[[Any], Row], Row, Row]:
    """A reader of the numbers of a test, its result if none is published, and a null for each number it lacks."""
    read = attrgetter("value", *(f"calculated.{name}" for name in metric.calculated))
    size = 1 + len(metric.calculated)
    return read, _NOT_PUBLISHED[:size], _NOT_PUBLISHED[size:]


def copy_texts(reports: Sequence[Any], shape: Shape) -> dict[str, CopyText]:
    """The rows of reports for each table, rendered for COPY."""
    return {table: render(table, columns(table, shape), rows) for table, rows in flatten(reports, shape).items()}


def render(table: str, columns: tuple[str, ...], rows: list[Row]) -> CopyText:
    """Renders rows for COPY; null is Python's own word `None`, which costs no replacement."""
    line = "\t".join(["%s"] * len(columns))
    if table == REPORT_TABLE:
        rows = [tuple([_escaped(value) if isinstance(value, str) else value for value in row]) for row in rows]
    return CopyText(columns, "\n".join([line % row for row in rows]), len(rows))


@lru_cache(maxsize=1000)  # few texts are published, each many times
def _escaped(value: str) -> str:
    """A text for COPY; the text `None` gets a backslash, which tells it from null."""
    if value == "None":
        return "\\None"
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
