"""Sleep through a parked run's time and go on with it, as often as it parks."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import anyio

from pipeline.events import RunEnded
from pipeline.reporting.archive import read_run
from pipeline.reporting.wording import duration
from pipeline.running.conduct import conduct, interrupted
from pipeline.running.opening import Place, resumed_run
from pipeline.running.resumption import Given, resumption
from pipeline.running.run import Seams

NOTHING = Given()
NAP = 60.0  # seconds between looks at the clock: a machine that was asleep itself must not sleep for longer


def wait_through(  # noqa: PLR0913 - what is given and what is kept come in by name
    place: Place,
    run_id: str,
    ended: RunEnded,
    seams: Seams,
    environ: Mapping[str, str],
    *,
    given: Given = NOTHING,
    keep_sandbox: bool = False,
) -> RunEnded:
    """Return how the run ends once it does not park any more; an interrupted wait leaves it parked.

    The lock is free meanwhile: what somebody else made of the run counts, and `given` is put on top of it.
    """
    while wait_for(ended, seams):
        newest = read_run(place.store, run_id).account.ended
        if newest is not None and newest != ended:
            ended = newest
            continue
        going_on = resumption(place.store, run_id, given, environ)
        for line in going_on.notes:
            seams.say(line)
        with resumed_run(place, run_id, going_on.resumption, seams) as run:
            ended = conduct(replace(run, keep_sandbox=keep_sandbox))
        given = NOTHING
    return ended


def wait_for(ended: RunEnded, seams: Seams) -> bool:
    """Sleep until the time at which a parked run can go on; return whether it can now."""
    if ended.status != "parked" or ended.resume_at is None:
        return False
    left = ended.resume_at - seams.clock()
    if left > 0:
        at = datetime.fromtimestamp(ended.resume_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        seams.say(f"parked: going on at {at}, in {duration(left)}; Ctrl-C leaves it parked")
    return anyio.run(_slept, ended.resume_at, seams.clock, seams.sleep)


async def _slept(until: float, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> bool:
    """Return whether the time was slept through, and not interrupted."""
    through = False
    async with anyio.create_task_group() as group:
        await group.start(interrupted, group.cancel_scope)
        while (left := until - clock()) > 0:
            await sleep(min(left, NAP))
        through = True
        group.cancel_scope.cancel()
    return through
