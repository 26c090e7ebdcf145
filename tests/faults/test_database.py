"""A database that is set up, shared or disturbed as a database of other people can be."""

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from etl import config
from etl.database import checks
from etl.database import connection as database
from etl.database.connection import Connection, execute, fetch_all, fetch_one, run_lock, transaction
from etl.errors import BlockedError, DatabaseError, LockedError, UsageError
from etl.load import drift_record, rules
from etl.run import prune, replay
from etl.run.pipeline import LoadOptions, run
from etl.show import status
from etl.transform.declaration import TABLES
from tests import parts
from tests.cli import Cli
from tests.conftest import administrator, copied
from tests.documents import report, state_history
from tests.warehouse import CALIFORNIA, Warehouse, counted, rows

TWO = {"2021-01-01": {"cases__total": 10}, "2021-01-02": {"cases__total": 20}}
# What a role or a database may have set, and no result may depend on.
STRANGE = {
    "datestyle": "German",
    "intervalstyle": "sql_standard",
    "timezone": "Asia/Kathmandu",
    "standard_conforming_strings": "off",
    "bytea_output": "escape",
    "extra_float_digits": "-10",
    "quote_all_identifiers": "on",
    "client_encoding": "LATIN1",
    "search_path": "evil, public, pg_catalog",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "statement_timeout": "60ms",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "60ms",
    "idle_session_timeout": "60ms",
}


@contextmanager
def session(dsn: str, role: str | None = None, **settings: str) -> Iterator[Connection]:
    """A session of the program's; of another role if one is named."""
    with database.connect(config.Database(dsn)) as opened:
        if role:
            execute(opened, f"set role {role}")
        for name, value in settings.items():
            execute(opened, f"set {name} = {value}")
        yield opened


@contextmanager
def stranger(dsn: str, statement: str, **options: Any) -> Iterator[Any]:
    """A session of somebody else, in a transaction with one statement."""
    opened = psycopg2.connect(dsn, **{"application_name": "a notebook"} | options)
    try:
        with opened.cursor() as cursor:
            cursor.execute(statement)
            yield cursor
    finally:
        opened.close()


def star(dsn: str) -> list[Any]:
    """The rows of the star without what depends on when and by which run they were loaded."""
    with session(dsn) as conn:
        return [fetch_all(conn, f"select to_jsonb(t) - 'known_from' - 'run_id' from public.{table} as t order by 1")
                for table in TABLES]  # fmt: skip


# --- sessions ---


def test_settings_of_the_database_change_no_result(
    dsn: str, schema_template: str, server_dsn: str, tmp_path: Path
) -> None:
    with copied(server_dsn, schema_template) as plain:
        assert Cli(plain, tmp_path)("load", "--source", "snapshot", "--locations", "us,vi").returncode == 0
        expected = star(plain)
    with administrator(dsn) as cursor:
        cursor.execute("create schema evil")
        for name, value in STRANGE.items():
            cursor.execute(
                f"alter database {parse_dsn(dsn)['dbname']} set {name} = {value if ',' in value else repr(value)}"
            )
    strange = Cli(dsn, tmp_path)
    assert strange("load", "--source", "snapshot", "--locations", "us,vi").returncode == 0
    assert star(dsn) == expected
    assert strange("load", "--source", "snapshot", "--locations", "us,vi").stdout.count("unchanged") > 0
    assert strange("replay").returncode == 0
    assert star(dsn) == expected
    assert strange("check").returncode == 0
    assert json.loads(strange("status", "--json").stdout)["last_success"].endswith("Z")


def test_a_backslash_is_a_backslash_whatever_the_database_takes_it_for(dsn: str) -> None:
    with administrator(dsn) as cursor:
        cursor.execute(f"alter database {parse_dsn(dsn)['dbname']} set standard_conforming_strings = off")
    text = "a\\b\\\\'c\\n"
    with session(dsn) as conn:
        assert fetch_one(conn, "show standard_conforming_strings") == ("off",)
        assert fetch_one(conn, "select %s, %s", (text, [text])) == (text, [text])


