"""The chunks of a streamed Gemini answer, put together into the response that would have come whole."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from pipeline.surface import Heard, HeardKind
from pipeline.vendors.google.reply import usage
from pipeline.vendors.google.sdk import types

Known = TypeVar("Known", types.GenerateContentResponse, types.Candidate, types.GenerateContentResponseUsageMetadata)


class Response:
    """One response as far as it has come; counts and reasons are cumulative, so the newest is the one that counts."""

    def __init__(self, progress: Callable[[Heard], None] | None) -> None:
        self.began = False
        self.input_reported: tuple[int, int] | None = None
        self._progress = progress
        self._characters = 0
        self._response = types.GenerateContentResponse()
        self._candidate: types.Candidate | None = None
        self._parts: list[types.Part] = []
        self._role = "model"

    def take(self, chunk: types.GenerateContentResponse) -> None:
        """Add one chunk."""
        self.began = True
        counted = self._response.usage_metadata
        self._response = _newest(self._response, chunk)
        if chunk.usage_metadata is not None:
            # A later report may leave out what did not change: what was thought or cached stays counted.
            merged = _newest(counted or types.GenerateContentResponseUsageMetadata(), chunk.usage_metadata)
            self._response = self._response.model_copy(update={"usage_metadata": merged})
            spent = usage(merged)
            self.input_reported = (spent.input, spent.cache_read)
        candidate = chunk.candidates[0] if chunk.candidates else None
        if candidate is None:
            return
        self._candidate = candidate if self._candidate is None else _newest(self._candidate, candidate)
        if candidate.content is not None:
            self._role = candidate.content.role or self._role
            self._tell(candidate.content.parts or ())
            self._add(candidate.content.parts or ())

    def whole(self) -> types.GenerateContentResponse:
        """Return the response; whether it has an end is for its reader to say."""
        if self._candidate is None:
            return self._response
        has_content = self._candidate.content is not None or self._parts
        content = types.Content(role=self._role, parts=self._parts or None) if has_content else None
        return self._response.model_copy(
            update={"candidates": [self._candidate.model_copy(update={"content": content})]}
        )

    def _add(self, parts: Iterable[types.Part]) -> None:
        """Add parts. Text goes on where text left off; a part with a signature stays as it came, alone."""
        for part in parts:
            if _is_plain(part) and not part.text:
                continue
            before = self._parts[-1] if self._parts else None
            if before is not None and _is_plain(before) and _is_plain(part) and before.thought == part.thought:
                joined = before.model_copy(update={"text": f"{before.text}{part.text}"})
                self._parts[-1] = joined
            else:
                self._parts.append(part)

    def _tell(self, parts: Iterable[types.Part]) -> None:
        if self._progress is None:
            return
        for part in parts:
            kind: HeardKind = "tool" if part.function_call else "thinking" if part.thought else "text"
            arguments = part.function_call.args if part.function_call else None
            self._characters += len(part.text or "") + (len(str(arguments)) if arguments else 0)
            self._progress(Heard(kind, self._characters))


def _is_plain(part: types.Part) -> bool:
    return part.text is not None and part.model_fields_set <= {"text", "thought"}


def _newest(before: Known, after: Known) -> Known:
    said = {name: value for name in after.model_fields_set if (value := getattr(after, name)) is not None}
    return before.model_copy(update=said)
