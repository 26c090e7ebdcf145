"""The record types of a document, made from the declaration, and the decoders that make records of its JSON."""

from datetime import date, datetime
from functools import cache, partial
from threading import Lock
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from etl.errors import ContractError, DocumentError
from etl.transform.declaration import CALCULATED, STATE, Kind, Shape

MAX_BIGINT = 2**63 - 1
Count = Annotated[int, Meta(ge=0, le=MAX_BIGINT)]
Signed = Annotated[int, Meta(ge=-MAX_BIGINT, le=MAX_BIGINT)]
# Names are recorded in the database, whose indexes hold none longer than `LONGEST_NAME`; a document may bring at most
# `MOST_NAMES` of each kind. The longest text that was published is an address of 900 characters.
LONGEST_NAME, MOST_NAMES, LONGEST_TEXT = 500, 100, 2000
# Postgres has no text with a NUL in it.
_NO_NUL = r"^[^\x00]*\Z"
Text = Annotated[str, Meta(pattern=_NO_NUL, max_length=LONGEST_TEXT)]
Name = Annotated[str, Meta(pattern=_NO_NUL, min_length=1, max_length=LONGEST_NAME)]
Instant = Annotated[datetime, Meta(tz=True)]

TYPES: dict[Kind, Any] = {
    "count": Count,
    "change": Signed,
    "percent": Annotated[float, Meta(ge=0)],
    "percent_change": Annotated[float, Meta(ge=-100)],
    "text": Text,
    "instant": Instant,
}

TOO_DEEP = "nested too deeply to be read"
T = TypeVar("T")


class FieldDefinition(Struct, frozen=True, gc=False):
    """One item of `meta.field_definitions`; the source leaves out the `field` of some."""

    name: Name
    field: Name | None = None
    deprecated: bool = False
    prior_names: Annotated[tuple[Name, ...], Meta(max_length=MOST_NAMES)] = ()


Definitions = Annotated[list[FieldDefinition], Meta(max_length=MOST_NAMES)]


class DocumentMeta(Struct, gc=False, forbid_unknown_fields=True):
    """The `meta` of a document; only the build time of the site and the field definitions are used."""

    build_time: Instant
    license: Any = None
    version: Any = None
    field_definitions: Definitions = []


def read(body: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
    """The value in a body; raises `DocumentError` if it is no JSON, `ContractError` if it has another type."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise ContractError(str(error)) from error
    except RecursionError as error:
        raise ContractError(TOO_DEEP) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DocumentError(f"no JSON: {error}") from error


# Two threads that make decoders of the same types at once crash the interpreter with msgspec 0.22.
_making_decoders = Lock()
_struct = partial(msgspec.defstruct, forbid_unknown_fields=True, gc=False)


@cache
def envelope_decoder(*, single: bool) -> "msgspec.json.Decoder[Any]":
    """The decoder of a history, or of the document of a `single` day; it leaves the reports as published bytes."""
    with _making_decoders:
        return msgspec.json.Decoder(_document_type(msgspec.Raw, single=single))


@cache
def data_decoder(shape: Shape) -> "msgspec.json.Decoder[list[Any]]":
    """The decoder of a list of reports; like that of the envelope, it refuses undeclared names."""
    with _making_decoders:
        return msgspec.json.Decoder(list[_entry_type(shape)])  # type: ignore[misc]  # a type made at run time


@cache
def document_type(shape: Shape, *, single: bool) -> Any:
    """The record type of a document, with `meta` and `data` in the published structure."""
    return _document_type(_entry_type(shape), single=single)


def _document_type(report: Any, *, single: bool) -> Any:
    data = report if single else list[report]
    return _struct("Document", [("meta", DocumentMeta), ("data", data), ("links", Any, None)])


@cache
def _entry_type(shape: Shape) -> Any:
    return _record_type("Report", report_tree(shape))


@cache
def report_tree(shape: Shape) -> dict[str, Any]:
    """The structure of one report, as nested dicts with a type at each leaf."""
    tree: dict[str, Any] = {"date": date} | ({"state": str} if shape is STATE else {})
    for attribute in shape.attributes:
        kind = TYPES[attribute.kind]
        plant(tree, attribute.path, kind | None if attribute.nullable else kind)
    for metric in shape.metrics:
        plant(tree, f"{metric.path}.value", Count | None)
        for name in metric.calculated:
            plant(tree, f"{metric.path}.calculated.{name}", TYPES[CALCULATED[name]] | None)
    return tree


def plant(tree: dict[str, Any], path: str, leaf: Any) -> None:
    """Puts a leaf into nested dicts at a dotted path, unless something else than a dict stands at a parent of it."""
    parent, _, rest = path.partition(".")
    if not rest:
        tree[parent] = leaf
    elif isinstance(branch := tree.setdefault(parent, {}), dict):
        plant(branch, rest, leaf)


def _record_type(name: str, tree: dict[str, Any]) -> Any:
    fields = [(key, _record_type(key, leaf) if isinstance(leaf, dict) else leaf) for key, leaf in tree.items()]
    return _struct(name, fields)