def test_an_export_guards_spreadsheets_whatever_the_database_takes_a_backslash_for(dsn: str, tmp_path: Path) -> None:
    with administrator(dsn) as cursor:
        cursor.execute(f"alter database {parse_dsn(dsn)['dbname']} set standard_conforming_strings = off")
        cursor.execute("update public.location_dimension set name = '=1+1' where location_code = 'CA'")
    assert Cli(dsn, tmp_path)("export", str(tmp_path / "csv"), "--tables", "location_dimension").returncode == 0
    assert ",'=1+1," in (tmp_path / "csv/location_dimension.csv").read_text(encoding="utf-8")


def test_no_file_of_ours_depends_on_what_a_backslash_means() -> None:
    files = [path for path in database.SQL.rglob("*.sql") if "examples" not in path.parts]
    assert [path.name for path in files if "\\" in re.sub("E'[^']*'", "", path.read_text())] == []


def test_no_name_that_somebody_plants_is_ours(dsn: str, tmp_path: Path) -> None:
    with administrator(dsn) as cursor:
        cursor.execute(
            """
            create table public.trap (who text);
            create function public.clock_timestamp() returns timestamptz language plpgsql as
                $$ begin insert into public.trap values (current_user); return now(); end $$;
            create function public.trapped(timestamptz, timestamptz) returns boolean language plpgsql as
                $$ begin insert into public.trap values (current_user); return true; end $$;
            create operator public.<= (leftarg = timestamptz, rightarg = timestamptz, function = public.trapped);
            create function public.count(bigint) returns bigint language plpgsql as
                $$ begin insert into public.trap values (current_user); return 1; end $$;
            """
        )
        cursor.execute(f"alter database {parse_dsn(dsn)['dbname']} set search_path = public, pg_catalog")
    cli = Cli(dsn, tmp_path)
    for arguments in (["load", "--source", "snapshot", "--locations", "vi"], ["replay"], ["check"], ["status"]):
        assert cli(*arguments).returncode == 0
    with administrator(dsn) as cursor:
        cursor.execute("select count(*) from history.cases_fact_as_of(pg_catalog.now())")
        cursor.execute("select count(*) from mart.daily_summary_as_of(pg_catalog.now())")
        cursor.execute("select count(*) from mart.data_quality")
        cursor.execute("select who from public.trap")
        assert cursor.fetchall() == []


@pytest.mark.parametrize("function", [*(f"history.{table}_as_of" for table in TABLES), "mart.daily_summary_as_of"])
def test_an_as_of_function_is_planned_with_the_query_that_calls_it(conn: Connection, function: str) -> None:
    column = "location_code = 'CA'" if function.startswith("mart") else "location_id = 6"
    plan = "\n".join(line for (line,) in fetch_all(conn, f"explain select * from {function}(now()) where {column}"))
    assert "Function Scan" not in plan
    assert f"Seq Scan on {TABLES[0]}" in plan or "location_id = 6" in plan


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_of_another_encoding_is_refused_by_name(server_dsn: str, tmp_path: Path, encoding: str) -> None:
    name = f"test_{uuid4().hex}"
    with administrator(server_dsn) as cursor:
        cursor.execute(f"create database {name} encoding '{encoding}' locale 'C' template template0")
    try:
        result = Cli(make_dsn(server_dsn, dbname=name), tmp_path)("load", "--source", "snapshot")
        assert result.returncode == 2
        assert f"the database {name} is encoded in {encoding}" in result.stderr
        assert "create database NAME encoding 'UTF8' locale 'C' template template0" in result.stderr
    finally:
        with administrator(server_dsn) as cursor:
            cursor.execute(f"drop database {name} with (force)")


def test_a_policy_that_hides_rows_is_an_error_and_no_smaller_result(dsn: str) -> None:
    with administrator(dsn) as cursor:
        cursor.execute("alter table public.cases_fact enable row level security")
    with session(dsn, "covid_reader") as conn, pytest.raises(UsageError, match="row-level security"):
        fetch_all(conn, "select * from public.cases_fact")


