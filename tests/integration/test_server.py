"""The embedded server: shared by processes, stopped by the last, surviving kill -9."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from etl import config
from etl.database import embedded as server
from etl.errors import DatabaseError

pytestmark = pytest.mark.slow

# Uses the server, says so, and waits for a line on stdin before it leaves.
USER = textwrap.dedent("""
    import sys
    from pathlib import Path
    import psycopg2
    from etl.database import embedded as server
    with server.running(Path(sys.argv[1])) as dsn:
        psycopg2.connect(dsn).close()
        print("connected", flush=True)
        sys.stdin.readline()
    """)


def start_user(home: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(home)],
        cwd=config.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(*users: "subprocess.Popen[str]") -> None:
    for user in users:
        user.communicate("\n", timeout=60)
        assert user.returncode == 0


def postmaster(home: Path) -> int | None:
    """The process id of the server, if it runs."""
    try:
        pid = int((home / "postgres" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return pid


def test_a_server_starts_keeps_its_data_and_stops(home: Path) -> None:
    with server.running(home) as dsn:
        connection = psycopg2.connect(dsn)
        connection.cursor().execute("create table kept as select 7 as n")
        connection.commit()
        connection.close()
        assert postmaster(home)
    assert postmaster(home) is None
    with server.running(home) as dsn:
        connection = psycopg2.connect(dsn)
        cursor = connection.cursor()
        cursor.execute("select n from kept")
        assert cursor.fetchall() == [(7,)]
        connection.close()


def test_two_processes_that_start_at_once_share_one_server_that_the_last_one_stops(home: Path) -> None:
    first, second = start_user(home), start_user(home)
    for user in (first, second):
        assert user.stdout
        assert user.stdout.readline() == "connected\n"
    running = postmaster(home)
    finish(first)
    assert running
    assert postmaster(home) == running
    finish(second)
    assert postmaster(home) is None


def test_a_killed_process_leaves_nothing_stale(home: Path) -> None:
    killed = start_user(home)
    assert killed.stdout
    killed.stdout.readline()
    killed.kill()
    killed.communicate()
    # The server is still there; the next process uses it, and stops it.
    assert postmaster(home)
    with server.running(home) as dsn:
        psycopg2.connect(dsn).close()
    assert postmaster(home) is None


def test_a_killed_server_is_started_again(home: Path) -> None:
    with server.running(home):
        pid = postmaster(home)
        assert pid
        os.kill(pid, signal.SIGKILL)
    with server.running(home) as dsn:
        psycopg2.connect(dsn).close()


def test_ctrl_c_on_the_terminal_does_not_reach_the_server(home: Path) -> None:
    with server.running(home):
        pid = postmaster(home)
        assert pid
        assert os.getsid(pid) != os.getsid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")
def test_under_root_the_packaged_server_is_copied_out_of_a_private_folder(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, packaged = next(iter(server.installed_binaries(as_root=False).items()))
    site, private = packaged.parents[2], tmp_path / "private"
    for part in (packaged.parent, site / f"{server.PACKAGE}.libs"):
        shutil.copytree(part, private / part.relative_to(site), symlinks=True)
    private.chmod(0o700)
    found = {version: private / packaged.relative_to(site)}
    monkeypatch.setattr(server, "installed_binaries", lambda **_: found)
    with server.running(home) as dsn:
        connection = psycopg2.connect(dsn)
        assert connection.server_version // 10000 == version
        connection.close()
    assert (home / f"postgresql-{version}").is_dir()
    assert private.stat().st_mode & 0o777 == 0o700


def test_a_long_path_gets_its_socket_elsewhere(home: Path) -> None:
    deep = home / ("d" * 60) / ("e" * 60)
    deep.parent.mkdir(parents=True)
    with server.running(deep) as dsn:
        psycopg2.connect(dsn).close()
        assert str(deep) not in dsn
        folder = Path(parse_dsn(dsn)["host"])
        assert folder.is_dir()
    assert not folder.exists()


def test_a_server_that_cannot_start_says_where_its_log_is(home: Path) -> None:
    with server.running(home):
        pass
    (home / "postgres" / "postgresql.conf").write_text("no such setting = 1\n")
    with pytest.raises(DatabaseError, match=r"postgres failed: .*; more in .*postgres\.log"), server.running(home):
        pass
