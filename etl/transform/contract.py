"""Decodes a document of the API into typed records, or says everything that is wrong with it.

A document that holds exactly what `declaration.py` declares costs one strict pass. Any other is decoded untyped, and
`departures.py` passes over skipped reports, reads renamed paths under their old names, tells a new path, which loads,
from a broken one, which does not, and names every difference at once.
"""

import hashlib
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date, datetime, timedelta
from operator import attrgetter
from typing import Any, Literal

import msgspec
from msgspec import Struct

from etl.errors import ContractError
from etl.transform import departures
from etl.transform.declaration import FIRST_DAY, LAST_DAY, STATE, Shape
from etl.transform.drift import Alias, Change
from etl.transform.records import TOO_DEEP, DocumentMeta, decoder, read

# The furthest time zone from UTC that Postgres takes.
LARGEST_OFFSET = timedelta(hours=15, minutes=59)
# The decoder takes about a thousand levels, less those of the program itself.
MOST_LEVELS = 200
EMPTY_HISTORY = "data: a history without a single report"
# Values of a document, of which the largest real one has 100,000: each may take a hundred bytes of memory once it is
# decoded. A document with more than the first number is refused; all differences are named only in one with fewer
# than the second. A body below the size, twice that of the largest real one, cannot hold too many for the memory.
MOST_VALUES, MOST_EXPLAINED, UNCOUNTED_SIZE = 800_000, 400_000, 3 * 2**20


@dataclass(frozen=True, slots=True)
class Expected:
    """The document that was asked for, one location's history or its single `day`, and the rules of the database.

    An alias is read in a report that lacks the path that it stands for; reports of `skipped_days` are passed over.
    """

    shape: Shape
    location_code: str
    day: date | None = None
    aliases: tuple[Alias, ...] = ()
    skipped_days: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True)
class Document:
    """A decoded document, whose reports are records with the published structure, the newest first."""

    meta: DocumentMeta
    reports: list[Any]
    data_hash: str
    changes: tuple[Change, ...] = ()


class _Dated(Struct):
    date: date


class _Dates(Struct):
    data: list[_Dated]


_DATES, _ANYTHING = msgspec.json.Decoder(_Dates), msgspec.json.Decoder()
_JSON = msgspec.json.Decoder(msgspec.Raw)


def decode(body: bytes, expected: Expected) -> Document:
    """Decodes one document.

    Raises `DocumentError` where the body is no JSON, `ContractError` where it is JSON other than was asked for.
    """
    single = expected.day is not None
    changes: tuple[Change, ...] = ()
    if len(body) > UNCOUNTED_SIZE and _value_count(body) > MOST_VALUES:
        read(body, _JSON)
        raise ContractError(f"document: more than {MOST_VALUES} values")
    try:
        raw = read(body, decoder(expected.shape, single=single))
        data_hash = _hash(raw.data)
        _refuse_nesting([raw.meta.license, raw.meta.version, raw.links])
    except ContractError:
        if _value_count(body) > MOST_EXPLAINED:
            raise
        raw, data_hash, changes = _decode_departing(body, expected)
    reports = [raw.data] if single else raw.data
    if expected.skipped_days:
        reports = [report for report in reports if report.date not in expected.skipped_days]
    _check_identity(reports, expected)
    _check_instants(raw.meta.build_time, reports, expected.shape)
    return Document(raw.meta, reports, data_hash, changes)


def _value_count(body: bytes) -> int:
    """About how many values a body in JSON holds, at least."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def newest_day(body: bytes) -> date:
    """The newest day of a history, of which nothing else is read; raises as `decode` does."""
    if days := [report.date for report in read(body, _DATES).data]:
        return max(days)
    raise ContractError(EMPTY_HISTORY)


def _decode_departing(body: bytes, expected: Expected) -> tuple[Any, str, tuple[Change, ...]]:
    """The records, the hash of the data, and the changes of a document that departs from the declaration."""
    untyped = read(body, _ANYTHING)
    _refuse_nesting(untyped)
    data_hash = _hash(untyped.get("data"), "sorted") if isinstance(untyped, dict) else ""
    departures.adapt(untyped, expected.shape, expected.aliases, expected.skipped_days)
    raw, changes = departures.convert(untyped, expected.shape, single=expected.day is not None)
    return raw, data_hash, changes


def _refuse_nesting(value: Any, levels: int = MOST_LEVELS) -> None:
    """Raises `ContractError` for more levels than can be decoded in a replay as in a load."""
    if isinstance(value, dict | list):
        if not levels:
            raise ContractError(TOO_DEEP)
        for part in value.values() if isinstance(value, dict) else value:
            _refuse_nesting(part, levels - 1)


def _hash(data: Any, order: Literal["sorted"] | None = None) -> str:
    """A hash of the `data` subtree, equal for other orders of keys, other white space, and `-17.0` for `-17`."""
    return hashlib.sha256(msgspec.json.encode(data, order=order)).hexdigest()


def _check_identity(reports: list[Any], expected: Expected) -> None:
    """Refuses reports of another location or day than asked for, and impossible or repeated days."""
    seen: set[date] = set()
    for report in reports:
        day = report.date
        if expected.shape is STATE and report.state != expected.location_code:
            raise ContractError(f"data.state of {day} is {report.state!r:.40}, not {expected.location_code!r}")
        if expected.day and day != expected.day:
            raise ContractError(f"data.date is {day}, but {expected.day} was asked for")
        if day in seen:
            raise ContractError(f"data.date: {day} is there twice", days=(str(day),))
        if not FIRST_DAY <= day <= LAST_DAY:
            raise ContractError(f"data.date: {day} is outside {FIRST_DAY} to {LAST_DAY}", days=(str(day),))
        seen.add(day)
    if not reports:
        raise ContractError(EMPTY_HISTORY)


def _check_instants(build_time: datetime, reports: list[Any], shape: Shape) -> None:
    """Refuses times that Python or Postgres cannot hold in every time zone."""
    if not _is_storable(build_time):
        raise ContractError(f"meta.build_time is {build_time}, which the database cannot hold")
    for path in [attribute.path for attribute in shape.attributes if attribute.kind == "instant"]:
        instant_of = attrgetter(path)
        found = ((str(report.date), instant_of(report)) for report in reports)
        if broken := [(day, instant) for day, instant in found if instant and not _is_storable(instant)]:
            text = f"data.{path} of {broken[0][0]} is {broken[0][1]}, which the database cannot hold"
            raise ContractError(text, days=tuple(sorted(day for day, _ in broken)))


def _is_storable(instant: datetime) -> bool:
    # In some time zones a time of the first or the last year lies beyond Python's calendar.
    offset = instant.utcoffset() or timedelta()
    return MINYEAR < instant.year < MAXYEAR and -LARGEST_OFFSET <= offset <= LARGEST_OFFSET
