"""Keep the run's own keys out of everything a model is sent, wherever they come from."""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.memory.redaction import SHORTEST_KEY
from stages.model import Model, ModelTurn, Reply, Request, ToolResult, Turn

HIDDEN = "[hidden]"  # no longer than any key, so that what is sent is never more than what was reserved


class VeiledModel:
    """A model that never sees these keys: a file of the repository or a command's output may hold one."""

    def __init__(self, model: Model, keys: Sequence[str]) -> None:
        self._model = model
        self._keys = tuple(key for key in keys if len(key) >= SHORTEST_KEY)

    async def complete(self, request: Request) -> Reply:
        """Answer the request with every key in it hidden."""
        return await self._model.complete(self._veiled(request))

    async def count_tokens(self, request: Request) -> int | None:
        """Count the request with every key in it hidden."""
        return await self._model.count_tokens(self._veiled(request))

    def _veiled(self, request: Request) -> Request:
        if not self._keys:
            return request
        return replace(
            request, system=self._hide(request.system), turns=[self._veiled_turn(turn) for turn in request.turns]
        )

    def _veiled_turn(self, turn: Turn) -> Turn:
        """Hide keys in what we say; what the model said goes back as it came, signatures included."""
        if isinstance(turn, ModelTurn):
            return turn
        return replace(turn, text=self._hide(turn.text), results=[self._veiled_result(r) for r in turn.results])

    def _veiled_result(self, result: ToolResult) -> ToolResult:
        return replace(result, content=self._hide(result.content))

    def _hide(self, text: str) -> str:
        for key in self._keys:
            text = text.replace(key, HIDDEN)
        return text
