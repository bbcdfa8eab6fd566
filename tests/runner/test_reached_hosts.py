"""What an allowlist lets a run reach, and what it refused, is in the run's journal."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.config.settings import Allowlist, CheckSettings, SandboxSettings
from pipeline.events import CheckFinished, SandboxEnded
from pipeline.reporting.telling import telling
from sandbox.docker import backend
from tests.e2e import project
from tests.runner.scenario import Scenario, audited, settings

pytestmark = pytest.mark.docker
MIB = 1 << 20
# In the base there is no test of the discount yet, so the check's verdict is the suite's own; it asks two hosts first.
ASK = (
    'for host in 127.0.0.1:{port} evil.example; do python3 -c "import http.client as h; '
    "c = h.HTTPConnection('127.0.0.1', 3128); c.request('GET', 'http://$host/'); "
    'print(c.getresponse().status)"; done; '
)
SUITE = "python3 -m pytest -q --junitxml=$REPORT"


@pytest.fixture
def port() -> Iterator[int]:
    """Run a server on this machine; yields its port."""

    class Fine(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Fine)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_hosts_a_run_reached_and_was_refused_are_journaled(tmp_path: Path, port: int) -> None:
    host = f"127.0.0.1:{port}"
    chosen = settings(
        checks=(CheckSettings(name="tests", run=ASK.format(port=port) + SUITE, report="junit", timeout=60.0),),
        sandbox=SandboxSettings(memory=1280 * MIB, disk=256 * MIB, network=Allowlist(allowlist=(host,))),
    )
    team = {"planner": project.planner(), "coder": project.coder(), "strong": project.coder()}
    run = Scenario(tmp_path, team, chosen, backend=backend())
    ended = run.run()
    assert ended.status == "solved", ended.reason
    audited(run)
    checks = [event for event in run.events if isinstance(event, CheckFinished)]
    removed = [event for event in run.events if isinstance(event, SandboxEnded) and event.egress]
    run.store.close()
    assert len(checks) >= len(removed) >= 1
    for event in removed:
        assert {(row.host, row.port, row.refused) for row in event.egress} == {
            ("127.0.0.1", port, None),
            ("evil.example", 80, "not in the allowlist"),
        }
        assert telling(event).endswith(f"removed; reached {host}; refused evil.example:80")
