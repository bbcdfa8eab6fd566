"""The scripted vendor: stateless replies from a file, with mistakes named where they stand."""

from pathlib import Path

import anyio
import pytest

from pipeline import loader
from pipeline.surface import Binding
from stages.model import Model, ModelError, ModelTurn, Reply, Request, ToolCall, ToolResult, Usage, UserTurn

FILE = """
models:
  coder:
    - when: "fix the parser"
      replies:
        - {text: looking, calls: [{name: read_file, arguments: {path: a.py}}, {name: list_files, arguments: {}}]}
        - {text: done, usage: {input: 900, cache_read: 400, output: 120}, stop: truncated}
    - replies:
        - {error: {kind: rate_limit, message: slow down, retry_after: 5}}
        - {calls: [{name: finish, raw: "{broken"}]}
        - {text: late, wait: 3600}
"""


def request(*turns: UserTurn | ModelTurn) -> Request:
    return Request("be brief", turns, (), 1000)


async def connected(path: Path, model: str = "coder") -> Model:
    binding = Binding(model, model, None, None, None, None, "", replies=str(path))
    return await loader.connect("scripted", binding)


def ask(path: Path, *turns: UserTurn | ModelTurn, model: str = "coder") -> Reply:
    async def asked() -> Reply:
        return await (await connected(path, model)).complete(request(*turns))

    return anyio.run(asked)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "replies.yaml"
    path.write_text(FILE)
    return path


def test_the_first_conversation_whose_words_were_said_answers(script: Path) -> None:
    reply = ask(script, UserTurn("please fix the parser now"))
    assert reply.turn.text == "looking"
    assert reply.turn.calls == (
        ToolCall("call-1-1", "read_file", {"path": "a.py"}),
        ToolCall("call-1-2", "list_files", {}),
    )
    assert reply.stop == "tools"


def test_the_reply_follows_from_the_number_of_model_turns_alone(script: Path) -> None:
    said = (UserTurn("fix the parser"), ModelTurn("looking"), UserTurn("", (ToolResult("c", "read_file", "x = 1"),)))
    for _ in range(2):
        reply = ask(script, *said)
        assert (reply.turn.text, reply.stop) == ("done", "truncated")
        assert reply.usage == Usage(900, 400, 0, 120)


def test_usage_left_out_is_a_quarter_of_the_bytes_and_what_was_sent_before_is_cached(script: Path) -> None:
    first = ask(script, UserTurn("fix the parser"))
    assert first.usage.input == -(-len("be brief" + "fix the parser") // 4)
    assert first.usage.cache_read == 0
    second = ask(script, UserTurn("other"), ModelTurn("m"), UserTurn("go on"))
    assert second.usage.cache_read == -(-len("be brief" + "other") // 4)
    assert second.usage.input > second.usage.cache_read


def test_a_scripted_failure_is_raised_with_its_time(script: Path) -> None:
    with pytest.raises(ModelError, match="slow down") as raised:
        ask(script, UserTurn("other"))
    assert (raised.value.kind, raised.value.retry_after, raised.value.generated) == ("rate_limit", 5, False)


def test_raw_arguments_arrive_as_none_with_what_was_sent(script: Path) -> None:
    (call,) = ask(script, UserTurn("other"), ModelTurn("m"), UserTurn("again")).turn.calls
    assert (call.arguments, call.raw) == (None, "{broken")


def test_a_wait_can_be_cancelled(script: Path) -> None:
    async def cancelled() -> bool:
        model = await connected(script)
        with anyio.move_on_after(0.01) as scope:
            await model.complete(request(*(UserTurn("o"), ModelTurn("m")) * 2, UserTurn("o")))
        return scope.cancelled_caught

    assert anyio.run(cancelled)


@pytest.mark.parametrize(
    ("model", "turns", "words"),
    [
        ("planner", (UserTurn("x"),), "has no model 'planner' (it has coder)"),
        ("coder", (*(UserTurn("x"), ModelTurn("m")) * 3, UserTurn("x")), "models.coder[1] has 3 replies, turn 4"),
    ],
)
def test_a_request_beyond_the_script_names_file_model_and_turn(
    script: Path, model: str, turns: tuple[UserTurn | ModelTurn, ...], words: str
) -> None:
    with pytest.raises(ModelError) as raised:
        ask(script, *turns, model=model)
    assert raised.value.kind == "protocol"
    assert words in raised.value.message
    assert str(script) in raised.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: [", "not YAML"),
        ("models: {coder: [{replies: []}]}", "models.coder[0].replies"),
        ("models: {coder: [{replies: [{txt: a}]}]}", "models.coder[0].replies[0].txt"),
        ("models: {coder: [{replies: [{wait: 3}]}]}", "needs one of `text`"),
        ("models: {coder: [{replies: [{calls: [{name: f}]}]}]}", "either `arguments` or `raw`"),
        ("[]", "the whole file"),
    ],
)
def test_a_wrong_file_is_refused_with_the_entry(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "replies.yaml"
    path.write_text(text)
    with pytest.raises(ModelError) as raised:
        ask(path, UserTurn("x"))
    assert words in raised.value.message
    assert str(path) in raised.value.message
    assert (raised.value.kind, raised.value.generated) == ("bad_request", False)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.yaml: cannot be read"):
        ask(tmp_path / "nowhere.yaml", UserTurn("x"))


def test_counting_agrees_with_the_default_usage(script: Path) -> None:
    async def counted() -> int | None:
        return await (await connected(script)).count_tokens(request(UserTurn("fix the parser")))

    assert anyio.run(counted) == ask(script, UserTurn("fix the parser")).usage.input