# --- connecting ---


@contextmanager
def answering(*answers: bytes) -> Iterator[int]:
    """A port whose server gives each connection the next answer, the last one again and again; it counts them."""
    taken: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with client, suppress(OSError):
                        client.recv(1000)
                        client.sendall(answers[min(len(taken), len(answers) - 1)])
                        taken.append(1)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def fatal(code: str, message: str) -> bytes:
    """A server's refusal of a connection, in its protocol."""
    fields = b"".join(kind + text.encode() + b"\0" for kind, text in
                      [(b"S", "FATAL"), (b"V", "FATAL"), (b"C", code), (b"M", message)])  # fmt: skip
    return b"E" + (len(fields) + 5).to_bytes(4, "big") + fields + b"\0"


def url(port: int, *options: str) -> str:
    return f"postgresql://u@127.0.0.1:{port}/covid?{'&'.join(['sslmode=disable', 'gssencmode=disable', *options])}"


BUSY = [
    ("57P03", "the database system is starting up"),
    ("57P03", "the database system is shutting down"),
    ("57P03", "the database system is not yet accepting connections"),
    ("53300", "sorry, too many clients already"),
    ("53300", 'too many connections for role "u"'),
]


@pytest.mark.parametrize("busy", BUSY)
def test_a_busy_server_is_asked_again_for_a_while(busy: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        answering(fatal(*busy), fatal("28P01", "password authentication failed")) as port,
        pytest.raises(UsageError, match="password authentication failed"),
        session(url(port)),
    ):
        pass
    monkeypatch.setattr(database, "RETRY_SECONDS", 0)
    with answering(fatal(*busy)) as port, pytest.raises(DatabaseError, match=busy[1][:12]), session(url(port)):
        pass


def test_another_answer_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: pytest.fail("it waited"))
    with (
        answering(fatal("3D000", 'die Datenbank "starting up" existiert nicht')) as port,
        pytest.raises(UsageError, match="existiert nicht"),
        session(url(port)),
    ):
        pass


def test_the_timeout_of_the_url_counts_and_not_ours() -> None:
    # A port that takes connections and never answers.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        with (
            pytest.raises(DatabaseError, match="timeout expired"),
            session(url(listener.getsockname()[1], "connect_timeout=2")),
        ):
            pass
        assert time.monotonic() - started < 6


# --- a pooler ---


def test_a_session_without_the_lock_writes_nothing_more(warehouse: Warehouse, dsn: str) -> None:
    warehouse.history({"2021-01-01": {"cases__total": 10}})
    before = star(dsn)
    with run_lock(warehouse.conn, 0):
        # As if the next transaction were another session's.
        execute(warehouse.conn, "select pg_advisory_unlock_all()")
        with pytest.raises(UsageError, match="pooler in transaction mode"):
            warehouse.history(TWO)
    assert star(dsn) == before
    assert rows(dsn, "select count(*) from ops.document") == [(1,)]
    assert rows(dsn, "select status, exit_code from ops.run order by run_id desc limit 1") == [("failed", 2)]
    assert database.lock_holder(warehouse.conn) is None


@pytest.fixture
def pooler(dsn: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a real pgbouncer in transaction mode with two sessions of the server."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin") or ""
    parts.require(program, "pgbouncer is not installed (Debian: pgbouncer)")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    target = parse_dsn(dsn)
    where = " ".join(f"{name}={target[name]}" for name in ("host", "port", "user", "password") if name in target)
    tmp_path.chmod(0o755)
    settings = tmp_path / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n{target['dbname']} = {where}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        f"unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n"
        "server_round_robin = 1\nignore_startup_parameters = extra_float_digits\n"
    )
    account = ["-u", "postgres"] if os.geteuid() == 0 else []
    process = subprocess.Popen([program, "-q", *account, str(settings)], stderr=subprocess.DEVNULL)
    address = f"postgresql://{target['user']}@127.0.0.1:{port}/{target['dbname']}?sslmode=disable"
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                psycopg2.connect(address).close()
                break
            except psycopg2.OperationalError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


