"""The embedded server before it is started: which binaries, which account, which folder."""

import os
import pwd
import subprocess
from pathlib import Path

import pytest

from etl.database import embedded as server
from etl.errors import UsageError


def test_data_of_another_version_is_refused_by_name(home: Path) -> None:
    data = home / "postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9\n")
    with (
        pytest.raises(UsageError, match=rf"{data} is of PostgreSQL 9, whose server is not installed here"),
        server.running(home),
    ):
        pass


def test_a_home_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UsageError, match="set COVID_ETL_HOME"), server.running(file / "home"):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")
def test_a_home_that_the_server_s_account_cannot_reach_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with (
        pytest.raises(UsageError, match="cannot get to .*: set COVID_ETL_HOME"),
        server.running(tmp_path / "home"),
    ):
        pass


def test_without_any_server_the_message_says_what_to_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "installed_binaries", lambda **_: {})
    with pytest.raises(UsageError, match="set DATABASE_URL, or install one"), server.running(home):
        pass


def test_a_socket_folder_that_somebody_else_has_made_is_refused(home: Path, tmp_path: Path) -> None:
    deep = home / ("d" * 60) / ("e" * 60)
    folder = server._Embedded(deep, {}).socket_folder
    folder.symlink_to(tmp_path)
    try:
        with pytest.raises(UsageError, match=f"{folder} belongs to somebody else"), server.running(deep):
            pass
    finally:
        folder.unlink()


def test_under_root_an_account_is_made_where_the_system_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[list[str]] = []
    ours = pwd.getpwuid(os.geteuid())

    def getpwnam(name: str) -> pwd.struct_passwd:
        if not made:
            raise KeyError(name)
        return ours

    monkeypatch.setattr(pwd, "getpwnam", getpwnam)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: made.append(command))
    assert server._server_account() == ours
    assert made == [["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "covid-etl"]]


def test_under_root_without_any_account_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    monkeypatch.setattr(pwd, "getpwnam", nobody)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="run as an ordinary user, or set DATABASE_URL"):
        server._server_account()


def test_psql_is_the_one_on_path_or_else_the_packaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = tmp_path / "psql"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert server.psql_program() == str(own)
    monkeypatch.setenv("PATH", "")
    packaged = server.psql_program()
    assert packaged
    assert packaged.endswith("pginstall18/bin/psql")
