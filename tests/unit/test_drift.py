import pytest

from etl.transform.drift import Change, compare_definitions, explain_gone
from etl.transform.records import FieldDefinition as Definition

CASES = Definition("Confirmed Cases", "cases.confirmed", prior_names=("positiveCasesViral",))
DISCHARGES = Definition("Hospital discharges")


def test_the_first_definitions_are_no_news() -> None:
    assert compare_definitions([], [CASES, DISCHARGES]) == []


def test_a_document_without_definitions_says_nothing_about_them() -> None:
    assert compare_definitions([CASES, DISCHARGES], []) == []


def test_the_same_definitions_in_another_order_are_no_news() -> None:
    assert compare_definitions([CASES, DISCHARGES], [DISCHARGES, CASES]) == []


@pytest.mark.parametrize(
    ("seen", "changes"),
    [
        ([CASES], [Change("definition", "definition removed", "Hospital discharges", "Hospital discharges")]),
        (
            [CASES, DISCHARGES, Definition("Reinfections", field="cases.again")],
            [Change("definition", "definition added", "cases.again", after="Reinfections")],
        ),
        (
            [Definition("Confirmed Cases", "cases.confirmed", True, ("positiveCasesViral",)), DISCHARGES],
            [Change("definition", "definition deprecated", "cases.confirmed")],
        ),
        (
            [Definition("Cases", "cases.confirmed", False, ("positiveCasesViral",)), DISCHARGES],
            [Change("definition", "definition retitled", "cases.confirmed", "Confirmed Cases", "Cases")],
        ),
        (
            [Definition("Confirmed Cases", "cases.confirmed", False, ("a", "b")), DISCHARGES],
            [Change("definition", "prior names changed", "cases.confirmed", "positiveCasesViral", "a, b")],
        ),
        (
            [Definition("Infections", "infections", False, ("positiveCasesViral", "cases.confirmed")), DISCHARGES],
            [
                Change("definition", "definition renamed", "infections", "cases.confirmed"),
                Change("definition", "definition retitled", "infections", "Confirmed Cases", "Infections"),
            ],
        ),
        # Without the old name among the prior names nobody says that the new field is the old one.
        (
            [Definition("Confirmed Cases", field="infections"), DISCHARGES],
            [
                Change("definition", "definition added", "infections", after="Confirmed Cases"),
                Change("definition", "definition removed", "cases.confirmed", "Confirmed Cases"),
            ],
        ),
    ],
)
def test_a_changed_definition_is_named_for_what_it_is(seen: list[Definition], changes: list[Change]) -> None:
    assert compare_definitions([CASES, DISCHARGES], seen) == changes


def test_a_definition_that_is_no_longer_deprecated_is_restored() -> None:
    old = Definition("Cases", "cases", True)
    assert compare_definitions([old], [Definition("Cases", field="cases")]) == [
        Change("definition", "definition restored", "cases")
    ]


PARTS = ["cases.total", "cases.confirmed"]


def renamed(path: str, published: str) -> Change:
    return Change("shape", "path renamed", f"data.{path}", f"data.{path}", f"data.{published}", breaking=True)


def gone(path: str) -> Change:
    return Change("shape", "path gone", f"data.{path}", breaking=True)


@pytest.mark.parametrize(
    ("added", "defined", "changes"),
    [
        (
            ["infections"],
            Definition("Infections", field="infections", prior_names=("cases",)),
            [renamed("cases", "infections")],
        ),
        # The definition of one part tells of the whole, by the ending that both share.
        (
            ["infections"],
            Definition(
                "Infections",
                field="infections.confirmed",
                prior_names=(
                    "positive",
                    "cases.confirmed",
                ),
            ),
            [renamed("cases", "infections")],
        ),
        # Or of that part only, where the endings differ.
        (
            ["infections"],
            Definition("Infections", field="infections.sure", prior_names=("cases.confirmed",)),
            [gone("cases.total"), renamed("cases.confirmed", "infections.sure")],
        ),
        # The whole of one name may be the ending of the other.
        (
            ["infections"],
            Definition("Infections", field="infections.cases", prior_names=("cases",)),
            [renamed("cases", "infections.cases")],
        ),
        # A name that the data does not have is no help,
        (["others"], Definition("Infections", field="infections", prior_names=("cases",)), [gone("cases")]),
        # nor is a definition of something else.
        (["infections"], Definition("Infections", field="infections", prior_names=("tests",)), [gone("cases")]),
        (["infections"], Definition("Infections", prior_names=("cases",)), [gone("cases")]),
    ],
)
def test_a_path_is_renamed_as_far_as_a_definition_says_so(
    added: list[str], defined: Definition, changes: list[Change]
) -> None:
    assert explain_gone("cases", PARTS, added, [DISCHARGES, defined]) == changes


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change("shape", "path added", "data.x", after="number"), "path added: data.x, now number"),
        (Change("shape", "type changed", "data.x", "number", "text"), "type changed: data.x, now text (was number)"),
        (renamed("cases", "infections"), "path renamed: data.cases, now data.infections"),
        (gone("cases"), "path gone: data.cases"),
        (Change("definition", "definition added", "x", after="X"), "definition added: x, titled X"),
        (Change("definition", "definition renamed", "y", "x"), "definition renamed: y (was x)"),
    ],
)
def test_a_change_reads_as_a_sentence(change: Change, text: str) -> None:
    assert str(change) == text
