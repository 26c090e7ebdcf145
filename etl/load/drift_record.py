"""What was last seen of the source, and each change in it once: `ops.drift` and `field_definitions_dimension`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from etl.database.connection import Connection, fetch_all, fetch_one, read_sql
from etl.load import rules
from etl.transform import drift
from etl.transform.drift import Alias, Change

# More locations than this are only counted.
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """What one document shows; of a rejected document no definitions, since it teaches nothing."""

    endpoint_kind: str
    location_code: str
    build_time: datetime | None
    changes: tuple[Change, ...]
    definitions: Sequence[drift.Definition] = ()


@dataclass(frozen=True, slots=True)
class SeenDrift:
    """A change that a document shows: its number in `ops.drift`, whether nobody saw it before, and where it is.

    `locations` grows while a run goes on.
    """

    drift_id: int
    endpoint_kind: str
    change: Change
    locations: list[str]
    is_new: bool = True

    def __str__(self) -> str:
        where = in_words(self.endpoint_kind, self.locations)
        return f"drift {self.drift_id} ({severity(self.change)}, {where}): {self.change}"

    def as_json(self) -> dict[str, Any]:
        """What the summary holds of it."""
        shown = {name: value for name, value in asdict(self.change).items() if name != "breaking"}
        where = {"endpoint_kind": self.endpoint_kind, "locations": self.locations}
        return {"id": self.drift_id, **where, "severity": severity(self.change)} | shown


def in_words(endpoint_kind: str, locations: Sequence[str]) -> str:
    """Whose documents they are: `nation`, `state TX`, `12 states`; `states` where it is not about single ones."""
    if endpoint_kind == "nation":
        return endpoint_kind
    if not locations:
        return f"{endpoint_kind}s"
    return f"{len(locations)} states" if len(locations) > MOST_NAMED else f"state {', '.join(locations)}"


@dataclass(slots=True)
class _Lasting:
    """A change of shape that lasts; a row of `sql/drift/lasting.sql`."""

    drift_id: int
    endpoint_kind: str
    change: str
    path: str
    after: str | None
    locations: list[str]
    last_location: str
    build_time: datetime | None
    last_run_id: int
    is_acknowledged: bool

    @property
    def key(self) -> tuple[str, str, str, str | None]:
        return (self.endpoint_kind, self.change, self.path, self.after)

    def is_over(self, seen: Seen) -> bool:
        """Whether a document without it ends it: one of the location that showed it last, of no older build."""
        same = (self.endpoint_kind, self.last_location) == (seen.endpoint_kind, seen.location_code)
        older = self.build_time and seen.build_time and seen.build_time < self.build_time
        return same and not older and not self.is_acknowledged


@dataclass(frozen=True, slots=True)
class _Known:
    """A current field definition; a row of `sql/drift/known_definitions.sql`."""

    field_definition_id: int
    name: str
    field: str | None
    deprecated: bool
    prior_names: list[str]
    feeds_column: str | None
    build_time: datetime
    location_code: str

    def yields_to(self, seen: Seen, *, is_shown: bool) -> bool:
        """Whether a document may say that this version has changed, or is gone.

        One of the location that showed it last may say both, a newer one of another that it has changed: documents of
        one build that disagree would else contradict each other in every run.
        """
        is_newer = bool(seen.build_time and self.build_time < seen.build_time)
        return self.location_code == seen.location_code or (is_shown and is_newer)


class DriftLog:
    """Compares what a run's documents show with what was seen before, and records it, each change once."""

    def __init__(
        self, conn: Connection, run_id: int, aliases: Mapping[tuple[str, str | None], tuple[Alias, ...]]
    ) -> None:
        self.conn = conn
        self.run_id = run_id
        self.aliases = aliases
        lasting = (_Lasting(*row) for row in fetch_all(conn, read_sql("drift/lasting.sql")))
        self._lasting = {each.key: each for each in lasting}
        # Kind of endpoint, build and definitions that this run has recorded.
        self._settled: set[tuple[str, datetime, frozenset[Version]]] = set()

    def observe(self, seen: Seen, keep: Callable[[], int], seen_at: datetime) -> list[SeenDrift]:
        """Records what a document shows, in the caller's transaction; returns that, its shape first.

        `keep` returns the id of the document's content; it is called only if a definition is to be traced to it.
        """
        return self._observe_shape(seen) + self._observe_definitions(seen, keep, seen_at)

    def _execute(self, statement: str, **parameters: Any) -> None:
        with self.conn.cursor() as cursor:
            cursor.execute(read_sql(statement), parameters)

    # --- the shape of the data ---

    def _observe_shape(self, seen: Seen) -> list[SeenDrift]:
        shown = {(seen.endpoint_kind, each.change, each.path, each.after): each for each in seen.changes}
        found = []
        for key, change in shown.items():
            is_new = key not in self._lasting
            lasting = self._begin(seen, change) if is_new else self._see_again(self._lasting[key], seen)
            self._lasting[key] = lasting
            found.append(SeenDrift(lasting.drift_id, seen.endpoint_kind, change, lasting.locations, is_new))
        for lasting in [each for each in self._lasting.values() if each.key not in shown and each.is_over(seen)]:
            self._execute("drift/end.sql", drift_id=lasting.drift_id)
            del self._lasting[lasting.key]
        return found

    def _begin(self, seen: Seen, change: Change) -> _Lasting:
        return _Lasting(
            self._add(seen, change, [seen.location_code]),
            seen.endpoint_kind,
            change.change,
            change.path,
            change.after,
            [seen.location_code],
            seen.location_code,
            seen.build_time,
            self.run_id,
            is_acknowledged=False,
        )

    def _add(self, seen: Seen, change: Change, locations: list[str]) -> int:
        parameters = asdict(change) | {
            "endpoint_kind": seen.endpoint_kind,
            "severity": severity(change),
            "locations": locations,
            "location_code": seen.location_code,
            "build_time": seen.build_time,
            "run_id": self.run_id,
        }
        drift_id: int = fetch_one(self.conn, read_sql("drift/add.sql"), parameters)[0]
        return drift_id

    def _see_again(self, lasting: _Lasting, seen: Seen) -> _Lasting:
        if (lasting.last_run_id, lasting.last_location) != (self.run_id, seen.location_code):
            lasting.last_run_id, lasting.last_location = self.run_id, seen.location_code
            lasting.build_time = seen.build_time
            if seen.location_code not in lasting.locations:
                lasting.locations.append(seen.location_code)
            self._execute(
                "drift/see_again.sql",
                drift_id=lasting.drift_id,
                run_id=self.run_id,
                location_code=seen.location_code,
                build_time=seen.build_time,
            )
        return lasting

    # --- the field definitions ---

    def _observe_definitions(self, seen: Seen, keep: Callable[[], int], seen_at: datetime) -> list[SeenDrift]:
        """Brings the definitions of a kind of endpoint up to date with a document's, unless that is older."""
        kind = seen.endpoint_kind
        settled = (kind, seen.build_time, frozenset(map(_version, seen.definitions)))
        if not seen.definitions or not seen.build_time or settled in self._settled:
            return []
        rows = fetch_all(self.conn, read_sql("drift/known_definitions.sql"), {"endpoint_kind": kind})
        known = [_Known(*row) for row in rows]
        if any(each.build_time > seen.build_time for each in known):
            return []
        self._settled.add((kind, seen.build_time, settled[2]))
        published = _believed(known, seen)
        self._write_definitions(seen, known, published, keep, seen_at)
        changes = drift.compare_definitions(known, published)
        return [SeenDrift(self._add(seen, each, []), kind, each, []) for each in changes]

    def _write_definitions(
        self,
        seen: Seen,
        known: list[_Known],
        published: Sequence[drift.Definition],
        keep: Callable[[], int],
        seen_at: datetime,
    ) -> None:
        """Closes the versions that are not published any more, confirms those that are, opens those that are new."""
        kind = seen.endpoint_kind
        aliases = self.aliases.get((kind, None), ())
        ids = {_version(each): each.field_definition_id for each in known}
        versions = {_version(each) for each in published}
        shown = {_version(each) for each in seen.definitions}
        stamps = {"build_time": seen.build_time, "seen_at": seen_at, "location_code": seen.location_code}
        closed = [number for version, number in ids.items() if version not in versions]
        confirmed = [number for version, number in ids.items() if version in shown & versions]
        self._execute("drift/close_definitions.sql", ids=closed, **stamps)
        self._execute("drift/confirm_definitions.sql", ids=confirmed, **stamps)
        for each in known:
            feeds = rules.column_fed(kind, each.field, aliases)
            if _version(each) in versions and feeds != each.feeds_column:
                number = each.field_definition_id
                self._execute("drift/feed_definition.sql", field_definition_id=number, feeds_column=feeds)
        for name, field, deprecated, prior_names in dict.fromkeys(map(_version, published)):
            if (name, field, deprecated, prior_names) not in ids:
                told = {"name": name, "path": field, "deprecated": deprecated, "prior_names": list(prior_names)}
                feeds = rules.column_fed(kind, field, aliases)
                where = {"endpoint_kind": kind, "document_id": keep(), "feeds_column": feeds}
                self._execute("drift/open_definition.sql", **told, **where, **stamps)


def _believed(known: list[_Known], seen: Seen) -> list[drift.Definition]:
    """What holds after a document: what it publishes, but for versions that do not yield to it."""
    believed: dict[str, drift.Definition] = {drift.identity(each): each for each in seen.definitions}
    held = {
        name: each for each in known if not each.yields_to(seen, is_shown=(name := drift.identity(each)) in believed)
    }
    return list((believed | held).values())


# What a definition says, in a form that can be compared: name, field, deprecated, prior names.
Version = tuple[str, str | None, bool, tuple[str, ...]]


def _version(definition: drift.Definition) -> Version:
    return (definition.name, definition.field, definition.deprecated, tuple(definition.prior_names))


def severity(change: Change) -> str:
    """`breaking` or `notice`."""
    return "breaking" if change.breaking else "notice"
