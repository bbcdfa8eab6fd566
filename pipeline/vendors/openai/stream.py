"""The events of OpenAI's Responses API, read up to the one that carries the whole response."""

from typing import Any

from pipeline.surface import HeardKind
from pipeline.vendors._stream import Piece, Told, cut_off

_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})
_HEARD: dict[str, HeardKind] = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "text",
    "response.function_call_arguments.delta": "tool",
    "response.reasoning_text.delta": "thinking",
    "response.reasoning_summary_text.delta": "thinking",
}
_ITEMS: dict[str, HeardKind] = {"reasoning": "thinking", "function_call": "tool"}


class Response:
    """One response as far as it has come; an input is reported only with its end."""

    def __init__(self) -> None:
        self.began = False
        self.ended = False
        self.input_reported: tuple[int, int] | None = None
        self._response: Piece = {}
        self._items: dict[int, Piece] = {}

    def take(self, piece: Piece) -> Told | None:
        """Add one event; see `_stream.Assembly`."""
        self.began = True
        match piece:
            case {"type": "response.output_item.done", "output_index": int(index), "item": dict(item)}:
                # Not the item of `.added`: its encrypted reasoning may be a part of the whole.
                self._items[index] = item
            case {"type": str(kind), "response": dict(response)} if kind in _TERMINAL:
                self._end(response)
            case {"error": dict(error)} | ({"type": "error"} as error):
                # The reader of whole responses knows what its codes mean.
                self._end({"status": "failed", "error": error, "output": []})
            case {"type": "response.output_item.added", "item": {"type": str(kind)}}:
                return _ITEMS.get(kind, "text"), 0
            case {"type": str(kind), "delta": str(added)} if kind in _HEARD:
                return _HEARD[kind], len(added)
            case _:
                pass
        return None

    def whole(self) -> Piece:
        """Return the response; see `_stream.Assembly`."""
        if not self.ended:
            raise cut_off()
        return self._response

    def _end(self, response: Piece) -> None:
        """Keep the response with its items as each was done: the last event may leave them out, or their reasoning."""
        self.ended = True
        done = [self._items[index] for index in sorted(self._items)]
        by_name = {_name(item): item for item in done if _name(item)}
        listed = response.get("output")
        # Known by their own names: not every server counts its items from 0 and without gaps.
        items = [by_name.get(_name(item), item) for item in listed] if isinstance(listed, list) and listed else done
        self._response = {**response, "output": items}


def _name(item: Any) -> tuple[str, str] | None:
    match item:
        case {"type": str(kind), "id": str(identity)} if identity:
            return kind, identity
        case _:
            return None
