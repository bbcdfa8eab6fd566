"""Every exception class of each SDK and of the HTTP library has a kind, whatever a server says with it."""

import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import anthropic
import anyio
import httpx2
import openai
import pytest

from pipeline.surface import Binding
from pipeline.vendors._connection import MOST_BYTES
from pipeline.vendors._wire import guarded, json_object
from pipeline.vendors.anthropic.errors import translate as anthropic_translate
from pipeline.vendors.compatible.errors import translate as compatible_translate
from pipeline.vendors.google.errors import translate as google_translate
from pipeline.vendors.google.sdk import errors as google_errors
from pipeline.vendors.openai.errors import translate as openai_translate
from stages.model import Model, ModelError
from tests.loopback import Brain, Conversation, LoopbackServer, Say, always
from tests.loopback.wire import Rejected
from tests.vendors.bench import ASK, BENCHES, CHAT

Translate = Callable[[Exception], ModelError]
KEY = "sk-in-the-request"
REQUEST = httpx2.Request("POST", "http://127.0.0.1/", headers={"authorization": f"Bearer {KEY}"})

# What stands for an answer that could not be read, hence `protocol`, is written out too: silence is not a mapping.
HTTP = {
    "CloseError": "network",
    "ConnectError": "network",
    "ConnectTimeout": "network",
    "CookieConflict": "protocol",
    "DecodingError": "protocol",
    "HTTPError": "protocol",
    "HTTPStatusError": "protocol",
    "InvalidURL": "bad_request",
    "LocalProtocolError": "bad_request",
    "NetworkError": "network",
    "PoolTimeout": "network",
    "ProtocolError": "network",
    "ProxyError": "network",
    "ReadError": "network",
    "ReadTimeout": "timeout",
    "RemoteProtocolError": "network",
    "RequestError": "protocol",
    "RequestNotRead": "network",
    "ResponseNotRead": "network",
    "StreamClosed": "network",
    "StreamConsumed": "network",
    "StreamError": "network",
    "TimeoutException": "timeout",
    "TooManyRedirects": "protocol",
    "TransportError": "network",
    "UnsupportedProtocol": "bad_request",
    "WriteError": "network",
    "WriteTimeout": "timeout",
}
ANTHROPIC = {
    "APIConnectionError": "network",
    "APIError": "protocol",
    "APIResponseValidationError": "protocol",
    "APIStatusError": "protocol",  # its status is the 200 of a broken stream
    "APITimeoutError": "timeout",
    "APIWebhookValidationError": "protocol",
    "AnthropicError": "protocol",
    "AuthenticationError": "auth",
    "BadRequestError": "bad_request",
    "ClientClosedRequestError": "bad_request",
    "ConflictError": "bad_request",
    "ContentTooLargeError": "too_large",
    "CredentialsError": "auth",
    "GatewayTimeoutError": "server",
    "HTTPNotImplementedError": "server",
    "IdentityTokenFileError": "auth",
    "InternalServerError": "server",
    "NotFoundError": "bad_request",
    "OverloadedError": "overloaded",
    "PaymentRequiredError": "billing",
    "PermissionDeniedError": "auth",
    "PreconditionFailedError": "bad_request",
    "RateLimitError": "rate_limit",
    "RequestHeaderFieldsTooLargeError": "bad_request",
    "RequestTimeoutError": "timeout",
    "RetryableError": "protocol",
    "ServiceUnavailableError": "overloaded",
    "UnprocessableEntityError": "bad_request",
}
OPENAI = {
    "APIConnectionError": "network",
    "APIError": "protocol",
    "APIResponseValidationError": "protocol",
    "APIStatusError": "protocol",
    "APITimeoutError": "timeout",
    "AuthenticationError": "auth",
    "BadRequestError": "bad_request",
    "ConflictError": "bad_request",
    "ContentFilterFinishReasonError": "protocol",
    "InternalServerError": "server",
    "InvalidWebhookSignatureError": "protocol",
    "LengthFinishReasonError": "protocol",
    "NotFoundError": "bad_request",
    "OAuthError": "auth",
    "OpenAIError": "protocol",
    "PermissionDeniedError": "auth",
    "RateLimitError": "rate_limit",
    "SubjectTokenProviderError": "protocol",
    "UnprocessableEntityError": "bad_request",
    "WebSocketConnectionClosedError": "protocol",
    "WebSocketQueueFullError": "protocol",
}
GOOGLE = {
    "APIError": "protocol",
    "ClientError": "bad_request",
    "ContinuationInterruptedError": "protocol",
    "FunctionInvocationError": "protocol",
    "ServerError": "server",
    "UnknownApiResponseError": "protocol",
    "UnknownFunctionCallArgumentError": "protocol",
    "UnsupportedFunctionError": "protocol",
}
STATUS_OF = {  # of the classes that do not say it themselves
    "AuthenticationError": 401,
    "OAuthError": 401,
    "InternalServerError": 500,
    "ClientError": 400,
    "ServerError": 500,
}


