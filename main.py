#!/usr/bin/env python3
"""The single entry point: hands the arguments to `etl.cli` and leaves with its exit code."""

import io
import signal
import sys

# Until the signals are watched, Ctrl-C ends the process at once, without a traceback.
if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from etl.ending import leave, watch_signals


def _run() -> int:
    """Runs the command; imports its modules only here, so that a signal during the imports is watched, too."""
    from etl.cli.commands import main

    try:
        return main(sys.argv[1:])
    except SystemExit as end:
        # argparse ends the process this way after --help and --version.
        return int(end.code or 0)


if __name__ == "__main__":
    watch_signals()
    # A character that the terminal cannot show is no reason to fail.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    leave(_run())
