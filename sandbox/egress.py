"""The way out of a sandbox without a network: a proxy on the host, reached through the agent's own channel."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from anyio import create_task_group, get_cancelled_exc_class

from sandbox.base import Environment, SandboxUnavailableError
from sandbox.channel import Channel, RefusedByAgentError
from sandbox.egress_log import EgressLog
from sandbox.egress_network import HostNetwork, Network
from sandbox.egress_policy import Entry, Policy, allowlist, normal_host
from sandbox.egress_proxy import EgressProxy
from sandbox.frames import Done
from sandbox.package_indexes import PackageIndexes
from sandbox.tunnels import Tunnels

PORT = 3128


def policy_of(environment: Environment) -> Policy | None:
    """Return what an environment may reach, None for nothing."""
    if not environment.network and not environment.allowlist:
        return None
    return Policy(allowlist(environment.allowlist).entries, anywhere=environment.network)


def policy_for_setup(environment: Environment, indexes: PackageIndexes) -> Policy | None:
    """Return what setup may reach: with `network` also this machine's package indexes, wherever they are."""
    policy = policy_of(environment)
    if policy is None or not policy.anywhere:
        return policy
    return replace(policy, entries=(*policy.entries, *(_entry(*host) for host in indexes.hosts())))


def _entry(host: str, port: int) -> Entry:
    return Entry(normal_host(f"[{host}]" if ":" in host else host), port, anywhere=True)


@asynccontextmanager
async def open_egress(
    channel: Channel, policy: Policy | None, network: Network | None = None
) -> AsyncIterator[EgressLog]:
    """Let the container's commands reach what `policy` allows for the length of the context; yields the log.

    :raises SandboxUnavailableError: the agent cannot listen.
    """
    log = EgressLog()
    if policy is None:
        yield log
        return
    proxy = EgressProxy(policy, network or HostNetwork(os.environ), log)
    failure: BaseException | None = None
    async with create_task_group() as tasks:
        tunnels = Tunnels(channel.post, tasks, proxy.serve)
        channel.carry(tunnels)
        try:
            await _listen(channel)
            yield log
        except get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 - raised again below, outside the group that would wrap it
            failure = error
        finally:
            tunnels.stop()
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _listen(channel: Channel) -> None:
    try:
        await channel.call(Done, {"op": "tunnel.listen", "port": PORT})
    except RefusedByAgentError as error:
        raise SandboxUnavailableError(f"the sandbox cannot listen on its port {PORT}: {error}") from error
