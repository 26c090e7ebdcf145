"""One word for one concept, as far as a test can hold that: see "Words" in CONTRIBUTING.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from etl.config import ROOT

MODULES = sorted((ROOT / "etl").rglob("*.py"))
# The names in `etl/` that may hold "report": what is published for one location and one day.
REPORT = {
    "report", "reports", "report_date", "report_path", "report_tree", "_reports", "_Report",
    "_refuse_impossible_reports", "REPORT_TABLE", "REPORT_STAMPS",
}  # fmt: skip
# In the packages of the command `report`, where the word alone could mean its result.
REPORT_BESIDE_COMMAND = {"cli": {"_report", "_report_options"}, "page": {"reports", "report_date"}}
# The names that may hold "snapshot": the history that is shipped. A moment of the database is none.
SNAPSHOT = {"SNAPSHOT", "is_snapshot"}
# Participles that say when, and not what a thing is.
NO_TYPES = {"Asked", "Done", "Found", "Ready", "Seen", "Settled", "Staged", "Wanted"}


def names(path: Path) -> Iterator[str]:
    """Every name in a module: of variables, arguments, attributes, functions and classes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for field in ("name", "id", "attr", "arg", "asname"):
            if isinstance(name := getattr(node, field, None), str):
                yield name


def holding(word: str, path: Path) -> set[str]:
    """The names in a module of which the word is a part."""
    parts = {name: re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_") for name in names(path)}
    return {name for name, words in parts.items() if {word, f"{word}s"} & set(words)}


def test_a_report_is_one_location_and_day() -> None:
    for path in MODULES:
        package = path.relative_to(ROOT / "etl").parts[0]
        assert holding("report", path) <= REPORT_BESIDE_COMMAND.get(package, REPORT), path


def test_the_snapshot_is_the_shipped_history() -> None:
    for path in MODULES:
        assert holding("snapshot", path) <= SNAPSHOT, path


def test_a_type_says_what_a_thing_is() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in MODULES]
    classes = {node.name.lstrip("_") for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    assert not classes & NO_TYPES
