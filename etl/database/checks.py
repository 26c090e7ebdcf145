"""The checks of what is loaded, which `sql/checks/validate.sql` makes."""

from msgspec import Struct

from etl.database.connection import Connection, read_sql, rows_of


class Check(Struct, frozen=True):
    """A check and its number of findings.

    A check of the kind `required` holds whatever the source publishes; an `advisory` one counts doubtful figures. The
    outcome is `PASSED`, `NOTED` (advisory, with findings), `FAILED` (required, with findings) or `NOT CHECKED`
    (something that the check needs is not loaded).
    """

    name: str
    kind: str
    findings: int
    outcome: str
    meaning: str

    @property
    def has_failed(self) -> bool:
        """Whether something is wrong with the warehouse itself."""
        return self.outcome == "FAILED"

    @property
    def was_made(self) -> bool:
        """Whether the check had something to look at."""
        return self.outcome != "NOT CHECKED"


def validate(conn: Connection) -> list[Check]:
    """Every check with its outcome: the required ones, then the advisory ones."""
    return rows_of(conn, Check, read_sql("checks/validate.sql"))
