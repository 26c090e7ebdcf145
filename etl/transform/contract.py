"""Decodes a document of the API into typed records, or says everything that is wrong with it.

A document that holds exactly what `declaration.py` declares is decoded strictly, and only in its reports that are not
known. Any other document is decoded untyped. `departures.py` takes out its skipped reports, puts renamed paths under
their old names, and names every difference at once: a new path loads, any other difference breaks the document.
"""

import hashlib
from collections import Counter
from datetime import MAXYEAR, MINYEAR, date, datetime, timedelta
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Struct

from etl.errors import ContractError
from etl.transform import departures
from etl.transform.declaration import FIRST_DAY, LAST_DAY, STATE, Shape
from etl.transform.drift import Alias, Change
from etl.transform.news import NOTHING_KNOWN, Known
from etl.transform.records import TOO_DEEP, DocumentMeta, data_decoder, envelope_decoder, read

# The furthest time zone from UTC that Postgres takes.
LARGEST_OFFSET = timedelta(hours=15, minutes=59)
# The decoder takes about a thousand levels, and fewer the deeper the program's own calls are.
MOST_LEVELS = 200
EMPTY_HISTORY = "data: a history without a single report"
# The largest real document has 100,000 values, and a decoded value may take a hundred bytes of memory. A document
# with more than `MOST_VALUES` is refused. Only the first difference is named in one with more than `MOST_EXPLAINED`.
# A body of up to `UNCOUNTED_SIZE`, twice the largest real one, cannot hold too many values for the memory.
MOST_VALUES, MOST_EXPLAINED, UNCOUNTED_SIZE = 800_000, 400_000, 3 * 2**20


class Expected(Struct, frozen=True):
    """The document that was asked for, one location's history or its single `day`, and the rules of the database.

    An alias counts in a report without the path that it stands for; reports of `skipped_days` are passed over.
    """

    shape: Shape
    location_code: str
    day: date | None = None
    aliases: tuple[Alias, ...] = ()
    skipped_days: frozenset[date] = frozenset()


class Document(Struct, frozen=True):
    """A decoded document; its reports are records with the published structure, in the published order.

    `same_days` are the days of the known reports, which are not decoded again. `digests` are the digests of the
    decoded reports, by day. A document that departs from the declaration has neither.
    """

    meta: DocumentMeta
    reports: list[Any]
    same_days: list[date]
    digests: dict[date, bytes]
    data_hash: str
    changes: tuple[Change, ...] = ()


class _Dated(Struct):
    date: date


class _Dates(Struct):
    data: list[_Dated]


_DATES, _ANYTHING = msgspec.json.Decoder(_Dates), msgspec.json.Decoder()
_JSON = msgspec.json.Decoder(msgspec.Raw)


def decode(body: bytes, expected: Expected, known: Known = NOTHING_KNOWN) -> Document:
    """Decodes one document, but for the reports that are known.

    Raises `DocumentError` where the body is no JSON, `ContractError` where it is JSON other than was asked for.
    """
    if len(body) > UNCOUNTED_SIZE and _value_count(body) > MOST_VALUES:
        read(body, _JSON)
        raise ContractError(f"document: more than {MOST_VALUES} values")
    try:
        document = _decode_fitting(body, expected, known)
    except ContractError:
        if _value_count(body) > MOST_EXPLAINED:
            raise
        document = _decode_departing(body, expected)
    if expected.skipped_days:
        document.reports[:] = [report for report in document.reports if report.date not in expected.skipped_days]
    _check_identity(document, expected)
    _check_instants(document, expected.shape)
    return document