def classes(module: ModuleType) -> Iterator[type[Exception]]:
    """Yield what the library defines there; two of them say of their classes that they are the package's."""
    package = module.__name__.partition(".")[0]
    for _, found in inspect.getmembers(module, inspect.isclass):
        if (
            issubclass(found, Exception)
            and not issubclass(found, Warning)
            and found.__module__.partition(".")[0] == package
        ):
            yield found


def made(kind: type[Exception]) -> Exception:
    """Return an exception as the SDK would raise it, with the request that holds the key."""
    if issubclass(kind, google_errors.APIError):
        status = STATUS_OF.get(kind.__name__, 200)
        return kind(status, {"error": {"message": "m"}}, httpx2.Response(status, request=REQUEST))
    if issubclass(kind, anthropic.APIStatusError | openai.APIStatusError):
        status = STATUS_OF.get(kind.__name__, getattr(kind, "status_code", 200))
        answered = kind.__new__(kind)
        base: Any = anthropic.APIStatusError if issubclass(kind, anthropic.APIStatusError) else openai.APIStatusError
        base.__init__(answered, "m", response=httpx2.Response(status, request=REQUEST), body=None)
        return answered
    error = kind.__new__(kind)
    Exception.__init__(error, "m")
    error.__dict__["request"] = REQUEST
    return error


def rows(module: ModuleType, table: dict[str, str], translate: Translate) -> list[Any]:
    return [pytest.param(kind, table, translate, id=f"{module.__name__}.{kind.__name__}") for kind in classes(module)]


@pytest.mark.parametrize(
    ("module", "table"),
    [
        (anthropic._exceptions, ANTHROPIC),
        (openai._exceptions, OPENAI),
        (google_errors, GOOGLE),
        (httpx2._exceptions, HTTP),
    ],
)
def test_every_row_is_a_class_that_exists(module: ModuleType, table: dict[str, str]) -> None:
    """The negative control of the next test: an enumeration that finds nothing would prove nothing."""
    assert {kind.__name__ for kind in classes(module)} == set(table)


@pytest.mark.parametrize(
    ("kind", "table", "translate"),
    [
        *rows(anthropic._exceptions, ANTHROPIC, anthropic_translate),
        *rows(openai._exceptions, OPENAI, openai_translate),
        *rows(openai._exceptions, OPENAI, compatible_translate),
        *rows(google_errors, GOOGLE, google_translate),
        *rows(httpx2._exceptions, HTTP, anthropic_translate),
        *rows(httpx2._exceptions, HTTP, openai_translate),
        *rows(httpx2._exceptions, HTTP, compatible_translate),
        *rows(httpx2._exceptions, HTTP, google_translate),
    ],
)
def test_every_exception_class_has_a_kind(kind: type[Exception], table: dict[str, str], translate: Translate) -> None:
    assert kind.__name__ in table, f"{kind.__module__}.{kind.__name__} is new: decide what it means and add it here"
    error = translate(made(kind))
    assert error.kind == table[kind.__name__]
    assert KEY not in repr(vars(error))


@dataclass
class Begun:
    """A stream that has begun and reported its input."""

    began: bool = True
    input_reported: tuple[int, int] | None = (700, 200)


@pytest.mark.parametrize(
    ("kind", "translate"),
    [
        *(
            (kind, anthropic_translate)
            for module in (anthropic._exceptions, httpx2._exceptions)
            for kind in classes(module)
        ),
        *((kind, openai_translate) for kind in classes(openai._exceptions)),
        *((kind, google_translate) for kind in classes(google_errors)),
    ],
)
def test_whatever_breaks_a_stream_that_has_begun_may_have_cost_and_holds_no_key(
    kind: type[Exception], translate: Translate
) -> None:
    binding = Binding("m", "m", None, None, None, KEY, "", stall=7.0, stall_key="stages.coder.stall")

    async def call() -> None:
        error = made(kind)
        error.args = (f"m {KEY}",)
        raise error

    def guard(begun: Begun) -> ModelError:
        with pytest.raises(ModelError) as raised:
            anyio.run(guarded, call, translate, binding, begun)
        return raised.value

    error = guard(Begun())
    assert (error.generated, error.input_reported) == (True, (700, 200))
    assert guard(Begun(began=False, input_reported=None)).input_reported is None, "the negative control"
    assert KEY not in repr(vars(error)) + str(error)
    assert (error.__cause__, error.__context__) == (None, None)
    if kind is httpx2.ReadTimeout:
        assert error.message == "no bytes for 7 s (stages.coder.stall)"


