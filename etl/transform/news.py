"""Tells which reports of a document are news: those with another digest than the warehouse has of them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec

from etl.transform.declaration import Shape
from etl.transform.rows import CopyText, copy_texts

DIGEST_SIZE = 16
_encoder = msgspec.msgpack.Encoder()


@dataclass(frozen=True, slots=True)
class Known:
    """The days that the warehouse has of those that a document speaks of, and the digests of their reports.

    They are digests under the `key`: under other rules a report may become other rows, and is compared again.
    """

    key: str
    days: frozenset[date] = frozenset()
    digests: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class News:
    """The rows of the reports of new days and of the other ones of known days, by table, and the days of all reports.

    `gone_days` are known, and the document is silent about them. `digests` are those of all but the same reports.
    """

    added: Mapping[str, CopyText]
    revised: Mapping[str, CopyText]
    revised_days: list[date]
    gone_days: list[date]
    same_days: list[date]
    digests: Mapping[date, bytes]


def digest_of(report: Any) -> bytes:
    """The digest of a decoded report, equal for other orders of keys, other white space, and `-17.0` for `-17`."""
    return hashlib.sha256(_encoder.encode(report)).digest()


def news_of(reports: Sequence[Any], digests: Mapping[date, bytes], shape: Shape, known: Known) -> News:
    """Compares the reports of a document, of which there are digests by day, with what is known."""
    keyed = {report.date: _keyed(digests[report.date], known.key) for report in reports}
    same_days = [day for day, digest in keyed.items() if day in known.days and digest in known.digests]
    for day in same_days:
        del keyed[day]
    added = [report for report in reports if report.date not in known.days]
    revised = [report for report in reports if report.date in known.days and report.date in keyed]
    return News(
        copy_texts(added, shape),
        copy_texts(revised, shape),
        [report.date for report in revised],
        sorted(known.days.difference(same_days, keyed)),
        same_days,
        keyed,
    )


def _keyed(digest: bytes, key: str) -> bytes:
    return hashlib.blake2b(digest, digest_size=DIGEST_SIZE, key=key.encode()).digest()
