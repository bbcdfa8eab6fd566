"""A run on a subscription: its window is used up, so the run parks until the vendor says that it begins anew."""

import time
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from tests.clis.anthropic_stream import messages
from tests.clis.bench import program
from tests.clis.wire import CommandLineServer
from tests.e2e.vendors import cast
from tests.e2e.world import make_world
from tests.loopback.brain import Say, always

pytestmark = [pytest.mark.clis, pytest.mark.docker]


def test_a_used_up_window_parks_the_run_and_the_report_says_who_pays(tmp_path: Path) -> None:
    resets = int(time.time()) + 7200
    headers = {
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-reset": str(resets),
        "anthropic-ratelimit-unified-representative-claim": "five_hour",
    }
    limit = Say(status=429, code="rate_limit_error", message="limit", headers=headers)
    world = make_world(tmp_path)
    world.keys = {
        "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-loopback",
        "HOME": str(tmp_path),
        "ANTHROPIC_API_KEY": "sk-x",
    }
    with CommandLineServer(messages, always(limit)).running() as server, cast({}) as unused:
        config = yaml.safe_load(unused.config())
        config["vendors"] = {"claude-code": {"base_url": server.url, "command": program("claude")}}
        for stage in config["stages"].values():
            stage |= {"vendor": "claude-code", "model": "claude-opus-5-5"}
            stage.pop("escalation", None)
        world.config.write_text(yaml.safe_dump(config))
        document = world.document("run", world.ticket(), "--config", str(world.config))
        assert [paid.headers["authorization"] for paid in server.paid] == ["Bearer sk-ant-oat01-loopback"]
    assert (document["status"], document["exit_code"]) == ("parked", 8), document
    assert datetime.fromisoformat(document["resume_at"]).timestamp() == pytest.approx(resets, abs=60)
    (model,) = document["models"]
    assert model["quota"] == "paid by the subscription that `claude` is logged in with"
    assert model["usage"]["counted"] == 0
    report = Path(document["report_path"]).read_text(encoding="utf-8")
    assert "* `claude-code`: paid by the subscription that `claude` is logged in with" in report
    assert "sk-ant-oat01" not in report
