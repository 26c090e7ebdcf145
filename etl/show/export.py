"""Writes the star or the views of schema `mart` as CSV or Parquet files, with a README, for other tools to read.

An export is of one moment of the database. DuckDB makes the Parquet files from the CSV files, so that both hold the
same. The folder appears when it is complete, in the place of an older export.
"""

import glob
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal

import msgspec
from msgspec import Struct

from etl import __version__
from etl.config import PROGRAM, require_packages
from etl.database.connection import Connection, at_one_moment, copy_out, fetch_one, read_sql, rows_of
from etl.errors import UsageError, as_usage_error
from etl.files import locked

FileFormat = Literal["csv", "parquet"]

ALL = "all"
MANIFEST, README = "manifest.json", "README.md"
# The names that DuckDB gives to the parts of a partitioned relation, and ours for one without rows.
PARTS = r"(/location_code=\w+(/data_\d+\.parquet)?|/none\.parquet)?"
TEMPLATE = Path(__file__).with_name("export_readme.md")
# DuckDB holds rows in memory until their location's file is full, and on disk those beyond this limit.
MEMORY_LIMIT = "256MB"

# DuckDB, and so a Parquet file, has these types of Postgres under the same names; all others become text.
_SHARED_TYPES = ("smallint", "integer", "bigint", "boolean", "date", "timestamp with time zone")


class Column(Struct, frozen=True):
    """A column of an export, with its type and its comment in Postgres."""

    name: str
    type: str
    meaning: str

    @property
    def parquet_type(self) -> str:
        """The type in a Parquet file, as DuckDB names it; a double holds a percent as the source published it."""
        if self.type in ("numeric", "double precision"):
            return "double"
        return self.type if self.type in _SHARED_TYPES else "varchar"


class Relation(Struct, frozen=True):
    """A table or a view that can be exported; `query` reads its columns.

    A partitioned one has rows of one location and day each; Parquet keeps them in a folder per location.
    """

    name: str
    kind: Literal["table", "view"]
    meaning: str
    is_partitioned: bool
    columns: list[Column]
    query: str

    def path(self, file_format: FileFormat) -> str:
        """The file in the export, or the folder."""
        if file_format == "csv":
            return f"{self.name}.csv"
        return self.name if self.is_partitioned else f"{self.name}.parquet"


class ExportedTable(Struct, frozen=True):
    """A table or view in an export, and its file or folder there."""

    name: str
    path: str
    rows: int


class LastRun(Struct, frozen=True):
    """The last load before an export, however it ended; `ended_at` is ISO text in UTC."""

    run_id: int
    source: str
    status: str
    ended_at: str | None

    def __str__(self) -> str:
        ended = f"ended at {self.ended_at}" if self.ended_at else "not ended"
        return f"the last load was run {self.run_id} ({self.status}, {ended}), from {self.source}"


class Exported(Struct, frozen=True):
    """The contents of an export, which its manifest holds; `run` is None if there was no load yet."""

    program: str
    version: str
    format: FileFormat
    exported_at: str
    run: LastRun | None
    tables: list[ExportedTable]

    def as_json(self) -> dict[str, Any]:
        """The manifest, which `export --json` prints, too."""
        return dict(msgspec.to_builtins(self))

    def as_lines(self) -> list[str]:
        """The rows per table, for people."""
        return [f"{table.path:<32}{table.rows:>9} rows" for table in self.tables]


def export(
    conn: Connection, folder: Path, file_format: FileFormat, tables: str | None, views: str | None
) -> Exported:
    """Writes an export; `tables` and `views` are `all` or names with commas; the default is all tables.

    Raises `UsageError` for unknown names, for Parquet without DuckDB, and for a folder that is no export or cannot
    be written.
    """
    if file_format == "parquet":
        require_packages("--format parquet", "export", "duckdb")
    with at_one_moment(conn), _replacement(folder) as partial:
        chosen = choose(catalogue(conn), tables, views)
        written = [_write(conn, relation, partial, file_format) for relation in chosen]
        exported = _describe(conn, file_format, written)
        (partial / README).write_text(_readme(exported, chosen), encoding="utf-8")
        (partial / MANIFEST).write_text(json.dumps(exported.as_json(), indent=1) + "\n", encoding="utf-8")
    return exported


