"""Measures what grows with the data: load, database, export, and an analyst's queries on three engines.

    python -m bench.scale [--rounds 3] [--times 1 10] [--engines Postgres DuckDB Spark]

The history is loaded once and many times over, as synthetic states beside the real ones. The same queries run on
Postgres, on DuckDB over the exported Parquet files and on Spark over the same files, and must find the same.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench import inputs
from bench.run import MAIN, Bench
from etl import config
from etl.database import connection as database
from etl.database import embedded as server
from etl.database import schema
from etl.show.export import Relation, catalogue

Rows = list[tuple[Any, ...]]
Engine = Callable[[str], Iterable[tuple[Any, ...]]]

# The names in braces stand for the tables, with the location's code as the export has it.
QUERIES = {
    "one location, one month of deaths": """
        select report_date, total_deaths, total_deaths_change_from_prior_day
        from {death_fact}
        where location_code = 'CA' and report_date between date '2021-01-01' and date '2021-01-31'
    """,
    "the worst week of every location": """
        select location_code, max(mean) from (
            select location_code, avg(total_cases_change_from_prior_day) over (
                partition by location_code order by report_date rows between 6 preceding and current row
            ) as mean
            from {cases_fact}
        ) as daily
        group by location_code
    """,
    "tests by location, month and result": """
        select location_code, extract(year from report_date), extract(month from report_date), result,
            sum(change_from_prior_day)
        from {testing_detail_fact} inner join {test_dimension} using (test_id)
        where test_type = 'pcr' and unit = 'specimens'
        group by 1, 2, 3, 4
    """,
    "five tables joined, by day": """
        select report_date, sum(total_cases_change_from_prior_day), sum(total_tests_change_from_prior_day),
            sum(currently_hospitalized), sum(total_deaths_change_from_prior_day)
        from (select cases_id, report_date from {cases_dimension}) as report
        inner join (select cases_id, total_cases_change_from_prior_day from {cases_fact}) as cases using (cases_id)
        inner join (select cases_id, total_tests_change_from_prior_day from {testing_fact}) as tests using (cases_id)
        inner join (select cases_id, currently_hospitalized from {hospitalization_fact}) as stays using (cases_id)
        inner join (select cases_id, total_deaths_change_from_prior_day from {death_fact}) as deaths using (cases_id)
        group by report_date
    """,
}


# --- engines ---


def on_postgres(conn: database.Connection, _folder: Path, relations: list[Relation]) -> Engine:
    """Postgres, over the tables themselves."""
    with_code = (
        "(select location_code, fact.* from public.{} as fact"
        " inner join public.location_dimension using (location_id)) as {}"
    )
    names = {
        each.name: with_code.format(each.name, each.name) if each.is_partitioned else f"public.{each.name}"
        for each in relations
    }
    return lambda query: database.fetch_all(conn, query.format_map(names))


def on_duckdb(_conn: database.Connection, folder: Path, relations: list[Relation]) -> Engine:
    """DuckDB, over the Parquet files."""
    import duckdb

    def files(relation: Relation) -> str:
        return f"'{folder / relation.path('parquet')}{'/**/*.parquet' if relation.is_partitioned else ''}'"

    names = {each.name: files(each) for each in relations}
    connection = duckdb.connect()
    return lambda query: connection.execute(query.format_map(names)).fetchall()


def on_spark(_conn: database.Connection, folder: Path, relations: list[Relation]) -> Engine:
    """Spark with two threads of this machine, over the Parquet files; listing them is part of the start."""
    from pyspark.sql import SparkSession

    quiet = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"}
    builder = SparkSession.builder.master("local[2]").config(map=quiet)
    # As many parts as threads: with the usual 200 small data is all overhead.
    session = builder.config("spark.sql.shuffle.partitions", "2").getOrCreate()
    for each in relations:
        session.read.parquet(str(folder / each.path("parquet"))).createOrReplaceTempView(each.name)
    names = {each.name: each.name for each in relations}
    return lambda query: map(tuple, session.sql(query.format_map(names)).collect())


ENGINES: dict[str, Callable[[database.Connection, Path, list[Relation]], Engine]] = {
    "Postgres": on_postgres,
    "DuckDB": on_duckdb,
    "Spark": on_spark,
}


# --- measuring ---


class Scale:
    """The figures of one size: medians of `rounds` runs, by what was measured."""

    def __init__(self, bench: Bench, times: int, rounds: int) -> None:
        self.bench, self.times, self.rounds = bench, times, rounds
        self.folder = bench.work / f"times-{times}"
        self.dsn = ""
        self.rows: dict[str, str] = {}
        self.queries: dict[str, list[str]] = {name: [] for name in QUERIES}
        self.found: dict[str, Rows] = {}

    def load_and_export(self, stack: ExitStack) -> None:
        """Everything that is a process of its own; the last database stays until the end."""
        inputs.make(self.folder / "api")
        added = inputs.multiply(self.folder / "api", self.times)
        for _ in range(self.rounds - 1):
            with self.bench.database() as dsn:
                self._load(dsn, added)
        self.dsn = stack.enter_context(self.bench.database())
        self._load(self.dsn, added)
        self._export(self.dsn)

    def _load(self, dsn: str, added: list[tuple[int, str]]) -> None:
        with database.connect(config.Database(dsn)) as conn:
            schema.upgrade(conn)
            inputs.add_locations(conn, added)
        name = f"load, {self.times}"
        self.bench.load(name, dsn, str(self.folder / "api"))
        self.rows["load"] = self._process(name)

    def _export(self, dsn: str) -> None:
        with database.connect(config.Database(dsn)) as conn:
            conn.cursor().execute("vacuum analyze")
            size = database.fetch_one(conn, "select pg_database_size(current_database())")[0]
            reports = database.fetch_one(conn, "select count(*) from public.cases_dimension")[0]
        self.rows = {"reports": f"{reports:,}"} | self.rows | {"database": megabytes(size)}
        for file_format in ("csv", "parquet"):
            name, target = f"export {file_format}, {self.times}", self.folder / file_format
            for _ in range(self.rounds):
                self.bench.measure(name, dsn, MAIN, "export", str(target), "--format", file_format)
            files = [path for path in target.rglob("*.*") if path.is_file()]
            self.rows[f"export, {file_format}"] = self._process(name)
            self.rows[f"its size, {file_format}"] = (
                f"{megabytes(sum(path.stat().st_size for path in files))} in {len(files)} files"
            )

    def _process(self, name: str) -> str:
        figures = self.bench.figures[name]
        return f"{statistics.median(figures.seconds):.2f} s, {statistics.median(figures.megabytes):.0f} MB"

    def ask(self, engines: list[str]) -> None:
        """The queries, in this process."""
        with database.connect(config.Database(self.dsn)) as conn:
            stars = [each for each in catalogue(conn) if each.kind == "table"]
            for name in engines:
                started = time.perf_counter()
                engine = ENGINES[name](conn, self.folder / "parquet", stars)
                self.rows[f"start of {name}"] = f"{time.perf_counter() - started:.2f} s"
                self._time_queries(engine)

    def _time_queries(self, engine: Engine) -> None:
        for name, query in QUERIES.items():
            # The first answer warms caches, and is compared; it is not counted.
            answer = comparable(engine(query))
            assert answer, name
            assert self.found.setdefault(name, answer) == answer, f"the engines differ: {name}"
            seconds = [timed(engine, query) for _ in range(max(self.rounds, 3))]
            self.queries[name].append(f"{statistics.median(seconds) * 1000:.1f}")


def timed(engine: Engine, query: str) -> float:
    """Seconds until the last row is here."""
    started = time.perf_counter()
    list(engine(query))
    return time.perf_counter() - started


def comparable(rows: Iterable[tuple[Any, ...]]) -> Rows:
    """Rows in one order, with numbers as one type: means differ between engines in the last digits."""
    return sorted((tuple(map(_plain, row)) for row in rows), key=repr)


def _plain(value: Any) -> Any:
    """A value as every engine has it; a day as text."""
    if isinstance(value, Decimal | float | int):
        return round(float(value), 6)
    return str(value) if isinstance(value, date) else value


def megabytes(size: int) -> str:
    """A size in bytes, in MB."""
    return f"{size / 1e6:.1f} MB"


# --- output ---


def report(scales: list[Scale], engines: list[str]) -> Iterator[str]:
    """The figures as Markdown tables."""
    titles = [f"{scale.times} x" for scale in scales]
    yield f"| measure | {' | '.join(titles)} |"
    yield "|---" * (len(titles) + 1) + "|"
    for name in scales[0].rows:
        yield f"| {name} | {' | '.join(scale.rows[name] for scale in scales)} |"
    yield ""
    yield f"| query, ms on {', '.join(engines)} | {' | '.join(titles)} |"
    yield "|---" * (len(titles) + 1) + "|"
    for name in QUERIES:
        yield f"| {name} | {' | '.join(', '.join(scale.queries[name]) for scale in scales)} |"


def main() -> None:
    """Measures each size, and prints the tables."""
    parser = argparse.ArgumentParser(description="Measures what grows with the data.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    options = parser.parse_args()
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="covid-etl-scale-")))
        work.chmod(0o755)
        bench = Bench(work, stack.enter_context(server.running(work / "home")), stack)
        scales = [Scale(bench, times, options.rounds) for times in options.times]
        # A new process starts with the peak of the one that starts it: first the processes, then what fills this one.
        for scale in scales:
            scale.load_and_export(stack)
            print(f"{scale.times} times the history: loaded and exported", file=sys.stderr)
        for scale in scales:
            scale.ask(options.engines)
        print("\n".join(report(scales, options.engines)))


if __name__ == "__main__":
    main()
