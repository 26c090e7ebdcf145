"""Numbers, days and findings in the words of page and pictures."""

from datetime import date

from etl.report.data import Curve, Measure


def day(value: date) -> str:
    """A day as `Jan 8, 2021`."""
    return f"{value:%b} {value.day}, {value.year}"


def number(value: float | None) -> str:
    """A figure in full, `243,538`; small means with a decimal, `7.3`; `n/a` where it is unknown."""
    if value is None:
        return "n/a"
    decimals = 0 if value == int(value) or abs(value) >= 10 else 1
    return f"{value:,.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def finding(measure: Measure, curve: Curve) -> str:
    """What a curve shows, in a sentence: its highest and its newest mean."""
    if curve.last is None:
        is_empty = all(value is None for value in curve.values)
        return "No figures." if is_empty else "Never known for seven days in a row."
    last_day, last = curve.last
    if curve.peak is None:
        return f"Never above zero; {number(last)} on {day(last_day)}."
    peak_day, peak = curve.peak
    if peak_day == last_day:
        return f"Highest on the last day: {number(peak)} {measure.unit} on {day(peak_day)}."
    newest_day = day(last_day).removesuffix(f", {peak_day.year}")
    return f"Peaked at {number(peak)} {measure.unit} on {day(peak_day)}; {number(last)} on {newest_day}."
