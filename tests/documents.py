"""Documents for tests: small ones made here, real ones from the snapshot."""

import gzip
import json
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

from etl.config import SNAPSHOT
from etl.transform.declaration import NATION, STATE, Shape

BUILD_TIME = "2021-05-03T21:28:51.488Z"
DEFINITIONS = [
    {"name": "Hospital discharges", "deprecated": False, "prior_names": []},
    {"name": "Date", "field": "date", "deprecated": False, "prior_names": ["dateModified"]},
]

Json = dict[str, Any]


def plant(record: Json, path: str, value: Any) -> None:
    """Sets a dotted path."""
    *parents, name = path.split(".")
    for parent in parents:
        record = record.setdefault(parent, {})
    record[name] = value


def pluck(record: Json, path: str) -> Any:
    """Removes a dotted path and returns what was there."""
    *parents, name = path.split(".")
    for parent in parents:
        record = record[parent]
    return record.pop(name)


def report(shape: Shape, day: str, state: str = "CA", **values: Any) -> Json:
    """A report in which nothing is published but `values`, given as dotted paths with `__` for dots."""
    record: Json = {"date": day} if shape is NATION else {"date": day, "state": state}
    for attribute in shape.attributes:
        plant(record, attribute.path, None if attribute.nullable else 56)
    for metric in shape.metrics:
        for path in metric.columns.values():
            plant(record, path, None)
    for path, value in values.items():
        dotted = path.replace("__", ".")
        plant(record, dotted if dotted in _attributes(shape) or "calculated" in path else f"{dotted}.value", value)
    return record


def _attributes(shape: Shape) -> set[str]:
    return {attribute.path for attribute in shape.attributes}


def document(data: Json | list[Json], build_time: str = BUILD_TIME, **meta: Any) -> Json:
    """A document around a report, or around a history."""
    return {
        "meta": {
            "build_time": build_time,
            "license": "CC-BY-4.0",
            "version": "2.0-beta",
            "field_definitions": deepcopy(DEFINITIONS),
        }
        | meta,
        "data": data,
    }


def nation_day(day: str, **values: Any) -> Json:
    """The nation's document of one day."""
    return document(report(NATION, day, **values))


def state_history(state: str, days: dict[str, Json], build_time: str = BUILD_TIME) -> Json:
    """A state's history with the given values per day."""
    rows = [report(STATE, day, state, **values) for day, values in sorted(days.items(), reverse=True)]
    return document(rows, build_time)


def encode(content: Any) -> bytes:
    """JSON as the API writes it."""
    return json.dumps(content, separators=(",", ":")).encode()


def snapshot_addresses() -> Iterator[str]:
    """The addresses of the snapshot's histories."""
    for path in sorted(SNAPSHOT.rglob("daily.json.gz")):
        yield str(path.relative_to(SNAPSHOT)).removesuffix(".gz")


def snapshot(address: str) -> bytes:
    """A document of the snapshot."""
    return gzip.decompress(Path(SNAPSHOT, f"{address}.gz").read_bytes())


def snapshot_day(address: str, day: str) -> Json:
    """The single-day document of a history in the snapshot."""
    history = json.loads(snapshot(address))
    (row,) = (row for row in history["data"] if row["date"] == day)
    return {"meta": history["meta"], "data": row}


def snapshot_days(day: str, *locations: str) -> dict[str, Json]:
    """The single-day documents of some locations, of those that have the day, by their addresses."""
    found = {}
    for location in locations:
        history = "us/daily.json" if location == "us" else f"states/{location}/daily.json"
        address = history.replace("daily.json", f"daily/{day}.json" if location == "us" else f"{day}.json")
        with suppress(ValueError):
            found[address] = snapshot_day(history, day)
    return found
