"""Loopback servers that speak the vendors' wire protocols strictly: the real SDKs talk to them in tests.

A test gives a `Brain`, one function from `Conversation` to `Say`, and the same brain serves every protocol:

    with anthropic_server(by_turn(Say(calls=[("finish", {"summary": "done"})]))) as server:
        ...  # server.url is the base_url, ANTHROPIC_KEY the key, server.log what came in
"""

from tests.loopback.anthropic import KEY as ANTHROPIC_KEY
from tests.loopback.anthropic import anthropic_server
from tests.loopback.brain import Brain, Conversation, Result, Say, always, by_model, by_turn
from tests.loopback.chat import KEY as CHAT_KEY
from tests.loopback.chat import Traits, chat_server
from tests.loopback.google import KEY as GOOGLE_KEY
from tests.loopback.google import google_server
from tests.loopback.openai import KEY as OPENAI_KEY
from tests.loopback.openai import openai_server
from tests.loopback.serving import LoggedRequest
from tests.loopback.wire import LoopbackServer

__all__ = [
    "ANTHROPIC_KEY",
    "CHAT_KEY",
    "GOOGLE_KEY",
    "OPENAI_KEY",
    "Brain",
    "Conversation",
    "LoggedRequest",
    "LoopbackServer",
    "Result",
    "Say",
    "Traits",
    "always",
    "anthropic_server",
    "by_model",
    "by_turn",
    "chat_server",
    "google_server",
    "openai_server",
]
