"""The contenders of the vendors' benchmark make the same request, so that only what is around it differs."""

from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest

from benchmarks.vendors.caching import Cached
from benchmarks.vendors.caching import table as table_of_caching
from benchmarks.vendors.calling import table
from benchmarks.vendors.contenders import OURS, PLAIN, PLAIN_ANEW, SDK, contenders
from benchmarks.vendors.importing import BARE, Import
from benchmarks.vendors.importing import table as table_of_imports
from benchmarks.vendors.server import BRAIN, SERVERS
from tests.loopback import LoggedRequest


def asked(vendor: str) -> dict[str, LoggedRequest]:
    """Let each contender make one call and return what came in."""

    async def once() -> dict[str, LoggedRequest]:
        found = {}
        with SERVERS[vendor](BRAIN) as server:
            async with AsyncExitStack() as stack:
                for name, call in (await contenders(vendor, server.url, stack)).items():
                    await call()
                    found[name] = server.log[-1]
            assert len(server.log) == 4
            assert server.rejections == []
        return found

    return anyio.run(once)


@pytest.mark.parametrize("vendor", ["anthropic", "openai", "google"])
def test_everybody_asks_the_same(vendor: str) -> None:
    came = asked(vendor)
    assert list(came) == [PLAIN, PLAIN_ANEW, SDK, OURS]
    bodies = [without_streaming(each.json) for each in came.values()]
    assert bodies[1:] == bodies[:-1]


def test_a_compatible_server_gets_the_same_question_and_tools() -> None:
    came = asked("compatible")
    assert came[PLAIN].json == came[OURS].json
    for each in (came[SDK], came[OURS]):
        assert [message["content"] for message in each.json["messages"]] == ["You are the Coder.", "fix a.py"]
        assert [tool["function"]["name"] for tool in each.json["tools"]] == ["read_file"]


def without_streaming(body: Any) -> Any:
    return {name: value for name, value in body.items() if name not in {"stream", "stream_options"}}


def test_the_share_of_a_session_is_judged_by_its_limit() -> None:
    text = table_of_caching([Cached("openai", 30, 1000, 905, 0.905), Cached("google", 30, 1000, 800, 0.8)])
    assert "| openai | 30 | 1,000 | 905 | 90.5% | ≥ 90%, met |" in text
    assert "| google | 30 | 1,000 | 800 | 80.0% | ≥ 90%, MISSED |" in text


def test_the_tables_name_medians_and_ratios() -> None:
    assert "| `anthropic` | 1.00 ms | 2.00 ms | 4.00 ms | 5.00 ms | 1.25 x | 2.50 x |" in table(
        {"anthropic": {PLAIN: 1, PLAIN_ANEW: 2, SDK: 4, OURS: 5}}
    )
    assert "| `openai` | 310 ms | 300, 420 ms | 31.0 x |" in table_of_imports(
        [Import(BARE, 10, 9, 12, 1), Import("openai", 310, 300, 420, 31)]
    )
