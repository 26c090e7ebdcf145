"""Exit codes and outcomes, and the one mapping from an error or an outcome to a code."""

from collections.abc import Iterable
from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """The exit codes of the process; `MEANINGS` explains each."""

    OK = 0
    BUG = 1
    USAGE = 2
    SOURCE = 3
    NOT_PUBLISHED = 4
    REJECTED = 5
    DATABASE = 6
    CHECK = 7
    LOCKED = 75
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS = {
    ExitCode.OK: "done, also when nothing was new",
    ExitCode.BUG: "a bug in this program",
    ExitCode.USAGE: "usage, configuration or this machine",
    ExitCode.SOURCE: "source unavailable, or a document could not be had after retries",
    ExitCode.NOT_PUBLISHED: "nothing is published for the days asked for, in any location asked for",
    ExitCode.REJECTED: "a document broke the contract and was rejected",
    ExitCode.DATABASE: "the database cannot be reached, or failed just now",
    ExitCode.CHECK: "a required check failed, or what is loaded is stale",
    ExitCode.LOCKED: "another run holds the lock",
    ExitCode.HUNG_UP: "the terminal was closed (SIGHUP)",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C, SIGINT)",
    ExitCode.TERMINATED: "terminated (SIGTERM)",
}

SIGNALS = (ExitCode.HUNG_UP, ExitCode.INTERRUPTED, ExitCode.TERMINATED)

_PRECEDENCE = (
    ExitCode.BUG,
    ExitCode.DATABASE,
    ExitCode.SOURCE,
    ExitCode.REJECTED,
    ExitCode.CHECK,
    ExitCode.NOT_PUBLISHED,
)


class Outcome(StrEnum):
    """What became of a document."""

    NOT_MODIFIED = "not_modified"
    NOT_PUBLISHED = "not_published"
    FAILED = "failed"
    LOADED = "loaded"
    UNCHANGED = "unchanged"
    STALE = "stale"
    SKIPPED = "skipped"
    REJECTED = "rejected"


def first(codes: Iterable[ExitCode]) -> ExitCode:
    """The one exit code of several things that happened: the gravest."""
    happened = set(codes)
    return next((code for code in _PRECEDENCE if code in happened), ExitCode.OK)


def exit_code_of(error: BaseException) -> ExitCode:
    """The exit code of a command that an error has ended; of a document that failed by it."""
    if isinstance(error, EtlError | Interrupted):
        return error.exit_code
    return ExitCode.USAGE if isinstance(error, OSError) else ExitCode.BUG


class EtlError(Exception):
    """An expected failure: its text is one line for people, and says what to do.

    `ends_run`: no other document of the run could do better.
    """

    exit_code = ExitCode.BUG
    ends_run = False


class UsageError(EtlError):
    """An option, a variable, a file, a right or the schema is not as it must be: a person has to change it."""

    exit_code = ExitCode.USAGE
    ends_run = True


class SourceError(EtlError):
    """The source could not be had, or a document without which nothing can be asked for."""

    exit_code = ExitCode.SOURCE
    ends_run = True


class DocumentError(EtlError):
    """No complete document in JSON could be had; the text says why. The next run tries again."""

    exit_code = ExitCode.SOURCE


class ContractError(EtlError):
    """A document is JSON, but not what the contract says; the text names the paths.

    `days` are the reports to which it is due, as published; none where it is not due to single ones.
    """

    exit_code = ExitCode.REJECTED

    def __init__(self, text: str, *, days: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.days = days


class DatabaseError(EtlError):
    """The database cannot be reached, or has failed."""

    exit_code = ExitCode.DATABASE
    ends_run = True


class BlockedError(EtlError):
    """Another session's lock stopped a statement."""

    exit_code = ExitCode.DATABASE


class StatementError(EtlError):
    """The database refused a statement for a reason that no code foresees."""


class LockedError(EtlError):
    """Another run holds the run lock; the text says who, where and since when."""

    exit_code = ExitCode.LOCKED
    ends_run = True


class Interrupted(BaseException):
    """A signal asked the run to end. Not an `Exception`: nothing but the command's top may stop it."""

    def __init__(self, exit_code: ExitCode) -> None:
        super().__init__(exit_code.name.lower().replace("_", " "))
        self.exit_code = exit_code
