"""Read a file of scripted replies; every mistake names the file and the entry."""

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, model_validator

from stages.artifacts import Frozen
from stages.model import ErrorKind, ModelError, StopReason

Tokens = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ScriptedCall(Frozen):
    """A tool call; `raw` stands for arguments that are no JSON object."""

    name: str
    arguments: dict[str, Any] | None = None
    raw: str = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> "ScriptedCall":
        if (self.arguments is None) == (not self.raw):
            raise ValueError("a call needs either `arguments` or `raw`")
        return self


class ScriptedUsage(Frozen):
    """Reported tokens. Left out, they are a quarter of the bytes."""

    input: Tokens
    cache_read: Tokens = 0
    cache_write: Tokens = 0
    output: Tokens
    reasoning: Tokens = 0


class ScriptedError(Frozen):
    """A vendor failure. `retry_after` in seconds."""

    kind: ErrorKind
    message: str = "scripted failure"
    retry_after: Seconds | None = None
    generated: bool = False


class ScriptedReply(Frozen):
    """One answer, after `wait` seconds."""

    text: str = ""
    calls: tuple[ScriptedCall, ...] = ()
    usage: ScriptedUsage | None = None
    stop: StopReason | None = None
    error: ScriptedError | None = None
    wait: Seconds = 0.0

    @model_validator(mode="after")
    def _says_something(self) -> "ScriptedReply":
        if not (self.text or self.calls or self.stop or self.error):
            raise ValueError("a reply needs one of `text`, `calls`, `stop`, `error`")
        return self


class ScriptedConversation(Frozen):
    """Replies by turn; `when` must occur in the text of one of the user's turns."""

    when: str | None = None
    replies: Annotated[tuple[ScriptedReply, ...], Field(min_length=1)]


class Script(Frozen):
    """The whole file: model id to conversations."""

    models: dict[str, tuple[ScriptedConversation, ...]]


def load(path: str | None) -> Script:
    """Read a file of scripted replies.

    :raises ModelError: kind bad_request: no file is configured, it cannot be read, or an entry is wrong.
    """
    if path is None:
        raise _wrong("no file of replies is configured; set `vendors: {scripted: {replies: FILE}}`")
    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise _wrong(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _wrong(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    try:
        return Script.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        raise _wrong(f"{path}: {_place(first['loc'])}: {first['msg']}") from error


def _wrong(message: str) -> ModelError:
    return ModelError("bad_request", f"scripted vendor: {message}", generated=False)


def _place(location: tuple[int | str, ...]) -> str:
    """Return a place in the file in words: `models.coder[0].replies[2].text`."""
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return words.lstrip(".") or "the whole file"
