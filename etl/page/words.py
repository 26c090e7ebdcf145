"""Numbers, days and curves in the words of the page and the pictures."""

from datetime import date, timedelta

from etl.page.data import MEASURES, Curve, Location, Measure

# A curve that begins later than this after the location's first report lacks a part of its past.
LATE = timedelta(days=14)
# A peak within this time of a curve's first figure may follow a higher one, which was not published. A curve without
# a figure for longer than this has ended.
WEEK = timedelta(days=7)


def day(value: date) -> str:
    """A day as `Jan 8, 2021`."""
    return f"{value:%b} {value.day}, {value.year}"


def number(value: float | None, decimals: int | None = None) -> str:
    """A figure in full such as `243,538`, a small mean with a decimal such as `7.3`, or `n/a` where it is unknown."""
    if value is None:
        return "n/a"
    if decimals is None:
        decimals = 0 if value == int(value) or abs(value) >= 10 else 1
    return f"{value:,.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def count(amount: int, noun: str) -> str:
    """An amount of things: `1 finding`, `6 findings`."""
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def finding(measure: Measure, curve: Curve) -> str:
    """A curve in a sentence or two: its highest figure, its newest one, and its first day if that is late."""
    if not curve.published:
        return "Not published."
    if not curve.known:
        return "Never known for seven days in a row."
    mean = "" if measure.is_level else "7-day mean "
    begin = curve.published[0].day
    since = f"Figures from {day(begin)}"
    late = f" {since}." if begin - curve.first_day > LATE else ""
    if not (peak := curve.peak):
        return capitalized(f"{mean}never above zero; {_newest(curve)}.") + late
    is_newest = peak == curve.known[-1]
    heights = f"{number(peak.figure)} {measure.unit} on {day(peak.day)}"
    if not is_newest:
        heights += f"; {_newest(curve).replace(f', {peak.day.year}', '')}"
    if peak.day - curve.known[0].day < WEEK:
        return f"{since}; highest {mean}since: {heights}."
    verb = "highest on the last day:" if is_newest else "peaked at"
    return capitalized(f"{mean}{verb} {heights}.") + late


def _newest(curve: Curve) -> str:
    """The newest figure with its day, and whether it is the last one."""
    newest = curve.known[-1]
    last_day = curve.first_day + timedelta(days=len(curve.values) - 1)
    gone = ", none since" if last_day - newest.day > WEEK else ""
    return f"{number(newest.figure)} on {day(newest.day)}{gone}"


def capitalized(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[0].upper() + text[1:]


def standing(state: Location, nation: Location | None) -> str:
    """A state beside the nation: its cases and its peak of new cases per 100,000 people, and its grade."""
    cases = f"{number(state.per_100k(state.total_cases), 0)} cases per 100,000 people"
    if nation:
        cases += f" (nation {number(nation.per_100k(nation.total_cases), 0)})"
    peak = _peak_share(state)
    of_nation = _peak_share(nation).replace(" per 100,000", "") if nation else ""
    peaks = [f"7-day peak {peak}{f' (nation {of_nation})' if of_nation else ''}"] if peak else []
    grade = f"grade {state.grade}" if state.grade and state.grade != "N/A" else "no grade"
    return "; ".join([cases, *peaks, grade])


def _peak_share(location: Location) -> str:
    """The highest mean of new cases per 100,000 people with its day; empty where it is unknown."""
    measure = MEASURES[0]
    peak = location.curves[measure.column].peak
    share = location.per_100k(peak.figure) if peak else None
    return f"{number(share, measure.decimals)} per 100,000 on {day(peak.day)}" if peak and share is not None else ""
