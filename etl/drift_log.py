"""What was last seen of the source, and each change in it once: `ops.drift` and `field_definitions_dimension`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from etl import drift, rules
from etl.database import Connection, fetch_all, fetch_one, read_sql
from etl.drift import Alias, Change


@dataclass(frozen=True, slots=True)
class Seen:
    """What one document shows; of a rejected document no definitions, since it teaches nothing."""

    endpoint_kind: str
    location_code: str
    build_time: datetime | None
    changes: tuple[Change, ...]
    definitions: Sequence[drift.Definition] = ()


@dataclass(frozen=True, slots=True)
class NewDrift:
    """A change seen for the first time: its number in `ops.drift`, and whose documents it is in."""

    drift_id: int
    endpoint_kind: str
    change: Change

    def __str__(self) -> str:
        return f"drift {self.drift_id} ({severity(self.change)}, {self.endpoint_kind}): {self.change}"

    def as_json(self) -> dict[str, Any]:
        """What the summary holds of it."""
        shown = {name: value for name, value in asdict(self.change).items() if name != "breaking"}
        return {"id": self.drift_id, "endpoint_kind": self.endpoint_kind, "severity": severity(self.change)} | shown


@dataclass(slots=True)
class _Lasting:
    """A change of shape that lasts; a row of `sql/drift/lasting.sql`."""

    drift_id: int
    endpoint_kind: str
    change: str
    path: str
    after: str | None
    location_code: str
    build_time: datetime | None
    last_run_id: int
    is_acknowledged: bool

    @property
    def key(self) -> tuple[str, str, str, str | None]:
        return (self.endpoint_kind, self.change, self.path, self.after)

    def is_over(self, seen: Seen) -> bool:
        """Whether a document without it ends it: one of the location that showed it last, of no older build."""
        same = (self.endpoint_kind, self.location_code) == (seen.endpoint_kind, seen.location_code)
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


class DriftLog:
    """Compares what a run's documents show with what was seen before, and records it, each change once."""

    def __init__(self, conn: Connection, run_id: int, aliases: Mapping[str, tuple[Alias, ...]]) -> None:
        self.conn = conn
        self.run_id = run_id
        self.aliases = aliases
        lasting = (_Lasting(*row) for row in fetch_all(conn, read_sql("drift/lasting.sql")))
        self._lasting = {each.key: each for each in lasting}
        # Kind of endpoint -> the newest build of this run and its definitions, which are recorded.
        self._settled: dict[str, tuple[datetime, list[Version]]] = {}

    def observe(self, seen: Seen, keep: Callable[[], int], seen_at: datetime) -> list[NewDrift]:
        """Records what a document shows, in the caller's transaction; returns what is new in it.

        `keep` returns the id of the document's content; it is called only if a definition is to be traced to it.
        """
        new = self._observe_shape(seen)
        if not self._is_settled(seen):
            new += self._observe_definitions(seen, keep, seen_at)
        return new

    def _is_settled(self, seen: Seen) -> bool:
        """Whether this run has recorded the definitions of a document already, or newer ones."""
        if not seen.definitions or not seen.build_time:
            return True
        build_time, versions = self._settled.get(seen.endpoint_kind, (seen.build_time, None))
        return seen.build_time < build_time or [_version(each) for each in seen.definitions] == versions

    def _execute(self, statement: str, **parameters: Any) -> None:
        with self.conn.cursor() as cursor:
            cursor.execute(read_sql(statement), parameters)

    # --- the shape of the data ---

    def _observe_shape(self, seen: Seen) -> list[NewDrift]:
        shown = {(seen.endpoint_kind, each.change, each.path, each.after): each for each in seen.changes}
        new = []
        for key, change in shown.items():
            if lasting := self._lasting.get(key):
                self._see_again(lasting, seen)
            else:
                new.append(self._add(seen, change))
                self._lasting[key] = _Lasting(
                    new[-1].drift_id, *key, seen.location_code, seen.build_time, self.run_id, is_acknowledged=False
                )
        for lasting in [each for each in self._lasting.values() if each.key not in shown and each.is_over(seen)]:
            self._execute("drift/end.sql", drift_id=lasting.drift_id)
            del self._lasting[lasting.key]
        return new

    def _add(self, seen: Seen, change: Change) -> NewDrift:
        parameters = asdict(change) | {
            "endpoint_kind": seen.endpoint_kind,
            "severity": severity(change),
            "location_code": seen.location_code,
            "build_time": seen.build_time,
            "run_id": self.run_id,
        }
        drift_id = fetch_one(self.conn, read_sql("drift/add.sql"), parameters)[0]
        return NewDrift(drift_id, seen.endpoint_kind, change)

    def _see_again(self, lasting: _Lasting, seen: Seen) -> None:
        if (lasting.last_run_id, lasting.location_code) == (self.run_id, seen.location_code):
            return
        lasting.last_run_id, lasting.location_code = self.run_id, seen.location_code
        lasting.build_time = seen.build_time
        self._execute(
            "drift/see_again.sql",
            drift_id=lasting.drift_id,
            run_id=self.run_id,
            location_code=seen.location_code,
            build_time=seen.build_time,
        )

    # --- the field definitions ---

    def _observe_definitions(self, seen: Seen, keep: Callable[[], int], seen_at: datetime) -> list[NewDrift]:
        """Brings the definitions of a kind of endpoint up to date, unless those known are of a newer build."""
        kind, build_time = seen.endpoint_kind, seen.build_time
        rows = fetch_all(self.conn, read_sql("drift/known_definitions.sql"), {"endpoint_kind": kind})
        known = [_Known(*row) for row in rows]
        if build_time is None or any(each.build_time > build_time for each in known):
            return []
        published: list[drift.Definition] = list({drift.identity(each): each for each in seen.definitions}.values())
        if kind in self._settled and self._settled[kind][0] == build_time:
            # Documents of one build that disagree take nothing from each other.
            names = {drift.identity(each) for each in known}
            published = [*known, *(each for each in published if drift.identity(each) not in names)]
        self._settled[kind] = (build_time, [_version(each) for each in seen.definitions])
        new = [self._add(seen, change) for change in drift.compare_definitions(known, published)]
        self._write_definitions(seen, known, published, keep, seen_at)
        return new

    def _write_definitions(
        self,
        seen: Seen,
        known: list[_Known],
        published: Sequence[drift.Definition],
        keep: Callable[[], int],
        seen_at: datetime,
    ) -> None:
        """Closes the versions that are not published, confirms the others, opens those that are new."""
        kind = seen.endpoint_kind
        fed = {_version(each): each.feeds_column for each in known}
        versions = [_version(each) for each in published]
        stamps = {"endpoint_kind": kind, "build_time": seen.build_time, "seen_at": seen_at}
        closed = [each.field_definition_id for each in known if _version(each) not in versions]
        self._execute("drift/close_definitions.sql", ids=closed, **stamps)
        self._execute("drift/confirm_definitions.sql", **stamps)
        for version in versions:
            name, field, deprecated, prior_names = version
            feeds = rules.column_fed(kind, field, self.aliases.get(kind, ()))
            told = {"name": name, "path": field, "deprecated": deprecated, "prior_names": list(prior_names)}
            if version not in fed:
                self._execute("drift/open_definition.sql", document_id=keep(), feeds_column=feeds, **told, **stamps)
            elif fed[version] != feeds:
                self._execute("drift/feed_definition.sql", feeds_column=feeds, **told, **stamps)


# What a definition says, in a form that can be compared: name, field, deprecated, prior names.
Version = tuple[str, str | None, bool, tuple[str, ...]]


def _version(definition: drift.Definition) -> Version:
    return (definition.name, definition.field, definition.deprecated, tuple(definition.prior_names))


def severity(change: Change) -> str:
    """`breaking` or `notice`."""
    return "breaking" if change.breaking else "notice"
