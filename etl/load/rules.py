"""The rules that turn documents into rows: the declaration, and what people have added to it in the database.

Aliases: a published path stands for one that we read. Tombstones: a report, or a location, is passed over.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache

from etl import config
from etl.database.connection import Connection, fetch_all, read_sql
from etl.load.locations import Location
from etl.transform.declaration import REPORT_TABLE, SHAPES, Shape, processing_key
from etl.transform.drift import Alias

SHIPPED_ALIASES = config.ROOT / "etl" / "load" / "aliases.toml"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A report that is passed over (all of a location's without a day), for loads from `since` until `until`."""

    location_id: int
    day: date | None
    since: datetime
    until: datetime | None

    def holds(self, at: datetime | None) -> bool:
        """Whether it held for a load known at some time; without one, whether it holds now."""
        if at is None:
            return self.until is None
        return self.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class LocationRules:
    """The rules for one location's documents; `key` tells them from others."""

    aliases: tuple[Alias, ...]
    is_skipped: bool
    skipped_days: frozenset[date]
    key: str


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a database: aliases, newest first, and tombstones, also those undone.

    Aliases are kept by kind of endpoint and location code, None where they hold for all of the kind.
    """

    aliases: Mapping[tuple[str, str | None], tuple[Alias, ...]]
    tombstones: tuple[Tombstone, ...]

    def of(self, location: Location, at: datetime | None = None) -> LocationRules:
        """The rules for a location now; with `at`, with the tombstones that held for a load known then."""
        kind = location.shape.name
        aliases = self.aliases.get((kind, None), ()) + self.aliases.get((kind, location.code), ())
        held = [each for each in self.tombstones if each.location_id == location.location_id and each.holds(at)]
        days = frozenset(each.day for each in held if each.day)
        is_skipped = any(each.day is None for each in held)
        # A tombstone of a whole location changes no document that is loaded.
        return LocationRules(aliases, is_skipped, days, _key(aliases, days))


def _key(aliases: tuple[Alias, ...], days: frozenset[date]) -> str:
    """The declaration's key, which is that of most databases; with what was added to it."""
    if not aliases and not days:
        return processing_key()
    return hashlib.sha256(repr((processing_key(), aliases, sorted(days))).encode()).hexdigest()


def read(conn: Connection) -> Rules:
    """The rules of a database."""
    aliases: dict[tuple[str, str | None], tuple[Alias, ...]] = {}
    for kind, code, *alias in fetch_all(conn, read_sql("rules/aliases.sql")):
        aliases[kind, code] = (*aliases.get((kind, code), ()), Alias(*alias))
    return Rules(aliases, tuple(Tombstone(*row) for row in fetch_all(conn, read_sql("rules/tombstones.sql"))))


# --- field definitions ---


@cache
def shipped_aliases(shape_name: str) -> dict[str, str]:
    """Path in the field definitions -> path in the data, for the mismatches that are known."""
    import tomllib

    found: dict[str, dict[str, str]] = tomllib.loads(SHIPPED_ALIASES.read_text(encoding="utf-8"))
    return found["all"] | found.get(shape_name, {})


def column_fed(shape_name: str, field: str | None, aliases: tuple[Alias, ...]) -> str | None:
    """Table and column that a defined field feeds, such as `death_fact.total_deaths`; None if we read it nowhere."""
    path = shipped_aliases(shape_name).get(field or "", field or "")
    for alias in aliases:
        if alias.published and f"{path}.".startswith(f"{alias.published}."):
            path = alias.path + path.removeprefix(alias.published)
    return _columns(shape_name).get(path)


@cache
def _columns(shape_name: str) -> dict[str, str]:
    """Path in a report -> table and column; a metric's own path leads to its value."""
    shape: Shape = next(each for each in SHAPES if each.name == shape_name)
    columns = {attribute.path: f"{REPORT_TABLE}.{attribute.column}" for attribute in shape.attributes}
    for metric in shape.metrics:
        columns |= {path: f"{metric.table}.{column}" for column, path in metric.columns.items()}
        columns[metric.path] = f"{metric.table}.{metric.measure}"
    return columns | {"date": f"{REPORT_TABLE}.report_date"}
