"""A test runner of thirty lines: runs `test_*` functions of `tests/` and writes the report pytest would write."""

import importlib.util
import os
import sys
from pathlib import Path
from xml.sax.saxutils import quoteattr


def main(selectors: list[str]) -> int:
    sys.path.insert(0, ".")
    chosen = [selector.partition("::") for selector in selectors]
    files = [Path(path) for path, _, _ in chosen] or sorted(Path("tests").glob("test_*.py"))
    wanted = {name for _, _, name in chosen if name}
    cases = [case for file in dict.fromkeys(files) for case in run_file(file, wanted)]
    Path(os.environ["REPORT"]).write_text(
        f"<testsuites><testsuite>{''.join(c for c, _ in cases)}</testsuite></testsuites>"
    )
    return 5 if not cases else int(not all(passed for _, passed in cases))


def run_file(file: Path, wanted: set[str]) -> list[tuple[str, bool]]:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names = [name for name in vars(module) if name.startswith("test_") and (not wanted or name in wanted)]
    return [run_case(f"tests.{file.stem}", name, getattr(module, name)) for name in names]


def run_case(classname: str, name: str, function: object) -> tuple[str, bool]:
    assert callable(function)
    failure = ""
    try:
        function()
    except AssertionError as error:
        failure = f"<failure message={quoteattr(repr(error))}/>"
        sys.stdout.write(f"FAILED {classname}::{name}\n")
    return f'<testcase classname="{classname}" name="{name}">{failure}</testcase>', not failure


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
