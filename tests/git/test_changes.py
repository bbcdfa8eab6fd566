"""A snapshot comes back from its stored listing exactly, and equal contents are stored once."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.running.changes import dump, load
from sandbox.base import FileState, Snapshot

PATHS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
STATES = st.none() | st.builds(FileState, st.sampled_from(["100644", "100755", "120000"]), st.binary(max_size=40))


class Blobs(dict[str, bytes]):
    """A content-addressed store in memory."""

    def put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self[digest] = content
        return digest


@given(st.dictionaries(PATHS, STATES, max_size=8))
def test_any_snapshot_comes_back(files: dict[str, FileState | None]) -> None:
    blobs = Blobs()
    assert load(dump(Snapshot(files), blobs.put), blobs.__getitem__) == Snapshot(files)


@given(st.dictionaries(PATHS, STATES, max_size=8))
def test_equal_snapshots_have_one_digest_whatever_their_order(files: dict[str, FileState | None]) -> None:
    blobs = Blobs()
    backwards = dict(reversed(files.items()))
    assert dump(Snapshot(files), blobs.put) == dump(Snapshot(backwards), blobs.put)


def test_paths_come_back_in_byte_order_and_contents_are_stored_once() -> None:
    blobs = Blobs()
    same = FileState("100644", b"same")
    digest = dump(Snapshot({"z": same, "a": same, "é": None, "Z": same}), blobs.put)
    assert list(load(digest, blobs.__getitem__).files) == ["Z", "a", "z", "é"]
    assert len(blobs) == 2


def test_a_listing_that_is_none_is_refused() -> None:
    blobs = Blobs()
    with pytest.raises(ValidationError):
        load(blobs.put(b'{"files": [{"path": "a", "mode": "160000", "blob": "x"}]}'), blobs.__getitem__)
