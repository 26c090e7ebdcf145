"""Builds the snapshot: the whole history as the API's own files, from the published CSV figures.

    python tools/build_snapshot.py --history DIR --served DIR --api DIR --output snapshot

`--history` holds the project's final downloads (states.csv, national.csv), and the populations by which
the API divided (state-populations.csv). `--served` holds what the API had beyond the downloads
(states.csv.gz). `--api` holds files of the API (us/daily.json, states.json, states/{st}/daily.json), of
which only `meta` and the states' metadata are taken: every figure comes from the CSV files, and what the
API calculated is calculated from them again, by its own rules. A value that none of them has is null.
"""

import argparse
import csv
import gzip
import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

Row = dict[str, str]
Document = dict[str, Any]
Series = dict[date, int | None]

# Metric -> column of the CSV file. Both lists are in the order in which the API publishes.
NATION = {
    "cases.total": "positive",
    "testing.total": "totalTestResults",
    "outcomes.hospitalized.currently": "hospitalizedCurrently",
    "outcomes.hospitalized.in_icu.currently": "inIcuCurrently",
    "outcomes.hospitalized.on_ventilator.currently": "onVentilatorCurrently",
    "outcomes.death.total": "death",
}
STATES = {
    "cases.total": "positive",
    "cases.confirmed": "positiveCasesViral",
    "cases.probable": "probableCases",
    "tests.pcr.total": "totalTestResults",
    "tests.pcr.pending": "pending",
    "tests.pcr.encounters.total": "totalTestEncountersViral",
    "tests.pcr.specimens.total": "totalTestsViral",
    "tests.pcr.specimens.positive": "positiveTestsViral",
    "tests.pcr.specimens.negative": "negativeTestsViral",
    "tests.pcr.people.total": "totalTestsPeopleViral",
    "tests.pcr.people.positive": "positive",
    "tests.pcr.people.negative": "negative",
    "tests.antibody.encounters.total": "totalTestsAntibody",
    "tests.antibody.encounters.positive": "positiveTestsAntibody",
    "tests.antibody.encounters.negative": "negativeTestsAntibody",
    "tests.antibody.people.total": "totalTestsPeopleAntibody",
    "tests.antibody.people.positive": "positiveTestsPeopleAntibody",
    "tests.antibody.people.negative": "negativeTestsPeopleAntibody",
    "tests.antigen.encounters.total": "totalTestsAntigen",
    "tests.antigen.encounters.positive": "positiveTestsAntigen",
    "tests.antigen.encounters.negative": "",
    "tests.antigen.people.total": "totalTestsPeopleAntigen",
    "tests.antigen.people.positive": "positiveTestsPeopleAntigen",
    "tests.antigen.people.negative": "",
    "outcomes.recovered": "recovered",
    "outcomes.hospitalized.total": "hospitalizedCumulative",
    "outcomes.hospitalized.currently": "hospitalizedCurrently",
    "outcomes.hospitalized.in_icu.total": "inIcuCumulative",
    "outcomes.hospitalized.in_icu.currently": "inIcuCurrently",
    "outcomes.hospitalized.on_ventilator.total": "onVentilatorCumulative",
    "outcomes.hospitalized.on_ventilator.currently": "onVentilatorCurrently",
    "outcomes.death.total": "death",
    "outcomes.death.confirmed": "deathConfirmed",
    "outcomes.death.probable": "deathProbable",
}
# The metrics for which the API calculates nothing.
WITHOUT_CALCULATED = {
    "outcomes.hospitalized.total",
    "outcomes.hospitalized.in_icu.total",
    "outcomes.hospitalized.on_ventilator.total",
}
# The metrics for which the API calculates no average.
WITHOUT_AVERAGE = {
    "cases.total",
    "testing.total",
    "tests.pcr.total",
    "tests.pcr.encounters.total",
    "tests.pcr.specimens.total",
    "tests.pcr.people.total",
    "tests.pcr.people.positive",
    "tests.antibody.encounters.total",
    "tests.antibody.people.total",
    "tests.antigen.encounters.total",
    "tests.antigen.people.total",
}


def main() -> None:
    """Builds the snapshot from the folders named on the command line."""
    parser = argparse.ArgumentParser(description="Builds the snapshot from the published CSV figures.")
    for name, help_ in (
        ("history", "folder of the final downloads, as CSV"),
        ("served", "folder of what the API had beyond the downloads, as CSV"),
        ("api", "folder of the API's files, for meta and metadata"),
        ("output", "folder to write"),
    ):
        parser.add_argument(f"--{name}", type=Path, required=True, help=help_)
    options = parser.parse_args()
    for address, document in documents(options.history, options.served, options.api):
        write(options.output / f"{address}.gz", document)