def test_a_pooler_that_changes_sessions_is_refused_and_keeps_no_lock(pooler: str, dsn: str, tmp_path: Path) -> None:
    # A second client makes the pooler open a second session, after which it gives them out in turn.
    clients = [psycopg2.connect(pooler), psycopg2.connect(pooler)]
    for client in clients:
        client.cursor().execute("select 1")
    for client in clients:
        client.commit()
        client.close()
    result = Cli(pooler, tmp_path)("load", "--source", "snapshot", "--locations", "vi")
    assert result.returncode == 2, result.stderr
    assert "pooler in transaction mode" in result.stderr
    assert rows(dsn, "select count(*) from ops.document_load") == [(0,)]
    with session(dsn) as conn:
        assert database.lock_holder(conn) is None
    assert Cli(dsn, tmp_path)("load", "--source", "snapshot", "--locations", "vi").returncode == 0


# --- locks ---


def two_states(warehouse: Warehouse, **values: int) -> None:
    for state in ("CA", "VI"):
        warehouse.publish(
            CALIFORNIA.replace("ca", state.lower()),
            state_history(state, {"2021-01-01": {"cases__total": 1} | values}),
        )


LOCKS = [
    "select * from public.cases_fact where location_id = 6 for update",
    "update public.cases_fact set total_cases = 7 where location_id = 6",
]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_locked_row_fails_its_document_alone_and_its_holder_is_named(
    warehouse: Warehouse, dsn: str, lock: str
) -> None:
    two_states(warehouse)
    warehouse.load(locations="ca,vi")
    two_states(warehouse, cases__total=5)
    execute(warehouse.conn, "set lock_timeout = '300ms'")
    with stranger(dsn, lock) as cursor:
        cursor.execute("select pg_backend_pid()")
        (pid,) = cursor.fetchone()
        summary = warehouse.load(locations="ca,vi")
    assert (counted(summary), summary.exit_code) == ({"loaded": 1, "failed": 1}, 6)
    (failed,) = summary.failed
    assert "(55P03)" in failed.reason
    assert f"locks are held by pid {pid} of role {parse_dsn(dsn)['user']} (a notebook) since 20" in failed.reason
    assert f", to end it: select pg_terminate_backend({pid})" in failed.reason
    assert counted(warehouse.load(locations="ca,vi"))["loaded"] == 1


def test_a_locked_table_is_waited_for(warehouse: Warehouse, dsn: str) -> None:
    two_states(warehouse)
    with stranger(dsn, "lock table public.death_fact in exclusive mode") as cursor:
        timer = threading.Timer(0.7, cursor.connection.rollback)
        timer.start()
        assert warehouse.load(locations="ca,vi").exit_code == 0
        timer.join()


def test_a_locked_table_of_the_runs_ends_with_its_holder(dsn: str) -> None:
    with session(dsn, lock_timeout="'200ms'") as conn, stranger(dsn, "lock table ops.run"):
        with pytest.raises(BlockedError, match=r"locks are held by pid \d+ of role"):
            run(conn, LoadOptions(source="snapshot", locations="vi"), {})


def test_readers_and_loads_do_not_wait_for_each_other(warehouse: Warehouse, dsn: str) -> None:
    warehouse.history({"2021-01-01": {"cases__total": 10}})
    execute(warehouse.conn, "set lock_timeout = '200ms'")
    with stranger(dsn, "set lock_timeout = '200ms'") as cursor:
        cursor.execute("set transaction isolation level repeatable read")
        cursor.execute("select total_cases from mart.daily_summary")
        assert cursor.fetchall() == [(10,)]
        assert warehouse.history(TWO).exit_code == 0
        assert replay.replay(warehouse.conn, "ca").exit_code == 0
        cursor.execute("select total_cases from mart.daily_summary")
        assert cursor.fetchall() == [(10,)]
    with transaction(warehouse.conn), session(dsn, lock_timeout="'200ms'") as reader:
        execute(warehouse.conn, "delete from public.cases_fact")
        assert len(fetch_all(reader, "select * from mart.daily_summary")) == 2


