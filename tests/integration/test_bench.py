"""The benchmark itself works: a short part of it runs and prints its tables."""

import subprocess
import sys

from etl import config


def test_the_benchmark_prints_its_tables() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "bench.run", "--rounds", "1", "--only", "day"],
        cwd=config.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "| measure | median s | fastest s | peak MB |" in result.stdout
    assert "| one day over one day, bare script | " in result.stdout
