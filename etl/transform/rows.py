"""Flattens the reports of a document into rows for each table of the star.

Pure, and driven by `etl.declaration`: records in, tuples out.
"""

from collections.abc import Callable, Iterable
from datetime import date
from functools import cache
from operator import attrgetter
from typing import Any

from etl.transform.declaration import CALCULATED, DETAIL_TABLE, TABLES, Shape, column_paths, key_columns

Row = tuple[Any, ...]
Rows = dict[str, list[Row]]

_NOT_PUBLISHED: Row = (None,) * (1 + len(CALCULATED))


def columns(table: str, shape: Shape) -> tuple[str, ...]:
    """The columns of the rows that `transform` makes for a table: its key, then what the shape feeds."""
    if table == DETAIL_TABLE:
        return (*key_columns(table), "value", *CALCULATED)
    return (*key_columns(table), *column_paths(table, shape))


def transform(reports: Iterable[Any], shape: Shape, first_day: date, last_day: date) -> Rows:
    """Rows for each table, of the reports from `first_day` to `last_day`, without the location."""
    chosen = [report for report in reports if first_day <= report.date <= last_day]
    rows = {
        table: list(map(_reader(("date", *column_paths(table, shape).values())), chosen))
        for table in TABLES
        if table != DETAIL_TABLE
    }
    return rows | {DETAIL_TABLE: _details(chosen, shape)}


def _details(reports: list[Any], shape: Shape) -> list[Row]:
    """One row per report and kind of test, where any of its five numbers is published."""
    readers = _detail_readers(shape)
    return [
        (report.date, test_id, *values)
        for report in reports
        for test_id, read in readers
        if (values := read(report)) != _NOT_PUBLISHED
    ]


@cache
def _detail_readers(shape: Shape) -> list[tuple[int, Callable[[Any], Row]]]:
    return [
        (metric.test.test_id, _padded_reader(tuple(metric.columns.values())))
        for metric in shape.metrics
        if metric.test
    ]


def _padded_reader(paths: tuple[str, ...]) -> Callable[[Any], Row]:
    """A reader of the five numbers of a test; an average that is not published reads as null."""
    read = _reader(paths)
    padding = _NOT_PUBLISHED[len(paths) :]
    return (lambda report: read(report) + padding) if padding else read


@cache
def _reader(paths: tuple[str, ...]) -> Callable[[Any], Row]:
    """A function that reads dotted paths of a record into a tuple; `attrgetter`, for its speed.

    With a single path `attrgetter` returns no tuple, so every path list names the date as well.
    """
    return attrgetter(*paths)