def _describe(conn: Connection, file_format: FileFormat, written: list[ExportedTable]) -> Exported:
    query = """
        select run_id, source, status, to_char(ended_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as ended_at
        from ops.run where command = 'load' order by run_id desc limit 1
    """
    run = next(iter(rows_of(conn, LastRun, query)), None)
    (now,) = fetch_one(conn, "select now()")
    return Exported(PROGRAM, __version__, file_format, f"{now:%Y-%m-%dT%H:%M:%SZ}", run, written)


# --- what to export ---


def catalogue(conn: Connection) -> list[Relation]:
    """All tables of the star and all views of `mart`, from the database itself."""
    return msgspec.convert(rows_of(conn, dict, read_sql("export/relations.sql")), list[Relation])


def choose(relations: list[Relation], tables: str | None, views: str | None) -> list[Relation]:
    """The relations asked for, in their own order; raises `UsageError` for an unknown name."""
    chosen: list[Relation] = []
    for kind, names in (("table", tables if tables or views else ALL), ("view", views)):
        there = {relation.name: relation for relation in relations if relation.kind == kind}
        asked = [name.strip().removeprefix("mart.") for name in names.split(",")] if names else []
        if unknown := [name for name in asked if name not in (*there, ALL)]:
            raise UsageError(f"--{kind}s: there is no {kind} {unknown[0]!r}; there are {', '.join(there)}")
        chosen += [relation for name, relation in there.items() if name in asked or ALL in asked]
    return chosen


# --- writing ---


class _CsvFile(BufferedWriter):
    """Ends each line as RFC 4180 has it; COPY writes one line at a time."""

    def write(self, line: Any) -> int:
        return super().write(line[:-1] + b"\r\n")


def _write(conn: Connection, relation: Relation, folder: Path, file_format: FileFormat) -> ExportedTable:
    path = folder / relation.path("csv")
    query = relation.query if file_format == "parquet" else _for_spreadsheets(relation)
    with _CsvFile(path.open("wb", buffering=0)) as file:
        rows = copy_out(conn, query, file)
    if file_format == "parquet":
        _write_parquet(relation, path, folder / relation.path("parquet"), rows)
        path.unlink()
    return ExportedTable(relation.name, relation.path(file_format), rows)


def _for_spreadsheets(relation: Relation) -> str:
    """The query for CSV, where a text that a spreadsheet would take for a formula has an apostrophe in front."""
    shown = []
    for column in relation.columns:
        name = '"{}"'.format(column.name.replace('"', '""'))
        is_text = column.type == "text"
        guarded = rf"regexp_replace({name}, E'^[-=+@\t\r]', E'''\\&') as {name}"
        shown.append(guarded if is_text else name)
    return f"select {', '.join(shown)} from ({relation.query}) as raw"  # noqa: S608 (names of the catalogue alone)


def _write_parquet(relation: Relation, source: Path, target: Path, rows: int) -> None:
    """Makes Parquet of a CSV file: one file, or for a partitioned relation a folder with one per location.

    A partitioned relation without rows is one file in the folder, so that there is something to read.
    """
    import duckdb

    spill = str(source.with_suffix(".spill"))
    settings: dict[str, Any] = {"memory_limit": MEMORY_LIMIT, "threads": 1, "temp_directory": spill}
    types = {column.name: column.parquet_type for column in relation.columns}
    failure = f"{target.name} cannot be written"
    with as_usage_error(failure, kinds=duckdb.Error), duckdb.connect(config=settings) as engine:
        read = engine.read_csv(
            str(source), columns=types, header=True, auto_detect=False, delimiter=",", quotechar='"', escapechar='"',
            na_values="", allow_quoted_nulls=False,
        )  # fmt: skip
        partition_by = ["location_code"] if relation.is_partitioned and rows else None
        if relation.is_partitioned and not rows:
            target.mkdir()
            target /= "none.parquet"
        read.write_parquet(str(target), compression="zstd", partition_by=partition_by)


# --- the README ---


