"""The end of the process: after its last output, by a signal, or by force where it hangs.

A signal raises `Interrupted` in the main thread. A library may swallow the exception, or may never return, as when
the database server is frozen; so a second thread ends the process a few seconds later.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn

from etl import logs
from etl.errors import ExitCode, Interrupted, exit_code_of
from etl.logs import log

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
# After a signal the process may take the first time to end in order, and then the second to clean up before it is
# ended by force. A signal during an import is sent again after the third.
ORDERLY_SECONDS, FORCED_SECONDS, IMPORT_SECONDS = 4, 1, 0.02

_when_forced: list[Callable[[], None]] = []
# The exit code of the signal that has come, if one has.
_signalled: list[ExitCode] = []


def watch_signals() -> None:
    """Takes over the signals, and opens the standard streams that are closed; only the main thread may call it."""
    for name, mode in {"stdin": "r", "stdout": "w", "stderr": "w"}.items():
        if getattr(sys, name) is None:
            # Otherwise the next file or connection that is opened gets the stream's number, and so its text.
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 (open to the end)
    sys.excepthook = _end_uncaught
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in SIGNALS:
        # nohup, or a shell that starts a command in the background, has it ignore some signals.
        if signal.getsignal(number) is not signal.SIG_IGN:
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
    # A child inherits ignored signals. psql handles Ctrl-C itself, but not a closed terminal, which has to end it.
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
    """Ends the process now: an ordinary exit would wait for requests that are still under way in other threads.

    After a signal its exit code counts, even if a library has swallowed the exception and the command went on.
    """
    if _signalled and code != _signalled[0]:
        code = _signalled[0]
        log.error("command ended after a signal", extra={"exit_code": int(code)})
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _end_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> NoReturn:
    """Ends the process after an error, mostly a signal, outside the command's own handling of errors."""
    if isinstance(error, Interrupted):
        logs.configure(logs.format_asked_for(sys.argv[1:], os.environ))
        log.error("command failed", extra={"exit_code": int(error.exit_code), "reason": str(error)})
    else:
        sys.__excepthook__(kind, error, traceback)
    leave(exit_code_of(error))


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _is_importing(frame):
        # An import may wrap or swallow the exception, and is over soon: the signal is sent again.
        threading.Timer(IMPORT_SECONDS, os.kill, (os.getpid(), number)).start()
        return
    # A second signal must not cut off the orderly end that the first one began.
    for ignored in SIGNALS:
        signal.signal(ignored, signal.SIG_IGN)
    _signalled.append(ExitCode(128 + number))
    raise Interrupted(_signalled[0])


def _is_importing(frame: FrameType | None) -> bool:
    while frame and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def _end_after_signal(reader: int) -> NoReturn:
    (number,) = os.read(reader, 1)
    time.sleep(ORDERLY_SECONDS)
    _end_by_force(ExitCode(128 + number), "the command did not end after the signal")


def _end_by_force(code: ExitCode, reason: str) -> NoReturn:
    def say_and_clean_up() -> None:
        log.error("command ended by force", extra={"exit_code": int(code), "reason": reason})
        for clean_up in _when_forced:
            clean_up()

    # The log may hang like the command, so a thread of its own writes the last line, and has a second for it.
    last_words = threading.Thread(target=say_and_clean_up, daemon=True)
    last_words.start()
    last_words.join(FORCED_SECONDS)
    os._exit(code)
