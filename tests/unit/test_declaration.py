from datetime import date

from etl.transform.declaration import (
    DETAIL_TABLE,
    NATION,
    STATE,
    TABLES,
    column_paths,
    days_in_words,
    processing_key,
    value_columns,
)


def test_states_publish_34_metrics_and_the_nation_6() -> None:
    assert (len(STATE.metrics), len(NATION.metrics)) == (34, 6)


def test_every_metric_feeds_a_column_of_its_own() -> None:
    for shape in (NATION, STATE):
        fed = [(m.table, m.test_id, column) for m in shape.metrics for column in m.columns]
        assert len(fed) == len(set(fed))


def test_the_nineteen_kinds_of_test_are_numbered_without_gaps() -> None:
    tests = {metric.path: metric.test_id for metric in STATE.metrics if metric.test_id}
    assert list(tests.values()) == list(range(1, 20))


def test_columns_are_named_after_the_measure_and_the_api_s_own_word() -> None:
    assert column_paths("death_fact", NATION) == {
        "total_deaths": "outcomes.death.total.value",
        "total_deaths_population_percent": "outcomes.death.total.calculated.population_percent",
        "total_deaths_change_from_prior_day": "outcomes.death.total.calculated.change_from_prior_day",
        "total_deaths_seven_day_change_percent": "outcomes.death.total.calculated.seven_day_change_percent",
        "total_deaths_seven_day_average": "outcomes.death.total.calculated.seven_day_average",
    }


def test_total_tests_come_from_another_path_for_the_nation_than_for_states() -> None:
    assert column_paths("testing_fact", NATION)["total_tests"] == "testing.total.value"
    assert column_paths("testing_fact", STATE)["total_tests"] == "tests.pcr.total.value"


def test_a_table_has_a_column_only_where_some_document_can_fill_it() -> None:
    assert "cumulative_hospitalized_seven_day_average" not in value_columns("hospitalization_fact")
    assert "total_cases_seven_day_average" not in value_columns("cases_fact")
    assert value_columns(DETAIL_TABLE)[0] == "value"


def test_the_shapes_feed_every_table() -> None:
    assert {metric.table for metric in STATE.metrics} | {"cases_dimension"} == set(TABLES)


def test_the_processing_key_is_stable_within_a_version() -> None:
    assert processing_key() == processing_key()
    assert len(processing_key()) == 64


def test_days_are_said_in_words() -> None:
    first, last = date(2020, 1, 1), date(2029, 12, 31)
    assert [days_in_words(first, last), days_in_words(first, first), days_in_words(first, date(2020, 1, 2))] == [
        "all days", "2020-01-01", "2020-01-01 to 2020-01-02",
    ]  # fmt: skip
