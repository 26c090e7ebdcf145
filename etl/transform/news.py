"""Tells which reports of a document are news: those with another digest than the warehouse has of them."""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from etl.transform.declaration import Shape
from etl.transform.rows import CopyText, copy_texts

DIGEST_SIZE = 16
# Days as `sql/load/known_days.sql` packs them, and with digests as `ops.report_digest` has them; Postgres counts days
# from this one.
_DAY, _DAY_AND_DIGEST, _DAY_ZERO = struct.Struct(">i"), struct.Struct(f">i{DIGEST_SIZE}s"), date(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class Known:
    """The days that the warehouse has of those that a document speaks of, and the digests of its location's reports.

    The digests are under the `key`: under other rules a report may become other rows, and is compared again.
    """

    key: str = ""
    days: frozenset[date] = frozenset()
    digests: Mapping[date, bytes] = field(default_factory=dict)

    @property
    def has_all_digests(self) -> bool:
        """Whether each day has one; a day of a document that departed from the declaration has none."""
        return self.days <= self.digests.keys()

    @property
    def days_by_digest(self) -> dict[bytes, date]:
        """The day of each digest, of the days that the document speaks of."""
        return {digest: day for day, digest in self.digests.items() if day in self.days}

    def without_digests(self) -> "Known":
        """The same, but with digests of those days alone of which the document does not speak."""
        return replace(self, digests={day: digest for day, digest in self.digests.items() if day not in self.days})

    def digest(self, sha256: bytes) -> bytes:
        """The digest of a published report, of which the SHA-256 is given."""
        return hashlib.sha256(sha256 + self.key.encode()).digest()[:DIGEST_SIZE]


NOTHING_KNOWN = Known()


def unpack(days: bytes, digests: bytes, key: str, skipped_days: frozenset[date]) -> Known:
    """What is known by packed days, and by packed days with digests, but for skipped days."""
    known = frozenset(_DAY_ZERO + timedelta(number) for (number,) in _DAY.iter_unpack(days)) - skipped_days
    pairs = _DAY_AND_DIGEST.iter_unpack(digests)
    return Known(key, known, {_DAY_ZERO + timedelta(number): digest for number, digest in pairs})


def pack(digests: Mapping[date, bytes]) -> bytes:
    """Packs the digests of the reports of a location for `ops.report_digest`."""
    return b"".join([_DAY_AND_DIGEST.pack((day - _DAY_ZERO).days, digests[day]) for day in sorted(digests)])


@dataclass(frozen=True, slots=True)
class News:
    """The rows of the reports of new days, and of the other ones of known days, by table.

    `gone_days` are known, and the document is silent about them; `same_days` are those of known reports. `digests`
    are those of all reports of the location from now on.
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
    """The news in the reports of a document that are not known."""
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
