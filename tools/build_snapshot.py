"""Builds the snapshot: the whole history as the API's own files, from the published CSV figures.

    python tools/build_snapshot.py --history DIR --api DIR --output snapshot

`--history` holds the project's final downloads (states.csv, national.csv), the populations by which
the API divided (state-populations.csv), and what the API served beyond the downloads
(states-supplement.csv). `--api` holds files of the API (us/daily.json, states.json,
states/{st}/daily.json), of which only `meta` and the states' metadata are taken: every figure comes
from the CSV files, by the API's own calculation rules.
"""

import argparse
import csv
import gzip
import json
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

Row = dict[str, str]

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
# The API calculates nothing for these,
WITHOUT_CALCULATED = {
    "outcomes.hospitalized.total",
    "outcomes.hospitalized.in_icu.total",
    "outcomes.hospitalized.on_ventilator.total",
}
# and no average for these and for the totals of each kind of test.
WITHOUT_AVERAGE = {"cases.total", "testing.total", "tests.pcr.total", "tests.pcr.people.positive"}


def main() -> None:
    """Builds the snapshot from the folders named on the command line."""
    parser = argparse.ArgumentParser(description="Builds the snapshot from the published CSV figures.")
    for name, help_ in (
        ("history", "folder of the CSV files"),
        ("api", "folder of the API's files, for meta and metadata"),
        ("output", "folder to write"),
    ):
        parser.add_argument(f"--{name}", type=Path, required=True, help=help_)
    options = parser.parse_args()
    for address, document in documents(options.history, options.api):
        write(options.output / f"{address}.gz", document)


def documents(history: Path, api: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every document of the snapshot, with its address."""
    populations = {row["state"]: int(row["population"]) for row in read_csv(history / "state-populations.csv")}
    published = read_json(api / "us/daily.json")
    nation = list(read_csv(history / "national.csv"))
    yield "us/daily.json", published | {"data": series(nation, NATION, populations["US"], nation_head)}
    states = read_json(api / "states.json")
    yield "states.json", states | {"data": [without_notes(state) for state in states["data"]]}
    rows = by_state(history)
    for state in states["data"]:
        code = state["state_code"]
        address = f"states/{code.lower()}/daily.json"
        source = state["field_sources"]["tests"]["pcr"]["total"]
        data = series(rows[code], STATES, populations[code], state_head(state, source))
        yield address, {"meta": read_json(api / address)["meta"], "data": data}


def by_state(history: Path) -> dict[str, list[Row]]:
    """The states' rows, newest first, with the columns of the supplement."""
    supplement = {(row["state"], row["date"]): row for row in read_csv(history / "states-supplement.csv")}
    grouped: dict[str, list[Row]] = {}
    for row in read_csv(history / "states.csv"):
        grouped.setdefault(row["state"], []).append(row | supplement[row["state"], row["date"]])
    return grouped


# --- the API's calculation rules ---


def series(rows: list[Row], metrics: dict[str, str], population: int, head: Any) -> list[dict[str, Any]]:
    """The reports of one location, newest first, with what the API calculates over the series."""
    values = {
        metric: {date.fromisoformat(row["date"]): number(row.get(column)) for row in rows}
        for metric, column in metrics.items()
    }
    reports = []
    for row in rows:
        report = head(row)
        for metric in metrics:
            plant(report, metric, metric_at(metric, values[metric], date.fromisoformat(row["date"]), population))
        reports.append(report)
    return reports
