"""Asks the engine whether it has the runtime that the configuration names."""

from pipeline.config.settings import SandboxSettings
from pipeline.problem import Position, Problem, problem
from sandbox.base import SandboxUnavailableError
from sandbox.engine import open_engine


async def look_at_runtime(sandbox: SandboxSettings | None, at: Position | None) -> tuple[Problem, ...]:
    """Return the problem of a runtime the engine does not have; an engine that is silent is another problem."""
    if sandbox is None or sandbox.runtime is None:
        return ()
    try:
        async with open_engine() as engine:
            known = await engine.call(lambda client: sorted(client.info().get("Runtimes") or {}))
    except SandboxUnavailableError:
        return ()
    if sandbox.runtime in known:
        return ()
    message = f"the engine has no runtime `{sandbox.runtime}`; it has {', '.join(known) or 'none it names'}"
    hint = "install it and name it in the engine's daemon.json (docs/operations.md), or remove the key"
    return (problem("SW408", message, hint, at=at, key="sandbox.runtime"),)
