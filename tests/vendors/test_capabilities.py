"""What the pages say of each vendor is what its module says, and that is what goes over the wire."""

import json
from pathlib import Path

import pytest

from docs.capabilities import BEGIN, END, FOLDER, PAGES, NoBlockError, page, refreshed
from pipeline.loader import surface, surface_names
from stages.model import Model
from tests.loopback import LoopbackServer, Say, always
from tests.vendors.bench import ASK, BENCHES, CHAT, TEXT, Bench

ALL = [*BENCHES, CHAT]


def vendors_named(benches: list[Bench]) -> list[str]:
    return [bench.vendor for bench in benches]


def test_every_vendor_has_exactly_one_page() -> None:
    assert sorted(vendor for vendors in PAGES.values() for vendor in vendors) == list(surface_names())
    assert sorted(PAGES) == sorted(file.stem for file in FOLDER.glob("*.md"))


@pytest.mark.parametrize("name", PAGES)
def test_no_page_is_stale(name: str) -> None:
    text = page(name).read_text(encoding="utf-8")
    assert refreshed(text, PAGES[name]) == text, "type `make capabilities`"


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_linked_from_the_overview(name: str) -> None:
    assert f"(vendors/{name}.md)" in Path(FOLDER.parent, "vendors.md").read_text(encoding="utf-8")


def test_a_changed_table_would_be_noticed() -> None:
    text = page("anthropic").read_text(encoding="utf-8")
    wrong = text.replace("| `claude-opus-5-5` | low medium", "| `claude-opus-5-5` | medium")
    assert wrong != text
    assert refreshed(wrong, PAGES["anthropic"]) == text
    assert refreshed(text, PAGES["openai"]) != text


@pytest.mark.parametrize("text", ["# A page\n", f"{BEGIN}\nold\n", f"{BEGIN}\n{END}\n{BEGIN}\n{END}\n"])
def test_a_page_without_one_place_for_its_tables_is_an_error(text: str) -> None:
    with pytest.raises(NoBlockError, match="the page needs one block"):
        refreshed(text, ("scripted",))


@pytest.mark.parametrize("bench", ALL, ids=vendors_named(ALL))
def test_a_vendor_is_asked_as_its_row_says(bench: Bench) -> None:
    row = surface(bench.vendor)

    async def asked(model: Model, server: LoopbackServer) -> tuple[int | None, LoopbackServer]:
        await model.complete(ASK)
        return await model.count_tokens(ASK), server

    counted, server = bench.run(always(Say("fine")), asked)
    first = server.log[0]
    capabilities = row.capabilities(bench.model) or row.vendor_row
    assert (counted is not None) == capabilities.counting
    assert ('"cache_control"' in json.dumps(first.json)) == (row.caching == "markers")
    assert (bench.tool_on_wire(first.json).get("strict") is True) == (row.schema == "strict")
    assert (first.json.get("stream") is True or "streamGenerateContent" in first.path) == row.streaming


def test_only_servers_that_may_lack_tools_are_said_to_take_them_either_way() -> None:
    assert TEXT.ask(always(Say("fine"))).turn.text == "fine"
    assert {bench.vendor: surface(bench.vendor).tools for bench in ALL} == {
        "anthropic": "native",
        "openai": "native",
        "google": "native",
        "compatible": "either",
    }


def test_a_program_speaks_text_counts_nothing_and_costs_no_dollars() -> None:
    programs = [each for each in map(surface, surface_names()) if each.program is not None]
    assert {each.name for each in programs} == {"claude-code", "codex", "gemini-cli"}
    for each in programs:
        rows = [each.vendor_row, *filter(None, map(each.capabilities, each.models))]
        assert (each.tools, each.schema, each.caching, each.price_provider) == ("text", "validated", "none", None)
        assert not any(row.counting for row in rows)
