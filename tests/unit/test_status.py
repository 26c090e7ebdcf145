from msgspec.structs import replace

from etl.show.status import Totals, staleness


def test_a_series_that_goes_on_is_watched_by_its_newest_day() -> None:
    totals = Totals("2026-01-09T12:00:00Z", 0.5, "2026-01-01", 9, 0, 0, 0, 0, 0, "")
    assert staleness(totals, 2) == "the newest report is of 2026-01-01, more than 2 days ago"
    assert staleness(totals, 9) is None
    assert staleness(replace(totals, newest_day="2021-03-07", newest_day_age=2000), 2) is None


def test_the_words_for_what_is_stale_do_not_change_with_the_hour() -> None:
    totals = Totals("2026-01-09T12:00:00Z", 3.0, "2026-01-01", 9, 0, 0, 0, 0, 0, "")
    later = replace(totals, days_since_success=3.2, newest_day_age=10)
    assert staleness(totals, 2) == staleness(later, 2)
    today, tomorrow = (replace(each, days_since_success=0.1) for each in (totals, later))
    assert staleness(today, 2) == staleness(tomorrow, 2)
