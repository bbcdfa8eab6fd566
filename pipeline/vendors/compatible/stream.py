"""The chunks of a streamed chat completion, put together into the completion that would have come whole."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.surface import HeardKind
from pipeline.vendors._stream import Piece, Told, cut_off
from pipeline.vendors.compatible.calls import Calls
from pipeline.vendors.compatible.reply import parts_text, usage

_TEXTS: dict[str, HeardKind] = {
    "content": "text",
    "refusal": "text",
    "reasoning": "thinking",
    "reasoning_content": "thinking",
}
_FRAGMENTS = frozenset({"text", "summary", "data"})  # of a reasoning detail that comes in several chunks


class Completion:
    """One completion as far as it has come. The last chunk with its usage may come after the one with its end."""

    def __init__(self) -> None:
        self.began = False
        self.ended = False
        self.input_reported: tuple[int, int] | None = None
        self._top: Piece = {}
        self._message: Piece = {"role": "assistant", "content": None}
        self._calls = Calls()
        self._heard = False
        self._finish: Any = None

    def take(self, piece: Piece) -> Told | None:
        """Add one chunk; see `_stream.Assembly`."""
        self.began = True
        self._top |= {name: value for name, value in piece.items() if name != "choices" and value is not None}
        if isinstance(piece.get("usage"), Mapping):
            spent = usage(piece["usage"])
            self.input_reported = (spent.input, spent.cache_read)
        choices = piece.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, Mapping):
            choice = {}
        error = choice.get("error") or piece.get("error") or (piece if piece.get("object") == "error" else None)
        if error:
            self._top["error"] = error
            self.ended = True
            return None
        self._finish = choice.get("finish_reason") or self._finish
        said = choice.get("delta")
        if not said and not (self._heard and isinstance(said, Mapping)):
            said = choice.get("message")  # beside a delta it says all of it again, with the last chunk
        return self._add(said) if isinstance(said, Mapping) else None

    def whole(self) -> Piece:
        """Return the completion; see `_stream.Assembly`. Without a usage, the caller charges its own bound."""
        if self._finish is None and not self.ended:
            raise cut_off()
        message = self._message | ({"tool_calls": self._calls.listed} if self._calls.listed else {})
        return self._top | {"choices": [{"index": 0, "message": message, "finish_reason": self._finish}]}

    def _add(self, said: Mapping[str, Any]) -> Told | None:
        """Add what one chunk says; of several kinds the last is told."""
        told: Told | None = None
        for name, value in said.items():
            if name in _TEXTS and isinstance(value, str | list):
                added = value if isinstance(value, str) else parts_text(value)
                self._message[name] = (self._message.get(name) or "") + added
                told = (_TEXTS[name], len(added) + (told[1] if told else 0)) if added else told
            elif name == "tool_calls" and isinstance(value, list):
                pieces = [self._calls.add(each) for each in value]
                told = ("tool", sum(pieces) + (told[1] if told else 0)) if pieces else told
            elif name == "reasoning_details" and isinstance(value, list):
                _add_details(self._message.setdefault(name, []), value)
            elif value is not None:
                self._message[name] = value
        self._heard = self._heard or told is not None
        return told


def _add_details(known: list[Any], added: Sequence[Any]) -> None:
    """Add reasoning details; pieces of one detail have its index and type."""
    for detail in added:
        before = known[-1] if known else None
        if not isinstance(detail, dict) or not isinstance(before, dict) or not _same(before, detail):
            known.append(detail)
            continue
        for name, value in detail.items():
            grows = name in _FRAGMENTS and isinstance(value, str) and isinstance(before.get(name), str)
            before[name] = before[name] + value if grows else (before.get(name) if value is None else value)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return (
        other.get("index") is not None
        and all(one.get(name) == other.get(name) for name in ("index", "type"))
        and other.get("id") in (None, one.get("id"))
    )
