"""Locations: their codes, kinds and addresses, and the metadata that `states.json` publishes of them."""

from datetime import date
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from etl.errors import ContractError
from etl.transform.declaration import Shape
from etl.transform.records import MAX_BIGINT, Name, Text, read

ADDRESS = "states.json"


class Location(Struct, frozen=True):
    """The part of a row of `location_dimension` that a load needs."""

    location_id: int
    code: str
    shape: Shape
    population: int | None


def address_of(location_code: str, day: date | str | None = None) -> str:
    """The address where the API keeps a location's history, or one day of it."""
    code = location_code.lower()
    if code == "us":
        return f"us/daily/{day}.json" if day else "us/daily.json"
    return f"states/{code}/{day or 'daily'}.json"


def history_of(address: str) -> tuple[str, str | None]:
    """The address of the history of a document's location, and the document's day.

    The address of a history is its own, and there is no day.
    """
    folder, _, name = address.rpartition("/")
    day = name.removesuffix(".json")
    try:
        date.fromisoformat(day)
    except ValueError:
        return address, None
    return (f"{folder}.json" if folder == "us/daily" else f"{folder}/daily.json"), day


class _Site(Struct):
    url: Text
    label: Text


class _Census(Struct):
    population: Annotated[int, Meta(gt=0, le=MAX_BIGINT)]


class LocationMetadata(Struct, rename={"location_code": "state_code"}):
    """One location in `states.json`."""

    location_code: Text
    name: Name
    census: _Census
    sites: list[_Site]


class _States(Struct):
    data: list[LocationMetadata]


_DECODER = msgspec.json.Decoder(_States)


def decode_states(body: bytes) -> list[LocationMetadata]:
    """The names, populations and sites that `states.json` publishes; raises `DocumentError` or `ContractError`."""
    states = read(body, _DECODER).data
    if len({state.location_code for state in states}) < len(states):
        raise ContractError("data.state_code: a state is there twice")
    return states
