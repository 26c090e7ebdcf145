"""Log records on stderr: a constant event name with fields, as text for people or JSON lines for machines."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

LOGGER_NAME = "covid_etl"
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def get_logger() -> logging.Logger:
    """The program's one logger; call it as `log.info("event name", extra={"field": value})`."""
    return logging.getLogger(LOGGER_NAME)


def configure(log_format: str) -> None:
    """Sends the program's log to stderr as `text` or `json`."""
    _bound.clear()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_json_formatter() if log_format == "json" else TextFormatter())
    handler.addFilter(_add_bound)
    logging.getLogger().handlers[:] = [handler]
    # Libraries log what they do for each try; the program says the same once, in its own words.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    get_logger().setLevel(logging.INFO)


class TextFormatter(logging.Formatter):
    """`2021-03-08T06:00:01Z INFO document loaded address=us/daily.json`, in UTC."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 (logging's name)
        """The record's time, as an instant of UTC."""
        return datetime.fromtimestamp(record.created, UTC).strftime(datefmt or "%Y-%m-%dT%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the record's fields behind the event name as key=value."""
        fields = [f"{key}={value}" for key, value in vars(record).items() if key not in _STANDARD]
        return " ".join([super().format(record), *fields])


def bind(**fields: Any) -> None:
    """Puts fields, such as the run's number, onto every line from now on."""
    _bound.update(fields)


_bound: dict[str, Any] = {}


def _add_bound(record: logging.LogRecord) -> bool:
    vars(record).update(_bound)
    return True


def _json_formatter() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter

    return JsonFormatter(
        "{levelname}{message}",
        style="{",
        rename_fields={"levelname": "level", "message": "event"},
        timestamp="time",
    )
