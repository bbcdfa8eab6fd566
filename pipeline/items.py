"""The order in which the items of a manifest are worked on. Pure."""

from collections.abc import Iterable

from stages.artifacts import Manifest


def ordered(manifest: Manifest) -> tuple[str, ...]:
    """Return the item ids in dependency order, ties in manifest order.

    A dependency that is no item of this manifest (an item accepted before a re-plan) holds nothing up.
    :raises ValueError: the dependencies form a cycle; the manifest gates reject such a manifest.
    """
    dependencies = {item.id: set(item.depends_on) for item in manifest.work_items}
    order = settled(dependencies)
    if stuck := [item for item in dependencies if item not in order]:
        raise ValueError(f"the dependencies of these items form a cycle: {', '.join(stuck)}")
    return order


def settled(dependencies: dict[str, set[str]]) -> tuple[str, ...]:
    """Return the ids that can be reached in dependency order; those in or behind a cycle are missing."""
    waiting = {item: needs & dependencies.keys() for item, needs in dependencies.items()}
    order: list[str] = []
    while ready := _first(item for item, needs in waiting.items() if needs <= set(order)):
        order.append(ready)
        del waiting[ready]
    return tuple(order)


def _first(items: Iterable[str]) -> str | None:
    return next(iter(items), None)
