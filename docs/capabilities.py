"""Writes each vendor's capability tables into its page, from the vendor's own module: `make capabilities`."""

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.loader import surface
from pipeline.surface import Capabilities, Surface

FOLDER = Path(__file__).parent / "vendors"
# A page -> the vendors it is about.
PAGES = {
    "anthropic": ("anthropic",),
    "openai": ("openai",),
    "google": ("google",),
    "compatible": ("compatible", "ollama", "lmstudio", "vllm", "litellm", "openrouter", "azure"),
    "claude-code": ("claude-code",),
    "codex": ("codex",),
    "gemini-cli": ("gemini-cli",),
    "scripted": ("scripted",),
}
BEGIN = "<!-- capabilities: written by `make capabilities` from the vendor's module -->"
END = "<!-- end of capabilities -->"
_BLOCK = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}\n", re.DOTALL)
_TOOLS = {"native": "native", "text": "as text", "either": "native; as text where the server takes none"}
_SCHEMA = {"strict": "strict at the vendor, and validated by us", "validated": "validated by us"}
_SERVERS_SCHEMA = "strict where the server takes that, and validated by us"
_CACHING = {"automatic": "automatic", "markers": "markers that we set", "none": "none of ours"}


class NoBlockError(ValueError):
    """A page has no place for the tables."""


def page(name: str) -> Path:
    """Return a page's file."""
    return FOLDER / f"{name}.md"


def refreshed(text: str, vendors: Sequence[str]) -> str:
    """Return a page's text with its tables as the code has them.

    :raises NoBlockError: the page has not exactly one block.
    """
    if len(_BLOCK.findall(text)) != 1:
        raise NoBlockError(f"the page needs one block between {BEGIN!r} and {END!r}")
    return _BLOCK.sub(lambda _old: f"{BEGIN}\n{tables([surface(vendor) for vendor in vendors])}{END}\n", text)


def tables(surfaces: Sequence[Surface]) -> str:
    """Return the tables of a page: how its vendors are reached, what they do, what each model takes."""
    tabled = _with_a_table(surfaces)
    parts = [_reached(surfaces), _rows(surfaces), *(_models(each, titled=len(tabled) > 1) for each in tabled)]
    return "".join(f"\n{part}\n" for part in parts) + "\n"


def _with_a_table(surfaces: Sequence[Surface]) -> list[Surface]:
    """Return the vendors whose models differ from those of one that comes before."""
    tabled: dict[tuple[tuple[str, ...], Capabilities], Surface] = {}
    for each in surfaces:
        tabled.setdefault((each.models, each.vendor_row), each)
    return list(tabled.values())


def _reached(surfaces: Iterable[Surface]) -> str:
    rows = [(f"`{each.name}`", _key(each), _address(each)) for each in surfaces]
    return _table(("`vendor:`", "key (first set wins)", "address"), rows)


def _key(vendor: Surface) -> str:
    named = _codes(vendor.key_variables)
    if vendor.program is not None:
        login = f"the login of `{vendor.program.name}`"
        return f"{named}, else {login}" if named else login
    if vendor.name == "compatible":
        return "what `api_key_env` names"
    return (named + (", if set" if vendor.key_optional else "")) or "none"


def _address(vendor: Surface) -> str:
    parts = [_codes(vendor.address_variables), f"`{vendor.default_base_url}`" if vendor.default_base_url else ""]
    own = "`base_url`, required" if vendor.vouches else "the program's own" if vendor.program else "none"
    return ", else ".join(part for part in parts if part) or own


def _rows(surfaces: Sequence[Surface]) -> str:
    """Return one column per kind of vendor: those alike share it."""
    columns: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for each in surfaces:
        columns.setdefault(_row(each), []).append(f"`{each.name}`")
    titles = [", ".join(names) for names in columns.values()]
    lines = zip(*columns, strict=True)
    return _table(("", *titles), [(cells[0][0], *(value for _, value in cells)) for cells in lines])


def _row(vendor: Surface) -> tuple[tuple[str, str], ...]:
    counts = any(row.counting for row in _known(vendor).values())
    listed = "the price catalogue has it or " if vendor.price_provider else ""
    unknown = "taken on the server's word" if vendor.vouches else f"refused, unless {listed}`models:` declares it"
    return (
        *_program(vendor),
        ("protocols (`api:`)", _codes(vendor.apis) or "its own"),
        ("tools", _TOOLS[vendor.tools]),
        ("schema of tools", _SERVERS_SCHEMA if vendor.tools == "either" else _SCHEMA[vendor.schema]),
        ("streamed", "yes" if vendor.streaming else "no"),
        ("counting beforehand", "yes, free of charge" if counts else "no"),
        ("caching", _CACHING[vendor.caching]),
        ("cost from", _cost(vendor)),
        ("a model we do not know", "any id is taken" if vendor.capabilities("any") else unknown),
    )


def _program(vendor: Surface) -> Iterable[tuple[str, str]]:
    if vendor.program is not None:
        oldest, unknown = (".".join(map(str, version)) for version in vendor.program.versions)
        yield "program", f"`{vendor.program.name}`, {oldest} or newer, below {unknown}"


def _cost(vendor: Surface) -> str:
    if vendor.program is not None:
        return "nowhere: tokens count against the subscription's quota"
    own = "`prices` of yours"
    return f"{own}, else the catalogue (`{vendor.price_provider}`)" if vendor.price_provider else f"{own}, else unknown"


def _known(vendor: Surface) -> dict[str, Capabilities]:
    """Return each model's row, and that of any other."""
    rows = {f"`{model}`": vendor.capabilities(model) for model in vendor.models}
    known = {model: row for model, row in rows.items() if row is not None}
    return known | {"any other" if known else "any": vendor.vendor_row}


def _models(vendor: Surface, *, titled: bool) -> str:
    head = (
        f"model of `{vendor.name}`" if titled else "model",
        "efforts",
        "default",
        "temperature",
        "output",
        "input",
        "retires",
    )
    return _table(head, [(model, *_cells(row)) for model, row in _known(vendor).items()])


def _cells(row: Capabilities) -> tuple[str, ...]:
    instead = f", then `{row.replacement}`" if row.replacement else ""
    return (
        " ".join(row.efforts) or "-",
        row.default_effort or ("the server's" if row.efforts else "-"),
        "yes" if row.temperature else "no",
        f"{row.max_output_tokens:,}",
        f"{row.max_input_tokens:,}",
        f"{row.retired_on}{instead}" if row.retired_on else "",
    )


def _codes(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main() -> None:
    """Write every page anew and name those that changed."""
    for name, vendors in PAGES.items():
        before = page(name).read_text(encoding="utf-8")
        after = refreshed(before, vendors)
        if after != before:
            page(name).write_text(after, encoding="utf-8")
            sys.stdout.write(f"docs/vendors/{name}.md\n")


if __name__ == "__main__":
    main()
