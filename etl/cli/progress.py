"""A progress line on the terminal: documents, rate, time left."""

import time
from collections.abc import Callable
from typing import TextIO


def line(stream: TextIO) -> Callable[[int, int, int], None]:
    """A function that rewrites one line, given the documents done, the documents in all, and the rows so far.

    The line ends when all documents are done.
    """
    started = time.monotonic()

    def show(done: int, total: int, rows: int) -> None:
        seconds = max(time.monotonic() - started, 1e-6)
        left = seconds / max(done, 1) * (total - done)
        shown = f"{done} of {total} documents, {rows} rows, {done / seconds:.1f} documents/s, {left:.0f} s left"
        print(f"\r{shown:<78}", end="\n" if done == total else "", file=stream, flush=True)

    return show
