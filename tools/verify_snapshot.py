"""Compares the snapshot with a directory of the API's files: the `data` of every document that both have.

    python tools/verify_snapshot.py DIR

Prints each difference (path, snapshot, directory) and a count; exits with 1 if there is one besides
the expected: the site entries of states.json that hold a note instead of an address are left out of
the snapshot.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from build_snapshot import read_json, without_notes

SNAPSHOT = Path(__file__).resolve().parent.parent / "snapshot"
MISSING = "(missing)"


def main() -> int:
    """Compares with the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Compares the data of the snapshot with a directory's.")
    parser.add_argument("directory", type=Path, help="folder that holds us/ and states/")
    other = parser.parse_args().directory
    addresses = sorted(document_addresses(SNAPSHOT) | histories(other))
    found = [line for address in addresses for line in compare(address, other)]
    expected = left_out(read_json(other / "states.json")["data"])
    total = f"{len(addresses)} documents compared, {len(found)} differences besides {len(expected)} expected"
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
    return [f"{address}: {line}" for line in differences(ours, theirs, "data")]


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
