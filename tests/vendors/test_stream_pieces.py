"""What only one protocol does in a stream: fragments, signatures, ends and servers that keep to half of it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pipeline.vendors._stream import Assembly
from pipeline.vendors.anthropic.stream import Message
from pipeline.vendors.compatible.reply import usage as chat_usage
from pipeline.vendors.compatible.stream import Completion
from pipeline.vendors.google.reply import usage
from pipeline.vendors.google.sdk import types
from pipeline.vendors.google.stream import Response as GeminiResponse
from pipeline.vendors.openai.stream import Response
from stages.model import Model, ModelError, ModelTurn, Reply, Request, UserTurn
from tests.loopback import LoopbackServer, Say, Traits, always, chat_server
from tests.vendors.bench import ASK, BENCHES
from tests.vendors.test_servers import adapted, with_server

GOOGLE = BENCHES[2]


def assembled(assembly: Assembly, *pieces: dict[str, Any]) -> dict[str, Any]:
    for piece in pieces:
        assembly.take(piece)
    return assembly.whole()


# --- anthropic


def started(**usage: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 9, "output_tokens": 1, **usage}}}


def tool_stream(fragments: Sequence[str], stop: str) -> list[dict[str, Any]]:
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    return [
        started(),
        {"type": "content_block_start", "index": 0, "content_block": block},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": each}}
            for each in fragments
        ),
        {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 5, "input_tokens": None}},
        {"type": "message_stop"},
    ]


@pytest.mark.parametrize(("fragments", "found"), [([], {}), ([""], {}), (['{"a"', ": [1,", "2]}"], {"a": [1, 2]})])
def test_anthropic_arguments_are_joined(fragments: Sequence[str], found: object) -> None:
    message = assembled(Message(), *tool_stream(fragments, "tool_use"))
    assert message["content"][0]["input"] == found
    assert message["usage"] == {"input_tokens": 9, "output_tokens": 5}, "null says that a count stayed as it was"


def test_an_anthropic_count_that_a_gateway_ends_with_nothing_stays_as_it_was() -> None:
    pieces = tool_stream([], "tool_use")
    pieces[-2]["usage"] = {"input_tokens": 0, "output_tokens": 5, "cache_read_input_tokens": 0}
    usage = {"input_tokens": 9, "output_tokens": 5, "cache_read_input_tokens": 0}
    assert assembled(Message(), *pieces)["usage"] == usage


def test_anthropic_arguments_that_come_with_the_start_of_their_block_stay() -> None:
    start, *others = tool_stream([""], "tool_use")[1:]
    start["content_block"]["input"] = {"path": "a"}
    message = assembled(Message(), started(), start, *others)
    assert message["content"][0]["input"] == {"path": "a"}


def test_anthropic_arguments_that_a_limit_cut_are_none_and_others_that_are_no_json_an_error() -> None:
    assert assembled(Message(), *tool_stream(['{"a": [1,'], "max_tokens"))["content"][0]["input"] == {}
    with pytest.raises(ModelError) as raised:
        assembled(Message(), *tool_stream(['{"a": [1,'], "tool_use"))
    assert raised.value.kind == "protocol"


def test_anthropic_blocks_nobody_knows_are_kept_as_they_came() -> None:
    block = {"type": "redacted_thinking", "data": "xyz"}
    end = tool_stream([], "end_turn")[-2:]
    pieces = [started(), {"type": "content_block_start", "index": 0, "content_block": block}, {"type": "new"}, *end]
    assert assembled(Message(), *pieces)["content"] == [block]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("overloaded_error", "overloaded"),
        ("rate_limit_error", "rate_limit"),
        ("api_error", "server"),
        ("timeout_error", "timeout"),
        ("request_too_large", "too_large"),
        ("billing_error", "billing"),
        ("something_new", "server"),
    ],
)
def test_anthropic_errors_in_a_stream_are_known_by_type(kind: str, expected: str) -> None:
    message = Message()
    message.take(started(cache_read_input_tokens=4))
    with pytest.raises(ModelError) as raised:
        message.take({"type": "error", "error": {"type": kind, "message": "m"}})
    assert (raised.value.kind, raised.value.generated) == (expected, True)
    assert message.input_reported == (13, 4)


# --- openai


def test_openai_items_are_those_that_were_done_whatever_the_last_event_leaves_out_of_them() -> None:
    items: list[dict[str, Any]] = [
        {"type": "reasoning", "id": "r", "encrypted_content": "whole"},
        {"type": "message", "content": []},
    ]
    done = [{"type": "response.output_item.done", "output_index": at, "item": each} for at, each in enumerate(items)]
    added = {"type": "response.output_item.added", "output_index": 0, "item": {**items[0], "encrypted_content": "wh"}}
    for left in ([], [{"type": "reasoning", "id": "r"}, items[1]], None):
        end = {"type": "response.completed", "response": {"status": "completed", "output": left}}
        assert assembled(Response(), added, *reversed(done), end)["output"] == items
        assert assembled(Response(), end).get("output") == (left or []), "the negative control"


def test_openai_items_are_listed_once_wherever_a_server_counts_them_from() -> None:
    call = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}"}
    done = {"type": "response.output_item.done", "output_index": 3, "item": call}
    end = {"type": "response.completed", "response": {"status": "completed", "output": [call]}}
    assert assembled(Response(), done, end)["output"] == [call]


@pytest.mark.parametrize(
    "piece", [{"type": "error", "code": "server_error"}, {"error": {"code": "server_error", "message": "m"}}]
)
def test_openai_errors_in_a_stream_are_failed_responses(piece: dict[str, Any]) -> None:
    response = assembled(Response(), {"type": "response.created", "response": {"status": "in_progress"}}, piece)
    assert (response["status"], response["error"]["code"]) == ("failed", "server_error")


# --- google


def gemini(*parts: Mapping[str, Any], **candidate: Any) -> types.GenerateContentResponse:
    content = {"role": "model", "parts": list(parts)} if parts else None
    return types.GenerateContentResponse.model_validate({"candidates": [{"content": content, **candidate}]})


def test_gemini_signatures_stay_alone() -> None:
    """A signature belongs to the part it came with: text is never added to that, nor that to text."""
    response = GeminiResponse(None)
    for each in (
        gemini({"text": "hm ", "thought": True}),
        gemini({"text": "so", "thought": True}),
        gemini({"text": "I "}),
        gemini({"text": "look."}),
        gemini({"text": "", "thought_signature": "c2ln"}),
        gemini({"text": "And"}),
        gemini({"function_call": {"name": "f", "args": {}}, "thought_signature": "Zm4="}),
        gemini({"text": ""}, finish_reason="STOP"),
    ):
        response.take(each)
    candidates = response.whole().candidates
    assert candidates
    assert candidates[0].content
    parts = [part.model_dump(mode="json", exclude_none=True) for part in candidates[0].content.parts or ()]
    assert parts == [
        {"text": "hm so", "thought": True},
        {"text": "I look."},
        {"text": "", "thought_signature": "c2ln"},
        {"text": "And"},
        {"function_call": {"name": "f", "args": {}}, "thought_signature": "Zm4="},
    ]
    assert candidates[0].finish_reason == "STOP"


def test_gemini_counts_and_roles_that_a_later_chunk_leaves_out_stay_as_they_were() -> None:
    response = GeminiResponse(None)
    for parts, counts in (
        ({"role": "model", "parts": [{"text": "a"}]}, {"prompt_token_count": 10, "thoughts_token_count": 50}),
        ({"parts": [{"text": "b"}]}, {"prompt_token_count": 10, "candidates_token_count": 2}),
    ):
        chunk = {"candidates": [{"content": parts, "finish_reason": "STOP"}], "usage_metadata": counts}
        response.take(types.GenerateContentResponse.model_validate(chunk))
    whole = response.whole()
    assert whole.usage_metadata is not None
    assert usage(whole.usage_metadata).output == 52
    assert whole.candidates
    content = whole.candidates[0].content
    assert content is not None
    assert (content.role, [part.text for part in content.parts or ()]) == ("model", ["ab"])


def test_a_gemini_text_with_its_signature_can_be_handed_back() -> None:
    async def asked(model: Model, server: LoopbackServer) -> None:
        turn = (await model.complete(ASK)).turn
        assert "thought_signature" in json.dumps(turn.native)
        await model.complete(Request(ASK.system, (*ASK.turns, turn, UserTurn("go on")), ASK.tools, 100))
        assert server.rejections == []

    GOOGLE.run(always(Say("a text")), asked, effort="high")


# --- chat completions


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def fragment(text: str = "", **fields: Any) -> dict[str, Any]:
    name = {"name": fields.pop("name")} if "name" in fields else {}
    return chunk(tool_calls=[{**fields, "function": {**name, "arguments": text}}])


@pytest.mark.parametrize(
    "fragments",
    [
        [fragment(index=0, id="a", name="f"), fragment('{"x"', index=0), fragment(": 1}", index=0),
         fragment("{}", index=1, id="b", name="g")],
        [fragment('{"x"', index=0, id="a", name="f"), fragment(": 1}", index=0, id="a", name="f"),
         fragment("{}", index=1, id="b", name="g")],
        [fragment('{"x": 1}', id="a", name="f"), fragment("{}", id="b", name="g")],
        [fragment('{"x": 1}', index=0, id="a", name="f"), fragment("{}", index=0, id="b", name="g")],
        [fragment('{"x"', id="a", name="f"), fragment(": 1}"), fragment("{}", id="b", name="g")],
        [fragment('{"x"', index=0, id="a", name="f"), fragment("{}", index=1, id="b", name="g"),
         fragment(": 1}", index=0, id="")],
        [fragment('{"x"', index=0, id="a", name="f"), fragment(": 1}", index=0, id="z"),
         fragment("{}", index=1, id="b", name="g")],
        [fragment('{"x"', id="a", name="f"), fragment("{", id="b", name="g"), fragment(": 1}", id="a"),
         fragment("}", id="b")],
    ],
    ids=["as openai", "names repeated", "no index", "one index for all", "pieces without index", "interleaved",
         "a new id with every piece", "interleaved without index"],
)  # fmt: skip
def test_calls_are_put_together_as_each_server_cuts_them(fragments: list[dict[str, Any]]) -> None:
    message = assembled(Completion(), *fragments, chunk("tool_calls"))["choices"][0]["message"]
    calls = [(each["id"], each["function"]["name"], each["function"]["arguments"]) for each in message["tool_calls"]]
    assert calls == [("a", "f", '{"x": 1}'), ("b", "g", "{}")]


@pytest.mark.parametrize(
    "fragments",
    [
        [fragment('{"x": 1}', name="read_file"), fragment("{}", name="read_file")],
        [fragment('{"x": 1}', index=0, id="", name="read_file"), fragment("{}", index=0, id="", name="read_file")],
        [fragment(index=0, name="read_"), fragment(index=0, name="file"), fragment('{"x"', index=0),
         fragment(": 1}", index=0), fragment("{}", index=1, name="read_file")],
        [fragment(index=0, name="read"), fragment('{"x"', index=0, name="read_file"),
         fragment(": 1}", index=0, name="read_file"), fragment("", index=0, name="read_file"),
         fragment("{}", index=1, name="read_file")],
    ],
    ids=["neither id nor index", "one index and no id", "a name cut in two", "a name that grows and is said again"],
)  # fmt: skip
def test_calls_without_ids_are_told_apart_by_where_their_arguments_end(fragments: list[dict[str, Any]]) -> None:
    message = assembled(Completion(), *fragments, chunk("tool_calls"))["choices"][0]["message"]
    calls = [(each["function"]["name"], each["function"]["arguments"]) for each in message["tool_calls"]]
    assert calls == [("read_file", '{"x": 1}'), ("read_file", "{}")]


def test_a_text_that_comes_in_parts_is_joined() -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    parts = [chunk(content=[thought]), chunk(content=[{"type": "text", "text": "a"}]), chunk(content="b")]
    assert assembled(Completion(), *parts, chunk("stop"))["choices"][0]["message"]["content"] == "ab"


def test_a_message_that_says_again_what_its_deltas_said_is_not_added_to_them() -> None:
    whole: dict[str, Any] = {"role": "assistant", "content": "ab"}
    last = {"choices": [{"index": 0, "delta": {}, "message": whole, "finish_reason": "stop"}]}
    streamed = assembled(Completion(), chunk(content="a"), chunk(content="b"), last)
    assert streamed["choices"][0]["message"] == assembled(Completion(), last)["choices"][0]["message"] == whole


def test_an_empty_list_of_calls_beside_a_text_is_told_as_text() -> None:
    assert Completion().take(chunk(content="abc", tool_calls=[])) == ("text", 3)


def test_reasoning_details_of_one_index_are_one() -> None:
    def detail(**fields: Any) -> dict[str, Any]:
        return chunk(reasoning_details=[{"type": "reasoning.text", "index": 0, **fields}])

    pieces = [detail(text="I "), detail(text="think"), detail(text="", signature="s")]
    sealed = chunk(reasoning_details=[{"type": "reasoning.encrypted", "index": 1, "data": "x"}])
    message = assembled(Completion(), *pieces, sealed, chunk("stop"))["choices"][0]["message"]
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "index": 0, "text": "I think", "signature": "s"},
        {"type": "reasoning.encrypted", "index": 1, "data": "x"},
    ]


@pytest.mark.parametrize(
    ("total", "output"), [(512, 504), (12, 4), (None, 4), (0, 4)], ids=["reasoning only in it", "whole", "none", "zero"]
)
def test_what_only_the_total_counts_is_output(total: int | None, output: int) -> None:
    said = {"prompt_tokens": 8, "completion_tokens": 4, "total_tokens": total}
    assert chat_usage(said).output == output
    assert chat_usage({"total_tokens": total}).output == 0, "a total alone says nothing of its parts"


def test_an_end_without_its_usage_is_a_reply_that_is_charged_in_full() -> None:
    completion = assembled(Completion(), chunk(content="x"), chunk("stop"))
    assert completion["choices"][0]["message"]["content"] == "x"
    assert "usage" not in completion


def asked_twice(say: Say, traits: Traits) -> tuple[Reply, Reply, LoopbackServer]:
    async def twice(model: Model, server: LoopbackServer) -> tuple[Reply, Reply, LoopbackServer]:
        return await model.complete(ASK), await model.complete(ASK), server

    return with_server(chat_server(always(say), traits=traits), twice)


def test_a_server_that_refuses_to_stream_is_asked_for_whole_replies() -> None:
    first, second, server = asked_twice(Say("fine"), Traits(refuses=frozenset({"stream", "stream_options"})))
    assert (first.turn.text, second.turn.text) == ("fine", "fine")
    assert adapted(first) == ["streaming was refused: replies come whole"]
    assert adapted(second) == []
    assert "stream" not in server.log[-1].json
    assert first.usage.source == "reported"


def test_a_server_whose_streams_cannot_report_usage_is_asked_for_whole_replies_from_then_on() -> None:
    first, second, server = asked_twice(Say("fine"), Traits(refuses=frozenset({"stream_options"})))
    assert (first.usage.source, second.usage.source) == ("estimated", "reported")
    assert adapted(first) == [
        "`stream_options` was refused: it is left out",
        "its streams report no usage: replies come whole",
    ]
    assert [each.json.get("stream") for each in server.log] == [True, True, None]


NO_USAGE = "its streams report no usage: replies come whole"


def test_a_server_that_takes_no_notice_of_stream_options_is_asked_for_whole_replies_from_then_on() -> None:
    first, second, server = asked_twice(Say("fine"), Traits(counts_streams=False))
    assert (first.usage.source, second.usage.source) == ("estimated", "reported")
    assert (adapted(first), adapted(second)) == ([NO_USAGE], [])
    assert [each.json.get("stream") for each in server.log] == [True, None]


def test_a_server_that_never_reports_usage_is_streamed_again() -> None:
    async def often(model: Model, server: LoopbackServer) -> list[list[str]]:
        said = [adapted(await model.complete(ASK)) for _ in range(4)]
        assert [each.json.get("stream") for each in server.log] == [True, None, True, True]
        assert [each for each in server.log[1:] if "stream_options" in each.json] == []
        return said

    said = with_server(chat_server(always(Say("fine")), traits=Traits(reports=False)), often)
    assert said == [[NO_USAGE], ["nor do whole ones: each is charged as reserved, and streamed"], [], []]


def test_one_stream_that_ends_before_its_usage_does_not_end_streaming() -> None:
    async def asked(model: Model, server: LoopbackServer) -> list[Reply]:
        replies = [await model.complete(ASK)]
        server.brain = always(Say("fine", counted=False))
        replies.append(await model.complete(ASK))
        server.brain = always(Say("fine"))
        return [*replies, await model.complete(ASK)]

    replies = with_server(chat_server(always(Say("fine"))), asked)
    assert [each.usage.source for each in replies] == ["reported", "estimated", "reported"]
    assert all(adapted(each) == [] for each in replies)


@pytest.mark.parametrize(
    "message",
    [
        "stream_options is not supported",
        "This model does not support stream_options",
        "Unknown parameter: stream_options.include_usage",
    ],
)
def test_a_server_that_refuses_stream_options_is_streamed_without_them(message: str) -> None:
    async def asked(model: Model, server: LoopbackServer) -> list[str]:
        refusal = Say(status=400, message=message)
        server.brain = lambda _: refusal if server.log[-1].json.get("stream_options") else Say("fine")
        said = adapted(await model.complete(ASK))
        assert server.log[-1].json.get("stream") is True
        return said

    assert with_server(chat_server(always(Say())), asked)[0] == "`stream_options` was refused: it is left out"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (500, "Cannot use tools with stream"),
        (400, "Streaming is not supported for this model"),
        (501, "this deployment does not support streaming"),
    ],
)
def test_every_servers_words_for_no_streams_are_understood(status: int, message: str) -> None:
    async def asked(model: Model, server: LoopbackServer) -> list[str]:
        refusal = Say(status=status, message=message)
        server.brain = lambda _: refusal if server.log[-1].json.get("stream") else Say("fine")
        return adapted(await model.complete(ASK))

    assert with_server(chat_server(always(Say())), asked) == ["streaming was refused: replies come whole"]


def test_a_server_that_ignores_stream_is_read_as_it_answers() -> None:
    first, _, server = asked_twice(Say("fine", whole=True), Traits())
    assert (first.turn.text, adapted(first), len(server.log)) == ("fine", [], 2)
    assert isinstance(first.turn, ModelTurn)
