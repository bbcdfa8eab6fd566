"""What a vendor offers the rest of the program, before and after its SDK is imported.

A vendor is a module or package of `pipeline/vendors/` with an attribute `SURFACE`. Its SDK is imported by the
module that `Surface.adapter` names, which the loader imports in a worker thread when the first call is due.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from stages.model import Effort, Model

Api = Literal["responses", "chat", "auto"]
ToolProtocol = Literal["native", "text", "either"]  # `either`: native, and as text where the server has no tools
SchemaCheck = Literal["strict", "validated"]  # `strict`: the vendor keeps to it too; arguments are always validated
Caching = Literal["automatic", "markers", "none"]  # `automatic`: the vendor's own; `none`: nothing of ours is cached
ADAPTED = "adapted"  # key of `Reply.metadata`: sentences on what was put otherwise for the server that replied
STALL_SECONDS = 300.0  # the longest silence of a call where nobody says otherwise
HeardKind = Literal["thinking", "text", "tool"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one model takes. `efforts` is empty where there is no such knob, in ascending order otherwise."""

    efforts: tuple[Effort, ...]
    default_effort: Effort | None
    temperature: bool
    max_output_tokens: int
    max_input_tokens: int
    counting: bool
    retired_on: str | None = None
    replacement: str | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """How far a reply under way has come: what is arriving now, and the characters of all that has arrived."""

    kind: HeardKind
    characters: int


@dataclass(frozen=True, slots=True)
class Binding:
    """Everything a model is bound to. `like` is the known model whose capabilities it has.

    `stall` is the longest silence on the wire of one call in seconds, `stall_key` the key that sets it. `progress` is
    told of each piece of a reply as it arrives; what it is told is kept nowhere.
    """

    model: str
    like: str
    effort: Effort | None
    temperature: float | None
    base_url: str | None
    api_key: str | None
    cache_key: str
    replies: str | None = None
    api: Api | None = None
    command: str | None = None
    stall: float = STALL_SECONDS
    stall_key: str = "stall"
    progress: Callable[[Heard], None] | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """The command-line program behind a vendor that a subscription pays for.

    `versions` are the oldest that is supported and the first that is not. `login` is what is wrong with the user's
    own login at a time (UTC seconds), None where nothing is; it looks at files and variables and asks nobody.
    """

    name: str
    install: str
    versions: tuple[tuple[int, ...], tuple[int, ...]]
    login: Callable[[Mapping[str, str], float], str | None]
    login_hint: str


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What a vendor's API says about a model's end. `retires_on` is a date, None where none is set."""

    stage: Literal["active", "deprecated", "retired"]
    retires_on: str | None = None


@runtime_checkable
class HasLifecycle(Protocol):
    """A model whose vendor says how long it serves it."""

    async def lifecycle(self) -> Lifecycle | None:
        """Ask, which costs nothing; None where the server does not say.

        :raises ModelError: as for a call.
        """
        ...


class Adapter(Protocol):
    """The module that imports the SDK."""

    def connect(self, binding: Binding) -> Model:
        """Return the model; no network yet."""
        ...


@dataclass(frozen=True, slots=True)
class Surface:
    """One vendor, as far as it is known without its SDK.

    `key_variables` are the environment variables that may hold the key, first set wins; empty means keyless.
    `price_provider` is its name in the price catalogue. `capabilities` maps a model id to its row or None;
    `vendor_row` is the row for a model only a user vouches for; a vendor that `vouches` serves whatever its server
    has. `apis` are the protocols to choose from. `address` reads the server's address from `address_variables`.
    With a `program` there is no price per token: calls are paid by the subscription its user is logged in with.
    `tools`, `schema`, `caching` and `streaming` say how requests are put; the documentation's tables come from here.
    """

    name: str
    adapter: str
    key_variables: tuple[str, ...]
    price_provider: str | None
    models: tuple[str, ...]
    capabilities: Callable[[str], Capabilities | None]
    vendor_row: Capabilities
    default_base_url: str | None = None
    apis: tuple[Api, ...] = ()
    key_optional: bool = False
    vouches: bool = False
    address_variables: tuple[str, ...] = ()
    address: Callable[[Mapping[str, str]], str | None] = lambda _environ: None
    program: Program | None = None
    tools: ToolProtocol = "native"
    schema: SchemaCheck = "validated"
    caching: Caching = "none"
    streaming: bool = False
