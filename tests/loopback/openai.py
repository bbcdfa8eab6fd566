"""The Responses API, as strict as the vendor: `POST /v1/responses` and `/v1/responses/input_tokens`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from stages.model import Usage
from tests.loopback import schemas
from tests.loopback.brain import Brain, Conversation, Result, Say
from tests.loopback.seal import seal
from tests.loopback.serving import LoggedRequest
from tests.loopback.tokens import PrefixCache, size
from tests.loopback.wire import Answer, LoopbackServer, Rejected, Stream, error_answer, event, halves

KEY = "sk-loopback-0123456789"
_COUNTED = {"model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "text"}
_TOP = _COUNTED | {
    "max_output_tokens", "store", "include", "temperature", "prompt_cache_key", "metadata", "service_tier", "stream",
}  # fmt: skip
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_REASONING = ("gpt-5", "gpt-6", "o1", "o3", "o4")


@contextmanager
def openai_server(brain: Brain, *, key: str = KEY) -> Iterator[LoopbackServer]:
    """Serve the Responses API; every call must carry `key`."""
    with LoopbackServer(_Responses(key), brain).running() as server:
        yield server


def _reject(message: str, *, status: int = 400, param: str | None = None, code: str | None = None) -> Rejected:
    kind = "invalid_request_error"
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return Rejected(status, body, {"x-request-id": "req_rejected"})


class _Responses:
    suffix = "/v1"

    def __init__(self, key: str) -> None:
        self._key = key
        self._reasoning_of: dict[tuple[str, str], str] = {}  # (model, call id) -> id of the reasoning it came with

    def answer(self, request: LoggedRequest, brain: Brain, cache: PrefixCache) -> Answer:
        if request.path not in {"/v1/responses", "/v1/responses/input_tokens"}:
            raise _reject(f"Invalid URL (POST {request.path})", status=404)
        if request.headers.get("authorization") != f"Bearer {self._key}":
            raise _reject("Incorrect API key provided.", status=401, code="invalid_api_key")
        body = request.json
        if not isinstance(body, dict):
            raise _reject("We could not parse the JSON body of your request.")
        counting = request.path.endswith("input_tokens")
        _check_body(body, _COUNTED if counting else _TOP)
        self._check_history(body)
        blocks = [body.get("tools", []), body.get("instructions", ""), *body["input"]]
        total = sum(size(block) for block in blocks)
        if counting:
            return Answer(200, {"object": "response.input_tokens", "input_tokens": total})
        conversation = _conversation(body)
        say = brain(conversation)
        if say.status != 200:
            error = {"message": say.message, "type": "error", "param": None, "code": say.code or None}
            return error_answer(say, {"error": error})
        # The key decides which machine, and so which cache, a request reaches.
        place = f"{body['model']} {body.get('prompt_cache_key')}"
        read, write = cache.read_and_write(place, blocks)
        reply = self._reply(body, conversation, say, Usage(total, read, write))
        headers = {"x-request-id": f"req_{conversation.turn + 1:04}", **say.headers}
        stream = _stream(reply) if body.get("stream") and say.body is None and not say.whole else None
        return Answer(200, reply if say.body is None else say.body, headers, say.fault, stream, say.piece)

    def _check_history(self, body: Mapping[str, Any]) -> None:
        items = body.get("input")
        if not isinstance(items, list) or not items:
            raise _reject("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
        reasoning = {item["id"] for item in items if item.get("type") == "reasoning"}
        for index, item in enumerate(items):
            kind = item.get("type", "message")
            if kind == "reasoning":
                _check_reasoning(item, items[index + 1 : index + 2], body["model"])
            elif kind == "function_call":
                self._check_call(item, reasoning, body["model"])
            elif kind not in {"message", "function_call_output"}:
                raise _reject(f"Invalid value: {kind!r}.", param=f"input[{index}]", code="invalid_value")
        _check_outputs(items)
        if items[-1].get("type", "message") != "function_call_output" and items[-1].get("role") != "user":
            raise _reject("The last input item must be the user's.", param="input")

    def _check_call(self, item: Mapping[str, Any], reasoning: set[str], model: str) -> None:
        needed = self._reasoning_of.get((model, item["call_id"]))
        if needed and needed not in reasoning:
            raise _reject(
                f"Item '{item.get('id')}' of type 'function_call' was provided without its required 'reasoning' item: "
                f"'{needed}'.",
                param="input",
            )

    def _reply(self, body: Mapping[str, Any], conversation: Conversation, say: Say, counted: Usage) -> dict[str, Any]:
        model, turn = body["model"], conversation.turn + 1
        mark = seal(body["input"]).translate(_PLAIN)[:16]
        output: list[dict[str, Any]] = []
        if say.reasoning and model.startswith(_REASONING) and body.get("reasoning", {}).get("effort") != "none":
            thought = f"rs_{mark}"
            output.append(
                {"id": thought, "type": "reasoning", "summary": [], "encrypted_content": seal(model, thought)}
            )
        if say.text or say.stop == "refused":
            part = {"type": "output_text", "text": say.text, "annotations": [], "logprobs": []}
            if say.stop == "refused":
                part = {"type": "refusal", "refusal": say.text or "I cannot help with that."}
            message = {"id": f"msg_{mark}", "type": "message", "role": "assistant", "status": "completed"}
            output.append({**message, "phase": "commentary" if say.calls else "final_answer", "content": [part]})
        for number, (name, arguments) in enumerate(say.calls, 1):
            raw = arguments if isinstance(arguments, str) else json.dumps(arguments)
            call = {"id": f"fc_{mark}{number}", "type": "function_call", "call_id": f"call_{mark}{number}"}
            output.append({**call, "name": name, "arguments": raw, "status": "completed"})
            if output[0]["type"] == "reasoning":
                self._reasoning_of[model, call["call_id"]] = output[0]["id"]
        truncated = say.stop == "truncated"
        return {
            "id": f"resp_{turn:04}",
            "object": "response",
            "created_at": 1_790_000_000,
            "model": model,
            "status": "incomplete" if truncated else "completed",
            "incomplete_details": {"reason": "max_output_tokens"} if truncated else None,
            "error": None,
            "instructions": body.get("instructions"),
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": body.get("tools", []),
            "usage": _usage(say, counted, output),
        }


_PLAIN = str.maketrans("", "", "+/=")


def _stream(response: Mapping[str, Any]) -> Stream:
    """Return a response in the vendor's events; only the last one has the usage."""
    begun = {**response, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    found: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(response["output"]):
        opened, deltas = _deltas(item)
        found.append({"type": "response.output_item.added", "output_index": index, "item": opened})
        found += [{"output_index": index, "item_id": item["id"], **delta} for delta in deltas]
        found.append({"type": "response.output_item.done", "output_index": index, "item": item})
    found.append({"type": f"response.{response['status']}", "response": response})
    numbered = [{**each, "sequence_number": number} for number, each in enumerate(found)]
    failure = {"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": None}
    return Stream([event(each, each["type"]) for each in numbered], event(failure, "error"))


def _deltas(item: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return an item as it opens (of encrypted reasoning only a part), and what is added to it."""
    opened: dict[str, Any]
    match item["type"]:
        case "reasoning":
            return {**item, "encrypted_content": item["encrypted_content"][:8]}, []
        case "function_call":
            kind, text, opened = "response.function_call_arguments.delta", item["arguments"], {"arguments": ""}
        case _:
            part = item["content"][0]
            kind = "response.refusal.delta" if "refusal" in part else "response.output_text.delta"
            text, opened = part.get("refusal", part.get("text")), {"content": []}
    deltas = [{"type": kind, "delta": piece} for piece in halves(text)]
    return {**item, **opened, "status": "in_progress"}, deltas


def _check_reasoning(item: Mapping[str, Any], following: Sequence[Mapping[str, Any]], model: str) -> None:
    if not item.get("encrypted_content"):
        raise _reject(
            f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to false.",
            status=404,
        )
    if item["encrypted_content"] != seal(model, item["id"]):
        raise _reject("The encrypted content could not be verified.", code="invalid_encrypted_content")
    if not following or following[0].get("type") not in {"function_call", "message"}:
        raise _reject(f"Item '{item['id']}' of type 'reasoning' was provided without its required following item.")


def _check_outputs(items: Sequence[Mapping[str, Any]]) -> None:
    calls: list[str] = []
    outputs: list[str] = []
    for item in items:
        if item.get("type") == "function_call":
            calls.append(item["call_id"])
        elif item.get("type") == "function_call_output":
            outputs.append(item["call_id"])
            if outputs[-1] not in calls:
                raise _reject(f"No tool call found for function call output with call_id {outputs[-1]}.", param="input")
    for call in calls:
        if outputs.count(call) != 1:
            raise _reject(f"No tool output found for function call {call}.", param="input")


def _check_body(body: Mapping[str, Any], allowed: set[str]) -> None:
    for name in body:
        if name not in allowed:
            raise _reject(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    if not isinstance(body.get("model"), str):
        raise _reject("Missing required parameter: 'model'.", param="model", code="missing_required_parameter")
    _check_reasoning_parameters(body)
    if "store" in allowed:
        _check_storage(body)
    for number, tool in enumerate(body.get("tools", [])):
        _check_tool(number, tool)


def _check_reasoning_parameters(body: Mapping[str, Any]) -> None:
    reasons = body["model"].startswith(_REASONING)
    if "temperature" in body and reasons:
        message = "Unsupported parameter: 'temperature' is not supported with this model."
        raise _reject(message, param="temperature", code="unsupported_parameter")
    if not reasons and ("reasoning" in body or body.get("include")):
        raise _reject("Encrypted content is not supported with this model.", param="include")
    effort = body.get("reasoning", {}).get("effort")
    if effort is not None and effort not in _EFFORTS:
        raise _reject(f"Invalid value: '{effort}'.", param="reasoning.effort", code="invalid_value")


def _check_storage(body: Mapping[str, Any]) -> None:
    """Insist on what the vendor leaves open: nothing stored there, reasoning kept here."""
    reasons = body["model"].startswith(_REASONING)
    if body.get("store") is not False or (reasons and "reasoning.encrypted_content" not in body.get("include", [])):
        raise _reject("this test wants store=false with include=['reasoning.encrypted_content']", param="store")
    if len(body.get("prompt_cache_key", "")) > 64:
        message = "Invalid 'prompt_cache_key': string too long."
        raise _reject(message, param="prompt_cache_key", code="string_above_max_length")


def _check_tool(number: int, tool: Mapping[str, Any]) -> None:
    for name in ("type", "name", "parameters", "strict"):
        if name not in tool:
            raise _reject(f"Missing required parameter: 'tools[{number}].{name}'.", param=f"tools[{number}].{name}")
    problem = schemas.complaint(tool["parameters"]) if tool["strict"] else None
    if problem:
        message = f"Invalid schema for function '{tool['name']}': In context=(), {problem}."
        raise _reject(message, param=f"tools[{number}].parameters", code="invalid_function_parameters")


def _conversation(body: Mapping[str, Any]) -> Conversation:
    names: dict[str, str] = {}
    texts: list[str] = []
    results: list[Result] = []
    turns = 0
    said_by_model = False
    for item in body["input"]:
        kind = item.get("type", "message")
        of_model = kind in {"reasoning", "function_call"} or item.get("role") == "assistant"
        turns += of_model and not said_by_model
        said_by_model = of_model
        if kind == "function_call":
            names[item["call_id"]] = item["name"]
        elif kind == "function_call_output":
            results.append(Result(names[item["call_id"]], item["output"]))
        elif item.get("role") == "user":
            texts.append(_text(item["content"]))
    return Conversation(
        model=body["model"],
        system=body.get("instructions") or "",
        texts=texts,
        turn=turns,
        tool_results=results,
        tools=[tool["name"] for tool in body.get("tools", [])],
        max_output_tokens=body.get("max_output_tokens", 0),
        effort=body.get("reasoning", {}).get("effort"),
        temperature=body.get("temperature"),
    )


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def _usage(say: Say, counted: Usage, output: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    thoughts = size([item for item in output if item["type"] == "reasoning"])
    usage = say.usage or Usage(counted.input, counted.cache_read, counted.cache_write, size(list(output)), thoughts)
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }
