"""A load that is interrupted at a chosen moment: the next one does the rest, and nothing shows in the star."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from etl import config
from etl.database import connection as database
from tests.cli import Cli
from tests.conftest import FEW, Command, administrator
from tests.integration.test_no_false_alarm import star

LOAD = ("load", "--source", "snapshot", "--locations", FEW, "--jobs", "1", "--json")
GATE = 20200113
ENDED = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129, signal.SIGKILL: -9}

# The moments: when the statement is about to run on the table, with so many documents loaded.
MOMENTS = {
    "before the first document": ("insert", "ops.document", 0),
    "within the rows of the first": ("insert", "cases_fact", 0),
    "within the rows of the third": ("insert", "testing_detail_fact", 2),
    "with the third all but committed": ("insert", "ops.document_load", 2),
    "as the last is committed": ("insert", "ops.document_load", 5),
    "as the run is closed": ("update", "ops.run", 5),
}
CASES = [
    ("within the rows of the first", signal.SIGKILL),
    ("within the rows of the third", signal.SIGTERM),
    ("with the third all but committed", signal.SIGKILL),
    ("as the run is closed", signal.SIGINT),
]
OTHERS = [(moment, number) for moment in MOMENTS for number in ENDED if (moment, number) not in CASES]


@contextmanager
def stopped_at(moment: str, command: Command) -> Iterator["subprocess.Popen[str]"]:
    """A load that waits, in the middle of a statement, until the block is left."""
    statement, table, documents = MOMENTS[moment]
    with administrator(command.dsn) as cursor:
        cursor.execute(
            "create function public.gate() returns trigger language plpgsql as $$ begin"
            f" if (select count(*) from ops.document_load) >= {documents}"
            f" then perform pg_advisory_xact_lock({GATE}); end if; return null; end $$;"
            f"create trigger gate before {statement} on {table} for each statement execute function public.gate()"
        )
        cursor.execute("select pg_advisory_lock(%s)", (GATE,))
        process = command.start(*LOAD)
        try:
            waiting = (
                "select from pg_locks where locktype = 'advisory' and not granted and"
                " database = (select oid from pg_database where datname = current_database())"
            )
            cursor.execute(waiting)
            while not cursor.fetchall():
                assert process.poll() is None, process.communicate()
                time.sleep(0.02)
                cursor.execute(waiting)
            yield process
        finally:
            cursor.execute("select pg_advisory_unlock(%s)", (GATE,))
            process.communicate(timeout=60)
            cursor.execute("drop function public.gate() cascade")


@pytest.mark.parametrize(
    ("moment", "number"),
    [*CASES, *(pytest.param(*case, marks=pytest.mark.slow) for case in OTHERS)],
    ids=str,
)
def test_an_interrupted_load_is_finished_by_the_next(
    moment: str, number: signal.Signals, command: Command, cli: Cli, few_dsn: str
) -> None:
    with stopped_at(moment, command) as process:
        process.send_signal(number)
        if number is signal.SIGKILL:
            process.wait(timeout=10)
    assert process.returncode == ENDED[number]
    # The server notices that the killed one has left when it next speaks to it.
    found = cli.json(*LOAD, "--wait", "20")
    assert found["returncode"] == 0
    with database.connect(config.Database(command.dsn)) as conn:
        statuses = database.fetch_all(conn, "select status, exit_code from ops.run order by run_id")
        loaded = database.fetch_all(conn, "select count(*), count(distinct address) from ops.document_load")
        # What had been asked of the server when the signal came is done.
        assert statuses[0][0] == ("ok" if moment == "as the run is closed" else "interrupted")
        assert statuses[1:] == [("ok", 0)]
        # No document was loaded twice.
        assert loaded == [(6, 6)]
        with database.connect(config.Database(few_dsn)) as whole:
            assert star(conn, FEW) == star(whole, FEW)
