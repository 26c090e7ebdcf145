"""The same histories through dlt, merged on date and state: the rival that a newcomer would take first.

    python -m bench.with_dlt URL DATABASE_URL FOLDER

As its documentation recommends: a resource with a primary key and the merge disposition; dlt flattens nested fields.
"""

import os
import sys
from collections.abc import Iterator
from typing import Any

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
import requests


def main(url: str, url_of_database: str, folder: str) -> None:
    """Loads every history once."""
    states = requests.get(f"{url}/states.json", timeout=60).json()["data"]

    def reports() -> Iterator[list[dict[str, Any]]]:
        nation = requests.get(f"{url}/us/daily.json", timeout=60).json()["data"]
        yield [row | {"state": "US"} for row in nation]
        for state in states:
            address = f"{url}/states/{state['state_code'].lower()}/daily.json"
            yield requests.get(address, timeout=60).json()["data"]

    destination = dlt.destinations.postgres(url_of_database.replace("+psycopg2", ""))
    pipeline = dlt.pipeline("bench", pipelines_dir=folder, destination=destination, dataset_name="covid")
    resource = dlt.resource(reports, primary_key=("date", "state"), write_disposition="merge")
    pipeline.run(resource)


if __name__ == "__main__":
    main(*sys.argv[1:])
