"""Tells which reports of a document are news: those whose digest the warehouse does not have."""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from etl.transform.declaration import Shape
from etl.transform.rows import CopyText, copy_texts

DIGEST_SIZE = 16
# `sql/load/known_days.sql` packs days, and `ops.report_digest` holds packed days with digests. A day is a number that
# Postgres counts from day zero.
_DAY, _DAY_AND_DIGEST, _DAY_ZERO = struct.Struct(">i"), struct.Struct(f">i{DIGEST_SIZE}s"), date(2000, 1, 1)


class Known(Struct, frozen=True):
    """The known days among those that a document speaks of, and the digests of its location's reports.

    A digest covers the `key` of the rules: under other rules a report may become other rows, so no digest matches.
    """

    key: str = ""
    days: frozenset[date] = frozenset()
    digests: Mapping[date, bytes] = field(default_factory=dict)

    @property
    def has_all_digests(self) -> bool:
        """Whether each day has a digest; after a document that departed from the declaration its days have none."""
        return self.days <= self.digests.keys()

    @property
    def days_by_digest(self) -> dict[bytes, date]:
        """Digest -> day, for the days that the document speaks of."""
        return {digest: day for day, digest in self.digests.items() if day in self.days}

    def without_digests(self) -> "Known":
        """The same without the digests of the days that the document speaks of."""
        return replace(self, digests={day: digest for day, digest in self.digests.items() if day not in self.days})

    def digest(self, sha256: bytes) -> bytes:
        """The digest of a published report with this SHA-256."""
        return hashlib.sha256(sha256 + self.key.encode()).digest()[:DIGEST_SIZE]


NOTHING_KNOWN = Known()


def unpack(days: bytes, digests: bytes, key: str, skipped_days: frozenset[date]) -> Known:
    """Unpacks the known days, except skipped ones, and the days with digests."""
    known = frozenset(_DAY_ZERO + timedelta(number) for (number,) in _DAY.iter_unpack(days)) - skipped_days
    pairs = _DAY_AND_DIGEST.iter_unpack(digests)
    return Known(key, known, {_DAY_ZERO + timedelta(number): digest for number, digest in pairs})


def pack(digests: Mapping[date, bytes]) -> bytes:
    """Packs the digests of the reports of a location for `ops.report_digest`."""
    return b"".join([_DAY_AND_DIGEST.pack((day - _DAY_ZERO).days, digests[day]) for day in sorted(digests)])


class News(Struct, frozen=True):
    """The news of a document: the rows of reports of new days (`added`) and of known days (`revised`), by table.

    `gone_days` are known days that the document is silent about. `same_days` are the days of known reports, which are
    no news. `digests` are those of all reports of the location, once the document is loaded.
    """

    added: Mapping[str, CopyText]
    revised: Mapping[str, CopyText]
    added_days: list[date]
    revised_days: list[date]
    gone_days: list[date]
    same_days: list[date]
    digests: Mapping[date, bytes]

    @property
    def needs_merge(self) -> bool:
        """Whether any known row may change."""
        return bool(self.revised_days or self.gone_days)

    @property
    def days(self) -> list[date]:
        """The days on which the warehouse may come to differ."""
        return self.added_days + self.revised_days + self.gone_days


def news_of(
    reports: Sequence[Any], same_days: list[date], digests: Mapping[date, bytes], shape: Shape, known: Known
) -> News:
    """The news of a document, from its `reports` that are not known and the `same_days` of those that are."""
    added = [report for report in reports if report.date not in known.days]
    revised = [report for report in reports if report.date in known.days]
    added_days, revised_days = ([report.date for report in some] for some in (added, revised))
    same = set(same_days)
    kept = {day: digest for day, digest in known.digests.items() if day in same or day not in known.days}
    digests_of_news = {report.date: digests[report.date] for report in reports if report.date in digests}
    return News(
        copy_texts(added, shape),
        copy_texts(revised, shape),
        added_days,
        revised_days,
        sorted(known.days.difference(same_days, revised_days)),
        same_days,
        kept | digests_of_news,
    )
