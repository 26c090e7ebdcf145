"""An export against the database: every value, as each of the tools that read it has it; and the folder it is put in."""

import csv
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pandas as pd
import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg2.extensions import make_dsn, new_type, parse_dsn, register_type
from psycopg2.extras import register_default_jsonb

from etl import config
from etl.database import connection as database
from etl.errors import UsageError
from etl.show.export import FileFormat, Relation, catalogue, choose, export
from etl.transform.declaration import DETAIL_TABLE
from tests.cli import Cli
from tests.conftest import MAIN, Command, administrator
from tests.parts import require

Row = tuple[tuple[str, Any], ...]
FORMATS: tuple[FileFormat, ...] = ("csv", "parquet")


@dataclass(frozen=True)
class Exported:
    """A part of the snapshot in a database, its exports by format, and the rows of its tables and views by their names."""

    dsn: str
    folders: dict[FileFormat, Path]
    relations: list[Relation]
    rows: "dict[str, Counter[Row]]"


@pytest.fixture(scope="module")
def exported(few_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("exports")
    with database.connect(config.Database(few_dsn)) as conn:
        for file_format in FORMATS:
            export(conn, folder / file_format, file_format, "all", "all")
        relations = catalogue(conn)
    rows = {relation.name: in_database(few_dsn, relation) for relation in relations}
    return Exported(few_dsn, {each: folder / each for each in FORMATS}, relations, rows)


# --- rows as sets of (column, value), the same from every reader ---


def value(found: Any) -> Any:
    if isinstance(found, float):
        return Decimal(repr(found))
    return found.astimezone(UTC) if isinstance(found, datetime) else found


def row(found: dict[str, Any]) -> Row:
    return tuple(sorted((name, value(each)) for name, each in found.items()))


def in_database(dsn: str, relation: Relation) -> "Counter[Row]":
    """The rows of a table or view, with the location's code beside its number."""
    connection = psycopg2.connect(dsn)
    register_default_jsonb(connection, loads=lambda text: text)
    # Arrays are text in an export, as Postgres writes them.
    register_type(new_type((1009,), "text array", lambda text, _cursor: text), connection)
    with connection.cursor() as cursor:
        cursor.execute(f"select * from {'public' if relation.kind == 'table' else 'mart'}.{relation.name}")
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, each, strict=True)) for each in cursor]
        cursor.execute("select location_id, location_code from public.location_dimension")
        codes = dict(cursor.fetchall())
    connection.close()
    for each in rows:
        if "location_id" in each:
            each["location_code"] = codes[each["location_id"]]
    return Counter(map(row, rows))


def in_arrow(table: pa.Table) -> "Counter[Row]":
    return Counter(map(row, table.to_pylist()))


def parquet_glob(folder: Path, relation: Relation) -> str:
    path = folder / relation.path("parquet")
    return str(path / "**" / "*.parquet" if relation.is_partitioned else path)


# --- every value ---


def test_all_tables_of_the_star_and_all_views_are_there(exported: Exported) -> None:
    connection = psycopg2.connect(exported.dsn)
    with connection.cursor() as cursor:
        cursor.execute(
            "select table_name from information_schema.tables where table_schema in ('public', 'mart') order by 1"
        )
        names = [name for (name,) in cursor]
    connection.close()
    assert sorted(relation.name for relation in exported.relations) == names
    assert {"cases_fact", "date_dimension", "daily_summary"} <= set(names)
    for file_format, folder in exported.folders.items():
        expected = {relation.path(file_format) for relation in exported.relations} | {"README.md", "manifest.json"}
        assert {path.name for path in folder.iterdir()} == expected


def by_duckdb(folder: Path, relation: Relation) -> "Counter[Row]":
    return in_arrow(duckdb.read_parquet(parquet_glob(folder, relation), hive_partitioning=True).to_arrow_table())


def test_duckdb_reads_every_value_of_the_parquet_files(exported: Exported) -> None:
    for relation in exported.relations:
        read = by_duckdb(exported.folders["parquet"], relation)
        assert read == exported.rows[relation.name], relation.name


