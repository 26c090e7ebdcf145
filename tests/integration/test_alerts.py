"""Alerts and the heartbeat, against a real HTTP receiver and a real database."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from etl import config
from etl.database import connection as database
from etl.database import embedded
from etl.database.connection import Connection, execute, fetch_all
from etl.errors import DatabaseError, EtlError, ExitCode, Interrupted, LockedError, SourceError
from etl.load import drift_record
from etl.run import alerts, replay
from etl.run.alerts import Notice, Watch
from etl.show import status
from etl.show.status import staleness
from etl.transform.declaration import NATION
from tests.cli import Cli
from tests.conftest import Api, administrator
from tests.documents import DEFINITIONS, Json, document, encode, plant, pluck, report, state_history
from tests.receiver import SECRET, Receiver
from tests.warehouse import CALIFORNIA, Warehouse

FAILED = Notice(ExitCode.SOURCE, ["failed: CA history: status 500"])
FINE = Notice(ExitCode.OK)


def tell(conn: Connection, receiver: Receiver, notice: Notice | BaseException, *scopes: str) -> list[str]:
    """The messages that the end of a command sends."""
    receiver.messages.clear()
    scopes = scopes or ("load", alerts.STALENESS)
    try:
        with Watch(receiver.environ, *scopes, is_load=scopes[0] == "load") as watch:
            watch.conn = conn
            watch.start()
            if isinstance(notice, BaseException):
                raise notice
            watch.notice = notice
    except (EtlError, psycopg2.Error, RuntimeError, Interrupted):
        pass
    return receiver.messages


def test_a_good_run_is_no_news(conn: Connection, receiver: Receiver) -> None:
    assert tell(conn, receiver, FINE) == []
    assert fetch_all(conn, "select * from ops.alert") == []
    assert receiver.pings == ["/start", ""]


def test_a_trouble_is_told_once_and_its_end_too(conn: Connection, receiver: Receiver) -> None:
    assert tell(conn, receiver, FAILED) == [
        "covid-tracking-etl: trouble (exit code 3)\nfailed: CA history: status 500"
    ]
    assert tell(conn, receiver, FAILED) == []
    assert tell(conn, receiver, FINE) == ["covid-tracking-etl: recovered\nover: failed: CA history: status 500"]
    assert tell(conn, receiver, FINE) == []
    assert receiver.kinds == ["failure", "success"]
    assert receiver.pings == ["/start", "/fail", "/start", "/fail", "/start", "", "/start", ""]
    kept = fetch_all(conn, "select scope, trouble, message from ops.alert order by alert_id")
    assert [row[:2] for row in kept] == [("load", FAILED.troubles[0]), ("load", None)]
    whose = f"covid-tracking-etl ({conn.info.dbname}, {socket.gethostname()})"
    assert kept[0][2] == f"{whose}: trouble (exit code 3)\n{FAILED.troubles[0]}"


def test_a_trouble_is_told_again_when_it_changes_or_a_day_has_passed(conn: Connection, receiver: Receiver) -> None:
    tell(conn, receiver, FAILED)
    other = Notice(ExitCode.REJECTED, ["rejected: CA history: broken"])
    assert len(tell(conn, receiver, other)) == 1
    assert tell(conn, receiver, other) == []
    with conn.cursor() as cursor:
        cursor.execute("update ops.alert set sent_at = sent_at - interval '23 hours 50 minutes'")
    assert len(tell(conn, receiver, other)) == 1
    assert tell(conn, receiver, other) == []


def test_another_command_has_troubles_of_its_own(conn: Connection, receiver: Receiver) -> None:
    tell(conn, receiver, FAILED)
    assert tell(conn, receiver, FINE, "status") == []
    assert len(tell(conn, receiver, FAILED, "status")) == 1


def test_a_message_is_short(conn: Connection, receiver: Receiver) -> None:
    many = Notice(ExitCode.REJECTED, [f"rejected: {n} {'x' * 500}" for n in range(20)], ["read it"])
    (message,) = tell(conn, receiver, many)
    lines = message.splitlines()
    assert (len(lines), max(map(len, lines))) == (11, 303)
    assert lines[-2:] == ["and 12 more: see the log, or main.py status", "what to do: read it"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SourceError("the API does not answer"), "failed: the API does not answer"),
        (RuntimeError("password=hunter2"), "failed: unexpected RuntimeError, a bug in this program"),
    ],
)
def test_an_error_that_ends_a_run_is_told_without_what_a_bug_might_reveal(
    conn: Connection, receiver: Receiver, error: Exception, told: str
) -> None:
    (message,) = tell(conn, receiver, error)
    assert message.splitlines()[1] == told
    assert receiver.pings == ["/start", "/fail"]
    assert tell(conn, receiver, error) == []


@pytest.mark.parametrize("error", [Interrupted(ExitCode.TERMINATED), LockedError("another run")])
def test_whoever_interrupts_or_holds_the_lock_knows(
    conn: Connection, receiver: Receiver, error: BaseException
) -> None:
    receiver.pings.clear()
    with pytest.raises((Interrupted, LockedError)), Watch(receiver.environ, "load", is_load=True):
        raise error
    assert (receiver.messages, receiver.pings) == ([], [])


def test_a_load_alone_has_a_heartbeat(cli: Cli, receiver: Receiver) -> None:
    assert cli("status", "--max-age-days", "2", **receiver.environ).returncode == 7
    assert cli("replay", "--rejected", **receiver.environ).returncode == 0
    assert (len(receiver.messages), receiver.pings) == (1, [])
    cli("load", "--source", "snapshot", "--date", "2021-03-07", "--locations", "us", **receiver.environ)
    assert receiver.pings == ["/start", ""]


def test_a_database_that_is_not_there_is_told_without_a_memory(receiver: Receiver) -> None:
    for _ in range(2):
        with pytest.raises(DatabaseError), Watch(receiver.environ, "load", is_load=True):
            raise DatabaseError("cannot connect to the database")
    assert [message.splitlines()[1] for message in receiver.messages] == [
        "failed: cannot connect to the database"
    ] * 2
    assert receiver.pings == ["/fail", "/fail"]


def test_the_heartbeat_carries_the_run_its_exit_code_and_its_summary(conn: Connection, receiver: Receiver) -> None:
    tell(conn, receiver, Notice(ExitCode.SOURCE, ["failed: CA history"], ["wait"], 7, ["failed (run 7)"]))
    tell(conn, receiver, Notice(ExitCode.SOURCE, ["failed: CA history"], ["wait"]))
    assert receiver.bodies == [
        {"run_id": 7, "exit_code": 3, "summary": ["failed (run 7)"]},
        {"run_id": None, "exit_code": 3, "summary": ["failed: CA history", "wait"]},
    ]


def own_log(caplog: pytest.LogCaptureFixture) -> str:
    """Everything that was logged, with its fields, but for what the receiver itself says."""
    return " ".join(str(vars(record)) for record in caplog.records if record.name != "werkzeug")


def test_an_alert_that_cannot_be_delivered_is_logged_without_its_address_and_tried_again(
    conn: Connection, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 500
    assert len(tell(conn, receiver, FAILED)) == 1
    said = [record.getMessage() for record in caplog.records if record.name == "covid_etl"]
    assert said == ["heartbeat not delivered", "alert not delivered", "heartbeat not delivered"]
    assert SECRET not in own_log(caplog)
    assert fetch_all(conn, "select * from ops.alert") == []
    receiver.status = 200
    assert len(tell(conn, receiver, FAILED)) == 1


def test_addresses_come_from_a_file_too_and_one_that_is_wrong_does_not_stop_the_others(
    conn: Connection, receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = receiver.environ.pop(alerts.ALERT_URLS)
    file = tmp_path / "urls"
    file.write_text(f"nonsense://{SECRET}\n{url}\n")
    receiver.environ[f"{alerts.ALERT_URLS}_FILE"] = str(file)
    assert len(tell(conn, receiver, FAILED)) == 1
    assert tell(conn, receiver, FAILED) == []
    assert "COVID_ETL_ALERT_URLS holds an address that apprise does not understand" in caplog.text
    assert SECRET not in own_log(caplog)
    receiver.environ[f"{alerts.ALERT_URLS}_FILE"] = str(tmp_path / "missing")
    assert tell(conn, receiver, Notice(ExitCode.SOURCE, ["other"])) == []
    assert "nobody is told by this address" in caplog.text


def test_a_role_that_may_not_remember_is_told_all_the_same(
    conn: Connection, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with conn.cursor() as cursor:
        cursor.execute("set role covid_reader")
    assert len(tell(conn, receiver, FAILED)) == 1
    assert "alerts not remembered" in caplog.text


def test_a_receiver_that_is_not_there_is_no_failure(conn: Connection, caplog: pytest.LogCaptureFixture) -> None:
    environ = {alerts.ALERT_URLS: "json://127.0.0.1:9/x", alerts.HEARTBEAT_URL: "http://127.0.0.1:9/x"}
    with Watch(environ, "load", is_load=True) as watch:
        watch.conn = conn
        watch.start()
        watch.notice = FAILED
    assert [record.getMessage() for record in caplog.records if record.name == "covid_etl"] == [
        "heartbeat not delivered", "alert not delivered", "heartbeat not delivered",
    ]  # fmt: skip


def test_a_load_says_at_its_start_that_an_address_is_not_understood(cli: Cli) -> None:
    done = cli("load", "--source", "snapshot", "--locations", "vi", COVID_ETL_ALERT_URLS=f"nonsense://{SECRET}")
    first, *_ = done.stderr.splitlines()
    assert "COVID_ETL_ALERT_URLS holds an address that apprise does not understand" in first
    assert (done.returncode, SECRET in done.stderr) == (0, False)


def test_a_fault_of_apprise_stops_no_load(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr("apprise.Apprise.add", fail)
    done = cli("load", "--source", "snapshot", "--locations", "vi", COVID_ETL_ALERT_URLS=f"json://{SECRET}")
    assert "nobody is told: apprise fails (ZeroDivisionError)" in done.stderr
    assert (done.returncode, SECRET in done.stderr) == (0, False)


def test_whether_alerts_arrive_can_be_tried(receiver: Receiver) -> None:
    assert alerts.test(receiver.environ) == []
    assert receiver.messages == ["covid-tracking-etl: test\nalerts arrive"]
    assert receiver.pings == [""]
    receiver.status = 500
    assert [problem.split(":")[0] for problem in alerts.test(receiver.environ)] == [
        alerts.ALERT_URLS, alerts.HEARTBEAT_URL,
    ]  # fmt: skip
    receiver.status = 200
    wrong = receiver.environ | {alerts.ALERT_URLS: f"nonsense://x {receiver.environ[alerts.ALERT_URLS]}"}
    assert len(alerts.test(wrong)) == 1
    assert "nobody would be told" in alerts.test({})[0]


# --- whoever holds the lock for good ---


def test_a_run_that_hangs_with_the_lock_is_told_once_with_the_statement_that_ends_it(
    cli: Cli, receiver: Receiver, tmp_path: Path
) -> None:
    def load() -> tuple[int, str | None, list[str]]:
        receiver.pings.clear()
        done = cli("load", "--source", str(tmp_path), "--locations", "ca", **receiver.environ)
        return done.returncode, receiver.taken(), receiver.pings

    path = tmp_path / CALIFORNIA
    path.parent.mkdir(parents=True)
    path.write_bytes(encode(state_history("CA", {"2021-01-01": {}})))
    with database.connect(config.Database(cli.dsn)) as hanging, database.run_lock(hanging, 0):
        pid = hanging.info.backend_pid
        execute(hanging, "set application_name = 'covid-etl 77@a-host 2026-01-01T00:00:00Z'")
        code, message, pings = load()
        trouble = (
            "failed: the run lock is held by pid 77 on a-host since 2026-01-01T00:00:00Z, longer than a run may last"
            f" (role {hanging.info.user}, pid {pid} of the server); to free it: select pg_terminate_backend({pid})"
        )
        assert (code, message) == (75, f"covid-tracking-etl: trouble (exit code 75)\n{trouble}")
        assert pings == ["/fail"]
        assert f"run lock: {trouble.removeprefix('failed: the run lock is held by ')}\n" in cli("status").stdout
        assert load() == (75, None, ["/fail"])
        with database.connect(config.Database(cli.dsn)) as person:
            execute(person, "update ops.alert set sent_at = sent_at - interval '21 hours'")
            assert load()[:2] == (75, message)
            execute(person, f"select pg_terminate_backend({pid})")
            hanging.close()
    assert load() == (0, f"covid-tracking-etl: recovered\nover: {trouble}", ["/start", ""])


# --- news ---


def suspect(row: Json) -> None:
    plant(row, "cases.suspected", 1)


NEW_PATH = "drift 1 (notice, state CA, NY): path added: data.cases.suspected, now number"


def test_news_are_told_until_a_message_with_them_was_taken(warehouse: Warehouse, receiver: Receiver) -> None:
    day(warehouse, receiver, 0, bool)
    receiver.status = 500
    news = f"covid-tracking-etl: news of the source\n{NEW_PATH}"
    assert [day(warehouse, receiver, number, suspect)[0] for number in (1, 2)] == [[news]] * 2
    receiver.status = 200
    assert [day(warehouse, receiver, number, suspect)[0] for number in (3, 4)] == [[news], []]


def test_news_of_a_run_that_was_killed_are_told_by_the_next(warehouse: Warehouse, receiver: Receiver) -> None:
    # Two days, so that no run is missing between them and the next.
    day(warehouse, receiver, 0, bool)
    day(warehouse, receiver, 0, bool)
    content = state_history("CA", {"2021-01-01": {"cases__total": 20_000_000}}, "2021-03-02T00:00:00Z")
    warehouse.publish(CALIFORNIA, content)
    # A run that tells nobody.
    warehouse.load(locations="ca,ny")
    assert day(warehouse, receiver, 0, bool)[0] == [
        "covid-tracking-etl: news of the source\nfinding: CA 2021-01-01: highest value, cases_fact.total_cases:"
        " 3 times the highest share of the population ever published"
    ]


def test_a_change_that_was_accepted_before_it_could_be_told_is_no_news(
    warehouse: Warehouse, receiver: Receiver
) -> None:
    day(warehouse, receiver, 0, bool)
    receiver.status = 500
    day(warehouse, receiver, 1, suspect)
    receiver.status = 200
    drift_record.accept(warehouse.conn, 1, with_loss=False)
    assert day(warehouse, receiver, 2, suspect)[0] == []


def test_accepting_a_change_brings_no_news_of_it(warehouse: Warehouse, receiver: Receiver) -> None:
    def replayed() -> list[str]:
        receiver.messages.clear()
        with Watch(receiver.environ, "replay") as watch:
            watch.conn = warehouse.conn
            done = replay.replay_rejected(warehouse.conn, None)
            assert done.exit_code == 0
            watch.notice = Notice(done.exit_code, run_id=done.run_id)
        return receiver.messages

    def rename(row: Json) -> None:
        plant(row, "infections", pluck(row, "cases"))

    def rename_and_drop(row: Json) -> None:
        rename(row)
        pluck(row, "outcomes.death")

    cases = {"name": "Cases", "field": "cases.total", "deprecated": False, "prior_names": []}
    renamed = cases | {"field": "infections.total", "prior_names": ["cases.total"]}
    day(warehouse, receiver, 0, bool, field_definitions=[*DEFINITIONS, cases])
    day(warehouse, receiver, 1, rename, field_definitions=[*DEFINITIONS, renamed])
    drift_record.accept(warehouse.conn, 1, with_loss=False)
    assert replayed() == []
    day(warehouse, receiver, 2, rename_and_drop)
    (gone,) = [change for change in drift_record.changes(warehouse.conn) if change.change == "path gone"]
    drift_record.accept(warehouse.conn, gone.drift_id, with_loss=True)
    assert replayed() == []


# --- one recovery ---


def test_a_good_load_tells_that_the_trouble_and_the_staleness_are_over(conn: Connection, receiver: Receiver) -> None:
    stale = alerts.of_staleness("no load for 3 days", "main.py load")
    assert len(tell(conn, receiver, FAILED)) == len(tell(conn, receiver, stale, alerts.STALENESS)) == 1
    assert tell(conn, receiver, FINE) == [
        f"covid-tracking-etl: recovered\nover: {FAILED.troubles[0]}\nover: {stale.troubles[0]}"
    ]
    assert tell(conn, receiver, FINE, alerts.STALENESS) == tell(conn, receiver, FINE) == []
    # Where a load tells nobody, `status` does.
    tell(conn, receiver, stale, alerts.STALENESS)
    assert tell(conn, receiver, FINE, alerts.STALENESS) == [
        f"covid-tracking-etl: recovered\nover: {stale.troubles[0]}"
    ]


# --- one bad state ---


def age(warehouse: Warehouse) -> None:
    """Lets a day pass, less the minutes by which a daily job varies."""
    for table, columns in {"run": ("started_at", "ended_at"), "alert": ("sent_at",)}.items():
        moved = ", ".join(f"{column} = {column} - interval '23 hours 50 minutes'" for column in columns)
        execute(warehouse.conn, f"update ops.{table} set {moved}")


def day(
    warehouse: Warehouse, receiver: Receiver, number: int, change: Callable[[Json], object], **meta: Any
) -> tuple[list[str], str, str | None]:
    """A daily load of what the source publishes that day: the messages, the last ping, and what is stale."""
    age(warehouse)
    for address, code in ((CALIFORNIA, "CA"), ("states/ny/daily.json", "NY")):
        content = state_history(
            code, {f"2021-01-{day:02}": {} for day in range(1, number + 2)}, f"2021-03-{number + 1:02}T00:00:00Z"
        )
        content["meta"] |= meta
        for row in content["data"]:
            change(row)
        warehouse.publish(address, content)
    receiver.messages.clear()
    with Watch(receiver.environ, "load", is_load=True) as watch:
        watch.conn = warehouse.conn
        watch.start()
        watch.notice = alerts.of_summary(warehouse.load(locations="ca,ny"))
    return list(receiver.messages), receiver.pings[-1], staleness(status.read(warehouse.conn).totals, 2)


def test_two_weeks_of_one_bad_state_are_one_alarm_a_reminder_each_day_and_its_end(
    warehouse: Warehouse, receiver: Receiver
) -> None:
    assert day(warehouse, receiver, 0, bool) == ([], "", None)
    told = [day(warehouse, receiver, number, lambda row: pluck(row, "cases")) for number in range(1, 15)]
    cause = "rejected: CA history, NY history: path gone: data.cases"
    ways = "what to do: wait for the source; if it is gone for good, this says what is lost: main.py drift --accept 1"
    assert told == [
        ([f"covid-tracking-etl: trouble (exit code 5, run {number})\n{cause}\n{ways}"], "", None)
        for number in range(2, 16)
    ]
    assert day(warehouse, receiver, 15, bool) == ([f"covid-tracking-etl: recovered\nover: {cause}"], "", None)
    assert day(warehouse, receiver, 16, bool) == ([], "", None)


def test_a_rejection_of_which_nobody_could_be_told_stays_an_alarm(warehouse: Warehouse, receiver: Receiver) -> None:
    day(warehouse, receiver, 0, bool)
    receiver.status = 500
    told = [day(warehouse, receiver, number, lambda row: pluck(row, "cases"))[1:] for number in range(1, 4)]
    assert [ping for ping, _ in told] == ["/fail"] * 3
    assert [bool(stale) for _, stale in told] == [False, False, True]


def test_a_location_that_an_old_copy_freezes_is_told_after_two_days(warehouse: Warehouse, receiver: Receiver) -> None:
    day(warehouse, receiver, 3, bool)
    messages = [day(warehouse, receiver, 1, bool)[0] for _ in range(5)]
    assert messages[:3] == [[], [], []]
    line = "stale for two days: CA history, NY history: built 2021-03-02 00:00:00+00:00, before the one loaded"
    again = f"main.py load --source {warehouse.folder} --locations ca,ny --force"
    ways = f"what to do: wait, a cache may serve an old copy; to load it as it is: {again}"
    assert messages[3:] == [
        [f"covid-tracking-etl: trouble (exit code 0, run {run})\n{line}\n{ways}"] for run in (5, 6)
    ]
    assert warehouse.rows(
        "select exit_code, summary -> 'stale' -> 0 ->> 'location' from ops.run where run_id = 5"
    ) == [(0, "CA")]
    assert day(warehouse, receiver, 4, bool)[0] == [f"covid-tracking-etl: recovered\nover: {line}"]


def test_the_return_of_a_database_is_told(shared_folder: Path, receiver: Receiver, api: Api) -> None:
    api.answers["us/daily.json"] = document([report(NATION, "2021-01-01", cases__total=1)])
    home = shared_folder / uuid4().hex
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = {"listen_addresses": "127.0.0.1", "port": str(probe.getsockname()[1])}
    cli = Cli(f"host=127.0.0.1 port={address['port']} user=postgres dbname=postgres", shared_folder)

    def load() -> tuple[int, str | None]:
        return cli("load", "--locations", "us", "--source", api.url, **receiver.environ).returncode, receiver.taken()

    with embedded.running(home):
        pass
    rules = "local all postgres trust\nhost all all 127.0.0.1/32 trust\n"
    (home / "postgres" / "pg_hba.conf").write_text(rules)
    with embedded.running(home, **address):
        assert [load(), load()] == [(0, None)] * 2
    code, message = load()
    assert (code, (message or "").splitlines()[0]) == (6, "covid-tracking-etl: trouble (exit code 6)")
    with embedded.running(home, **address):
        # The loads before were an hour ago, so that by their pause one is missing.
        with administrator(cli.dsn) as cursor:
            cursor.execute("update ops.run set started_at = started_at - interval '1 hour'")
        code, message = load()
        assert (code, (message or "").split(" (last run at")[0]) == (
            0,
            "covid-tracking-etl: recovered\nover: the database could not be reached",
        )
        assert load() == (0, None)


HOSTILE = "failed: CA: <b>x</b> [x](http://x.example) *x* @everyone <!channel> <@1> & </script>"


def test_markup_of_the_source_arrives_as_text(receiver: Receiver) -> None:
    address = receiver.environ[alerts.ALERT_URLS]
    for service, expected in {
        "text": "<\u200bb>x<\u200b/b> [x](http://x.example) *x* @\u200beveryone <\u200b!channel> <\u200b@\u200b1> &",
        "html": "&lt;\u200bb&gt;x&lt;\u200b/b&gt;&nbsp;[x](http://x.example)&nbsp;*x*&nbsp;@\u200beveryone",
        "markdown": "\\[x\\]\\(http://x\\.example\\) \\*x\\* @\u200beveryone",
    }.items():
        recipients, _ = alerts.recipients_of({alerts.ALERT_URLS: f"{address}?format={service}"})
        assert alerts.deliver(recipients, "a title\r\nBcc: x@x.example", HOSTILE)
        assert expected in str(receiver.taken())


def test_a_title_has_one_line(receiver: Receiver) -> None:
    alerts.deliver(alerts.recipients_of(receiver.environ)[0], "a title\r\nBcc: x@x.example", "x")
    assert receiver.messages == ["a title\\u000d\\u000aBcc: x@x.example\nx"]
