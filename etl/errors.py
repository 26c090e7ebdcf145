"""Exit codes, the outcomes of documents, the one mapping from an error to a code, and the text of messages."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum, StrEnum
from typing import Self

ErrorKinds = type[Exception] | tuple[type[Exception], ...]


class ExitCode(IntEnum):
    """The exit codes of the process with their meanings; where several apply, the first one listed counts."""

    meaning: str

    def __new__(cls, code: int, meaning: str = "") -> Self:
        """A number that knows its meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    BUG = 1, "a bug in this program"
    DATABASE = 6, "the database cannot be reached, or failed just now"
    SOURCE = 3, "source unavailable, or a document could not be had after retries"
    REJECTED = 5, "a document broke the contract and was rejected"
    CHECK = 7, "a required check failed, or what is loaded is stale"
    NOT_PUBLISHED = 4, "nothing is published for the days asked for, in any location asked for"
    OK = 0, "done, also when nothing was new"
    USAGE = 2, "usage, configuration or this machine"
    LOCKED = 75, "another run holds the lock"
    HUNG_UP = 129, "the terminal was closed (SIGHUP)"
    INTERRUPTED = 130, "interrupted (Ctrl-C, SIGINT)"
    TERMINATED = 143, "terminated (SIGTERM)"


SIGNALS = (ExitCode.HUNG_UP, ExitCode.INTERRUPTED, ExitCode.TERMINATED)


class Outcome(StrEnum):
    """The outcome of a document in a run."""

    NOT_MODIFIED = "not_modified"
    NOT_PUBLISHED = "not_published"
    FAILED = "failed"
    LOADED = "loaded"
    UNCHANGED = "unchanged"
    STALE = "stale"
    SKIPPED = "skipped"
    REJECTED = "rejected"


def first(codes: Iterable[ExitCode]) -> ExitCode:
    """The exit code that counts where several apply; `OK` where there is none."""
    return min(codes, key=list(ExitCode).index, default=ExitCode.OK)


# The errors of this machine. A module that cannot be imported is one of them: it is not installed, or there is too
# little memory for it.
MACHINE_ERRORS = (OSError, MemoryError, ImportError)


def exit_code_of(error: BaseException) -> ExitCode:
    """The exit code of a command that ends with an error, or of a document that fails by it."""
    if isinstance(error, EtlError | Interrupted):
        return error.exit_code
    return ExitCode.USAGE if isinstance(error, MACHINE_ERRORS) else ExitCode.BUG


def printable(text: str) -> str:
    """The text as one line that steers no terminal and forges no line of a log.

    Line breaks, control characters, marks of direction and the like are shown by their numbers, as in JSON.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def shown(spec: str) -> str:
    """A word of the command line as given, or only its scheme where it may hold a secret, such as a password."""
    return re.sub(r"^(\w+://)?.*[@?#=].*", r"\1...", spec, flags=re.DOTALL)


class EtlError(Exception):
    """An expected failure, whose text is one printable line for people and says what to do.

    `ends_run` says that every other document of the run would fail in the same way.
    """

    exit_code = ExitCode.BUG
    ends_run = False

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


class UsageError(EtlError):
    """A person has to change an option, a variable, a file, a right or the schema."""

    exit_code = ExitCode.USAGE
    ends_run = True


class SourceError(EtlError):
    """The source does not answer, or lacks a document that names what to ask for."""

    exit_code = ExitCode.SOURCE
    ends_run = True


class DocumentError(EtlError):
    """No complete document in JSON arrived; the text says why, and the next run tries again."""

    exit_code = ExitCode.SOURCE


class ContractError(EtlError):
    """A document is JSON that breaks the contract; the text names the paths.

    `days` are the dates of the reports that break it, as published; empty where the whole document does.
    """

    exit_code = ExitCode.REJECTED

    def __init__(self, text: str, *, days: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.days = days


class DatabaseError(EtlError):
    """The database cannot be reached, or it failed."""

    exit_code = ExitCode.DATABASE
    ends_run = True


class BlockedError(EtlError):
    """A lock, a timeout or a cancel stopped a statement; `holders` names the sessions with locks, once known."""

    exit_code = ExitCode.DATABASE
    holders = ""

    def __str__(self) -> str:
        return super().__str__() + (f"; locks are held by {self.holders}" if self.holders else "")


class StatementError(EtlError):
    """The database refused a statement for a reason that no code foresees."""


class LockedError(EtlError):
    """Another session holds the run lock; the text says who, where and since when.

    `needs_person` says that no waiting helps: the session is no run, or one that does not end.
    """

    exit_code = ExitCode.LOCKED
    ends_run = True

    def __init__(self, text: str, *, needs_person: bool = False) -> None:
        super().__init__(text)
        self.needs_person = needs_person


class Interrupted(BaseException):
    """A signal asked the command to end; no `Exception`, so that only the command's top catches it."""

    needs_person = False

    def __init__(self, exit_code: ExitCode) -> None:
        super().__init__(exit_code.name.lower().replace("_", " "))
        self.exit_code = exit_code


@contextmanager
def as_usage_error(failure: str, advice: str = "", kinds: ErrorKinds = OSError) -> Iterator[None]:
    """Raises a `UsageError` in place of an error in the block: the failure, the error's reason, the advice."""
    try:
        yield
    except kinds as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UsageError(f"{failure}: {reason}" + (f"; {advice}" if advice else "")) from error
