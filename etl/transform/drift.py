"""Changes in what the source publishes, by two signals: its field definitions, and the shape of its data.

The definitions are compared with the last ones of the same kind of endpoint, and never with the data: they name paths
that the data never had. The shape is compared with the one that is declared for the kind of endpoint, since the
nation's reports hold less than the states'; `ops.drift` remembers which changes were seen before.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from etl.transform.records import FieldDefinition

Signal = Literal["definition", "shape"]

# The changes in the shape of the data.
PATH_ADDED, PATH_GONE, PATH_RENAMED, TYPE_CHANGED = "path added", "path gone", "path renamed", "type changed"
UNREADABLE = "definitions unreadable"
# The prefix of every path in the shape of a report.
DATA = "data."


class Change(Struct, frozen=True):
    """One thing that has changed; a document with a `breaking` change cannot load.

    In a change of shape `path` begins with `data.` or `meta.`, and `before` and `after` are types, or the paths of a
    renaming. In a change of a definition `path` is its field, or its name where it has none.
    """

    signal: Signal
    change: str
    path: str
    before: str | None = None
    after: str | None = None
    breaking: bool = False

    def __str__(self) -> str:
        """The change in words: `path renamed: data.cases, now data.infections`."""
        was = f" (was {self.before})" if self.before and self.change != PATH_RENAMED else ""
        word = "titled" if self.change == "definition added" else "now"
        return f"{self.change}: {self.path}" + (f", {word} {self.after}" if self.after else "") + was


class Alias(Struct, frozen=True):
    """A `published` path that stands for the `path` that we read; None if nothing is published any more."""

    path: str
    published: str | None


class Observation(Struct, frozen=True):
    """The drift and the definitions that a document shows; a rejected document shows only its drift."""

    endpoint_kind: str
    location_code: str
    build_time: datetime | None
    changes: tuple[Change, ...]
    definitions: Sequence[FieldDefinition] = ()


def identity(definition: FieldDefinition) -> str:
    """The key by which a definition is found again in another document: its field, else its name."""
    return definition.field or definition.name


def compare_definitions(known: Collection[FieldDefinition], seen: Collection[FieldDefinition]) -> list[Change]:
    """The changes of the definitions; none if none were known before, or none are published now."""
    if not known or not seen:
        return []
    before, after = ({identity(item): item for item in definitions} for definitions in (known, seen))
    gone = before.keys() - after.keys()
    # New identity -> old one, where a new definition names a missing one among its prior names.
    renamed = {
        path: old
        for path, definition in after.items()
        if path not in before
        for old in definition.prior_names
        if old in gone
    }
    changes = [Change("definition", "definition renamed", new, old) for new, old in renamed.items()]
    for path, definition in after.items():
        if was := before.get(renamed.get(path, path)):
            changes += _definition_changes(path, was, definition)
        else:
            changes.append(Change("definition", "definition added", path, after=definition.name))
    removed = sorted(gone - set(renamed.values()))
    return changes + [Change("definition", "definition removed", path, before[path].name) for path in removed]


def _definition_changes(path: str, was: FieldDefinition, now: FieldDefinition) -> Iterator[Change]:
    if was.name != now.name:
        yield Change("definition", "definition retitled", path, was.name, now.name)
    if was.deprecated != now.deprecated:
        yield Change("definition", "definition deprecated" if now.deprecated else "definition restored", path)
    if path == identity(was) and was.prior_names != now.prior_names:
        names = (", ".join(was.prior_names), ", ".join(now.prior_names))
        yield Change("definition", "prior names changed", path, *names)


def explain_gone(
    gone: str, parts: Collection[str], added: Collection[str], definitions: Collection[FieldDefinition]
) -> list[Change]:
    """The changes for a path that a report lacks: it was renamed, if a definition says so; else it is gone.

    `parts` are the declared paths of metrics and attributes at or below it; `added` are the paths that are new.
    """
    names = {path: _new_name(path, added, definitions) for path in (gone, *parts)}
    # The whole has one reason if it has a new name, or if no part of it has one.
    paths = [gone] if names[gone] or not any(names.values()) else parts
    return [
        Change("shape", PATH_RENAMED, DATA + path, DATA + path, DATA + published, breaking=True)
        if (published := names[path])
        else Change("shape", PATH_GONE, DATA + path, breaking=True)
        for path in paths
    ]


def _new_name(path: str, added: Collection[str], definitions: Collection[FieldDefinition]) -> str | None:
    """The new path for an old one, where a definition has the old one among its prior names."""
    for definition in definitions:
        for prior in definition.prior_names if definition.field else ():
            for published, old in _shortened(definition.field or "", prior):
                if old == path and any(f"{published}.".startswith(f"{new}.") for new in added):
                    return published
    return None


def _shortened(published: str, prior: str) -> Iterator[tuple[str, str]]:
    """The two paths, and the same without each ending that they share: if `b.x` was `a.x`, `b` may have been `a`."""
    new, old = published.split("."), prior.split(".")
    while new and old:
        yield ".".join(new), ".".join(old)
        if new.pop() != old.pop():
            return
