"""Documents are prepared in threads: some ahead of the one that is loaded, and no more."""

import threading
import time
from typing import Any

import pytest

from etl.run.prepare import prepare_ahead


@pytest.mark.parametrize("jobs", [1, 3])
def test_so_many_documents_are_prepared_ahead_and_one_more_waits(jobs: int) -> None:
    begun: list[int] = []
    may_end = threading.Event()

    def prepare(number: Any) -> int:
        begun.append(number)
        may_end.wait(5)
        return int(number) * 10

    requests: list[Any] = list(range(8))
    prepared = prepare_ahead(prepare, requests, jobs)
    timer = threading.Timer(0.3, may_end.set)
    timer.start()
    taken = [next(prepared)]
    timer.join()
    # Long enough for one too many to begin.
    time.sleep(0.1)
    # The one that was taken has made room for one more; nothing else begins before the next is asked for.
    assert sorted(begun) == list(range(jobs + 1))
    taken += prepared
    # One that keeps the others waiting comes later.
    assert sorted((int(number), future.result()) for number, future in taken) == [(n, n * 10) for n in range(8)]  # type: ignore[call-overload]  # a number stands for a request
