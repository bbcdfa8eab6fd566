"""A vendor's protocol served to its SDK: a brain answers, strictly, and every way to break off."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.loopback.brain import Brain, Fault, Say
from tests.loopback.serving import Connection, LoggedRequest, ThreadServer
from tests.loopback.tokens import PrefixCache


class Rejected(Exception):  # noqa: N818 - it is the vendor's no, not an error of the server
    """The vendor's own error answer."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back, and how it breaks."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault | None = None


class Dialect(Protocol):
    """One vendor's protocol."""

    suffix: str

    def answer(self, request: LoggedRequest, brain: Brain, cache: PrefixCache) -> Answer:
        """Check a request as strictly as the vendor does and answer it.

        :raises Rejected: the vendor would refuse it.
        """
        ...


class LoopbackServer(ThreadServer[Answer]):
    """A running server. `url` is the base_url as the SDK takes it."""

    def __init__(self, dialect: Dialect, brain: Brain) -> None:
        super().__init__(_Connection)
        self.rejections: list[Rejected] = []
        self.brain = brain
        self._dialect = dialect
        self._cache = PrefixCache()
        self.url = self.origin + dialect.suffix

    @property
    def models(self) -> list[str]:
        """The models asked to generate, in order."""
        return [_model(each) for each in self.log if "count" not in each.path and "input_tokens" not in each.path]

    def answered(self, request: LoggedRequest) -> Answer:
        """Answer in the vendor's protocol."""
        try:
            return self._dialect.answer(request, self.brain, self._cache)
        except Rejected as no:
            self.rejections.append(no)
            return Answer(no.status, no.body, no.headers)


def error_answer(say: Say, body: Any) -> Answer:
    """Return a scripted HTTP error in the vendor's words."""
    return Answer(say.status, body if say.body is None else say.body, say.headers, say.fault)


def _model(request: LoggedRequest) -> str:
    named = request.json.get("model") if isinstance(request.json, dict) else None
    return named or request.path.rpartition("/models/")[2].partition(":")[0]


class _Connection(Connection[Answer]):
    def send(self, answer: Answer) -> None:
        content = json.dumps(answer.body).encode()
        wrong: dict[Fault, tuple[bytes, str]] = {
            "html": (b"<!doctype html><title>Sign in</title>", "text/html"),
            "empty": (b"", "application/json"),
            "foreign_json": (b'{"hello": "world"}', "application/json"),
            "truncated_json": (content[: len(content) // 2], "application/json"),
        }
        match answer.fault:
            case None:
                self.whole(answer.status, content, answer.headers)
            case "reset":
                self.tear()
            case "hang":
                self.hold()
            case "trickle":
                self._trickle(answer, content)
            case fault:
                sent, content_type = wrong[fault]
                self.whole(answer.status, sent, answer.headers, content_type)

    def _trickle(self, answer: Answer, content: bytes) -> None:
        """Send a byte now and then: no phase of the client's ever times out."""
        self.begin(answer.status, {"content-type": "application/json", "content-length": str(len(content))})
        self.owner.hanging.set()
        for byte in content:
            if self.owner.pause(0.02):
                return
            self.wfile.write(bytes([byte]))
