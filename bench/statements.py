"""Where the database's time goes in a full load of the snapshot without its past: seconds by kind of statement.

python -m bench.statements
"""

import time
from collections import defaultdict
from typing import Any

from psycopg2.extensions import cursor

from bench.replay import database
from etl.run.pipeline import LoadOptions, run

seconds: defaultdict[str, float] = defaultdict(float)


class TimedCursor(cursor):
    """A cursor that adds up how long its statements take."""

    def execute(self, query: Any, parameters: Any = None) -> None:
        """Runs and times one statement."""
        started = time.perf_counter()
        super().execute(query, parameters)
        seconds[kind(str(query))] += time.perf_counter() - started

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        """Runs and times one COPY."""
        started = time.perf_counter()
        super().copy_expert(sql, file, size)
        seconds[kind(sql)] += time.perf_counter() - started


# A part of a statement -> what it does; the first one counts. The files of the schema name every table.
KINDS = {
    "copy public.": "rows of the star, by COPY: primary keys, generated columns, checks",
    "insert into ops.report_digest": "digests of reports",
    "add foreign key": "foreign keys, added at the end",
    "insert into ops.document (": "bytes of documents",
    "create ": "the schema",
}


def kind(query: str) -> str:
    """A name for what a statement does."""
    if query == "commit":
        return "commits"
    return next((name for part, name in KINDS.items() if part in query), "everything else")


def main() -> None:
    """Loads the snapshot into a new database, and prints the seconds."""
    with database() as conn:
        conn.cursor_factory = TimedCursor
        started = time.perf_counter()
        run(conn, LoadOptions(source="snapshot"), {})
        print(f"{time.perf_counter() - started:6.2f} the load")
    for name, taken in sorted(seconds.items(), key=lambda item: -item[1]):
        print(f"{taken:6.2f} {name}")


if __name__ == "__main__":
    main()