def test_the_largest_table_of_the_whole_snapshot_is_exported_whole(loaded_dsn: str, tmp_path: Path) -> None:
    with database.connect(config.Database(loaded_dsn)) as conn:
        export(conn, tmp_path / "whole", "parquet", DETAIL_TABLE, None)
        (relation,) = choose(catalogue(conn), DETAIL_TABLE, None)
    assert by_duckdb(tmp_path / "whole", relation) == in_database(loaded_dsn, relation)


def test_pandas_reads_every_value_of_the_parquet_files(exported: Exported) -> None:
    for relation in exported.relations:
        path = exported.folders["parquet"] / relation.path("parquet")
        read = pa.Table.from_pandas(pd.read_parquet(path, dtype_backend="numpy_nullable"), preserve_index=False)
        assert in_arrow(read) == exported.rows[relation.name], relation.name


def test_the_csv_files_hold_every_value(exported: Exported) -> None:
    for relation in exported.relations:
        with (exported.folders["csv"] / relation.path("csv")).open(encoding="utf-8", newline="") as file:
            read = Counter(tuple(sorted(each.items())) for each in csv.DictReader(file, strict=True))
        expected = Counter(
            tuple((name, csv_text(each)) for name, each in row) for row in exported.rows[relation.name].elements()
        )
        assert read == expected, relation.name


def csv_text(found: Any) -> str:
    match found:
        case None:
            return ""
        case bool():
            return str(found).lower()
        case Decimal():
            return f"{found:f}"
        case datetime():
            return found.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return str(found)


def test_the_types_are_those_of_the_database(exported: Exported) -> None:
    arrow = {
        "smallint": "int16", "integer": "int32", "bigint": "int64", "numeric": "double", "boolean": "bool",
        "date": "date32[day]", "timestamp with time zone": "timestamp[us, tz=UTC]", "text": "string", "jsonb": "string",
        "text[]": "string",
    }  # fmt: skip
    for relation in exported.relations:
        (path, *_) = sorted(Path(exported.folders["parquet"]).glob(f"{relation.path('parquet')}/**/*.parquet")) or [
            exported.folders["parquet"] / relation.path("parquet")
        ]
        found = {field.name: str(field.type) for field in pq.read_schema(path)}
        expected = {column.name: arrow[column.type] for column in relation.columns}
        if "=" in path.parent.name:
            del expected["location_code"]
        assert found == expected, relation.name


def test_parquet_has_a_folder_per_location(exported: Exported) -> None:
    folders = sorted(path.name for path in (exported.folders["parquet"] / "death_fact").iterdir())
    connection = psycopg2.connect(exported.dsn)
    with connection.cursor() as cursor:
        cursor.execute(
            "select distinct location_code from public.death_fact join public.location_dimension using (location_id)"
        )
        assert folders == sorted(f"location_code={code}" for (code,) in cursor)
    connection.close()
    california = pq.read_table(exported.folders["parquet"] / "death_fact/location_code=CA")
    assert set(california["location_id"].to_pylist()) == {6}


def test_an_export_of_the_same_rows_is_the_same(exported: Exported, tmp_path: Path) -> None:
    with database.connect(config.Database(exported.dsn)) as conn:
        for file_format, folder in exported.folders.items():
            export(conn, tmp_path / file_format, file_format, "cases_fact,location_dimension", None)
            for path in (tmp_path / file_format).rglob("*_*/**/*.*"):
                assert path.read_bytes() == (folder / path.relative_to(tmp_path / file_format)).read_bytes(), path


# --- Spark ---


READER = """
import pickle
from pyspark.sql import SparkSession

spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
read = {path: [row.asDict() for row in spark.read.parquet(path).collect()] for path in PATHS}
with open("read", "wb") as file:
    pickle.dump(read, file)
"""
IN_TURN = """
import contextlib, io, json, sys

answers = {}
for name, script in json.load(sys.stdin).items():
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(script, {})
    answers[name] = printed.getvalue()
json.dump(answers, sys.stdout)
"""


