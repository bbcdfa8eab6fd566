"""Reads YAML into a tree with positions: no tags, no duplicate keys, and anchors that cannot explode."""

from collections.abc import Iterator
from typing import Any

import yaml

from pipeline.config.keypath import child
from pipeline.config.tree import Entry, Listing, Node, Scalar, Table
from pipeline.problem import Position, Problem, problem

DEPTH = 40
NODES = 20_000
MERGE = "<<"


class UnreadableError(Exception):
    """The text cannot be read any further."""

    def __init__(self, found: Problem) -> None:
        super().__init__(found.message)
        self.problem = found


def read_yaml(
    text: str, path: str, *, override: str | None = None, line_offset: int = 0
) -> tuple[Node | None, list[Problem]]:
    """Return the document's tree (None when there is none) and every problem of its form.

    With `override` all of it stands on the command line, without line and column.
    """
    reader = _Reader(text, path, override, line_offset)
    try:
        return reader.document(), reader.problems
    except UnreadableError as error:
        return None, [*reader.problems, error.problem]


class _Reader:
    """Builds the tree from the parser's events, which come without recursion however deep the text nests."""

    def __init__(self, text: str, path: str, override: str | None, line_offset: int) -> None:
        self.path, self.override, self.line_offset = path, override, line_offset
        self.problems: list[Problem] = []
        self.anchors: dict[str, Node | None] = {}  # None while the anchored value is still being read
        self.events = self._events(text)

    def document(self) -> Node | None:
        next(self.events)  # the stream starts
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return None
        node = self._node(next(self.events), "", 0)
        next(self.events)  # the document ends
        after = next(self.events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise self._stop(after.start_mark, "a second document starts here", "keep one document, remove this `---`")
        return node

    def _events(self, text: str) -> Iterator[Any]:
        try:
            yield from yaml.parse(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._stop(
                mark, f"not valid YAML: {error.problem}", "check indentation, colons and quotes"
            ) from error
        except yaml.YAMLError as error:
            raise self._stop(None, f"not valid YAML: {str(error).splitlines()[0]}", "save it as UTF-8 text") from error

    def _at(self, mark: Any) -> Position:
        if self.override is not None or mark is None:
            return Position(path=self.path, override=self.override)
        return Position(path=self.path, line=mark.line + 1 + self.line_offset, column=mark.column + 1)

    def _stop(self, mark: Any, message: str, hint: str, key: str = "") -> UnreadableError:
        return UnreadableError(problem("SW102", message, hint, at=self._at(mark), key=key or None))

    def _node(self, event: Any, key: str, depth: int) -> Node:
        if depth > DEPTH:
            raise self._stop(event.start_mark, f"nested deeper than {DEPTH} levels", "flatten it", key)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, key)
        if event.tag not in {None, "!"}:
            message = f"the tag `{event.tag}` is not supported"
            self.problems.append(self._stop(event.start_mark, message, "write the plain value", key).problem)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        node = self._value(event, key, depth)
        if node.size > NODES:
            raise self._stop(
                event.start_mark, f"more than {NODES} values once its aliases are put in", "shorten it", key
            )
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _alias(self, event: Any, key: str) -> Node:
        node = self.anchors.get(event.anchor)
        if node is None:
            inside = event.anchor in self.anchors
            message = f"the alias `*{event.anchor}` " + ("stands inside its own anchor" if inside else "has no anchor")
            raise self._stop(event.start_mark, message, f"define `&{event.anchor}` before it", key)
        return node

    def _value(self, event: Any, key: str, depth: int) -> Node:
        at = self._at(event.start_mark)
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(event.value, event.style in {None, ""}, at)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._listing(at, key, depth)
        return self._table(at, key, depth)

    def _listing(self, at: Position, key: str, depth: int) -> Listing:
        items: list[Node] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._node(event, child(key, len(items)), depth + 1))
        return Listing(tuple(items), at, 1 + sum(item.size for item in items))

    def _table(self, at: Position, key: str, depth: int) -> Table:
        entries: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._stop(event.start_mark, "a key must be a single word", "quote it, or check the `:`", key)
            place, name = self._at(event.start_mark), event.value
            node = self._node(next(self.events), child(key, name), depth + 1)
            if name == MERGE and event.style in {None, ""}:
                merged.update(self._merge(node, event, key))
            elif name in entries:
                self.problems.append(self._duplicate(child(key, name), place, entries[name].at))
            else:
                entries[name] = Entry(place, node)
        everything = {**merged, **entries}
        return Table(everything, at, 1 + sum(entry.node.size for entry in everything.values()))

    def _merge(self, node: Node, event: Any, key: str) -> dict[str, Entry]:
        parts = node.items if isinstance(node, Listing) else [node]
        merged: dict[str, Entry] = {}
        for part in reversed(parts):  # the first named wins
            if not isinstance(part, Table):
                raise self._stop(event.start_mark, "`<<` takes a mapping", "write `<<: *anchor`", key)
            merged.update(part.entries)
        return merged

    def _duplicate(self, key: str, at: Position, first: Position) -> Problem:
        before = f"line {first.line}, column {first.column}" if first.line else "the same value"
        return problem("SW103", f"duplicate key, first at {before}", "keep one of the two", at=at, key=key)
