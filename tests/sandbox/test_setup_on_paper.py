"""What setup is keyed by, what it carries, and which of the host's settings it is given."""

import tarfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.package_indexes import certificate_bundle, package_indexes
from sandbox.setup_image import CARRIED_LABEL, carried_label, carried_paths, commit_changes, first_files, image_key
from sandbox.tree_scripts import split_manifest


def test_the_key_changes_with_everything_that_changes_the_image() -> None:
    keys = [
        image_key("a", ["x"], {}, network=False),
        image_key("b", ["x"], {}, network=False),
        image_key("a", ["x", "y"], {}, network=False),
        image_key("a", ["x"], {"uv.lock": b"1"}, network=False),
        image_key("a", ["x"], {"uv.lock": b"2"}, network=False),
        image_key("a", ["x"], {"poetry.lock": b"1"}, network=False),
        image_key("a", ["x"], {}, network=True),
    ]
    assert len(set(keys)) == len(keys)
    assert image_key("a", ["x"], {"p": b"1", "q": b"2"}, network=False) == image_key(
        "a", ["x"], {"q": b"2", "p": b"1"}, network=False
    )


@given(st.lists(st.text(), max_size=5))
def test_carried_paths_survive_their_label(paths: list[str]) -> None:
    label = carried_label(paths)
    assert carried_paths({CARRIED_LABEL: label})[0] == tuple(sorted(paths))
    assert not set(label) & set("$\"\\ \n'")


@pytest.mark.parametrize("label", ["", "x", "e30=", "bnVsbA==", "%%%"])
def test_a_label_of_somebody_else_carries_nothing(label: str) -> None:
    assert carried_paths({CARRIED_LABEL: label}) == ((), "")
    assert carried_paths({}) == ((), "")


def test_the_first_files_belong_to_the_containers_user() -> None:
    with tarfile.open(fileobj=BytesIO(first_files(b"certificates"))) as tar:
        owners = {entry.name: entry.uid for entry in tar if entry.isdir()}
        bundle = tar.extractfile("opt/stagewright/ca.pem")
        assert bundle is not None
        assert bundle.read() == b"certificates"
    assert owners.keys() >= {"workspace", "opt/venv", "home/agent"}
    assert set(owners.values()) == {10001}


def test_the_venv_comes_first_on_the_path_of_the_image() -> None:
    assert commit_changes("/usr/bin:/bin", [])[0] == "ENV PATH=/opt/venv/bin:/usr/bin:/bin"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_addresses_come_from_the_environment_before_the_files_and_lose_their_credentials(tmp_path: Path) -> None:
    home = tmp_path / "home"
    write(home / ".config/pip/pip.conf", "[global]\nindex-url = https://user:secret@one.example/simple\n")
    write(home / ".npmrc", "//r.example/:_authToken=secret\nregistry=https://token:x@npm.example:8443/r/\n")
    environ = {
        "PIP_EXTRA_INDEX_URL": "https://a:b@two.example/s http://three.example",
        "HTTPS_PROXY": "http://me:secret@proxy.example:3128",
        "PIP_TRUSTED_HOST": "two.example",
        "OPENAI_API_KEY": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    found = package_indexes(environ, home, tmp_path / "prefix")
    assert dict(found.variables) == {
        "PIP_INDEX_URL": "https://one.example/simple",
        "PIP_EXTRA_INDEX_URL": "https://two.example/s http://three.example",
        "npm_config_registry": "https://npm.example:8443/r/",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "PIP_TRUSTED_HOST": "two.example",
    }
    assert found.folders == ()


def test_an_index_in_a_folder_is_mounted_with_what_lies_beside_it(tmp_path: Path) -> None:
    for folder in ("index/simple", "wheels"):
        (tmp_path / folder).mkdir(parents=True)
    environ = {
        "PIP_INDEX_URL": f"file://{tmp_path}/index/simple",
        "PIP_FIND_LINKS": f"{tmp_path}/wheels relative {tmp_path}/gone file:///no/such/folder",
    }
    found = package_indexes(environ, tmp_path, tmp_path)
    assert set(found.folders) == {str(tmp_path / "index"), str(tmp_path / "wheels")}
    assert found.variables["PIP_FIND_LINKS"] == f"{tmp_path}/wheels"


def test_a_broken_settings_file_is_no_settings(tmp_path: Path) -> None:
    write(tmp_path / "pip.conf", "not [ini\n\x00")
    found = package_indexes({"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}, tmp_path, tmp_path)
    assert "PIP_INDEX_URL" not in found.variables


def test_the_bundle_is_the_one_the_environment_names(tmp_path: Path) -> None:
    named = write(tmp_path / "ca.pem", "mine")
    assert certificate_bundle({"SSL_CERT_FILE": str(named)}) == b"mine"
    assert certificate_bundle({"SSL_CERT_FILE": str(tmp_path / "gone"), "PIP_CERT": str(named)}) == b"mine"


@pytest.mark.parametrize("output", [b"", b":x\0p\0\0", b":1 2 3 4 M\0p\0", b":1 2 3 4 M\0p\0\0half", b"\0a"])
def test_a_listing_that_is_cut_or_foreign_is_refused(output: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut|not the output"):
        split_manifest(output)


def test_a_listing_is_read_apart() -> None:
    changed, added = split_manifest(b":1 2 3 4 M\0p\0:1 2 3 4 D\0q\0\0new\0other\0")
    assert (changed, added) == ({"p": "M", "q": "D"}, ["new", "other"])
    assert split_manifest(b"\0") == ({}, [])
