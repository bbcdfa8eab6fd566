"""The import rules of the three packages, as functions over parsed source."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

LAYERS = ("sandbox", "stages", "pipeline")  # each may import those before it
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"}
# A foreign package -> the only places of ours that may import it. Places, not names: a new module needs no new row.
BEHIND_A_SEAM = {
    "anthropic": ("pipeline/vendors/anthropic/*.py",),
    "openai": ("pipeline/vendors/openai/*.py",),
    "google": ("pipeline/vendors/google/*.py",),
    "docker": ("sandbox/*.py",),
    "git": ("pipeline/git/*.py",),
    "yaml": ("pipeline/config/*.py", "pipeline/vendors/scripted/*.py", "pipeline/ticket*.py"),
    "rich": ("pipeline/reporting/live_table.py",),
}
# What must not be loaded before a call is due: importing the package on the left may not lead to it.
WITHOUT_SDK = ("pipeline/vendors/*/__init__.py", "pipeline/loader.py", "pipeline/cli.py", "stages/*.py")
SDKS = {"anthropic", "openai", "google", "docker"}
WRAPPED_IMPORTS = "pipeline/vendors/*/sdk.py"
# The only places that may import by name at run time: the folders that are registries, the terminal table, and
# preflight, whose look at the file alone must load neither Docker's library nor git's.
LOADERS = (
    "pipeline/cli.py",
    "pipeline/loader.py",
    "pipeline/reporting/live.py",
    "pipeline/preflight/__init__.py",
    "sandbox/registry.py",
)


@dataclass(frozen=True, slots=True)
class Module:
    """One source file: its path with `/` and its syntax tree."""

    path: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Return the dotted name."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def layer(self) -> str:
        """Return the package it belongs to."""
        return self.path.split("/", 1)[0]


def modules(root: Path) -> dict[str, Module]:
    """Return every module below the three packages by dotted name."""
    files = (file for layer in LAYERS for file in (root / layer).rglob("*.py"))
    parsed = (Module(file.relative_to(root).as_posix(), ast.parse(file.read_bytes())) for file in files)
    return {module.name: module for module in parsed}


def problems(found: Mapping[str, Module]) -> list[str]:
    """Return every breach of a rule, one line each."""
    lines = [line for module in found.values() for line in _of_module(module, found)]
    return sorted(lines) + _cycles(found)


def _of_module(module: Module, found: Mapping[str, Module]) -> Iterator[str]:
    if not ast.get_docstring(module.tree):
        yield f"{module.path}: has no docstring"
    if FORBIDDEN_NAMES & set(module.name.split(".")):
        yield f"{module.path}: its name says nothing"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _of_import(module, node, found)
        elif isinstance(node, ast.expr) and _loads_by_name(node) and module.path not in LOADERS:
            yield f"{module.path}:{node.lineno}: imports by name outside the loaders"
    if any(fnmatchcase(module.path, pattern) for pattern in WITHOUT_SDK):
        for sdk in sorted(SDKS & _reached(module, found)):
            yield f"{module.path}: importing it leads to {sdk}"


def _of_import(module: Module, node: ast.Import | ast.ImportFrom, found: Mapping[str, Module]) -> Iterator[str]:
    place = f"{module.path}:{node.lineno}"
    if node not in _top_level(module):
        yield f"{place}: an import that is not at module level"
    if isinstance(node, ast.ImportFrom) and node.level:
        yield f"{place}: a relative import"
    for name in _imported(node, found):
        yield from _misplaced(module, place, name)


def _top_level(module: Module) -> list[ast.stmt]:
    """Return the statements of a module; a vendor may wrap its SDK's import to silence the warnings it makes."""
    wrapped = (node for node in module.tree.body if isinstance(node, ast.With))
    inner = [child for node in wrapped for child in node.body] if fnmatchcase(module.path, WRAPPED_IMPORTS) else []
    return [*module.tree.body, *inner]


def _reached(module: Module, found: Mapping[str, Module]) -> set[str]:
    """Return the foreign packages that importing a module leads to, through any number of modules of ours."""
    seen: set[str] = set()
    waiting = [module.name]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += _imports(found[name], found) if name in found else []
    return {name.split(".", 1)[0] for name in seen}


def _imports(module: Module, found: Mapping[str, Module]) -> list[str]:
    nodes = (node for node in _top_level(module) if isinstance(node, ast.Import | ast.ImportFrom))
    return [name for node in nodes for name in _imported(node, found)]


def _misplaced(module: Module, place: str, name: str) -> Iterator[str]:
    package = name.split(".", 1)[0]
    if package in LAYERS and LAYERS.index(package) > LAYERS.index(module.layer):
        yield f"{place}: {module.layer} imports {name}, which is above it"
    if package in {"tests", "examples", "benchmarks"}:
        yield f"{place}: imports {name}, which is not part of the program"
    allowed = BEHIND_A_SEAM.get(package)
    if allowed is not None and not any(fnmatchcase(module.path, pattern) for pattern in allowed):
        yield f"{place}: imports {package} outside {', '.join(allowed)}"


def _imported(node: ast.Import | ast.ImportFrom, found: Mapping[str, Module]) -> list[str]:
    """Return the modules a statement imports; `from package import module` names the module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    origin = node.module or ""
    names = [f"{origin}.{alias.name}" for alias in node.names]
    return list(dict.fromkeys(name if name in found else origin for name in names))


def _loads_by_name(node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == "import_module"
    return isinstance(node, ast.Name) and node.id in {"__import__", "import_module", "entry_points"}


def _cycles(found: Mapping[str, Module]) -> list[str]:
    graph = {
        name: {target for target in _imports(module, found) if target in found and target != name}
        for name, module in found.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [f"modules import each other in a circle: {' -> '.join(error.args[1])}"]
    return []
