"""Atomic writing of files."""

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces a file at once, after reading back what was written; raises `OSError` if that differs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    # Neither half a file of an interrupted write nor a link that leads elsewhere is written to.
    partial.unlink(missing_ok=True)
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if partial.read_bytes() != content:
            raise OSError(f"{partial} was not written as it should be")
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
