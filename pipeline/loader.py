"""Find vendors and stages by name: the folder is the registry, entry points add to it.

A vendor's SDK is imported only by `connect`, in a worker thread, because that takes up to two seconds.
"""

import importlib
import pkgutil
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from anyio import to_thread

from pipeline import vendors
from pipeline.errors import InfrastructureError
from pipeline.surface import Adapter, Binding, Surface
from stages.artifacts import StageName
from stages.contract import Stage
from stages.model import Model

VENDOR_GROUP = "stagewright.vendors"
STAGE_GROUP = "stagewright.stages"


class UnknownVendorError(KeyError):
    """No vendor has this name; the message lists the known ones."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(name)
        self.name = name
        self.known = known

    def __str__(self) -> str:
        return f"no vendor is called {self.name!r} (known: {', '.join(self.known)})"


def surface(name: str) -> Surface:
    """Return what vendor `name` offers, without importing its SDK.

    :raises UnknownVendorError: nothing of that name is built in or installed.
    :raises InfrastructureError: an installed vendor plug-in cannot be loaded.
    """
    if name in _built_in():
        module = importlib.import_module(f"{vendors.__name__}.{_module(name)}")
        return cast("Surface", module.SURFACE)
    for point in entry_points(group=VENDOR_GROUP):
        if point.name == name:
            return _checked(_load(point), point)
    raise UnknownVendorError(name, surface_names())


def surface_names() -> tuple[str, ...]:
    """Return the names of all vendors, built in and installed, sorted."""
    installed = (point.name for point in entry_points(group=VENDOR_GROUP))
    return tuple(sorted({*_built_in(), *installed}))


async def connect(name: str, binding: Binding) -> Model:
    """Import vendor `name`'s adapter in a worker thread and bind a model; no request is made.

    :raises UnknownVendorError: no such vendor.
    :raises InfrastructureError: the adapter or its SDK cannot be imported.
    """
    path = surface(name).adapter
    try:
        adapter = await to_thread.run_sync(importlib.import_module, path)
    except ImportError as error:
        message = f"vendor {name}: {path} cannot be imported ({error}); install stagewright again with its dependencies"
        raise InfrastructureError(message) from error
    return cast("Adapter", adapter).connect(binding)


def stage(name: StageName) -> Stage:
    """Return the stage called `name`: an installed replacement if there is one, else the built-in module.

    :raises InfrastructureError: an installed replacement cannot be loaded.
    """
    for point in entry_points(group=STAGE_GROUP):
        if point.name == name:
            return cast("Stage", _load(point))
    return cast("Stage", importlib.import_module(f"stages.{name}"))


@cache
def _built_in() -> frozenset[str]:
    """Return the vendors of the folder; modules that start with an underscore are shared parts."""
    modules = (module.name for module in pkgutil.iter_modules(vendors.__path__))
    return frozenset(module.replace("_", "-") for module in modules if not module.startswith("_"))


def _module(name: str) -> str:
    return name.replace("-", "_")


def _load(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:  # a plug-in is anybody's code and may fail in any way
        message = f"plug-in {point.name!r} ({point.value}) cannot be loaded: {type(error).__name__}: {error}"
        raise InfrastructureError(message) from error


def _checked(loaded: Any, point: EntryPoint) -> Surface:
    """Accept a Surface or a module that has one."""
    found = getattr(loaded, "SURFACE", loaded)
    if isinstance(found, Surface):
        return found
    message = f"plug-in {point.name!r} ({point.value}) is no pipeline.surface.Surface and has no SURFACE"
    raise InfrastructureError(message)
