"""The options of the commands: their types, those that several commands share, and the variables that set them."""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, NoReturn

from etl.errors import UsageError
from etl.logs import FORMATS

# The time zone of `today`: the source was American, and published the figures of a day in the afternoon.
TIME_ZONE = "America/New_York"
ALL = "all"
LONGEST_DAYS = 36500
# In digits: the identities of the database have no more.
LONGEST_NUMBER = 18
LONGEST_WAIT_SECONDS = 7 * 24 * 3600
# Each request under way may hold a document of the largest size in memory, and loads its server.
MOST_JOBS = 32
# Option -> variable that sets its default, for every command that has the option.
VARIABLES = {
    "--source": "COVID_ETL_SOURCE",
    "--jobs": "COVID_ETL_JOBS",
    "--wait": "COVID_ETL_WAIT",
    "--log-format": "COVID_ETL_LOG_FORMAT",
}


class Parser(argparse.ArgumentParser):
    """A parser that takes defaults from variables, and whose errors are `UsageError`."""

    def __init__(self, environ: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        kwargs |= {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter}
        super().__init__(**kwargs)
        self.environ = environ or {}

    def error(self, message: str) -> NoReturn:
        """Raises what was wrong as one line."""
        raise UsageError(f"{message}; see {self.prog} --help")

    def option(self, flag: str, text: str, *, variable: str | None = None, **kwargs: Any) -> None:
        """Adds an option; a variable that is set and not empty replaces its default."""
        variable = variable or VARIABLES.get(flag)
        if variable and (value := self.environ.get(variable)):
            kwargs["default"] = _Variable(variable, value, kwargs.get("type", str), kwargs.get("choices"))
        self.add_argument(flag, help=f"{text} [{variable}]" if variable else text, **kwargs)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Reads a variable only now, where its option was not given."""
        options, unknown = super().parse_known_args(args, namespace)
        for name, value in vars(options).items():
            if isinstance(value, _Variable):
                setattr(options, name, value.read())
        return options, unknown

    def switch(self, flag: str, text: str) -> None:
        """Adds an option without a value."""
        self.option(flag, text, action="store_true")

    def shared(self, *flags: str) -> None:
        """Adds options that several commands have."""
        for flag in flags:
            self.option(flag, **SHARED[flag])


class _Variable(NamedTuple):
    """A variable that is set, in the place of an option's default."""

    name: str
    text: str
    convert: Callable[[str], Any]
    choices: Sequence[str] | None

    def read(self) -> Any:
        """The value; raises `UsageError` where the text is none."""
        try:
            value = self.convert(self.text)
        except (argparse.ArgumentTypeError, ValueError) as error:
            raise UsageError(f"{self.name}: {error}") from error
        if self.choices and value not in self.choices:
            raise UsageError(f"{self.name} is {value!r}; expected one of {', '.join(self.choices)}")
        return value


# --- types ---


def day(text: str) -> date:
    """A day as YYYY-MM-DD alone: `date.fromisoformat` would also read 20210307 and 2021-W09-7."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no date; expected YYYY-MM-DD")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date of the calendar; expected YYYY-MM-DD") from None


def day_or_word(text: str) -> date | str:
    """A day, `today` or `yesterday` in New York, or the word `latest`."""
    if text == "latest":
        return text
    if text in ("today", "yesterday"):
        from dateutil.tz import gettz

        today = datetime.now(gettz(TIME_ZONE)).date()
        return today if text == "today" else today - timedelta(days=1)
    try:
        return day(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, latest, yesterday or today") from None


def positive(text: str) -> int:
    """A number of 1 or more."""
    if text.isdecimal() and len(text) > LONGEST_NUMBER:
        raise argparse.ArgumentTypeError(f"{text[:LONGEST_NUMBER]}... is too large a number")
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return int(text)


def days(text: str) -> int:
    """A number of days, from one to a hundred years."""
    if (number := positive(text)) > LONGEST_DAYS:
        raise argparse.ArgumentTypeError(f"{text} days are more than {LONGEST_DAYS}")
    return number


def jobs(text: str) -> int:
    """A number of parallel requests, from 1 to `MOST_JOBS`."""
    if (number := positive(text)) > MOST_JOBS:
        raise argparse.ArgumentTypeError(f"{text} parallel requests are more than {MOST_JOBS}")
    return number


def positive_or_all(text: str) -> int | str:
    """A number of 1 or more, or the word `all`."""
    return text if text == ALL else positive(text)


def seconds(text: str) -> float:
    """A number of seconds, from 0 to a week."""
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    if (number := float(text)) > LONGEST_WAIT_SECONDS:
        raise argparse.ArgumentTypeError(f"{text} seconds are more than {LONGEST_WAIT_SECONDS}, a week")
    return number


def selection(text: str) -> str:
    """Locations as a run records them: in small letters, without spaces."""
    return ",".join(part.strip().lower() for part in text.split(",") if part.strip())


# --- options that several commands have ---

SHARED: dict[str, dict[str, Any]] = {
    "--database-url": {"metavar": "URL", "text": "postgresql://USER@HOST:PORT/DATABASE [DATABASE_URL]"},
    "--log-format": {"choices": FORMATS, "default": "text", "text": "log lines on stderr: text or json"},
    "--locations": {"metavar": "L", "type": selection, "default": ALL, "text": "all (default), us, states, or ca,ny"},
    "--jobs": {"metavar": "N", "type": jobs, "default": 4, "text": "parallel requests, up to 32 (default: 4)"},
    "--wait": {"metavar": "SECONDS", "type": seconds, "default": 0.0, "text": "wait for another run (default: 0)"},
    "--json": {"action": "store_true", "text": "print the result as one JSON object"},
    "--no-progress": {"action": "store_true", "text": "no progress line on the terminal"},
}
