"""The resident agent: PID 1 of a sandbox container, answering framed requests over its standard streams.

Its source is handed over as the argument of `python3 -c`, so it is one file of the standard library only,
and keeps to what Python 3.8 knows. A frame is two big-endian lengths, a JSON header and a raw payload.
"""
# os and open, not pathlib: the calls here run as PID 1 of every sandbox, want flags of open(2), and boot time counts.
# ruff: noqa: PTH101, PTH102, PTH103, PTH104, PTH108, PTH112, PTH114, PTH115, PTH116, PTH118, PTH120, PTH123, PTH208, PTH211

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import posixpath
import selectors
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from typing import Any

MAX_HEADER = 8 << 20
MAX_PAYLOAD = 512 << 20
MAX_JOBS = 64
CHUNK = 1 << 16
# Both ends know these two: see sandbox/tunnels.py.
MAX_TUNNELS = 64
WINDOW = 1 << 18
DRAIN_SECONDS = 0.25
SWEEP_SECONDS = 10.0
LOOK_SECONDS = 2.0
WATCH_SECONDS = 0.05
SLICE_SECONDS = 0.005
LEAST_FREE = 1 << 30
PR_SET_DUMPABLE = 4
JOB_VARIABLE = "STAGEWRIGHT_JOB"
OOM_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
FILE_ERRORS = {
    errno.ENOENT: "missing",
    errno.ENOTDIR: "missing",
    errno.EISDIR: "not_file",
    errno.EEXIST: "not_file",
    errno.EAGAIN: "busy",
    errno.ENOMEM: "busy",
    errno.ELOOP: "outside",
    errno.ENOSPC: "no_space",
    errno.EDQUOT: "no_space",
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.ENAMETOOLONG: "bad_name",
}


class RefusedError(Exception):
    """A request that cannot be met; `code` is one of a closed set the other side knows."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Output:
    """The head and the tail of what came through a pipe."""

    def __init__(self, keep: int) -> None:
        self.head_limit = keep // 2
        self.tail_limit = keep - self.head_limit
        self.head = bytearray()
        self.tail = bytearray()
        self.total = 0

    def add(self, data: bytes) -> None:
        self.total += len(data)
        room = self.head_limit - len(self.head)
        if room > 0:
            self.head += data[:room]
            data = data[room:]
        self.tail += data
        if len(self.tail) > 2 * self.tail_limit + CHUNK:
            del self.tail[: len(self.tail) - self.tail_limit]

    def kept(self) -> bytes:
        excess = len(self.tail) - self.tail_limit
        return bytes(self.head + (self.tail[excess:] if excess > 0 else self.tail))


class Job:
    """A command that runs: its leader's pid, its pipes, its deadline."""

    def __init__(self, number: int, header: dict[str, Any], stdin: bytes) -> None:
        self.number = number
        self.argv = [os.fsencode(word) for word in header["argv"]]
        self.environment = dict(os.environ, **header.get("env", {}))
        self.environment[JOB_VARIABLE] = str(number)
        self.started = time.monotonic()
        self.deadline = self.started + header["timeout"]
        self.merge = header.get("merge", False)
        keep = header["keep"]
        self.outputs = {"out": Output(keep), "err": Output(keep)}
        self.stdin = memoryview(stdin)
        self.more = header.get("more", False)
        self.unanswered: int | None = None
        self.pipes: dict[str, int] = {}
        self.pid = 0
        self.status: int | None = None
        self.drain_until = 0.0
        self.timed_out = False
        self.disk_full = False
        self.stragglers = 0
        self.oom_before = oom_kills()


def oom_kills(counters: tuple[str, ...] = OOM_COUNTERS) -> int:
    """Return how often the kernel killed something of this container for memory; cgroup v2 and v1 keep count."""
    for path in counters:
        try:
            with open(path, "rb") as file:
                for line in file:
                    if line.startswith(b"oom_kill "):
                        return int(line.split()[1])
        except (OSError, ValueError):
            continue
    return 0


