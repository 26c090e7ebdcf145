"""The list of `drift`: the changes in what the source publishes."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import asdict

from etl.load.drift_record import RecordedChange


def as_lines(changes: Sequence[RecordedChange]) -> list[str]:
    """The changes as a table for people."""
    if not changes:
        return ["no drift seen"]
    head = f"{'id':>4}  {'status':<13}{'severity':<10}{'where':<16}{'first seen (UTC)':<22}change"
    lines = [
        f"{entry.drift_id:>4}  {entry.status:<13}{entry.severity:<10}{entry.where:<16}{entry.first_seen:<22}{entry}"
        for entry in changes
    ]
    return [head, *lines]


def as_json(changes: Sequence[RecordedChange], done: str | None) -> dict[str, Any]:
    """The changes as `drift --json` prints them, with the sentence on what was accepted or taken back."""
    return {"drift": [asdict(entry) for entry in changes], "done": done}
