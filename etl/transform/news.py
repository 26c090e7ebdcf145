"""Tells which reports of a document are news: those with another digest than the warehouse has of them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from struct import iter_unpack
from typing import Any

from etl.transform.declaration import Shape
from etl.transform.rows import CopyText, copy_texts

DIGEST_SIZE = 16
# Days, and days with digests, as `sql/load/known_days.sql` packs them; Postgres counts days from this one.
_DAY, _DAY_AND_DIGEST, _DAY_ZERO = ">i", f">i{DIGEST_SIZE}s", date(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class Known:
    """The days that the warehouse has of those that a document speaks of, and the day of each digest of a report.

    The digests are under the `key`: under other rules a report may become other rows, and is compared again.
    """

    key: str = ""
    days: frozenset[date] = frozenset()
    days_by_digest: Mapping[bytes, date] = field(default_factory=dict)

    @property
    def has_all_digests(self) -> bool:
        """Whether each day has one; a day of a document that departed from the declaration has none."""
        return len(self.days_by_digest) == len(self.days)

    def digest(self, sha256: bytes) -> bytes:
        """The digest of a published report, of which the SHA-256 is given."""
        return hashlib.sha256(sha256 + self.key.encode()).digest()[:DIGEST_SIZE]


NOTHING_KNOWN = Known()


def unpack(days: bytes, digests: bytes, key: str, skipped_days: frozenset[date]) -> Known:
    """What is known by packed days, and by packed days with digests, but for skipped days."""
    known = frozenset(_DAY_ZERO + timedelta(number) for (number,) in iter_unpack(_DAY, days)) - skipped_days
    pairs = ((digest, _DAY_ZERO + timedelta(number)) for number, digest in iter_unpack(_DAY_AND_DIGEST, digests))
    return Known(key, known, {digest: day for digest, day in pairs if day in known})


@dataclass(frozen=True, slots=True)
class News:
    """The rows of the reports of new days, and of the other ones of known days, by table.

    `gone_days` are known, and the document is silent about them; `same_days` are those of known reports. All other
    reports have `digests`.
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
    return News(
        copy_texts(added, shape),
        copy_texts(revised, shape),
        added_days,
        revised_days,
        sorted(known.days.difference(same_days, revised_days)),
        same_days,
        {day: digests[day] for day in added_days + revised_days if day in digests},
    )
