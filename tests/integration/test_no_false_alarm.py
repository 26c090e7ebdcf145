"""What the source really published raises no alarm: not the whole history at once, and not day by day."""

from datetime import date, timedelta

from etl import config
from etl.database import connection as database
from etl.database.connection import Connection, fetch_all
from etl.run.pipeline import LoadOptions, run
from etl.transform.declaration import SERIES_END, TABLES, key_columns, value_columns

FIRST = date(2020, 1, 13)
FOUR = "us,wa,ca,ny"


def alarms(conn: Connection) -> list[tuple[int]]:
    """How many changes, findings and rejected documents there are."""
    return fetch_all(
        conn,
        "select (select count(*) from ops.drift) + (select count(*) from ops.finding)"
        " + (select count(*) from ops.document_load where outcome = 'rejected')",
    )


def star(conn: Connection, selection: str) -> dict[str, list[tuple[object, ...]]]:
    """The rows of some locations, without what says when they came."""
    found = {}
    for table in TABLES:
        columns = ", ".join((*key_columns(table), *value_columns(table)))
        found[table] = fetch_all(
            conn,
            f"select location_code, {columns} from public.{table} join public.location_dimension using (location_id)"
            f" where location_code = any(string_to_array(upper('{selection}'), ',')) order by 1, 2, 3",
        )
    return found


def test_the_shipped_history_raises_no_alarm(loaded_dsn: str) -> None:
    with database.connect(config.Database(loaded_dsn)) as conn:
        assert alarms(conn) == [(0,)]
        assert fetch_all(
            conn,
            "select endpoint_kind, count(*), count(path), count(feeds_column) from public.field_definitions_dimension"
            " where is_current group by 1 order by 1",
        ) == [("nation", 16, 14, 7), ("state", 16, 14, 14)]


def test_a_load_day_by_day_raises_no_alarm_and_ends_with_the_same_star(conn: Connection, loaded_dsn: str) -> None:
    day = FIRST
    while day <= SERIES_END:
        summary = run(conn, LoadOptions(source="snapshot", day=day, locations=FOUR), {})
        assert (summary.exit_code, summary.drift, summary.findings, summary.rejected) == (0, [], [], [])
        day += timedelta(days=1)
    assert alarms(conn) == [(0,)]
    with database.connect(config.Database(loaded_dsn)) as whole:
        assert star(conn, FOUR) == star(whole, FOUR)
