import json
import re

import pytest

from etl.errors import DocumentError
from etl.logs import bind, configure, log


def test_text_lines_have_time_level_event_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure("text")
    log.warning("document failed", extra={"address": "us/daily.json"})
    line = capsys.readouterr().err
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ WARNING document failed address=us/daily.json\n", line)


def test_json_lines_have_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    log.info("run started", extra={"source": "api"})
    line = json.loads(capsys.readouterr().err)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*(Z|\+00:00)", line.pop("time"))
    assert line == {"level": "INFO", "event": "run started", "source": "api"}


def test_what_is_bound_is_on_every_line_from_then_on(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    log.info("before")
    bind(run_id=7)
    log.info("after")
    log.warning("later", extra={"address": "x"})
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line.get("run_id") for line in lines] == [None, 7, 7]
    configure("json")
    log.info("anew")
    assert "run_id" not in json.loads(capsys.readouterr().err)


FORGED = "x\x1b[2J\u202e\r\n2021-03-08T06:00:01Z INFO run ended status=ok"


def test_no_text_of_the_source_forges_a_line_or_steers_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    configure("text")
    log.warning("document failed", extra={"address": FORGED})
    line = capsys.readouterr().err
    shown = r"x\u001b[2J\u202e\u000d\u000a2021-03-08T06:00:01Z INFO run ended status=ok"
    assert line.split(" ", 1)[1] == f"WARNING document failed address={shown}\n"
    assert str(DocumentError(FORGED)) == shown


def test_the_text_of_an_error_does_not_look_like_a_line_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure("text")
    try:
        raise ValueError(FORGED)
    except ValueError:
        log.exception("document failed by a bug")
    first, *rest = capsys.readouterr().err.removesuffix("\n").split("\n")
    assert first.endswith("ERROR document failed by a bug")
    assert all(line.startswith("  ") and line.isprintable() for line in rest)


def test_json_lines_are_one_line_each_whatever_is_in_them(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    log.warning("document failed", extra={"address": FORGED})
    lines = capsys.readouterr().err.removesuffix("\n").split("\n")
    assert [json.loads(line)["address"] for line in lines] == [FORGED]
    assert lines[0].isprintable()
