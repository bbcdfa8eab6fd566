"""Each stage of a run has one key for its vendor's cache, the same for every attempt and item, and no other run's."""

from pathlib import Path

from stages.artifacts import StageName
from tests.e2e import project
from tests.runner.scenario import REVIEWER, Scenario, settings

BRAINS = {
    "planner": project.planner(),
    "coder": project.coder(project.HALFWAY),
    "strong": project.coder(project.RIGHT, old=project.HALFWAY),
    "reviewer": project.reviewer(),
}
STAGE_OF: dict[str, StageName] = {"planner": "planner", "coder": "coder", "strong": "coder", "reviewer": "reviewer"}


def test_a_stages_attempts_share_a_cache_key_that_names_run_and_stage(tmp_path: Path) -> None:
    runs: set[str] = set()
    for name in ("one", "two"):
        scenario = Scenario(tmp_path / name, BRAINS, settings(reviewer=REVIEWER))
        scenario.run()
        scenario.store.close()
        bindings = scenario.cast.bindings
        assert {binding.model for binding in bindings} == set(BRAINS), "the coder was tried again, on its second rung"
        for binding in bindings:
            assert binding.cache_key == f"{scenario.run_id}:{STAGE_OF[binding.model]}"
        runs.add(scenario.run_id)
    assert len(runs) == 2
