"""Writes documents to the database: one transaction for a document, its rows, its history, its provenance.

The rows are staged with COPY into temporary tables; then one statement per table (`sql/load/merge.sql`)
merges them and moves what they supersede to the history.
"""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

from psycopg2 import sql

from etl.database.connection import Connection, fetch_all, fetch_one, read_sql, transaction
from etl.errors import ContractError
from etl.extract.http import Received
from etl.load import locations
from etl.load.drift_record import DriftLog, Seen, SeenDrift
from etl.load.findings import FindingLog
from etl.load.locations import LocationMetadata
from etl.transform.bounds import Finding
from etl.transform.declaration import REPORT_TABLE, TABLES, Metric, key_columns, value_columns
from etl.transform.rows import Row

# A history that is silent about more of the known days than this is taken for damaged, not for a revision.
LARGEST_WITHDRAWAL = 0.1
# Of the last change of any row of a report; facts have known_from alone, which leads to the load.
REPORT_STAMPS = {
    "known_from": "known_at",
    "source_built_at": "build_time",
    "run_id": "run_id",
    "document_id": "document_id",
}
FACT_STAMPS = {"known_from": "known_at"}


@dataclass(frozen=True, slots=True)
class DocumentLoad:
    """What a document is and what it speaks of: the columns of `ops.document_load` known beforehand."""

    run_id: int
    source: str
    address: str
    location_id: int | None
    first_day: date
    last_day: date
    processing_key: str
    skipped_days: list[date] = field(default_factory=list)
    build_time: datetime | None = None
    etag: str | None = None
    last_modified: str | None = None


@dataclass(slots=True)
class RowCounts:
    """What became of the rows of one table."""

    inserted: int = 0
    updated: int = 0
    withdrawn: int = 0
    unchanged: int = 0

    def add(self, other: "RowCounts") -> None:
        """Adds the counts of another document."""
        for name, count in asdict(other).items():
            setattr(self, name, getattr(self, name) + count)


@dataclass(frozen=True, slots=True)
class Staged:
    """The rows for one table in COPY's text format."""

    columns: tuple[str, ...]
    text: str
    count: int


@dataclass(frozen=True, slots=True)
class Content:
    """A sound document: its bytes, what identifies its data, its rows by table, and what was noticed in it."""

    received: Received
    data_hash: str
    rows: Mapping[str, Staged]
    seen: Seen
    findings: list[Finding]
    empty_metrics: list[Metric]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did: row counts by table, how many rows it revised or withdrew, and what it noticed."""

    rows: dict[str, RowCounts]
    revisions: int
    drift: list[SeenDrift] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def changed_rows(self) -> int:
        """How many rows of the star differ from before."""
        return sum(n.inserted + n.updated + n.withdrawn for n in self.rows.values())


def stage(table: str, columns: tuple[str, ...], rows: list[Row]) -> Staged:
    """Renders rows for COPY; null is written as `None`, Python's own word, which is the fastest."""
    render = _escaped if table == REPORT_TABLE else str
    text = "\n".join(["\t".join(map(render, row)) for row in rows])
    return Staged(columns, text, len(rows))


def _escaped(value: object) -> str:
    """One value of a table that has text columns; a text `None` is told from null by its backslash."""
    if not isinstance(value, str):
        return str(value)
    if value == "None":
        return "\\None"
    for character, escape in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        value = value.replace(character, escape)
    return value