# --- who holds the run lock ---


def test_a_stranger_with_the_run_lock_is_named_at_once(dsn: str, tmp_path: Path) -> None:
    with stranger(dsn, f"select pg_advisory_lock({database.RUN_LOCK}), pg_backend_pid()") as cursor:
        _, pid = cursor.fetchone()
        started = time.monotonic()
        result = Cli(dsn, tmp_path)("load", "--wait", "60")
        assert (result.returncode, time.monotonic() - started < 30) == (75, True)
        assert f"role {parse_dsn(dsn)['user']}, pid {pid} of the server" in result.stderr
        assert f"to free it: select pg_terminate_backend({pid})" in result.stderr
        with administrator(dsn) as ended:
            ended.execute(f"select pg_terminate_backend({pid})")
        assert Cli(dsn, tmp_path)("init-db", "--wait", "5").returncode == 0


def test_a_role_that_may_not_load_is_a_stranger_whatever_its_name(dsn: str, ordinary_dsn: str) -> None:
    url = make_dsn(ordinary_dsn, dbname=parse_dsn(dsn)["dbname"])
    name = "covid-etl 1@host 2099-01-01T00:00:00Z"
    with (
        stranger(url, f"select pg_advisory_lock({database.RUN_LOCK})", application_name=name),
        session(dsn) as conn,
        pytest.raises(LockedError, match="no run of this program") as raised,
        run_lock(conn, 60),
    ):
        pass
    assert raised.value.needs_person


