"""The Gemini API, as strict as the vendor: `models/{model}:generateContent` and `:countTokens`."""

import json
import re
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

KEY = "AIza-loopback-0123456789"
NO_SIGNATURE = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="  # the documented stand-in for a call of another model
_PATH = re.compile(
    r"^/v1/models/(?P<model>[^/:]+):(?P<method>generateContent|streamGenerateContent\?alt=sse|countTokens)$"
)
_TOP = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings"}
_GENERATION = {
    "maxOutputTokens", "temperature", "responseMimeType", "responseJsonSchema", "thinkingConfig",
}  # fmt: skip
_LEVELS = {"MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"}
_STATUSES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip
_STOPS = {"truncated": "MAX_TOKENS", "refused": "SAFETY"}


@contextmanager
def google_server(brain: Brain, *, key: str = KEY) -> Iterator[LoopbackServer]:
    """Serve generateContent; every call must carry `key`."""
    with LoopbackServer(_Gemini(key), brain).running() as server:
        yield server


def _error(status: int, message: str, details: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    error: dict[str, Any] = {"code": status, "message": message, "status": _STATUSES.get(status, "UNKNOWN")}
    if details:
        error["details"] = list(details)
    return {"error": error}


def _reject(message: str, status: int = 400, details: Sequence[Mapping[str, Any]] = ()) -> Rejected:
    return Rejected(status, _error(status, message, details))


def _camel(value: Any, *, inside: bool = False) -> Any:
    """Return a body with camelCase names, as the API takes both; user data (schemas, arguments) stays as it is."""
    if isinstance(value, list):
        return [_camel(each) for each in value]
    if not isinstance(value, dict) or inside:
        return value
    renamed = {re.sub(r"_([a-z])", lambda hit: hit[1].upper(), name): inner for name, inner in value.items()}
    data = {"args", "response", "parametersJsonSchema", "responseJsonSchema"}
    return {name: _camel(inner, inside=name in data) for name, inner in renamed.items()}


class _Gemini:
    suffix = ""

    def __init__(self, key: str) -> None:
        self._key = key

    def answer(self, request: LoggedRequest, brain: Brain, cache: PrefixCache) -> Answer:
        place = _PATH.match(request.path)
        if not place:
            raise _reject(f"{request.path} is not found", 404)
        if request.headers.get("x-goog-api-key") != self._key:
            reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
            raise _reject("API key not valid. Please pass a valid API key.", 400, [reason])
        if not isinstance(request.json, dict):
            raise _reject("Invalid JSON payload received.")
        body, model = _camel(request.json), place["model"]
        _check_body(body)
        _check_history(body.get("contents"), model)
        blocks = [body.get("tools", []), body.get("systemInstruction", ""), *body["contents"]]
        total = sum(size(block) for block in blocks)
        if place["method"] == "countTokens":
            return Answer(200, {"totalTokens": total})
        conversation = _conversation(body, model)
        say = brain(conversation)
        if say.status != 200:
            details = say.details.get("details", ()) if say.details else ()
            return error_answer(say, _error(say.status, say.message, details))
        read, _write = cache.read_and_write(model, blocks)
        reply = _reply(conversation, say, Usage(total, read))
        if not place["method"].startswith("stream"):
            return Answer(200, reply if say.body is None else say.body, say.headers, say.fault)
        stream = _stream(reply, model) if say.body is None and not say.whole else None
        return Answer(200, reply if say.body is None else say.body, say.headers, say.fault, stream, say.piece)


def _check_body(body: Mapping[str, Any]) -> None:
    for names, allowed, place in (
        (body, _TOP, ""),
        (body.get("generationConfig", {}), _GENERATION, " at 'generation_config'"),
    ):
        for name in names:
            if name not in allowed:
                raise _reject(f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.')
    thinking = body.get("generationConfig", {}).get("thinkingConfig", {})
    level = thinking.get("thinkingLevel")
    if level is not None and str(level).upper() not in _LEVELS:
        raise _reject(f"Invalid value at 'generation_config.thinking_config.thinking_level': {level!r}")
    for tool in body.get("tools", []):
        for declaration in tool.get("functionDeclarations", []):
            problem = schemas.complaint(declaration.get("parametersJsonSchema"))
            if problem:
                raise _reject(f"GenerateContentRequest.tools[0].function_declarations: {problem}")


def _check_history(contents: Any, model: str) -> None:
    if not isinstance(contents, list) or not contents:
        raise _reject("GenerateContentRequest.contents: contents is not specified")
    for index, content in enumerate(contents):
        role = "user" if index % 2 == 0 else "model"
        if content.get("role") != role:
            raise _reject("Please ensure that multiturn requests alternate between user and model.")
        if not content.get("parts"):
            raise _reject(f"GenerateContentRequest.contents[{index}].parts: contents.parts must not be empty.")
        _check_calls(content, contents[index + 1 : index + 2])
        _check_signatures(index, content, model)
    if contents[-1]["role"] != "user":
        raise _reject("Please ensure that the last turn is the user's.")


def _check_calls(content: Mapping[str, Any], following: Sequence[Mapping[str, Any]]) -> None:
    calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
    if content["role"] == "user":
        return
    results = [p["functionResponse"] for c in following for p in c.get("parts", []) if "functionResponse" in p]
    if [(call.get("id"), call["name"]) for call in calls] != [(each.get("id"), each.get("name")) for each in results]:
        raise _reject(
            "Please ensure that the number of function response parts is equal to the number of function call parts "
            "of the function call turn."
        )


def _check_signatures(index: int, content: Mapping[str, Any], model: str) -> None:
    first = True
    for part in content["parts"]:
        signature = part.get("thoughtSignature")
        if "functionCall" in part and first and content["role"] == "model":
            first = False
            if not signature:
                raise _reject("Function call is missing a thought_signature in functionCall parts.")
        if signature and _plain(signature) not in {_plain(_signature(part, model)), _plain(NO_SIGNATURE)}:
            raise _reject(f"contents[{index}]: Corrupted thought signature.")


def _plain(signature: str) -> str:
    """Return a signature without what differs between the two base64 alphabets."""
    return signature.translate(str.maketrans("-_", "+/")).rstrip("=")


def _signature(part: Mapping[str, Any], model: str) -> str:
    return seal(model, part.get("functionCall"), part.get("text"))


def _conversation(body: Mapping[str, Any], model: str) -> Conversation:
    parts = [part for content in body["contents"] if content["role"] == "user" for part in content["parts"]]
    generation = body.get("generationConfig", {})
    declarations = [each for tool in body.get("tools", []) for each in tool.get("functionDeclarations", [])]
    level = generation.get("thinkingConfig", {}).get("thinkingLevel")
    return Conversation(
        model=model,
        system="\n".join(part.get("text", "") for part in body.get("systemInstruction", {}).get("parts", [])),
        texts=[part["text"] for part in parts if "text" in part],
        turn=sum(content["role"] == "model" for content in body["contents"]),
        tool_results=[_result(part["functionResponse"]) for part in parts if "functionResponse" in part],
        tools=[declaration["name"] for declaration in declarations],
        max_output_tokens=generation.get("maxOutputTokens", 0),
        effort=level.lower() if level else None,
        temperature=generation.get("temperature"),
    )


def _result(response: Mapping[str, Any]) -> Result:
    said = response["response"]
    return Result(response["name"], str(said.get("error", said.get("output", ""))), "error" in said)


def _reply(conversation: Conversation, say: Say, counted: Usage) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    if say.text:
        parts.append({"text": say.text})
    for number, (name, arguments) in enumerate(say.calls, 1):
        identity = f"fn-{conversation.turn + 1}-{number}"
        parts.append({"functionCall": {"id": identity, "name": name, "args": arguments}})
    signed = [part for part in parts if "functionCall" in part] or parts
    if signed and say.reasoning:
        signed[0]["thoughtSignature"] = _signature(signed[0], conversation.model)
    candidate: dict[str, Any] = {"index": 0, "finishReason": _STOPS.get(say.stop or "", say.stop) or "STOP"}
    if parts:
        candidate["content"] = {"role": "model", "parts": parts}
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(say, counted, parts),
        "modelVersion": conversation.model,
        "responseId": f"resp-{conversation.turn + 1:04}",
    }


def _stream(reply: Mapping[str, Any], model: str) -> Stream:
    """Return a reply in the vendor's chunks: each repeats the counts so far, only the last has a reason to end.

    The signature of a text comes after it, with an empty one.
    """
    candidate, counts = reply["candidates"][0], reply["usageMetadata"]
    parts = candidate.get("content", {}).get("parts", [])
    pieces = [piece for part in parts for piece in _pieces(part, model)]
    head = {name: value for name, value in reply.items() if name not in {"candidates", "usageMetadata"}}
    early = {name: value for name, value in counts.items() if name in {"promptTokenCount", "cachedContentTokenCount"}}
    found = [
        {"candidates": [{"index": 0, "content": {"role": "model", "parts": [piece]}}], "usageMetadata": early, **head}
        for piece in pieces
    ]
    last = {"index": 0, "finishReason": candidate["finishReason"]}
    if parts:
        last["content"] = {"role": "model", "parts": [{"text": ""}]}
    found.append({"candidates": [last], "usageMetadata": counts, **head})
    failure = json.dumps(_error(429, "slow down"), indent=1).encode() + b"\n\n"
    return Stream([event(each, end="\r\n") for each in found], failure, told=0)


def _pieces(part: Mapping[str, Any], model: str) -> Sequence[Mapping[str, Any]]:
    if "text" not in part:
        return [part]
    signed = {"text": "", "thoughtSignature": _signature({"text": ""}, model)}
    return [{"text": piece} for piece in halves(part["text"])] + ([signed] if "thoughtSignature" in part else [])


def _usage(say: Say, counted: Usage, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    thoughts = 8 if say.reasoning else 0
    usage = say.usage or Usage(counted.input, counted.cache_read, 0, size(list(parts)) + thoughts, thoughts)
    document = {
        "promptTokenCount": usage.input,
        "candidatesTokenCount": usage.output - usage.reasoning,
        "thoughtsTokenCount": usage.reasoning,
        "totalTokenCount": usage.input + usage.output,
    }
    return {**document, "cachedContentTokenCount": usage.cache_read} if usage.cache_read else document