@pytest.mark.parametrize("translate", [anthropic_translate, openai_translate, compatible_translate, google_translate])
@pytest.mark.parametrize("error", [json.JSONDecodeError("m", "", 0), ValueError("m"), TypeError("m"), KeyError("m")])
def test_whatever_an_sdk_trips_over_is_an_answer_that_cannot_be_read(translate: Translate, error: Exception) -> None:
    assert translate(error).kind == "protocol"


def failing(status: int, said: Any, key: str = KEY) -> dict[str, ModelError]:
    """Return what each vendor's call fails with when its server answers so."""
    found = {}
    for bench in (*BENCHES, CHAT):

        async def asked(model: Model, server: LoopbackServer) -> None:
            server.brain = rejecting(status, said)
            await model.complete(ASK)

        with pytest.raises(ModelError) as raised:
            bench.run(always(Say()), asked)
        assert key not in str(vars(raised.value))
        found[bench.vendor] = raised.value
    return found


def rejecting(status: int, said: Any) -> Brain:
    def brain(_conversation: Conversation) -> Say:
        raise Rejected(status, said)

    return brain


ODD: list[Any] = [
    {"code": ["x"], "message": {"a": 1}, "param": {"tools": 1}, "type": ["t"], "status": 5},
    {"code": 5, "param": ["tools"], "type": 5, "details": {"error_code": ["x"]}},
    {"details": [{"violations": 5, "reason": ["x"], "@type": 5, "retryDelay": {}}, 7]},
    "a text",
    None,
]


@pytest.mark.parametrize("said", ODD)
def test_a_refusal_is_known_by_its_status_whatever_the_types_of_what_it_says(said: Any) -> None:
    kinds = {vendor: error.kind for vendor, error in failing(429, {"error": said}).items()}
    assert kinds == dict.fromkeys(kinds, "rate_limit")
    assert len(kinds) == 4


def test_an_answer_without_end_is_given_up_whatever_its_status() -> None:
    kinds = [error.kind for error in failing(400, {"error": {"message": "x" * MOST_BYTES}}).values()]
    assert kinds == ["protocol"] * 4
    nearly = failing(400, {"error": {"message": "x" * (MOST_BYTES // 64)}})
    assert [error.kind for error in nearly.values()] == ["bad_request"] * 4, "the negative control"


def test_a_gemini_stream_without_end_is_given_up() -> None:
    with pytest.raises(ModelError) as raised:
        BENCHES[2].ask(always(Say("x" * MOST_BYTES)))
    assert raised.value.kind == "protocol"
    assert "longer than" in raised.value.message


def test_what_a_server_says_drives_no_terminal() -> None:
    for error in failing(400, {"error": {"message": "\x1b[2Jgone\x07\r\nnext\u202e"}}).values():
        assert "gone next" in error.message
        assert error.message.isprintable()


@pytest.mark.parametrize("status", [200, 400])
def test_a_key_that_is_cut_where_the_excerpt_ends_is_not_shown_in_part(status: int) -> None:
    binding = Binding("m", "m", None, None, None, KEY, "")
    for padding in range(150, 640):
        text = "x" * padding + KEY + "x" * 900

        async def call(text: str = text) -> None:
            if status == 200:
                json_object(text.encode())
            response = httpx2.Response(400, request=REQUEST)
            raise openai.APIStatusError(text, response=response, body={"message": text})

        with pytest.raises(ModelError) as raised:
            anyio.run(guarded, call, openai_translate, binding)
        assert KEY[:6] not in raised.value.message


@pytest.mark.parametrize("module", [anthropic, openai])
def test_a_connection_error_is_what_caused_it(module: Any) -> None:
    translate = anthropic_translate if module is anthropic else openai_translate
    error = module.APIConnectionError(request=REQUEST)
    error.__cause__ = httpx2.ConnectError("refused")
    assert (translate(error).kind, translate(error).generated) == ("network", False)
    error.__cause__ = httpx2.ReadError("reset")
    assert (translate(error).kind, translate(error).generated) == ("network", True)
