import json
import re

import pytest

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
