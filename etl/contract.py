"""Decodes a document of the API into typed records, or says everything that is wrong with it.

Strict decoding is the fast path: a document that holds exactly what `etl.declaration` declares costs
one pass. Only where that fails is the document decoded untyped, to tell a new path (which loads)
from a broken one (which does not), and to name every difference at once.

Pure: bytes in, records or errors out.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from threading import Lock
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from etl.declaration import CALCULATED, FIRST_DAY, LAST_DAY, SHAPES, STATE, AttributeKind, Shape
from etl.errors import ContractError

MAX_BIGINT = 2**63 - 1
Count = Annotated[int, Meta(ge=0, le=MAX_BIGINT)]
Change = Annotated[int, Meta(ge=-MAX_BIGINT, le=MAX_BIGINT)]
# Postgres has no text with a NUL in it.
Text = Annotated[str, Meta(pattern=r"^[^\x00]*\Z")]
Instant = Annotated[datetime, Meta(tz=True)]
Day = date

NUMBER_TYPES: dict[str, Any] = {
    "count": Count,
    "change": Change,
    "percent": Annotated[float, Meta(ge=0)],
    "percent_change": Annotated[float, Meta(ge=-100)],
}
ATTRIBUTE_TYPES: dict[AttributeKind, Any] = {"count": Count, "text": Text, "instant": Instant}

# How many differences a message names before it only counts the rest.
NAMED_DIFFERENCES = 5


class NotJsonError(Exception):
    """The body is not JSON (cut off, HTML, empty, plain text): the source failed, not the contract."""


class FieldDefinition(Struct, gc=False):
    """One item of `meta.field_definitions`; some items are published without a `field`."""

    name: str
    deprecated: bool
    prior_names: list[str]
    field: str | None = None


class DocumentMeta(Struct, gc=False):
    """The `meta` of a document: when the site was built, and what its fields are said to mean."""

    build_time: Instant
    license: str
    version: str
    field_definitions: list[FieldDefinition] = []


@dataclass(frozen=True, slots=True)
class Expected:
    """What was asked for: one location's history, or its single `day`."""

    shape: Shape
    location_code: str
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A decoded document: its reports as records with the published structure, newest first."""

    meta: DocumentMeta
    reports: list[Any]
    data_hash: str
    unknown_paths: tuple[str, ...] = ()


def decode(body: bytes, expected: Expected) -> Document:
    """Decodes one document.

    Raises `NotJsonError` where the body is no JSON, `ContractError` where it is other JSON than what
    was asked for.
    """
    unknown: tuple[str, ...] = ()
    single = expected.day is not None
    try:
        raw = _decoder(expected.shape.name, single=single, strict=True).decode(body)
    except msgspec.ValidationError:
        unknown = _examine(body, _document_type(expected.shape.name, single=single, strict=True))
        raw = _decoder(expected.shape.name, single=single, strict=False).decode(body)
    except RecursionError as error:
        raise ContractError("nested too deeply to be read") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotJsonError(str(error)) from error
    reports = [raw.data] if single else raw.data
    _check_identity(reports, expected)
    return Document(raw.meta, reports, _data_hash(raw.data, body, unknown), unknown)


def _data_hash(data: Any, body: bytes, unknown: tuple[str, ...]) -> str:
    """A hash of the `data` subtree that ignores key order, white space and `-17.0` against `-17`."""
    if unknown:
        data = msgspec.json.decode(body)["data"]
    return hashlib.sha256(msgspec.json.encode(data, order="sorted" if unknown else None)).hexdigest()


def _check_identity(reports: list[Any], expected: Expected) -> None:
    """Refuses reports of another location or day than asked for, of impossible and of repeated days."""
    seen: set[date] = set()
    for report in reports:
        day = report.date
        if expected.shape is STATE and report.state != expected.location_code:
            raise ContractError(f"data.state of {day} is {report.state!r}, not {expected.location_code!r}")
        if day in seen:
            raise ContractError(f"data.date: {day} is there twice")
        if not FIRST_DAY <= day <= LAST_DAY:
            raise ContractError(f"data.date: {day} is outside {FIRST_DAY} to {LAST_DAY}")
        seen.add(day)
    if expected.day and seen != {expected.day}:
        raise ContractError(f"data.date is {day}, but {expected.day} was asked for")
    if not reports:
        raise ContractError("data: a history without a single report")


# --- types, built from the declaration ---

_making_decoders = Lock()


@cache
def _decoder(shape: str, *, single: bool, strict: bool) -> "msgspec.json.Decoder[Any]":
    # Two threads that make decoders of the same types at once crash the interpreter (msgspec 0.22).
    with _making_decoders:
        return msgspec.json.Decoder(_document_type(shape, single=single, strict=strict))


@cache
def _document_type(shape: str, *, single: bool, strict: bool) -> Any:
    report = report_type(shape, strict=strict)
    fields = [("meta", DocumentMeta), ("data", report if single else list[report])]  # type: ignore[valid-type]
    return _struct("Document", [*fields, ("links", dict[str, str], {})], strict=strict)


@cache
def report_type(shape_name: str, *, strict: bool) -> Any:
    """The record type of one report; `strict` refuses fields that the declaration does not name."""
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
    return _tree_type("Report", tree, strict=strict)


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


# --- what is wrong with a document that does not decode ---


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where a document departs from its type; `breaking` if it cannot load."""

    path: str
    problem: str
    breaking: bool


