"""A tour through what can happen to the source: after each step the exit code, the tables, status, drift, the alert.

The API and the receiver of the alerts are real HTTP servers, the database is a Postgres.
"""

from copy import deepcopy
from typing import Any

import pytest

from etl.transform.declaration import NATION, STATE
from tests.cli import Cli
from tests.conftest import Api
from tests.documents import Json, document, pluck, report, snapshot_day
from tests.receiver import Receiver
from tests.warehouse import rows

NATION_HISTORY, CALIFORNIA_HISTORY = "us/daily.json", "states/ca/daily.json"
DAYS = ("2021-03-05", "2021-03-06", "2021-03-07")
DEFINITIONS = snapshot_day(NATION_HISTORY, "2021-03-07")["meta"]["field_definitions"]

RENAMED = [
    ("nation", "path renamed", "data.cases", "data.infections", "breaking", "open"),
    ("state", "path renamed", "data.cases", "data.infections", "breaking", "open"),
]


class Tour:
    """The source as it is at a point of the tour, and what the program makes of it."""

    def __init__(self, api: Api, cli: Cli, receiver: Receiver) -> None:
        self.api = api
        self.cli = cli
        self.receiver = receiver
        self.build = 0
        self.nation = [report(NATION, day, cases__total=100 + n, outcomes__death__total=10 + n, states=56)
                       for n, day in enumerate(DAYS)][::-1]  # fmt: skip
        self.california = [report(STATE, day, "CA", cases__total=50 + n, outcomes__recovered=5 + n, tests__pcr__total=n)
                           for n, day in enumerate(DAYS)][::-1]  # fmt: skip
        self.definitions = deepcopy(DEFINITIONS)

    def publish(self) -> None:
        """Builds the site anew."""
        self.build += 1
        for address, reports in ((NATION_HISTORY, self.nation), (CALIFORNIA_HISTORY, self.california)):
            meta = {
                "build_time": f"2021-05-{self.build:02}T12:00:00Z",
                "field_definitions": deepcopy(self.definitions),
            }
            self.api.answers[address] = document(deepcopy(reports), **meta)

    def run(self, *arguments: str) -> Json:
        """A command's JSON, with its exit code as `returncode`."""
        return self.cli.json(*arguments, **self.receiver.environ)

    def load(self) -> Json:
        return self.run("load", "--source", self.api.url, "--locations", "us,ca")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return rows(self.cli.dsn, query)

    def totals(self, column: str = "total_cases", table: str = "cases_fact") -> dict[int, list[int | None]]:
        """A column by location, oldest day first."""
        found: dict[int, list[int | None]] = {}
        for location, value in self.rows(f"select location_id, {column} from {table} order by 1, report_date"):
            found.setdefault(location, []).append(value)
        return found

    def drift(self) -> list[tuple[Any, ...]]:
        """Every change seen, oldest first."""
        found = self.run("drift")["drift"]
        names = ("endpoint_kind", "change", "path", "after", "severity", "status")
        return [tuple(each[name] for name in names) for each in sorted(found, key=lambda each: each["drift_id"])]

    def waiting(self) -> tuple[list[str], list[str], list[str]]:
        """What `status` says is open: drift, rejected documents, findings."""
        found = self.run("status")
        return (
            [f"{each['endpoint_kind']} {each['change']} {each['path']}" for each in found["open_drift"]],
            [each["address"] for each in found["rejected"]],
            [f"{each['location']} {each['check']} {each['measure']}" for each in found["findings"]],
        )


@pytest.fixture
def tour(api: Api, cli: Cli, receiver: Receiver) -> Tour:
    return Tour(api, cli, receiver)


def rename_cases(tour: Tour, old: str, new: str) -> None:
    """Publishes a part of every report under another name, with the old one among the prior names."""
    for row in tour.nation + tour.california:
        row[new] = row.pop(old)
    for definition in tour.definitions:
        if definition.get("field") == f"{old}.confirmed":
            definition["field"] = f"{new}.confirmed"
            definition["prior_names"].append(f"{old}.confirmed")


def a_good_day(tour: Tour) -> None:
    """A good day."""
    tour.publish()
    done = tour.load()
    assert (done["returncode"], done["documents"]["loaded"], done["drift"], done["findings"]) == (0, 2, [], [])
    assert tour.totals() == {0: [100, 101, 102], 6: [50, 51, 52]}
    assert tour.waiting() == ([], [], [])
    assert (tour.drift(), tour.receiver.taken()) == ([], None)
    assert tour.receiver.pings == ["/start", ""]


