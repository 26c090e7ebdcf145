"""Atomic writing of files, and the lock on a folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces a file at once, after reading back what was written; raises `OSError` if that differs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with locked(path.parent):
        # A killed process may have left half a file here, and somebody a link that leads elsewhere.
        partial.unlink(missing_ok=True)
        try:
            with partial.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if partial.read_bytes() != content:
                raise OSError(f"{partial} was not written as it should be")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """Holds the lock on a folder, which a killed process loses; without `wait`, yields whether it could be had."""
    number = os.open(folder, os.O_RDONLY)
    try:
        yield lock(number, wait=wait)
    finally:
        os.close(number)


def lock(number: int, *, wait: bool = False) -> bool:
    """Takes the lock on an open file or folder for itself alone; without `wait`, returns whether it could be had."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
