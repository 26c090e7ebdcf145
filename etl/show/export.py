"""Writes the star or the views of schema `mart` as CSV or Parquet files, with a README, for other tools to read.

All of it is read in one snapshot of the database, a row at a time. Parquet is made of the CSV files by DuckDB, since
both then hold the same. The folder appears when it is complete, in the place of an older export.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Literal
from uuid import uuid4

from psycopg2 import sql

from etl import __version__
from etl.config import PROGRAM
from etl.database.connection import Connection, fetch_all, fetch_one, read_sql, transaction
from etl.errors import UsageError
from etl.show import export_readme
from etl.show.export_readme import FileFormat

ALL = "all"
MANIFEST, README = "manifest.json", "README.md"
LOCATION, DAY = "location_code", "report_date"
# Of DuckDB: rows wait in memory for their location's file, above this on disk.
MEMORY_LIMIT = "256MB"

# Types of Postgres -> of DuckDB, which are those of the Parquet files; all others, jsonb among them, are text.
# Percents were binary fractions when the source published them, and are the same ones again.
_PARQUET_TYPES = {
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "numeric": "DOUBLE",
    "double precision": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp with time zone": "TIMESTAMPTZ",
}
# How a value is written where the usual text of Postgres is not what other programs read.
_TEXTS = {
    "timestamp with time zone": """to_char({} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
    "boolean": "{}::text",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `type` is that of Postgres, `meaning` its comment there."""

    name: str
    type: str
    meaning: str
    in_key: bool

    @property
    def parquet_type(self) -> str:
        """The type in a Parquet file, as DuckDB names it."""
        return _PARQUET_TYPES.get(self.type, "VARCHAR")


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or a view, with the columns that the export has of it.

    `adds_code` where the location's code, its first column, comes from the location's own table.
    """

    name: str
    kind: Literal["table", "view"]
    schema: str
    meaning: str
    columns: tuple[Column, ...]
    adds_code: bool

    @property
    def names(self) -> list[str]:
        """The names of its columns."""
        return [column.name for column in self.columns]

    @property
    def is_partitioned(self) -> bool:
        """Whether Parquet has a folder of it per location: its rows are of a location and a day."""
        return {LOCATION, DAY} <= set(self.names)

    def path(self, file_format: FileFormat) -> str:
        """Its file in the export, or its folder."""
        if file_format == "csv":
            return f"{self.name}.csv"
        return self.name if self.is_partitioned else f"{self.name}.parquet"


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds, as its manifest says; `run` is the last one before it, if there was any."""

    program: str
    version: str
    format: FileFormat
    exported_at: str
    run: dict[str, Any] | None
    tables: list[dict[str, Any]]

    def as_text(self) -> str:
        """The rows per table, for people."""
        return "\n".join(f"{table['path']:<32}{table['rows']:>9} rows" for table in self.tables)


def export(
    conn: Connection, folder: Path, file_format: FileFormat, tables: str | None, views: str | None
) -> Exported:
    """Writes an export; `tables` and `views` are `all` or names with commas, and without either it is all tables.

    Raises `UsageError` for unknown names, for Parquet without DuckDB, and for a folder that is no export or cannot
    be written.
    """
    if file_format == "parquet" and not find_spec("duckdb"):
        raise UsageError(
            "Parquet is written with DuckDB, which is not installed: `pip install -r requirements/export.txt`, "
            "or take --format csv"
        )
    with transaction(conn), _replacement(folder) as partial:
        _read_one_snapshot(conn)
        chosen = choose(catalogue(conn), tables, views)
        rows = {each.name: _write(conn, each, partial, file_format) for each in chosen}
        exported = _describe(conn, file_format, chosen, rows)
        (partial / README).write_text(export_readme.text(exported, chosen), encoding="utf-8")
        (partial / MANIFEST).write_text(json.dumps(asdict(exported), indent=1) + "\n", encoding="utf-8")
    return exported


def _read_one_snapshot(conn: Connection) -> None:
    with conn.cursor() as cursor:
        cursor.execute("set transaction isolation level repeatable read, read only")


# --- what to export ---


def catalogue(conn: Connection) -> list[Relation]:
    """All tables of the star and all views of `mart`, from the database itself."""
    found: dict[tuple[Any, ...], list[Column]] = {}
    for row in fetch_all(conn, read_sql("export/columns.sql")):
        found.setdefault(row[:4], []).append(Column(*row[4:]))
    code = next(column for columns in found.values() for column in columns if column.name == LOCATION)
    relations = []
    for (name, kind, schema, meaning), columns in found.items():
        names = [column.name for column in columns]
        adds_code = "location_id" in names and LOCATION not in names
        shown = (code, *columns) if adds_code else tuple(columns)
        relations.append(Relation(name, kind, schema, meaning, shown, adds_code))
    return relations


def choose(relations: list[Relation], tables: str | None, views: str | None) -> list[Relation]:
    """The relations asked for, in their own order; raises `UsageError` for a name that there is not."""
    wanted = {"table": tables if tables or views else ALL, "view": views}
    return [
        relation for kind, names in wanted.items() if names for relation in _named(relations, kind, names.split(","))
    ]


def _named(relations: list[Relation], kind: str, names: list[str]) -> Iterator[Relation]:
    there = {relation.name: relation for relation in relations if relation.kind == kind}
    asked = [name.strip().removeprefix("mart.") for name in names]
    if unknown := [name for name in asked if name not in (*there, ALL)]:
        raise UsageError(f"--{kind}s: there is no {kind} {unknown[0]!r}; there are {', '.join(there)}")
    yield from (relation for name, relation in there.items() if name in asked or ALL in asked)


# --- writing ---


@dataclass(slots=True)
class _CsvFile:
    """What COPY writes to: a row per call, ended as RFC 4180 has it; counts them, the header too."""

    file: IO[bytes]
    lines: int = 0

    def write(self, row: bytes) -> None:
        self.file.write(row[:-1] + b"\r\n")
        self.lines += 1


def _write(conn: Connection, relation: Relation, folder: Path, file_format: FileFormat) -> int:
    """Writes one relation; returns its number of rows."""
    path = folder / relation.path("csv")
    rows = _write_csv(conn, relation, path)
    if file_format == "parquet":
        _write_parquet(relation, path, folder / relation.path("parquet"), rows)
        path.unlink()
    return rows


def _write_csv(conn: Connection, relation: Relation, path: Path) -> int:
    copy = sql.SQL("copy ({}) to stdout with (format csv, header)").format(_query(relation))
    with path.open("wb") as file, conn.cursor() as cursor:
        written = _CsvFile(file)
        cursor.copy_expert(copy, written)
    return written.lines - 1


def _query(relation: Relation) -> sql.Composed:
    """All rows, by location and day: a location is written at once, and exports of the same rows are the same."""
    join = "left join (select location_id, location_code from public.location_dimension) as code using (location_id)"
    key = [column.name for column in relation.columns if column.in_key]
    order = [sql.Identifier(name) for name in dict.fromkeys((LOCATION, DAY, *key)) if name in relation.names]
    return sql.SQL("select {columns} from {table} {join} {order}").format(
        columns=sql.SQL(", ").join(map(_expression, relation.columns)),
        table=sql.Identifier(relation.schema, relation.name),
        join=sql.SQL(join if relation.adds_code else ""),
        order=sql.SQL("order by {}").format(sql.SQL(", ").join(order)) if order else sql.SQL(""),
    )


def _expression(column: Column) -> sql.Composed:
    name = sql.Identifier(column.name)
    text = sql.SQL(_TEXTS.get(column.type, "{}")).format(name)
    return sql.SQL("{} as {}").format(text, name)


def _write_parquet(relation: Relation, source: Path, target: Path, rows: int) -> None:
    """Makes Parquet of a CSV file, a folder per location where it is partitioned.

    Of no rows there would be no folder and nothing to read: then it is one file in the folder.
    """
    import duckdb

    spill = str(source.with_suffix(".spill"))
    settings: dict[str, Any] = {"memory_limit": MEMORY_LIMIT, "threads": 1, "temp_directory": spill}
    types = {column.name: column.parquet_type for column in relation.columns}
    with _said_clearly(target, duckdb.Error), duckdb.connect(config=settings) as engine:
        read = engine.read_csv(
            str(source), columns=types, header=True, auto_detect=False, delimiter=",", quotechar='"', escapechar='"',
            na_values="", allow_quoted_nulls=False,
        )  # fmt: skip
        partition_by = [LOCATION] if relation.is_partitioned and rows else None
        if relation.is_partitioned and not rows:
            target.mkdir()
            target /= "none.parquet"
        read.write_parquet(str(target), compression="zstd", partition_by=partition_by)


# --- the folder ---


@contextmanager
def _replacement(wanted: Path) -> Iterator[Path]:
    """A folder to write to, which takes the place of the one wanted when the block ends well, and else vanishes."""
    target = wanted.resolve()
    _require_replaceable(target)
    partial, old = (target.with_name(f".{target.name}.{word}-{uuid4().hex[:8]}") for word in ("partial", "old"))
    try:
        with _said_clearly(target, OSError):
            partial.mkdir(parents=True)
            yield partial
            if target.exists():
                target.rename(old)
            partial.rename(target)
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        for folder in (partial, old):
            shutil.rmtree(folder, ignore_errors=True)


def _require_replaceable(target: Path) -> None:
    """Raises `UsageError` unless the folder is missing, empty, or an export and nothing else."""
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError(f"{target} is a file: name a folder to export to")
    there = {path.name for path in target.iterdir()}
    if others := sorted(there - _own_names(target)):
        raise UsageError(
            f"{target} holds {others[0]}, which is no part of an export of this program: "
            "name a new or an empty folder"
        )


def _own_names(target: Path) -> set[str]:
    """What the manifest in a folder says that is the export's; nothing where there is no such manifest."""
    try:
        manifest = json.loads((target / MANIFEST).read_bytes())
        ours = manifest["program"] == PROGRAM
        return {MANIFEST, README, *(table["path"] for table in manifest["tables"])} if ours else set()
    except (OSError, ValueError, KeyError, TypeError):
        return set()


@contextmanager
def _said_clearly(target: Path, kind: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kind as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UsageError(f"the export to {target} cannot be written: {reason}") from error


def _describe(conn: Connection, file_format: FileFormat, chosen: list[Relation], rows: dict[str, int]) -> Exported:
    run_id, source, status, ended_at, exported_at = fetch_one(conn, read_sql("export/last_run.sql"))
    run = {"run_id": run_id, "source": source, "status": status, "ended_at": ended_at} if run_id else None
    tables = [{"name": each.name, "path": each.path(file_format), "rows": rows[each.name]} for each in chosen]
    return Exported(PROGRAM, __version__, file_format, exported_at, run, tables)
