"""Ways in which a repository makes git run a program of the repository's choice, and what plain git does then."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.git.repositories import git, make_repository, write

FILES = {"a.txt": b"one\n", "b.txt": b"two\n", "src/c.py": b"c = 1\n"}
HOOKS = (
    "applypatch-msg",
    "commit-msg",
    "fsmonitor-watchman",
    "post-applypatch",
    "post-checkout",
    "post-commit",
    "post-index-change",
    "post-merge",
    "post-receive",
    "post-rewrite",
    "post-update",
    "pre-applypatch",
    "pre-auto-gc",
    "pre-commit",
    "pre-merge-commit",
    "pre-push",
    "pre-rebase",
    "pre-receive",
    "prepare-commit-msg",
    "proc-receive",
    "push-to-checkout",
    "reference-transaction",
    "sendemail-validate",
    "update",
)
Prepare = Callable[[Path, Path], None]


@dataclass(frozen=True)
class Vector:
    """Configuration, what else is prepared, and a command for which plain git runs `SCRIPT`.

    In values and words `SCRIPT` is the program that leaves a mark, `TOP` the repository, `OTHER` a second one.
    `naive` is empty for a vector that the installed git is not known to run in any case. A `clean` one is fired
    in an unchanged work tree, a `terminal` one with a terminal as output.
    """

    name: str
    naive: tuple[str, ...]
    config: Mapping[str, str] = field(default_factory=dict)
    prepare: tuple[Prepare, ...] = ()
    stdin: bytes = b""
    terminal: bool = False
    clean: bool = False


def attributes(line: str, place: str = ".git/info/attributes") -> Prepare:
    def prepare(folder: Path, script: Path) -> None:
        write(folder, place, line.encode())

    return prepare


def hooks(place: str, *names: str) -> Prepare:
    def prepare(folder: Path, script: Path) -> None:
        for name in names or HOOKS:
            write(folder, f"{place}/{name}", script.read_bytes())
            (folder / place / name).chmod(0o755)

    return prepare


def settings(place: str, text: str) -> Prepare:
    def prepare(folder: Path, script: Path) -> None:
        write(folder, place, text.replace("SCRIPT", str(script)).encode())

    return prepare


def alternates(folder: Path, script: Path) -> None:
    other = make_repository(folder.parent / "other")
    write(folder, ".git/objects/info/alternates", f"{other}/.git/objects\n".encode())


def missing_object(folder: Path, script: Path) -> None:
    name = git(folder, "rev-parse", "HEAD:a.txt")
    (folder / ".git/objects" / name[:2] / name[2:]).unlink()


def elsewhere(folder: Path, script: Path) -> None:
    """Make `.git` a file that names a folder whose configuration is hostile."""
    shutil.move(folder / ".git", folder.parent / "elsewhere")
    (folder / ".git").write_text(f"gitdir: {folder.parent / 'elsewhere'}\n")
    with (folder.parent / "elsewhere/config").open("a") as config:
        config.write(f"[core]\n\tfsmonitor = {script}\n")


def submodule(folder: Path, script: Path) -> None:
    """Put a repository with a hostile configuration where the tree has a submodule."""
    inner = make_repository(folder / "inner")
    git(inner, "config", "core.fsmonitor", str(script))
    git(folder, "update-index", "--add", "--cacheinfo", f"160000,{git(inner, 'rev-parse', 'HEAD')},inner")


def moved_on(folder: Path, script: Path) -> None:
    """Let the submodule be at another commit than the tree says, so that there is something to update."""
    git(folder / "inner", "commit", "-q", "--allow-empty", "-m", "x")


def diverged(folder: Path, script: Path) -> None:
    """Make two branches that changed the same line, so that merging them needs a driver."""
    for name in ("theirs", "ours"):
        git(folder, "checkout", "-q", "-f", "-b", name, "main")
        write(folder, "a.txt", f"{name}\n".encode())
        git(folder, "commit", "-q", "-a", "-m", name)


LAZY = {
    "core.repositoryFormatVersion": "1",
    "extensions.partialClone": "origin",
    "remote.origin.promisor": "true",
}
FSMONITOR = "[core]\n\tfsmonitor = SCRIPT\n"
STATUS, DIFF, HASH, ADD = ("status",), ("diff",), ("hash-object", "a.txt"), ("add", "a.txt")
CAT = ("cat-file", "-p", "HEAD:a.txt")
UPDATE = ("update-ref", "refs/heads/n", "HEAD")
COMMIT = ("commit", "--allow-empty", "-m", "x")
FILL = ("credential", "fill")
ASKED = b"protocol=https\nhost=example.invalid\n\n"
EVIL = attributes("* filter=evil diff=evil merge=evil")
SIGNED = {"commit.gpgSign": "true"}


def _hook(name: str, *naive: str) -> Vector:
    return Vector(f"hook {name}", naive, {}, (hooks(".git/hooks", name),), clean=True)


VECTORS = (
    Vector("core.fsmonitor", STATUS, {"core.fsmonitor": "SCRIPT"}),
    Vector("core.hooksPath", UPDATE, {"core.hooksPath": "TOP/HOOKS"}, (hooks("HOOKS"),)),
    Vector("core.hooksPath relative", UPDATE, {"core.hooksPath": "HOOKS"}, (hooks("HOOKS"),)),
    _hook("reference-transaction", *UPDATE),
    _hook("post-index-change", "read-tree", "HEAD"),
    _hook("pre-commit", *COMMIT),
    _hook("prepare-commit-msg", *COMMIT),
    _hook("commit-msg", *COMMIT),
    _hook("post-commit", *COMMIT),
    _hook("post-rewrite", "commit", "--allow-empty", "--amend", "-m", "x"),
    _hook("post-checkout", "checkout", "-q", "-f", "-b", "n"),
    _hook("pre-push", "push", "TOP", "HEAD:refs/heads/pushed"),
    _hook("update", "push", "TOP", "HEAD:refs/heads/pushed"),
    _hook("pre-rebase", "rebase", "-f", "--no-autostash", "HEAD"),
    Vector("every hook", COMMIT, {}, (hooks(".git/hooks"),)),
    Vector("filter clean", HASH, {"filter.evil.clean": "SCRIPT"}, (EVIL,)),
    Vector("filter process", HASH, {"filter.evil.process": "SCRIPT"}, (EVIL,)),
    Vector("filter smudge", ("checkout", "-f", "HEAD", "--", "a.txt"), {"filter.evil.smudge": "SCRIPT"}, (EVIL,)),
    Vector(
        "filter required", HASH, {"filter.evil.clean": "SCRIPT", "filter.evil.required": "true"}, (EVIL,)
    ),
    Vector("filter of an odd name", HASH, {"filter.a=b.c.clean": "SCRIPT"}, (attributes("* filter=a=b.c"),)),
    Vector("filter in .gitattributes", ADD, {"filter.evil.clean": "SCRIPT"},
           (attributes("* filter=evil", ".gitattributes"),)),
    Vector("filter in core.attributesFile", ADD,
           {"filter.evil.clean": "SCRIPT", "core.attributesFile": "TOP/odd"}, (attributes("* filter=evil", "odd"),)),
    Vector("diff.external", DIFF, {"diff.external": "SCRIPT"}),
    Vector("diff driver", DIFF, {"diff.evil.command": "SCRIPT"}, (EVIL,)),
    Vector("textconv", DIFF, {"diff.evil.textconv": "SCRIPT"}, (EVIL,)),
    Vector("textconv cached", DIFF, {"diff.evil.textconv": "SCRIPT", "diff.evil.cachetextconv": "true"}, (EVIL,)),
    Vector("merge driver", ("merge", "theirs"), {"merge.evil.driver": "SCRIPT"}, (diverged, EVIL)),
    Vector("include.path", STATUS, {"include.path": "evil.cfg"}, (settings(".git/evil.cfg", FSMONITOR),)),
    Vector("includeIf", STATUS, {"includeIf.gitdir:/**.path": "evil.cfg"}, (settings(".git/evil.cfg", FSMONITOR),)),
    Vector("included filter", HASH, {"include.path": "evil.cfg"},
           (settings(".git/evil.cfg", '[filter "hidden"]\n\tclean = SCRIPT\n'), attributes("* filter=hidden"))),
    Vector("config.worktree", STATUS, {"extensions.worktreeConfig": "true"},
           (settings(".git/config.worktree", FSMONITOR),)),
    Vector(".git file", STATUS, {}, (elsewhere,)),
    Vector("submodule's configuration", STATUS, {}, (submodule,)),
    Vector("submodule update command", ("submodule", "update"),
           {"submodule.inner.update": "!SCRIPT", "submodule.inner.url": "TOP", "submodule.inner.active": "true"},
           (submodule, settings(".gitmodules", '[submodule "inner"]\n\tpath = inner\n\turl = x\n'),
            moved_on)),
    Vector("gpg.program", COMMIT, {"gpg.program": "SCRIPT", **SIGNED}),
    Vector("gpg.ssh.program", COMMIT,
           {"gpg.ssh.program": "SCRIPT", "gpg.format": "ssh", "user.signingKey": "/dev/null", **SIGNED}),
    Vector("gpg.ssh.defaultKeyCommand", COMMIT,
           {"gpg.ssh.defaultKeyCommand": "SCRIPT", "gpg.format": "ssh", **SIGNED}),
    Vector("tag.gpgSign", ("tag", "-m", "x", "t"), {"gpg.program": "SCRIPT", "tag.gpgSign": "true"}),
    Vector("alternateRefsCommand", ("rev-list", "--alternate-refs"), {"core.alternateRefsCommand": "SCRIPT"},
           (alternates,)),
    Vector("lazy fetch", CAT, {**LAZY, "remote.origin.url": "ssh://x/y", "core.sshCommand": "SCRIPT"},
           (missing_object,)),
    Vector("lazy upload pack", CAT, {**LAZY, "remote.origin.url": "TOP", "remote.origin.uploadpack": "SCRIPT"},
           (missing_object,)),
    Vector("core.sshCommand", ("ls-remote", "ssh://x/y"), {"core.sshCommand": "SCRIPT"}),
    Vector("core.gitProxy", ("ls-remote", "git://example.invalid/x"), {"core.gitProxy": "SCRIPT"}),
    Vector("remote.uploadpack", ("fetch", "origin"),
           {"remote.origin.url": "TOP", "remote.origin.uploadpack": "SCRIPT"}),
    Vector("remote.receivepack", ("push", "origin", "HEAD:refs/heads/n"),
           {"remote.origin.url": "TOP", "remote.origin.receivepack": "SCRIPT"}),
    Vector("url.insteadOf", ("ls-remote", "https://example.invalid/x"),
           {"url.ext::SCRIPT.insteadOf": "https://example.invalid/x", "protocol.ext.allow": "always"}),
    Vector("credential.helper", FILL, {"credential.helper": "!SCRIPT"}, stdin=ASKED),
    Vector("credential helper of a host", FILL, {"credential.https://example.invalid.helper": "!SCRIPT"}, stdin=ASKED),
    Vector("core.askPass", FILL, {"core.askPass": "SCRIPT"}, stdin=ASKED),
    Vector("core.editor", ("commit", "--allow-empty"), {"core.editor": "SCRIPT"}),
    Vector("sequence.editor", ("rebase", "-i", "--root", "--no-autostash"), {"sequence.editor": "SCRIPT"},
           clean=True),
    Vector("core.pager", ("log",), {"core.pager": "SCRIPT"}, terminal=True),
    Vector("pager of a command", ("log",), {"pager.log": "SCRIPT"}, terminal=True),
    Vector("trailer command", ("interpret-trailers", "--trailer", "sign"), {"trailer.sign.command": "SCRIPT"}),
    Vector("trailer cmd", ("interpret-trailers", "--trailer", "sign"), {"trailer.sign.cmd": "SCRIPT"}),
    Vector("alias", ("evil",), {"alias.evil": "!SCRIPT", "alias.rev-parse": "!SCRIPT", "alias.cat-file": "!SCRIPT"}),
    Vector("difftool", ("difftool", "-y", "-t", "evil"), {"difftool.evil.cmd": "SCRIPT"}),
    Vector("a commit-graph, a split and an untracked index", (),
           {"core.commitGraph": "true", "core.splitIndex": "true", "core.untrackedCache": "true",
            "feature.manyFiles": "true"}),
)  # fmt: skip


def hostile(folder: Path, vector: Vector, template: Path) -> tuple[Path, Path]:
    """Make a repository that uses the vector, and return it with the mark its program would leave."""
    mark, script = folder / "mark", folder / "script.sh"
    write(folder, "script.sh", f"#!/bin/sh\necho fired >> {mark}\nexit 1\n".encode())
    user = Path(shutil.copytree(template, folder / "user", symlinks=True))
    for prepare in vector.prepare:
        prepare(user, script)
    for key, value in vector.config.items():
        git(user, "config", _filled(key, user, script), _filled(value, user, script))
    if not vector.clean:
        write(user, "a.txt", b"dirty\n")
    mark.unlink(missing_ok=True)
    return user, mark


def filled(vector: Vector, user: Path) -> tuple[str, ...]:
    """Return the words of the command that plain git falls for."""
    return tuple(_filled(word, user, user.parent / "script.sh") for word in vector.naive)


def _filled(text: str, user: Path, script: Path) -> str:
    return text.replace("SCRIPT", str(script)).replace("TOP", str(user))
