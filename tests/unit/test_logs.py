import json
import re

import pytest

from etl.logs import configure, get_logger


def test_text_lines_have_time_level_event_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure("text")
    get_logger().warning("document failed", extra={"address": "us/daily.json", "run_id": 7})
    line = capsys.readouterr().err
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ WARNING document failed address=us/daily.json run_id=7\n", line
    )


def test_json_lines_have_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    get_logger().info("run started", extra={"run_id": 7})
    line = json.loads(capsys.readouterr().err)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*(Z|\+00:00)", line.pop("time"))
    assert line == {"level": "INFO", "event": "run started", "run_id": 7}