class Loader:
    """Loads documents over one connection, whose session holds the staging tables."""

    def __init__(
        self,
        conn: Connection,
        drift_log: DriftLog,
        finding_log: FindingLog,
        *,
        dry_run: bool,
        allow_withdrawals: bool,
    ) -> None:
        self.conn = conn
        self.drift_log = drift_log
        self.finding_log = finding_log
        self.dry_run = dry_run
        self.allow_withdrawals = allow_withdrawals
        self._merges: dict[str, str] = {}
        query = "select distinct location_id from ops.document_load where outcome = 'rejected' and closed_at is null"
        self.rejected_locations = {location_id for (location_id,) in fetch_all(conn, query)}

    def load(self, load: DocumentLoad, content: Content, change: str) -> Loaded:
        """Loads one document; `change` is what a superseded row is called, `revised` or `source_changed`.

        Raises `ContractError`, with nothing written, if the document withdraws too much.
        """
        self._make_stage()
        with transaction(self.conn, rollback=self.dry_run):
            parameters = asdict(load) | {"known_at": self._known_at(), "change": change}
            document_id = self._keep(content.received, content.data_hash)
            parameters["document_id"] = document_id
            self._stage(content)
            if not self.allow_withdrawals:
                self._refuse_large_withdrawal(parameters)
            loaded = self._merge(parameters, content)
            self._record(parameters | {"changed_rows": loaded.changed_rows})
            loaded.drift.extend(self.drift_log.observe(content.seen, lambda: document_id, parameters["known_at"]))
            loaded.findings.extend(
                self.finding_log.record(parameters, content.findings, content.empty_metrics, loaded)
            )
            with self.conn.cursor() as cursor:
                cursor.execute("set constraints all immediate; set constraints all deferred")
        return loaded

    def load_again(self, event: Mapping[str, Any], content: Content) -> Loaded:
        """Merges a document as at its first load: `event` is its row of `ops.document_load`, with the change's name.

        Within the caller's transaction, over whatever was staged in it before.
        """
        self._make_stage()
        with transaction(self.conn), self.conn.cursor() as cursor:
            cursor.execute(sql.SQL("truncate {}").format(sql.SQL(", ").join(map(_stage, TABLES))))
            self._stage(content)
            loaded = self._merge(dict(event), content)
            cursor.execute("set constraints all immediate; set constraints all deferred")
        return loaded

    def confirm(self, document_load_id: int, received: Received, seen: Seen | None) -> list[SeenDrift]:
        """Renews the validators of a load whose data came unchanged in another file; returns its drift."""
        with transaction(self.conn, rollback=self.dry_run), self.conn.cursor() as cursor:
            parameters = asdict(received.validators) | {"document_load_id": document_load_id}
            cursor.execute(read_sql("load/confirm_load.sql"), parameters)
            if not seen:
                return []
            # Definitions are traced to the bytes that brought them, even where the data was known.
            return self.drift_log.observe(seen, lambda: self._keep(received, None), self._known_at())

    def reject(self, load: DocumentLoad, received: Received, reason: str, seen: Seen | None) -> list[SeenDrift]:
        """Keeps a document that broke the contract; once, however often it is received again."""
        with transaction(self.conn, rollback=self.dry_run):
            document_id = self._keep(received, None)
            last = fetch_all(
                self.conn,
                "select outcome, document_id from ops.document_load where address = %s and closed_at is null"
                " order by document_load_id desc limit 1",
                (load.address,),
            )
            known_at = self._known_at()
            if last != [("rejected", document_id)]:
                parameters = asdict(load) | {"known_at": known_at, "document_id": document_id}
                self._record(parameters | {"outcome": "rejected", "reason": reason})
            return self.drift_log.observe(seen, lambda: document_id, known_at) if seen else []

    def close_rejections(self, location_id: int, first_day: date, last_day: date) -> None:
        """Closes what was rejected of a location, where a sound document has spoken of all the days since."""
        with transaction(self.conn, rollback=self.dry_run), self.conn.cursor() as cursor:
            parameters = {"location_id": location_id, "first_day": first_day, "last_day": last_day}
            cursor.execute(read_sql("load/close_rejections.sql"), parameters)

    def load_locations(self, load: DocumentLoad, received: Received, states: list[LocationMetadata]) -> None:
        """Brings the locations' metadata up to date, with its provenance if that changed anything."""
        with transaction(self.conn, rollback=self.dry_run):
            if locations.update(self.conn, states):
                parameters = asdict(load) | {
                    "known_at": self._known_at(),
                    "document_id": self._keep(received, None),
                }
                self._record(parameters)

    def _known_at(self) -> datetime:
        """The time of knowledge of a load: the clock, but always after the last one."""
        known_at: datetime = fetch_one(
            self.conn,
            "select greatest(clock_timestamp(), max(known_at) + interval '1 microsecond') from ops.document_load",
        )[0]
        return known_at

    def _keep(self, received: Received, data_hash: str | None) -> int:
        """The id of the content, which is stored unless it is there."""
        document_id: int = fetch_one(
            self.conn,
            read_sql("load/keep_document.sql"),
            {
                "sha256": received.sha256,
                "data_hash": data_hash,
                "body": received.compressed,
                "size_bytes": len(received.body),
            },
        )[0]
        return document_id

    def _make_stage(self) -> None:
        """Makes the staging tables and the statements before the first document: many runs load none."""
        if self._merges:
            return
        with self.conn.cursor() as cursor:
            for table in TABLES:
                cursor.execute(_stage_statement(table))
        self._merges = {table: _merge_statement(self.conn, table) for table in TABLES}

    def _stage(self, content: Content) -> None:
        with self.conn.cursor() as cursor:
            for table, staged in content.rows.items():
                copy = sql.SQL("copy {} ({}) from stdin with (null 'None')").format(
                    _stage(table), _names(staged.columns)
                )
                cursor.copy_expert(copy, io.StringIO(staged.text))

    def _refuse_large_withdrawal(self, parameters: Mapping[str, Any]) -> None:
        query = sql.SQL(read_sql("load/withdrawal_size.sql")).format(stage=_stage(REPORT_TABLE))
        known, missing = fetch_one(self.conn, query, parameters)
        if missing > known * LARGEST_WITHDRAWAL:
            raise ContractError(
                f"data: {missing} of {known} known days are missing; if that is meant, use --allow-withdrawals"
            )

    def _merge(self, parameters: dict[str, Any], content: Content) -> Loaded:
        """Merges every table; the report's own row last, on every day on which another row changed."""
        counts, revisions, changed_days = {}, 0, set[date]()
        for table in TABLES:
            bound = parameters | {"changed_days": list(changed_days) if table == REPORT_TABLE else []}
            inserted, updated, withdrawn, revised, days = fetch_one(self.conn, self._merges[table], bound)
            unchanged = content.rows[table].count - inserted - updated
            counts[table] = RowCounts(inserted, updated, withdrawn, unchanged)
            revisions += revised
            changed_days.update(days or ())
        return Loaded(counts, revisions)

    def _record(self, parameters: dict[str, Any]) -> None:
        with self.conn.cursor() as cursor:
            cursor.execute(
                """
                insert into ops.document_load (
                    run_id, document_id, source, address, location_id, first_day, last_day,
                    outcome, reason, known_at, build_time, processing_key, etag, last_modified, changed_rows
                ) values (
                    %(run_id)s, %(document_id)s, %(source)s, %(address)s, %(location_id)s, %(first_day)s,
                    %(last_day)s, %(outcome)s, %(reason)s, %(known_at)s, %(build_time)s, %(processing_key)s,
                    %(etag)s, %(last_modified)s, %(changed_rows)s
                )
                """,
                {"outcome": "loaded", "reason": None, "changed_rows": 0} | parameters,
            )