def _examine(body: bytes, document_type: Any) -> tuple[str, ...]:
    """The paths that are merely new; raises `ContractError` with all differences if one is breaking."""
    try:
        untyped = msgspec.json.decode(body)
    except RecursionError as error:
        raise ContractError("nested too deeply to be read") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotJsonError(str(error)) from error
    counted: dict[Difference, int] = {}
    for difference in differences(untyped, document_type):
        counted[difference] = counted.get(difference, 0) + 1
    breaking = [_describe(each, count) for each, count in counted.items() if each.breaking]
    if breaking:
        rest = len(breaking) - NAMED_DIFFERENCES
        more = f"; and {rest} more" if rest > 0 else ""
        raise ContractError("; ".join(breaking[:NAMED_DIFFERENCES]) + more)
    return tuple(each.path for each in counted)


def _describe(difference: Difference, count: int) -> str:
    times = f" ({count} times)" if count > 1 else ""
    return f"{difference.path}: {difference.problem}{times}"


def differences(value: Any, expected: Any, path: str = "") -> Iterator[Difference]:
    """Every place where untyped JSON departs from a record type.

    Paths are those of the published documents; reports of a history share one path, so that the same
    fault on 400 days is one difference seen 400 times.
    """
    item = getattr(expected, "__args__", (None,))[0] if _is_list_of_structs(expected) else None
    if item is not None and isinstance(value, list):
        for each in value:
            yield from differences(each, item, path)
    elif _is_struct(expected) and isinstance(value, dict):
        yield from _struct_differences(value, expected, path)
    else:
        yield from _leaf_difference(value, expected, path)


def _struct_differences(value: dict[str, Any], expected: Any, path: str) -> Iterator[Difference]:
    prefix = f"{path}." if path else ""
    fields = {field.encode_name: field for field in msgspec.structs.fields(expected)}
    for name, field in fields.items():
        if name in value:
            yield from differences(value[name], field.type, prefix + name)
        elif field.required:
            yield Difference(prefix + name, "is missing", breaking=True)
    for name in value.keys() - fields.keys():
        yield Difference(prefix + name, "is new", breaking=False)


def _leaf_difference(value: Any, expected: Any, path: str) -> Iterator[Difference]:
    try:
        msgspec.convert(value, expected)
    except msgspec.ValidationError as error:
        yield Difference(path or "document", str(error).lower().replace("`", ""), breaking=True)


def _is_struct(expected: Any) -> bool:
    return isinstance(expected, type) and issubclass(expected, Struct)


def _is_list_of_structs(expected: Any) -> bool:
    return getattr(expected, "__origin__", None) is list and _is_struct(expected.__args__[0])
