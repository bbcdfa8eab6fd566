"""The loopback servers refuse what the vendors refuse: otherwise a passing adapter would mean nothing."""

from typing import Any

import httpx2
import pytest

from tests.loopback import (
    ANTHROPIC_KEY,
    CHAT_KEY,
    GOOGLE_KEY,
    OPENAI_KEY,
    Say,
    Traits,
    always,
    anthropic_server,
    chat_server,
    google_server,
    openai_server,
)

BRAIN = always(Say("x"))
OPEN = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
USER = {"role": "user", "content": "hi"}
USE = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "x"}]}
THOUGHT = {"role": "assistant", "content": [{"type": "thinking", "thinking": "a", "signature": "forged"}]}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "x"}
CHAT_CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
CHAT_RESULT = {"role": "tool", "tool_call_id": "c1", "content": "x"}
ASKED = {"role": "user", "parts": [{"text": "hi"}]}
CALLED = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "forged"}]}
ANSWERED = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]}


def posted(server: Any, path: str, headers: dict[str, str], body: dict[str, Any]) -> httpx2.Response:
    with server(BRAIN) as running, httpx2.Client(trust_env=False) as client:
        return client.post(running.url + path, headers=headers, json=body)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"temperature": 0.2}, "temperature: Extra inputs are not permitted"),
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"messages": [USER, USER]}, "roles must alternate"),
        ({"messages": [USER, USE, USER]}, "without `tool_result` blocks immediately after: t1"),
        ({"messages": [USER, USE, RESULT]}, None),
        ({"messages": [USER, {"role": "assistant", "content": "a"}, RESULT]}, "unexpected `tool_use_id`"),
        ({"messages": [USER, THOUGHT, USER]}, "Invalid `signature`"),
        ({"messages": [{"role": "user", "content": " "}]}, "non-whitespace"),
        ({"messages": [USER, {"role": "assistant", "content": "a"}]}, "prefill"),
        ({"tools": [{"name": "f", "input_schema": OPEN, "strict": True}]}, "additionalProperties"),
        ({"thinking": {"type": "disabled"}}, "thinking.type"),
        ({"output_config": {"effort": "extreme"}}, "output_config.effort"),
    ],
)
def test_messages(changes: dict[str, Any], words: str | None) -> None:
    body = {"model": "claude-opus-5-5", "max_tokens": 10, "messages": [USER]} | changes
    headers = {"authorization": f"Bearer {ANTHROPIC_KEY}", "anthropic-version": "2026-10-21"}
    answer = posted(anthropic_server, "/v1/messages", headers, body)
    assert answer.status_code == (400 if words else 200)
    assert words is None or words in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"max_tokens": 5}, "Unknown parameter: 'max_tokens'"),
        ({"temperature": 0.2}, "Unsupported parameter: 'temperature'"),
        ({"input": [USER, CALL]}, "No tool output found for function call c1"),
        ({"input": [USER, OUTPUT]}, "No tool call found"),
        ({"input": [USER, CALL, OUTPUT]}, None),
        ({"input": [USER, {"type": "reasoning", "id": "rs", "summary": []}, CALL, OUTPUT]}, "not persisted"),
        ({"input": [USER, {"type": "reasoning", "id": "rs", "encrypted_content": "forged"}]}, "could not be verified"),
        ({"tools": [{"type": "function", "name": "f", "parameters": OPEN, "strict": True}]}, "additionalProperties"),
        ({"tools": [{"type": "function", "name": "f", "parameters": OPEN}]}, "tools[0].strict"),
        ({"reasoning": {"effort": "extreme"}}, "Invalid value: 'extreme'"),
        ({"store": True}, "store"),
    ],
)
def test_responses(changes: dict[str, Any], words: str | None) -> None:
    body = {"model": "gpt-6.1-sol", "input": [USER], "store": False, "include": ["reasoning.encrypted_content"]}
    answer = posted(openai_server, "/responses", {"authorization": f"Bearer {OPENAI_KEY}"}, body | changes)
    assert answer.status_code == (200 if words is None else answer.status_code)
    assert (answer.status_code in {400, 404}) == (words is not None)
    assert words is None or words in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"max_tokens": 5}, 'Unknown name "maxTokens"'),
        ({"generationConfig": {"temperatur": 1}}, 'Unknown name "temperatur"'),
        ({"contents": [ASKED, ASKED]}, "alternate"),
        ({"contents": [ASKED, CALLED, ASKED]}, "number of function response parts"),
        ({"contents": [{"role": "user", "parts": []}]}, "must not be empty"),
        (
            {
                "contents": [
                    ASKED,
                    CALLED,
                    {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]},
                ]
            },
            "Corrupted thought signature",
        ),
        ({"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": OPEN}]}]}, "additionalProperties"),
        ({"generationConfig": {"thinkingConfig": {"thinking_level": "EXTREME"}}}, "thinking_level"),
    ],
)
def test_generate_content(changes: dict[str, Any], words: str | None) -> None:
    path = "/v1/models/gemini-3.8-flash:generateContent"
    answer = posted(google_server, path, {"x-goog-api-key": GOOGLE_KEY}, {"contents": [ASKED]} | changes)
    assert answer.status_code == (400 if words else 200)
    assert words is None or words in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"top_p": 1}, "Unsupported parameter: 'top_p'"),
        ({"max_tokens": None}, None),
        ({"messages": [USER, CHAT_CALL, USER]}, "did not have response messages: c1"),
        ({"messages": [USER, CHAT_RESULT]}, "must follow a call"),
        ({"messages": [USER, CHAT_CALL, CHAT_RESULT]}, None),
        ({"messages": [USER, {"role": "assistant", "content": "a"}]}, "must be the user's or a tool's"),
        ({"messages": [USER, {"role": "assistant", "content": ""}, USER]}, "needs content or tool calls"),
        ({"messages": [{"role": "critic", "content": "a"}, USER]}, "'critic' is not one of"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": OPEN}}]}, "additionalProperties"),
    ],
)
def test_chat_completions(changes: dict[str, Any], words: str | None) -> None:
    body = {"model": "m", "max_tokens": 10, "messages": [USER]} | changes
    answer = posted(chat_server, "/chat/completions", {"authorization": f"Bearer {CHAT_KEY}"}, body)
    assert answer.status_code == (400 if words else 200)
    assert words is None or words in answer.json()["error"]["message"]


