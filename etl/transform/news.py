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
# In the place of the digest of a report whose document departed from the declaration.
NO_DIGEST = bytes(DIGEST_SIZE)
# A day and a digest as `sql/load/known_days.sql` packs them; Postgres counts days from this one.
_PACKED, _DAY_ZERO = f">i{DIGEST_SIZE}s", date(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class Known:
    """The days that the warehouse has of those that a document speaks of, and the day of each digest of a report.

    The digests are under the `key`: under other rules a report may become other rows, and is compared again.
    """

    key: str = ""
    days: frozenset[date] = frozenset()
    days_by_digest: Mapping[bytes, date] = field(default_factory=dict)

    def digest(self, sha256: bytes) -> bytes:
        """The digest of a published report, of which the SHA-256 is given."""
        return hashlib.sha256(sha256 + self.key.encode()).digest()[:DIGEST_SIZE]


NOTHING_KNOWN = Known()


def unpack(packed: bytes, key: str, skipped_days: frozenset[date]) -> Known:
    """What is known of days that are packed with their digests, but for skipped days."""
    pairs = [(_DAY_ZERO + timedelta(number), digest) for number, digest in iter_unpack(_PACKED, packed)]
    wanted = {digest: day for day, digest in pairs if day not in skipped_days}
    return Known(key, frozenset(day for day, _ in pairs) - skipped_days, wanted)


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
