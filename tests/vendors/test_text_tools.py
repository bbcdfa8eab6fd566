"""Tools in plain text: what a model writes is read with patience, and what nobody can read is refused by name."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.vendors.compatible.text_tools import answered, extract, offered, written
from stages.model import Tool, ToolCall, ToolResult
from tests.vendors.bench import READ_FILE

CALL = '{"name": "read_file", "arguments": {"path": "a.py"}}'
READ = ToolCall("call-1-1", "read_file", {"path": "a.py"})


def test_the_system_text_has_every_tool_with_its_schema() -> None:
    text = offered([READ_FILE, Tool("finish", "Say that it is done.", {"type": "object", "properties": {}})])
    assert "read_file: Read a file of the repository." in text
    assert json.dumps(dict(READ_FILE.parameters)) in text
    assert "finish: Say that it is done." in text
    assert offered([]) == ""


def test_the_rules_fit_into_what_the_breaker_reserves_beside_a_request() -> None:
    assert len(offered([READ_FILE]).encode()) - len(json.dumps(dict(READ_FILE.parameters)).encode()) < 1500


@pytest.mark.parametrize(
    "content",
    [
        f"```tool\n{CALL}\n```",
        f"I look.\n\n```tool\n{CALL}\n```\n",
        f"```tool_call\n{CALL}\n```",
        f"```json\n{CALL}\n```",
        f"```\n{CALL}\n```",
        f"~~~tool\n{CALL}\n~~~",
        f"<tool_call>\n{CALL}\n</tool_call>",
        f"<tool_call>{CALL}</tool_call>",
        f"  ```tool\n  {CALL}\n  ```",
        f"```tool\n{CALL}",
        '```tool\n{\n  "name": "read_file",\n  "arguments": {\n    "path": "a.py"\n  }\n}\n```',
        '```tool\n{"name": "read_file", "parameters": {"path": "a.py"}}\n```',
    ],
)
def test_a_call_is_found_in_every_form_models_are_trained_on(content: str) -> None:
    assert extract(content, 1).calls == (READ,)


def test_text_and_several_calls_keep_their_order() -> None:
    other = CALL.replace("a.py", "b.py")
    found = extract(f"First.\n```tool\n{CALL}\n```\nThen.\n```tool\n{other}\n```", 3)
    assert [(call.id, call.arguments) for call in found.calls] == [
        ("call-3-1", {"path": "a.py"}),
        ("call-3-2", {"path": "b.py"}),
    ]
    assert found.text == "First.\nThen."


def test_fences_and_line_breaks_inside_a_string_end_nothing() -> None:
    content = "# Title\n\n```tool\n{not a call}\n```\n"
    call = json.dumps({"name": "write_file", "arguments": {"path": "a.md", "content": content}})
    assert extract(f"```tool\n{call}\n```", 1).calls[0].arguments == {"path": "a.md", "content": content}
    loose = call.replace("\\n", "\n")
    assert extract(f"```tool\n{loose}\n```", 1).calls[0].arguments == {"path": "a.md", "content": content}


@pytest.mark.parametrize(
    "content",
    [
        "No call at all.",
        "```python\nprint(1)\n```",
        '```json\n{"a": 1}\n```',
        "```\nplain\n```",
        '```json\n{"name": "x"',
        "```tool\nread a.py please\n```",
        "",
    ],
)
def test_what_is_no_call_stays_text(content: str) -> None:
    found = extract(content, 1)
    assert (found.calls, found.text) == ((), content.strip())


@pytest.mark.parametrize(
    "block",
    [
        '{"name": "read_file", "arguments": {"path": "a.py"',
        '{"name": "read_file", "arguments": "a.py"}',
        '{"name": "read_file", "arguments": [1]}',
        '{"name": "read_file"}',
        '{"name": "read_file", "arguments": {"path": a.py}}',
        '{"name": "read_file", "arguments": {"path": "a.py"}} and more',
    ],
)
def test_a_call_that_cannot_be_read_keeps_its_name_and_is_refused_by_the_session(block: str) -> None:
    (call,) = extract(f"```tool\n{block}\n```", 1).calls
    assert (call.name, call.arguments, call.raw) == ("read_file", None, block)


@pytest.mark.parametrize(
    "thoughts", [f"<think>Perhaps\n```tool\n{CALL.replace('read', 'delete')}\n```\n</think>", "First this.\n</think>"]
)
def test_a_call_that_is_only_thought_of_is_none(thoughts: str) -> None:
    found = extract(f"{thoughts}\n\n```tool\n{CALL}\n```", 1)
    assert (found.calls, found.text) == ((READ,), "")
    assert "think" not in found.kept


def test_thoughts_without_an_end_are_all_there_is() -> None:
    assert extract(f"<think>Perhaps\n```tool\n{CALL}\n```", 1).calls == ()


def test_the_word_inside_an_argument_ends_nothing() -> None:
    call = json.dumps({"name": "run", "arguments": {"command": "echo '</think>'"}})
    assert extract(f"```tool\n{call}\n```", 1).calls[0].arguments == {"command": "echo '</think>'"}


def test_results_a_model_invents_and_what_follows_them_are_dropped() -> None:
    found = extract(f"```tool\n{CALL}\n```\n\n```result 1 read_file\nx = 1\n```\n\n```tool\n{CALL}\n```", 1)
    assert found.calls == (READ,)
    assert "x = 1" not in found.kept


@given(st.text())
def test_no_content_of_a_result_ends_its_block(content: str) -> None:
    text = answered([ToolResult("c", "read_file", content), ToolResult("d", "run", "", is_error=True)])
    fence = re.match(r"`+", text)
    assert fence is not None
    assert fence[0] not in content
    assert f"\n{content}\n{fence[0]}\n\n```result 2 run error" in text


ARGUMENTS = st.dictionaries(
    st.text(max_size=5), st.text() | st.integers() | st.none() | st.lists(st.text()), max_size=4
)
NAMES = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)


@given(st.lists(st.tuples(NAMES, ARGUMENTS), min_size=1, max_size=3))
def test_what_is_written_is_read_again(calls: list[tuple[str, dict[str, object]]]) -> None:
    sent = [ToolCall(f"call-1-{number}", name, arguments) for number, (name, arguments) in enumerate(calls, 1)]
    found = extract(written("Now.", sent), 1)
    assert (list(found.calls), found.text) == (sent, "Now.")


@given(st.text(alphabet=st.sampled_from('`~<>{}":,toolname_cargumens \n\\[]1/'), max_size=80))
def test_no_text_makes_the_reader_fail(content: str) -> None:
    found = extract(content, 1)
    assert all(call.arguments is not None or call.raw for call in found.calls)
