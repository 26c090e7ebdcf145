"""The views of `mart` against a recomputation in Python from the tables: every row, every column."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from etl import config
from etl.database import connection as database
from etl.database.connection import Connection, execute, fetch_all
from etl.transform.declaration import DETAIL_TABLE, NATION, REPORT_TABLE, STATE, TABLES, Metric
from tests.conftest import copied
from tests.documents import document, nation_day, state_history
from tests.integration.test_history import revise
from tests.integration.test_schema import mmwr
from tests.warehouse import Warehouse

Row = dict[str, Any]
Key = tuple[str, date]

DAY = timedelta(days=1)
TOTALS = ("cases", "tests", "deaths")
LEVELS = ("currently_hospitalized", "currently_in_icu", "currently_on_ventilator")
PLACE = ("location_code", "name", "location_type", "population")
KINDS = (
    ("pcr", "people"), ("pcr", "specimens"), ("antigen", "people"), ("antigen", "encounters"),
    ("antibody", "people"), ("antibody", "encounters"),
)  # fmt: skip


def dicts(conn: Connection, query: str) -> list[Row]:
    with conn.cursor() as cursor:
        cursor.execute(query)
        assert cursor.description
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def rounded(part: int, whole: int = 1, digits: int = 3) -> Decimal:
    """A ratio, half away from zero, as Postgres rounds numeric."""
    scaled = (2 * abs(part) * 10**digits + whole) // (2 * whole)
    return (-1 if part < 0 else 1) * Decimal(scaled).scaleb(-digits)


def minus(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one - other


def per_100k(value: int | None, row: Row, days: int = 1) -> Decimal | None:
    return None if value is None else rounded(value * 100_000, days * row["population"])


def percent(part: int | None, whole: int | None, digits: int) -> Decimal | None:
    return rounded(part * 100, whole, digits) if part is not None and whole else None


@dataclass
class Star:
    """The reports, each with the columns of all facts and what is new; read table by table, joined here."""

    conn: Connection
    reports: dict[Key, Row]
    details: dict[Key, Row]

    def before(self, key: Key, days: int) -> Row:
        """The report some days before, empty if there is none."""
        return self.reports.get((key[0], key[1] - days * DAY), {})

    def week(self, key: Key, name: str) -> int | None:
        """The sum over the 7 days that end on a day, if all are known."""
        known = [value for n in range(7) if (value := self.before(key, n).get(name)) is not None]
        return sum(known) if len(known) == 7 else None

    def newest(self) -> dict[str, date]:
        return dict(sorted(self.reports))


def read(conn: Connection) -> Star:
    places = {row["location_id"]: row for row in dicts(conn, "select * from public.location_dimension")}
    kinds = {row["test_id"]: row for row in dicts(conn, "select * from public.test_dimension")}
    reports: dict[Key, Row] = {}
    details: dict[Key, Row] = defaultdict(dict)
    for table in (REPORT_TABLE, *(table for table in TABLES if table not in (REPORT_TABLE, DETAIL_TABLE))):
        for row in dicts(conn, f"select * from public.{table}"):
            key = (places[row["location_id"]]["location_code"], row["report_date"])
            if table != REPORT_TABLE:
                del row["known_from"]
            reports.setdefault(key, {name: places[row["location_id"]][name] for name in PLACE}).update(row)
    for row in dicts(conn, f"select * from public.{DETAIL_TABLE}"):
        kind = kinds[row["test_id"]]
        if kind["result"] != "negative":
            key = (places[row["location_id"]]["location_code"], row["report_date"])
            details[key][f"{kind['test_type']}_{kind['unit']}_{kind['result']}"] = row["value"]
    star = Star(conn, reports, details)
    for key, row in reports.items():
        row |= {
            f"new_{each}": minus(row[f"total_{each}"], star.before(key, 1).get(f"total_{each}")) for each in TOTALS
        }
    return star


# --- what each view should hold ---


def daily_summary(star: Star) -> Iterator[Row]:
    for row in star.reports.values():
        new = {f"new_{each}": row[f"total_{each}_change_from_prior_day"] for each in TOTALS}
        kept = (*PLACE, "report_date", "states_reporting", "data_quality_grade", "cases_id", "known_from")
        yield {name: row[name] for name in (*kept, *LEVELS, *(f"total_{each}" for each in TOTALS))} | new


def new_per_day(star: Star) -> Iterator[Row]:
    for row in star.reports.values():
        new = {each: row[f"new_{each}"] for each in TOTALS}
        yield (
            {name: row[name] for name in (*PLACE, "report_date")}
            | {f"new_{each}": value for each, value in new.items()}
            | {f"{each}_fell": None if value is None else value < 0 for each, value in new.items()}
        )


def rolling_7d(star: Star) -> Iterator[Row]:
    for key in star.reports:
        yield rolling(star, key)


def rolling(star: Star, key: Key) -> Row:
    row = star.reports[key]
    found = {name: row[name] for name in (*PLACE, "report_date", *LEVELS)}
    for name in (*(f"new_{each}" for each in TOTALS), *LEVELS):
        week = star.week(key, name)
        found[name] = row[name]
        found[f"{name}_7d_mean"] = None if week is None else rounded(week, 7)
        found[f"{name}_7d_mean_per_100k"] = per_100k(week, row, days=7)
    return found


def weekly(star: Star) -> Iterator[Row]:
    weeks: dict[tuple[str, str, int, int, date], list[date]] = defaultdict(list)
    for code, day in star.reports:
        iso = day.isocalendar()
        weeks[code, "iso", iso.year, iso.week, day - (day.isoweekday() - 1) * DAY].append(day)
        weeks[code, "mmwr", *mmwr(day), day - day.isoweekday() % 7 * DAY].append(day)
    for (code, kind, year, number, first), days in weeks.items():
        last = star.reports[code, max(days)]
        found = {name: last[name] for name in PLACE} | {"week_type": kind, "week_year": year, "week_number": number}
        found |= {"first_day": first, "last_day": first + 6 * DAY, "days_reported": len(days)}
        found["last_report_date"] = max(days)
        for each in TOTALS:
            known = [new for day in days if (new := star.reports[code, day][f"new_{each}"]) is not None]
            found[f"new_{each}"] = sum(known) if len(known) == 7 else None
            found[f"new_{each}_per_100k"] = per_100k(found[f"new_{each}"], last)
        yield found | {f"last_{name}": last[name] for name in (*LEVELS, *(f"total_{each}" for each in TOTALS))}


def latest(star: Star) -> Iterator[Row]:
    newest = star.newest()
    for key in newest.items():
        row, average = star.reports[key], rolling(star, key)
        kept = (*PLACE, "report_date", *LEVELS, "data_quality_grade", "cases_id", "known_from")
        found = {name: row[name] for name in (*kept, *(f"total_{each}" for each in TOTALS))}
        for name in (*TOTALS, *(f"{each}_7d_mean" for each in TOTALS)):
            found[f"new_{name}"] = average[f"new_{name}"]
        for name in ("cases", "deaths"):
            found[f"total_{name}_per_100k"] = per_100k(row[f"total_{name}"], row)
            found[f"new_{name}_7d_mean_per_100k"] = average[f"new_{name}_7d_mean_per_100k"]
        found["currently_hospitalized_per_100k"] = per_100k(row["currently_hospitalized"], row)
        found["case_fatality_percent"] = percent(row["total_deaths"], row["total_cases"], 3)
        found["days_behind"] = (max(newest.values()) - row["report_date"]).days
        yield found


RANKED = {
    "total_cases": "total_cases_per_100k",
    "new_cases": "new_cases_7d_mean_per_100k",
    "total_deaths": "total_deaths_per_100k",
    "new_deaths": "new_deaths_7d_mean_per_100k",
    "currently_hospitalized": "currently_hospitalized_per_100k",
    "case_fatality": "case_fatality_percent",
}


def state_ranking(star: Star) -> Iterator[Row]:
    states = [row for row in latest(star) if row["location_code"] != "US"]
    for row in states:
        kept = ("location_code", "name", "location_type", "report_date", "days_behind", *RANKED.values())
        found = {name: row[name] for name in kept}
        for rank, rate in RANKED.items():
            higher = sum(
                other[rate] is not None and other[rate] > row[rate] for other in states if row[rate] is not None
            )
            found[f"{rank}_rank"] = None if row[rate] is None else higher + 1
        yield found


def positivity(star: Star) -> Iterator[Row]:
    for (code, day), values in star.details.items():
        report = star.reports[code, day]
        found = {name: report[name] for name in ("location_code", "name", "location_type", "report_date")}
        week_before = star.details.get((code, day - 7 * DAY), {})
        for kind in ("_".join(kind) for kind in KINDS):
            for result in ("positive", "total"):
                name = f"{kind}_{result}"
                found[name] = values.get(name)
                found[f"{name}_7d"] = minus(values.get(name), week_before.get(name))
            found[f"{kind}_positivity_percent"] = percent(found[f"{kind}_positive"], found[f"{kind}_total"], 2)
            part, whole = found[f"{kind}_positive_7d"], found[f"{kind}_total_7d"]
            sound = part is not None and part >= 0 and whole is not None and whole > 0
            found[f"{kind}_positivity_percent_7d"] = percent(part, whole, 2) if sound else None
        yield found


def data_quality(star: Star) -> Iterator[Row]:
    for key, row in star.reports.items():
        for finding, measure, value, compared_with in (*changes(star, key, row), *sums(star, key, row), *grades(row)):
            yield {name: row[name] for name in ("location_code", "name", "location_type")} | {
                "report_date": key[1], "finding": finding, "measure": measure, "value": value,
                "compared_with": compared_with, "data_quality_grade": row["data_quality_grade"],
            }  # fmt: skip
    for code, last in star.newest().items():
        first = min(day for other, day in star.reports if other == code)
        row = star.reports[code, last]
        for day in (first + n * DAY for n in range((last - first).days)):
            if (code, day) not in star.reports:
                yield {name: row[name] for name in ("location_code", "name", "location_type")} | {
                    "report_date": day, "finding": "missing days", "measure": "report_date", "value": None,
                    "compared_with": None, "data_quality_grade": None,
                }  # fmt: skip


Doubts = Iterator[tuple[str, str, Any, Any]]


def changes(star: Star, key: Key, row: Row) -> Doubts:
    """What is doubtful beside the days before."""
    for each in TOTALS:
        total, new = row[f"total_{each}"], row[f"new_{each}"]
        if new is not None and new < 0:
            yield f"falling total of {each}", f"total_{each}", total, total - new
    for measure in (*(f"total_{each}" for each in TOTALS), *LEVELS):
        last = star.before(key, 1).get(measure)
        if row[measure] is None and last is not None:
            yield "figures that went missing", measure, None, last
    yield from jumps(star, key, row)


def jumps(star: Star, key: Key, row: Row) -> Doubts:
    """What is doubtful beside the week before."""
    cases, deaths = (
        [new for n in range(1, 8) if (new := star.before(key, n).get(f"new_{each}")) is not None]
        for each in ("cases", "deaths")
    )
    new = row["new_cases"]
    if cases and new is not None and new >= 1000 and new * len(cases) > 5 * sum(cases):
        yield "jumps of new cases", "new_cases", new, rounded(sum(cases), len(cases))
    if cases and new == 0 and sum(cases) >= 1000 * len(cases):
        yield "days without new cases", "new_cases", 0, rounded(sum(cases), len(cases))
    if deaths and (row["new_deaths"] or 0) >= 100 and row["new_deaths"] > 5 * median(deaths):
        yield "jumps of new deaths", "new_deaths", row["new_deaths"], Decimal(median(deaths))


def sums(star: Star, key: Key, row: Row) -> Doubts:
    """What is doubtful beside other figures of the day."""
    hospital, icu, ventilator = LEVELS
    for finding, part, whole in (
        ("more in intensive care than in hospital", icu, hospital),
        ("more on ventilators than in intensive care", ventilator, icu),
    ):
        if None not in (row[part], row[whole]) and row[part] > row[whole]:
            yield finding, part, row[part], row[whole]
    for each in ("cases", "deaths"):
        parts = (row[f"confirmed_{each}"], row[f"probable_{each}"], row[f"total_{each}"])
        if None not in parts and parts[0] + parts[1] != parts[2]:
            yield f"{each} that do not add up", f"total_{each}", parts[2], parts[0] + parts[1]
    for measure in (*(f"total_{each}" for each in TOTALS), hospital) if key[0] == "US" else ():
        of_states = [values[measure] for other, values in star.reports.items() if other[1] == key[1] and other != key]
        known = [value for value in of_states if value is not None]
        if known and row[measure] not in (None, sum(known)):
            yield "national figures that are not the sum", measure, row[measure], sum(known)


def grades(row: Row) -> Doubts:
    """What is doubtful by the source's own grade."""
    grade = row["data_quality_grade"]
    if grade in ("D", "F"):
        yield "poor grades", "data_quality_grade", None, None
    if grade not in (None, "A+", "A", "B", "C", "D", "F"):
        yield "grades that are none", "data_quality_grade", None, None


