"""The statement that makes the login of the load, or gives it a new password."""

import base64
import hashlib
import hmac
import os
import re

ITERATIONS = 4096


def scram_verifier(password: str, salt: bytes | None = None) -> str:
    """What Postgres keeps of a password (RFC 5802): enough to check it, not enough to log in.

    So the password itself appears in no command, no log and no trail of the provider's. It must be ASCII, since
    Postgres normalizes other text before it hashes it.
    """
    if not re.fullmatch(r"[\x20-\x7e]+", password):
        raise ValueError("the password must be of printable ASCII characters: generate another one")
    salt = salt or os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    client = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded_salt, stored, kept = (base64.b64encode(part).decode() for part in (salt, client, server))
    return f"SCRAM-SHA-256${ITERATIONS}:{encoded_salt}${stored}:{kept}"


def statement(login: str, password: str) -> str:
    """Makes the login a member of covid_loader and of nothing else; run again, it changes the password."""
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", login):
        raise ValueError(f"{login!r} is no plain name: use lower-case letters, digits and underscores")
    return (
        f"do $do$ begin if not exists (select from pg_roles where rolname = '{login}') then"
        f" create role {login} login; end if; end $do$;"
        f" alter role {login} password '{scram_verifier(password)}'; grant covid_loader to {login}"
    )


def command(login: str, password: str) -> list[str]:
    """The command of the program that runs the statement as the owner."""
    return ["psql", "--", "-X", "-v", "ON_ERROR_STOP=1", "-c", statement(login, password)]
