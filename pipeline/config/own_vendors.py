"""Finds the vendors a file can name: those built in or installed, and OpenAI-compatible servers of its own."""

import re
from collections.abc import Iterator
from dataclasses import replace

from pipeline import loader
from pipeline.config.tree import Listing, Node, Scalar, Table
from pipeline.config.words import nearest
from pipeline.surface import Surface

OWN = "compatible"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


def known_vendors(root: Node | None) -> dict[str, Surface]:
    """Return every vendor by name. An entry with a `base_url` is one, unless it looks like a misspelt known name.

    A stage that names it too shows that the name is meant.
    """
    surfaces = {name: loader.surface(name) for name in loader.surface_names()}
    used = set(_served(root)) if root is not None else set()
    for name in _with_address(root):
        misspelt = name not in used and nearest(name, tuple(surfaces)) is not None
        if name not in surfaces and NAME.fullmatch(name) and not misspelt:
            surfaces[name] = replace(surfaces[OWN], name=name)
    return surfaces


def _with_address(root: Node | None) -> Iterator[str]:
    entry = root.entries.get("vendors") if isinstance(root, Table) else None
    if entry is None or not isinstance(entry.node, Table):
        return
    for name, vendor in entry.node.entries.items():
        if isinstance(vendor.node, Table) and "base_url" in vendor.node.entries:
            yield name


def _served(node: Node) -> Iterator[str]:
    """Yield every text under a key `vendor`."""
    match node:
        case Table():
            for name, entry in node.entries.items():
                if name == "vendor" and isinstance(entry.node, Scalar):
                    yield entry.node.text
                yield from _served(entry.node)
        case Listing():
            for item in node.items:
                yield from _served(item)
        case _:
            return