def revision_history(star: Star) -> Iterator[Row]:
    kinds = {row["test_id"]: row for row in dicts(star.conn, "select * from public.test_dimension")}
    codes = {
        row["location_id"]: row["location_code"]
        for row in dicts(star.conn, "select * from public.location_dimension")
    }
    for fact in TABLES:
        if fact == REPORT_TABLE:
            continue
        old_rows = dicts(star.conn, f"select * from history.{fact}_revision")
        versions = {
            (row["location_id"], row["report_date"], row.get("test_id"), row["known_from"]): row
            for row in (*old_rows, *dicts(star.conn, f"select * from public.{fact}"))
        }
        for old in old_rows:
            key = (old["location_id"], old["report_date"], old.get("test_id"))
            withdrawn = old["change"] == "withdrawn"
            new = {} if withdrawn else versions[*key, old["known_to"]]
            stamps = ("location_id", "report_date", "cases_id", "test_id", "known_from", "known_to", "change",
                      "changed_columns", "superseded_by_run_id")  # fmt: skip
            published = [name for name, value in old.items() if name not in stamps and value is not None]
            for measure in published if withdrawn else old["changed_columns"]:
                yield {
                    "location_code": codes[old["location_id"]], "report_date": old["report_date"], "fact": fact,
                    "test_type": kinds[key[2]]["test_type"] if key[2] else None,
                    "unit": kinds[key[2]]["unit"] if key[2] else None,
                    "result": kinds[key[2]]["result"] if key[2] else None,
                    "measure": measure, "old_value": old[measure], "new_value": new.get(measure),
                    "believed_from": old["known_from"], "known_after": None, "known_from": old["known_to"],
                    "lag_days_min": None,
                    "lag_days": (old["known_to"].date() - old["report_date"]).days,
                    "kind": old["change"], "run_id": old["superseded_by_run_id"],
                }  # fmt: skip