def snippet(page: Path, number: int) -> str:
    """A snippet of Python in a page."""
    return str(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)[number])


@pytest.fixture(scope="module")
def spark(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with both exports, in which one Spark has run all scripts, and what each of these has printed.

    Spark takes long to start, and has the machine's time zone: UTC.
    """
    require(find_spec("pyspark"), "pyspark is not installed: `make test-spark` brings it")
    require(shutil.which("java"), "there is no Java here: Spark needs 17 or newer")
    folder = tmp_path_factory.mktemp("spark")
    for path in (*exported.folders["parquet"].iterdir(), *exported.folders["csv"].glob("*.csv")):
        (folder / path.name).symlink_to(path)
    (folder / "covid-parquet").symlink_to(exported.folders["parquet"])
    session = "from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n"
    scripts = {"reader": f"PATHS = {[relation.path('parquet') for relation in exported.relations]}\n{READER}"}
    scripts |= {each: snippet(exported.folders[each] / "README.md", 1) for each in FORMATS}
    scripts["merge"] = session + snippet(config.ROOT / "docs/scale.md", 0)
    result = subprocess.run(
        [sys.executable, "-c", IN_TURN], input=json.dumps(scripts),
        cwd=folder, env=os.environ | {"TZ": "UTC"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return folder, json.loads(result.stdout)


def aware(found: dict[str, Any]) -> dict[str, Any]:
    """A row whose times say that they are of UTC."""
    return {name: each.replace(tzinfo=UTC) if isinstance(each, datetime) else each for name, each in found.items()}


@pytest.mark.spark
def test_spark_reads_every_value_of_the_parquet_files(exported: Exported, spark: tuple[Path, dict[str, str]]) -> None:
    read = pickle.loads((spark[0] / "read").read_bytes())  # noqa: S301 (written just now)
    for relation in exported.relations:
        rows = Counter(row(aware(each)) for each in read[relation.path("parquet")])
        assert rows == exported.rows[relation.name], relation.name


@pytest.mark.spark
@pytest.mark.parametrize("file_format", FORMATS)
def test_the_snippet_for_spark_runs(file_format: FileFormat, spark: tuple[Path, dict[str, str]]) -> None:
    assert "|location_code|" in spark[1][file_format].replace(" ", "")


@pytest.mark.spark
def test_the_merge_of_small_files_runs(exported: Exported, spark: tuple[Path, dict[str, str]]) -> None:
    # Spark writes times in a way of its own; all else is compared.
    merged = pq.read_table(spark[0] / "merged/cases_fact").drop_columns(["location_type", "known_from"])
    (relation,) = (each for each in exported.relations if each.name == "cases_fact")
    expected = exported.rows[relation.name]
    assert in_arrow(merged) == Counter(tuple(pair for pair in each if pair[0] != "known_from") for each in expected)


# --- odd values and names ---

ODD = """
create view mart.odd_values as
select * from (values
    ('CA', date '2021-03-07', 9223372036854775807, 123456789.012345, true, timestamptz '2021-03-07 12:00:00.000001-05',
     '', 'with "quotes", and commas'),
    ('CA', date '0001-01-01', -9223372036854775808, 0.000000000000001, false, '1969-12-31 23:59:59.999999Z', null, e'lines\\r\\nand\\nlines'),
    ('NY', date '9999-12-31', 0, -0.1, null, null, 'null', 'ünïcödé ☃ \\N '),
    (null, null, null, null, null, null, null, null)
) as v (location_code, report_date, "a ""quoted"" name", "100 %", "select", "at,", "empty or null", "text")
"""


def test_odd_values_and_names_survive(dsn: str, tmp_path: Path) -> None:
    with database.connect(config.Database(dsn)) as conn:
        conn.cursor().execute(ODD)
        (relation,) = (each for each in catalogue(conn) if each.name == "odd_values")
        # The folder's name has what means something to a shell, to SQL and to patterns of file names.
        folder = tmp_path / "it's [1] *odd* name"
        export(conn, folder, "parquet", None, "odd_values")
        export(conn, tmp_path / "csv", "csv", None, "odd_values")
    read = [pq.read_table(path) for path in sorted(folder.glob("odd_values/*/*.parquet"))]
    files = {path.parent.name for path in folder.glob("odd_values/*/*.parquet")}
    assert files == {"location_code=CA", "location_code=NY", "location_code=__HIVE_DEFAULT_PARTITION__"}
    expected = in_database(dsn, relation)
    without_code = Counter(tuple(pair for pair in each if pair[0] != "location_code") for each in expected.elements())
    assert Counter(each for table in read for each in in_arrow(table).elements()) == without_code
    text = (tmp_path / "csv/odd_values.csv").read_bytes().decode()
    assert (
        text.split("\r\n")[0] == 'location_code,report_date,"a ""quoted"" name",100 %,select,"at,",empty or null,text'
    )
    assert "12:00:00.000001Z" not in text
    assert ',2021-03-07T17:00:00.000001Z,"","with ""quotes"", and commas"\r\n' in text
    assert text.endswith(",,,,,,,\r\n")


def test_a_view_without_rows_can_be_read(conn: database.Connection, tmp_path: Path) -> None:
    done = export(conn, tmp_path / "empty", "parquet", None, "daily_summary")
    assert (done.run, done.tables[0].rows) == (None, 0)
    read = duckdb.execute("select * from read_parquet(?)", [str(tmp_path / "empty/daily_summary/**/*.parquet")])
    assert read.fetchall() == []
    assert "location_code" in pd.read_parquet(tmp_path / "empty/daily_summary").columns
    assert "nothing had been loaded" in (tmp_path / "empty/README.md").read_text()


# --- what is exported ---


def test_tables_are_the_default_and_names_choose(conn: database.Connection, tmp_path: Path) -> None:
    def names(tables: str | None, views: str | None) -> list[str]:
        return [each.name for each in export(conn, tmp_path / "chosen", "csv", tables, views).tables]

    tables = [each.name for each in catalogue(conn) if each.kind == "table"]
    views = [each.name for each in catalogue(conn) if each.kind == "view"]
    assert names(None, None) == names("all", None) == tables
    assert names(None, "all") == views
    assert names("all", "all") == tables + views
    assert names("death_fact, cases_fact", "mart.daily_summary") == ["cases_fact", "death_fact", "daily_summary"]
    with pytest.raises(
        UsageError, match=r"--tables: there is no table 'deaths'; there are cases_fact, .*test_dimension"
    ):
        names("deaths", None)
    with pytest.raises(UsageError, match=r"--views: there is no view 'cases_fact'; there are daily_summary"):
        names(None, "cases_fact")


def test_tables_of_others_are_not_exported(conn: database.Connection) -> None:
    before = catalogue(conn)
    conn.cursor().execute("create table public.notes (text text); create view public.a_fact as select 1 as one")
    assert catalogue(conn) == before


def test_all_of_it_is_of_one_moment(dsn: str, tmp_path: Path) -> None:
    gate = "create view mart.gate as select 1 as one from pg_advisory_lock(42)"
    later = "create view mart.later as select full_name from (select name as full_name from public.location_dimension) as n"
    with database.connect(config.Database(dsn)) as conn, administrator(dsn) as other:
        conn.cursor().execute(f"{gate}; {later}")
        other.execute("select pg_advisory_lock(42)")
        writer = threading.Thread(target=export, args=(conn, tmp_path / "x", "csv", "location_dimension", "all"))
        writer.start()
        while not waiting(other):
            pass
        other.execute("update public.location_dimension set name = name || ' anew'; select pg_advisory_unlock(42)")
        writer.join()
    assert "anew" not in (tmp_path / "x/later.csv").read_text()
    assert "Wyoming" in (tmp_path / "x/later.csv").read_text()


def waiting(cursor: Any) -> bool:
    cursor.execute(
        "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        " and database = (select oid from pg_database where datname = current_database())"
    )
    return bool(cursor.fetchone()[0])


# --- the README ---


@pytest.mark.slow
@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize(
    "names", [(None, None), ("test_dimension", None), (None, "all")], ids=["all", "one", "views"]
)
def test_the_snippets_of_the_readme_run(
    file_format: FileFormat, names: tuple[str | None, str | None], exported: Exported, tmp_path: Path
) -> None:
    with database.connect(config.Database(exported.dsn)) as conn:
        export(conn, tmp_path / "here", file_format, *names)
    text = (tmp_path / "here/README.md").read_text()
    (query,) = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    pandas, _spark = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    script = (
        f"import duckdb\nfound = duckdb.sql({query!r}).to_arrow_table()\nassert found.num_rows == 10, found\n{pandas}"
    )
    script += "assert len(table) >= 19, table\n"
    script += "assert [str(table[name].dtype)[:8] for name in table if name == 'report_date'] in ([], ['datetime']), table.dtypes\n"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path / "here", capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_readme_says_what_everything_is(exported: Exported) -> None:
    text = (exported.folders["parquet"] / "README.md").read_text()
    for relation in exported.relations:
        assert f"`{relation.name}`" in text
        assert relation.meaning, relation.name
        assert relation.meaning.replace("|", "\\|") in text
        for column in relation.columns:
            assert column.meaning, (relation.name, column.name)
            line = f"| `{column.name}` | {column.parquet_type} | {column.meaning} |"
            assert line.replace(" (US|", " (US\\|") in text or "|" in column.meaning
    assert "The COVID Tracking Project at The Atlantic" in text
    assert "CC BY 4.0" in text
    assert re.search(r"the last load was run 1 \(ok, ended at 20\S+Z\), from snapshot", text)


def test_the_manifest_says_the_same_as_the_command(exported: Exported, tmp_path: Path) -> None:
    printed = Cli(exported.dsn, tmp_path).json("export", str(tmp_path / "x"), "--tables", "test_dimension")
    assert printed.pop("returncode") == 0
    assert printed == json.loads((tmp_path / "x/manifest.json").read_text())
    assert printed["tables"] == [{"name": "test_dimension", "path": "test_dimension.csv", "rows": 19}]
    assert (printed["run"]["run_id"], printed["run"]["source"]) == (1, "snapshot")


# --- the folder ---


def test_an_older_export_is_replaced_as_a_whole(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "export"
    assert cli("export", str(folder), "--tables", "--views").returncode == 0
    assert cli("export", str(folder), "--format", "parquet", "--tables", "test_dimension").returncode == 0
    assert {path.name for path in folder.iterdir()} == {"README.md", "manifest.json", "test_dimension.parquet"}
    assert [path.name for path in folder.parent.iterdir()] == ["export"]


def test_a_link_to_an_empty_folder_leads_to_the_export(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert cli("export", str(tmp_path / "link"), "--tables", "test_dimension").returncode == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real/test_dimension.csv").exists()


@pytest.mark.parametrize("stranger", ["notes.txt", "manifest.json"])
def test_what_is_no_export_is_never_replaced(stranger: str, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / stranger).write_text('{"program": "another", "tables": []}')
    refuse(cli, tmp_path / "mine", f"holds {stranger}, which is no part of an export of this program: name a new")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == [stranger]


def test_an_export_with_something_of_others_in_it_is_not_replaced(cli: Cli, tmp_path: Path) -> None:
    assert cli("export", str(tmp_path / "x"), "--tables", "test_dimension").returncode == 0
    (tmp_path / "x/analysis.ipynb").write_text("{}")
    refuse(cli, tmp_path / "x", "holds analysis.ipynb")
    assert (tmp_path / "x/analysis.ipynb").exists()


def test_a_file_is_not_replaced(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    refuse(cli, tmp_path / "file", "is a file: name a folder to export to")
    refuse(cli, tmp_path / "file/below", "cannot be written: File exists")


def refuse(cli: Cli, folder: Path, message: str) -> None:
    """An export that ends with one line, and leaves nothing beside the folder."""
    beside = sorted(folder.parent.iterdir()) if folder.parent.is_dir() else []
    result = cli("export", str(folder), "--tables", "test_dimension")
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(rf"\S+Z ERROR command failed exit_code=2 reason=.*{re.escape(message)}.*\n", result.stderr)
    assert beside == (sorted(folder.parent.iterdir()) if folder.parent.is_dir() else [])


@pytest.mark.parametrize("file_format", FORMATS)
def test_without_room_the_older_export_stays(file_format: FileFormat, command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    assert command("export", str(folder), "--tables", "test_dimension").returncode == 0
    # Files of at most 64 KB, less than the calendar has.
    limited = ["sh", "-c", 'ulimit -f 128 && exec "$0" "$@"', sys.executable, str(MAIN)]
    # Not measured: the data file of coverage would be cut off, too.
    variables = {name: each for name, each in os.environ.items() if not name.startswith("COV")}
    variables["DATABASE_URL"] = command.dsn
    result = subprocess.run(
        [*limited, "export", str(folder), "--format", file_format],
        env=variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr.count("\n")) == (2, 1), result.stderr
    assert f"the export to {folder} cannot be written: File too large" in result.stderr
    assert {path.name for path in folder.iterdir()} == {"README.md", "manifest.json", "test_dimension.csv"}
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


# --- who, and with what ---


def test_without_duckdb_parquet_is_refused_and_csv_works(dsn: str, tmp_path: Path) -> None:
    def run(file_format: str) -> "subprocess.CompletedProcess[str]":
        hidden = "import sys; sys.modules['duckdb'] = None; from etl.cli.commands import main; sys.exit(main(sys.argv[1:]))"
        command = [sys.executable, "-c", hidden, "export", str(tmp_path / file_format), "--format", file_format]
        variables = os.environ | {"DATABASE_URL": dsn, "PYTHONPATH": str(config.ROOT)}
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)

    refused = run("parquet")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
    assert "--format parquet needs a package that is not installed (duckdb)" in refused.stderr
    assert "pip install -r requirements/export.txt" in refused.stderr
    assert run("csv").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["csv"]


def test_who_may_only_read_can_export(dsn: str, tmp_path: Path) -> None:
    name = f"test_{uuid4().hex}"
    with administrator(dsn) as cursor:
        cursor.execute(f"create role {name} login password 'secret' in role covid_reader")
    reader = make_dsn(**parse_dsn(dsn) | {"user": name, "password": "secret"})
    try:
        result = Cli(reader, tmp_path)("export", str(tmp_path / "x"), "--tables", "--views")
        assert result.returncode == 0, result.stderr
    finally:
        with administrator(dsn) as cursor:
            cursor.execute(f"drop role {name}")


def test_no_text_of_an_export_is_a_formula_but_in_parquet_all_is_as_published(
    conn: database.Connection, tmp_path: Path
) -> None:
    texts = ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "A=1", "'=1", ""]
    for number, text in enumerate(texts):
        database.execute(
            conn,
            "insert into public.field_definitions_dimension (endpoint_kind, name, path, deprecated, prior_names, first_seen_at,"
            " last_seen_at, build_time, location_code, document_id)"
            " values ('state', %s, %s, false, '{}', now(), now(), now(), 'CA', 0)",
            (text, str(number)),
        )
    export(conn, tmp_path / "csv", "csv", "field_definitions_dimension", None)
    export(conn, tmp_path / "parquet", "parquet", "field_definitions_dimension", None)
    with (tmp_path / "csv" / "field_definitions_dimension.csv").open(newline="") as file:
        found = [row["name"] for row in csv.DictReader(file)]
    assert found == ["'=1+1", "'+1", "'-1", "'@x", "'\t=1", "'\r=1", "A=1", "'=1", ""]
    table = pq.read_table(tmp_path / "parquet" / "field_definitions_dimension.parquet")
    assert table.column("name").to_pylist() == texts
