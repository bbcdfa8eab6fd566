"""What is known about a vendor's model: by the vendor's own table, or because somebody vouches for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.config.keypath import child
from pipeline.config.report import Report
from pipeline.config.words import nearest
from pipeline.metering.prices import catalogue_knows, catalogue_models
from pipeline.surface import Capabilities, Surface


@dataclass(frozen=True, slots=True)
class Named:
    """A model as a rung names it, aliases resolved. `declared` when an entry of `models:` describes it."""

    id: str
    like: str | None = None
    declared: str | None = None


def resolved_like(like: str | None, models: Mapping[str, Any]) -> str | None:
    """Return the id of the model that a declaration is like, which may be named by its alias."""
    other = models.get(like) if like else None
    if isinstance(other, dict):
        return str(other.get("id", like))
    return other if isinstance(other, str) else like


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The vendors' tables together with the file's `models:` and `vendors:`."""

    surfaces: Mapping[str, Surface]
    models: Mapping[str, Any]
    vendors: Mapping[str, Any]
    report: Report

    def named(self, text: str) -> Named:
        """Resolve an alias, or the id of a declared model."""
        entry = self.models.get(text)
        if isinstance(entry, str):
            return self._declared(entry)
        if isinstance(entry, dict):
            return Named(entry.get("id", text), resolved_like(entry.get("like"), self.models), text)
        return self._declared(text)

    def _declared(self, model: str) -> Named:
        for alias, entry in self.models.items():
            if isinstance(entry, dict) and entry.get("id") == model:
                return Named(model, resolved_like(entry.get("like"), self.models), alias)
        return Named(model)

    def surface(self, vendor: str, key: str) -> Surface | None:
        """Return a vendor's surface, None after a problem at `key`."""
        if vendor in self.surfaces:
            return self.surfaces[vendor]
        guess = nearest(vendor, tuple(self.surfaces))
        known = f"known: {', '.join(self.surfaces)}"
        if child("vendors", vendor) not in self.report.positions:  # an entry of its own has been refused
            own = f"or give it an entry of its own: `{child('vendors', vendor)}: {{base_url: ...}}`"
            hint = f"did you mean `{guess}`?" if guess else f"{known}; {own}"
            self.report.refuse("SW201", key, f"unknown vendor `{vendor}`", hint)
        return None

    def row(self, surface: Surface, model: Named, key: str) -> Capabilities | None:
        """Return a model's capabilities, None after a problem at `key`."""
        if model.like is not None:
            return self._row_like(surface, model)
        row = surface.capabilities(model.id)
        if row is not None:
            return row
        voucher = self._voucher(surface, model)
        if voucher is None:
            self.report.refuse(
                "SW202", key, f"{surface.name} has no model `{model.id}` we know", self._hint(surface, model.id)
            )
            return None
        self.report.note(
            f"{surface.name}/{model.id} is taken on the word of {voucher}, with {surface.name}'s usual knobs"
        )
        return surface.vendor_row

    def _row_like(self, surface: Surface, model: Named) -> Capabilities | None:
        row = surface.capabilities(model.like or "")
        if row is None:
            key = child(child("models", model.declared or ""), "like")
            message = f"{surface.name} has no model `{model.like}` we know"
            self.report.refuse("SW202", key, message, self._hint(surface, model.like or ""))
        return row

    def _voucher(self, surface: Surface, model: Named) -> str | None:
        if model.declared is not None:
            return f"`{child('models', model.declared)}`"
        if self.vendors.get(surface.name, {}).get("base_url"):
            return f"`vendors.{surface.name}.base_url`"
        if surface.price_provider and catalogue_knows(surface.price_provider, model.id):
            return "the price catalogue"
        return f"`{surface.name}`'s own server" if surface.vouches else None

    def _hint(self, surface: Surface, model: str) -> str:
        apis = {name: other for name, other in self.surfaces.items() if other.program is None}
        owner = next((name for name, other in apis.items() if model in other.models), None)
        if owner is not None and owner != surface.name:
            return f"it is a model of `{owner}`"
        listed = catalogue_models(surface.price_provider) if surface.price_provider else ()
        guess = nearest(model, [*surface.models, *listed, *self.models])
        declare = "declare it under `models:` if it is newer than this version"
        if guess:
            return f"did you mean `{guess}`? Else {declare}"
        return f"known: {', '.join(surface.models)}; or {declare}" if surface.models else declare
