"""A progress line on the terminal: documents, rate, time left."""

import time
from typing import TextIO


class Line:
    """Rewrites one line at each call, with the documents done, the documents in all, and the rows so far."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.started = time.monotonic()

    def __call__(self, done: int, total: int, rows: int) -> None:
        """Shows the line; the last one ends with a newline."""
        seconds = max(time.monotonic() - self.started, 1e-6)
        left = seconds / max(done, 1) * (total - done)
        line = f"{done} of {total} documents, {rows} rows, {done / seconds:.1f} documents/s, {left:.0f} s left"
        self.stream.write(f"\r{line:<78}" + ("\n" if done == total else ""))
        self.stream.flush()
