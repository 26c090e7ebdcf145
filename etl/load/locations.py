"""Locations: which ones a run asks for, their addresses, and the update of their metadata."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, TypedDict

import msgspec

from etl.database.connection import Connection, fetch_all, read_sql
from etl.errors import ContractError, DocumentError, UsageError
from etl.transform.contract import MAX_BIGINT, Text
from etl.transform.declaration import NATION, STATE, Shape

ADDRESS = "states.json"


@dataclass(frozen=True, slots=True)
class Location:
    """A row of `location_dimension`, as far as a load needs it."""

    location_id: int
    code: str
    shape: Shape
    population: int | None

    def address(self, day: date | None) -> str:
        """Where the API keeps the location's history, or one day of it."""
        if self.shape is NATION:
            return f"us/daily/{day}.json" if day else "us/daily.json"
        return f"states/{self.code.lower()}/{day or 'daily'}.json"


def choose(conn: Connection, selection: str) -> list[Location]:
    """The locations that `--locations` selects (`all`, `us`, `states`, or codes), the nation first."""
    query = "select location_id, location_code, location_type, population from location_dimension order by 1"
    known = {
        code: Location(location_id, code, NATION if location_type == "nation" else STATE, population)
        for location_id, code, location_type, population in fetch_all(conn, query)
    }
    wanted = {part.strip().upper() for part in selection.split(",") if part.strip()}
    groups = {"ALL": set(known), "STATES": {code for code in known if known[code].shape is STATE}}
    codes = set().union(*(groups.get(part, {part}) for part in wanted))
    if unknown := sorted(codes - known.keys()):
        raise UsageError(f"--locations: unknown {', '.join(unknown)}; use all, us, states, or codes such as us,ca,ny")
    if not codes:
        raise UsageError("--locations: names no location; use all, us, states, or codes such as us,ca,ny")
    return [location for code, location in known.items() if code in codes]


# --- states.json ---


class _Site(msgspec.Struct):
    url: Text
    label: Text


class _Census(msgspec.Struct):
    population: Annotated[int, msgspec.Meta(gt=0, le=MAX_BIGINT)]


class _State(msgspec.Struct):
    name: Text
    state_code: Text
    census: _Census
    sites: list[_Site]


class _States(msgspec.Struct):
    data: list[_State]


class LocationMetadata(TypedDict):
    """What states.json says of one location, ready to be bound; `sites` is JSON."""

    location_code: str
    name: str
    population: int
    sites: str


def decode(body: bytes) -> list[LocationMetadata]:
    """The names, populations and sites that states.json publishes; raises `DocumentError` or `ContractError`."""
    try:
        states = msgspec.json.decode(body, type=_States).data
    except (msgspec.ValidationError, RecursionError) as error:
        raise ContractError(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DocumentError(f"no JSON: {error}") from error
    return [
        {
            "location_code": state.state_code,
            "name": state.name,
            "population": state.census.population,
            "sites": msgspec.json.encode(state.sites).decode(),
        }
        for state in states
    ]


def update(conn: Connection, states: list[LocationMetadata]) -> int:
    """Brings known locations up to date and returns how many changed; the others are not touched."""
    changed = 0
    with conn.cursor() as cursor:
        for state in states:
            cursor.execute(read_sql("load/update_location.sql"), state)
            changed += cursor.rowcount
    return changed
