"""The floor: typed decode and bare COPY of the same values, one thing at a time.

    python -m bench.floor URL DSN

Unlogged tables without keys, checks or generated columns; no history, no provenance, no hashes, one transaction.
"""

import io
import sys

import psycopg2
import requests

from etl.load.document import stage
from etl.transform.contract import _decoder
from etl.transform.declaration import FIRST_DAY, LAST_DAY, NATION, STATE, TABLES, key_columns, value_columns
from etl.transform.rows import columns, transform


def main(url: str, dsn: str) -> None:
    """Loads every document once."""
    connection, session = psycopg2.connect(dsn), requests.Session()
    cursor = connection.cursor()
    cursor.execute("create schema floor")
    for table in TABLES:
        names = ", ".join((*key_columns(table), *value_columns(table)))
        cursor.execute(
            f"create unlogged table floor.{table} as select location_id, {names} from public.{table} with no data"
        )
    cursor.execute("select location_id, location_code from public.location_dimension order by 1")
    for location_id, code in cursor.fetchall():
        shape = STATE if location_id else NATION
        address = f"states/{code.lower()}/daily.json" if location_id else "us/daily.json"
        body = session.get(f"{url}/{address}").content
        reports = _decoder(shape.name, single=False).decode(body).data
        for table, rows in transform(reports, shape, FIRST_DAY, LAST_DAY).items():
            staged = stage(table, columns(table, shape), rows)
            cursor.execute(f"alter table floor.{table} alter column location_id set default {location_id}")
            copy = f"copy floor.{table} ({', '.join(staged.columns)}) from stdin with (null 'None')"
            cursor.copy_expert(copy, io.StringIO(staged.text))
    connection.commit()


if __name__ == "__main__":
    main(*sys.argv[1:])
