"""One client of OpenAI's SDK, for OpenAI and for whoever speaks its protocols."""

import openai

from pipeline.surface import Binding
from pipeline.vendors._connection import CONNECT_SECONDS, http_client

Client = openai.AsyncOpenAI


def client(binding: Binding, base_url: str, key_header: str) -> Client:
    """Return a client that sends the key in exactly one header, and none where there is no key."""
    key = binding.api_key
    worth = f"Bearer {key}" if key_header == "authorization" else str(key)
    return openai.AsyncOpenAI(
        api_key=key or "none",
        base_url=base_url,
        max_retries=0,
        timeout=openai.Timeout(binding.stall, connect=CONNECT_SECONDS),
        http_client=http_client(base_url, {key_header: worth} if key else {}, binding.stall),
    )
