"""The README of an export: what its files are, where they come from, how to open them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from etl.show.export import Column, Exported, Relation

FileFormat = Literal["csv", "parquet"]

HEAD = """\
# Export of the COVID Tracking Project's figures

Cases, tests, hospital patients and deaths of the United States and its 56 states and territories, per day.
Made at {exported_at} by {program} {version}; {origin}.

The figures are the work of The COVID Tracking Project at The Atlantic (https://covidtracking.com), published under
CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/): name them when you use the figures.

- Nearly all counts are running totals: do not add them up over days.
- The nation (`US`) is a location beside its parts: do not add up both.
- {null} means "not published", never zero.
- {types}

| table | rows | file | what it is |
|---|---|---|---|
"""

CSV_USE = """
## How to open it

Run in this folder. DuckDB:

```sql
select * from '{path}'{where} limit 10;
```

pandas:

```python
import pandas as pd

table = pd.read_csv("{path}", dtype_backend="numpy_nullable", keep_default_na=False, na_values=[""])
{dates}print(table.head(10))
```

Spark:

```python
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
table = spark.read.csv("{path}", header=True, inferSchema=True, escape='"', multiLine=True)
table.show(10)
```

A spreadsheet: open `{path}` as it is, with comma as the separator.
"""

PARQUET_USE = """
## How to open it

Run in this folder. DuckDB:

```sql
select * from '{glob}'{where} limit 10;
```

pandas (with pyarrow):

```python
import pandas as pd

table = pd.read_parquet("{path}", dtype_backend="numpy_nullable")
{dates}print(table.head(10))
```

Spark:

```python
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
table = spark.read.parquet("{path}")
table.show(10)
```

A spreadsheet does not read Parquet: export with `--format csv`.
"""


@dataclass(frozen=True, slots=True)
class FormatNotes:
    """What a reader has to know of a file format: what a null is, what the types are, how to open it."""

    null: str
    types: str
    use: str


FORMATS: dict[FileFormat, FormatNotes] = {
    "csv": FormatNotes(
        null="An empty field",
        types="UTF-8, comma separated, quoted where needed (RFC 4180); dates and times are ISO 8601, times in UTC.",
        use=CSV_USE,
    ),
    "parquet": FormatNotes(
        null="Null",
        types="Counts are 64-bit integers, percents doubles, times instants of UTC. A table with rows per location "
        "and day is a folder with one per location; `location_code` is in its name, and is read as a column.",
        use=PARQUET_USE,
    ),
}


def text(exported: "Exported", relations: Sequence["Relation"]) -> str:
    """The whole README, in Markdown."""
    notes = FORMATS[exported.format]
    head = HEAD.format(
        exported_at=exported.exported_at, program=exported.program, version=exported.version,
        origin=_origin(exported.run), null=notes.null, types=notes.types,
    )  # fmt: skip
    files = [
        f"| `{relation.name}` | {table['rows']} | `{table['path']}` | {_cell(relation.meaning)} |\n"
        for relation, table in zip(relations, exported.tables, strict=True)
    ]
    sections = (line for relation in relations for line in _section(exported, relation))
    return "".join([head, *files, _use(exported, relations), "\n## Columns\n", *sections])


def _origin(run: dict[str, Any] | None) -> str:
    """Of which load it shows the state."""
    if not run:
        return "nothing had been loaded"
    ended = f"ended at {run['ended_at']}" if run["ended_at"] else "not ended"
    return f"the last load was run {run['run_id']} ({run['status']}, {ended}), from {run['source']}"


def _use(exported: "Exported", relations: Sequence["Relation"]) -> str:
    """How to open it, by the example of its first table."""
    example = relations[0]
    path = example.path(exported.format)
    glob = f"{path}/**/*.parquet" if example.is_partitioned else path
    where = " where location_code = 'CA'" if "location_code" in example.names else ""
    dates = "".join(
        f'table["{column.name}"] = pd.to_datetime(table["{column.name}"])\n'
        for column in example.columns
        if column.type == "date"
    )
    return FORMATS[exported.format].use.format(path=path, glob=glob, where=where, dates=dates)


def _section(exported: "Exported", relation: "Relation") -> Iterator[str]:
    yield f"\n### {relation.name}\n\n| column | type | meaning |\n|---|---|---|\n"
    for column in relation.columns:
        yield f"| `{column.name}` | {_type(exported, column)} | {_cell(column.meaning)} |\n"


def _type(exported: "Exported", column: "Column") -> str:
    """The type in the files, in lower case as SQL names it."""
    return column.type if exported.format == "csv" else column.parquet_type.lower()


def _cell(meaning: str) -> str:
    return meaning.replace("|", "\\|")
