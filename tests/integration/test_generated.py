"""What is made from the schema is up to date: the picture, the data dictionary."""

import pytest
from data_dictionary import TARGET, dictionary
from erd import PICTURE, fingerprint, text_of
from live_schema import read_tables

from etl import config
from etl.database import connection as database
from etl.database.connection import Connection


def test_the_picture_shows_the_schema_as_it_is(conn: Connection) -> None:
    assert text_of(PICTURE.read_bytes()) == fingerprint(read_tables(conn, "public")), "run `make erd`"


@pytest.mark.parametrize(
    "change",
    [
        "alter table public.death_fact add column excess_deaths bigint",
        "drop schema mart cascade; drop function history.hospitalization_fact_as_of;"
        " alter table public.hospitalization_fact alter column cumulative_in_icu type numeric",
        "alter table public.cases_fact drop constraint cases_fact_location_id_report_date_fkey",
        "alter table public.cases_dimension rename column run_id to load_id",
        "create table public.another_dimension (id int)",
    ],
)
def test_a_change_of_table_column_or_key_makes_the_picture_out_of_date(conn: Connection, change: str) -> None:
    with conn.cursor() as cursor:
        cursor.execute(change)
    assert text_of(PICTURE.read_bytes()) != fingerprint(read_tables(conn, "public"))


def test_the_data_dictionary_is_up_to_date(loaded_dsn: str) -> None:
    with database.connect(config.Database(loaded_dsn)) as conn:
        assert TARGET.read_text(encoding="utf-8") == dictionary(conn), "run `make dictionary`"
