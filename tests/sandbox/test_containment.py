"""What a command in a container cannot do, tried from the inside and read from the outside."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from ipaddress import ip_network
from typing import Any

import docker
import pytest
from anyio import to_thread
from docker import DockerClient

from sandbox.base import BaseTree, Environment, Sandbox, SandboxLostError
from sandbox.container import parameters, seccomp_profile
from sandbox.docker import DockerBackend, running_container
from sandbox.engine import open_engine
from sandbox.frames import Exited
from sandbox.reaper import owner_labels
from tests.sandbox.trees import MIB, environment

pytestmark = [pytest.mark.docker, pytest.mark.anyio]
CALLS = """
import ctypes, os, socket
library = ctypes.CDLL(None, use_errno=True)
for name, number in {"io_uring": 425, "ptrace": 101, "bpf": 321, "perf": 298, "keyctl": 250, "userfault": 323,
                     "unshare": 272, "mount": 165, "setns": 308, "kexec": 246}.items():
    library.syscall(number, 0, 0, 0, 0, 0)
    print(name, ctypes.get_errno())
for name, family, kind in (("vsock", 40, 1), ("alg", 38, 5), ("packet", 17, 3), ("raw", 2, 3)):
    try:
        socket.socket(family, kind)
        print(name, 0)
    except OSError as error:
        print(name, error.errno)
"""


CONNECT = """
import socket
try:
    socket.create_connection({address!r}, 2)
    print("tcp")
except OSError:
    print("no")
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", {address!r})
    print("udp")
except OSError:
    print("no")
try:
    socket.getaddrinfo("example.org", 80)
    print("name")
except OSError:
    print("no")
