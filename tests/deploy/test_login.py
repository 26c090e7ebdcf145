"""The login of the load is made without its password being shown."""

import psycopg2
import pytest
from login import command, scram_verifier, statement
from psycopg2.extensions import make_dsn

PASSWORD = """p&/"@:%#$'{}\\ w"""


def test_the_verifier_is_that_of_the_standard() -> None:
    # RFC 7677, section 3: user "user", password "pencil".
    import base64

    found = scram_verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    assert found.startswith("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$")
    assert found.endswith(":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")


def test_the_password_is_in_no_command() -> None:
    assert PASSWORD not in " ".join(command("covid_load", PASSWORD))
    assert "pencil" not in statement("covid_load", "pencil")


@pytest.mark.parametrize(("name", "password"), [("Robert'); --", "x"), ("covid_load", "naïve"), ("covid_load", "")])
def test_what_could_mean_something_else_is_refused(name: str, password: str) -> None:
    with pytest.raises(ValueError, match="is no plain name|printable ASCII"):
        statement(name, password)


def test_a_second_statement_changes_the_password(password_server: str) -> None:
    owner = make_dsn(password_server, password="right")
    made = make_dsn(password_server, user="covid_load")
    with psycopg2.connect(owner) as conn, conn.cursor() as cursor:
        cursor.execute("create role covid_loader")
        cursor.execute(statement("covid_load", "before"))
    with psycopg2.connect(owner) as conn, conn.cursor() as cursor:
        cursor.execute(statement("covid_load", PASSWORD))
    psycopg2.connect(made, password=PASSWORD).close()
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(made, password="before")
