"""The field definitions that the source publishes, in `field_definitions_dimension`, and what has changed in them."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from functools import cache

from msgspec.structs import asdict

from etl import config
from etl.database.connection import Connection, execute, fetch_all, fetch_one
from etl.extract.source import Received
from etl.load import events
from etl.transform import drift
from etl.transform.declaration import REPORT_TABLE, SHAPES
from etl.transform.drift import Alias, Change, Observation, identity
from etl.transform.records import FieldDefinition

SHIPPED_ALIASES = config.ROOT / "etl" / "load" / "aliases.toml"
_KNOWN = """
    select field_definition_id, name, path, deprecated, prior_names
    from public.field_definitions_dimension
    where is_current and endpoint_kind = %s
    order by field_definition_id
"""
# A build time in the future is ignored: otherwise every later document would count as older.
_IS_OLDER = """
    select max(build_time) > %s
    from public.field_definitions_dimension
    where is_current and endpoint_kind = %s and build_time <= last_seen_at
"""
# A known definition gets the column that it feeds anew, since an alias may have changed it.
_CONFIRM = """
    update public.field_definitions_dimension
    set
        last_seen_at = %(seen_at)s, build_time = %(build_time)s, location_code = %(location_code)s,
        feeds_column = shown.feeds_column
    from unnest(%(numbers)s::bigint[], %(columns)s::text[]) as shown (number, feeds_column)
    where field_definition_id = shown.number
"""
_OPEN = """
    insert into public.field_definitions_dimension (
        endpoint_kind, name, path, deprecated, prior_names, feeds_column, first_seen_at, last_seen_at, build_time,
        location_code, document_id
    )
    values (
        %(endpoint_kind)s, %(name)s, %(field)s, %(deprecated)s, %(prior_names)s, %(feeds_column)s, %(seen_at)s,
        %(seen_at)s, %(build_time)s, %(location_code)s, %(document_id)s
    )
