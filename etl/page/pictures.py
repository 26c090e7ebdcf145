"""The national curves as PNG files, drawn from the charts of the page without a browser."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

from etl.errors import DatabaseError
from etl.page import charts, words
from etl.page.data import MEASURES, Curve, Location, Measure, Report

WIDTH, HEIGHT, SCALE = 640, 260, 2
ALL = "national-curves.png"
# What bars and lines are.
FLOW = "Cases, tests, deaths: bars for the day, 7-day mean as a line."
LEVEL = "Patients: the published figure, as bars and line."


def draw(report: Report, made_at: datetime) -> dict[str, bytes]:
    """A PNG file per measure by its name, and one with all of them; raises `DatabaseError` without the nation."""
    if report.nation is None:
        raise DatabaseError("the nation is not loaded, so it has no curves: run `main.py load --locations us` first")
    drawn = [_chart(measure, report.nation) for measure in MEASURES]
    data = f"Data: The COVID Tracking Project at The Atlantic, CC BY 4.0, to {words.day(report.nation.last_day)}."
    made = f"Made {words.day(made_at)}."
    files = {
        f"{measure.column}.png": _png(chart, [data, f"{LEVEL if measure.is_level else FLOW} {made}"])
        for measure, chart in zip(MEASURES, drawn, strict=True)
    }
    pairs = {"columns": 2, "concat": drawn, "spacing": {"row": 28, "column": 36}}
    return files | {ALL: _png(pairs, [f"{data} {made}", f"{FLOW} {LEVEL}"])}


def _chart(measure: Measure, nation: Location) -> dict[str, Any]:
    """The chart of the page with its data in it, a title, and a width of its own."""
    chart = charts.specification("curve")
    curve = nation.curves[measure.column]
    title = {"text": f"United States: {measure.title.lower()}", "subtitle": words.finding(measure, curve)}
    for key in ("$schema", "background", "padding", "autosize", "config", "description", "params"):
        chart.pop(key)
    return chart | {"data": {"values": _rows(curve)}, "width": WIDTH, "height": HEIGHT, "title": title}


def _rows(curve: Curve) -> list[dict[str, Any]]:
    days = (curve.first_day + timedelta(days=index) for index in range(len(curve.values)))
    each_day = zip(days, curve.values, curve.figures, strict=True)
    rows: list[dict[str, Any]] = [
        {"day": _time(day), "value": value, "figure": figure} for day, value, figure in each_day
    ]
    if curve.peak:
        day, figure = curve.peak
        rows[(day - curve.first_day).days]["peak"] = words.number(figure)
    return rows


def _time(day: date) -> int:
    """A day as the milliseconds that Vega counts in."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def _png(chart: dict[str, Any], source: list[str]) -> bytes:
    import vl_convert

    page = {
        "$schema": charts.specification("curve")["$schema"],
        "background": "var(--page)",
        "padding": 24,
        "params": charts.specification("curve")["params"],
        "config": charts.specification("curve")["config"] | {"title": _TITLE, "font": "sans-serif"},
        "vconcat": [chart, {"data": {"values": [{}]}, "mark": _SOURCE | {"text": source}, "height": 1, "width": 1}],
    }
    return vl_convert.vegalite_to_png(_in_light_colours(page), scale=SCALE)


_TITLE = {
    "anchor": "start", "frame": "group", "offset": 12, "color": "var(--ink)", "fontSize": 17,
    "subtitleColor": "var(--quiet)", "subtitleFontSize": 13, "subtitlePadding": 5,
}  # fmt: skip
_SOURCE = {"type": "text", "align": "left", "color": "var(--quiet)", "fontSize": 12}


def _in_light_colours(chart: dict[str, Any]) -> dict[str, Any]:
    """The chart with the colours themselves in the place of their names."""
    text = json.dumps(chart)
    for name, (light, _) in charts.PALETTE.items():
        text = text.replace(f"var(--{name})", light)
    found: dict[str, Any] = json.loads(text)
    return found
