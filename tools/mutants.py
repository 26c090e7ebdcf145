"""Tests the tests: changes one operator, constant or branch of `etl/` at random, and runs the fast tests on it.

    python tools/mutants.py [--count 200] [--seed 1] [--below etl/transform] [--tests tests/unit ...]

A mutant that no test notices survives, and is printed with its place and its change. Each works in a copy of the
checkout's committed files, so that the checkout itself is never touched.
"""

import argparse
import ast
import copy
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# The tests of a part of the program are run on its mutants; a mutant is killed by the first that fails.
TESTS = {
    "etl/transform": ["tests/unit"],
    "etl/extract": ["tests/unit", "tests/integration/test_extract.py", "tests/integration/test_mirror.py"],
    "etl/show": [
        "tests/unit", "tests/integration/test_validate.py", "tests/integration/test_commands.py",
        "tests/integration/test_export.py",
    ],
    "etl/page": ["tests/unit", "tests/integration/test_report.py"],
    "etl/cli": [
        "tests/unit", "tests/integration/test_commands.py", "tests/e2e/test_ending.py", "tests/e2e/test_psql.py",
    ],
    "etl": [
        "tests/unit", "tests/integration/test_load.py", "tests/integration/test_failures.py",
        "tests/integration/test_drift.py", "tests/integration/test_skip.py", "tests/integration/test_history.py",
        "tests/integration/test_alerts.py", "tests/integration/test_conditional.py",
        "tests/integration/test_database.py", "tests/e2e/test_ending.py",
    ],
}  # fmt: skip
LONGEST_SECONDS = 300
# Arguments that change no outcome.
INERT = {"slots", "frozen", "strict", "gc"}
SWAPPED: dict[Any, Any] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.And: ast.Or, ast.Or: ast.And, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A module with one change: the place, the change in words, and the whole text."""

    path: Path
    line: int
    change: str
    text: str


def places_of(path: Path) -> Iterator[tuple[Path, int]]:
    """Every place in a module where a mutant can be made: the numbers of its nodes that can be changed."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    inert = {id(node.value) for node in nodes if isinstance(node, ast.keyword) and node.arg in INERT}
    for number, node in enumerate(nodes):
        # The node is thrown away, so that it may be changed to see whether it can be.
        if hasattr(node, "lineno") and id(node) not in inert and _mutate(copy.copy(node)):
            yield path, number


def mutant_at(path: Path, number: int) -> Mutant:
    """The mutant of a module with another node of this number."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    node: Any = list(ast.walk(tree))[number]
    before = ast.unparse(node)
    _mutate(node)
    change = f"{before} -> {ast.unparse(node)}"
    return Mutant(path, node.lineno, change, ast.unparse(ast.fix_missing_locations(tree)))


def _mutate(node: ast.AST) -> bool:
    """Changes a node in place, if it is of a kind that can be changed."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPPED:
        node.ops = [SWAPPED[type(node.ops[0])](), *node.ops[1:]]
    elif isinstance(node, ast.BoolOp | ast.BinOp) and type(node.op) in SWAPPED:
        node.op = SWAPPED[type(node.op)]()
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        node.value = not node.value
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        node.value += 1
    elif isinstance(node, ast.If | ast.IfExp):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    else:
        return False
    return True


def tests_of(path: Path) -> list[str]:
    """The tests to run on the mutants of a module: those of the longest folder that holds it."""
    place = path.relative_to(ROOT).as_posix()
    folder = max((folder for folder in TESTS if place.startswith(f"{folder}/")), key=len)
    return TESTS[folder]


def survives(mutant: Mutant, checkout: Path, tests: Sequence[str]) -> bool:
    """Whether all tests pass on a mutant; one that makes them hang is killed."""
    place = checkout / mutant.path.relative_to(ROOT)
    original = place.read_text(encoding="utf-8")
    place.write_text(mutant.text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(command, cwd=checkout, capture_output=True, check=False, timeout=LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    finally:
        place.write_text(original, encoding="utf-8")
    return done.returncode == 0


def main() -> None:
    """Draws the mutants, tests them side by side, prints the survivors and the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--below", default="etl", help="draw from the modules below this folder")
    parser.add_argument("--tests", nargs="*", help="run these tests instead of those of the part")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    modules = sorted((ROOT / options.below).rglob("*.py"))
    every = [place for module in modules for place in places_of(module)]
    generator = random.Random(options.seed)  # noqa: S311 (no secret is drawn)
    drawn = [mutant_at(*place) for place in generator.sample(every, min(options.count, len(every)))]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as executor:
        checkouts: Queue[Path] = Queue()
        for number in range(options.jobs):
            checkout = Path(folder) / str(number)
            subprocess.run(["git", "clone", "--quiet", "--no-local", str(ROOT), str(checkout)], check=True)
            checkouts.put(checkout)

        def test(mutant: Mutant) -> bool:
            checkout = checkouts.get()
            try:
                return survives(mutant, checkout, options.tests or tests_of(mutant.path))
            finally:
                checkouts.put(checkout)

        survivors = 0
        for mutant, alive in zip(drawn, executor.map(test, drawn), strict=True):
            survivors += alive
            if alive:
                print(f"survives: {mutant.path.relative_to(ROOT)}:{mutant.line}: {mutant.change}", flush=True)
    print(f"{len(drawn)} of {len(every)} mutants (seed {options.seed}): {len(drawn) - survivors} killed")


if __name__ == "__main__":
    main()
