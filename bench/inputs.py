"""The inputs of the benchmark: the snapshot as served, with some reports revised, and more than once."""

import gzip
import json
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from etl.config import SNAPSHOT
from etl.database.connection import Connection

Document = dict[str, Any]
REVISED_SHARE = 100  # one report in so many
ONE_DAY = "2021-01-02"


def make(folder: Path) -> None:
    """The snapshot, and one single day of the nation."""
    shutil.copytree(SNAPSHOT, folder)
    history = read(folder / "us/daily.json.gz")
    (row,) = (row for row in history["data"] if row["date"] == ONE_DAY)
    write(folder / f"us/daily/{ONE_DAY}.json.gz", {"meta": history["meta"], "data": row})


def revise(folder: Path) -> int:
    """Revises one number of every hundredth report; returns how many."""
    revised = 0
    for path in sorted(folder.rglob("daily.json.gz")):
        document = read(path)
        for report in document["data"][::REVISED_SHARE]:
            metric = report["outcomes"]["death"]["total"]
            metric["value"] = (metric["value"] or 0) + 1
            revised += 1
        write(path, document)
    return revised


def forget_last_day(folder: Path) -> int:
    """Takes the newest report out of every history; returns how many."""
    paths = sorted(folder.rglob("daily.json.gz"))
    for path in paths:
        document = read(path)
        write(path, document | {"data": document["data"][1:]})
    return len(paths)


def codes(count: int) -> Iterator[tuple[int, str]]:
    """Numbers and codes of synthetic locations, beside the real ones."""
    letters = ("".join(each) for each in product("X", ascii_uppercase, ascii_uppercase))
    return zip(range(1000, 1000 + count), letters, strict=False)


def multiply(folder: Path, times: int) -> list[tuple[int, str]]:
    """Adds synthetic states, copies of the real ones, until the history is there so many times over."""
    paths = sorted((folder / "states").glob("*/daily.json.gz"))
    added = list(codes((times - 1) * (len(paths) + 1)))
    for number, (_, code) in enumerate(added):
        original = paths[number % len(paths)]
        body = gzip.decompress(original.read_bytes())
        renamed = body.replace(f'"state":"{original.parent.name.upper()}"'.encode(), f'"state":"{code}"'.encode())
        target = folder / f"states/{code.lower()}/daily.json.gz"
        target.parent.mkdir()
        target.write_bytes(gzip.compress(renamed, 6, mtime=0))
    return added


def add_locations(conn: Connection, added: list[tuple[int, str]]) -> None:
    """Makes room for synthetic states in a schema without data."""
    with conn.cursor() as cursor:
        cursor.execute(
            "alter table public.location_dimension drop constraint location_dimension_location_code_check,"
            " drop constraint location_dimension_fips_check"
        )
        for number, code in added:
            cursor.execute(
                "insert into public.location_dimension (location_id, location_code, name, location_type, fips)"
                " values (%s, %s, %s, 'state', %s)",
                (number, code, code, str(number)),
            )


def read(path: Path) -> Document:
    """A compressed document."""
    document: Document = json.loads(gzip.decompress(path.read_bytes()))
    return document


def write(path: Path, document: Document) -> None:
    """Writes a compressed document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(document, separators=(",", ":")).encode(), 6, mtime=0))