"""


@contextmanager
def listening() -> Iterator[tuple[str, int]]:
    """Listen on the host's end of the engine's bridge; yields the address."""
    client = docker.from_env()
    try:
        bridge = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
    finally:
        client.close()
    gateway = bridge.get("Gateway") or str(next(ip_network(bridge["Subnet"]).hosts()))
    with socket.create_server((gateway, 0)) as server:
        yield gateway, server.getsockname()[1]


async def said_in(settings: dict[str, Any], script: str) -> str:
    """Run a Python script in a container of other parameters than ours."""
    header = {"op": "exec", "argv": ["python3", "-c", script], "timeout": 30.0, "env": {}, "merge": False, "keep": 9999}
    async with open_engine() as engine, running_container(engine, settings) as (_, channel):
        return (await channel.call(Exited, header))[1].decode()


async def succeed(sandbox: Sandbox, script: str) -> str:
    result = await sandbox.exec(["sh", "-c", script], timeout=30)
    assert result.exit_code == 0, result
    return result.stdout.decode()


async def test_the_engine_was_told_every_limit(
    docker_backend: DockerBackend, small_base: BaseTree, engine: DockerClient
) -> None:
    async with docker_backend.open(environment(cpus=1.5), small_base) as sandbox:
        facts = engine.api.inspect_container(sandbox.container_id)
    host, config = facts["HostConfig"], facts["Config"]
    assert {
        "network": host["NetworkMode"],
        "capabilities": host["CapDrop"],
        "read_only": host["ReadonlyRootfs"],
        "ipc": host["IpcMode"],
        "memory": (host["Memory"], host["MemorySwap"]),
        "cpus": host["NanoCpus"],
        "pids": host["PidsLimit"],
        "remove": host["AutoRemove"],
        "log": host["LogConfig"]["Type"],
        "privileged": host["Privileged"],
        "oom_score": host["OomScoreAdj"],
        "user": config["User"],
        "stdin_once": config["StdinOnce"],
        "tty": config["Tty"],
        "mounts": facts["Mounts"],
        "binds": host["Binds"],
    } == {
        "network": "none",
        "capabilities": ["ALL"],
        "read_only": True,
        "ipc": "private",
        "memory": (1280 * MIB, 1280 * MIB),
        "cpus": 1_500_000_000,
        "pids": 256,
        "remove": True,
        "log": "none",
        "privileged": False,
        "oom_score": 500,
        "user": "10001:10001",
        "stdin_once": True,
        "tty": False,
        "mounts": [],
        "binds": None,
    }
    flags, owner = "rw,nosuid,nodev,exec", "uid=10001,gid=10001"
    assert host["Tmpfs"] == {
        "/workspace": f"{flags},size={256 * MIB},nr_inodes=400k,{owner},mode=0755",
        "/tmp": f"{flags},size={384 * MIB},nr_inodes=200k,mode=1777",
        "/home/agent": f"{flags},size={128 * MIB},nr_inodes=50k,{owner},mode=0700",
    }
    assert {limit["Name"]: (limit["Soft"], limit["Hard"]) for limit in host["Ulimits"]} == {
        "nofile": (4096, 4096),
        "core": (0, 0),
    }
    assert (host["ShmSize"], host["PidMode"], host["UTSMode"], host["Devices"] or []) == (64 * MIB, "", "", [])
    assert config["Entrypoint"] == ["python3"]
    # The agent is an argument: its whole source, and nothing of the host is mounted for it.
    assert config["Cmd"][:4] == ["-I", "-S", "-u", "-c"]
    assert config["Cmd"][4] == resources.files("sandbox").joinpath("agent.py").read_text(encoding="utf-8")
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert f"seccomp={seccomp_profile()}" in host["SecurityOpt"]


async def test_a_command_has_no_privilege_and_can_get_none(docker_backend: DockerBackend, small_base: BaseTree) -> None:
    async with docker_backend.open(environment(), small_base) as sandbox:
        status = dict(
            line.split(":\t", 1)
            for line in (await succeed(sandbox, "cat /proc/self/status")).splitlines()
            if ":\t" in line
        )
        suid = await sandbox.exec(["find", "/", "-xdev", "-perm", "/6000", "-type", "f"], timeout=30)
        # The control: the search does find one that is made, and it gives nothing to who runs it.
        own = (
            "cp /usr/bin/id /tmp/id; chmod 6755 /tmp/id; find /tmp -perm /6000; /tmp/id -u; grep -c nosuid /proc/mounts"
        )
        made = (await succeed(sandbox, own)).split()
    assert {name: int(status[name], 16) for name in ("CapEff", "CapBnd", "CapPrm", "CapAmb")} == dict.fromkeys(
        ("CapEff", "CapBnd", "CapPrm", "CapAmb"), 0
    )
    assert (status["NoNewPrivs"], status["Seccomp"], status["Uid"].split()[0]) == ("1", "2", "10001")
    assert suid.stdout == b""
    assert made[:2] == ["/tmp/id", "10001"]
    assert int(made[2]) >= 3


async def test_the_kernel_refuses_what_no_test_suite_needs(docker_backend: DockerBackend, small_base: BaseTree) -> None:
    async with docker_backend.open(environment(), small_base) as sandbox:
        result = await sandbox.exec(["python3", "-c", CALLS], timeout=30)
    errors = {name: int(number) for name, number in (line.split() for line in result.stdout.decode().splitlines())}
    assert len(errors) == 14
    assert set(errors.values()) <= {1, 38, 93, 97}, errors
    # The control: without the profile and with capabilities the same calls get further, so it is ours that refuses.
    settings = parameters(environment(), owner_labels("control"))
    for name in ("security_opt", "cap_drop", "user"):
        del settings[name]
    said = await said_in(settings | {"cap_add": ["ALL"]}, CALLS)
    without = {name: int(number) for name, number in (line.split() for line in said.splitlines())}
    assert {name for name in errors if without[name] != errors[name]} >= {"ptrace", "io_uring", "bpf", "alg"}, without


async def test_the_root_is_read_only_and_only_memory_can_be_written(
    docker_backend: DockerBackend, small_base: BaseTree
) -> None:
    async with docker_backend.open(environment(), small_base) as sandbox:
        for path in ("/etc/x", "/usr/bin/x", "/opt/x", "/x", "/var/tmp/x", "/proc/sys/kernel/x", "/sys/fs/cgroup/x"):
            result = await sandbox.exec(["sh", "-c", f"echo x > {path}"], timeout=30)
            assert result.exit_code != 0, path
        assert await succeed(sandbox, "for d in /tmp ~ /workspace; do echo x > $d/x; cat $d/x; done") == "x\nx\nx\n"


async def test_there_is_no_network_at_all(docker_backend: DockerBackend, small_base: BaseTree) -> None:
    probe = """
import socket
print([name for _, name in socket.if_nameindex()])
for address in (("1.1.1.1", 443), ("169.254.169.254", 80), ("172.17.0.1", 2375), ("8.8.8.8", 53)):
    try:
        socket.create_connection(address, 2)
        print("reached", address)
    except OSError as error:
        print("refused")
