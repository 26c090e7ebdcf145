"""psql on the database in use: plain for scripts, with settings and a greeting at a terminal."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from etl import config
from etl.config import Database
from etl.database import embedded
from etl.database.connection import SQL, split_password, without_writes
from etl.ending import leave_signals_to_child
from etl.errors import UsageError

STARTUP_FILE = SQL / "psqlrc"
EXAMPLES = SQL / "examples"
# Cuts long lines, passes colours on, and leaves a table that fits on the screen there.
PAGER = "less -SRFX"


def program() -> str:
    """The psql to run; raises `UsageError` if there is none."""
    found = embedded.psql_program()
    if not found:
        raise UsageError("there is no psql here: install PostgreSQL's client (Debian: postgresql-client)")
    return found


def run(psql: str, target: Database, arguments: Sequence[str], environ: Mapping[str, str], *, read_only: bool) -> int:
    """Runs psql as a child process, so that an embedded server can be stopped afterwards; returns psql's exit code.

    The password is in the environment, which other users of the machine cannot read. If a signal ends psql, the exit
    code is 128 plus the number of the signal. Raises `UsageError` for a bare argument, which psql would ignore.
    """
    if arguments and not arguments[0].startswith("-"):
        raise UsageError(f"psql takes no {arguments[0]!r}; for SQL: {config.command('psql')} -- -c 'select 1'")
    dsn, password = split_password(target)
    if "sslpassword=" in dsn:
        raise UsageError("psql would show sslpassword to other users: put it into a service file (PGSERVICE)")
    variables = {**environ, **({"PGPASSWORD": password} if password else {})}
    if read_only:
        dsn, options = without_writes(dsn, environ)
        variables |= options
    command = [psql, *([dsn] if dsn else []), *arguments]
    if not arguments and sys.stdin.isatty() and sys.stdout.isatty():
        command += ["--set", f"examples={_examples()}", *_own_startup_file(psql, environ)]
        variables |= {"PSQLRC": str(STARTUP_FILE)} | _pager(environ)
    # At Ctrl-C psql cancels its query, and it ends by itself when the terminal closes.
    leave_signals_to_child()
    code = subprocess.run(command, env=variables, check=False).returncode
    return code if code >= 0 else 128 - code


def _examples() -> str:
    """The folder of the examples as people would type it: relative if it is below the current folder."""
    return os.path.relpath(EXAMPLES) if EXAMPLES.is_relative_to(Path.cwd()) else str(EXAMPLES)


def _own_startup_file(psql: str, environ: Mapping[str, str]) -> list[str]:
    """The option that names the user's own startup file, if there is one, by the names that psql looks for."""
    shown = subprocess.run([psql, "--version"], capture_output=True, text=True, check=False).stdout
    version = (shown.split() or [""])[2:3]
    suffixes = [f"-{number}" for full in version for number in (full, full.split(".")[0])]
    name = environ.get("PSQLRC") or "~/.psqlrc"
    name = environ.get("HOME", "") + name[1:] if name.startswith("~/") else name
    files = [f"{name}{suffix}" for suffix in (*suffixes, "") if os.access(f"{name}{suffix}", os.R_OK)]
    return ["--set", f"own_startup_file={files[0]}"] if files else []


def _pager(environ: Mapping[str, str]) -> dict[str, str]:
    """The variable that sets the pager: less, or none where it is missing. A pager that the user has set stays."""
    if "PSQL_PAGER" in environ or "PAGER" in environ:
        return {}
    return {"PSQL_PAGER": PAGER if shutil.which("less") else ""}