def documents(history: Path, served: Path, api: Path) -> Iterator[tuple[str, Document]]:
    """Every document of the snapshot, with its address."""
    populations = {row["state"]: int(row["population"]) for row in read_csv(history / "state-populations.csv")}
    published = read_json(api / "us/daily.json")
    nation = list(read_csv(history / "national.csv"))
    yield "us/daily.json", published | {"data": series(nation, NATION, populations["US"], nation_head)}
    states = read_json(api / "states.json")
    yield "states.json", states | {"data": [without_notes(state) for state in states["data"]]}
    reports = reports_by_state(history, served)
    for state in states["data"]:
        code = state["state_code"]
        address = f"states/{code.lower()}/daily.json"
        head = partial(state_head, state["covid_tracking_project"]["preferred_total_test"]["field"])
        data = series(reports[code], STATES, populations[code], head)
        yield address, {"meta": read_json(api / address)["meta"], "data": data}


def reports_by_state(history: Path, served: Path) -> dict[str, list[Row]]:
    """The states' rows, newest first, with what the API had beyond the downloads."""
    beyond = {(row["state"], row["date"]): row for row in read_csv(served / "states.csv.gz")}
    grouped: dict[str, list[Row]] = {}
    for row in read_csv(history / "states.csv"):
        grouped.setdefault(row["state"], []).append(row | beyond[row["state"], row["date"]])
    return grouped


def without_notes(state: Document) -> Document:
    """A state's metadata without the site entries that hold a note where an address belongs."""
    sites = [site for site in state["sites"] if not any(map(str.isspace, site["url"]))]
    return state | {"sites": sites}


def nation_head(row: Row) -> Document:
    """The parts of a national report besides its metrics."""
    return {"date": row["date"], "states": int(row["states"])}


def state_head(total_source: str, row: Row) -> Document:
    """The parts of a state's report besides its metrics."""
    meta = {
        "data_quality_grade": row["dataQualityGrade"] or None,
        "updated": row["lastUpdateUtc"] or None,
        "tests": {"total_source": total_source},
    }
    return {"date": row["date"], "state": row["state"], "meta": meta}


# --- the API's calculation rules ---


def series(
    rows: list[Row], metrics: dict[str, str], population: int, head: Callable[[Row], Document]
) -> list[Document]:
    """The reports of one location, newest first, with what the API calculates over the series."""
    days = [date.fromisoformat(row["date"]) for row in rows]
    reports = [head(row) for row in rows]
    for metric, column in metrics.items():
        values = {day: count(row.get(column, "")) for day, row in zip(days, rows, strict=True)}
        for day, report in zip(days, reports, strict=True):
            plant(report, metric, metric_on(day, metric, values, population))
    return reports


def metric_on(day: date, metric: str, values: Series, population: int) -> Document:
    """One metric of one report: its value, and what the API calculates from the location's series."""
    value = values[day]
    if metric in WITHOUT_CALCULATED:
        return {"value": value}
    before, week_before = values.get(day - timedelta(days=1)), values.get(day - timedelta(days=7))
    calculated: Document = {
        "population_percent": None if value is None else rounded(value / population * 100, 4),
        "change_from_prior_day": None if value is None or before is None else value - before,
        "seven_day_change_percent": None
        if value is None or not week_before
        else rounded((value - week_before) / week_before * 100, 1),
    }
    if metric not in WITHOUT_AVERAGE:
        calculated["seven_day_average"] = None if value is None else average(day, values)
    return {"value": value, "calculated": calculated}


def average(day: date, values: Series) -> int:
    """The mean of the known values of the seven days up to `day`, rounded half to even."""
    week = [values.get(day - timedelta(days=back)) for back in range(7)]
    known = [value for value in week if value is not None]
    return round(Fraction(sum(known), len(known)))


def rounded(number: float, digits: int) -> float | int:
    """A percentage as the API writes it: whole numbers without a fraction."""
    result = round(number, digits)
    return int(result) if result == int(result) else result


# --- files ---


def count(text: str) -> int | None:
    """A figure of a CSV file; an empty one was not published."""
    return int(text) if text else None


def plant(report: Document, path: str, value: Document) -> None:
    """Puts a metric into a report at a dotted path."""
    *parents, name = path.split(".")
    for parent in parents:
        report = report.setdefault(parent, {})
    report[name] = value


def read_csv(path: Path) -> Iterator[Row]:
    """The rows of a CSV file, plain or gzip-compressed, by the names in its head."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def read_json(path: Path) -> Document:
    """A file of the API, plain or gzip-compressed."""
    packed = path.with_name(f"{path.name}.gz")
    document: Document = json.loads(path.read_bytes() if path.is_file() else gzip.decompress(packed.read_bytes()))
    return document


def write(path: Path, document: Document) -> None:
    """Writes a document minified, with one final newline, compressed the same way every time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False) + "\n"
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main()
