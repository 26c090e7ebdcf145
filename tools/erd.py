"""Draws `erd.png` from the live schema: `make erd`. Needs Graphviz's `dot`.

The picture carries a fingerprint of the schema, by which a test tells when it is out of date.
"""

import hashlib
import html
import struct
import subprocess
import sys
import zlib
from pathlib import Path

from live_schema import Column, Table, fresh_database, read_tables

from etl.transform.declaration import CALCULATED, DETAIL_TABLE

PICTURE = Path(__file__).resolve().parent.parent / "erd.png"
KEYWORD = b"schema-fingerprint"
SIGNATURE_BYTES, HEADER_CHUNK_BYTES = 8, 25
DIMENSION, FACT = ("#1f5a96", "#e8f0f9"), ("#9a4a08", "#fdf1e5")


def main() -> int:
    """Draws the picture; says so if `dot` is missing."""
    with fresh_database() as conn:
        tables = read_tables(conn, "public")
    try:
        drawn = subprocess.run(["dot", "-Tpng"], input=dot(tables).encode(), capture_output=True, check=True)
    except FileNotFoundError:
        print("dot is missing: install Graphviz (Debian: apt-get install graphviz)", file=sys.stderr)
        return 1
    PICTURE.write_bytes(with_text(drawn.stdout, fingerprint(tables)))
    return 0


def fingerprint(tables: list[Table]) -> str:
    """A hash of the graph that the picture shows."""
    return hashlib.sha256(dot(tables).encode()).hexdigest()


def dot(tables: list[Table]) -> str:
    """The graph: facts on the left, the report in the middle, the other dimensions on the right."""
    nodes = "\n".join(node(table) for table in tables)
    edges = "\n".join(edge(table, target) for table in tables for target in targets(table))
    return f"""digraph star {{
graph [rankdir=LR, ranksep=0.9, nodesep=0.25, dpi=96, pad=0.2, bgcolor=white, fontname="DejaVu Sans"]
node [shape=plain, fontname="DejaVu Sans", fontsize=11]
edge [color="#555555", arrowhead=none, arrowtail=crow, dir=both]
{nodes}
{edges}
}}
"""


def node(table: Table) -> str:
    """A table as a box: name, then a line per column, with keys marked."""
    dark, light = DIMENSION if table.name.endswith("_dimension") else FACT
    lines = "".join(f'<tr><td align="left" bgcolor="{light}">{line}</td></tr>' for line in column_lines(table))
    title = f'<tr><td bgcolor="{dark}"><font color="white"><b>{table.name}</b></font></td></tr>'
    style = f'border="1" cellborder="0" cellspacing="0" cellpadding="3" color="{dark}"'
    return f"{table.name} [label=<<table {style}>{title}{lines}</table>>]"


def column_lines(table: Table) -> list[str]:
    """The columns, with a measure of a fact and its calculated columns on one line."""
    shown = [column for column in table.columns if not is_calculated(table, column)]
    return [column_line(table, column) for column in shown]


def column_line(table: Table, column: Column) -> str:
    """One column with its type in grey: underlined in the primary key, in italics in a foreign key."""
    name = html.escape(column.name)
    name = f"<u>{name}</u>" if column.in_key else name
    name = f"<i>{name}</i>" if column.references else name
    calculated = sum(is_calculated(table, other, column.name) for other in table.columns)
    more = f" + {calculated} calculated" if calculated else ""
    return f'{name} <font color="#666666">{html.escape(short_type(column.type))}{more}</font>'


def is_calculated(table: Table, column: Column, measure: str = "") -> bool:
    """Whether a column of a fact is calculated by the API from a measure (from any, if none is named)."""
    if table.name == DETAIL_TABLE or not table.name.endswith("_fact"):
        return False
    owners = [measure] if measure else [other.name for other in table.columns]
    return any(column.name == f"{owner}_{name}" for owner in owners for name in CALCULATED)


def short_type(name: str) -> str:
    """Postgres's type in the words that people use."""
    return name.replace("timestamp with time zone", "timestamptz")


def targets(table: Table) -> list[str]:
    """The tables that a table refers to."""
    return list(dict.fromkeys(column.references for column in table.columns if column.references))


def edge(table: Table, target: str) -> str:
    """A foreign key, from the many to the one; the kinds of test stay on the side of the facts."""
    constraint = " [constraint=false]" if target == "test_dimension" else ""
    return f"{table.name} -> {target}{constraint}"


def with_text(png: bytes, text: str) -> bytes:
    """The picture with a text chunk behind its header (PNG specification, 11.3.4.3 tEXt)."""
    data = b"tEXt" + KEYWORD + b"\0" + text.encode("latin-1")
    chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    head = SIGNATURE_BYTES + HEADER_CHUNK_BYTES
    return png[:head] + chunk + png[head:]


def text_of(png: bytes) -> str:
    """The fingerprint that a picture carries."""
    _, found, rest = png.partition(KEYWORD + b"\0")
    return rest[:64].decode("latin-1") if found else ""


if __name__ == "__main__":
    sys.exit(main())
