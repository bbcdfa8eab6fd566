"""Python and Node work out of the box: what setup installs is there for checks, without a network."""

import io
import json
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from anyio import to_thread
from docker import DockerClient

from pipeline.config.settings import CheckSettings
from pipeline.judging.checks import run_check
from sandbox.base import BaseTree, SandboxError
from sandbox.docker import DockerBackend
from sandbox.host_command import run_host_command
from sandbox.setup import prepared_image
from tests.sandbox.trees import MIB, environment, make_base

pytestmark = [pytest.mark.docker, pytest.mark.anyio]
NODE = environment(image="stagewright/node", memory=1536 * MIB, disk=384 * MIB)
TEST = b"""
const { test, describe, it } = require('node:test');
const assert = require('node:assert');
const greet = require('greeting');
test('greets', () => assert.equal(greet('you'), 'hello you'));
describe('a group', () => { it('fails', () => assert.equal(greet('me'), 'bye me')); });
"""
CHECK = CheckSettings(
    name="tests",
    run="node --test --test-reporter=junit --test-reporter-destination=$REPORT",
    timeout=60,
    report="junit",
)


def package(**fields: object) -> bytes:
    return json.dumps({"name": "shop", "version": "1.0.0", "private": True, **fields}).encode()


@pytest.fixture
def kept(engine: DockerClient) -> Iterator[list[str]]:
    names: list[str] = []
    yield names
    for name in names:
        engine.images.remove(name, force=True)


@pytest.fixture
def shop(tmp_path: Path) -> BaseTree:
    """A Node project whose one dependency lies beside it, locked as npm does it."""
    lock = {
        "name": "shop",
        "version": "1.0.0",
        "lockfileVersion": 3,
        "requires": True,
        "packages": {
            "": {"name": "shop", "version": "1.0.0", "dependencies": {"greeting": "file:greeting.tgz"}},
            "node_modules/greeting": {"version": "1.0.0", "resolved": "file:greeting.tgz"},
        },
    }
    files = {
        "package.json": package(dependencies={"greeting": "file:greeting.tgz"}),
        "package-lock.json": json.dumps(lock).encode(),
        "greeting.tgz": tarball({
            "package/package.json": b'{"name": "greeting", "version": "1.0.0", "main": "index.js"}',
            "package/index.js": b"module.exports = (name) => `hello ${name}`;\n",
        }),
        "shop.test.js": TEST,
        ".gitignore": b"node_modules/\n",
    }  # fmt: skip
    return make_base(tmp_path / "shop", files)


