"""What a sandbox container is made of: every parameter that keeps it shut in, from one environment."""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any, Literal

from docker.types import Mount

from sandbox.base import Environment
from sandbox.placement import Placement, place_work_tree
from sandbox.recipe import HOME, USER_ID, WORKSPACE

MIB = 1 << 20
SCRATCH = 384 * MIB
HOME_SIZE = 128 * MIB
SHARED_MEMORY = 64 * MIB
IDLE_SECONDS = 60
# End of file and the idle limit end a container with its runner; this bounds what both would miss.
LIFE_SECONDS = 24 * 3600
Purpose = Literal["work", "setup"]


def agent_command() -> list[str]:
    """Return the arguments of `python3` that make it the agent: the whole source, nothing mounted."""
    source = resources.files("sandbox").joinpath("agent.py").read_text(encoding="utf-8")
    return ["-I", "-S", "-u", "-c", source, WORKSPACE, str(IDLE_SECONDS), str(LIFE_SECONDS)]


def seccomp_profile() -> str:
    """Return the profile as the text the engine's API wants; it takes no path."""
    text = resources.files("sandbox").joinpath("seccomp.json").read_text(encoding="utf-8")
    return json.dumps(json.loads(text), separators=(",", ":"))


def memory_files(placement: Placement) -> dict[str, str]:
    """Return the file systems in memory. All but the work tree stay well below 1 GiB, which memory has to spare."""
    common = "rw,nosuid,nodev,exec"
    owner = f"uid={USER_ID},gid={USER_ID}"
    work_tree = {WORKSPACE: f"{common},size={placement.limit},nr_inodes=400k,{owner},mode=0755"}
    return (work_tree if placement.where == "memory" else {}) | {
        "/tmp": f"{common},size={SCRATCH},nr_inodes=200k,mode=1777",  # noqa: S108 - the container's, not the host's
        HOME: f"{common},size={HOME_SIZE},nr_inodes=50k,{owner},mode=0700",
    }


def volume(labels: Mapping[str, str]) -> Mount:
    """Return a work tree on disk: a volume without a name, which the engine removes with its container."""
    return Mount(WORKSPACE, None, type="volume", labels=dict(labels))


def parameters(
    environment: Environment,
    labels: Mapping[str, str],
    purpose: Purpose = "work",
    placement: Placement | None = None,
) -> dict[str, Any]:
    """Return the arguments of `containers.create`. `detach` must stay out: with it stdin would outlive the runner.

    A container for setup keeps what it writes, for it becomes an image; all else is the same.
    """
    place = placement or place_work_tree(0, 0, disk=environment.disk, memory=environment.memory)
    on_volume = purpose == "work" and place.where == "disk"
    limits = [("nofile", 4096), ("core", 0), *([("fsize", place.limit)] if on_volume else [])]
    return {
        "image": environment.image,
        "entrypoint": ["python3"],
        "command": agent_command(),
        "user": f"{USER_ID}:{USER_ID}",
        "working_dir": WORKSPACE,
        "hostname": "sandbox",
        "environment": {"HOME": HOME, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
        "labels": dict(labels),
        "network_mode": "none",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true", f"seccomp={seccomp_profile()}"],
        "read_only": purpose == "work",
        "ipc_mode": "private",
        "shm_size": SHARED_MEMORY,
        "init": False,
        "oom_score_adj": 500,
        "mem_limit": environment.memory,
        "memswap_limit": environment.memory,
        "nano_cpus": int(environment.cpus * 1e9),
        "pids_limit": environment.pids,
        "ulimits": [{"Name": name, "Soft": limit, "Hard": limit} for name, limit in limits],
        "tmpfs": memory_files(place) if purpose == "work" else {},
        "mounts": [volume(labels)] if on_volume else [],
        "runtime": environment.runtime,
        "stdin_open": True,
        "tty": False,
        "auto_remove": True,
        "log_config": {"Type": "none", "Config": {}},
    }