def _template(file_format: FileFormat) -> str:
    """The template; a line of it that begins with `[csv]` or `[parquet]` is for exports of that format alone."""
    own = f"[{file_format}]"
    lines = TEMPLATE.read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line.removeprefix(own) for line in lines if line.startswith(own) or not line.startswith("["))


def _readme(exported: Exported, relations: list[Relation]) -> str:
    """The whole README, in Markdown; the first table is the example of how to open one."""
    example, is_csv = relations[0], exported.format == "csv"
    path = example.path(exported.format)
    tables = (
        (f"`{table.name}`", table.rows, f"`{table.path}`", relation.meaning)
        for relation, table in zip(relations, exported.tables, strict=True)
    )
    dates = (column.name for column in example.columns if column.type == "date")
    return _template(exported.format).format(
        exported=exported,
        origin=exported.run or "nothing had been loaded",
        tables=_table_rows(tables),
        path=path,
        pattern=f"{path}/**/*.parquet" if example.is_partitioned and not is_csv else path,
        where=" where location_code = 'CA'" if example.is_partitioned else "",
        dates="".join(f'table["{name}"] = pd.to_datetime(table["{name}"])\n' for name in dates),
        columns="\n".join(_section(relation, is_csv=is_csv) for relation in relations),
    )


def _section(relation: Relation, *, is_csv: bool) -> str:
    """The columns of a table or view."""
    types = ((column, column.type if is_csv else column.parquet_type) for column in relation.columns)
    rows = _table_rows((f"`{column.name}`", type_name, column.meaning) for column, type_name in types)
    return f"\n### {relation.name}\n\n| column | type | meaning |\n|---|---|---|\n{rows}"


def _table_rows(rows: Iterable[tuple[Any, ...]]) -> str:
    """The rows of a table in Markdown."""
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)


# --- the folder ---


@contextmanager
def _replacement(wanted: Path) -> Iterator[Path]:
    """A folder to write to, which takes the place of the one wanted when the block ends well, and else vanishes."""
    target = wanted.resolve()
    _require_replaceable(target, target)
    with as_usage_error(f"the export to {target} cannot be written"):
        target.parent.mkdir(parents=True, exist_ok=True)
        for left in target.parent.glob(f".{glob.escape(target.name)}.{PROGRAM}-*"):
            with locked(left, wait=False) as is_left:
                if is_left and {path.name for path in left.iterdir()} <= {"new", "old"}:
                    _remove(left, target)
        work = Path(mkdtemp(prefix=f".{target.name}.{PROGRAM}-", dir=target.parent))
        new, old = work / "new", work / "old"
        with locked(work):
            try:
                new.mkdir()
                yield new
                if target.exists():
                    target.rename(old)
                # Somebody may have put a file there meanwhile.
                _require_replaceable(old, target)
                new.rename(target)
            finally:
                _remove(work, target)


def _remove(work: Path, target: Path) -> None:
    """Removes a work folder; an older export in it goes back to its place, if nothing has taken that."""
    old = work / "old"
    if old.exists() and not target.exists():
        old.rename(target)
    if not _strangers(old):
        shutil.rmtree(work, ignore_errors=True)


def _require_replaceable(folder: Path, target: Path) -> None:
    """Raises `UsageError` unless the folder, which was found at the target, is missing, empty, or just an export."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{target} is a file: name a folder to export to")
    if others := _strangers(folder):
        raise UsageError(
            f"{target} holds {others[0]}, which is no part of an export of this program: "
            "name a new or an empty folder"
        )


def _strangers(folder: Path) -> list[str]:
    """The paths in a folder, and in the folders in it, that are not of the export that its manifest describes."""
    own = ""
    # A folder of something else has no manifest, or another one.
    with suppress(OSError, ValueError, KeyError, TypeError):
        manifest = json.loads((folder / MANIFEST).read_bytes())
        if manifest["program"] == PROGRAM:
            tables = [re.escape(table["path"]) + PARTS for table in manifest["tables"]]
            own = "|".join([re.escape(MANIFEST), re.escape(README), *tables])
    there = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return sorted(path for path in there if not re.fullmatch(own, path))
