"""Conditional requests hide nothing: what is sent, and what must not be."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from etl.database.connection import Connection, fetch_all
from etl.load import rules
from etl.run.pipeline import LoadOptions, run
from etl.run.summary import Summary
from etl.transform import declaration
from etl.transform.declaration import STATE
from tests.conftest import Api
from tests.documents import Json, document, encode, report, state_history
from tests.integration.test_load import days
from tests.warehouse import counted

CALIFORNIA = "states/ca/daily.json"


class Subscriber:
    """A database that loads California from a server with validators."""

    def __init__(self, conn: Connection, api: Api) -> None:
        api.conditional = True
        self.conn, self.api = conn, api

    def publish(self, history: dict[str, Json], build_time: str = "2021-05-03T00:00:00Z") -> None:
        self.api.answers[CALIFORNIA] = state_history("CA", history, build_time)

    def load(self, **options: Any) -> Summary:
        return run(self.conn, LoadOptions(**{"source": self.api.url, "locations": "ca"} | options), {})


@pytest.fixture
def subscriber(conn: Connection, api: Api) -> Subscriber:
    made = Subscriber(conn, api)
    made.publish(days(5))
    return made


def test_a_document_that_is_not_modified_is_not_sent_again(subscriber: Subscriber) -> None:
    assert counted(subscriber.load()) == {"loaded": 1}
    assert counted(subscriber.load()) == {"not_modified": 1}
    assert subscriber.api.not_modified == [CALIFORNIA]
    assert fetch_all(subscriber.conn, "select count(*) from ops.document_load") == [(1,)]


def test_a_modified_document_is_loaded(subscriber: Subscriber) -> None:
    subscriber.load()
    subscriber.publish(days(6))
    assert counted(subscriber.load()) == {"loaded": 1}
    assert counted(subscriber.load()) == {"not_modified": 1}


def test_a_new_build_of_the_same_data_renews_the_validator(subscriber: Subscriber) -> None:
    subscriber.load()
    subscriber.publish(days(5), "2021-06-01T00:00:00Z")
    assert counted(subscriber.load()) == {"unchanged": 1}
    assert counted(subscriber.load()) == {"not_modified": 1}


def test_last_modified_serves_where_there_is_no_etag(subscriber: Subscriber) -> None:
    from werkzeug import Request, Response

    seen: list[str | None] = []

    def answer(request: Request) -> Response:
        seen.append(request.headers.get("If-Modified-Since"))
        if seen[-1]:
            return Response(status=304)
        body = encode(state_history("CA", days(2)))
        return Response(body, headers={"Last-Modified": "Mon, 08 Mar 2021 06:00:00 GMT"})

    subscriber.api.answers[CALIFORNIA] = answer
    assert counted(subscriber.load()) == {"loaded": 1}
    assert counted(subscriber.load()) == {"not_modified": 1}
    assert seen == [None, "Mon, 08 Mar 2021 06:00:00 GMT"]


def asked_in_full(subscriber: Subscriber, **options: Any) -> bool:
    """Whether the next load asks without validators."""
    before = len(subscriber.api.not_modified)
    summary = subscriber.load(**options)
    assert summary.requested == 1
    return len(subscriber.api.not_modified) == before


def test_a_filtered_load_is_followed_by_a_full_one(subscriber: Subscriber) -> None:
    subscriber.load(first_day=date(2021, 1, 2))
    assert asked_in_full(subscriber)
    assert fetch_all(subscriber.conn, "select count(*) from public.cases_fact") == [(5,)]


def test_a_rejected_document_is_asked_for_in_full(subscriber: Subscriber) -> None:
    subscriber.load()
    broken = state_history("CA", days(6))
    broken["data"][0]["cases"]["total"]["value"] = "x"
    subscriber.api.answers[CALIFORNIA] = broken
    assert counted(subscriber.load()) == {"rejected": 1}
    assert counted(subscriber.load()) == {"rejected": 1}
    assert subscriber.api.not_modified == []


def test_a_dry_run_leaves_no_validator(subscriber: Subscriber) -> None:
    subscriber.load(dry_run=True)
    assert asked_in_full(subscriber)


def test_force_asks_in_full(subscriber: Subscriber) -> None:
    subscriber.load()
    assert asked_in_full(subscriber, force=True)


def test_another_source_is_asked_in_full(subscriber: Subscriber, tmp_path: Path) -> None:
    (tmp_path / "states/ca").mkdir(parents=True)
    (tmp_path / CALIFORNIA).write_bytes(encode(subscriber.api.answers[CALIFORNIA]))
    subscriber.load(source=str(tmp_path))
    assert asked_in_full(subscriber)


def test_after_a_single_day_changed_something_the_history_is_asked_for_in_full(subscriber: Subscriber) -> None:
    subscriber.load()
    single = document(report(STATE, "2021-01-02", "CA", cases__total=999))
    subscriber.api.answers["states/ca/2021-01-02.json"] = single
    subscriber.load(day=date(2021, 1, 2))
    assert asked_in_full(subscriber)
    assert fetch_all(subscriber.conn, "select total_cases from public.cases_fact order by 1") == [
        (10,), (20,), (30,), (40,), (50,),
    ]  # fmt: skip


def test_under_other_rules_documents_are_asked_for_in_full(
    subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscriber.load()
    monkeypatch.setattr(rules, "processing_key", lambda: "other rules")
    assert asked_in_full(subscriber)
    assert len(declaration.processing_key()) == 64


def test_an_unasked_304_is_a_failure(subscriber: Subscriber) -> None:
    subscriber.api.answers[CALIFORNIA] = 304
    summary = subscriber.load()
    assert (counted(summary), summary.failed[0].reason) == ({"failed": 1}, "status 304")
