"""Numbers, days and findings in the words of page and pictures."""

from datetime import date, timedelta

from etl.page.data import MEASURES, Curve, Location, Measure

# A series that begins so long after the location's first report has a past that nobody knows.
LATE = timedelta(days=14)
# A peak so soon after the first figure may not have been the first; a newest figure so old is not of today.
WEEK = timedelta(days=7)


def day(value: date) -> str:
    """A day as `Jan 8, 2021`."""
    return f"{value:%b} {value.day}, {value.year}"


def number(value: float | None, decimals: int | None = None) -> str:
    """A figure in full, `243,538`; small means with a decimal, `7.3`; `n/a` where it is unknown."""
    if value is None:
        return "n/a"
    if decimals is None:
        decimals = 0 if value == int(value) or abs(value) >= 10 else 1
    return f"{value:,.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def count(amount: int, noun: str) -> str:
    """An amount of things: `1 finding`, `6 findings`."""
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def finding(measure: Measure, curve: Curve) -> str:
    """What a curve shows, in a sentence or two: its highest and its newest figure, and whether it begins late."""
    if curve.published_from is None:
        return "Not published."
    if not curve.known:
        return "Never known for seven days in a row."
    mean = "" if measure.is_level else "7-day mean "
    since = f"Figures from {day(curve.published_from)}"
    if curve.peak and curve.peak[0] - curve.known[0][0] < WEEK:
        return f"{since}; highest {mean}since: {_heights(measure, curve.peak, curve)}."
    late = f" {since}." if curve.published_from - curve.first_day > LATE else ""
    return capitalized(mean + _course(measure, curve)) + late


def _course(measure: Measure, curve: Curve) -> str:
    if curve.peak is None:
        return f"never above zero; {_newest(curve, None)}."
    verb = "highest on the last day:" if curve.peak == curve.known[-1] else "peaked at"
    return f"{verb} {_heights(measure, curve.peak, curve)}."


def _heights(measure: Measure, peak: tuple[date, float], curve: Curve) -> str:
    """The peak, and the newest figure unless they are one."""
    highest = f"{number(peak[1])} {measure.unit} on {day(peak[0])}"
    return highest if peak == curve.known[-1] else f"{highest}; {_newest(curve, peak[0].year)}"


def _newest(curve: Curve, known_year: int | None) -> str:
    newest_day, newest = curve.known[-1]
    last_day = curve.first_day + timedelta(days=len(curve.values) - 1)
    gone = ", none since" if last_day - newest_day > WEEK else ""
    return f"{number(newest)} on {day(newest_day).removesuffix(f', {known_year}')}{gone}"


def capitalized(text: str) -> str:
    """The text with a capital at its beginning, and all else as it is."""
    return text[0].upper() + text[1:]


def standing(state: Location, nation: Location | None) -> str:
    """How a state compares with the nation: its cases and its peak of new cases per 100,000 people, and its grade."""
    cases = f"{number(state.per_100k(state.total_cases), 0)} cases per 100,000 people"
    if nation:
        cases += f" (nation {number(nation.per_100k(nation.total_cases), 0)})"
    peak = _peak_share(state)
    of_nation = _peak_share(nation).replace(" per 100,000", "") if nation else ""
    peaks = [f"7-day peak {peak}{f' (nation {of_nation})' if of_nation else ''}"] if peak else []
    grade = f"grade {state.grade}" if state.grade and state.grade != "N/A" else "no grade"
    return "; ".join([cases, *peaks, grade])


def _peak_share(location: Location) -> str:
    """The highest mean of new cases per 100,000 people with its day; nothing where it is unknown."""
    measure = MEASURES[0]
    peak = location.curves[measure.column].peak
    share = location.per_100k(peak[1]) if peak else None
    return f"{number(share, measure.decimals)} per 100,000 on {day(peak[0])}" if peak and share is not None else ""