def _decode_fitting(body: bytes, expected: Expected, known: Known) -> Document:
    """A document that holds exactly what is declared."""
    envelope = read(body, envelope_decoder(single=expected.day is not None))
    _refuse_nesting([envelope.meta.license, envelope.meta.version, envelope.links])
    published = envelope.data if isinstance(envelope.data, list) else [envelope.data]
    hashes = [hashlib.sha256(report).digest() for report in published]
    digests = [known.digest(digest) for digest in hashes]
    day_of = known.days_by_digest
    same_days = [day_of[digest] for digest in digests if digest in day_of]
    news = [position for position, digest in enumerate(digests) if digest not in day_of]
    reports = read(b"[%b]" % b",".join([published[position] for position in news]), data_decoder(expected.shape))
    of_news = {report.date: digests[position] for report, position in zip(reports, news, strict=True)}
    return Document(envelope.meta, reports, same_days, of_news, hashlib.sha256(b"".join(hashes)).hexdigest())


def _value_count(body: bytes) -> int:
    """About how many values a body in JSON holds."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def newest_day(body: bytes) -> date:
    """The newest day of a history, whose other values are not read; raises as `decode` does."""
    if days := [report.date for report in read(body, _DATES).data]:
        return max(days)
    raise ContractError(EMPTY_HISTORY)


def _decode_departing(body: bytes, expected: Expected) -> Document:
    """A document that departs from the declaration, with its changes."""
    untyped, single = read(body, _ANYTHING), expected.day is not None
    _refuse_nesting(untyped)
    data = untyped.get("data") if isinstance(untyped, dict) else None
    data_hash = hashlib.sha256(msgspec.json.encode(data, order="sorted")).hexdigest()
    departures.adapt(untyped, expected.shape, expected.aliases, expected.skipped_days)
    raw, changes = departures.convert(untyped, expected.shape, single=single)
    return Document(raw.meta, [raw.data] if single else raw.data, [], {}, data_hash, changes)


def _refuse_nesting(value: Any, levels: int = MOST_LEVELS) -> None:
    """Raises `ContractError` for more levels than a load and a replay both can decode."""
    if isinstance(value, dict | list):
        if not levels:
            raise ContractError(TOO_DEEP)
        for part in value.values() if isinstance(value, dict) else value:
            _refuse_nesting(part, levels - 1)


def _check_identity(document: Document, expected: Expected) -> None:
    """Refuses reports of another location or day than asked for, and impossible or repeated days."""
    for report in document.reports:
        if expected.shape is STATE and report.state != expected.location_code:
            raise ContractError(
                f"data.state of {report.date} is {report.state!r:.40}, not {expected.location_code!r}"
            )
        if expected.day and report.date != expected.day:
            raise ContractError(f"data.date is {report.date}, but {expected.day} was asked for")
    count_by_day = Counter([*document.same_days, *(report.date for report in document.reports)])
    _refuse_days(sorted(day for day, count in count_by_day.items() if count > 1), "is there twice")
    outside = sorted(day for day in count_by_day if not FIRST_DAY <= day <= LAST_DAY)
    _refuse_days(outside, f"is outside {FIRST_DAY} to {LAST_DAY}")
    if not count_by_day:
        raise ContractError(EMPTY_HISTORY)


def _refuse_days(days: list[date], reason: str) -> None:
    if days:
        raise ContractError(f"data.date: {days[0]} {reason}", days=tuple(map(str, days)))


def _check_instants(document: Document, shape: Shape) -> None:
    """Refuses times that Python or Postgres cannot hold in every time zone."""
    if not _is_storable(document.meta.build_time):
        raise ContractError(f"meta.build_time is {document.meta.build_time}, which the database cannot hold")
    for path in [attribute.path for attribute in shape.attributes if attribute.kind == "instant"]:
        instant_of = attrgetter(path)
        found = ((str(report.date), instant_of(report)) for report in document.reports)
        if broken := [(day, instant) for day, instant in found if instant and not _is_storable(instant)]:
            text = f"data.{path} of {broken[0][0]} is {broken[0][1]}, which the database cannot hold"
            raise ContractError(text, days=tuple(sorted(day for day, _ in broken)))


def _is_storable(instant: datetime) -> bool:
    # In some time zones a time of the first or the last year lies beyond Python's calendar.
    offset = instant.utcoffset() or timedelta()
    return MINYEAR < instant.year < MAXYEAR and -LARGEST_OFFSET <= offset <= LARGEST_OFFSET
