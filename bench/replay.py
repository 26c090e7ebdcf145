"""Measures a replay of many events: time and memory, and whether the number of temporary tables stays constant.

    python -m bench.replay [--days 420]

The shipped history is loaded day by day, a document per location and day (23,940 at most), into a server of its own.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from etl import config
from etl.database import connection, embedded
from etl.database.connection import Connection, fetch_one
from etl.run import replay
from etl.run.pipeline import LoadOptions, run
from etl.transform.declaration import SERIES_END, TABLES

TEMPORARY = "select count(*) from pg_class where relpersistence = 't'"


@contextmanager
def database() -> Iterator[Connection]:
    """A database of its own; the first load makes the schema."""
    with tempfile.TemporaryDirectory(prefix="covid-etl-bench-") as folder:
        Path(folder).chmod(0o755)
        with embedded.running(Path(folder) / "home") as dsn, connection.connect(config.Database(dsn)) as conn:
            yield conn


def checksums(conn: Connection) -> list[Any]:
    """A checksum of each table of the star and its history, times included."""
    tables = [name for table in TABLES for name in (f"public.{table}", f"history.{table}_revision")]
    query = "select md5(string_agg(t::text, '|' order by t::text)) from {} as t"
    return [fetch_one(conn, query.format(table))[0] for table in tables]


def main() -> None:
    """Loads, replays, prints the measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=420)
    days = parser.parse_args().days
    with database() as conn:
        for number in range(days):
            run(conn, LoadOptions(source="snapshot", day=SERIES_END - timedelta(days=number)), {})
        before, events = checksums(conn), fetch_one(conn, "select count(*) from ops.document_load")[0]
        print(f"{events} events loaded", flush=True)
        seen: list[tuple[int, float, int]] = []
        started = time.monotonic()

        def look(done: int, _total: int, _rows: int) -> None:
            if done % max(1, events // 8) == 0:
                seen.append((done, time.monotonic() - started, fetch_one(conn, TEMPORARY)[0]))

        summary = replay.replay(conn, "all", progress=look)
        seconds = time.monotonic() - started
        print(
            f"replayed in {seconds:.1f} s, {1000 * seconds / events:.2f} ms an event, exit {int(summary.exit_code)}"
        )
        for done, at, temporary in seen:
            print(f"{done:>7} events after {at:>7.1f} s: {temporary} temporary relations")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"identical: {checksums(conn) == before}; peak {peak:.0f} MB")


if __name__ == "__main__":
    main()
