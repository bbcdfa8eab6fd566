"""Choose between the Responses API and chat completions, once or by asking the server."""

import re
from urllib.parse import urlsplit

from pipeline.errors import InfrastructureError
from pipeline.surface import Api, Binding
from pipeline.vendors.compatible.chat import ChatModel, adapted
from pipeline.vendors.compatible.dialect import OPENAI, Dialect
from pipeline.vendors.compatible.errors import translate as of_a_server
from pipeline.vendors.openai.adapter import OpenAIModel
from pipeline.vendors.openai.client import client
from pipeline.vendors.openai.errors import translate as of_openai
from stages.model import Model, ModelError, Reply, Request

SWITCHED = "it does not speak the Responses API: chat completions are used"
_OWN_HOSTS = re.compile(r"(api\.openai\.com|.+\.openai\.azure\.com)")
# Addresses and models that answered chat completions after they had refused the Responses API, in this process.
_CHAT_ONLY: set[tuple[str, str]] = set()


def chosen(
    binding: Binding, base_url: str | None, api: Api, dialect: Dialect, *, key_header: str = "authorization"
) -> Model:
    """Return the model, speaking the protocol that was chosen or is left to the server.

    :raises InfrastructureError: nobody said where the server is; a key must not go to a host nobody named.
    """
    if base_url is None:
        raise InfrastructureError(f"no address is known for the model {binding.model}; set its vendor's base_url")
    connection = client(binding, base_url, key_header)
    chat = ChatModel(connection, binding, base_url, dialect)
    responses = OpenAIModel(connection, binding, of_openai if dialect is OPENAI else of_a_server)
    match api:
        case "chat":
            return chat
        case "responses":
            return responses
        case "auto" if _OWN_HOSTS.fullmatch((urlsplit(base_url).hostname or "").lower()):
            return AskingModel(responses, chat, (base_url, binding.model))
        case "auto":
            return chat


class AskingModel:
    """A model asked through the Responses API until its server says, before any success, that it has none."""

    def __init__(self, responses: Model, chat: Model, place: tuple[str, str]) -> None:
        self._responses = responses
        self._chat = chat
        self._place = place
        self._answered = False
        self._told = False

    async def complete(self, request: Request) -> Reply:
        """Answer once; see `stages.model.Model`."""
        if self._place in _CHAT_ONLY:
            return await self._by_chat(request)
        try:
            reply = await self._responses.complete(request)
        except ModelError as error:
            if self._answered or not _speaks_no_responses(error):
                raise
        else:
            self._answered = True
            return reply
        return await self._by_chat(request)

    async def count_tokens(self, request: Request) -> int | None:
        """Ask the counting endpoint, which only the Responses API has."""
        if self._place in _CHAT_ONLY:
            return None
        return await self._responses.count_tokens(request)

    async def _by_chat(self, request: Request) -> Reply:
        reply = await self._chat.complete(request)
        _CHAT_ONLY.add(self._place)
        if self._told:
            return reply
        self._told = True
        return adapted(reply, SWITCHED)


def _speaks_no_responses(error: ModelError) -> bool:
    if error.status in {404, 405}:
        return True
    return error.status == 400 and (error.parameter or "") in {"input", "instructions"}
