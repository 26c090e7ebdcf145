"""The locations in the database: the choice of some for a run, and the update of their metadata."""

from collections.abc import Sequence
from datetime import date

import msgspec

from etl.database.connection import Connection, execute, fetch_all, fetch_one
from etl.errors import UsageError
from etl.transform import bounds
from etl.transform.declaration import NATION, STATE
from etl.transform.locations import Location, LocationMetadata


def choose(conn: Connection, selection: str, option: str = "--locations") -> list[Location]:
    """The locations that an option selects (`all`, `us`, `states`, or codes), the nation first.

    Raises `UsageError`, which names the option, for an unknown location and for none.
    """
    query = "select location_id, location_code, location_type, population from public.location_dimension order by 1"
    known = {
        code: Location(location_id, code, NATION if location_type == "nation" else STATE, population)
        for location_id, code, location_type, population in fetch_all(conn, query)
    }
    wanted = {part.strip().upper() for part in selection.split(",") if part.strip()}
    groups = {"ALL": set(known), "STATES": {code for code in known if known[code].shape is STATE}}
    codes = set().union(*(groups.get(part, {part}) for part in wanted))
    if unknown := sorted(codes - known.keys()):
        raise UsageError(f"{option}: unknown {', '.join(unknown)}; use all, us, states, or codes such as us,ca,ny")
    if not codes:
        raise UsageError(f"{option}: names no location; use all, us, states, or codes such as us,ca,ny")
    return [location for code, location in known.items() if code in codes]


def are_covered(conn: Connection, chosen: Sequence[Location], first_day: date, last_day: date) -> bool:
    """Whether the star has any report of these locations and days."""
    query = (
        "select exists (select from public.cases_dimension"
        " where location_id = any(%s) and report_date between %s and %s)"
    )
    ids = [location.location_id for location in chosen]
    return bool(fetch_one(conn, query, (ids, first_day, last_day))[0])


def update(conn: Connection, states: list[LocationMetadata]) -> int:
    """Brings the locations up to date; returns how many differed, since only these are written.

    Raises `ContractError` for an impossible population.
    """
    known = fetch_all(conn, "select location_code, population from public.location_dimension")
    bounds.refuse_impossible_populations(states, dict(known))
    return execute(conn, _UPDATE, (msgspec.json.encode(states).decode(),))


_UPDATE = """
    update public.location_dimension as known
    set name = published.name, population = published.population, sites = published.sites
    from (
        select state_code, name, (census ->> 'population')::bigint as population, sites
        from jsonb_to_recordset(%s) as state (state_code text, name text, census jsonb, sites jsonb)
    ) as published
    where
        known.location_code = published.state_code
        and (known.name, known.population, known.sites)
        is distinct from (published.name, published.population, published.sites)
"""