def cases_are_renamed(tour: Tour) -> None:
    """The API renames `cases` to `infections`, and says so: nothing that is known is lost."""
    rename_cases(tour, "cases", "infections")
    tour.nation[0]["infections"]["total"]["value"] = 999
    tour.publish()
    done = tour.load()
    assert (done["returncode"], done["status"], done["documents"]["rejected"]) == (5, "failed", 2)
    reason = "data.cases: is missing (2021-03-07, 2021-03-06, 2021-03-05); data.cases is data.infections now"
    assert {each["reason"] for each in done["rejected"]} == {reason}
    assert tour.totals() == {0: [100, 101, 102], 6: [50, 51, 52]}
    assert tour.drift() == RENAMED
    assert tour.waiting() == (
        ["nation path renamed data.cases", "state path renamed data.cases"],
        [NATION_HISTORY, CALIFORNIA_HISTORY],
        [],
    )
    alert = tour.receiver.taken()
    assert alert == (
        "covid-tracking-etl: trouble (exit code 5, run 2)\n"
        "rejected: CA history, US history: path renamed: data.cases, now data.infections\n"
        "what to do: to take the change as it is: main.py drift --accept 1; main.py drift --accept 2; "
        "main.py replay --rejected"
    )
    # People were told, so that the heartbeat is no second alarm.
    assert tour.receiver.pings[-2:] == ["/start", ""]


def the_same_again(tour: Tour) -> None:
    """The same again is no news, but still no success."""
    again = tour.load()
    assert (again["returncode"], again["drift"], tour.receiver.taken()) == (5, [], None)
    assert tour.drift() == RENAMED
    assert len(tour.waiting()[1]) == 2


def the_new_name_is_accepted(tour: Tour) -> None:
    """Somebody accepts the new name; what was rejected loads."""
    for number in (1, 2):
        accepted = tour.run("drift", "--accept", str(number))
        assert "infections is read as cases from now on" in accepted["done"]
    done = tour.run("replay", "--rejected")
    assert (done["returncode"], done["documents"]["loaded"], done["rows"]["cases_fact"]["updated"]) == (0, 2, 1)
    assert tour.totals() == {0: [100, 101, 999], 6: [50, 51, 52]}
    # That its definitions are renamed, too, is no news to whoever has just accepted it.
    assert tour.receiver.taken() is None
    # The definitions of the documents are known only now that they are loaded.
    assert [each[1:3] for each in tour.drift()[2:]] == [("definition renamed", "infections.confirmed")] * 2
    assert tour.waiting()[1:] == ([], [])
    assert tour.rows(
        "select endpoint_kind, path, feeds_column, is_current from public.field_definitions_dimension"
        " where name = 'Confirmed Cases' order by 1, 2"
    ) == [
        ("nation", "cases.confirmed", None, False),
        ("nation", "infections.confirmed", None, True),
        ("state", "cases.confirmed", "cases_fact.confirmed_cases", False),
        ("state", "infections.confirmed", "cases_fact.confirmed_cases", True),
    ]
    done = tour.load()
    assert (done["returncode"], done["documents"]["unchanged"], done["drift"]) == (0, 2, [])
    assert (tour.receiver.taken() or "").startswith(
        "covid-tracking-etl: recovered\nover: rejected: CA history, US history"
    )


def a_metric_is_new(tour: Tour) -> None:
    """A new metric appears: it loads, and is told once."""
    for row in tour.california:
        row["outcomes"]["reinfected"] = {"value": 3}
    tour.california[0]["infections"]["total"]["value"] = 53
    tour.publish()
    done = tour.load()
    assert (done["returncode"], done["documents"]["loaded"]) == (0, 1)
    added = ("state", "path added", "data.outcomes.reinfected", "object", "notice", "open")
    assert tour.drift()[4:] == [added]
    assert tour.receiver.taken() == (
        "covid-tracking-etl: news of the source\n"
        "drift 5 (notice, state CA): path added: data.outcomes.reinfected, now object"
    )
    assert tour.totals()[6] == [50, 51, 53]
    tour.publish()
    assert (tour.load()["returncode"], tour.drift()[4:], tour.receiver.taken()) == (0, [added], None)


def a_number_becomes_text(tour: Tour) -> None:
    """A number becomes a string."""
    tour.nation[1]["outcomes"]["death"]["total"]["value"] = "11"
    tour.publish()
    done = tour.load()
    assert (done["returncode"], done["status"], done["documents"]["unchanged"]) == (5, "partial", 1)
    assert done["rejected"] == [
        {
            "location": "US", "date": None, "skip": "main.py skip us 2021-03-06 --reason TEXT",
            "reason": "data.outcomes.death.total.value: expected integer or null, got text (2021-03-06)",
        }
    ]  # fmt: skip
    changed = ("nation", "type changed", "data.outcomes.death.total.value", "text", "breaking", "open")
    assert tour.drift()[5:] == [changed]
    assert f"rejected: US history: {done['rejected'][0]['reason']}" in (tour.receiver.taken() or "")
    assert tour.totals("total_deaths", "death_fact")[0] == [10, 11, 12]


