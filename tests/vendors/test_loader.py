"""The loader: the folder is the registry, and no SDK is imported before a call is due."""

import subprocess
import sys

import anyio
import pytest

from pipeline import loader
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
    assert f"{name!r} (known: anthropic, google, openai, scripted" in str(raised.value)


def test_connecting_an_unknown_vendor_is_the_same_error() -> None:
    async def connected() -> None:
        await loader.connect("nobody", Binding("m", "m", None, None, None, None, ""))

    with pytest.raises(loader.UnknownVendorError):
        anyio.run(connected)
