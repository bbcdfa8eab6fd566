"""Requests and replies come back from the database as they were, reasoning included."""

import hashlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.memory.transcript import (
    decode,
    dump_reply,
    dump_request,
    encode,
    load_reply,
    load_request,
    request_size,
    turns_size,
)
from stages.model import ModelTurn, Reply, Request, Tool, ToolCall, ToolResult, Turn, Usage, UserTurn
from tests.fakes.model import reply, request

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), JSON_VALUES, max_size=3)
CALLS = st.builds(ToolCall, st.text(), st.text(), st.none() | OBJECTS, st.text())
RESULTS = st.builds(ToolResult, st.text(), st.text(), st.text(), st.booleans())
USER_TURNS = st.builds(UserTurn, st.text(), st.lists(RESULTS, max_size=2).map(tuple))
MODEL_TURNS = st.builds(ModelTurn, st.text(), st.lists(CALLS, max_size=2).map(tuple), JSON_VALUES)
TOOLS = st.builds(Tool, st.text(), st.text(), OBJECTS)
REQUESTS = st.builds(
    Request,
    st.text(),
    st.lists(USER_TURNS | MODEL_TURNS, max_size=4).map(tuple),
    st.lists(TOOLS, max_size=2).map(tuple),
    st.integers(1, 64_000),
)
COUNTS = st.integers(0, 10**9)
REPLIES = st.builds(
    Reply,
    MODEL_TURNS,
    st.sampled_from(["done", "tools", "truncated", "refused"]),
    st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.sampled_from(["reported", "estimated", "reserved"])),
    st.text(),
    st.text(),
    OBJECTS,
)


class Blobs(dict[str, bytes]):
    def put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self[digest] = content
        return digest


@given(REQUESTS)
def test_every_request_survives(original: Request) -> None:
    blobs = Blobs()
    assert load_request(dump_request(original, blobs.put), blobs.__getitem__) == original


@given(REPLIES)
def test_every_reply_survives(original: Reply) -> None:
    blobs = Blobs()
    assert load_reply(dump_reply(original, blobs.put), blobs.__getitem__) == original


def test_half_a_surrogate_pair_from_a_vendor_survives() -> None:
    broken: Any = {"text": "\ud83d", "n": 1.5}
    assert decode(encode(broken)) == broken


def test_a_conversation_stores_each_turn_once() -> None:
    blobs = Blobs()
    answer = reply("x" * 1_000).turn
    turns: tuple[Turn, ...] = (UserTurn("y" * 1_000),)
    for number in range(20):
        dump_request(Request("system", turns, (), 4_000), blobs.put)
        turns = (*turns, answer, UserTurn(f"{number}" * 1_000))
    assert sum(map(len, blobs.values())) < 80_000  # 20 times the whole conversation would be over 600,000


def test_the_same_request_has_the_same_digest_and_another_has_not() -> None:
    blobs = Blobs()
    assert dump_request(request("a"), blobs.put) == dump_request(request("a"), blobs.put)
    assert dump_request(request("a"), blobs.put) != dump_request(request("b"), blobs.put)
    assert dump_request(request("a"), blobs.put) != dump_request(request("a", max_output_tokens=5), blobs.put)


def test_the_size_counts_bytes_of_everything_that_is_sent() -> None:
    small = request("a")
    assert request_size(request("ä")) == request_size(small) + 1
    larger = Request(small.system + "1234", small.turns, small.tools, 1)
    assert request_size(larger) == request_size(small) + 4
    assert request_size(Request("", small.turns, (), 1)) < request_size(small) - len(small.tools[0].description)
    assert turns_size(small.turns) > len("a")