# --- statements, composed of declared names ---


def _stage(table: str) -> sql.Identifier:
    return sql.Identifier("pg_temp", f"stage_{table}")


def _stage_statement(table: str) -> sql.Composed:
    return sql.SQL(
        "create temporary table if not exists {stage} on commit delete rows"
        " as select {names} from public.{table} with no data"
    ).format(
        stage=sql.Identifier(f"stage_{table}"),
        names=_names((*key_columns(table), *value_columns(table))),
        table=sql.Identifier(table),
    )


def _merge_statement(conn: Connection, table: str) -> str:
    """`sql/load/merge.sql` for one table, as text; the values stay placeholders."""
    key, values = key_columns(table), value_columns(table)
    stamps = REPORT_STAMPS if table == REPORT_TABLE else FACT_STAMPS
    every = ("location_id", *key, "cases_id", *values, *stamps)
    assignments = [
        sql.SQL("{} = difference.{}").format(sql.Identifier(name), sql.Identifier(name)) for name in values
    ] + [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(bound)) for name, bound in stamps.items()]
    changed = [
        sql.SQL("case when known.{0} is distinct from difference.{0} then {1} end").format(
            sql.Identifier(name), sql.Literal(name)
        )
        for name in values
    ]
    statement = sql.SQL(read_sql("load/merge.sql")).format(
        table=sql.Identifier(table),
        stage=_stage(table),
        revision=sql.Identifier(f"{table}_revision"),
        key=_names(key),
        same_key=sql.SQL(" and ").join(
            sql.SQL("target.{0} = difference.{0}").format(sql.Identifier(name)) for name in key
        ),
        columns=_names(every),
        known_columns=_names(every, "known"),
        values=_names(values),
        known_values=_names(values, "known"),
        staged_values=_names(values, "staged"),
        changed_columns=sql.SQL(", ").join(changed),
        assignments=sql.SQL(", ").join(assignments),
        stamps=_names(stamps),
        stamp_values=sql.SQL(", ").join(map(sql.Placeholder, stamps.values())),
    )
    text: str = statement.as_string(conn)
    return text


def _names(names: Any, prefix: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(prefix, name) if prefix else sql.Identifier(name) for name in names)