Series = dict[date, int | None]


def calculated_differences(star: Star) -> Iterator[Row]:
    places = {row["location_id"]: row for row in dicts(star.conn, "select * from public.location_dimension")}
    metrics = {metric.label: metric for metric in (*NATION.metrics, *STATE.metrics) if metric.calculated}
    for metric in metrics.values():
        where = f"where test_id = {metric.test_id}" if metric.test_id else ""
        by_place: dict[int, list[Row]] = defaultdict(list)
        for row in dicts(star.conn, f"select * from public.{metric.table} {where}"):
            by_place[row["location_id"]].append(row)
        for location_id, rows in by_place.items():
            series = {row["report_date"]: row[metric.measure] for row in rows}
            for row in rows:
                place = places[location_id]
                yield from differences(
                    metric, row, recalculated(series, row["report_date"], place["population"]), place
                )


def differences(metric: Metric, row: Row, own: Row, place: Row) -> Iterator[Row]:
    """The calculated figures of one row that are not our own."""
    test_type, unit, result = metric.path.split(".")[1:] if metric.test_id else (None, None, None)
    for name, finding in DIFFERENCES.items():
        column = f"{metric.measure}_{name}" if metric.test_id is None else name
        if name not in metric.calculated or row[column] == own[name]:
            continue
        known = None not in (row[column], own[name])
        if name == "seven_day_change_percent" and known and abs(row[column] - own[name]) <= Decimal("0.1"):
            continue
        yield {each: place[each] for each in ("location_code", "name", "location_type")} | {
            "report_date": row["report_date"], "finding": finding, "fact": metric.table, "measure": column,
            "test_type": test_type, "unit": unit, "result": result, "published_value": row[column], "recomputed_value": own[name],
        }  # fmt: skip


