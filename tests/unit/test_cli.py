import re
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from dateutil.tz import gettz

from etl.cli import commands as cli
from etl.cli import options
from etl.errors import ExitCode, UsageError

COMMANDS = list(cli.COMMANDS)


def parse(*arguments: str, **environ: str) -> Any:
    return cli.build_parser(environ, arguments[0]).parse_args(arguments)


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_names_every_exit_code(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == 0
    shown = capsys.readouterr().out
    codes = re.search(r"exit codes:\n((?:  .*\n)+)", shown)
    assert codes
    named = {
        int(code) for line in codes[1].splitlines() for code in re.findall(r"^\s+([\d, ]+?)  ", line)[0].split(",")
    }
    assert named == {int(code) for code in ExitCode}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_gives_examples_that_parse(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    import shlex

    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    shown = capsys.readouterr().out
    examples = re.findall(r"^  main\.py (.*?)(?:   .*)?$", shown, re.MULTILINE)
    assert examples
    for example in examples:
        assert parse(*shlex.split(example)).run is cli.COMMANDS[name].run


def test_options_that_a_variable_sets_name_it_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    named: dict[str, set[str]] = {}
    for name in COMMANDS:
        with pytest.raises(SystemExit):
            cli.main([name, "--help"])
        shown = " ".join(capsys.readouterr().out.split()).split("options:")[1].split("examples:")[0]
        for variable in re.findall(r"\[(COVID_ETL_[A-Z_]+)\]", shown):
            named.setdefault(variable, set()).add(name)
    writing = {"load", "replay", "drift", "skip", "prune", "init-db"}
    assert named == {
        "COVID_ETL_SOURCE": {"load", "mirror"},
        "COVID_ETL_LOCATIONS": {"load"},
        "COVID_ETL_JOBS": {"load", "mirror"},
        "COVID_ETL_WAIT": writing,
        "COVID_ETL_LOG_FORMAT": set(COMMANDS),
    }


def test_a_first_argument_that_is_no_command_implies_load(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def remember(parsed: Any, _environ: Any) -> int:
        seen.append(parsed)
        return 0

    monkeypatch.setitem(cli.COMMANDS, "load", cli.COMMANDS["load"]._replace(run=remember))
    assert cli.main(["--date", "2021-01-02"]) == 0
    assert cli.main([]) == 0
    assert [parsed.day for parsed in seen] == [date(2021, 1, 2), None]


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert re.fullmatch(r"covid-tracking-etl \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_a_variable_gives_an_option_its_default_and_a_flag_beats_it() -> None:
    environ = {
        "COVID_ETL_SOURCE": "snapshot",
        "COVID_ETL_JOBS": "2",
        "COVID_ETL_WAIT": "3",
        "COVID_ETL_LOG_FORMAT": "",
    }
    parsed = parse("load", "--jobs", "9", **environ)
    found = (parsed.source, parsed.jobs, parsed.wait, parsed.log_format)
    assert found == ("snapshot", 9, 3.0, "text")


def test_arguments_of_psql_without_dashes_are_told_where_they_belong() -> None:
    with pytest.raises(UsageError, match="unrecognized arguments: -c; arguments for psql come behind --; see"):
        cli._dispatch(["psql", "-c", "select 1"], {})


def test_a_wrong_variable_is_not_read_where_its_option_is_given() -> None:
    wrong = {"COVID_ETL_JOBS": "x", "COVID_ETL_LOG_FORMAT": "xml"}
    assert parse("load", "--jobs", "2", "--log-format", "json", **wrong).jobs == 2


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("COVID_ETL_JOBS", "many", "COVID_ETL_JOBS: 'many' is no positive number"),
        ("COVID_ETL_LOG_FORMAT", "xml", "COVID_ETL_LOG_FORMAT is 'xml'; expected one of text, json"),
        ("COVID_ETL_WAIT", "soon", "COVID_ETL_WAIT: 'soon' is no number of seconds"),
    ],
)
def test_a_variable_with_a_wrong_value_is_named(variable: str, value: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        parse("load", **{variable: value})
    assert str(error.value) == said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--date", "foo"], "argument --date: 'foo' is no date; expected YYYY-MM-DD, latest, yesterday or today"),
        (
            ["--date", "2021-02-30"],
            "'2021-02-30' is no date of the calendar; expected YYYY-MM-DD, latest, yesterday or today",
        ),
        (["--date", "20210307"], "'20210307' is no date"),
        (["--from", "latest"], "argument --from: 'latest' is no date; expected YYYY-MM-DD"),
        (["--jobs", "0"], "'0' is no positive number"),
        (["--jobs", "33"], "33 parallel requests are more than 32"),
        (["--wait", "-1"], "argument --wait"),
        (["--wait", "inf"], "'inf' is no number of seconds"),
        (["--wait", "9999999999"], "9999999999 seconds are more than 604800, a week"),
        (["--nonsense"], "unrecognized arguments: --nonsense; see main.py load --help"),
        (["--locations", "tx", "ny"], "unrecognized arguments: ny"),
        (["--loc", "tx"], "unrecognized arguments: --loc"),
        (["--date", "2021-01-02", "--from", "2021-01-01"], "--date goes without --from and --to"),
        (["--from", "2021-01-02", "--to", "2021-01-01"], "--from 2021-01-02 is after --to 2021-01-01"),
    ],
)
def test_wrong_usage_exits_2_and_says_why(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: Any = cli.main(["load", *arguments])
    except SystemExit as left:
        code = left.code
    assert (code, said in capsys.readouterr().err) == (2, True)


def test_an_unknown_command_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["laod"]) == 2
    said = f"command failed exit_code=2 reason='laod' is no command; there are {', '.join(COMMANDS)}\n"
    assert capsys.readouterr().err.endswith(said)


def test_today_and_yesterday_are_those_of_new_york(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Clock":
            # Two in the morning in London, evening of the day before in New York.
            return cls(2021, 1, 2, 2, tzinfo=gettz("UTC")).astimezone(tz)

    monkeypatch.setattr(options, "datetime", Clock)
    assert parse("load", "--date", "today").day == date(2021, 1, 1)
    assert parse("load", "--date", "yesterday").day == date(2020, 12, 31)
    assert parse("load", "--date", "latest").day == "latest"


def test_an_unexpected_error_exits_1_with_a_traceback_in_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        raise ZeroDivisionError("oh")

    monkeypatch.setitem(cli.COMMANDS, "status", cli.COMMANDS["status"]._replace(run=fail))
    assert cli.main(["status"]) == 1
    shown = capsys.readouterr().err
    assert "unexpected error; this is a bug, please report it" in shown
    assert "ZeroDivisionError: oh" in shown


def test_without_any_psql_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from etl.database import embedded as server

    monkeypatch.setattr(server, "psql_program", lambda: None)
    monkeypatch.setenv("COVID_ETL_HOME", str(tmp_path))
    assert cli.main(["psql"]) == 2
    assert "install PostgreSQL's client" in capsys.readouterr().err
