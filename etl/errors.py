"""The exit codes, and the errors that carry them to the top of the command."""

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etl.transform.drift import Change


class ExitCode(IntEnum):
    """What the process tells its caller; the README's table explains each to an operator."""

    OK = 0
    BUG = 1
    USAGE = 2
    SOURCE = 3
    NOT_PUBLISHED = 4
    REJECTED = 5
    DATABASE = 6
    CHECK = 7
    LOCKED = 75
    INTERRUPTED = 130
    TERMINATED = 143


class EtlError(Exception):
    """An expected failure: its text is one line for people, and says what to do."""

    exit_code = ExitCode.BUG


class UsageError(EtlError):
    """An option, a variable or a file of the configuration is wrong."""

    exit_code = ExitCode.USAGE


class SourceError(EtlError):
    """The source, or a document that it must have, could not be had."""

    exit_code = ExitCode.SOURCE


class ContractError(EtlError):
    """A document is JSON, but not what the contract says; the text names the paths.

    `days` are the reports to which it is due, as published (none: not to single ones); `changes` is the drift in it
    (None: the document was not looked at so far).
    """

    exit_code = ExitCode.REJECTED

    def __init__(self, text: str, *, days: tuple[str, ...] = (), changes: "tuple[Change, ...] | None" = None) -> None:
        super().__init__(text)
        self.days = days
        self.changes = changes


class DatabaseError(EtlError):
    """The database is not there, refuses, or holds a schema that this program cannot use."""

    exit_code = ExitCode.DATABASE


class LockedError(EtlError):
    """Another run holds the run lock; the text says who, where and since when."""

    exit_code = ExitCode.LOCKED


class Interrupted(BaseException):
    """A signal asked the run to end. Not an `Exception`: nothing but the command's top may stop it."""

    def __init__(self, exit_code: ExitCode) -> None:
        super().__init__(exit_code.name.lower())
        self.exit_code = exit_code
