"""What commands of a sandbox are told so that they use its proxy and trust what this machine trusts."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

from anyio import to_thread

from sandbox.channel import Channel
from sandbox.egress import PORT, open_egress
from sandbox.egress_network import Network
from sandbox.egress_policy import Policy
from sandbox.package_indexes import certificate_bundle
from sandbox.recipe import HOME
from sandbox.resident import ResidentSandbox
from sandbox.setup_image import BUNDLE_VARIABLES

ADDRESS = f"http://127.0.0.1:{PORT}"
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "npm_config_proxy", "npm_config_https_proxy", "PIP_PROXY",
         "YARN_HTTP_PROXY", "YARN_HTTPS_PROXY")  # fmt: skip
HERE = "localhost,127.0.0.1,::1"
# What a command serves to itself stays inside.
VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        **{name: ADDRESS for each in NAMES for name in (each, each.lower())},
        "NO_PROXY": HERE,
        "no_proxy": HERE,
        "NODE_USE_ENV_PROXY": "1",
    }
)
BUNDLE = f"{HOME}/.stagewright-ca.pem"
BUNDLE_SECONDS = 60.0


@asynccontextmanager
async def way_out(
    sandbox: ResidentSandbox, channel: Channel, policy: Policy | None, network: Network | None
) -> AsyncIterator[None]:
    """Let a sandbox's commands reach what `policy` allows for the length of the context."""
    async with open_egress(channel, policy, network) as log:
        sandbox.egress = log
        if policy is not None:
            await _show(sandbox)
        yield


async def _show(sandbox: ResidentSandbox) -> None:
    """Give the commands the proxy's address and the host's certificates."""
    variables = dict(VARIABLES)
    bundle = await to_thread.run_sync(certificate_bundle, os.environ)
    if bundle is not None:
        await sandbox.exec(["sh", "-c", f"cat > {BUNDLE}"], timeout=BUNDLE_SECONDS, stdin=bundle)
        variables.update(dict.fromkeys(BUNDLE_VARIABLES, BUNDLE))
    sandbox.variables = variables