"""


class DefinitionRecord:
    """Brings the known field definitions up to date with those of a run's documents.

    The first document of a run that has a definition decides about it: otherwise documents of one build that disagree
    would change it back and forth in every run. `forget` clears the memory of the run, after a rollback.
    """

    def __init__(self, conn: Connection, aliases: Mapping[tuple[str, str | None], tuple[Alias, ...]]) -> None:
        self.conn = conn
        self.aliases = aliases
        self.forget()

    def forget(self) -> None:
        """Forgets the documents of the run."""
        # For each kind of endpoint: what its documents show, by location, and the identities of their definitions.
        self._observed: dict[str, dict[str, Observation]] = {}
        self._decided: dict[str, set[str]] = {}

    def observe(self, observation: Observation, received: Received, known_at: datetime) -> list[Change]:
        """Takes over the definitions of a document, unless it is older than those known; returns what has changed.

        A definition that a document lacks stays: only the end of the run can tell that no document has it.
        """
        kind = observation.endpoint_kind
        self._observed.setdefault(kind, {})[observation.location_code] = observation
        decided = self._decided.setdefault(kind, set())
        new = {identity(item): item for item in observation.definitions if identity(item) not in decided}
        if not new or not observation.build_time:
            return []
        if fetch_one(self.conn, _IS_OLDER, (observation.build_time, kind))[0]:
            return []
        known = self._known(kind)
        decided.update(new)
        believed = _believed(known, new, set(map(identity, observation.definitions)))
        self._close([number for definition, number in known.items() if definition not in believed], known_at)
        self._write(new.values(), known, observation, received, known_at)
        return drift.compare_definitions(known, believed)

    def end_of_run(self) -> Iterator[tuple[Observation, list[Change]]]:
        """Closes the definitions that no document of their kind of endpoint has, if all of these were read.

        Yields the changes with a document that shows them.
        """
        query = "select count(*) from public.location_dimension where (location_type = 'nation') = (%s = 'nation')"
        for kind, observed in self._observed.items():
            known, (documents,) = self._known(kind), fetch_one(self.conn, query, (kind,))
            kept = [definition for definition in known if identity(definition) in self._decided[kind]]
            if len(observed) == documents and 0 < len(kept) < len(known):
                self._close([number for definition, number in known.items() if definition not in kept])
                yield next(iter(observed.values())), drift.compare_definitions(known, kept)

    def _known(self, endpoint_kind: str) -> dict[FieldDefinition, int]:
        """The numbers of the current rows, by their definition."""
        return {
            FieldDefinition(name, path, deprecated, tuple(prior_names)): number
            for number, name, path, deprecated, prior_names in fetch_all(self.conn, _KNOWN, (endpoint_kind,))
        }

    def _write(
        self,
        shown: Collection[FieldDefinition],
        known: Mapping[FieldDefinition, int],
        observation: Observation,
        received: Received,
        known_at: datetime,
    ) -> None:
        """Writes the definitions of a document: the time when a known one was seen, and a row for each new one."""
        kind = observation.endpoint_kind
        aliases = self.aliases.get((kind, None), ())
        columns = {definition: column_fed(kind, definition.field, aliases) for definition in shown}
        opened = [definition for definition in shown if definition not in known]
        values = {
            "endpoint_kind": kind,
            "build_time": observation.build_time,
            "seen_at": known_at,
            "location_code": observation.location_code,
            "numbers": [known[definition] for definition in shown if definition in known],
            "columns": [columns[definition] for definition in shown if definition in known],
            "document_id": events.keep(self.conn, received, None) if opened else None,
        }
        execute(self.conn, _CONFIRM, values)
        for definition in opened:
            lists = {"prior_names": list(definition.prior_names), "feeds_column": columns[definition]}
            execute(self.conn, _OPEN, values | asdict(definition) | lists)

    def _close(self, numbers: list[int], known_at: datetime | None = None) -> None:
        execute(
            self.conn,
            "update public.field_definitions_dimension"
            " set is_current = false, last_seen_at = coalesce(%s, last_seen_at) where field_definition_id = any(%s)",
            (known_at, numbers),
        )


def _believed(
    known: Collection[FieldDefinition], new: Mapping[str, FieldDefinition], published: Collection[str]
) -> list[FieldDefinition]:
    """The definitions that hold after a document: its own, and the known ones that it neither has nor renames."""
    renamed = {name for definition in new.values() for name in definition.prior_names if name not in published}
    replaced = new.keys() | renamed
    return [*new.values(), *(definition for definition in known if identity(definition) not in replaced)]


# --- the columns that definitions feed ---


@cache
def shipped_aliases(shape_name: str) -> dict[str, str]:
    """Path in the field definitions -> path in the data, where these are known to differ."""
    # Imported here, since most runs meet no new definition.
    import tomllib

    found: dict[str, dict[str, str]] = tomllib.loads(SHIPPED_ALIASES.read_text(encoding="utf-8"))
    return found["all"] | found.get(shape_name, {})


def column_fed(shape_name: str, field: str | None, aliases: tuple[Alias, ...]) -> str | None:
    """The table and column that a defined field feeds, such as `death_fact.total_deaths`; None if it feeds none."""
    path = shipped_aliases(shape_name).get(field or "", field or "")
    for alias in aliases:
        if alias.published and f"{path}.".startswith(f"{alias.published}."):
            path = alias.path + path.removeprefix(alias.published)
    return _columns(shape_name).get(path)


@cache
def _columns(shape_name: str) -> dict[str, str]:
    """Path in a report -> table and column; the path of a metric stands for its value."""
    shape = SHAPES[shape_name]
    columns = {attribute.path: f"{REPORT_TABLE}.{attribute.column}" for attribute in shape.attributes}
    for metric in shape.metrics:
        columns |= {path: f"{metric.table}.{column}" for column, path in metric.columns.items()}
        columns[metric.path] = f"{metric.table}.{metric.measure}"
    return columns | {"date": f"{REPORT_TABLE}.report_date"}
