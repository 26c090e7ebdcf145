"""The national curves as PNG files, drawn without a browser from the charts of the page."""

import json
import re
from datetime import date, datetime
from typing import Any

from etl.config import command
from etl.errors import UsageError
from etl.page import charts, words
from etl.page.data import MEASURES, Contents, Curve, Location, Measure

# Vega counts time in milliseconds since 1970.
EPOCH, DAY = date(1970, 1, 1), 86_400_000
WIDTH, HEIGHT, SCALE = 640, 260, 2
ALL = "national-curves.png"
# The legend of bars and lines.
FLOW = "Cases, tests, deaths: bars for the day, 7-day mean as a line."
LEVEL = "Patients: the published figure, as bars and line."

_SOURCE = {"type": "text", "align": "left", "color": "var(--quiet)", "fontSize": 12}


def draw(contents: Contents, made_at: datetime) -> dict[str, bytes]:
    """The PNG files by name, one per measure and one with all; raises `UsageError` if the nation is not loaded."""
    if contents.nation is None:
        run = command("load --locations us")
        raise UsageError(f"the nation is not loaded, so it has no curves: run `{run}` first")
    drawn = {measure: _chart(measure, contents.nation) for measure in MEASURES}
    data = f"Data: The COVID Tracking Project at The Atlantic, CC BY 4.0, to {words.day(contents.nation.last_day)}."
    made = f"Made {words.day(made_at)}."
    files = {
        f"{measure.column}.png": _png(chart, [data, f"{LEVEL if measure.is_level else FLOW} {made}"])
        for measure, chart in drawn.items()
    }
    pairs = {"columns": 2, "concat": list(drawn.values()), "spacing": {"row": 28, "column": 36}}
    return files | {ALL: _png(pairs, [f"{data} {made}", f"{FLOW} {LEVEL}"])}


def _chart(measure: Measure, nation: Location) -> dict[str, Any]:
    """The chart of the page with the nation's data, a title, and a size."""
    chart, curve = charts.specification("curve"), nation.curves[measure.column]
    title = {"text": f"United States: {measure.title.lower()}", "subtitle": words.finding(measure, curve)}
    parts = {key: chart[key] for key in ("transform", "encoding", "layer")}
    return parts | {"data": {"values": _rows(curve)}, "width": WIDTH, "height": HEIGHT, "title": title}


def _rows(curve: Curve) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"day": ((curve.first_day - EPOCH).days + index) * DAY, "value": value, "figure": figure}
        for index, (value, figure) in enumerate(zip(curve.values, curve.figures, strict=True))
    ]
    if curve.peak:
        rows[(curve.peak.day - curve.first_day).days]["peak"] = words.number(curve.peak.figure)
    return rows


def _png(chart: dict[str, Any], source: list[str]) -> bytes:
    """The picture of a chart in the light colours, with its source below."""
    import vl_convert

    whole = charts.specification("curve")
    below = {"data": {"values": [{}]}, "mark": _SOURCE | {"text": source}, "height": 1, "width": 1}
    page = {key: whole[key] for key in ("$schema", "params", "config")} | {
        "background": "var(--page)",
        "padding": 24,
        "vconcat": [chart, below],
    }
    light = _light_colours()
    coloured = re.sub(r"var\(--([\w-]+)\)", lambda name: light[name[1]], json.dumps(page))
    return vl_convert.vegalite_to_png(coloured, scale=SCALE)


def _light_colours() -> dict[str, str]:
    """The colours by name, as the page's styles have them before their dark ones."""
    light, _dark = (charts.FOLDER / "page.css").read_text(encoding="utf-8").split("@media", 1)
    return dict(re.findall(r"--([\w-]+): (#\w+);", light))
