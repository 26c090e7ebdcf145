"""How often the attacks are tried: seldom in the sample of `make test-faults`, often in `make soak`."""

import os
from collections.abc import Callable

import pytest

Times = Callable[[str, int], int]


@pytest.fixture
def times(record_property: Callable[[str, object], None]) -> Times:
    """How often to try: a variable of the environment, or the number of the sample. The soak's table shows it."""

    def chosen(variable: str, sample: int) -> int:
        count = int(os.environ.get(variable, sample))
        record_property("times", count)
        return count

    return chosen
