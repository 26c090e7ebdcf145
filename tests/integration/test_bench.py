"""The benchmarks themselves work: a short part of them runs and prints its tables."""

import re
import subprocess
import sys

import pytest

from etl import config

pytestmark = pytest.mark.slow


def test_the_benchmark_prints_its_tables() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "bench.run", "--rounds", "1", "--only", "day"],
        cwd=config.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "| measure | median s | fastest s | median CPU s | peak MB |" in result.stdout
    assert "| one day over one day, bare script | " in result.stdout


def test_the_benchmark_of_scale_prints_its_tables() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "bench.scale", "--rounds", "1", "--times", "1", "--engines", "Postgres", "DuckDB"],
        cwd=config.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    # It compares what the engines find, too.
    assert result.returncode == 0, result.stderr
    assert "| reports | 21,200 |" in result.stdout
    assert re.search(r"\| five tables joined, by day \| [\d.]+, [\d.]+ \|", result.stdout)
