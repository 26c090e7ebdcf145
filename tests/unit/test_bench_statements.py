"""The benchmark of statements counts each under what it does."""

import pytest

from bench.statements import kind
from etl.database import schema


@pytest.mark.parametrize("name", sorted(schema.tables()))
def test_a_file_of_the_schema_is_no_digest_and_no_commit(name: str) -> None:
    expected = "foreign keys, added at the end" if name == schema.KEYS else "the schema"
    assert kind(schema.tables()[name]) == expected


def test_a_commit_and_the_writing_of_digests_are_known() -> None:
    assert kind("commit") == "commits"
    assert (
        kind("insert into ops.report_digest as known (location_id, digests) values (%s, %s)") == "digests of reports"
    )
    assert kind("select 1") == "everything else"
