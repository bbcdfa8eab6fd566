"""Writes a tree as YAML: what was plain stays plain, what was quoted is quoted."""

import json
import re

from pipeline.config.tree import Entry, Listing, Node, Scalar, Table

STEP = "  "
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def write_yaml(node: Node) -> str:
    """Return the text of a whole document; reading it gives the same tree, positions apart."""
    return "\n".join(_lines(node)).lstrip("\n") + "\n"


def _lines(node: Node) -> list[str]:
    match node:
        case Scalar():
            return [_scalar(node)]
        case Table():
            return [line for name, entry in node.entries.items() for line in _entry(name, entry)] or ["{}"]
        case Listing():
            return [line for item in node.items for line in _item(item)] or ["[]"]


def _scalar(node: Scalar) -> str:
    return (node.text or "null") if node.plain else json.dumps(node.text, ensure_ascii=False)


def _entry(name: str, entry: Entry) -> list[str]:
    key = name if WORD.fullmatch(name) else json.dumps(name, ensure_ascii=False)
    lines = _lines(entry.node)
    if isinstance(entry.node, Scalar) or lines in (["{}"], ["[]"]):
        return [f"{key}: {lines[0]}"]
    return [f"{key}:", *(STEP + line for line in lines)]


def _item(item: Node) -> list[str]:
    first, *rest = _lines(item)
    return [f"- {first}", *(STEP + line for line in rest)]
