"""Decodes a document of the API into typed records, or says everything that is wrong with it.

Strict decoding is the fast path: a document that holds exactly what `etl.declaration` declares costs
one pass. Only where that fails is the document decoded untyped, to pass over reports that are to be skipped, to
read renamed paths under their old names, to tell a new path (which loads) from a broken one (which does not), and
to name every difference at once.

Pure: bytes in, records or errors out.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from threading import Lock
from typing import Annotated, Any, Literal

import msgspec
import msgspec.inspect
from msgspec import Meta, Struct

from etl.errors import ContractError, DocumentError
from etl.transform import drift
from etl.transform.declaration import CALCULATED, FIRST_DAY, LAST_DAY, SHAPES, STATE, AttributeKind, Shape
from etl.transform.drift import Alias, Change

MAX_BIGINT = 2**63 - 1
Count = Annotated[int, Meta(ge=0, le=MAX_BIGINT)]
Signed = Annotated[int, Meta(ge=-MAX_BIGINT, le=MAX_BIGINT)]
# Postgres has no text with a NUL in it.
Text = Annotated[str, Meta(pattern=r"^[^\x00]*\Z")]
Instant = Annotated[datetime, Meta(tz=True)]
Day = date

NUMBER_TYPES: dict[str, Any] = {
    "count": Count,
    "change": Signed,
    "percent": Annotated[float, Meta(ge=0)],
    "percent_change": Annotated[float, Meta(ge=-100)],
}
ATTRIBUTE_TYPES: dict[AttributeKind, Any] = {"count": Count, "text": Text, "instant": Instant}

# How many differences a message names before it only counts the rest.
NAMED_DIFFERENCES = 5
# And how many days of one.
NAMED_DAYS = 3
# msgspec's words -> JSON's.
JSON_WORDS = {"int": "integer", "float": "number", "str": "text", "bool": "boolean", "|": "or"}


class DepartureError(ContractError):
    """A document departs from the shape that is expected; `changes` is the drift that it shows."""

    def __init__(self, text: str, changes: tuple[Change, ...], *, days: tuple[str, ...]) -> None:
        super().__init__(text, days=days)
        self.changes = changes


class FieldDefinition(Struct, gc=False):
    """One item of `meta.field_definitions`; some items are published without a `field`."""

    name: Text
    deprecated: bool = False
    prior_names: list[Text] = []
    field: Text | None = None


class DocumentMeta(Struct, gc=False):
    """The `meta` of a document: when the site was built, and what its fields are said to mean; no more is read."""

    build_time: Instant
    license: Any = None
    version: Any = None
    field_definitions: list[FieldDefinition] = []


class _StrictMeta(DocumentMeta, gc=False, forbid_unknown_fields=True):
    """The same, for noticing what is new in it."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What was asked for: one location's history, or its single `day`; and the rules that the database adds.

    An alias is read in a report that lacks the path that it stands for. Reports of `skipped_days` are passed over.
    """

    shape: Shape
    location_code: str
    day: date | None = None
    aliases: tuple[Alias, ...] = ()
    skipped_days: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True)
class Document:
    """A decoded document: its reports as records with the published structure, newest first."""

    meta: DocumentMeta
    reports: list[Any]
    data_hash: str
    changes: tuple[Change, ...] = ()


def decode(body: bytes, expected: Expected) -> Document:
    """Decodes one document.

    Raises `DocumentError` where the body is no JSON, `ContractError` where it is other JSON than what
    was asked for.
    """
    changes: tuple[Change, ...] = ()
    single = expected.day is not None
    try:
        raw = _decoder(expected.shape.name, single=single).decode(body)
        data_hash = _hash(raw.data)
    except msgspec.ValidationError:
        raw, data_hash, changes = _decode_departing(body, expected)
    except RecursionError as error:
        raise ContractError("nested too deeply to be read") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DocumentError(f"no JSON: {error}") from error
    reports = [raw.data] if single else raw.data
    if expected.skipped_days:
        reports = [report for report in reports if report.date not in expected.skipped_days]
    _check_identity(reports, expected)
    return Document(raw.meta, reports, data_hash, changes)


class _Dated(Struct):
    date: Day


class _Dates(Struct):
    data: list[_Dated]


def newest_day(body: bytes) -> date:
    """The newest day of a history, whatever else is in it; raises as `decode` does."""
    try:
        days = [report.date for report in msgspec.json.decode(body, type=_Dates).data]
    except (msgspec.ValidationError, RecursionError) as error:
        raise ContractError(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DocumentError(f"no JSON: {error}") from error
    if not days:
        raise ContractError("data: a history without a single report")
    return max(days)


def _hash(data: Any, order: Literal["sorted"] | None = None) -> str:
    """A hash of the `data` subtree that ignores key order, white space and `-17.0` against `-17`."""
    return hashlib.sha256(msgspec.json.encode(data, order=order)).hexdigest()


def _check_identity(reports: list[Any], expected: Expected) -> None:
    """Refuses reports of another location or day than asked for, of impossible and of repeated days."""
    seen: set[date] = set()
    for report in reports:
        day = report.date
        if expected.shape is STATE and report.state != expected.location_code:
            raise ContractError(f"data.state of {day} is {report.state!r}, not {expected.location_code!r}")
        if day in seen:
            raise ContractError(f"data.date: {day} is there twice", days=(str(day),))
        if not FIRST_DAY <= day <= LAST_DAY:
            raise ContractError(f"data.date: {day} is outside {FIRST_DAY} to {LAST_DAY}", days=(str(day),))
        seen.add(day)
    if expected.day and seen != {expected.day}:
        raise ContractError(f"data.date is {day}, but {expected.day} was asked for")
    if not reports:
        raise ContractError("data: a history without a single report")


# --- types, built from the declaration ---

_making_decoders = Lock()


@cache
def _decoder(shape: str, *, single: bool) -> "msgspec.json.Decoder[Any]":
    document_type = _document_type(shape, single=single, strict=True)
    # Two threads that make decoders of the same types at once crash the interpreter (msgspec 0.22).
    with _making_decoders:
        return msgspec.json.Decoder(document_type)


@cache
def _document_type(shape: str, *, single: bool, strict: bool) -> Any:
    report = _tree_type("Report", report_tree(shape), strict=strict)
    meta = _StrictMeta if strict else DocumentMeta
    fields = [("meta", meta), ("data", report if single else list[report])]  # type: ignore[valid-type]  # a type made at run time
    made = _struct("Document", [*fields, ("links", Any, None)], strict=strict)
    with _making_decoders:
        # Whatever decodes or converts to it later finds it made ready.
        msgspec.json.Decoder(made)
    return made


@cache
def report_tree(shape_name: str) -> dict[str, Any]:
    """What one report holds, as nested dicts with a type at each leaf."""
    shape = next(each for each in SHAPES if each.name == shape_name)
    tree: dict[str, Any] = {"date": Day}
    if shape is STATE:
        tree["state"] = str
    for attribute in shape.attributes:
        kind = ATTRIBUTE_TYPES[attribute.kind]
        _plant(tree, attribute.path, kind | None if attribute.nullable else kind)
    for metric in shape.metrics:
        _plant(tree, f"{metric.path}.value", Count | None)
        for name in metric.calculated:
            _plant(tree, f"{metric.path}.calculated.{name}", NUMBER_TYPES[CALCULATED[name]] | None)
    return tree


def _plant(tree: dict[str, Any], path: str, leaf: Any) -> None:
    """Puts a leaf into nested dicts at a dotted path."""
    *parents, name = path.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
    tree[name] = leaf


def _tree_type(name: str, tree: dict[str, Any], *, strict: bool) -> Any:
    fields = [
        (key, _tree_type(key, leaf, strict=strict) if isinstance(leaf, dict) else leaf) for key, leaf in tree.items()
    ]
    return _struct(name, fields, strict=strict)


def _struct(name: str, fields: Any, *, strict: bool) -> Any:
    return msgspec.defstruct(name, fields, forbid_unknown_fields=strict, gc=False)


# --- a document that is not exactly what is declared ---


@dataclass(slots=True)
class Difference:
    """Where a document departs from its type, in which way, and on which days (as published; in a history)."""

    path: str
    problem: str
    change: Change | None
    days: list[str] = field(default_factory=list)

    @property
    def breaking(self) -> bool:
        """Whether the document cannot load; a value out of bounds breaks it without being drift."""
        return self.change is None or self.change.breaking

    def __str__(self) -> str:
        some = ", ".join(self.days) if len(self.days) <= NAMED_DAYS else f"{len(self.days)} times"
        return f"{self.path}: {self.problem}" + (f" ({some})" if some else "")


def _decode_departing(body: bytes, expected: Expected) -> tuple[Any, str, tuple[Change, ...]]:
    """The document, the hash of its data and its changes; raises `ContractError` if one of them is breaking."""
    untyped = _untyped(body)
    data_hash = _hash(untyped.get("data"), "sorted") if isinstance(untyped, dict) else ""
    _adapt(untyped, expected)
    unreadable = _without_unreadable_definitions(untyped)
    single, shape = expected.day is not None, expected.shape.name
    found = _merged(differences(untyped, _document_type(shape, single=single, strict=True)))
    changes = _explained([each.change for each in found if each.change] + unreadable, untyped, expected.shape)
    if breaking := [each for each in found if each.breaking]:
        days = sorted({day for each in breaking for day in each.days})
        is_everywhere = isinstance(untyped, dict) and len(days) == len(untyped.get("data") or ())
        raise DepartureError(_problems(breaking, changes), changes, days=() if is_everywhere else tuple(days))
    return msgspec.convert(untyped, _document_type(shape, single=single, strict=False)), data_hash, changes


def _untyped(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except RecursionError as error:
        raise ContractError("nested too deeply to be read") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DocumentError(f"no JSON: {error}") from error


def _problems(breaking: list[Difference], changes: tuple[Change, ...]) -> str:
    """What is wrong, five things by name; with the new name of a path that the document says was renamed."""
    rest = len(breaking) - NAMED_DIFFERENCES
    named = "; ".join(map(str, breaking[:NAMED_DIFFERENCES]))
    renamed = [f"; {each.path} is {each.after} now" for each in changes if each.change == drift.PATH_RENAMED]
    return named + (f"; and {rest} more" if rest > 0 else "") + "".join(renamed)


def _merged(found: Iterator[Difference]) -> list[Difference]:
    """The same difference in many reports as one."""
    merged: dict[tuple[str, str], Difference] = {}
    for each in found:
        if known := merged.get((each.path, each.problem)):
            known.days += each.days
        else:
            merged[each.path, each.problem] = each
    return list(merged.values())


def _explained(changes: list[Change], untyped: Any, shape: Shape) -> tuple[Change, ...]:
    """The changes, the breaking ones first; what is gone under one name and new under another is one renaming."""
    added = {each.path for each in changes if each.change == drift.PATH_ADDED}
    new = [path.removeprefix(drift.DATA) for path in added]
    definitions = _definitions(untyped)
    explained: list[Change] = []
    for each in changes:
        gone = each.path.removeprefix(drift.DATA)
        if each.change == drift.PATH_GONE and gone != each.path:
            explained += drift.explain_gone(gone, paths_below(shape, gone), new, definitions)
        else:
            explained.append(each)
    renamed = {each.after for each in explained if each.change == drift.PATH_RENAMED}
    kept = [each for each in explained if each.path not in renamed]
    return tuple(sorted(kept, key=lambda each: not each.breaking))


def paths_below(shape: Shape, path: str) -> list[str]:
    """The declared paths of metrics and attributes at or below a path of a report."""
    declared = [each.path for each in shape.attributes] + [each.path for each in shape.metrics]
    return [each for each in declared if f"{each}.".startswith(f"{path}.")]


def _definitions(untyped: Any) -> list[FieldDefinition]:
    """The field definitions of a document; none where it has no place for them."""
    meta = untyped.get("meta") if isinstance(untyped, dict) else None
    found = meta.get("field_definitions", []) if isinstance(meta, dict) else []
    return msgspec.convert(found, list[FieldDefinition])


def _without_unreadable_definitions(untyped: Any) -> list[Change]:
    """Takes out definitions that cannot be read, and says so: they feed no column, and stop no document."""
    try:
        _definitions(untyped)
    except msgspec.ValidationError:
        untyped["meta"]["field_definitions"] = []
        return [Change("shape", drift.UNREADABLE, "meta.field_definitions")]
    return []


# --- the rules that the database adds ---


def _adapt(untyped: Any, expected: Expected) -> None:
    """Takes the reports to be skipped out of an untyped document, and puts aliases in the place of their paths."""
    data = untyped.get("data") if isinstance(untyped, dict) else None
    skipped = {str(day) for day in expected.skipped_days}
    if isinstance(data, list):
        data[:] = [each for each in data if not (isinstance(each, dict) and each.get("date") in skipped)]
    for report in data if isinstance(data, list) else [data]:
        if isinstance(report, dict):
            for alias in expected.aliases:
                _apply_alias(report, alias, expected.shape)


def _apply_alias(report: dict[str, Any], alias: Alias, shape: Shape) -> None:
    if _branch(report, alias.path) is not None:
        return
    if alias.published is None:
        _plant(report, alias.path, _nulls(_at(report_tree(shape.name), alias.path)))
    elif found := _branch(report, alias.published):
        name = alias.published.rsplit(".", 1)[-1]
        _plant(report, alias.path, found.pop(name))
        _prune(report, alias.published)


def _prune(report: dict[str, Any], path: str) -> None:
    """Removes the parents of a path that hold nothing any more."""
    parent = path.rpartition(".")[0]
    name = parent.rpartition(".")[-1]
    holder = _branch(report, parent) if parent else None
    if holder and holder[name] == {}:
        del holder[name]
        _prune(report, parent)


def _branch(report: dict[str, Any], path: str) -> dict[str, Any] | None:
    """The object in a report that holds the last name of a path; None if the path is not there."""
    *parents, name = path.split(".")
    holder: Any = report
    for parent in parents:
        holder = holder.get(parent) if isinstance(holder, dict) else None
    return holder if isinstance(holder, dict) and name in holder else None


def _at(tree: dict[str, Any], path: str) -> Any:
    for name in path.split("."):
        tree = tree[name]
    return tree


def _nulls(tree: Any) -> Any:
    """What an absent part of a report reads as: its structure, with nothing published."""
    return {name: _nulls(part) for name, part in tree.items()} if isinstance(tree, dict) else None


# --- differences ---


def differences(value: Any, expected: Any, path: str = "", day: str | None = None) -> Iterator[Difference]:
    """Every place where untyped JSON departs from a record type; reports of a history share their paths."""
    item = getattr(expected, "__args__", (None,))[0] if _is_list_of_structs(expected) else None
    if item is not None and isinstance(value, list):
        for each in value:
            dated = isinstance(each, dict) and path == "data"
            yield from differences(each, item, path, str(each.get("date")) if dated else day)
    elif _is_struct(expected) and isinstance(value, dict):
        yield from _struct_differences(value, expected, path, day)
    else:
        yield from _leaf_difference(value, expected, path, day)


def _struct_differences(value: dict[str, Any], expected: Any, path: str, day: str | None) -> Iterator[Difference]:
    prefix = f"{path}." if path else ""
    fields = {field.encode_name: field for field in msgspec.structs.fields(expected)}
    days = [day] if day else []
    for name, each in fields.items():
        if name in value:
            yield from differences(value[name], each.type, prefix + name, day)
        elif each.required:
            gone = Change("shape", drift.PATH_GONE, prefix + name, breaking=True)
            yield Difference(prefix + name, "is missing", gone, days)
    if expected.__struct_config__.forbid_unknown_fields:
        for name in sorted(value.keys() - fields.keys()):
            new = Change("shape", drift.PATH_ADDED, prefix + name, after=json_type(value[name]))
            yield Difference(prefix + name, "is new", new, list(days))


def _leaf_difference(value: Any, expected: Any, path: str, day: str | None) -> Iterator[Difference]:
    try:
        msgspec.convert(value, expected)
    except msgspec.ValidationError as error:
        path = path or "document"
        problem = re.sub(
            r"[a-z|]+", lambda word: JSON_WORDS.get(word[0], word[0]), str(error).lower().replace("`", "")
        )
        types = (_declared_type(expected), json_type(value))
        change = Change("shape", drift.TYPE_CHANGED, path, *types, breaking=True)
        # A null has no type, and a value that is merely impossible has the right one.
        is_drift = value is not None and types[0] != types[1]
        yield Difference(path, problem, change if is_drift else None, [day] if day else [])


def json_type(value: Any) -> str:
    """The type of a JSON value, as drift names it: an integer and a fraction are both numbers."""
    names = {bool: "boolean", int: "number", float: "number", str: "text", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _declared_type(expected: Any) -> str:
    kind = msgspec.inspect.type_info(expected)
    if isinstance(kind, msgspec.inspect.UnionType):
        kind = kind.types[0]
    names = {"IntType": "number", "FloatType": "number", "StructType": "object", "DictType": "object"}
    return names.get(type(kind).__name__, "array" if isinstance(kind, msgspec.inspect.ListType) else "text")


def _is_struct(expected: Any) -> bool:
    return isinstance(expected, type) and issubclass(expected, Struct)


def _is_list_of_structs(expected: Any) -> bool:
    return getattr(expected, "__origin__", None) is list and _is_struct(expected.__args__[0])
