"""Parts that not every machine has: a browser, a pooler, Spark, a Docker engine."""

import os

import pytest

REQUIRE_VARIABLE = "REQUIRE_PARTS"


def require(found: object, advice: str) -> None:
    """Skips the test whose part is missing; where all of them must be there, as in `.ci/run`, it fails."""
    if not found:
        (pytest.fail if os.environ.get(REQUIRE_VARIABLE) else pytest.skip)(advice)
