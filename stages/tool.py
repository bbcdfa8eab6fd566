"""A tool as a stage holds it: what the model is told, how arguments are read, and what is done."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from stages.contract import StageResult
from stages.model import Tool
from stages.schema import closed_schema

Arguments = TypeVar("Arguments", bound=BaseModel)
NO_NUL = r"^[^\x00]*$"  # no argument of a process can hold a NUL byte
_PROBLEMS_SHOWN = 10
_VALUE_SHOWN = 80


class RefusedError(Exception):
    """A call that does nothing. The model is told why and the attempt goes on."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class BadArgumentsError(RefusedError):
    """Arguments a tool cannot take; a terminal tool puts up with them twice."""

    def __init__(self, reason: str) -> None:
        super().__init__("bad_arguments", reason)


@dataclass(frozen=True, slots=True)
class StageTool(Generic[Arguments]):
    """One tool. `carry_out` returns the text the model sees, or the result that ends the attempt.

    `parameters` replaces the schema made from `arguments` where an attempt offers less than the type allows.
    """

    name: str
    description: str
    arguments: type[Arguments]
    carry_out: Callable[[Arguments], Awaitable[str | StageResult]]
    terminal: bool = False
    parameters: Mapping[str, Any] | None = None

    def offer(self) -> Tool:
        """Return what the model is told of this tool."""
        return Tool(self.name, self.description, self.parameters or closed_schema(self.arguments))

    async def call(self, arguments: Mapping[str, Any]) -> str | StageResult:
        """Carry out one call.

        :raises BadArgumentsError: the arguments do not fit.
        :raises RefusedError: they fit, but what they ask for is not allowed.
        """
        try:
            parsed = self.arguments.model_validate(_cleaned(arguments))
        except ValidationError as error:
            raise BadArgumentsError(_problems(error)) from error
        return await self.carry_out(parsed)


def _cleaned(value: Any) -> Any:
    # Strict schemas have no optional properties: there, null is how a model leaves one out.
    if isinstance(value, Mapping):
        return {key: _cleaned(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_cleaned(inner) for inner in value]
    if isinstance(value, str):
        _refuse_surrogates(value)
    return value


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        at = text[max(0, error.start - 20) : error.start]
        raise BadArgumentsError(f"text is not valid Unicode (half a surrogate pair) after {at!r}") from error


def _problems(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False)
    lines = []
    for problem in problems[:_PROBLEMS_SHOWN]:
        place = ".".join(str(part) for part in problem["loc"]) or "arguments"
        got = "" if problem["type"] == "missing" else f" (got {repr(problem['input'])[:_VALUE_SHOWN]})"
        lines.append(f"{place}: {problem['msg']}{got}")
    if len(problems) > _PROBLEMS_SHOWN:
        lines.append(f"and {len(problems) - _PROBLEMS_SHOWN} more")
    return "; ".join(lines)
