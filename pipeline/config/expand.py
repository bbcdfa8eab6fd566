"""Replaces `${ENV}` and `${ENV:-default}` in a text; a variable that holds a key is never read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.problem import Code

REFERENCE = re.compile(r"\$\$(?=\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{")
SECRET_NAME = re.compile(r"(^|_)(KEY|KEYS|APIKEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)


class ExpansionError(Exception):
    """A reference cannot be replaced."""

    def __init__(self, code: Code, message: str, hint: str) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Variables:
    """The environment, without what names a key."""

    environ: Mapping[str, str]
    key_names: frozenset[str] = frozenset()

    def expand(self, text: str) -> str:
        """Return the text with its references replaced; `$${` stands for a literal `${`.

        :raises ExpansionError: a variable is not set, names a key, or the reference is not closed.
        """
        return REFERENCE.sub(self._replacement, text)

    def _replacement(self, found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        name, default = found[1], found[2]
        if name is None:
            raise ExpansionError("SW110", "`${` starts no variable", "write ${NAME}, ${NAME:-default}, or $${ for ${")
        if name in self.key_names or SECRET_NAME.search(name):
            hint = f"keys never enter the config: name the variable with `api_key_env: {name}`"
            raise ExpansionError("SW111", f"`${{{name}}}` names a key", hint)
        value = self.environ.get(name)
        if value:
            return value
        if default is None:
            raise ExpansionError(
                "SW110", f"the environment variable {name} is not set", f"set it, or write ${{{name}:-default}}"
            )
        return default


def refers(text: str) -> bool:
    """Whether a text has a reference that would be replaced."""
    return any(found[0] != "$$" for found in REFERENCE.finditer(text))
