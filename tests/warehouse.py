"""A warehouse for tests: a database, and a directory as its source."""

from pathlib import Path
from typing import Any

import psycopg2

from etl.database.connection import Connection, fetch_all
from etl.run.pipeline import LoadOptions, run
from etl.run.summary import Summary
from etl.transform.declaration import TABLES
from tests.documents import Json, encode, state_history

CALIFORNIA = "states/ca/daily.json"


def rows(dsn: str, query: str) -> list[tuple[Any, ...]]:
    """What a query finds in a database that the test has no connection to."""
    connection = psycopg2.connect(dsn)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()
    finally:
        connection.close()


def counted(summary: Summary) -> dict[str, int]:
    return {str(outcome): count for outcome, count in summary.documents.items() if count}


class Warehouse:
    """A database, and a directory as its source."""

    def __init__(self, conn: Connection, folder: Path) -> None:
        self.conn = conn
        self.folder = folder
        (folder / "us").mkdir(parents=True, exist_ok=True)

    def publish(self, address: str, content: Any) -> None:
        path = self.folder / address
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else encode(content))

    def load(self, **options: Any) -> Summary:
        wanted = LoadOptions(**{"source": str(self.folder), "locations": "ca"} | options)
        return run(self.conn, wanted, {})

    def history(self, days: dict[str, Json], **options: Any) -> Summary:
        self.publish(CALIFORNIA, state_history("CA", days))
        return self.load(**options)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return fetch_all(self.conn, query)

    def versions(self) -> dict[str, list[tuple[Any, ...]]]:
        """The physical identity of every row of the star."""
        return {
            table: self.rows(f"select ctid::text, xmin::text, xmax::text, * from public.{table} order by 1")
            for table in TABLES
        }
