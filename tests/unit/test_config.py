import os
from pathlib import Path

import pytest

from etl import config
from etl.errors import UsageError


def test_nothing_configured_means_the_embedded_server() -> None:
    assert config.configured_database(None, {}) is None
    assert config.configured_database(None, {"PGUSER": "me", "PGPORT": "1", "DATABASE_URL": "", "PGHOST": ""}) is None


@pytest.mark.parametrize("url", ["", " "])
def test_an_empty_url_is_refused_and_does_not_mean_the_embedded_server(url: str) -> None:
    with pytest.raises(UsageError, match="^--database-url is empty: give it a URL, or leave it out$"):
        config.configured_database(url, {"DATABASE_URL": "postgresql://x"})


@pytest.mark.parametrize("variable", ["PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE"])
def test_a_libpq_variable_that_names_a_server_configures_it(variable: str) -> None:
    assert config.configured_database(None, {variable: "x"}) == config.Database("")


def test_the_option_beats_the_url_beats_the_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://file\n")
    environ = {"DATABASE_URL_FILE": str(file)}
    assert config.configured_database(None, environ) == config.Database("postgresql://file")
    environ["DATABASE_URL"] = "postgresql://url"
    assert config.configured_database(None, environ) == config.Database("postgresql://url")
    assert config.configured_database("postgresql://option", environ) == config.Database("postgresql://option")


def test_the_password_file_loses_only_its_final_newline(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(" pass word \r\n")
    found = config.configured_database("postgresql://x", {"PGPASSWORD_FILE": str(file)})
    assert found
    assert found.password == " pass word "


def test_a_secret_that_cannot_be_read_is_named() -> None:
    with pytest.raises(UsageError, match="PGPASSWORD_FILE names /nowhere, which cannot be read: No such file"):
        config.configured_database("postgresql://x", {"PGPASSWORD_FILE": "/nowhere"})


def test_secrets_are_not_in_the_repr() -> None:
    assert repr(config.Database("postgresql://u:secret@h/d", "secret")) == "Database()"


def test_the_home_is_the_configured_folder() -> None:
    assert config.home({"COVID_ETL_HOME": "/x/y"}) == Path("/x/y")


def test_the_home_of_root_is_below_var_lib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert config.home({}) == Path("/var/lib/covid-tracking-etl")


def test_the_home_is_in_a_checkout_that_can_be_written_or_else_the_user_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "access", lambda *_: True)
    assert config.home({}) == config.ROOT / ".covid-etl"
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert config.home({"XDG_DATA_HOME": "/data"}) == Path("/data/covid-tracking-etl")
    assert config.home({}) == Path.home() / ".local/share/covid-tracking-etl"


def test_the_api_can_be_replaced() -> None:
    assert config.api_url({}) == "https://api.covidtracking.com/v2"
    assert config.api_url({"COVID_ETL_API_URL": "http://mirror/v2/"}) == "http://mirror/v2"
