"""Turn a request of ours into the contents and the configuration of generateContent."""

import json
from collections.abc import Sequence
from typing import Any

from pipeline.surface import Binding
from pipeline.vendors._native import unseal
from pipeline.vendors.google.sdk import types
from stages.model import ModelTurn, Request, Tool, ToolCall, ToolResult, Turn, UserTurn

VENDOR = "google"
_PLACEHOLDER = "(no text)"  # the API refuses turns without parts
# The documented stand-in for the signature of a call that another model made.
_NO_SIGNATURE = b"skip_thought_signature_validator"


def configuration(binding: Binding, request: Request) -> types.GenerateContentConfig:
    """Return the configuration; everything the SDK would do on its own is switched off."""
    return types.GenerateContentConfig(
        system_instruction=request.system or None,
        max_output_tokens=request.max_output_tokens,
        temperature=binding.temperature,
        tools=[types.Tool(function_declarations=[_tool(tool) for tool in request.tools])] if request.tools else None,
        thinking_config=types.ThinkingConfig(thinking_level=_level(binding)) if binding.effort else None,
        automatic_continuation=False,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )


def contents(binding: Binding, turns: Sequence[Turn]) -> list[types.Content]:
    """Return the turns; each result answers its call by the id that the API gave it, if it gave one."""
    made: list[types.Content] = []
    ids: list[str | None] = []
    for turn in turns:
        if isinstance(turn, UserTurn):
            made.append(_user(turn, ids))
        else:
            made.append(_model(binding, turn))
            ids = [part.function_call.id for part in made[-1].parts or () if part.function_call]
    return made


def counted(binding: Binding, request: Request) -> list[types.Content]:
    """Return everything that counts as input as contents: the counting endpoint takes no system text or tools."""
    made = contents(binding, request.turns)
    tools = [
        {"name": tool.name, "description": tool.description, "parameters": tool.parameters} for tool in request.tools
    ]
    preface = types.Part(text=f"{request.system}\n{json.dumps(tools)}")
    first = types.Content(role="user", parts=[preface, *(made[0].parts or ())])
    return [first, *made[1:]]


def _level(binding: Binding) -> types.ThinkingLevel:
    return types.ThinkingLevel(str(binding.effort).upper())


def _tool(tool: Tool) -> types.FunctionDeclaration:
    return types.FunctionDeclaration(
        name=tool.name, description=tool.description, parameters_json_schema=dict(tool.parameters)
    )


def _user(turn: UserTurn, ids: Sequence[str | None]) -> types.Content:
    known = [*ids, *(result.call_id for result in turn.results[len(ids) :])]
    parts = [_result(result, identity) for result, identity in zip(turn.results, known, strict=False)]
    if turn.text or not parts:
        parts.append(types.Part(text=turn.text or _PLACEHOLDER))
    return types.Content(role="user", parts=parts)


def _result(result: ToolResult, identity: str | None) -> types.Part:
    said: dict[str, Any] = {"error" if result.is_error else "output": result.content}
    return types.Part(function_response=types.FunctionResponse(id=identity, name=result.name, response=said))


def _model(binding: Binding, turn: ModelTurn) -> types.Content:
    """Return the turn as received, signatures and all; one that somebody else made is rebuilt without."""
    native = unseal(turn, VENDOR, binding.model)
    if native is not None and native.get("parts"):
        return types.Content.model_validate(native)
    parts = [types.Part(text=turn.text)] if turn.text else []
    parts += [_call(call, signed=number == 0) for number, call in enumerate(turn.calls)]
    return types.Content(role="model", parts=parts or [types.Part(text=_PLACEHOLDER)])


def _call(call: ToolCall, *, signed: bool) -> types.Part:
    arguments = {"unreadable": call.raw} if call.arguments is None else dict(call.arguments)
    return types.Part(
        function_call=types.FunctionCall(id=call.id, name=call.name, args=arguments),
        thought_signature=_NO_SIGNATURE if signed else None,
    )
