"""Chat completions, as strict as the server a test describes: `POST /v1/chat/completions` and nothing else."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from stages.model import Usage
from tests.loopback import schemas
from tests.loopback.brain import Brain, Conversation, Result, Say
from tests.loopback.seal import seal
from tests.loopback.serving import LoggedRequest
from tests.loopback.tokens import PrefixCache, size
from tests.loopback.wire import Answer, LoopbackServer, Rejected, Stream, error_answer, event, halves

KEY = "sk-compatible-0123456789"
_TOP = {
    "model", "messages", "tools", "max_tokens", "max_completion_tokens", "temperature", "reasoning_effort",
    "prompt_cache_key", "stream", "stream_options",
}  # fmt: skip
_RESULT = re.compile(
    r"^(`{3,})result \d+ (?P<name>\S+)(?P<error> error)?\n(?P<content>.*?)\n\1$", re.MULTILINE | re.DOTALL
)
_LISTED = re.compile(r"^(\w+): .*\n\{", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Traits:
    """What one server does and does not take. `refuses` are parameters, `roles` those of messages it knows.

    `tools` off answers as a server without them does; then calls are written and results read as text. With
    `drops_tools` it takes them all the same and leaves them out of the prompt in silence. `reasons`
    gives thoughts out and wants them back. `reports` off leaves the usage out, `counts_streams` off does so in
    streams, asked for or not.
    """

    refuses: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset({"system", "developer", "user", "assistant", "tool"})
    tools: bool = True
    drops_tools: bool = False
    strict_tools: bool = True
    reasons: bool = True
    reports: bool = True
    counts_streams: bool = True
    key_header: str = "authorization"
    path: str = "/v1"


@contextmanager
def chat_server(brain: Brain, *, key: str | None = KEY, traits: Traits | None = None) -> Iterator[LoopbackServer]:
    """Serve chat completions; every call must carry `key`, and none any where it is None."""
    with LoopbackServer(_Chat(key, traits or Traits()), brain).running() as server:
        yield server


def _reject(message: str, *, status: int = 400, param: str | None = None) -> Rejected:
    return Rejected(status, {"error": {"message": message, "type": "invalid_request_error", "param": param}})


class _Chat:
    def __init__(self, key: str | None, traits: Traits) -> None:
        self._key = key
        self._traits = traits
        self._thought_of: dict[tuple[str, str], str] = {}  # (model, call id) -> the reasoning it came with
        self.suffix = traits.path

    def answer(self, request: LoggedRequest, brain: Brain, cache: PrefixCache) -> Answer:
        self._authorize(request)
        if request.path != f"{self.suffix}/chat/completions":
            raise _reject(f"Not Found: {request.path}", status=404)
        body = request.json
        if not isinstance(body, dict):
            raise _reject("invalid JSON")
        self._check_parameters(body)
        self._check_messages(body["messages"], body["model"])
        conversation = _conversation(body, in_text=not self._traits.tools)
        say = brain(conversation)
        if say.status != 200:
            error = {"message": say.message, "type": "error", "param": None, "code": say.code or None}
            return error_answer(say, {"error": error})
        blocks = [body.get("tools", []), *body["messages"]]
        read, write = cache.read_and_write(body["model"], blocks)
        reply = self._reply(body, conversation, say, Usage(sum(map(size, blocks)), read, write))
        headers = {"x-request-id": f"req_{conversation.turn + 1:04}", **say.headers}
        asked = body.get("stream") and say.body is None and not say.whole
        counted = (
            self._traits.counts_streams and say.counted and bool(body.get("stream_options", {}).get("include_usage"))
        )
        stream = _stream(reply, counted=counted) if asked else None
        return Answer(200, reply if say.body is None else say.body, headers, say.fault, stream, say.piece)

    def _authorize(self, request: LoggedRequest) -> None:
        given = {name: value for name, value in request.headers.items() if name in {"authorization", "api-key"}}
        worth = self._key if self._traits.key_header == "api-key" else f"Bearer {self._key}"
        if given != ({} if self._key is None else {self._traits.key_header: worth}):
            raise _reject("Access denied: wrong key, or one where none is due.", status=401)

    def _check_parameters(self, body: Mapping[str, Any]) -> None:
        for name in body:
            if name not in _TOP or name in self._traits.refuses:
                raise _reject(f"Unsupported parameter: '{name}' is not supported with this model.", param=name)
        if "max_tokens" not in body and "max_completion_tokens" not in body:
            raise _reject("this test wants an output limit", param="max_tokens")
        if body.get("tools") and not self._traits.tools and not self._traits.drops_tools:
            raise _reject(f"registry/{body['model']} does not support tools")
        for number, tool in enumerate(body.get("tools", [])):
            self._check_tool(number, tool["function"])

    def _check_tool(self, number: int, function: Mapping[str, Any]) -> None:
        if "strict" in function and not self._traits.strict_tools:
            raise _reject(f"Unknown name: 'tools[{number}].function.strict'", param=f"tools[{number}].function.strict")
        problem = schemas.complaint(function["parameters"])
        if problem:
            raise _reject(f"Invalid schema for function '{function['name']}': {problem}.")

    def _check_messages(self, messages: Sequence[Mapping[str, Any]], model: str) -> None:
        open_calls: list[str] = []
        for index, message in enumerate(messages):
            role = message["role"]
            if role not in self._traits.roles or (role == "tool" and not self._traits.tools):
                known = sorted(self._traits.roles)
                raise _reject(f"'{role}' is not one of {known} - 'messages.{index}.role'")
            if role == "tool":
                if message["tool_call_id"] not in open_calls:
                    raise _reject("a tool message must follow a call with its 'tool_call_id'")
                open_calls.remove(message["tool_call_id"])
                continue
            if open_calls:
                raise _reject(f"tool_call_ids did not have response messages: {', '.join(open_calls)}")
            open_calls = [each["id"] for each in message.get("tool_calls", [])]
            self._check_model_turn(message, index, model)
        if messages[-1]["role"] not in {"user", "tool"} or open_calls:
            raise _reject("The last message must be the user's or a tool's.")

    def _check_model_turn(self, message: Mapping[str, Any], index: int, model: str) -> None:
        if message["role"] != "assistant":
            return
        if not message.get("content") and not message.get("tool_calls"):
            raise _reject(f"messages.{index}: an assistant message needs content or tool calls")
        for call in message.get("tool_calls", []):
            thought = self._thought_of.get((model, call["id"]))
            if thought and message.get("reasoning_content") != thought:
                raise _reject(f"messages.{index}: the thoughts of call {call['id']} must be passed back")

    def _reply(self, body: Mapping[str, Any], conversation: Conversation, say: Say, counted: Usage) -> dict[str, Any]:
        mark = seal(body["messages"])[:16].translate(_PLAIN)
        message: dict[str, Any] = {"role": "assistant", "content": say.text or None, "refusal": None}
        if self._traits.reasons and say.reasoning and body.get("reasoning_effort") != "none":
            message["reasoning_content"] = seal(body["model"], mark)
        if say.calls and self._traits.tools:
            message["tool_calls"] = [_call(number, mark, call) for number, call in enumerate(say.calls)]
            for call in message["tool_calls"]:
                if "reasoning_content" in message:
                    self._thought_of[body["model"], call["id"]] = message["reasoning_content"]
        elif say.calls:
            message["content"] = "\n\n".join([*filter(None, [say.text]), *map(_block, say.calls)])
        if say.stop == "refused":
            message |= {"content": None, "refusal": say.text or "I cannot help with that."}
        finish = {"truncated": "length", "refused": "stop", None: "tool_calls" if say.calls else "stop"}
        if not self._traits.tools:
            finish[None] = "stop"
        choice = {"index": 0, "message": message, "finish_reason": finish.get(say.stop, say.stop), "logprobs": None}
        reply = {"id": f"chatcmpl-{conversation.turn + 1:04}", "object": "chat.completion", "model": body["model"]}
        reported = {"usage": _usage(say, counted, message)} if self._traits.reports else {}
        return reply | {"created": 1_790_000_000, "choices": [choice]} | reported


_PLAIN = str.maketrans("", "", "+/=")


def _stream(reply: Mapping[str, Any], *, counted: bool) -> Stream:
    """Return a completion in chunks: calls in fragments by index, the usage in a chunk of its own if asked for."""
    choice = reply["choices"][0]
    head = {name: reply[name] for name in ("id", "model", "created")} | {"object": "chat.completion.chunk"}
    found: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for name in ("reasoning_content", "content", "refusal"):
        found += [{name: piece} for piece in halves(choice["message"].get(name) or "")]
    for call in choice["message"].get("tool_calls", []):
        function = call["function"]
        found.append({"tool_calls": [{**call, "function": {**function, "arguments": ""}}]})
        found += [
            {"tool_calls": [{"index": call["index"], "function": {"arguments": piece}}]}
            for piece in halves(function["arguments"])
        ]
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in found]
    choices.append({"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]})
    chunks = [{**head, "choices": [each], "usage": None} for each in choices]
    if counted and "usage" in reply:
        chunks.append({**head, "choices": [], "usage": reply["usage"]})
    failure = {"error": {"code": 502, "message": "upstream failed"}, "choices": []}
    return Stream([b": processing\n\n", *map(event, chunks), event("[DONE]")], event(failure))


def _call(number: int, mark: str, call: tuple[str, Mapping[str, Any] | str]) -> dict[str, Any]:
    name, arguments = call
    raw = arguments if isinstance(arguments, str) else json.dumps(arguments)
    function = {"name": name, "arguments": raw}
    return {"index": number, "id": f"call_{mark}{number}", "type": "function", "function": function}


def _block(call: tuple[str, Mapping[str, Any] | str]) -> str:
    name, arguments = call
    raw = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return f'```tool\n{{"name": "{name}", "arguments": {raw}}}\n```'


def _conversation(body: Mapping[str, Any], *, in_text: bool) -> Conversation:
    messages = body["messages"]
    system = "\n".join(each["content"] for each in messages if each["role"] in {"system", "developer"})
    asked = [each["content"] for each in messages if each["role"] == "user"]
    names = {call["id"]: call["function"]["name"] for each in messages for call in each.get("tool_calls", [])}
    results = [Result(names[each["tool_call_id"]], each["content"]) for each in messages if each["role"] == "tool"]
    tools = [tool["function"]["name"] for tool in body.get("tools", [])]
    if in_text:
        results = [_read(found) for text in asked for found in _RESULT.finditer(text)]
        asked = [said for text in asked if (said := _RESULT.sub("", text).strip())]
        tools = _LISTED.findall(system or asked[0])
    return Conversation(
        model=body["model"],
        system=system,
        texts=asked,
        turn=sum(each["role"] == "assistant" for each in messages),
        tool_results=results,
        tools=tools,
        max_output_tokens=body.get("max_completion_tokens") or body.get("max_tokens", 0),
        effort=body.get("reasoning_effort"),
        temperature=body.get("temperature"),
    )


def _read(found: re.Match[str]) -> Result:
    return Result(found["name"], found["content"], found["error"] is not None)


def _usage(say: Say, counted: Usage, message: Mapping[str, Any]) -> dict[str, Any]:
    thoughts = size(message.get("reasoning_content", ""))
    usage = say.usage or Usage(counted.input, counted.cache_read, counted.cache_write, size(dict(message)), thoughts)
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
