"""Puts `--set a.b=c` values into a tree, creating what is not there."""

from pipeline.config.keypath import child, split
from pipeline.config.tree import Entry, Listing, Node, Scalar, Table
from pipeline.config.yaml_reader import UnreadableError, read_yaml
from pipeline.problem import Position, Problem, problem

COMMAND_LINE = "command line"


def override(node: Node, text: str) -> tuple[Node, list[Problem]]:
    """Return the tree with one override in it, or the tree as it was and what is wrong with the override."""
    at = Position(path=COMMAND_LINE, override=text)
    try:
        parts, rest = split(text)
    except ValueError:
        parts, rest = [], ""
    if not rest.startswith("="):
        return node, [problem("SW113", "not an override", "write --set stages.coder.timeout=20m", at=at)]
    value, problems = read_yaml(rest[1:], COMMAND_LINE, override=text)
    if problems:
        return node, problems
    if value is None:
        value = Scalar("", plain=True, at=at)
    try:
        return _put(node, parts, value, "", at), []
    except UnreadableError as error:
        return node, [error.problem]


def _put(node: Node, parts: list[str], value: Node, key: str, at: Position) -> Node:
    if not parts:
        return value
    name, rest = parts[0], parts[1:]
    here = child(key, name)
    if isinstance(node, Listing):
        return _put_item(node, name, rest, value, here, at)
    if isinstance(node, Table):
        if name == "0" and name not in node.entries and rest:  # one mapping stands for a list of one
            return _put(Listing((node,), node.at), parts, value, key, at)
        return _put_entry(node, name, rest, value, here, at)
    if node.empty:
        return _put_entry(Table({}, at), name, rest, value, here, at)
    raise _stop(f"`{key}` is a single value and has nothing below it", f"set {key} as a whole", here, at)


def _put_entry(table: Table, name: str, rest: list[str], value: Node, here: str, at: Position) -> Table:
    before = table.entries.get(name)
    below = _put(before.node if before else Table({}, at), rest, value, here, at)
    place = at if not rest or before is None else before.at
    return Table({**table.entries, name: Entry(place, below)}, table.at)


def _put_item(listing: Listing, name: str, rest: list[str], value: Node, here: str, at: Position) -> Listing:
    count = len(listing.items)
    if not name.isdecimal() or int(name) > count:
        raise _stop(f"`{name}` is no place in a list of {count}", f"write a number from 0 to {count}", here, at)
    index = int(name)
    below = _put(listing.items[index] if index < count else Table({}, at), rest, value, here, at)
    return Listing((*listing.items[:index], below, *listing.items[index + 1 :]), listing.at)


def _stop(message: str, hint: str, key: str, at: Position) -> UnreadableError:
    return UnreadableError(problem("SW113", message, hint, at=at, key=key))
