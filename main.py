#!/usr/bin/env python3
"""The single entry point: hands the arguments to `etl.cli` and returns its exit code."""

import sys

from etl.cli.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
