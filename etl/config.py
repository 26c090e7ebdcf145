"""The places of the program and its data, the settings in the environment, and the check for optional packages."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from etl.errors import UsageError, as_usage_error

ROOT = Path(__file__).resolve().parent.parent
SNAPSHOT = ROOT / "snapshot"
API_URL = "https://api.covidtracking.com/v2"
PROGRAM = "covid-tracking-etl"

# One of these, set and not empty, configures a database; libpq then reads its other variables too.
_LIBPQ_TARGETS = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE")


@dataclass(frozen=True, slots=True)
class Database:
    """The configured database: a libpq connection string, '' for the PG* variables alone, and a password."""

    dsn: str = field(repr=False)
    password: str | None = field(default=None, repr=False)


def configured_database(url: str | None, environ: Mapping[str, str]) -> Database | None:
    """The configured database, or None where nothing is configured and the embedded server serves.

    Raises `UsageError` for an empty URL: a script passes one when its own variable is not set.
    """
    if url is not None and not url.strip():
        raise UsageError("--database-url is empty: give it a URL, or leave it out")
    dsn = url or secret("DATABASE_URL", environ)
    if not dsn and not any(environ.get(name) for name in _LIBPQ_TARGETS):
        return None
    return Database(dsn or "", _read_secret("PGPASSWORD_FILE", environ))


def command(*words: str) -> str:
    """A command of this program as people type it here; in a container `COVID_ETL_COMMAND` says what starts it."""
    return " ".join([os.environ.get("COVID_ETL_COMMAND") or "main.py", *words])


def api_url(environ: Mapping[str, str]) -> str:
    """The address of the API, or of a copy of it that `COVID_ETL_API_URL` names."""
    return (environ.get("COVID_ETL_API_URL") or API_URL).rstrip("/")


# `expanduser` raises RuntimeError for an account without a home.
@as_usage_error(
    "there is no folder for the embedded server", "set COVID_ETL_HOME to one, or DATABASE_URL", RuntimeError
)
def home(environ: Mapping[str, str]) -> Path:
    """The folder of the embedded server's data: `COVID_ETL_HOME`, or the first of three defaults that fits."""
    if configured := environ.get("COVID_ETL_HOME"):
        return Path(configured).expanduser().absolute()
    if os.geteuid() == 0:
        return Path("/var/lib") / PROGRAM
    if os.access(ROOT, os.W_OK):
        return ROOT / ".covid-etl"
    data_home = environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data_home).expanduser() / PROGRAM


def secret(variable: str, environ: Mapping[str, str]) -> str | None:
    """A variable, or the content of the file that `<variable>_FILE` names.

    Raises `UsageError` where that file cannot be read, or holds nothing or no text.
    """
    return environ.get(variable) or _read_secret(f"{variable}_FILE", environ)


def _read_secret(variable: str, environ: Mapping[str, str]) -> str | None:
    """The content of the file that a variable names, without the final newline."""
    name = environ.get(variable)
    if not name:
        return None
    with as_usage_error(f"{variable} names {name}, which cannot be read", kinds=(OSError, UnicodeDecodeError)):
        content = Path(name).read_text(encoding="utf-8").rstrip("\r\n")
    if "\0" in content:
        raise UsageError(f"{variable} names {name}, which holds a NUL: write the secret into it as text")
    if not content:
        raise UsageError(f"{variable} names {name}, which is empty: write the secret into it, or unset the variable")
    return content


def require_packages(purpose: str, extra: str, *packages: str) -> None:
    """Raises `UsageError` where a package of an extra is not installed."""
    try:
        for package in packages:
            import_module(package)
    except ImportError as error:
        raise UsageError(
            f"{purpose} needs a package that is not installed ({error.name}): "
            f"run `make .venv/{extra}`, or pip install -r requirements/{extra}.txt"
        ) from error
