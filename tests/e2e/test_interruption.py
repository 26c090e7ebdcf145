"""A load that is interrupted at any moment: the next one does the rest, and nothing shows in the star."""

import random
import signal
import time

import pytest

from etl import config
from etl.database import connection as database
from tests.conftest import Command
from tests.integration.test_history import star

LOAD = ("load", "--source", "snapshot", "--json")


def whole_star(dsn: str) -> object:
    with database.connect(config.Database(dsn)) as conn:
        return star(conn)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_load_is_finished_by_the_next(
    number: signal.Signals, command: Command, loaded_dsn: str
) -> None:
    delay = random.uniform(0.2, 3)
    process = command.start(*LOAD)
    time.sleep(delay)
    process.send_signal(number)
    process.communicate(timeout=60)
    ended = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -9}
    assert process.returncode in (ended[number], 0), f"after {delay} s"
    found = command.json(*LOAD)
    assert found["returncode"] == 0, f"after {delay} s"
    with database.connect(config.Database(command.dsn)) as conn:
        statuses = [status for (status,) in database.fetch_all(conn, "select status from ops.run order by run_id")]
        loaded = database.fetch_all(conn, "select count(*), count(distinct address) from ops.document_load")
    assert statuses[-1] == "ok"
    assert set(statuses[:-1]) <= {"interrupted", "ok"}
    # No document was loaded twice.
    assert loaded == [(58, 58)]
    assert whole_star(command.dsn) == whole_star(loaded_dsn), f"after {delay} s"
