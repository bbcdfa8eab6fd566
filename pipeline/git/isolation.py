"""The surroundings host git runs in, so that nothing a repository controls is ever executed.

The list was measured against 33 ways of making git run a command from a repository's configuration, hooks or
attributes. What a name cannot be fixed for in advance (`filter.<any>.clean`) is blanked by its own name.
"""

import fnmatch
from collections.abc import Iterable, Mapping

ENVIRONMENT: Mapping[str, str] = {
    "HOME": "/nonexistent",
    "XDG_CONFIG_HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "GIT_SSH_COMMAND": "false",
    "GIT_EDITOR": "true",
    "GIT_SEQUENCE_EDITOR": "true",
    "GIT_PAGER": "cat",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_PROTOCOL_FROM_USER": "0",
    "LC_ALL": "C",
}
# Without the first block a repository's configuration runs commands of its choice.
SETTINGS: tuple[str, ...] = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrustedCache=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.pager=cat",
    "core.editor=true",
    "core.sshCommand=false",
    "core.gitProxy=",
    "core.askPass=true",
    "credential.helper=",
    "protocol.allow=never",
    "diff.external=",
    "submodule.recurse=false",
    "diff.ignoreSubmodules=all",
    "status.submoduleSummary=false",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "gpg.program=false",
    "log.showSignature=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.alternateRefsCommand=true",
    # A private index stays whole and private, and trees come out the same whatever the repository prefers.
    "core.splitIndex=false",
    "core.sparseCheckout=false",
    "index.sparse=false",
    "core.ignoreCase=false",
    "core.precomposeUnicode=false",
    "core.quotePath=false",
    "core.logAllRefUpdates=false",
    "i18n.commitEncoding=UTF-8",
    # Packs are mapped in windows, so that a large repository fits the limit on address space.
    "core.packedGitWindowSize=32m",
    "core.packedGitLimit=256m",
)
_BLANKED: Mapping[str, str] = {
    "filter.*.clean": "",
    "filter.*.smudge": "",
    "filter.*.process": "",
    "filter.*.required": "false",
    "merge.*.driver": "",
    "diff.*.command": "",
    "diff.*.textconv": "",
    "credential.*.helper": "",
    "gpg.*.program": "false",
    "hook.*.command": "true",
    "remote.*.uploadpack": "false",
    "remote.*.receivepack": "false",
    "remote.*.vcs": "",
    "trailer.*.cmd": "",
    "trailer.*.command": "",
    "pager.*": "false",
}


def blanks(names: Iterable[str]) -> dict[str, str]:
    """Return, for the names a repository's configuration sets, the values that make the wildcard ones harmless."""
    found: dict[str, str] = {}
    for name in names:
        for pattern, value in _BLANKED.items():
            if fnmatch.fnmatchcase(_folded(name), pattern):
                found[name] = value
    return found


def as_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that hand settings to git; unlike `-c` they take names with any character."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings.items()):
        variables |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def _folded(name: str) -> str:
    # Section and key ignore case in git, the part between them does not.
    section, _, rest = name.partition(".")
    middle, dot, key = rest.rpartition(".")
    return f"{section.lower()}.{middle}{dot}{key.lower()}"