DIFFERENCES = {
    "population_percent": "population percents that differ",
    "change_from_prior_day": "changes that differ",
    "seven_day_change_percent": "weekly changes that differ",
    "seven_day_average": "averages that differ",
}


def recalculated(series: Series, day: date, population: int) -> Row:
    """What the source calculates of a figure, by its rules."""
    value, week_ago = series[day], series.get(day - 7 * DAY)
    known = [each for n in range(7) if (each := series.get(day - n * DAY)) is not None]
    change = minus(value, week_ago)
    return {
        "population_percent": None if value is None else nearest(value / population * 100, 4),
        "change_from_prior_day": minus(value, series.get(day - DAY)),
        "seven_day_change_percent": nearest(change / week_ago * 100, 1) if change is not None and week_ago else None,
        "seven_day_average": None if value is None else round(Fraction(sum(known), len(known))),
    }


def nearest(number: float, digits: int) -> Decimal:
    """A binary fraction, rounded as Postgres does after it made it a numeric."""
    return Decimal(f"{number:.15g}").quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


VIEWS = (
    daily_summary, new_per_day, rolling_7d, weekly, latest, state_ranking, positivity, data_quality,
    calculated_differences, revision_history,
)  # fmt: skip
# Empty in the shipped history.
EMPTY = (calculated_differences, revision_history)


