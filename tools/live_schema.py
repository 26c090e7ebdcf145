"""The schema as Postgres has it: read from a live database, for the picture and the data dictionary."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from etl import config
from etl.database import connection as database
from etl.database import embedded as server
from etl.database import schema
from etl.database.connection import Connection, fetch_all

COLUMNS = """
select
    namespace.nspname,
    relation.relname,
    obj_description(relation.oid, 'pg_class'),
    attribute.attname,
    format_type(attribute.atttypid, null),
    attribute.attnotnull,
    col_description(relation.oid, attribute.attnum),
    exists (
        select from pg_constraint as key
        where key.conrelid = relation.oid and key.contype = 'p' and attribute.attnum = any(key.conkey)
    ),
    (
        select pointed.relname::text
        from pg_constraint as key inner join pg_class as pointed on pointed.oid = key.confrelid
        where key.conrelid = relation.oid and key.contype = 'f' and attribute.attnum = any(key.conkey)
        limit 1
    )
from pg_class as relation
inner join pg_namespace as namespace on relation.relnamespace = namespace.oid
inner join pg_attribute as attribute on attribute.attrelid = relation.oid
where
    namespace.nspname = any(%s)
    and relation.relkind in ('r', 'v')
    and attribute.attnum > 0
    and not attribute.attisdropped
order by namespace.nspname <> 'public', namespace.nspname, relation.oid, attribute.attnum
"""

FUNCTIONS = """
select
    format('%%s.%%s(%%s)', namespace.nspname, function.proname, pg_get_function_arguments(function.oid)),
    -- The rows are those of the table or view that the function is named for.
    case namespace.nspname when 'mart' then 'mart.' else '' end || replace(function.proname, '_as_of', ''),
    obj_description(function.oid, 'pg_proc')
from pg_proc as function
inner join pg_namespace as namespace on function.pronamespace = namespace.oid
where namespace.nspname = any(%s) and function.proretset
order by namespace.nspname <> 'mart', function.oid
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `references` is the table to which its foreign key leads."""

    name: str
    type: str
    required: bool
    comment: str
    in_key: bool
    references: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its columns, in the DDL's order."""

    schema: str
    name: str
    comment: str
    columns: tuple[Column, ...]

    @property
    def full_name(self) -> str:
        """The name in a query, which leaves out `public`."""
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"


def read_tables(conn: Connection, *schemas: str) -> list[Table]:
    """The tables of some schemas, `public` first, in the order in which they were made."""
    tables: dict[tuple[str, str, str], list[Column]] = {}
    for namespace, table, comment, *column in fetch_all(conn, COLUMNS, (list(schemas),)):
        tables.setdefault((namespace, table, comment), []).append(Column(*column))
    return [Table(*key, tuple(columns)) for key, columns in tables.items()]


@dataclass(frozen=True, slots=True)
class Function:
    """A function that returns rows as a table or view has them; `call` is its name with its arguments."""

    call: str
    rows_of: str
    comment: str


def read_functions(conn: Connection, *schemas: str) -> list[Function]:
    """The functions of some schemas that return rows, those of `mart` first."""
    return [Function(*row) for row in fetch_all(conn, FUNCTIONS, (list(schemas),))]


@contextmanager
def fresh_database() -> Iterator[Connection]:
    """A connection to a new database with the schema, on an embedded server that ends with the block."""
    with tempfile.TemporaryDirectory(prefix="covid-etl-schema-") as folder:
        Path(folder).chmod(0o755)
        with server.running(Path(folder) / "home") as dsn, database.connect(config.Database(dsn)) as conn:
            schema.upgrade(conn)
            yield conn
