"""The end of the process: after its last word, by a signal, or by force where neither gets through.

A signal raises `Interrupted` in the main thread. A library there may never return, as with a frozen database server,
so a thread of its own ends the process a few seconds later.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from etl.errors import ExitCode, Interrupted
from etl.logs import log

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
# The process ends at most this long after a signal: first in order, then by force.
ORDERLY_SECONDS, FORCED_SECONDS = 4, 1

_when_forced: list[Callable[[], None]] = []


def watch_signals() -> None:
    """Takes over the signals; only the main thread may call it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    threading.Thread(target=_end_after_signal, args=(reader,), daemon=True).start()


def limit(seconds: float) -> None:
    """Ends the process after so many seconds, with the exit code of a database that does not answer."""
    reason = "the run took longer than it may: the database does not answer"
    timer = threading.Timer(seconds, _end_by_force, (ExitCode.DATABASE, reason))
    timer.daemon = True
    timer.start()


def leave_signals_to_child() -> None:
    """Lets a child process handle Ctrl-C and a closed terminal, and lives on to clean up after it."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, lambda *_: None)


@contextmanager
def when_forced(clean_up: Callable[[], None]) -> Iterator[None]:
    """Calls `clean_up`, which must take less than a second, if the process is ended by force within the block."""
    _when_forced.append(clean_up)
    try:
        yield
    finally:
        _when_forced.remove(clean_up)


def leave(code: int) -> NoReturn:
    """Ends the process now: an ordinary exit would wait for requests that are still under way in other threads."""
    # A closed stream is None, or cannot be flushed.
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    # A second signal must not cut off the orderly end that the first one began.
    for ignored in SIGNALS:
        signal.signal(ignored, signal.SIG_IGN)
    raise Interrupted(ExitCode(128 + number))


def _end_after_signal(reader: int) -> NoReturn:
    (number,) = os.read(reader, 1)
    time.sleep(ORDERLY_SECONDS)
    _end_by_force(ExitCode(128 + number), "the command did not end after the signal")


def _end_by_force(code: ExitCode, reason: str) -> NoReturn:
    def say_and_clean_up() -> None:
        log.error("command ended by force", extra={"exit_code": int(code), "reason": reason})
        for clean_up in _when_forced:
            clean_up()

    # The log may be as stuck as the command, so its line is written in a thread that nobody waits for.
    last_words = threading.Thread(target=say_and_clean_up, daemon=True)
    last_words.start()
    last_words.join(FORCED_SECONDS)
    os._exit(code)
