"""OpenAI-compatible servers that take less than the protocol: what they refuse by name is put otherwise, once."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar

import anyio
import pytest

from pipeline import loader
from pipeline.errors import InfrastructureError
from pipeline.surface import ADAPTED, Api, Binding
from pipeline.vendors.compatible import choice
from stages.model import Effort, Model, ModelError, ModelTurn, Reply, Request, ToolCall, ToolResult, UserTurn
from tests.loopback import (
    CHAT_KEY,
    OPENAI_KEY,
    Brain,
    Conversation,
    LoopbackServer,
    Say,
    Traits,
    always,
    by_turn,
    chat_server,
    openai_server,
)
from tests.vendors.bench import ASK, CHAT, converse

T = TypeVar("T")
Serving = AbstractContextManager[LoopbackServer]
_models = count()  # what is learnt holds for an address and a model, so each test has a model of its own


def with_server(
    serving: Serving,
    use: Callable[[Model, LoopbackServer], Awaitable[T]],
    *,
    vendor: str = "compatible",
    api: Api | None = None,
    key: str | None = CHAT_KEY,
    model: str | None = None,
    effort: Effort | None = None,
    temperature: float | None = None,
    host: str = "",
) -> T:
    with serving as server:
        name = model or f"model-{next(_models)}"
        url = server.url.replace("127.0.0.1", host) if host else server.url
        binding = Binding(name, name, effort, temperature, url, key, "run-1:coder", api=api)

        async def used() -> T:
            return await use(await loader.connect(vendor, binding), server)

        return anyio.run(used)


def adapted(reply: Reply) -> list[str]:
    sentences: list[str] = reply.metadata.get(ADAPTED, [])
    return sentences


def answered(traits: Traits, **changes: Any) -> tuple[Reply, Reply, LoopbackServer]:
    """Ask twice and return both replies."""

    async def twice(model: Model, server: LoopbackServer) -> tuple[Reply, Reply, LoopbackServer]:
        return await model.complete(ASK), await model.complete(ASK), server

    return with_server(chat_server(always(Say("fine")), traits=traits), twice, **changes)


def test_a_server_that_takes_everything_is_asked_once() -> None:
    first, _, server = answered(Traits())
    assert (len(server.log), server.rejections, adapted(first)) == (2, [], [])


def _calls_what_it_sees(conversation: Conversation) -> Say:
    """Call a tool if any is on offer: a model to which its server shows none can only talk."""
    if not conversation.tools:
        return Say("I would read a.py first.")
    return Say(calls=[("read_file", {"path": "a.py", "start_line": None})])


async def _attempt(model: Model) -> list[Reply]:
    """Ask, and remind once where no tool was called, as stages do."""
    replies = [await model.complete(ASK)]
    if not replies[0].turn.calls:
        reminded = (*ASK.turns, replies[0].turn, UserTurn("Call a tool."))
        replies.append(await model.complete(replace(ASK, turns=reminded)))
    return replies


def test_a_server_that_leaves_tools_out_in_silence_gets_them_as_text_after_two_replies_without_a_call() -> None:
    async def attempts(model: Model, server: LoopbackServer) -> tuple[list[Reply], list[Reply]]:
        first = await _attempt(model)
        assert all("tools" in each.json for each in server.log), "the first attempt offers them natively"
        return first, await _attempt(model)

    serving = chat_server(_calls_what_it_sees, traits=Traits(tools=False, drops_tools=True))
    first, second = with_server(serving, attempts)
    sentence = "two replies in a row called no tool: they are offered as text from now on"
    assert [adapted(reply) for reply in first] == [[], [sentence]]
    assert [call.name for reply in second for call in reply.turn.calls] == ["read_file"]


def test_a_model_that_ever_called_a_tool_keeps_them_native_whatever_it_says_later() -> None:
    async def attempts(model: Model, _server: LoopbackServer) -> list[Reply]:
        called = await model.complete(ASK)
        talks = ModelTurn("Hm.")
        for _ in range(3):
            turns = (*ASK.turns, talks, UserTurn("Call a tool."))
            called = await model.complete(replace(ASK, turns=turns))
        return [called]

    says = iter([Say(calls=[("read_file", {"path": "a.py", "start_line": None})])])
    serving = chat_server(lambda _: next(says, Say("Hm.")))
    (last,) = with_server(serving, attempts)
    assert adapted(last) == []


def test_two_questions_without_a_reminder_between_them_prove_nothing() -> None:
    _, second, server = answered(Traits())
    assert adapted(second) == []
    assert "tools" in server.log[-1].json


@pytest.mark.parametrize(
    ("vendor", "traits", "sentences"),
    [
        ("compatible", Traits(refuses=frozenset({"max_completion_tokens"})),
         ["`max_completion_tokens` was refused: `max_tokens` is sent instead"]),
        ("compatible", Traits(refuses=frozenset({"max_tokens"})),
         ["`max_tokens` was refused: `max_completion_tokens` is sent instead"]),
        ("compatible", Traits(strict_tools=False), ["strict tool schemas were refused: they are sent plain"]),
        ("compatible", Traits(tools=False),
         ["it takes no tools: they are offered as text, and calls are read from fenced blocks"]),
        ("compatible", Traits(refuses=frozenset({"tools"})),
         ["it takes no tools: they are offered as text, and calls are read from fenced blocks"]),
        ("compatible", Traits(roles=frozenset({"user", "assistant", "tool"})),
         ["the role `system` was refused: its text goes before the user's"]),
        ("openai", Traits(roles=frozenset({"system", "user", "assistant", "tool"})),
         ["the role `developer` was refused: `system` is sent instead"]),
        ("openai", Traits(refuses=frozenset({"prompt_cache_key"})), ["`prompt_cache_key` was refused: it is left out"]),
        ("openai", Traits(refuses=frozenset({"max_completion_tokens"})),
         ["`max_completion_tokens` was refused: `max_tokens` is sent instead"]),
        ("openai", Traits(refuses=frozenset({"max_completion_tokens", "prompt_cache_key"}), tools=False,
                          roles=frozenset({"system", "user", "assistant"})),
         ["`max_completion_tokens` was refused: `max_tokens` is sent instead",
          "`prompt_cache_key` was refused: it is left out",
          "it takes no tools: they are offered as text, and calls are read from fenced blocks",
          "the role `developer` was refused: `system` is sent instead"]),
    ],
)  # fmt: skip
def test_what_a_server_refuses_by_name_is_put_otherwise_and_learnt(
    vendor: str, traits: Traits, sentences: list[str]
) -> None:
    first, second, server = answered(traits, vendor=vendor, api="chat")
    assert (first.turn.text, second.turn.text) == ("fine", "fine")
    assert sorted(adapted(first)) == sorted(sentences)
    assert adapted(second) == []
    assert len(server.rejections) == len(sentences)
    assert len(server.log) == len(sentences) + 2, "the second call was asked once"


def test_what_was_learnt_holds_for_the_next_model_object_and_is_said_again() -> None:
    async def asked(model: Model, server: LoopbackServer) -> None:
        await model.complete(ASK)
        again = await loader.connect("compatible", Binding("learner", "learner", None, None, server.url, CHAT_KEY, ""))
        reply = await again.complete(ASK)
        assert len(adapted(reply)) == 1
        assert len(server.rejections) == 1
        other = await loader.connect("compatible", Binding("other", "other", None, None, server.url, CHAT_KEY, ""))
        await other.complete(ASK)
        assert len(server.rejections) == 2, "another model of the server may take what this one does not"

    serving = chat_server(always(Say("fine")), traits=Traits(strict_tools=False))
    with_server(serving, asked, model="learner")


@pytest.mark.parametrize(
    ("parameter", "knobs"), [("reasoning_effort", {"effort": "high"}), ("temperature", {"temperature": 0.2})]
)
def test_a_knob_the_user_set_is_never_dropped(parameter: str, knobs: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as raised:
        answered(Traits(refuses=frozenset({parameter})), **knobs)
    error = raised.value
    assert (error.kind, error.generated, error.parameter) == ("bad_request", False, parameter)
    assert parameter in error.message
    answered(Traits(refuses=frozenset({parameter})))  # unset, it is not sent


def test_an_output_limit_that_a_server_takes_under_no_name_is_an_error() -> None:
    with pytest.raises(ModelError) as raised:
        answered(Traits(refuses=frozenset({"max_tokens", "max_completion_tokens"})))
    assert raised.value.kind == "bad_request"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "registry.ollama.ai/library/gemma3:4b does not support tools"),
        (404, "No endpoints found that support tool use. To learn more about provider routing, visit the docs."),
        (500, "tools param requires --jinja flag"),
        (500, "Unsupported param: tools"),
        (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        (400, "Function calling is not supported for this model"),
        (422, "[{'type': 'extra_forbidden', 'loc': ('body', 'tools'), 'msg': 'Extra inputs are not permitted'}]"),
        (400, "Unrecognized request argument supplied: tools"),
    ],
)
def test_every_servers_words_for_no_tools_are_understood(status: int, message: str) -> None:
    def brain(conversation: Any) -> Say:
        return Say(status=status, message=message) if "# Tools" not in conversation.system else Say("fine")

    async def asked(model: Model, _server: LoopbackServer) -> list[str]:
        return adapted(await model.complete(ASK))

    assert with_server(chat_server(brain), asked) == [
        "it takes no tools: they are offered as text, and calls are read from fenced blocks"
    ]


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "This model's maximum context length is 8192 tokens", "too_large"),
        (404, "model `tools-model` not found", "bad_request"),
        (500, "the tools are broken", "server"),
        (429, "does not support tools", "rate_limit"),
        (401, "does not support tools", "auth"),
    ],
)
def test_other_refusals_change_nothing(status: int, message: str, kind: str) -> None:
    async def asked(model: Model, server: LoopbackServer) -> None:
        with pytest.raises(ModelError) as raised:
            await model.complete(ASK)
        assert raised.value.kind == kind
        assert len(server.log) == 1

    with_server(chat_server(always(Say(status=status, message=message))), asked)


def test_a_step_that_did_not_help_is_not_learnt() -> None:
    async def asked(model: Model, server: LoopbackServer) -> None:
        with pytest.raises(ModelError):
            await model.complete(ASK)
        server.brain = always(Say("fine"))
        assert adapted(await model.complete(ASK)) == []

    with_server(chat_server(always(Say(status=400, message="strict mode says no"))), asked)


def test_a_tool_loop_that_turns_to_text_half_way_goes_on() -> None:
    def brain(conversation: Any) -> Say:
        if conversation.turn == 0:
            return Say("I look.", calls=[("read_file", {"path": "a.py"})])
        if "# Tools" not in conversation.system:
            return Say(status=400, message="does not support tools")
        return Say("done")

    async def asked(model: Model, server: LoopbackServer) -> None:
        replies = await converse(model)
        assert [reply.turn.text for reply in replies] == ["I look.", "done"]
        sent = server.log[-1].json["messages"]
        assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
        assert '```tool\n{"name": "read_file", "arguments": {"path": "a.py"}}\n```' in sent[2]["content"]
        assert "```result 1 read_file" in sent[3]["content"]

    with_server(chat_server(brain), asked)


# --- keys, addresses, protocols


def test_a_keyless_server_gets_no_key() -> None:
    async def asked(model: Model, server: LoopbackServer) -> None:
        assert (await model.complete(ASK)).turn.text == "fine"
        assert "authorization" not in server.log[0].headers

    with_server(chat_server(always(Say("fine")), key=None), asked, vendor="ollama", key=None)


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_azure_gets_its_key_in_a_header_of_its_own_below_its_own_path(api: Api) -> None:
    async def asked(model: Model, server: LoopbackServer) -> None:
        if api == "chat":
            assert (await model.complete(ASK)).turn.text == "fine"
        else:
            with pytest.raises(ModelError):
                await model.complete(ASK)
        sent = server.log[-1]
        path = "chat/completions" if api == "chat" else "responses"
        assert sent.path == f"/openai/v1/{path}"
        assert [item for item in sent.headers.items() if CHAT_KEY in item[1]] == [("api-key", CHAT_KEY)]

    traits = Traits(key_header="api-key", path="/openai/v1")
    with_server(chat_server(always(Say("fine")), traits=traits), asked, vendor="azure", api=api)


def test_a_server_whose_address_nobody_named_is_never_asked() -> None:
    async def connected() -> None:
        await loader.connect("azure", Binding("m", "m", None, None, None, "sk-azure-key", ""))

    with pytest.raises(InfrastructureError, match="no address"):
        anyio.run(connected)


@pytest.mark.parametrize(
    ("vendor", "api", "spoken"),
    [
        ("openai", None, "/v1/responses"),
        ("openai", "chat", "/v1/chat/completions"),
        ("openai", "auto", "/v1/chat/completions"),
        ("compatible", None, "/v1/chat/completions"),
        ("compatible", "responses", "/v1/responses"),
        ("ollama", "auto", "/v1/chat/completions"),
        ("azure", None, "/v1/chat/completions"),
    ],
)
def test_auto_means_chat_on_every_host_that_is_not_openais(vendor: str, api: Api | None, spoken: str) -> None:
    async def asked(model: Model, server: LoopbackServer) -> str:
        with suppress(ModelError):
            await model.complete(ASK)
        return server.log[0].path

    assert with_server(chat_server(always(Say("fine"))), asked, vendor=vendor, api=api) == spoken


class Answers:
    """A model that answers with what it is given, and counts how often it was asked."""

    def __init__(self, *answers: Reply | ModelError) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def complete(self, _request: Request) -> Reply:
        self.asked += 1
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        if isinstance(answer, ModelError):
            raise answer
        return answer

    async def count_tokens(self, _request: Request) -> int | None:
        return 7


FINE = CHAT.ask(always(Say("fine")))


def asking(*answers: Reply | ModelError) -> tuple[Answers, Answers, choice.AskingModel]:
    responses, chat = Answers(*answers), Answers(FINE)
    return responses, chat, choice.AskingModel(responses, chat, ("http://test", f"asking-{next(_models)}"))


@pytest.mark.parametrize(
    "error",
    [
        ModelError("bad_request", "Not Found", generated=False, status=404),
        ModelError("bad_request", "Method Not Allowed", generated=False, status=405),
        ModelError("bad_request", "unknown", generated=False, status=400, parameter="input"),
        ModelError("bad_request", "unknown", generated=False, status=400, parameter="instructions"),
    ],
)
def test_a_server_without_responses_is_asked_by_chat_from_then_on(error: ModelError) -> None:
    async def asked() -> None:
        responses, chat, model = asking(error)
        assert adapted(await model.complete(ASK)) == [choice.SWITCHED]
        assert adapted(await model.complete(ASK)) == []
        assert (responses.asked, chat.asked) == (1, 2)
        assert await model.count_tokens(ASK) is None

    anyio.run(asked)


@pytest.mark.parametrize(
    "error",
    [
        ModelError("bad_request", "no such parameter", generated=False, status=400, parameter="reasoning.effort"),
        ModelError("auth", "wrong key", generated=False, status=401),
        ModelError("server", "broken", status=500),
    ],
)
def test_no_other_error_changes_the_protocol(error: ModelError) -> None:
    async def asked() -> None:
        _, chat, model = asking(error)
        with pytest.raises(ModelError):
            await model.complete(ASK)
        assert chat.asked == 0
        assert await model.count_tokens(ASK) == 7

    anyio.run(asked)


def test_after_a_success_a_404_is_an_error() -> None:
    async def asked() -> None:
        _, chat, model = asking(FINE, ModelError("bad_request", "Item not found", generated=False, status=404))
        await model.complete(ASK)
        with pytest.raises(ModelError):
            await model.complete(ASK)
        assert chat.asked == 0

    anyio.run(asked)


@pytest.mark.parametrize(
    ("host", "responses"),
    [
        ("https://api.openai.com/v1", True),
        ("https://r.openai.azure.com/openai/v1", True),
        ("https://R.OpenAI.Azure.com/openai/v1/", True),
        ("https://openai.azure.com.evil.example/v1", False),
        ("https://api.openai.com.evil.example/v1", False),
        ("http://127.0.0.1:1/v1", False),
    ],
)
def test_the_hosts_that_speak_responses_are_known_by_their_whole_name(host: str, *, responses: bool) -> None:
    async def connected() -> Model:
        return await loader.connect("azure", Binding("m", "m", None, None, host, "k", ""))

    assert isinstance(anyio.run(connected), choice.AskingModel) == responses


def test_openais_responses_still_work_when_the_protocol_is_asked_for() -> None:
    async def asked(model: Model, server: LoopbackServer) -> None:
        assert (await model.complete(ASK)).turn.text == "fine"
        assert server.log[0].path == "/v1/responses"

    with_server(
        openai_server(always(Say("fine"))), asked, vendor="openai", api="responses", key=OPENAI_KEY, model="gpt-6.1-sol"
    )


# --- answers


def refused(say: Say) -> ModelError:
    with pytest.raises(ModelError) as raised:
        CHAT.ask(always(say))
    return raised.value


def completion(**message: Any) -> dict[str, Any]:
    finish = message.pop("finish_reason", "stop")
    usage = {"prompt_tokens": 900, "completion_tokens": 20}
    choices = [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", **message}}]
    return {"id": "c-1", "model": "m", "choices": choices, "usage": usage}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 502, "message": "upstream failed"}, "server"),
        ({"code": 429, "message": "slow down"}, "rate_limit"),
        ({"code": "503", "message": "no capacity"}, "overloaded"),
        ({"code": 402, "message": "no credits"}, "billing"),
        ({"code": "context_length_exceeded", "message": "too long"}, "too_large"),
        ({"message": "what"}, "server"),
        ("a plain text", "server"),
    ],
)
def test_an_error_inside_a_200_is_an_error_that_may_have_cost(error: Any, kind: str) -> None:
    failure = refused(Say(body={"error": error}))
    assert (failure.kind, failure.generated, failure.status) == (kind, True, 200)
    choices = [{"index": 0, "finish_reason": "error", "message": {"role": "assistant", "content": ""}, "error": error}]
    charged = refused(Say(body={"choices": choices, "usage": {"prompt_tokens": 90, "completion_tokens": 3}}))
    assert (charged.kind, charged.input_reported) == (kind, (90, 0))


@pytest.mark.parametrize(
    "body",
    [
        {"choices": []},
        {"choices": None},
        {"choices": [{"finish_reason": "stop"}]},
        {"choices": [{"message": {"content": "x"}}]},
        completion(content="x", finish_reason=None),
        completion(content="x", finish_reason="load"),
        completion(content=3),
        completion(content=None, tool_calls=[{"id": "a"}]),
        completion(content=None, tool_calls="f"),
        {**completion(content="x"), "usage": {"prompt_tokens": -1, "completion_tokens": 3}},
    ],
)
def test_what_is_no_whole_completion_is_a_protocol_error(body: Any) -> None:
    assert refused(Say(body=body)).kind == "protocol"


def test_parts_missing_from_the_usage_count_nothing() -> None:
    reply = CHAT.ask(always(Say(body=completion(content="x"))))
    assert (reply.usage.input, reply.usage.output, reply.usage.cache_read, reply.usage.reasoning) == (900, 20, 0, 0)
    assert reply.usage.source == "reported"


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 0, "completion_tokens": 0}])
def test_usage_that_is_missing_is_not_believed_to_be_nothing(usage: Any) -> None:
    """The breaker charges such a call at its reservation: input 0 is not plausible."""
    reply = CHAT.ask(always(Say(body={**completion(content="x"), "usage": usage})))
    assert (reply.turn.text, reply.usage.input) == ("x", 0)


def test_calls_come_in_the_order_of_their_index_and_each_has_an_id() -> None:
    calls = [
        {"index": 1, "id": "", "type": "function", "function": {"name": "second", "arguments": '{"a": 1}'}},
        {"index": 0, "id": "", "type": "function", "function": {"name": "first", "arguments": {}}},
    ]
    reply = CHAT.ask(always(Say(body=completion(content=None, tool_calls=calls, finish_reason="tool_calls"))))
    assert [(call.id, call.name, call.arguments) for call in reply.turn.calls] == [
        ("call-1-1", "first", {}),
        ("call-1-2", "second", {"a": 1}),
    ]
    assert reply.stop == "tools"


@pytest.mark.parametrize(
    ("word", "stop"),
    [("length", "truncated"), ("model_length", "truncated"), ("MAX_TOKENS", "truncated"), ("STOP", "done")],
)
def test_every_servers_words_for_an_end_are_understood(word: str, stop: str) -> None:
    assert CHAT.ask(always(Say(body=completion(content="x", finish_reason=word)))).stop == stop


def test_a_call_with_finish_reason_stop_is_a_call() -> None:
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]
    reply = CHAT.ask(always(Say(body=completion(content=None, tool_calls=calls))))
    assert (reply.stop, reply.turn.calls) == ("tools", (ToolCall("a", "f", {}),))


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content", "reasoning_details"])
def test_reasoning_goes_back_under_the_name_it_came(name: str) -> None:
    thought: Any = [{"type": "reasoning.encrypted", "data": "x"}] if name == "reasoning_details" else "hm"

    async def asked(model: Model, server: LoopbackServer) -> None:
        turn = (await model.complete(ASK)).turn
        server.brain = always(Say("fine"))
        await model.complete(Request(ASK.system, (*ASK.turns, turn, UserTurn("go on")), ASK.tools, 100))
        assert server.log[-1].json["messages"][2] == {"role": "assistant", "content": "x", name: thought}

    with_server(chat_server(always(Say(body=completion(content="x", **{name: thought})))), asked)


def test_reasoning_that_a_server_gave_and_does_not_take_is_left_out() -> None:
    def brain(conversation: Any) -> Say:
        return Say(status=400, message="The reasoning_content is not allowed") if conversation.turn else Say("x")

    async def asked(model: Model, server: LoopbackServer) -> None:
        turn = (await model.complete(ASK)).turn
        request = Request(ASK.system, (*ASK.turns, turn, UserTurn("go on")), ASK.tools, 100)
        with pytest.raises(ModelError):  # this one refuses without the reasoning too
            await model.complete(request)
        assert "reasoning_content" in server.log[-2].json["messages"][2]
        assert "reasoning_content" not in server.log[-1].json["messages"][2]

    with_server(chat_server(brain), asked)


def test_one_servers_reasoning_is_never_sent_to_another() -> None:
    turn = CHAT.ask(always(Say("x"))).turn
    assert isinstance(turn, ModelTurn)

    async def asked(model: Model, server: LoopbackServer) -> None:
        results = (ToolResult("c", "read_file", "y"),)
        turns = (*ASK.turns, ModelTurn("x", (ToolCall("c", "read_file", {}),), turn.native), UserTurn("", results))
        await model.complete(Request(ASK.system, turns, ASK.tools, 100))
        assert "reasoning_content" not in str(server.log[-1].json)

    with_server(chat_server(always(Say("fine"))), asked, model=CHAT.model)


def test_a_loop_without_a_brain_for_it_would_be_noticed() -> None:
    """A negative control: the strict server refuses a conversation whose results are missing."""
    brain: Brain = by_turn(Say(calls=[("read_file", {"path": "a"})]), Say("done"))

    async def asked(model: Model, _server: LoopbackServer) -> None:
        turn = (await model.complete(ASK)).turn
        with pytest.raises(ModelError):
            await model.complete(Request(ASK.system, (*ASK.turns, turn, UserTurn("and?")), ASK.tools, 100))

    with_server(chat_server(brain), asked)