def test_a_run_that_holds_the_lock_for_too_long_is_named(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with session(dsn) as first, session(dsn) as second, run_lock(first, 0):
        with pytest.raises(LockedError, match="another run holds the lock") as ordinary, run_lock(second, 0):
            pass
        assert not ordinary.value.needs_person
        monkeypatch.setattr(database, "LONGEST_RUN_SECONDS", -10)
        expected = r"longer than a run may last .*select pg_terminate_backend\(\d+\)"
        with pytest.raises(LockedError, match=expected) as stuck, run_lock(second, 60):
            pass
        assert stuck.value.needs_person


# --- roles ---

RIGHTS = ("select", "insert", "update", "delete", "truncate")
STAR = {f"public.{table}" for table in TABLES}
HISTORY = {f"history.{table}_revision" for table in TABLES}
RECORDS = {f"ops.{name}" for name in ("run", "document", "document_load", "drift", "alias", "tombstone", "finding")}
LOADER = {
    **{table: {"select", "insert", "update", "delete"} for table in STAR},
    **{table: {"select", "insert", "delete"} for table in HISTORY},
    **{table: {"select", "insert", "update"} for table in RECORDS | {"public.field_definitions_dimension"}},
    **{table: {"select"} for table in ("public.date_dimension", "public.test_dimension", "ops.migration")},
    "public.location_dimension": {"select", "update"},
    "ops.alert": {"select", "insert"},
    "ops.report_digest": {"select", "insert", "update", "delete"},
    "ops.vintage": {"select", "insert"},
}


def tables(conn: Connection, kinds: str = "r") -> list[str]:
    query = (
        "select oid::regclass::text from pg_class where relkind = any(string_to_array(%s, null)) and"
        " relnamespace::regnamespace::text in ('public', 'history', 'ops', 'mart') order by 1"
    )
    return [name for (name,) in fetch_all(conn, query, (kinds,))]


@pytest.mark.parametrize("role", ["covid_loader", "covid_reader"])
def test_a_role_has_its_rights_on_each_table_and_no_others(dsn: str, role: str) -> None:
    with session(dsn) as conn:
        assert set(tables(conn)) == set(LOADER)
        for table in tables(conn):
            expected = LOADER[table] if role == "covid_loader" else {"select"}
            query = "select has_table_privilege(%s, %s, %s)"
            assert {right for right in RIGHTS if fetch_one(conn, query, (role, table, right))[0]} == expected, table


@pytest.mark.parametrize("role", ["covid_loader", "covid_reader"])
def test_a_role_is_stopped_at_each_statement_that_is_not_its_own(dsn: str, role: str) -> None:
    statements = {
        "select": "select * from {} limit 1",
        "insert": "insert into {} default values",
        "update": "update {} set {} = default",
        "delete": "delete from {}",
        "truncate": "truncate {} cascade",
        "drop": "drop table {} cascade",
    }
    with administrator(dsn) as cursor:
        for place in ("public", "history", "ops", "mart"):
            cursor.execute(
                f"create table {place}.later (n int); create view {place}.shown as select * from {place}.later"
            )
    with session(dsn) as conn:
        first_column = "select attname from pg_attribute where attrelid = %s::regclass and attnum = 1"
        columns = {table: fetch_one(conn, first_column, (table,))[0] for table in tables(conn)}
        execute(conn, f"set role {role}")
        for table, column in columns.items():
            own = {"select"} if role == "covid_reader" else LOADER.get(table, set())
            allowed = own if table in LOADER else set()
            for right in statements.keys() - allowed:
                with pytest.raises(UsageError, match="permission denied|must be owner"), transaction(conn):
                    execute(conn, statements[right].format(table, column))
        for place in ("public", "history", "ops", "mart"):
            with pytest.raises(UsageError, match="permission denied"):
                fetch_all(conn, f"select * from {place}.shown")
            with pytest.raises(UsageError, match="permission denied"):
                execute(conn, f"create table {place}.own (n int)")


def test_both_roles_read_every_view_of_the_program(dsn: str) -> None:
    for role in ("covid_loader", "covid_reader"):
        with session(dsn, role) as conn:
            views = tables(conn, "v")
            assert views
            for view in views:
                fetch_all(conn, f"select * from {view} limit 1")
            for table in TABLES:
                fetch_all(conn, f"select * from history.{table}_as_of(now())")
            fetch_all(conn, "select * from mart.daily_summary_as_of(now())")
            assert status.read(conn).lock is None
            assert not any(check.has_failed for check in checks.validate(conn))


def test_the_loader_does_the_whole_daily_job(dsn: str, tmp_path: Path) -> None:
    with session(dsn, "covid_loader") as conn, run_lock(conn, 0):
        warehouse = Warehouse(conn, tmp_path)
        assert warehouse.history(TWO).exit_code == 0
        assert warehouse.history({"2021-01-01": {"cases__total": 11}}, allow_withdrawals=True).exit_code == 0
        renamed = state_history("CA", TWO)
        for row in renamed["data"]:
            row["tests"]["brand_new"] = 1
        warehouse.publish(CALIFORNIA, renamed)
        assert warehouse.load().exit_code == 0
        (change,) = [change for change in drift_record.changes(conn) if change.change == "path added"]
        drift_record.accept(conn, change.drift_id, with_loss=False)
        drift_record.undo(conn, change.drift_id)
        (tombstone,) = rules.skip(conn, "ca", [], "a test")
        rules.undo(conn, tombstone.tombstone_id)
        warehouse.publish(CALIFORNIA, {"meta": {}, "data": [report_of_words()]})
        assert warehouse.load().exit_code == 5
        assert replay.replay(conn, "ca").exit_code == 0
        assert replay.replay_rejected(conn, None).exit_code == 5
        assert warehouse.load(dry_run=True, source="snapshot", locations="vi").exit_code == 0
        execute(conn, "reset role")
        execute(conn, "update ops.document_load set known_at = known_at - interval '2 days'")
        execute(conn, "set role covid_loader")
        assert prune.prune(conn, 1).documents > 0


def report_of_words() -> Any:
    from etl.transform.declaration import STATE

    return report(STATE, "2021-01-01", "CA", cases__total="many")
