"""The page: one HTML file that holds its data, its script and its styles, and so needs no network."""

import math
from datetime import UTC, date, datetime
from typing import Any

from msgspec.structs import asdict

from etl import __version__
from etl.page import charts, quality, words
from etl.page.data import MEASURES, NATION, Contents, Location, Measure

# The name of the shipped source in a run.
SNAPSHOT = "snapshot"
# The number of colours of the map in page.css.
STEPS = 6


def render(contents: Contents, made_at: datetime) -> str:
    """The page as text; two pages of the same data differ only in the time `made_at`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(charts.FOLDER), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"day": words.day, "number": words.number, "capitalize_first": words.capitalized}
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment.get_template("page.html").render(
        contents=contents,
        measures=MEASURES,
        words=words,
        places=_places(contents),
        quality=quality,
        failed=sum(check.has_failed for check in contents.checks),
        is_snapshot=contents.provenance.source == SNAPSHOT,
        embedder=charts.embedder(),
        data=_data(contents),
        made_at=made_at.astimezone(UTC),
        version=__version__,
    )


def _places(contents: Contents) -> str:
    """The loaded locations in words, such as `56 states and territories and the nation`."""
    states = len(contents.states)
    parts = ["1 state or territory" if states == 1 else f"{states} states and territories"] if states else []
    return " and ".join([*parts, *(["the nation"] if contents.nation else [])])


def _data(contents: Contents) -> dict[str, Any]:
    """The data that the script draws: one copy, in arrays by day, for charts, map and tables."""
    start = contents.provenance.first_day
    return {
        "first_day": start.isoformat(),
        "days": (contents.provenance.last_day - start).days + 1,
        "shown_day": (_opening_day(contents) - start).days,
        "nation": NATION,
        "measures": [asdict(measure) | {"bounds": bounds(measure, contents.states)} for measure in MEASURES],
        "locations": {
            code: {
                "name": location.name,
                "population": location.population,
                "first": (location.first_day - start).days,
                "curves": {measure.column: _curve(measure, location, contents) for measure in MEASURES},
            }
            for code, location in contents.locations.items()
        },
        "charts": {name: charts.compiled(name) for name in ("curve", "multiple")},
    }


def _curve(measure: Measure, location: Location, contents: Contents) -> dict[str, Any]:
    """A curve for the script; its peak is a day, counted from the first day of all locations."""
    curve = location.curves[measure.column]
    peak = curve.peak
    return {
        "values": curve.values,
        "means": curve.means,
        "peak": (peak.day - contents.provenance.first_day).days if peak else None,
        "finding": words.finding(measure, curve),
    }


def _opening_day(contents: Contents) -> date:
    """The day on which the map opens: the nation's peak of new cases, else the newest day."""
    curve = contents.nation.curves[MEASURES[0].column] if contents.nation else None
    return curve.peak.day if curve and curve.peak else contents.provenance.last_day


def bounds(measure: Measure, states: list[Location]) -> list[float]:
    """The figures per 100,000 people at which the map's colour changes, the same on every day.

    They are equally far apart, by a round number; about one state and day in twenty has the last colour.
    """
    figures = ((state, figure) for state in states for figure in state.curves[measure.column].figures)
    shares = sorted(share for state, figure in figures if (share := state.per_100k(figure)) is not None)
    high = shares[int(len(shares) * 0.95)] if shares else 1.0
    width = _round_number(max(high, 0.1) / (STEPS - 1))
    return [round(width * step, 6) for step in range(1, STEPS)]


def _round_number(value: float) -> float:
    """The nearest of 1, 2, 2.5, 4 and 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return min((factor * power for factor in (1, 2, 2.5, 4, 5, 10)), key=lambda number: abs(number - value))
