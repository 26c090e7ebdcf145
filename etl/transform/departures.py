"""The differences between a document that does not fit and its record type; only such a document is read untyped.

A new path loads, and is drift. Every other difference breaks the document; the message names them together.
"""

import re
from collections.abc import Collection, Iterator
from datetime import date
from functools import cache
from itertools import islice
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from etl.errors import ContractError
from etl.transform import drift
from etl.transform.declaration import Shape, paths_below
from etl.transform.drift import Alias, Change
from etl.transform.records import (
    LONGEST_NAME,
    MOST_NAMES,
    Definitions,
    FieldDefinition,
    document_type,
    plant,
    report_tree,
)

# A message names at most so many differences, and at most so many days of each, and counts the rest.
NAMED_DIFFERENCES, NAMED_DAYS = 5, 3
# A document that differs in more places is damaged throughout.
MOST_PLACES = 100_000
# msgspec's words -> JSON's.
JSON_WORDS = {"int": "integer", "float": "number", "str": "text", "bool": "boolean", "|": "or", "nul": "NUL"}
# msgspec's words -> the types that drift knows: an integer and a fraction are both numbers.
DRIFT_TYPES = {"int": "number", "float": "number", "str": "text", "date": "text", "datetime": "text"}
# Python's types of JSON -> the types that drift knows.
JSON_TYPES = {
    type(None): "null", bool: "boolean", int: "number", float: "number", str: "text", list: "array", dict: "object"
}  # fmt: skip

DEFINITIONS = "meta.field_definitions"


class DepartureError(ContractError):
    """A document departs from its shape; `changes` is the drift that it shows."""

    def __init__(self, text: str, changes: tuple[Change, ...], *, days: tuple[str, ...]) -> None:
        super().__init__(text, days=days)
        self.changes = changes


class Difference(Struct, frozen=True):
    """A place where a document departs from its type.

    A difference without a `problem` does not keep the document from loading. One without a `change` is a mere value,
    and no drift.
    """

    path: str
    problem: str = ""
    change: Change | None = None


# Differences, each with the day of the report where it is in a history.
_Differences = Iterator[tuple[Difference, str | None]]


def convert(untyped: Any, shape: Shape, *, single: bool) -> tuple[Any, tuple[Change, ...]]:
    """The records of an untyped document, and its changes; raises `DepartureError` if it cannot load.

    What is new in the document is taken out of it, so that the rest fits.
    """
    kind = document_type(shape, single=single)
    definitions, unreadable = _read_definitions(untyped)
    found: dict[Difference, list[str]] = {}
    for place, (difference, day) in enumerate(differences(untyped, kind)):
        found.setdefault(difference, []).extend([day] if day else [])
        if place == MOST_PLACES:
            raise ContractError(f"{_in_words(found, ())}; not all are counted")
    shown = [difference.change for difference in found if difference.change]
    changes = (*_explained(shown, shape, definitions), *unreadable)
    if breaking := {difference: days for difference, days in found.items() if difference.problem}:
        days = sorted({day for some in breaking.values() for day in some})
        is_everywhere = len(days) == len(_reports(untyped))
        raise DepartureError(_in_words(breaking, changes), changes, days=() if is_everywhere else tuple(days))
    return msgspec.convert(untyped, kind), changes


def _in_words(breaking: dict[Difference, list[str]], changes: tuple[Change, ...]) -> str:
    """The first differences by name, and the new name of each path that was renamed."""
    said = []
    for difference, days in islice(breaking.items(), NAMED_DIFFERENCES):
        some = ", ".join(days) if len(days) <= NAMED_DAYS else f"{len(days)} times"
        said.append(f"{difference.path}: {difference.problem}" + (f" ({some})" if some else ""))
    if len(breaking) > NAMED_DIFFERENCES:
        said.append(f"and {len(breaking) - NAMED_DIFFERENCES} more")
    said += [f"{change.path} is {change.after} now" for change in changes if change.change == drift.PATH_RENAMED]
    return "; ".join(said)


def _explained(changes: list[Change], shape: Shape, definitions: Collection[FieldDefinition]) -> list[Change]:
    """The changes, the new paths last; a path that is gone under one name and new under another is one change.

    A single change stands for all new paths if there are more than `MOST_NAMES`.
    """
    new = [change for change in changes if change.change == drift.PATH_ADDED]
    if len(new) > MOST_NAMES:
        new = [Change("shape", drift.PATH_ADDED, "document", after=f"more than {MOST_NAMES} new paths")]
    added = [change.path.removeprefix(drift.DATA) for change in new]
    explained: list[Change] = []
    for change in changes:
        gone = change.path.removeprefix(drift.DATA)
        if change.change == drift.PATH_GONE and gone != change.path:
            explained += drift.explain_gone(gone, paths_below(shape, gone), added, definitions)
        elif change.change != drift.PATH_ADDED:
            explained.append(change)
    renamed = {change.after for change in explained if change.change == drift.PATH_RENAMED}
    return explained + [change for change in new if change.path not in renamed]


def _read_definitions(untyped: Any) -> tuple[list[FieldDefinition], list[Change]]:
    """The field definitions of a document, and a change where they cannot be read.

    Unreadable definitions are taken out of the document, which loads without them.
    """
    published = find(untyped, DEFINITIONS)
    try:
        return ([] if published is UNSET else msgspec.convert(published, Definitions)), []
    except msgspec.ValidationError:
        plant(untyped, DEFINITIONS, [])
        return [], [Change("shape", drift.UNREADABLE, DEFINITIONS)]


