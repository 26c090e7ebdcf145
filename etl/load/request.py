"""A request for one document, and the last load of its days, which tells whether the document has news."""

import shlex
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from msgspec import Struct

from etl.config import command
from etl.database.connection import Connection, read_sql, rows_of
from etl.extract.source import NOTHING_KNOWN, Validators
from etl.load.events import instant
from etl.load.rules import LocationRules
from etl.transform.contract import Expected
from etl.transform.declaration import FIRST_DAY, LAST_DAY
from etl.transform.locations import Location, address_of
from etl.transform.news import Known, unpack


class LastLoad(Struct, frozen=True):
    """The last load of any day of a document that is asked for: a row of `sql/load/last_loads.sql`.

    `is_no_news` says that a document with the same data has no news: the load was of the same address, under the same
    rules, and of all days asked for.
    """

    address: str
    source: str
    data_hash: str | None
    sha256: str
    document_load_id: int
    etag: str | None
    last_modified: str | None
    is_no_news: bool
    own_build_time: datetime | None
    location_source: str


class Request(Struct, frozen=True):
    """A request for a history, or for the document of a single `day`, with the days wanted of it and its rules."""

    source: str
    location: Location
    rules: LocationRules
    day: date | None
    first_day: date
    last_day: date

    @property
    def address(self) -> str:
        """The address of the document below the source."""
        return address_of(self.location.code, self.day)

    @property
    def is_whole(self) -> bool:
        """Whether everything in the document is wanted."""
        return self.day is not None or (self.first_day, self.last_day) == (FIRST_DAY, LAST_DAY)

    @property
    def is_skipped(self) -> bool:
        """Whether everything in the document is to be passed over."""
        return self.rules.whole is not None or self.day in self.rules.skipped_days

    @property
    def passed_over(self) -> str | None:
        """The reports of the document that are passed over, in words; None if none are."""
        days = sorted(day for day in self.rules.skipped_days if self.first_day <= day <= self.last_day)
        if whole := self.rules.whole:
            undo = command(f"skip --undo {whole.tombstone_id}")
            return f"{self.location.code} all days since {instant(whole.since)}: {whole.reason}; to end that: {undo}"
        return f"{self.location.code} {', '.join(map(str, days))}" if days else None

    @property
    def expected(self) -> Expected:
        """The document that answers the request."""
        rules = self.rules
        return Expected(self.location.shape, self.location.code, self.day, rules.aliases, rules.skipped_days)

    def known(self, packed: "PackedDays") -> Known:
        """The known days and digests for the document."""
        # The population is in the key, since a report that was sound may be doubtful for another one.
        key = f"{self.rules.key} {self.location.population}"
        return unpack(packed.days or b"", packed.digests or b"", key, self.rules.skipped_days)

    def validators(self, last: LastLoad | None) -> Validators:
        """The validators to send; none if an answer of 304 could hide news."""
        if last and last.is_no_news and last.source == self.source:
            return Validators(last.etag, last.last_modified)
        return NOTHING_KNOWN


def load_command(source: str, locations: str, *flags: str) -> str:
    """The load of some locations from a source, as people would type it."""
    return command(shlex.join(["load", "--source", source, "--locations", locations.lower(), *flags]))


class PackedDays(Struct, frozen=True):
    """The known days of a document that is asked for, and all digests of its location: a row of `known_days.sql`."""

    address: str
    days: bytes | None
    digests: bytes | None


def known_days(conn: Connection, requests: Sequence[Request]) -> dict[str, PackedDays]:
    """The known days of each document that is asked for, by its address."""
    found = rows_of(conn, PackedDays, read_sql("load/known_days.sql"), _asked(requests))
    return {packed.address: packed for packed in found}


def last_loads(conn: Connection, requests: Sequence[Request]) -> dict[str, LastLoad]:
    """The last load for each document that is asked for, by its address."""
    found = rows_of(conn, LastLoad, read_sql("load/last_loads.sql"), _asked(requests))
    return {last.address: last for last in found}


def _asked(requests: Sequence[Request]) -> dict[str, list[Any]]:
    return {
        "addresses": [request.address for request in requests],
        "sources": [request.source for request in requests],
        "location_ids": [request.location.location_id for request in requests],
        "first_days": [request.first_day for request in requests],
        "last_days": [request.last_day for request in requests],
        "processing_keys": [request.rules.key for request in requests],
    }