# --- the stars they are compared on ---


@pytest.fixture(scope="session")
def snapshot(any_dsn: str) -> Iterator[Star]:
    """A part of the shipped history."""
    with database.connect(config.Database(any_dsn)) as conn:
        yield read(conn)


@pytest.fixture(scope="session")
def edges(server_dsn: str, schema_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Star]:
    """A gap, a fall, nulls, first days, a turn of the year with a week 53, a state that stopped, odd figures."""
    with copied(server_dsn, schema_template) as dsn, database.connect(config.Database(dsn)) as conn:
        load_edges(Warehouse(conn, tmp_path_factory.mktemp("edges")))
        yield read(conn)


def load_edges(warehouse: Warehouse) -> None:
    first = date(2020, 12, 17)
    california: dict[str, Row] = {
        str(first + n * DAY): {
            "cases__total": 1000 + 100 * n,
            "tests__pcr__total": 9000 + 700 * n,
            "outcomes__death__total": 10 + n,
            "outcomes__hospitalized__currently": 50 - n,
            "outcomes__hospitalized__in_icu__currently": 7,
            "tests__pcr__people__total": 5000 + 10 * n,
            "tests__pcr__people__positive": 500 + n,
        }
        for n in range(30)
    }
    del california["2020-12-26"]
    california["2021-01-02"]["cases__total"] = 900
    california["2021-01-04"]["outcomes__death__total"] = None
    california["2021-01-06"]["outcomes__hospitalized__currently"] = None
    california["2021-01-08"] |= {"outcomes__hospitalized__in_icu__on_ventilator__currently": None}
    california["2021-01-09"] |= {"cases__confirmed": 1, "cases__probable": 2, "data_quality_grade": "F"}
    california["2021-01-10"] |= {"tests__pcr__people__total": 1, "data_quality_grade": "#REF!"}
    california["2021-01-13"]["outcomes__death__total"] = 500
    # As the source would have calculated it, off by its last digit, and wrong.
    people = "tests__pcr__people__positive__calculated"
    california["2021-01-07"] |= {f"{people}__change_from_prior_day": 1, f"{people}__seven_day_change_percent": 1.3}
    california["2021-01-08"] |= {f"{people}__change_from_prior_day": 7, f"{people}__seven_day_change_percent": 9.9}
    for day in ("2021-01-14", "2021-01-15"):
        california[day] |= {"cases__total": 50_000, "outcomes__death__total": 800}
    warehouse.publish("states/ca/daily.json", state_history("CA", california))
    warehouse.publish("states/ny/daily.json", state_history("NY", {"2021-01-03": {"cases__total": 5}}))
    nation = [nation_day(day, cases__total=905)["data"] for day in ("2021-01-03", "2021-01-04")]
    warehouse.publish("us/daily.json", document(nation))
    assert warehouse.load(locations="us,ca,ny").exit_code == 0