# --- the rules that the database adds ---


def adapt(untyped: Any, shape: Shape, aliases: Collection[Alias], skipped_days: Collection[date]) -> None:
    """Takes skipped reports out of an untyped document, and moves published parts to the paths that aliases name."""
    if isinstance(find(untyped, "data"), list):
        skipped = set(map(str, skipped_days))
        untyped["data"] = [report for report in untyped["data"] if _day(report) not in skipped]
    for report in _reports(untyped):
        for alias in aliases:
            if isinstance(report, dict) and find(report, alias.path) is UNSET:
                _apply(alias, report, shape)


def _reports(untyped: Any) -> list[Any]:
    """The reports of an untyped document; anything else in the place of their list counts as one report."""
    data = untyped.get("data") if isinstance(untyped, dict) else None
    return data if isinstance(data, list) else [data]


def _apply(alias: Alias, report: dict[str, Any], shape: Shape) -> None:
    """Puts the published part that an alias names, or nulls, at the path that a report lacks."""
    if alias.published and find(report, alias.published) is not UNSET:
        plant(report, alias.path, _pluck(report, alias.published))
    elif alias.published is None:
        plant(report, alias.path, _nulls(find(report_tree(shape), alias.path)))


def find(tree: Any, path: str) -> Any:
    """The part of nested dicts at a dotted path; UNSET if it is not there."""
    for name in path.split("."):
        if not isinstance(tree, dict) or name not in tree:
            return UNSET
        tree = tree[name]
    return tree


def _pluck(tree: dict[str, Any], path: str) -> Any:
    """Takes a part out of nested dicts at a dotted path, and the parents that are empty without it."""
    parent, _, rest = path.partition(".")
    if not rest:
        return tree.pop(parent)
    part = _pluck(tree[parent], rest)
    if not tree[parent]:
        del tree[parent]
    return part


def _nulls(tree: Any) -> Any:
    """A part of a report with a null at each leaf."""
    return {name: _nulls(part) for name, part in tree.items()} if isinstance(tree, dict) else None


# --- differences ---


def differences(value: Any, expected: Any, path: str = "", day: str | None = None) -> _Differences:
    """Every place where untyped JSON departs from a type; new paths are taken out of the JSON."""
    said = _misfit(value, expected)
    if not said:
        # A value that fits is not looked into, which would take a hundred times as long.
        return
    if getattr(expected, "__origin__", None) is list and isinstance(value, list):
        for item in value:
            yield from differences(item, expected.__args__[0], path, _day(item))
    elif isinstance(expected, type) and issubclass(expected, Struct) and isinstance(value, dict):
        yield from _struct_differences(value, expected, path, day)
    else:
        yield _leaf_difference(value, said, path or "document"), day


def _misfit(value: Any, expected: Any) -> str:
    """The first reason why a value is not of a type, as msgspec says it; empty if it is."""
    try:
        msgspec.convert(value, expected)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


_fields = cache(msgspec.structs.fields)


def _struct_differences(value: dict[str, Any], expected: type[Struct], path: str, day: str | None) -> _Differences:
    prefix = f"{path}." if path else ""
    for field in _fields(expected):
        place = prefix + field.encode_name
        if field.encode_name in value:
            yield from differences(value[field.encode_name], field.type, place, day)
        elif field.required:
            yield Difference(place, "is missing", Change("shape", drift.PATH_GONE, place, breaking=True)), day
    for name in sorted(value.keys() - set(expected.__struct_encode_fields__)):
        new = Change("shape", drift.PATH_ADDED, prefix + name, after=JSON_TYPES[type(value.pop(name))])
        # The database cannot hold a name with a NUL, and its index no long one.
        if "\0" in name:
            yield Difference(f"{prefix}{name:.40}", "has a NUL in its name"), day
        elif len(name) > LONGEST_NAME:
            yield Difference(f"{prefix}{name:.40}", f"has more than {LONGEST_NAME} characters in its name"), day
        else:
            yield Difference(prefix + name, change=new), day


def _leaf_difference(value: Any, said: str, path: str) -> Difference:
    """The difference of a value that is no object or list of its type, with msgspec's reason in our words."""
    # The one pattern in the types is that of text.
    said = re.sub(" matching regex .*", " without a NUL", said)
    types = re.match(r"Expected `(\w+).*`, got ", said)
    before, after = DRIFT_TYPES.get(types[1], types[1]) if types else None, JSON_TYPES[type(value)]
    # A null has no type, and an impossible value may have the right one.
    is_drift = types and value is not None and before != after
    change = Change("shape", drift.TYPE_CHANGED, path, before, after, breaking=True) if is_drift else None
    problem = re.sub(r"[a-z|]+", lambda word: JSON_WORDS.get(word[0], word[0]), said.lower().replace("`", ""))
    return Difference(path, problem + (f" {value!r:.40}" if said.startswith("Invalid") else ""), change)


def _day(report: Any) -> str | None:
    """The day of an untyped report; None where it has no date of the calendar."""
    try:
        return str(date.fromisoformat(report["date"]))
    except (KeyError, TypeError, ValueError):
        return None
