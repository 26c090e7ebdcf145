"""Builds the past: what was published, vintage by vintage, as changes by path of the API v2.

    python tools/build_past.py --vintages DIR --output snapshot/past

`--vintages` holds the changes of the states and of the nation (states.csv.gz, us.csv.gz), and their vintages
(vintages.csv, us_vintages.csv), by columns of the API v1. Values are kept as published, but for two:

- `lastUpdateEt`, US Eastern time, becomes the UTC instant that the API v2 has as `meta.updated`. Where it was
  published as a spreadsheet's number, it is days since 1899-12-30.
- The nation has its six metrics and `states`; its other columns are left out.
"""

import argparse
import gzip
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from build_snapshot import NATION, STATES, Row, read_csv

EASTERN = ZoneInfo("America/New_York")
UPDATED = "meta.updated"
ATTRIBUTES = {
    "states": "states",
    "meta.data_quality_grade": "dataQualityGrade",
    UPDATED: "lastUpdateEt",
    "meta.tests.total_source": "totalTestResultsSource",
}
TEXTS = {"dataQualityGrade", "totalTestResultsSource"}
# The columns that downloads of the site lacked at some time; a download has such a column only if a change shows it.
OFTEN_LACKED = {"probableCases", "pending", "lastUpdateEt", "totalTestResultsSource", "dataQualityGrade"}
DOWNLOADS = ("all-states-history.csv", "national-history.csv")
KINDS = "rncfwx"
# Series -> the files of its changes and of its vintages, and its paths by column; `positive` feeds two of the states.
SERIES = {
    "nation": ("us.csv.gz", "us_vintages.csv", NATION | {"states": "states"}),
    "state": ("states.csv.gz", "vintages.csv", STATES | ATTRIBUTES),
}
# (day, vintage, kind) -> path -> value
Deltas = dict[tuple[str, int, str], dict[str, Any]]


def main() -> None:
    """Builds the past from the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Builds the past from the vintages of the published figures.")
    parser.add_argument("--vintages", type=Path, required=True, help="folder of the vintages and their changes")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    options = parser.parse_args()
    index: dict[str, Any] = {"series": {}, "sha256": {}}
    for series, (changes, vintages, columns) in SERIES.items():
        rows = list(read_csv(options.vintages / changes))
        packed = (options.vintages / changes).read_bytes()
        index["series"][series] = {
            "sha256": hashlib.sha256(packed).hexdigest(),
            "vintages": list(described(list(read_csv(options.vintages / vintages)), rows, columns)),
        }
        for code, deltas in sorted(by_location(rows, paths_by_column(columns)).items()):
            body = written(options.output / f"{code.lower()}.json.gz", lines(deltas))
            index["sha256"][code] = hashlib.sha256(body).hexdigest()
    written(options.output / "vintages.json.gz", json.dumps(index, indent=1) + "\n")


def paths_by_column(columns: dict[str, str]) -> dict[str, list[str]]:
    """Column of the API v1 -> the paths that it feeds."""
    return {column: [path for path, fed_by in columns.items() if fed_by == column] for column in columns.values()}


def by_location(rows: list[Row], paths: dict[str, list[str]]) -> dict[str, Deltas]:
    """The changes of each location that change a value."""
    found: dict[str, Deltas] = {}
    updates: dict[tuple[str, str], Any] = {}
    for row in rows:
        code, kind, column = row.get("state", "US"), row["kind"], row["column"]
        key = (row["date"], int(row["vintage"]), kind)
        if not column:
            found.setdefault(code, {}).setdefault(key, {})
            continue
        value = typed(column, row["value"])
        if column == "lastUpdateEt":
            # A number in the place of a time may be the same time.
            if updates.get((code, row["date"])) == value:
                continue
            updates[code, row["date"]] = value
        for path in paths.get(column, ()):
            found.setdefault(code, {}).setdefault(key, {})[path] = value
    return found


def typed(column: str, text: str) -> Any:
    """A value of a column as the API v2 has it."""
    if not text or column in TEXTS:
        return text or None
    return utc(text) if column == "lastUpdateEt" else int(text)


def utc(text: str) -> str:
    """A time of the US East, or a spreadsheet's number of days, as UTC."""
    days = timedelta(days=int(text)) if text.isdigit() else None
    local = datetime(1899, 12, 30) + days if days else datetime.fromisoformat(text)
    return f"{local.replace(tzinfo=EASTERN).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def described(vintages: list[Row], rows: list[Row], columns: dict[str, str]) -> Iterator[dict[str, Any]]:
    """The vintages, each with the paths that it carried and its origin."""
    shown: dict[int, set[str]] = {}
    for row in rows:
        shown.setdefault(int(row["vintage"]), set()).add(row["column"])
    carried: set[str] = set()
    for vintage in vintages:
        number, is_last = int(vintage["vintage"]), not vintage["commit"]
        carried |= set(vintage["new_columns"].split())
        is_download = vintage["path"].endswith(DOWNLOADS) or is_last
        lacked = OFTEN_LACKED - shown.get(number, set()) if is_download else set()
        origin = [vintage[name] for name in ("repository", "path", "commit")]
        yield {
            "known_at": vintage["as_of"],
            "exactness": vintage["exactness"],
            "paths": [path for path, column in columns.items() if column in carried - lacked],
            "origin": "the final downloads and the last API v1" if is_last else " ".join(origin),
        }


def lines(deltas: Deltas) -> str:
    """The changes of a location as a JSON array, one on each line, by day and vintage."""
    ordered = sorted(deltas.items(), key=lambda delta: (*delta[0][:2], KINDS.index(delta[0][2])))
    texts = [json.dumps([*key, cells], separators=(",", ":")) for key, cells in ordered]
    return "[\n" + ",\n".join(texts) + "\n]\n"


def written(path: Path, text: str) -> bytes:
    """Writes a text, compressed the same way every time; returns its bytes before that."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    return text.encode()


if __name__ == "__main__":
    main()
