"""Log records on stderr: a constant event name with fields, as text for people or JSON lines for machines."""

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from etl.errors import printable

FORMATS = ("text", "json")
FORMAT_FLAG, FORMAT_VARIABLE = "--log-format", "COVID_ETL_LOG_FORMAT"
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

# The program's one logger: `log.info("event name", extra={"field": value})`.
log = logging.getLogger("covid_etl")


def format_asked_for(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """The format of the log, looked up before the options are parsed, since their errors are logged too.

    An unknown format is text here, and an error of the parser later.
    """
    asked = environ.get(FORMAT_VARIABLE, "")
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for word, following in pairwise([*words, ""]):
        flag, _, value = word.partition("=")
        if flag == FORMAT_FLAG:
            asked = value or following
    return asked if asked in FORMATS else "text"


def configure(log_format: str) -> None:
    """Sends the program's log to stderr as `text` or `json`."""
    _bound.clear()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_json_formatter() if log_format == "json" else TextFormatter())
    handler.addFilter(_add_bound)
    logging.getLogger().handlers[:] = [handler]
    log.setLevel(logging.INFO)


class TextFormatter(logging.Formatter):
    """Formats `2021-03-08T06:00:01Z INFO document loaded address=us/daily.json`, with the time in UTC."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The line, with the record's fields behind the event name as key=value."""
        fields = [f"{key}={value}" for key, value in vars(record).items() if key not in _STANDARD]
        return printable(" ".join([super().formatMessage(record), *fields]))

    def formatException(self, ei: Any) -> str:  # noqa: N802 (logging's name)
        """The traceback, indented, so that no text in it looks like a line of the log."""
        return "\n".join(f"  {printable(line)}" for line in super().formatException(ei).split("\n"))


def bind(**fields: Any) -> None:
    """Puts fields, such as the run's number, onto every line from now on."""
    _bound.update(fields)


_bound: dict[str, Any] = {}


def _add_bound(record: logging.LogRecord) -> bool:
    vars(record).update(_bound)
    return True


def _json_formatter() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter

    names = {"levelname": "level", "message": "event"}
    return JsonFormatter("{levelname}{message}", style="{", rename_fields=names, timestamp="time")
