"""The journal keeps every event in order, whole transactions only, and content exactly."""

import hashlib
import itertools
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.errors import InfrastructureError, UsageError
from pipeline.events import AnyEvent, HumanAnswered, SandboxEnded
from pipeline.memory.database import BLOB, Store, open_store
from pipeline.memory.journal import Journal, Stored, new_run_id, resolve_run, run_ids
from pipeline.memory.redaction import redactor
from tests.fakes.clock import START, FakeClock

KEY = "k3y-of-the-runner"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path}/state/state.sqlite")
    yield store
    store.close()


def journal(store: Store, run_id: str = "run-1") -> Journal:
    return Journal(store, run_id, clock=FakeClock(), redact=redactor([KEY]))


def ended(container: str) -> SandboxEnded:
    return SandboxEnded(container=container, purpose="test")


def test_events_come_back_in_order_with_sequence_and_time(store: Store) -> None:
    written = [journal(store).append(ended(name)) for name in ("a", "b", "c")]
    assert journal(store).events() == written
    assert [stored.seq for stored in written] == [1, 2, 3]
    assert written[0].at == datetime.fromtimestamp(START, UTC)
    assert [stored.seq for stored in journal(store).events(after=2)] == [3]


def test_each_run_counts_for_itself(store: Store) -> None:
    journal(store, "one").append(ended("a"))
    assert journal(store, "two").append(ended("b")).seq == 1


def test_the_public_fields_are_flat_and_in_utc(store: Store) -> None:
    assert journal(store).append(ended("a")).fields() == {
        "run_id": "run-1",
        "seq": 1,
        "at": "2025-11-20T10:00:00.000000+00:00",
        "kind": "sandbox.ended",
        "container": "a",
        "purpose": "test",
        "egress": [],
    }


def test_a_transaction_that_fails_leaves_no_event_and_no_gap(store: Store) -> None:
    log = journal(store)
    heard: list[Stored] = []
    log.listen(heard.append)
    log.append(ended("a"))
    with pytest.raises(ZeroDivisionError), store.begin() as connection:
        assert 1 / (log.append(ended("lost"), connection).seq - 2)
    log.append(ended("b"))
    assert [(stored.seq, stored.event) for stored in log.events()] == [(1, ended("a")), (2, ended("b"))]
    assert heard == log.events()


def test_listeners_hear_of_an_event_only_after_its_commit(store: Store) -> None:
    log = journal(store)
    heard: list[Stored] = []
    log.listen(heard.append)
    with store.begin() as connection:
        log.append(ended("a"), connection)
        log.append(ended("b"), connection)
        assert heard == []
    assert [stored.event for stored in heard] == [ended("a"), ended("b")]


def test_keys_are_redacted_before_events_are_stored_and_heard(store: Store, tmp_path: Path) -> None:
    log = journal(store)
    heard: list[Stored] = []
    log.listen(heard.append)
    stored = log.append(HumanAnswered(text=f"use {KEY} or ghp_{'a1' * 18}"))
    assert stored.event == HumanAnswered(text="use [redacted] or [redacted]") == heard[0].event
    store.close()
    on_disk = b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir())
    assert KEY.encode() not in on_disk


def test_content_is_kept_exactly_and_once(store: Store) -> None:
    log = journal(store)
    content = b"\x00\xff" + KEY.encode()
    digest = log.put(content)
    assert digest == hashlib.sha256(content).hexdigest() == log.put(content)
    assert log.get(digest) == content


def test_missing_and_damaged_content_is_an_error_and_never_an_empty_answer(store: Store) -> None:
    log = journal(store)
    with pytest.raises(InfrastructureError, match="is missing"):
        log.get("0" * 64)
    digest = log.put(b"right")
    with store.begin() as connection:
        connection.execute(BLOB.update().values(content=b"wrong"))
    with pytest.raises(InfrastructureError, match="is damaged"):
        log.get(digest)


WRITER = """
import sys
from pipeline.memory.database import open_store
from pipeline.events import SandboxEnded
from pipeline.memory.journal import Journal
store = open_store(sys.argv[1])
log = Journal(store, "run-1", clock=lambda: 1.0, redact=lambda text: text)
for number in range(25):
    log.append(SandboxEnded(container=f"{sys.argv[2]}-{number}", purpose="test"))
store.close()
"""


def test_several_processes_open_a_new_database_and_write_without_gaps(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state/state.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, url, name]) for name in "abcd"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]
    store = open_store(url)
    events = journal(store).events()
    store.close()
    assert [stored.seq for stored in events] == list(range(1, 101))
    containers = [stored.event.container for stored in events if isinstance(stored.event, SandboxEnded)]
    for name in "abcd":
        own = [container for container in containers if container.startswith(name)]
        assert own == [f"{name}-{number}" for number in range(25)]


def test_a_run_is_named_by_id_unique_prefix_or_last(store: Store) -> None:
    for run_id in ("20261120-a1", "20261120-b2", "20261121-c3"):
        journal(store, run_id).append(ended("a"))
    assert run_ids(store) == ["20261120-a1", "20261120-b2", "20261121-c3"]
    assert resolve_run(store, "last") == "20261121-c3"
    assert resolve_run(store, "20261121") == "20261121-c3"
    assert resolve_run(store, "20261120-a1") == "20261120-a1"


@pytest.mark.parametrize("text", ["2026112", "9", "", "las"])
def test_a_run_that_is_not_found_or_not_unique_names_the_candidates(store: Store, text: str) -> None:
    for run_id in ("20261120-a1", "20261120-b2"):
        journal(store, run_id).append(ended("a"))
    with pytest.raises(UsageError, match=r"20261120-a1, 20261120-b2"):
        resolve_run(store, text)


def test_without_any_run_the_answer_says_so(store: Store) -> None:
    with pytest.raises(UsageError, match="no runs yet"):
        resolve_run(store, "last")


def test_run_ids_sort_by_time() -> None:
    counter = itertools.count(255, -1)
    ids = [
        new_run_id(START + milliseconds / 1000, lambda size: bytes([next(counter)] * size))
        for milliseconds in (0, 5, 999, 1000, 60_000, 86_400_000)
    ]
    assert ids == sorted(ids)
    assert ids[1] == "20251120-100000-005fefefe"


def test_every_field_of_a_stored_event_survives(store: Store) -> None:
    event: AnyEvent = HumanAnswered(text='quotes " and \\ and ünïcödé and \n lines')
    assert journal(store).append(event).event == event
    assert journal(store).events()[0].event == event
