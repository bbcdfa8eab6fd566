"""Puts what a probe found into lines, problems and warnings. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from pipeline.config.settings import Settings, VendorSettings
from pipeline.keys import key_names
from pipeline.loader import surface
from pipeline.memory.budget import is_plausible
from pipeline.preflight.probe import PROBE_OUTPUT_TOKENS, PROBE_SECONDS, Answered, Finding, Silent, Target, adapted
from pipeline.problem import Position, Problem, problem

_LATER = "ask again later; in a run such an error is waited for"
_HINTS: Mapping[str, str] = {
    "billing": "look at the account's credit and spend limits at the vendor",
    "rate_limit": _LATER,
    "overloaded": _LATER,
    "server": _LATER,
    "too_large": "the model's window is too small for any work: name another model",
    "bad_request": "look at the model's id and at the knobs of its rung",
    "network": "look at vendors.{vendor}.base_url{at}, the proxy variables and the network",
    "timeout": "ask again; a model that has to be loaded first answers the second time",
    "protocol": "what answered{at} does not speak this vendor's protocol: look at vendors.{vendor}.base_url",
}


def announcement(asked: Sequence[Target], most: Decimal | None) -> str:
    """Say what is about to be called."""
    price = f", ${most:.4f} in all" if most is not None else ""
    return (
        f"probe: one call each to {', '.join(target.name for target in asked)}: at most {PROBE_SECONDS:g} s and "
        f"{PROBE_OUTPUT_TOKENS:_} output tokens a call{price}; part of no run\n"
    )


def render(found: Sequence[Finding]) -> str:
    """Return the lines on what each model said."""
    width = max(len(finding.target.name) for finding in found)
    lines = ["", "Probe: one tiny call per model, part of no run"]
    for finding in found:
        lines.append(f"  {finding.target.name:<{width}}  {_outcome(finding)}")
        lines += [f"  {'':<{width}}  {note}" for note in _notes(finding)]
    return "\n".join(lines) + "\n"


def problems(found: Iterable[Finding], settings: Settings, positions: Mapping[str, Position]) -> tuple[Problem, ...]:
    """Return a problem for each model that did not answer."""
    return tuple(_silence(each, settings, positions) for each in found if isinstance(each, Silent))


def warnings(found: Iterable[Finding], settings: Settings, positions: Mapping[str, Position]) -> tuple[Problem, ...]:
    """Return a warning for each model that its vendor says will end."""
    return tuple(
        _ending(each, settings, positions)
        for each in found
        if isinstance(each, Answered) and each.lifecycle is not None and each.lifecycle.stage != "active"
    )


def spent(found: Iterable[Finding]) -> str:
    """Say what the answers came to, for the last line."""
    answers = [each for each in found if isinstance(each, Answered)]
    usages = [each.reply.usage for each in answers]
    tokens = sum(usage.input + usage.output for usage in usages if is_plausible(usage))
    costs = [each.cost for each in answers if each.paid_by is None]
    known = [cost for cost in costs if cost is not None]
    price = f"{_dollars(sum(known, Decimal(0)))}" if len(known) == len(costs) else "an unknown price"
    return f"{tokens:_} tokens at {price}"


def _outcome(finding: Finding) -> str:
    milliseconds = f"{finding.seconds * 1000:.0f} ms"
    if isinstance(finding, Silent):
        charged = ", possibly billed" if finding.billed else ""
        return f"{finding.kind or 'not asked'} after {milliseconds}{charged}"
    usage = finding.reply.usage
    tokens = f"{usage.input:_} + {usage.output:_} tokens" if is_plausible(usage) else "no credible usage reported"
    cost = finding.paid_by or ("cost unknown" if finding.cost is None else _dollars(finding.cost))
    return f"answered as {_printable(finding.reply.model) or 'nobody it names'} in {milliseconds}, {tokens}, {cost}"


def _notes(finding: Finding) -> Iterator[str]:
    if not isinstance(finding, Answered):
        return
    if finding.reply.stop == "truncated":
        yield "its answer was cut at the probe's limit"
    if finding.reply.stop == "refused":
        yield "it refused the question"
    yield from adapted(finding.reply)


def _silence(said: Silent, settings: Settings, positions: Mapping[str, Position]) -> Problem:
    key, at = _place(said.target, positions)
    message = f"{said.target.name} did not answer: " + (f"{said.kind}: " if said.kind else "") + said.message
    return problem("SW501", message, _hint(said, settings.vendors.get(said.target.rung.vendor)), at=at, key=key)


def _ending(said: Answered, settings: Settings, positions: Mapping[str, Position]) -> Problem:
    key, at = _place(said.target, positions)
    rung, lifecycle = said.target.rung, said.lifecycle
    assert lifecycle is not None
    row = surface(settings.surface_of(rung.vendor)).capabilities(rung.like or rung.model)
    when = f" and retires on {lifecycle.retires_on}" if lifecycle.retires_on else ""
    message = f"{rung.vendor} says that {rung.model} is {lifecycle.stage}{when}"
    hint = f"use {row.replacement}" if row and row.replacement else "use another model"
    return problem("SW205", message, hint, at=at, key=key)


def _hint(said: Silent, vendor: VendorSettings | None) -> str:
    name = said.target.rung.vendor
    if said.kind == "auth":
        return _about_the_key(vendor)
    if said.kind == "rate_limit" and said.retry_after is not None:
        return f"the vendor names {said.retry_after:.0f} s: ask again then"
    at = f" ({vendor.base_url})" if vendor and vendor.base_url else ""
    return _HINTS.get(said.kind or "", "").format(vendor=name, at=at)


def _about_the_key(vendor: VendorSettings | None) -> str:
    program = surface(vendor.surface or vendor.name).program if vendor else None
    if program is not None:
        return program.login_hint
    names = " or ".join(key_names(vendor)) if vendor else ""
    return f"look at the key in {names}, and at what it may use" if names else "this server wants a key: api_key_env"


def _place(target: Target, positions: Mapping[str, Position]) -> tuple[str, Position | None]:
    """Return the key that names the model, or the nearest one above it that the file has."""
    stage, entry = f"stages.{target.stage}", target.number - 2
    ladders = [f"{stage}.{word}" for word in ("escalation", "on_retry")] if target.number > 1 else []
    rungs = [key for ladder in ladders for key in (f"{ladder}.{entry}", ladder)]
    keys = [f"{holder}.fallback.{target.fallback - 1}.model" for holder in (*rungs, stage) if target.fallback]
    keys += [*(f"{rung}.{knob}" for rung in rungs for knob in ("model", "vendor")), *rungs]
    keys += [f"{stage}.model", f"{stage}.vendor", stage]
    key = next((key for key in keys if key in positions), f"{stage}.model")
    return key, positions.get(key)


def _dollars(cost: Decimal) -> str:
    return f"${cost:.6f}".rstrip("0").rstrip(".")


def _printable(name: str) -> str:
    """A name from a server must not break the line or drive the terminal."""
    return "".join(character for character in name if character.isprintable())[:100]