"""
    with listening() as address:
        # The host itself, by the address its containers would know it by.
        probe += CONNECT.format(address=address)
        async with docker_backend.open(environment(), small_base) as sandbox:
            result = await sandbox.exec(["python3", "-c", probe], timeout=30)
        assert result.stdout.decode().splitlines() == ["['lo']", *["refused"] * 4, *["no"] * 3]
        # The control: in a container with a network the same words do reach the same listener.
        settings = parameters(environment(), owner_labels("control")) | {"network_mode": "bridge"}
        online = await said_in(settings, CONNECT.format(address=address))
        assert online.splitlines()[:2] == ["tcp", "udp"]


async def test_the_agent_cannot_be_impersonated_stopped_or_looked_into(
    docker_backend: DockerBackend, small_base: BaseTree
) -> None:
    script = """
    for n in 0 1 3 4 5 6 7; do (printf forged > /proc/1/fd/$n) 2>/dev/null && echo "wrote to $n"; done
    cat /proc/1/mem 2>/dev/null && echo "read memory"
    cat /proc/1/environ 2>/dev/null && echo "read environ"
    for n in $(seq 1 64); do kill -$n 1 2>/dev/null; done
    # The controls: to its own streams and its own environment a command has every right.
    (printf own > /proc/self/fd/1) && cat /proc/self/environ > /dev/null && echo " may"
    ls /proc/self/fd | wc -l
    """
    async with docker_backend.open(environment(), small_base) as sandbox:
        for _ in range(2):
            result = await sandbox.exec(["sh", "-c", script], timeout=30)
            assert result.stdout.split() == [b"own", b"may", b"4"]


async def test_the_engine_can_tell_the_agent_to_end(
    docker_backend: DockerBackend, small_base: BaseTree, engine: DockerClient
) -> None:
    async with docker_backend.open(environment(), small_base) as sandbox:
        await to_thread.run_sync(lambda: engine.api.kill(sandbox.container_id, signal="TERM"))
        with pytest.raises(SandboxLostError):
            await sandbox.exec(["sleep", "60"], timeout=60)


async def test_a_command_is_the_first_to_go_and_gets_every_signal(
    docker_backend: DockerBackend, small_base: BaseTree
) -> None:
    # The agent lowers a command it has just started: by then the command may have run for some milliseconds.
    lowered = "until [ $(cat /proc/$$/oom_score_adj) = 1000 ]; do sleep 0.01; done"
    told = "cat /proc/self/oom_score_adj; nice; grep SigBlk /proc/self/status"
    script = f"sleep 60 & kill $!; wait $!; echo $?; {lowered}; {told}"
    async with docker_backend.open(environment(), small_base) as sandbox:
        printed = (await succeed(sandbox, script)).split()
    assert printed == ["143", "1000", "5", "SigBlk:", "0" * 16]


async def test_ordinary_tools_work_inside(docker_backend: DockerBackend, small_base: BaseTree) -> None:
    script = """
    python3 -c 'import multiprocessing as m; print(m.Pool(2).map(abs, [-1]))'
    git status --short; rg --files; python -m pytest --version; make --version | head -1; pip --version | cut -c1-3
    """
    async with docker_backend.open(environment(), small_base) as sandbox:
        printed = await succeed(sandbox, script)
    assert [word for word in ("[1]", "a.txt", "pytest 7", "GNU Make", "pip") if word not in printed] == []


async def test_nothing_of_the_runner_leaks_into_the_environment(
    docker_backend: DockerBackend, small_base: BaseTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", "do-not-leak")
    async with docker_backend.open(environment(), small_base) as sandbox:
        printed = await succeed(sandbox, "env; cat /proc/mounts; cat /proc/self/cmdline")
    assert "do-not-leak" not in printed
    assert "PYTHONDONTWRITEBYTECODE=1" in printed


async def test_there_is_no_network_even_where_hosts_may_be_reached(
    docker_backend: DockerBackend, small_base: BaseTree
) -> None:
    online: Environment = environment(network=True, allowlist=("api.test",))
    async with docker_backend.open(online, small_base) as sandbox:
        names = await succeed(sandbox, "python3 -c 'import socket; print(socket.if_nameindex())'")
    assert names == "[(1, 'lo')]\n"


def test_the_profile_is_an_allow_list_without_the_dangerous_calls() -> None:
    profile = json.loads(seccomp_profile())
    allowed = {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    dangerous = {"ptrace", "bpf", "mount", "unshare", "setns", "keyctl", "io_uring_setup", "userfaultfd", "kexec_load"}
    assert not allowed & (dangerous | {"process_vm_readv", "process_vm_writev", "perf_event_open", "init_module"})