def make_undumpable() -> None:
    """Close /proc/<pid>/fd, mem and ptrace of this process to other processes of its own user."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE)")


def process_ids() -> list[int]:
    """Return every process of the container but this one."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]


def belongs(pid: int, job: Job) -> bool:
    """Say whether a process was started by the job: by session, or by the variable it inherited."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        if fields[0] == b"Z":
            return False
        if int(fields[3]) == job.pid:
            return True
        with open(f"/proc/{pid}/environ", "rb") as file:
            return f"{JOB_VARIABLE}={job.number}".encode() in file.read().split(b"\0")
    except (OSError, ValueError, IndexError):
        return False


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except (OSError, IndexError):
        return False


def lower(pid: int) -> None:
    """Make a command the first to go when memory runs out, and let it yield to the agent."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, 5)
        with open(f"/proc/{pid}/oom_score_adj", "w") as file:
            file.write("1000")


class Files:
    """Reads and writes below one folder; a path that leaves it is refused."""

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)

    def plain(self, path: str) -> str:
        """Return the normal form of a relative path that stays inside by its letters alone."""
        if not path or "\0" in path or path.startswith("/"):
            raise RefusedError("bad_name", "a path is relative to the work tree and not empty")
        normal = posixpath.normpath(path)
        if normal == ".." or normal.startswith("../"):
            raise RefusedError("outside", "the path leaves the work tree")
        return normal

    def followed(self, path: str) -> str:
        """Return where a path leads when symlinks are followed, if that is inside."""
        self.plain(path)
        where = os.path.realpath(os.path.join(self.root, path))
        if where != self.root and not where.startswith(self.root + "/"):
            raise RefusedError("outside", "the path leaves the work tree through a symlink or ..")
        return where

    def literal(self, path: str) -> str:
        """Return a path of which no folder is a symlink."""
        normal = self.plain(path)
        folder = self.root
        for part in normal.split("/")[:-1]:
            folder = os.path.join(folder, part)
            if os.path.islink(folder):
                raise RefusedError("outside", "a folder of the path is a symlink")
        return os.path.join(self.root, normal)

    def read(self, path: str, limit: int, *, follow: bool) -> bytes:
        where = self.followed(path) if follow else self.literal(path)
        if not follow and os.path.islink(where):
            return os.fsencode(os.readlink(where))
        # A FIFO would block an ordinary open for ever.
        descriptor = os.open(where, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise RefusedError("not_file", "not a regular file")
            content = file.read(limit + 1) if facts.st_size <= limit else b"x" * (limit + 1)
        if len(content) > limit:
            raise RefusedError("too_large", f"larger than {limit} bytes")
        return content

    def facts(self, path: str) -> str:
        """Describe what stands at a path, following nothing: kind, mode bits, size."""
        try:
            facts = os.lstat(self.literal(path))
        except (OSError, RefusedError):
            return "missing 0 0"
        kinds = {stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFDIR: "folder"}
        kind = kinds.get(stat.S_IFMT(facts.st_mode), "other")
        return f"{kind} {stat.S_IMODE(facts.st_mode)} {facts.st_size}"

    def write(self, path: str, content: bytes) -> None:
        """Replace or create a file, through symlinks that stay inside; keeps the mode of an existing one."""
        where = self.followed(path)
        if os.path.isdir(where):
            raise RefusedError("not_file", "a folder stands there")
        mode = 0o644
        with contextlib.suppress(OSError):
            mode = stat.S_IMODE(os.stat(where).st_mode)
        os.makedirs(os.path.dirname(where), exist_ok=True)
        self.replace(where, content, mode)

    def replace(self, where: str, content: bytes, mode: int) -> None:
        temporary = os.path.join(os.path.dirname(where), f".stagewright-{os.urandom(6).hex()}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                os.fchmod(descriptor, mode)
            os.rename(temporary, where)
        except BaseException:
            os.unlink(temporary)
            raise

    def put(self, path: str, content: bytes, mode: str) -> None:
        """Make a path exactly this file or symlink, whatever stood there or in its way."""
        where = self.make_way(path)
        if mode == "120000":
            os.symlink(content, os.fsencode(where))
        else:
            self.replace(where, content, 0o755 if mode == "100755" else 0o644)

    def make_way(self, path: str) -> str:
        folder = self.root
        parts = self.plain(path).split("/")
        for part in parts[:-1]:
            folder = os.path.join(folder, part)
            if os.path.islink(folder) or not os.path.isdir(folder):
                self.clear(folder)
                os.mkdir(folder)
        where = os.path.join(folder, parts[-1])
        self.clear(where)
        return where

    def remove(self, path: str) -> None:
        self.clear(self.literal(path))

    def clear(self, where: str) -> None:
        if os.path.isdir(where) and not os.path.islink(where):
            shutil.rmtree(where)
        else:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(where)


class Tunnel:
    """One connection a command made to the proxy's port, as this end knows it."""

    def __init__(self, number: int, connection: socket.socket) -> None:
        self.number = number
        self.connection = connection
        self.unsent = bytearray()
        self.room = WINDOW
        self.heard_all = False
        self.told_all = False
        self.closing = False
        self.closed = False
        self.watched = 0


class Tunnels:
    """Carries connections to one port of this container over the channel; the host decides what becomes of them.

    Each direction has a window, so that neither end holds more than that of what the other does not take. A number
    is free again once both ends have said that the connection is closed.
    """

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.open: dict[int, Tunnel] = {}
        self.last = 0
        self.listener: socket.socket | None = None
        self.listening = False

    def listen(self, port: int) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(MAX_TUNNELS)
        listener.setblocking(False)
        self.listener = listener
        self.heed()

    def heed(self) -> None:
        """Accept connections while there is room for more; the others wait in the kernel."""
        if self.listener is None:
            return
        listener = self.listener
        wanted = len(self.open) < MAX_TUNNELS
        if wanted and not self.listening:
            self.agent.selector.register(self.listener, selectors.EVENT_READ, lambda: self.accept(listener))
        elif self.listening and not wanted:
            self.agent.selector.unregister(listener)
        self.listening = wanted

    def accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        self.last += 1
        tunnel = self.open[self.last] = Tunnel(self.last, connection)
        self.tell(tunnel, "opened")
        self.watch(tunnel)
        self.heed()

    def tell(self, tunnel: Tunnel, kind: str, payload: bytes = b"", **fields: int) -> None:
        self.agent.send({"id": tunnel.number, "kind": kind, **fields}, payload)

    def watch(self, tunnel: Tunnel) -> None:
        events = 0
        if not tunnel.closed:
            events |= selectors.EVENT_READ if tunnel.room and not tunnel.heard_all and not tunnel.closing else 0
            events |= selectors.EVENT_WRITE if tunnel.unsent else 0
        if events == tunnel.watched:
            return
        if tunnel.watched:
            self.agent.selector.unregister(tunnel.connection)
        if events:
            self.agent.selector.register(tunnel.connection, events, lambda: self.ready(tunnel))
        tunnel.watched = events

    def ready(self, tunnel: Tunnel) -> None:
        try:
            self.hear(tunnel)
            self.flush(tunnel)
        except OSError:
            self.close(tunnel)
        self.watch(tunnel)

    def hear(self, tunnel: Tunnel) -> None:
        if tunnel.closed or tunnel.closing or tunnel.heard_all or not tunnel.room:
            return
        try:
            data = tunnel.connection.recv(min(CHUNK, tunnel.room))
        except BlockingIOError:
            return
        if data:
            tunnel.room -= len(data)
            self.tell(tunnel, "arrived", data)
            return
        tunnel.heard_all = True
        self.tell(tunnel, "finished")

    def flush(self, tunnel: Tunnel) -> None:
        if tunnel.closed:
            return
        if tunnel.unsent:
            try:
                sent = tunnel.connection.send(tunnel.unsent[:CHUNK])
            except BlockingIOError:
                return
            del tunnel.unsent[:sent]
            self.tell(tunnel, "taken", count=sent)
        if tunnel.unsent:
            return
        if tunnel.closing:
            self.close(tunnel)
        elif tunnel.told_all:
            tunnel.connection.shutdown(socket.SHUT_WR)

    def close(self, tunnel: Tunnel) -> None:
        if not tunnel.closed:
            tunnel.closed = True
            self.watch(tunnel)
            tunnel.connection.close()
            tunnel.unsent.clear()
            self.tell(tunnel, "closed")
        if tunnel.closing:
            self.open.pop(tunnel.number, None)
            self.heed()

    def close_all(self) -> None:
        """Close what commands left: none runs any more, so nobody holds the other ends."""
        for tunnel in list(self.open.values()):
            self.hear(tunnel)
            self.close(tunnel)

    def obey(self, operation: str, header: dict[str, Any], payload: bytes) -> None:
        """Do what the host says about a connection, which may be over meanwhile; there is no answer."""
        tunnel = self.open.get(header["id"])
        if tunnel is None:
            return
        if operation == "tunnel.send" and not tunnel.closed:
            tunnel.unsent += payload
        elif operation == "tunnel.take":
            tunnel.room += header["count"]
        elif operation == "tunnel.finish":
            tunnel.told_all = True
        elif operation == "tunnel.close":
            tunnel.closing = True
            if tunnel.closed:
                self.close(tunnel)
        self.ready(tunnel)


class DiskWatch:
    """Counts what a work tree on a disk holds, a slice at a time, and says when it is too much.

    A look at the free space costs nothing and tells when a count is due. What was deleted but is still open counts.
    """

    def __init__(self, root: str, limit: int) -> None:
        self.root = root
        self.limit = self.allowed = limit
        self.used = 0
        self.free = self.free_now()
        # Whatever hides from the count, the machine's disk is never filled up by a command.
        self.least_free = min(LEAST_FREE, self.free // 2)
        self.folders: list[str] = []
        self.linked: set[int] = set()
        self.count = 0
        self.began = self.due_at = time.monotonic()

    def free_now(self) -> int:
        facts = os.statvfs(self.root)
        return facts.f_bavail * facts.f_frsize

    def counting(self) -> bool:
        return bool(self.folders)

    def look(self) -> None:
        """Go on with a count, or begin one when it is due or the disk got fuller by half of what is left."""
        if not self.counting():
            gone = self.free - self.free_now()
            if time.monotonic() < self.due_at and gone < max(self.allowed - self.used, 0) // 2:
                return
            self.begin()
        until = time.monotonic() + SLICE_SECONDS
        while self.folders and time.monotonic() < until:
            self.count_folder(self.folders.pop())
        if not self.folders:
            self.conclude()

    def begin(self) -> None:
        self.folders, self.count = [self.root], 0
        self.linked.clear()
        self.free = self.free_now()
        self.began = time.monotonic()

    def conclude(self) -> None:
        self.used = self.count + self.deleted()
        if self.used <= self.limit:
            self.allowed = self.limit
        took = time.monotonic() - self.began
        self.due_at = time.monotonic() + max(LOOK_SECONDS, 10 * took)

    def recount(self) -> None:
        """Count to the end, and allow no more than that: a tree that is too full may only shrink."""
        self.begin()
        while self.folders:
            self.count_folder(self.folders.pop())
        self.conclude()
        self.allowed = max(self.limit, self.used)

    def count_folder(self, folder: str) -> None:
        try:
            entries = list(os.scandir(folder))
        except PermissionError:
            entries = self.opened(folder)
        except OSError:
            return
        for entry in entries:
            try:
                facts = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(facts.st_mode):
                    self.folders.append(entry.path)
            except OSError:
                continue
            self.add(facts)

    def opened(self, folder: str) -> list[os.DirEntry[str]]:
        """List a folder its owner has closed, and leave it closed."""
        try:
            mode = stat.S_IMODE(os.lstat(folder).st_mode)
            os.chmod(folder, mode | 0o500)
            try:
                return list(os.scandir(folder))
            finally:
                os.chmod(folder, mode)
        except OSError:
            return []

    def add(self, facts: os.stat_result) -> None:
        if facts.st_nlink != 1 and not stat.S_ISDIR(facts.st_mode):
            if facts.st_ino in self.linked:
                return
            self.linked.add(facts.st_ino)
        self.count += facts.st_blocks * 512

    def deleted(self) -> int:
        """Return the bytes of files that are gone from the tree and still open somewhere."""
        device, before = os.stat(self.root).st_dev, self.count
        for pid in process_ids():
            with contextlib.suppress(OSError):
                for name in os.listdir(f"/proc/{pid}/fd"):
                    with contextlib.suppress(OSError):
                        facts = os.stat(f"/proc/{pid}/fd/{name}")
                        if facts.st_dev == device and facts.st_nlink == 0:
                            self.add(facts)
        found, self.count = self.count - before, before
        return found

    def full(self) -> bool:
        return self.used > self.allowed or self.free_now() < self.least_free

    def hopeless(self) -> bool:
        return self.used > 2 * self.limit + LEAST_FREE


class Agent:
    """The loop: one thread, one selector, no blocking call but the sweep."""

    def __init__(self, root: str, idle: float, life: float) -> None:
        self.files = Files(root)
        self.idle = idle
        self.dies_at = time.monotonic() + life
        self.heard_at = time.monotonic()
        self.selector = selectors.DefaultSelector()
        self.jobs: dict[int, Job] = {}
        self.watch_of_disk: DiskWatch | None = None
        self.received = bytearray()
        self.to_send: list[memoryview] = []
        self.running = True
        self.tunnels = Tunnels(self)
        self.take_streams()
        self.wakes = self.take_signals()

    def take_streams(self) -> None:
        """Move the protocol to descriptors no child inherits; leave stderr for this process's own last words."""
        self.source, self.sink = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        for descriptor in (self.source, self.sink):
            os.set_blocking(descriptor, False)
        self.selector.register(self.source, selectors.EVENT_READ, self.receive)

    def take_signals(self) -> int:
        wakes, wake = os.pipe()
        os.set_blocking(wakes, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Blocked, SIGTERM waits until it is asked who sent it; without handlers the kernel drops the rest for PID 1.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        self.selector.register(wakes, selectors.EVENT_READ, self.woken)
        return wakes

    def stop(self) -> None:
        self.running = False

    def told_to_end(self) -> bool:
        """Say whether the engine asked for the end; a command that signals PID 1 (`pkill python`) has no say."""
        told = signal.sigtimedwait({signal.SIGTERM}, 0)
        return told is not None and told.si_pid == 0

    def woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.wakes, CHUNK)

    # -- frames ------------------------------------------------------------------------------------------------

    def receive(self) -> None:
        try:
            data = os.read(self.source, 1 << 20)
        except BlockingIOError:
            return
        if not data:
            self.stop()
            return
        self.heard_at = time.monotonic()
        self.received += data
        while self.running and self.take_frame():
            pass

    def take_frame(self) -> bool:
        if len(self.received) < 8:
            return False
        header_size, payload_size = struct.unpack_from(">II", self.received)
        if header_size > MAX_HEADER or payload_size > MAX_PAYLOAD:
            raise SystemExit("a frame is too large")
        end = 8 + header_size + payload_size
        if len(self.received) < end:
            return False
        header = json.loads(bytes(self.received[8 : 8 + header_size]).decode("utf-8", "surrogateescape"))
        payload = bytes(self.received[8 + header_size : end])
        del self.received[:end]
        self.answer(header, payload)
        return True

    def answer(self, header: dict[str, Any], payload: bytes) -> None:
        number = header["id"]
        try:
            self.dispatch(number, header, payload)
        except RefusedError as error:
            self.send({"id": number, "kind": "error", "code": error.code, "message": str(error)[:500]})
        except (OSError, ValueError, RecursionError) as error:
            code = FILE_ERRORS.get(getattr(error, "errno", 0), "failed")
            message = str(getattr(error, "strerror", None) or error)
            self.send({"id": number, "kind": "error", "code": code, "message": message[:500]})

    def dispatch(self, number: int, header: dict[str, Any], payload: bytes) -> None:
        operation = header["op"]
        if operation == "exec":
            self.start(number, header, payload)
        elif operation == "feed":
            self.take_more(number, header, payload)
        elif operation in ("kill", "limit", "ping"):
            self.steer(operation, header)
            self.send({"id": number, "kind": "done"})
        elif operation == "tunnel.listen":
            self.tunnels.listen(header["port"])
            self.send({"id": number, "kind": "done"})
        elif operation.startswith("tunnel."):
            self.tunnels.obey(operation, header, payload)
        elif operation == "read":
            content = self.files.read(header["path"], header["limit"], follow=header["follow"])
            self.send({"id": number, "kind": "content"}, content)
        else:
            self.change_file(number, operation, header, payload)

    def steer(self, operation: str, header: dict[str, Any]) -> None:
        if operation == "kill":
            self.kill(header["job"])
        elif operation == "limit":
            self.watch_of_disk = DiskWatch(self.files.root, header["bytes"])

    def change_file(self, number: int, operation: str, header: dict[str, Any], payload: bytes) -> None:
        if operation == "stat":
            paths = [os.fsdecode(path) for path in payload.split(b"\0")]
            lines = "\n".join(self.files.facts(path) for path in paths)
            self.send({"id": number, "kind": "content"}, lines.encode())
            return
        if operation == "write":
            self.files.write(header["path"], payload)
        elif operation == "put":
            self.files.put(header["path"], payload, header["mode"])
        elif operation == "remove":
            self.files.remove(header["path"])
        else:
            raise RefusedError("failed", "unknown operation")
        self.send({"id": number, "kind": "done"})

    def send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        encoded = json.dumps(header).encode()
        self.to_send.append(memoryview(struct.pack(">II", len(encoded), len(payload)) + encoded))
        if payload:
            self.to_send.append(memoryview(payload))
        self.flush()

    def flush(self) -> None:
        try:
            while self.to_send:
                sent = os.write(self.sink, self.to_send[0])
                self.to_send[0] = self.to_send[0][sent:]
                if not self.to_send[0]:
                    self.to_send.pop(0)
        except BlockingIOError:
            pass
        except OSError:
            self.stop()
            return
        watched = self.sink in self.selector.get_map()
        if self.to_send and not watched:
            self.selector.register(self.sink, selectors.EVENT_WRITE, self.flush)
        elif not self.to_send and watched:
            self.selector.unregister(self.sink)

    # -- jobs --------------------------------------------------------------------------------------------------

    def start(self, number: int, header: dict[str, Any], stdin: bytes) -> None:
        if len(self.jobs) >= MAX_JOBS:
            raise RefusedError("busy", "too many commands at once")
        job = Job(number, header, stdin)
        ends, ours = self.open_pipes(job)
        try:
            job.pid = self.spawn(job, ends)
        except OSError as error:
            for descriptor in ours.values():
                os.close(descriptor)
            if error.errno in {errno.EAGAIN, errno.ENOMEM}:
                raise
            self.send(*self.never_started(job, error))
            return
        finally:
            for descriptor in set(ends):
                os.close(descriptor)
        self.jobs[number] = job
        for name, descriptor in ours.items():
            self.watch(job, name, descriptor)

    def spawn(self, job: Job, ends: tuple[int, int, int]) -> int:
        """Start the command in a session of its own and return its pid."""
        if self.told_to_end():
            self.stop()
        # The command inherits the mask, and must be able to get SIGTERM; PID 1 ignores it for this moment.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        try:
            process = subprocess.Popen(
                job.argv,
                stdin=ends[0],
                stdout=ends[1],
                stderr=ends[2],
                cwd=self.files.root,
                env=job.environment,
                start_new_session=True,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        lower(process.pid)
        process.returncode = 0  # reaped by the loop, like every orphan
        return process.pid

    def never_started(self, job: Job, error: OSError) -> tuple[dict[str, Any], bytes]:
        """Answer like a shell: 127 for a command that is not there, 126 for one that cannot be run."""
        missing = isinstance(error, FileNotFoundError)
        what = "command not found" if missing else str(error.strerror)
        job.outputs["out" if job.merge else "err"].add(os.fsencode(f"{os.fsdecode(job.argv[0])}: {what}\n"))
        job.status = (127 if missing else 126) << 8
        return self.result(job)

    def open_pipes(self, job: Job) -> tuple[tuple[int, int, int], dict[str, int]]:
        out_read, out_write = os.pipe()
        ours = {"out": out_read}
        err_write = out_write
        if not job.merge:
            ours["err"], err_write = os.pipe()
        if job.stdin or job.more:
            in_read, ours["in"] = os.pipe()
        else:
            in_read = os.open(os.devnull, os.O_RDONLY)
        return (in_read, out_write, err_write), ours

    def watch(self, job: Job, name: str, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        job.pipes[name] = descriptor
        if name == "in":
            if job.stdin:
                self.selector.register(descriptor, selectors.EVENT_WRITE, lambda: self.feed(job))
        else:
            self.selector.register(descriptor, selectors.EVENT_READ, lambda: self.drain(job, name))

    def close_pipe(self, job: Job, name: str) -> None:
        descriptor = job.pipes.pop(name, None)
        if descriptor is not None:
            # Input that waits for its next piece is not watched.
            with contextlib.suppress(KeyError):
                self.selector.unregister(descriptor)
            os.close(descriptor)

    def feed(self, job: Job) -> None:
        if "in" not in job.pipes:
            return
        try:
            job.stdin = job.stdin[os.write(job.pipes["in"], job.stdin[:CHUNK]) :]
        except BlockingIOError:
            return
        except OSError:
            job.stdin, job.more = job.stdin[:0], False
        if job.stdin:
            return
        if job.more:
            self.selector.unregister(job.pipes["in"])
        else:
            self.close_pipe(job, "in")
        self.acknowledge(job)

    def take_more(self, number: int, header: dict[str, Any], payload: bytes) -> None:
        """Take the next piece of a command's input; it is answered once the command has taken it."""
        job = self.jobs.get(header["job"])
        if job is None or "in" not in job.pipes:
            raise RefusedError("missing", "the command reads no more")
        if job.stdin:
            raise RefusedError("busy", "the piece before is not read yet")
        job.stdin, job.more, job.unanswered = memoryview(payload), not header["last"], number
        self.selector.register(job.pipes["in"], selectors.EVENT_WRITE, lambda: self.feed(job))
        self.feed(job)

    def acknowledge(self, job: Job) -> None:
        number, job.unanswered = job.unanswered, None
        if number is not None:
            self.send({"id": number, "kind": "done"})

    def drain(self, job: Job, name: str, rounds: int = 16) -> None:
        """Take what a pipe holds, but not for ever: other pipes and the protocol wait."""
        for _ in range(rounds):
            if name not in job.pipes:
                return
            try:
                data = os.read(job.pipes[name], CHUNK)
            except BlockingIOError:
                return
            if not data:
                self.close_pipe(job, name)
                return
            job.outputs[name].add(data)

    def reap(self) -> bool:
        """Collect every dead process, orphans included, and note the leaders among them."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            for job in self.jobs.values():
                if job.pid == pid and job.status is None:
                    job.status = status
                    job.drain_until = time.monotonic() + DRAIN_SECONDS

    def rest(self, job: Job) -> list[int]:
        """Return the processes a job left behind."""
        if len(self.jobs) == 1:
            return [pid for pid in process_ids() if alive(pid)]
        return [pid for pid in process_ids() if belongs(pid, job)]

    def settle(self, job: Job) -> None:
        """Move a job on: past its deadline it is killed, once all of it has ended it is answered."""
        now = time.monotonic()
        if job.status is None:
            if now >= job.deadline:
                job.timed_out = True
                self.finish(job)
            return
        quiet = not (job.pipes.keys() & {"out", "err"})
        if quiet and not self.rest(job):
            self.finish(job)
        elif now >= min(job.drain_until, job.deadline):
            job.stragglers = len(self.rest(job))
            self.finish(job)

    def finish(self, job: Job) -> None:
        self.sweep(job)
        for name in ("out", "err"):
            self.drain(job, name, rounds=1 << 12)
        for name in list(job.pipes):
            self.close_pipe(job, name)
        del self.jobs[job.number]
        self.acknowledge(job)
        if not self.jobs:
            self.tunnels.close_all()
        self.send(*self.result(job))

    def sweep(self, job: Job) -> None:
        """Kill everything of a job and wait until it is gone; fork bombs need more than one round."""
        until = time.monotonic() + SWEEP_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                os.killpg(job.pid, signal.SIGKILL)
            if len(self.jobs) == 1:
                with contextlib.suppress(OSError):
                    os.kill(-1, signal.SIGKILL)
                if self.reap():
                    return
            else:
                rest = self.rest(job)
                for pid in rest:
                    with contextlib.suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
                self.reap()
                if not rest and job.status is not None:
                    return
            time.sleep(0.001)

    def result(self, job: Job) -> tuple[dict[str, Any], bytes]:
        out, err = job.outputs["out"], job.outputs["err"]
        payloads = out.kept(), err.kept()
        oom = oom_kills() > job.oom_before
        header = {
            "id": job.number,
            "kind": "exited",
            "exit_code": self.exit_code(job, oom=oom),
            "seconds": time.monotonic() - job.started,
            "timed_out": job.timed_out,
            "oom": oom,
            "out": len(payloads[0]),
            "err": len(payloads[1]),
            "out_bytes": out.total,
            "err_bytes": err.total,
            "stragglers": job.stragglers,
            "disk_full": job.disk_full,
        }
        return header, payloads[0] + payloads[1]

    def exit_code(self, job: Job, *, oom: bool) -> int | None:
        if job.timed_out or job.status is None or job.disk_full:
            return None
        if os.WIFSIGNALED(job.status):
            number = os.WTERMSIG(job.status)
            return None if oom and number == signal.SIGKILL else 128 + number
        return os.WEXITSTATUS(job.status)

    def kill(self, number: int) -> None:
        job = self.jobs.get(number)
        if job is not None:
            self.finish(job)

    def watch_disk(self) -> None:
        """Kill what runs while the work tree grows over its limit; one far over it ends the sandbox."""
        watch = self.watch_of_disk
        if watch is None or not self.jobs:
            return
        watch.look()
        if not watch.full():
            return
        for job in list(self.jobs.values()):
            job.disk_full = True
            self.finish(job)
        watch.recount()
        if watch.hopeless():
            self.stop()

    # -- life --------------------------------------------------------------------------------------------------

    def next_wake(self) -> float:
        jobs = self.jobs.values()
        ends = [job.deadline if job.status is None else min(job.drain_until, job.deadline) for job in jobs]
        look = LOOK_SECONDS
        if jobs and self.watch_of_disk is not None:
            look = 0.0 if self.watch_of_disk.counting() else WATCH_SECONDS
        first: float = min(self.heard_at + self.idle, self.dies_at, time.monotonic() + look, *ends)
        return max(0.0, first - time.monotonic())

    def run(self) -> None:
        self.send({"id": 0, "kind": "hello", "git": shutil.which("git") is not None})
        while self.running:
            for key, _ in self.selector.select(self.next_wake()):
                key.data()
            self.reap()
            for job in list(self.jobs.values()):
                self.settle(job)
            self.watch_disk()
            now = time.monotonic()
            if now > self.heard_at + self.idle or now > self.dies_at or self.told_to_end():
                self.stop()


def main() -> None:
    # Everything below kills process -1: outside its own container that would be the whole machine.
    if os.getpid() != 1:
        raise SystemExit("the sandbox agent only runs as PID 1 of a container")
    make_undumpable()
    root, idle, life = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    try:
        Agent(root, idle, life).run()
    finally:
        with contextlib.suppress(OSError):
            os.kill(-1, signal.SIGKILL)


if __name__ == "__main__":
    main()