def states_become_224(tour: Tour) -> None:
    """`states` becomes 224: no drift, but nothing that can be."""
    tour.nation[1]["outcomes"]["death"]["total"]["value"] = 11
    tour.nation[0]["states"] = 224
    tour.publish()
    done = tour.load()
    reason = "data.states of 2021-03-07 is 224: there are 56 states and territories"
    assert (done["returncode"], [each["reason"] for each in done["rejected"]]) == (5, [reason])
    assert reason in (tour.receiver.taken() or "")
    assert tour.rows("select states_reporting from public.cases_dimension where location_id = 0") == [(56,)] * 3
    # Passed over, the rest of the document loads, and what is known of the day stays.
    tour.nation[1]["infections"]["total"]["value"] = 105
    tour.publish()
    skipped = tour.run("skip", "us", "2021-03-07", "--reason", "224 states")
    assert skipped["tombstones"][0]["location"] == "US"
    done = tour.load()
    assert (done["returncode"], done["documents"]["loaded"]) == (0, 1)
    assert tour.totals()[0] == [100, 105, 999]
    assert (tour.receiver.taken() or "").startswith("covid-tracking-etl: recovered\nover: rejected: US history")
    assert tour.waiting()[1] == []
    tour.run("skip", "--undo", str(skipped["tombstones"][0]["tombstone_id"]))


def a_field_is_deprecated(tour: Tour) -> None:
    """A field is deprecated;"""
    tour.nation[0]["states"] = 56
    recovered = {
        "name": "Recovered",
        "field": "outcomes.recovered",
        "deprecated": False,
        "prior_names": ["recovered"],
    }
    tour.definitions.append(recovered)
    tour.publish()
    assert tour.load()["returncode"] == 0
    tour.receiver.taken()
    recovered["deprecated"] = True
    tour.publish()
    done = tour.load()
    assert (done["returncode"], [each["change"] for each in done["drift"]]) == (0, ["definition deprecated"] * 2)
    assert tour.rows(
        "select deprecated, is_current from public.field_definitions_dimension where path = 'outcomes.recovered'"
        " and endpoint_kind = 'state' order by 1"
    ) == [(False, False), (True, True)]
    assert "definition deprecated: outcomes.recovered" in (tour.receiver.taken() or "")


def the_field_is_null_everywhere(tour: Tour) -> None:
    """then it is null everywhere: loaded, the values are kept in the history, and somebody is told."""
    for row in tour.california:
        row["outcomes"]["recovered"]["value"] = None
    tour.publish()
    done = tour.load()
    assert (done["returncode"], done["revisions"], done["drift"]) == (0, 3, [])
    assert tour.totals("recovered")[6] == [None, None, None]
    assert tour.rows("select recovered from history.cases_fact_revision where recovered is not null"
                     " and changed_columns = array['recovered'] order by report_date") == [(5,), (6,), (7,)]  # fmt: skip
    assert tour.waiting()[2] == ["CA values gone cases_fact.recovered"]
    finding = "finding: CA history: values gone, cases_fact.recovered: all 3 values were taken back"
    assert tour.receiver.taken() == f"covid-tracking-etl: news of the source\n{finding}"


def the_old_shape_returns(tour: Tour) -> None:
    """The old shape returns."""
    rename_cases(tour, "infections", "cases")
    for n, row in enumerate(reversed(tour.california)):
        row["outcomes"]["recovered"]["value"] = 5 + n
        pluck(row, "outcomes.reinfected")
    tour.publish()
    done = tour.load()
    assert (done["returncode"], done["documents"]["loaded"], done["revisions"]) == (0, 2, 3)
    assert tour.totals() == {0: [100, 105, 999], 6: [50, 51, 53]}
    assert tour.totals("recovered")[6] == [5, 6, 7]
    states = {(each[0], each[1], each[2]): each[5] for each in tour.drift()}
    assert states["nation", "path renamed", "data.cases"] == "accepted"
    assert states["state", "path added", "data.outcomes.reinfected"] == "over"
    assert states["nation", "type changed", "data.outcomes.death.total.value"] == "over"
    drift, rejected, findings = tour.waiting()
    assert (rejected, findings) == ([], [])
    assert not [each for each in drift if "definition" not in each]


def everything_is_replayed(tour: Tour) -> None:
    """All of it again from the stored bytes: the same tables, times included."""
    tables = ("cases_dimension", "cases_fact", "death_fact", "history.cases_fact_revision")
    before = [tour.rows(f"select * from {table} order by 1, 2, known_from") for table in tables]
    assert tour.run("replay")["returncode"] == 0
    assert [tour.rows(f"select * from {table} order by 1, 2, known_from") for table in tables] == before


def test_a_tour_through_what_can_happen_to_the_source(tour: Tour) -> None:
    for step in (
        a_good_day,
        cases_are_renamed,
        the_same_again,
        the_new_name_is_accepted,
        a_metric_is_new,
        a_number_becomes_text,
        states_become_224,
        a_field_is_deprecated,
        the_field_is_null_everywhere,
        the_old_shape_returns,
        everything_is_replayed,
    ):
        step(tour)
