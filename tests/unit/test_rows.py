from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from etl.transform.contract import Expected, decode
from etl.transform.declaration import DETAIL_TABLE, NATION, REPORT_TABLE, STATE, Shape
from etl.transform.rows import columns, flatten
from tests.documents import Json, document, encode, plant, report

NUMBERS = {
    "value": st.integers(0, 2**63 - 1),
    "population_percent": st.floats(0, 1e6),
    "change_from_prior_day": st.integers(-(2**40), 2**40),
    "seven_day_change_percent": st.floats(-100, 1e6),
    "seven_day_average": st.integers(0, 2**63 - 1),
}


def flattened(shape: Shape, *reports: Json) -> dict[str, list[dict[str, Any]]]:
    """The rows by table, each as a mapping of its columns."""
    expected = Expected(shape, "US" if shape is NATION else "CA")
    found = decode(encode(document(list(reports))), expected)
    rows = flatten(found.reports, shape)
    return {
        table: [dict(zip(columns(table, shape), row, strict=True)) for row in table_rows]
        for table, table_rows in rows.items()
    }


def published(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The rows without their nulls."""
    return {
        table: [{name: value for name, value in row.items() if value is not None} for row in table_rows]
        for table, table_rows in rows.items()
    }


def test_a_national_report_becomes_one_row_of_each_fact() -> None:
    day = date(2021, 3, 7)
    rows = flattened(
        NATION,
        report(
            NATION, "2021-03-07", states=56, cases__total=10, testing__total=20,
            outcomes__hospitalized__in_icu__currently=30, outcomes__death__total=40,
            outcomes__death__total__calculated__seven_day_average=39,
        ),
    )  # fmt: skip
    assert published(rows) == {
        "cases_dimension": [{"report_date": day, "states_reporting": 56}],
        "cases_fact": [{"report_date": day, "total_cases": 10}],
        "testing_fact": [{"report_date": day, "total_tests": 20}],
        "hospitalization_fact": [{"report_date": day, "currently_in_icu": 30}],
        "death_fact": [{"report_date": day, "total_deaths": 40, "total_deaths_seven_day_average": 39}],
        "testing_detail_fact": [],
    }


def test_a_state_report_becomes_rows_of_tests_only_where_something_is_published() -> None:
    day = date(2021, 3, 7)
    rows = flattened(
        STATE,
        report(
            STATE, "2021-03-07", meta__data_quality_grade="#REF!", meta__tests__total_source="posNeg",
            tests__pcr__total=7, tests__pcr__specimens__positive=0,
            tests__antigen__people__negative__calculated__change_from_prior_day=-3,
        ),
    )  # fmt: skip
    assert published(rows) == {
        "cases_dimension": [{"report_date": day, "data_quality_grade": "#REF!", "total_tests_source": "posNeg"}],
        "cases_fact": [{"report_date": day}],
        "testing_fact": [{"report_date": day, "total_tests": 7}],
        "hospitalization_fact": [{"report_date": day}],
        "death_fact": [{"report_date": day}],
        "testing_detail_fact": [
            {"report_date": day, "test_id": 3, "value": 0},
            {"report_date": day, "test_id": 19, "change_from_prior_day": -3},
        ],
    }


@st.composite
def reports(draw: st.DrawFn, shape: Shape) -> tuple[Json, dict[tuple[str, int | None, str], Any]]:
    """A random report, and the cells that it should fill: (table, test, column) -> value."""
    record, cells = report(shape, "2021-03-07"), {}
    for metric in shape.metrics:
        for column, path in metric.columns.items():
            value = draw(st.none() | NUMBERS[path.rsplit(".", 1)[1]])
            plant(record, path, value)
            if value is not None:
                cells[metric.table, metric.test_id, column] = value
    return record, cells


@given(st.data())
def test_every_published_number_fills_its_cell_and_no_other(data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from([NATION, STATE]))
    record, expected = data.draw(reports(shape))
    found = {
        (table, row["test_id"] if table == DETAIL_TABLE else None, column): value
        for table, rows in published(flattened(shape, record)).items()
        if table != REPORT_TABLE
        for row in rows
        for column, value in row.items()
        if column not in ("report_date", "test_id")
    }
    assert found == expected
