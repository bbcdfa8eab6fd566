"""The loader: the folder is the registry, and no SDK is imported before a call is due."""

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from pipeline import loader
from pipeline.errors import InfrastructureError
from pipeline.surface import Binding

SDKS = "anthropic openai google.genai httpx2 genai_prices yaml"
NO_SDK = f"""
import sys
from pipeline import loader
for name in loader.surface_names():
    assert loader.surface(name).name == name, name
assert not {{"{'", "'.join(SDKS.split())}"}} & set(sys.modules), sorted(sys.modules)
"""


def test_every_surface_loads_without_any_sdk() -> None:
    done = subprocess.run([sys.executable, "-c", NO_SDK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_vendors_of_the_folder_are_known_and_shared_parts_are_not() -> None:
    assert {"anthropic", "google", "openai", "scripted"} <= set(loader.surface_names())
    assert not any("_" in name for name in loader.surface_names())


@pytest.mark.parametrize("name", ["antropic", "_wire", "", "os.path", "../x"])
def test_an_unknown_vendor_is_named_with_the_known_ones(name: str) -> None:
    with pytest.raises(loader.UnknownVendorError) as raised:
        loader.surface(name)
    assert f"{name!r} (known: anthropic, azure, " in str(raised.value)


def test_connecting_an_unknown_vendor_is_the_same_error() -> None:
    async def connected() -> None:
        await loader.connect("nobody", Binding("m", "m", None, None, None, None, ""))

    with pytest.raises(loader.UnknownVendorError):
        anyio.run(connected)


PLUGIN = """
from dataclasses import replace
from pipeline.vendors.scripted import SURFACE as SCRIPTED
SURFACE = replace(SCRIPTED, name="acme")
wrong = 3
async def run(context): ...
"""
ENTRIES = """
[stagewright.vendors]
acme = acme_vendor
broken = no_such_module:SURFACE
wrong = acme_vendor:wrong
openai = acme_vendor
[stagewright.stages]
reviewer = acme_vendor
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    information = tmp_path / "acme-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRIES)
    (tmp_path / "acme_vendor.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("plugin")
def test_an_installed_vendor_is_found_but_never_in_the_place_of_a_built_in_one() -> None:
    assert loader.surface("acme").name == "acme"
    assert "acme" in loader.surface_names()
    assert loader.surface("openai").name == "openai"


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(("name", "words"), [("broken", "no_such_module"), ("wrong", "has no SURFACE")])
def test_a_plug_in_that_cannot_be_loaded_is_named(name: str, words: str) -> None:
    with pytest.raises(InfrastructureError, match=words) as raised:
        loader.surface(name)
    assert name in str(raised.value)


@pytest.mark.usefixtures("plugin")
def test_an_installed_stage_takes_the_place_of_ours() -> None:
    assert getattr(loader.stage("reviewer"), "__name__", "") == "acme_vendor"
    assert getattr(loader.stage("planner"), "__name__", "") == "stages.planner"