def tarball(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


async def test_npm_ci_from_a_local_file_serves_checks_with_node_reports(
    docker_backend: DockerBackend, shop: BaseTree, kept: list[str]
) -> None:
    kept.append(await prepared_image(NODE, shop, ["npm ci"], 120, lock_files={}, say=lambda _: None))
    async with docker_backend.open(replace(NODE, image=kept[0]), shop) as sandbox:
        run = await run_check(CHECK, sandbox, tests=None)
        assert (run.outcome, run.exit_code) == ("failed", 1), run.output.decode()
        assert [(case.id, case.status) for case in run.cases] == [
            ("test::greets", "passed"), ("test::fails", "failed")
        ]  # fmt: skip
        await sandbox.write("shop.test.js", TEST.replace(b"bye", b"hello"))
        mended = await run_check(CHECK, sandbox, tests=None)
        assert mended.outcome == "passed"
        assert list((await sandbox.snapshot()).files) == ["shop.test.js"]


async def test_without_setup_the_dependency_is_not_there_and_both_languages_are(
    docker_backend: DockerBackend, shop: BaseTree
) -> None:
    async with docker_backend.open(NODE, shop) as sandbox:
        run = await run_check(CHECK, sandbox, tests=None)
        assert run.outcome == "failed"
        assert [case.status for case in run.cases] == ["failed"]
        required = await sandbox.exec(["node", "-e", "require('greeting')"], timeout=30, merge_output=True)
        assert b"Cannot find module 'greeting'" in required.stdout
        both = await sandbox.exec(["sh", "-c", "npm --version && pytest --version"], timeout=30)
        assert both.exit_code == 0


async def test_npm_ci_without_a_network_ends_soon_and_says_why(tmp_path: Path) -> None:
    await _registry_answers()
    base = make_base(tmp_path / "online", await to_thread.run_sync(_online_project))
    with pytest.raises(SandboxError, match=r"(?s)`npm ci .*network is off during setup.*npm ERR"):
        await prepared_image(NODE, base, ["npm ci --fetch-retries=0"], 60, lock_files={}, say=lambda _: None)


async def test_npm_ci_from_the_registry_works_during_setup_and_serves_without_a_network(
    docker_backend: DockerBackend, tmp_path: Path, kept: list[str]
) -> None:
    await _registry_answers()
    base = make_base(tmp_path / "online", await to_thread.run_sync(_online_project))
    online = replace(NODE, network=True)
    kept.append(await prepared_image(online, base, ["npm ci"], 120, lock_files={}, say=lambda _: None))
    async with docker_backend.open(replace(NODE, image=kept[0]), base) as sandbox:
        script = "console.log(require('ms')('2 days')); fetch('https://example.org').catch(() => console.log('shut'))"
        result = await sandbox.exec(["node", "-e", script], timeout=30, merge_output=True)
        assert result.stdout == b"172800000\nshut\n"


async def test_pip_install_from_the_index_works_during_setup_and_serves_without_a_network(
    docker_backend: DockerBackend, tmp_path: Path, kept: list[str]
) -> None:
    await _index_answers()
    project = (
        b"[build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n"
        b"[project]\nname = 'shop'\nversion = '1'\ndependencies = ['idna']\n[tool.setuptools]\npy-modules = ['shop']\n"
    )
    test = b"import idna, shop\ndef test_both():\n    assert idna.encode('a') == b'a' and shop.PRICE == 1\n"
    base = make_base(tmp_path / "shop", {"pyproject.toml": project, "shop.py": b"PRICE = 1\n", "test_shop.py": test})
    small = environment()
    online = replace(small, network=True)
    kept.append(await prepared_image(online, base, ["pip install -e ."], 120, lock_files={}, say=lambda _: None))
    async with docker_backend.open(replace(small, image=kept[0]), base) as sandbox:
        passed = await sandbox.exec(["pytest", "-q"], timeout=30, merge_output=True)
        assert passed.exit_code == 0, passed.stdout
        await sandbox.write("shop.py", b"PRICE = 2\n")
        assert (await sandbox.exec(["pytest", "-q"], timeout=30)).exit_code == 1
        shut = await sandbox.exec(["pip", "install", "--retries=0", "--timeout=2", "six"], timeout=30)
        assert shut.exit_code != 0
        assert list((await sandbox.snapshot()).files) == ["shop.py"]


async def _index_answers() -> None:
    """Skip where this machine reaches no Python index; the variant without one, in test_setup, always runs."""
    try:
        await run_host_command([sys.executable, "-m", "pip", "index", "versions", "idna"], timeout=20)
    except SandboxError as error:
        pytest.skip(f"no Python index answers: {error}")


def _online_project() -> dict[str, bytes]:
    lock = {
        "name": "shop",
        "version": "1.0.0",
        "lockfileVersion": 3,
        "requires": True,
        "packages": {
            "": {"name": "shop", "version": "1.0.0", "dependencies": {"ms": "2.1.3"}},
            "node_modules/ms": {"version": "2.1.3"},
        },
    }
    return {"package.json": package(dependencies={"ms": "2.1.3"}), "package-lock.json": json.dumps(lock).encode()}


async def _registry_answers() -> None:
    """Skip where this machine reaches no npm registry; the variant with a local file always runs."""
    try:
        await run_host_command(["npm", "view", "ms@2.1.3", "version"], timeout=30)
    except SandboxError as error:
        pytest.skip(f"no npm registry answers: {error}")
