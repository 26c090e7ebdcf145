"""Compares the snapshot with a directory of the API's files: the `data` of every document that both have.

    python tools/verify_snapshot.py DIR SERVED

Prints each difference (path, snapshot, directory) and a count; exits with 1 if there is one besides
the expected: the site entries of states.json that hold a note instead of an address are left out of
the snapshot. Four fields of the states are older in DIR than in the snapshot. They are compared with
SERVED/states.csv.gz, which has a column for each.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from build_snapshot import Row, plant, read_csv, read_json, without_notes

# Path in a state's report -> column of SERVED/states.csv.gz.
SERVED = {
    "cases.probable": "probableCases",
    "tests.pcr.pending": "pending",
    "meta.updated": "lastUpdateUtc",
    "meta.data_quality_grade": "dataQualityGrade",
}
SNAPSHOT = Path(__file__).resolve().parent.parent / "snapshot"
MISSING = "(missing)"


def main() -> int:
    """Compares with the folders named on the command line."""
    parser = argparse.ArgumentParser(description="Compares the data of the snapshot with that of two directories.")
    parser.add_argument("directory", type=Path, help="folder that holds us/ and states/")
    parser.add_argument("served", type=Path, help="folder that holds states.csv.gz")
    options = parser.parse_args()
    other, served = options.directory, list(read_csv(options.served / "states.csv.gz"))
    addresses = sorted(histories(SNAPSHOT) | histories(other))
    found = [line for address in addresses for line in compare(address, other)]
    found += compare_served(served)
    expected = left_out(read_json(other / "states.json")["data"])
    total = (
        f"{len(addresses)} documents and {len(served) * len(SERVED)} values of four fields compared, "
        f"{len(found)} differences besides {len(expected)} expected"
    )
    print("\n".join([*expected, *found, total]))
    return 1 if found else 0


def document_addresses(folder: Path) -> set[str]:
    """The addresses of the documents in a folder, without the ending of compression."""
    return {str(path.relative_to(folder)).removesuffix(".gz") for path in folder.rglob("*.json*")}


def histories(folder: Path) -> set[str]:
    """Those documents of a folder that a snapshot holds: histories, and the states' metadata."""
    found = document_addresses(folder)
    states = {each for each in found if each.startswith("states/") and each.endswith("/daily.json")}
    return states | (found & {"us/daily.json", "states.json"})


def left_out(states: list[dict[str, Any]]) -> list[str]:
    """The site entries that a snapshot leaves out, as lines."""
    return [
        f"states.json: expected: {state['state_code']} {site['label']} site is no address ({site['url']!r:.40})"
        for state in states
        for site in state["sites"]
        if site not in without_notes(state)["sites"]
    ]


def compare(address: str, other: Path) -> list[str]:
    """The differences of one document, as lines."""
    try:
        ours, theirs = read_json(SNAPSHOT / address)["data"], read_json(other / address)["data"]
    except FileNotFoundError as error:
        return [f"{address}: {error.filename} is missing"]
    if address == "states.json":
        theirs = [without_notes(state) for state in theirs]
    elif address.startswith("states/"):
        for report in [*ours, *theirs]:
            for path in SERVED:
                plant(report, path, {})
    return [f"{address}: {line}" for line in differences(ours, theirs, "data")]


def compare_served(served: list[Row]) -> list[str]:
    """The differences of the four fields in all histories of states, as lines."""
    theirs = {f"{row['state']} {row['date']} {path}": row[name] for row in served for path, name in SERVED.items()}
    ours = {
        f"{report['state']} {report['date']} {path}": text_at(report, path)
        for address in histories(SNAPSHOT)
        if address.startswith("states/")
        for report in read_json(SNAPSHOT / address)["data"]
        for path in SERVED
    }
    return list(differences(ours, theirs, "served"))


def text_at(report: dict[str, Any], path: str) -> str:
    """A value of a report, or of a metric in it, as a CSV file has it."""
    value: Any = report
    for name in path.split("."):
        value = value[name]
    value = value["value"] if isinstance(value, dict) else value
    return "" if value is None else str(value)


def differences(ours: Any, theirs: Any, path: str) -> Iterator[str]:
    """Every leaf in which two JSON values differ, in type or in value."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in ours.keys() | theirs.keys():
            yield from differences(ours.get(key, MISSING), theirs.get(key, MISSING), f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    elif type(ours) is not type(theirs) or ours != theirs:
        yield f"{path}: {ours!r:.80} here, {theirs!r:.80} there"


if __name__ == "__main__":
    sys.exit(main())
