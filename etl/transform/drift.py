"""What has changed in what the source publishes, by two signals: its field definitions, and the shape of its data.

Both are compared with what was seen last for the same kind of endpoint, never with an ideal: the published
definitions name paths that the data never had, and the nation's reports hold less than the states'.

Pure: values in, values out.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

Signal = Literal["definition", "shape"]

# What the shape of the data can do.
PATH_ADDED, PATH_GONE, PATH_RENAMED, TYPE_CHANGED = "path added", "path gone", "path renamed", "type changed"
UNREADABLE = "definitions unreadable"
# What breaks documents, and can be taken as it is.
ACCEPTABLE = (PATH_GONE, PATH_RENAMED)
DATA = "data."


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that has changed; `breaking` if a document with it cannot load.

    Of the shape, `path` begins with `data.` or `meta.`, and `before` and `after` are types, of a renaming paths. Of a
    definition, `path` is its field, or its name where it has none.
    """

    signal: Signal
    change: str
    path: str
    before: str | None = None
    after: str | None = None
    breaking: bool = False

    def __str__(self) -> str:
        """For people: `path renamed: data.cases, now data.infections`."""
        was = f" (was {self.before})" if self.before and self.change != PATH_RENAMED else ""
        word = "titled" if self.change == "definition added" else "now"
        return f"{self.change}: {self.path}" + (f", {word} {self.after}" if self.after else "") + was


@dataclass(frozen=True, slots=True)
class Alias:
    """A published path that stands for one that we read; `published` is None where its absence was accepted."""

    path: str
    published: str | None


class Definition(Protocol):
    """A field definition, as published or as remembered."""

    @property
    def name(self) -> str:
        """The title."""

    @property
    def field(self) -> str | None:
        """The path; some definitions have none."""

    @property
    def deprecated(self) -> bool:
        """Whether the source says so."""

    @property
    def prior_names(self) -> list[str]:
        """Names that the field had before."""


def identity(definition: Definition) -> str:
    """What makes it the same definition tomorrow: its field, else its name."""
    return definition.field or definition.name


def compare_definitions(known: Collection[Definition], seen: Collection[Definition]) -> list[Change]:
    """How the definitions differ from those known; nothing where none were known or none are published."""
    if not known or not seen:
        return []
    before, after = ({identity(each): each for each in some} for some in (known, seen))
    renamed = _renamed(before, after)
    changes = [Change("definition", "definition renamed", new, old) for new, old in renamed.items()]
    for path, definition in after.items():
        if was := before.get(renamed.get(path, path)):
            changes += _definition_changes(path, was, definition)
        else:
            changes.append(Change("definition", "definition added", path, after=definition.name))
    gone = before.keys() - after.keys() - set(renamed.values())
    return changes + [Change("definition", "definition removed", path, before[path].name) for path in sorted(gone)]


def _renamed(before: Mapping[str, Definition], after: Mapping[str, Definition]) -> dict[str, str]:
    """New identity -> old one, where a new definition names one that has gone among its prior names."""
    gone = before.keys() - after.keys()
    return {
        path: old
        for path, definition in after.items()
        if path not in before
        for old in definition.prior_names
        if old in gone
    }


def _definition_changes(path: str, was: Definition, now: Definition) -> Iterator[Change]:
    if was.name != now.name:
        yield Change("definition", "definition retitled", path, was.name, now.name)
    if was.deprecated != now.deprecated:
        yield Change("definition", "definition deprecated" if now.deprecated else "definition restored", path)
    if path == identity(was) and was.prior_names != now.prior_names:
        names = (", ".join(was.prior_names), ", ".join(now.prior_names))
        yield Change("definition", "prior names changed", path, *names)


def explain_gone(
    gone: str, parts: Collection[str], added: Collection[str], definitions: Collection[Definition]
) -> list[Change]:
    """Why a path of a report that feeds columns is not there: renamed, as far as a definition says so, or gone.

    `parts` are the paths of metrics and attributes at or below it; `added` the paths that are new.
    """
    if published := _new_name(gone, added, definitions):
        return [_renamed_path(gone, published)]
    names = {part: _new_name(part, added, definitions) for part in parts}
    if not any(names.values()):
        return [Change("shape", PATH_GONE, DATA + gone, breaking=True)]
    return [
        _renamed_path(part, published) if published else Change("shape", PATH_GONE, DATA + part, breaking=True)
        for part, published in names.items()
    ]


def _renamed_path(path: str, published: str) -> Change:
    return Change("shape", PATH_RENAMED, DATA + path, DATA + path, DATA + published, breaking=True)


def _new_name(path: str, added: Collection[str], definitions: Collection[Definition]) -> str | None:
    """The new path that a definition offers for an old one by its prior names."""
    for definition in definitions:
        for prior in definition.prior_names if definition.field else ():
            for published, old in _shortened(definition.field or "", prior):
                if old == path and any(f"{published}.".startswith(f"{new}.") for new in added):
                    return published
    return None


def _shortened(published: str, prior: str) -> Iterator[tuple[str, str]]:
    """Two paths, and then without each ending that they share: where `b.x` was `a.x`, it may be that `b` was `a`."""
    new, old = published.split("."), prior.split(".")
    while new and old:
        yield ".".join(new), ".".join(old)
        if new.pop() != old.pop():
            return
