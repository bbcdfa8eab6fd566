"""The shell scripts that run git inside a container; what they print is a claim, checked outside."""

from collections.abc import Iterable, Mapping

# Both scripts run git with nobody's settings, so that files are bytes: no filter, no line-end conversion.
PRELUDE = r"""
set -eu
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1 GIT_NO_REPLACE_OBJECTS=1 LC_ALL=C
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
attributes() { mkdir -p "$1/info"; printf '* -text !eol -filter -ident !working-tree-encoding !diff !merge\n' \
  > "$1/info/attributes"; }
"""
# argv: base commit, object format, lines for info/exclude, folder of carried files. stdin: the pack.
POPULATE = (
    PRELUDE
    + r"""
base=$1 format=$2 exclude=$3 carried=$4
find . -type d ! -perm -700 -exec chmod u+rwx {} + 2>/dev/null || true
rm -rf .git
git init -q --template= "--object-format=$format" .
git config core.autocrlf false
git config gc.auto 0
git config core.logAllRefUpdates false
git config advice.detachedHead false
attributes .git
printf '%s' "$exclude" > .git/info/exclude
git index-pack --stdin > /dev/null
printf '%s\n' "$base" > .git/shallow
git update-ref --no-deref HEAD "$base"
git read-tree "$base"
git update-index -q --refresh || true
git checkout-index -q -f -a -u
if [ "$carried" != "" ]; then cp -a "$carried/." .; git update-index -q --refresh || true
  git checkout-index -q -f -a -u; fi
"""
)
# argv: object format, lines for info/exclude, folder for the scratch repository. stdin: the entries of an index.
_FRESH_INDEX = (
    PRELUDE
    + r"""
scratch=$(mktemp -d "$3/.stagewright.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export GIT_DIR="$scratch/git" GIT_WORK_TREE="$PWD" GIT_INDEX_FILE="$scratch/index"
git init -q --template= "--object-format=$1" > /dev/null
git config core.autocrlf false
attributes "$GIT_DIR"
printf '%s' "$2" > "$GIT_DIR/info/exclude"
git update-index -z --index-info
"""
)
MANIFEST = (
    _FRESH_INDEX
    + r"""
git update-index -q --really-refresh > /dev/null || true
git diff-files --raw -z --no-abbrev --no-renames --ignore-submodules=none
printf '\0'
git ls-files -z --others --exclude-standard
"""
)
LEFTOVERS = _FRESH_INDEX + "git ls-files -z --others --directory --no-empty-directory\n"
CLEAN = _FRESH_INDEX + "git clean -ffdq\n"
EMPTIED = r"""
find . -type d ! -perm -700 -exec chmod u+rwx {} + 2>/dev/null || true
find . -mindepth 1 -maxdepth 1 -exec rm -rf {} +
"""


def index_entries(entries: Mapping[str, tuple[str, str]]) -> bytes:
    """Return entries, path -> (mode, object id), as `git update-index -z --index-info` reads them."""
    return b"".join(
        f"{mode} {object_id}\t{path}\0".encode("utf-8", "surrogateescape")
        for path, (mode, object_id) in entries.items()
    )


def exclude_lines(carried: Iterable[str]) -> str:
    """Return ignore patterns that match exactly these paths of the work tree."""
    return "".join(f"/{_escaped(path)}\n" for path in carried if "\n" not in path)


def _escaped(path: str) -> str:
    escaped = "".join(f"\\{character}" if character in "\\*?[!#" else character for character in path)
    return f"{escaped[:-1]}\\ " if escaped.endswith(" ") else escaped


def split_manifest(output: bytes) -> tuple[dict[str, str], list[str]]:
    """Return (changed tracked paths with the letter of their change, paths git neither tracks nor ignores).

    :raises ValueError: the output is not what MANIFEST prints.
    """
    tokens = output.decode("utf-8", "surrogateescape").split("\0")
    changed: dict[str, str] = {}
    position = 0
    while tokens[position] != "":
        fields = tokens[position].split(" ")
        if len(fields) != 5 or not fields[0].startswith(":") or position + 1 >= len(tokens):
            raise ValueError("not the output of git diff-files")
        changed[tokens[position + 1]] = fields[4]
        position += 2
    if tokens[-1] != "" or position + 1 >= len(tokens):
        raise ValueError("the listing is cut")
    return changed, tokens[position + 1 : -1]
