"""One page with charts of what is loaded, or pictures of the national curves."""

from datetime import UTC, datetime
from pathlib import Path

from etl.database.connection import Connection
from etl.errors import UsageError
from etl.extract.mirror import write_atomically

PAGE = "index.html"


def require_packages() -> None:
    """Raises `UsageError` where the packages of the extra `report` are not installed."""
    try:
        import jinja2
        import vl_convert
    except ImportError as error:
        raise UsageError(
            f"the report needs a package that is not installed ({error.name}): "
            "run `make .venv/report`, or pip install -r requirements/report.txt"
        ) from error
    del jinja2, vl_convert


def write_page(conn: Connection, folder: Path) -> list[Path]:
    """Writes the page to the folder; returns its path. Raises `DatabaseError` while nothing is loaded."""
    from etl.page import data, page

    content = page.render(data.read(conn), datetime.now(UTC)).encode()
    return _write(folder, {PAGE: content})


def write_pictures(conn: Connection, folder: Path) -> list[Path]:
    """Writes a PNG file per national curve to the folder; returns their paths.

    Raises `DatabaseError` while the nation is not loaded.
    """
    from etl.page import data, pictures

    return _write(folder, pictures.draw(data.read(conn), datetime.now(UTC)))


def _write(folder: Path, files: dict[str, bytes]) -> list[Path]:
    """Replaces each file at once; all contents are there before the first is written."""
    try:
        for name, content in files.items():
            write_atomically(folder / name, content)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror or error}; name another folder") from error
    return [folder / name for name in files]