def test_chat_completions_need_an_output_limit() -> None:
    body = {"model": "m", "messages": [USER]}
    answer = posted(chat_server, "/chat/completions", {"authorization": f"Bearer {CHAT_KEY}"}, body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "max_tokens")


@pytest.mark.parametrize(
    ("key", "traits", "headers", "status"),
    [
        (CHAT_KEY, Traits(), {}, 401),
        (CHAT_KEY, Traits(), {"api-key": CHAT_KEY}, 401),
        (CHAT_KEY, Traits(), {"authorization": f"Bearer {CHAT_KEY}", "api-key": CHAT_KEY}, 401),
        (CHAT_KEY, Traits(key_header="api-key"), {"api-key": CHAT_KEY}, 200),
        (CHAT_KEY, Traits(key_header="api-key"), {"authorization": f"Bearer {CHAT_KEY}"}, 401),
        (None, Traits(), {}, 200),
        (None, Traits(), {"authorization": "Bearer none"}, 401),
    ],
)
def test_chat_completions_take_one_key_in_one_header(
    key: str | None, traits: Traits, headers: dict[str, str], status: int
) -> None:
    body = {"model": "m", "max_tokens": 10, "messages": [USER]}
    with chat_server(BRAIN, key=key, traits=traits) as running, httpx2.Client(trust_env=False) as client:
        assert client.post(f"{running.url}/chat/completions", headers=headers, json=body).status_code == status


@pytest.mark.parametrize(
    ("traits", "changes", "words"),
    [
        (Traits(tools=False), {"tools": [{"type": "function", "function": {}}]}, "does not support tools"),
        (Traits(tools=False), {"messages": [USER, CHAT_CALL, CHAT_RESULT]}, "'tool' is not one of"),
        (Traits(refuses=frozenset({"max_tokens"})), {}, "Unsupported parameter: 'max_tokens'"),
        (
            Traits(roles=frozenset({"user"})),
            {"messages": [{"role": "system", "content": "a"}, USER]},
            "'system' is not",
        ),
    ],
)
def test_a_lesser_server_names_what_it_does_not_take(traits: Traits, changes: dict[str, Any], words: str) -> None:
    body = {"model": "m", "max_tokens": 10, "messages": [USER]} | changes
    with chat_server(BRAIN, key=None, traits=traits) as running, httpx2.Client(trust_env=False) as client:
        answer = client.post(f"{running.url}/chat/completions", json=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
