"""The page: one HTML file with its data, its script and its styles, that opens without network."""

import math
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

from etl import __version__
from etl.page import charts, quality, words
from etl.page.data import MEASURES, NATION, Location, Measure, Report

# As the command names the source.
SNAPSHOT = "snapshot"

# Where each state and territory stands on the map: a row per line, a column per word.
TILES = """
AK .. .. .. .. .. .. .. .. .. ME
.. .. .. .. .. .. .. .. .. VT NH
WA ID MT ND MN IL WI MI NY RI MA
OR NV WY SD IA IN OH PA NJ CT ..
CA UT CO NE MO KY WV VA MD DE ..
.. AZ NM KS AR TN NC SC DC .. ..
.. .. .. OK LA MS AL GA .. .. ..
HI .. .. TX .. .. .. .. FL .. PR
AS GU MP .. .. .. .. .. .. .. VI
"""


def render(report: Report, made_at: datetime) -> str:
    """The page as text; for one report it differs in the time `made_at` alone."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(charts.FOLDER), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"day": words.day, "number": words.number, "capitalize_first": words.capitalized}
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment.get_template("page.html").render(
        report=report,
        measures=MEASURES,
        words=words,
        places=_places(report),
        found=quality.found(report),
        failed=sum(check.kind == "required" and check.findings > 0 for check in report.checks),
        findings=quality.findings_by_location(report),
        is_snapshot=report.provenance.source == SNAPSHOT,
        tiles=tiles(),
        palette=charts.PALETTE,
        steps=range(charts.STEPS),
        embedder=charts.embedder(),
        data=_data(report),
        made_at=made_at.astimezone(UTC),
        version=__version__,
    )


def _places(report: Report) -> str:
    """What is loaded, in words: `56 states and territories and the nation`."""
    states = len(report.states)
    parts = ["1 state or territory" if states == 1 else f"{states} states and territories"] if states else []
    return " and ".join([*parts, *(["the nation"] if report.nation else [])])


def tiles() -> dict[str, tuple[int, int]]:
    """Row and column of each location on the map, from 1."""
    rows = [line.split() for line in TILES.split("\n") if line]
    return {
        code: (row, column)
        for row, codes in enumerate(rows, start=1)
        for column, code in enumerate(codes, start=1)
        if code != ".."
    }


def _data(report: Report) -> dict[str, Any]:
    """What the script draws: arrays by day, one copy for charts, map and tables."""
    start = report.provenance.first_day
    return {
        "first_day": start.isoformat(),
        "days": (report.provenance.last_day - start).days + 1,
        "shown_day": (_opening_day(report) - start).days,
        "nation": NATION,
        "measures": [asdict(measure) | {"bounds": bounds(measure, report.states)} for measure in MEASURES],
        "locations": {
            code: {
                "name": location.name,
                "population": location.population,
                "first": (location.first_day - start).days,
                "curves": {measure.column: _curve(measure, location, report) for measure in MEASURES},
            }
            for code, location in report.locations.items()
        },
        "charts": {name: charts.compiled(name) for name in ("curve", "multiple")},
    }


def _curve(measure: Measure, location: Location, report: Report) -> dict[str, Any]:
    """Values and means by day from the location's first on; the peak as a day counted from the report's first."""
    curve = location.curves[measure.column]
    peak = curve.peak
    return {
        "values": curve.values,
        "means": curve.means,
        "peak": (peak[0] - report.provenance.first_day).days if peak else None,
        "finding": words.finding(measure, curve),
    }


def _opening_day(report: Report) -> date:
    """The day that the map shows first: that of the nation's peak of new cases, else the newest."""
    curve = report.nation.curves[MEASURES[0].column] if report.nation else None
    return curve.peak[0] if curve and curve.peak else report.provenance.last_day


def bounds(measure: Measure, states: list[Location]) -> list[float]:
    """Where each step of the map's colours but the first begins, per 100,000 people; the same on every day.

    Steps are equally wide, a round number, so that about one state and day in twenty is in the last.
    """
    shares = sorted(share for state in states for share in _shares(state, measure))
    high = shares[int(len(shares) * 0.95)] if shares else 1.0
    width = _round_number(max(high, 0.1) / (charts.STEPS - 1))
    return [round(width * step, 6) for step in range(1, charts.STEPS)]


def _shares(location: Location, measure: Measure) -> list[float]:
    """The known figures per 100,000 people."""
    shares = (location.per_100k(figure) for figure in location.curves[measure.column].figures)
    return [share for share in shares if share is not None]


def _round_number(value: float) -> float:
    """The nearest of 1, 2, 2.5, 4 and 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return min((factor * power for factor in (1, 2, 2.5, 4, 5, 10)), key=lambda each: abs(each - value))
