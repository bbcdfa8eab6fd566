"""Asks each configured model one tiny question: whether it answers, as which model, how fast and at what cost."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import anyio

from pipeline.config.binding import binding_of
from pipeline.config.settings import Rung, Settings
from pipeline.errors import InfrastructureError
from pipeline.memory.budget import is_plausible
from pipeline.memory.redaction import redactor
from pipeline.metering.prices import pricing
from pipeline.metering.quota import quota
from pipeline.surface import ADAPTED, Binding, HasLifecycle, Lifecycle
from stages.artifacts import StageName
from stages.model import ErrorKind, Model, ModelError, Reply, Request, UserTurn

PROBE_SECONDS = 30.0
# A bound, not a use: the answer is one word. Models that reason do so within it first, and some (Gemini) answer with
# nothing at all where it is too small for that; OpenAI refuses one below 16.
PROBE_OUTPUT_TOKENS = 1_024
QUESTION = Request("Answer with one word.", (UserTurn("Say ok."),), (), PROBE_OUTPUT_TOKENS)

Connect = Callable[[str, Binding], Awaitable[Model]]


@dataclass(frozen=True, slots=True)
class Target:
    """One model to ask, with the knobs of the first rung (or fallback of one, by its number) that names it."""

    stage: StageName
    number: int
    rung: Rung
    fallback: int = 0

    @property
    def name(self) -> str:
        """Return the vendor and the model."""
        return f"{self.rung.vendor}/{self.rung.model}"

    @property
    def seconds(self) -> float:
        """How long its answer may take."""
        return min(PROBE_SECONDS, self.rung.timeout)


@dataclass(frozen=True, slots=True)
class Answered:
    """A model that answered. `cost` is USD, None where unknown; `paid_by` says who pays where it is a subscription."""

    target: Target
    seconds: float
    reply: Reply
    cost: Decimal | None
    paid_by: str | None
    lifecycle: Lifecycle | None


@dataclass(frozen=True, slots=True)
class Silent:
    """A model that did not answer; `kind` None means that it could not even be asked."""

    target: Target
    seconds: float
    kind: ErrorKind | None
    message: str
    retry_after: float | None = None
    billed: bool = False


Finding = Answered | Silent


@dataclass(frozen=True, slots=True)
class Prober:
    """What a probe reaches the world through. `clock` is seconds from any start; `keys` are never shown."""

    settings: Settings
    keys: Mapping[str, str]
    connect: Connect
    clock: Callable[[], float]


def targets(settings: Settings) -> tuple[Target, ...]:
    """Return every distinct model of every rung, in the order of the stages."""
    found: dict[tuple[str, str], Target] = {}
    for stage, number, fallback, rung in settings.every_rung():
        found.setdefault((rung.vendor, rung.model), Target(stage, number, rung, fallback))
    return tuple(found.values())


def at_most(settings: Settings, asked: Sequence[Target]) -> Decimal | None:
    """Return the most these questions can cost, None where a price is unknown; subscriptions cost no dollars."""
    paid = [target.rung for target in asked if quota(target.rung.vendor) is None]
    prices = [pricing(rung.vendor, rung.model, settings) for rung in paid]
    known = [price.ceiling(PROBE_OUTPUT_TOKENS, PROBE_OUTPUT_TOKENS) for price in prices if price is not None]
    return sum(known, Decimal(0)) if len(known) == len(prices) else None


async def probe(prober: Prober, asked: Sequence[Target]) -> tuple[Finding, ...]:
    """Ask all vendors at the same time, the models of one vendor one after another; nothing is tried twice."""
    found: dict[str, Finding] = {}

    async def ask_vendor(vendor: str) -> None:
        for target in asked:
            if target.rung.vendor == vendor:
                found[target.name] = await _ask(prober, target)

    async with anyio.create_task_group() as group:
        for vendor in dict.fromkeys(target.rung.vendor for target in asked):
            group.start_soon(ask_vendor, vendor)
    return tuple(found[target.name] for target in asked)


async def _ask(prober: Prober, target: Target) -> Finding:
    begun = prober.clock()
    try:
        # Importing the vendor's library takes up to two seconds, which are not the vendor's.
        key = prober.keys.get(target.rung.vendor)
        binding = binding_of(prober.settings, target.rung, api_key=key)
        model = await prober.connect(prober.settings.surface_of(target.rung.vendor), binding)
        begun = prober.clock()
        with anyio.fail_after(target.seconds):
            reply = await model.complete(_question(target))
    except ModelError as error:
        said = Silent(target, prober.clock() - begun, error.kind, error.message, error.retry_after, error.generated)
    except TimeoutError:
        message = f"no answer within {target.seconds:g} s"
        said = Silent(target, prober.clock() - begun, "timeout", message, billed=True)
    except InfrastructureError as error:
        said = Silent(target, prober.clock() - begun, None, str(error))
    else:
        return await _answered(prober, target, reply, prober.clock() - begun, model)
    return replace(said, message=redactor(prober.keys.values())(said.message))


async def _answered(prober: Prober, target: Target, reply: Reply, seconds: float, model: Model) -> Answered:
    rung = target.rung
    price = pricing(rung.vendor, rung.model, prober.settings)
    cost = price.cost(reply.usage) if price and is_plausible(reply.usage) else None
    return Answered(target, seconds, reply, cost, quota(rung.vendor), await _lifecycle(model, target.seconds))


async def _lifecycle(model: Model, seconds: float) -> Lifecycle | None:
    """Ask for the model's end where its vendor knows one; it answered, so silence about this is no problem."""
    if not isinstance(model, HasLifecycle):
        return None
    try:
        with anyio.fail_after(seconds):
            return await model.lifecycle()
    except (ModelError, TimeoutError):
        return None


def _question(target: Target) -> Request:
    return replace(QUESTION, max_output_tokens=min(PROBE_OUTPUT_TOKENS, target.rung.max_output_tokens))


def adapted(reply: Reply) -> tuple[str, ...]:
    """Return what was put otherwise for the server that replied."""
    return tuple(reply.metadata.get(ADAPTED, ()))