def compare(star: Star, expected: Callable[[Star], Iterator[Row]]) -> int:
    """Compares a view with what is expected of it, row by row; returns how many rows there are."""
    found = Counter(frozenset(row.items()) for row in dicts(star.conn, f"select * from mart.{expected.__name__}"))
    wanted = Counter(frozenset(row.items()) for row in expected(star))
    assert list((found - wanted).items())[:3] == list((wanted - found).items())[:3] == []
    return found.total()


@pytest.mark.parametrize("expected", VIEWS)
def test_a_view_of_the_history_is_what_python_computes(snapshot: Star, expected: Any) -> None:
    assert (compare(snapshot, expected) > 0) == (expected not in EMPTY)


@pytest.mark.parametrize("expected", VIEWS)
def test_a_view_of_odd_figures_is_what_python_computes(edges: Star, expected: Any) -> None:
    assert (compare(edges, expected) > 0) == (expected is not revision_history)


def test_the_history_of_revisions_is_what_python_computes(conn: Connection, tmp_path: Path) -> None:
    revise(Warehouse(conn, tmp_path))
    assert compare(read(conn), revision_history) > 10


COUNTS = (
    "requested",
    "loaded",
    "unchanged",
    "not_modified",
    "not_published",
    "stale",
    "skipped",
    "failed",
    "rejected",
)


def test_the_history_of_runs_has_what_each_summary_says_and_what_was_open_then(
    conn: Connection, tmp_path: Path
) -> None:
    warehouse = Warehouse(conn, tmp_path)
    totals: list[Any] = [10, "many", 20, 20]
    summaries = [warehouse.history({"2021-01-01": {"cases__total": total}}) for total in totals]
    runs = dicts(conn, "select * from mart.run_history order by run_id")
    known = dicts(conn, "select * from ops.run order by run_id")
    for run, row, summary in zip(runs, known, summaries, strict=True):
        shared = run.keys() & row.keys()
        assert len(shared) == 10
        assert {name: run[name] for name in shared} == {name: row[name] for name in shared}
        assert {name: run[f"documents_{name}"] for name in COUNTS} == summary.as_json()["documents"]
        assert run["revisions"] == summary.revisions
        lasted = (row["ended_at"] - row["started_at"]).total_seconds()
        assert float(run["seconds"]) == lasted
    assert [run["open_rejections"] for run in runs] == [0, 1, 0, 0]
    assert [run["open_drift"] for run in runs] == [0, 1, 0, 0]
    assert [(run["open_findings"], run["revisions"]) for run in runs] == [(0, 0), (0, 0), (0, 1), (0, 0)]


def test_a_run_that_lasts_has_its_seconds_so_far(conn: Connection, tmp_path: Path) -> None:
    Warehouse(conn, tmp_path).history({"2021-01-01": {}})
    execute(conn, "update ops.run set status = 'running', ended_at = null, exit_code = null, summary = null")
    (run,) = dicts(conn, "select * from mart.run_history")
    assert 0 < run["seconds"] < 600
    assert {run[f"documents_{name}"] for name in COUNTS} == {run["revisions"]} == {None}


# Compared in tests/integration/test_past.py.
OF_THE_PAST = ("vintage", "archive", "revision_summary")


def test_every_view_is_compared(conn: Connection) -> None:
    found = fetch_all(conn, "select table_name from information_schema.views where table_schema = 'mart'")
    assert {name for (name,) in found} == {view.__name__ for view in VIEWS} | {"run_history", *OF_THE_PAST}


def test_the_reader_may_select_from_every_view(conn: Connection) -> None:
    with conn.cursor() as cursor:
        cursor.execute("set role covid_reader")
    for view in VIEWS:
        assert fetch_all(conn, f"select * from mart.{view.__name__}") == []
