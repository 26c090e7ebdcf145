"""Writes the page or the pictures to a folder."""

from datetime import UTC, datetime
from pathlib import Path

from etl.config import require_packages
from etl.database.connection import Connection
from etl.errors import as_usage_error
from etl.files import write_atomically
from etl.page import data, page, pictures

PAGE = "index.html"


def write(conn: Connection, folder: Path, *, png: bool) -> list[Path]:
    """Writes the page, or a PNG file per national curve and one with all of them; returns the paths.

    Raises `UsageError` where a package is missing, nothing to show is loaded, or the folder cannot be written.
    """
    require_packages("the report", "report", "jinja2", "vl_convert")
    contents, made_at = data.read(conn), datetime.now(UTC)
    files = pictures.draw(contents, made_at) if png else {PAGE: page.render(contents, made_at).encode()}
    with as_usage_error(f"{folder} cannot be written", "name another folder"):
        for name, content in files.items():
            write_atomically(folder / name, content)
    return [folder / name for name in files]
