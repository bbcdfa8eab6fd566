"""Anthropic's stream of events, put together into the message it would have sent whole."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.surface import HeardKind
from pipeline.vendors._stream import Piece, Told, cut_off
from pipeline.vendors.anthropic.errors import streamed_error
from pipeline.vendors.anthropic.reply import usage
from stages.model import ModelError

# Which field of its block a delta adds to, and what it is for whoever watches.
_TEXTS: dict[str, tuple[str, HeardKind]] = {"text_delta": ("text", "text"), "thinking_delta": ("thinking", "thinking")}
_HEARD: dict[str, HeardKind] = {"thinking": "thinking", "redacted_thinking": "thinking", "tool_use": "tool"}


class Message:
    """One message as far as it has come."""

    def __init__(self) -> None:
        self.began = False
        self.ended = False
        self.input_reported: tuple[int, int] | None = None
        self._message: Piece = {}
        self._blocks: dict[int, Piece] = {}
        self._inputs: dict[int, list[str]] = {}

    def take(self, piece: Piece) -> Told | None:
        """Add one event; see `_stream.Assembly`."""
        self.began = True
        match piece:
            case {"type": "message_start", "message": {"usage": dict(said)} as message}:
                spent = usage(said)
                self.input_reported = (spent.input, spent.cache_read)
                self._message = {**message, "usage": dict(said)}
            case {"type": "content_block_start", "index": int(index), "content_block": dict(block)}:
                self._blocks[index] = dict(block)
                return _HEARD.get(str(block.get("type")), "text"), 0
            case {"type": "content_block_delta", "index": int(index), "delta": dict(delta)}:
                return self._add(index, delta)
            case {"type": "message_delta", "delta": dict(delta)}:
                self._finish(delta, piece.get("usage"))
            case {"type": "message_stop"}:
                self.ended = True
            case {"type": "error", "error": error}:
                raise streamed_error(error)
            case _:
                pass  # pings, ends of blocks, and events that are added to the protocol
        return None

    def whole(self) -> Piece:
        """Return the message; see `_stream.Assembly`."""
        if not self.ended:
            raise cut_off()
        for index, fragments in self._inputs.items():
            text = "".join(fragments)
            if text.strip():  # some gateways send all of it with the block's start, and an empty piece after it
                self._blocks[index]["input"] = self._input(text)
        return {**self._message, "content": [self._blocks[index] for index in sorted(self._blocks)]}

    def _add(self, index: int, delta: Mapping[str, Any]) -> Told | None:
        block = self._blocks.get(index)
        kind = delta.get("type")
        if block is None:
            raise ModelError("protocol", f"the stream adds to a block it never began: {index}")
        if kind == "input_json_delta":
            fragment = str(delta.get("partial_json", ""))
            self._inputs.setdefault(index, []).append(fragment)
            return "tool", len(fragment)
        if kind == "signature_delta":
            block["signature"] = delta.get("signature")
        elif kind in _TEXTS:
            name, heard = _TEXTS[kind]
            added = str(delta.get(name, ""))
            block[name] = f"{block.get(name) or ''}{added}"
            return heard, len(added)
        return None

    def _finish(self, delta: Mapping[str, Any], said: Any) -> None:
        """Take over why the message stopped, and its usage: cumulative, and null (or 0) where nothing changed."""
        self._message.update(delta)
        counts = self._message.setdefault("usage", {})
        counts.update({name: value for name, value in (said or {}).items() if value or counts.get(name) is None})

    def _input(self, text: str) -> Any:
        """Return a call's arguments. A reply that was cut at its limit has the beginning of them, hence none."""
        try:
            return json.loads(text)
        except ValueError:
            if self._message.get("stop_reason") in {"max_tokens", "model_context_window_exceeded"}:
                return {}
        raise ModelError("protocol", "the arguments of a call in the stream are not JSON")
