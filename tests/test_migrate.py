"""The one migration of committed logs."""

import json
from pathlib import Path
from typing import Any

from harness.runs.folder import Run
from results.migrate import migrate, new_record, split_name

SCORES = ("outcome", "success", "progress", "steps", "reason", "actions_sha256", "state_sha256")


def old_record(policy: str, key: str) -> dict[str, Any]:
    return {
        "key": key, "policy": policy, "benchmark": "points", "task": "reach", "episode": 0,
        "seed": 7, "protocol": "points/plain@0123456789", "outcome": "success", "success": True,
        "progress": 1.0, "subgoals": {}, "steps": 3, "reason": "success", "instruction": "go",
        "actions_sha256": "a", "state_sha256": "b", "timing": {"env": 1.0, "policy": 2.0},
        "retries": 0, "worker": "", "versions": {},
    }  # fmt: skip


def test_a_name_is_split_as_before() -> None:
    assert split_name("flow@1+no-image") == ("flow@1", "no-image")
    assert split_name("a+b@1") == ("a+b@1", "")


def test_a_plain_record_keeps_its_key_and_every_result() -> None:
    old = old_record("flow@1", "")
    new = new_record(old)
    assert new["key"] == new_record(new)["key"]
    assert {name: new[name] for name in SCORES} == {name: old[name] for name in SCORES}
    assert new["timing"]["total"] == 3.0


def test_a_run_can_be_read_afterwards(tmp_path: Path) -> None:
    facts = {
        "plan": {
            "policies": ["flow"], "episodes": 1, "seed": 7, "controls": ["no-image"],
            "benchmarks": [{"name": "points", "tasks": ["reach"], "protocol": "plain"}],
        },
        "compared": ["flow@1", "flow@1+no-image"],
        "policies": ["flow@1", "flow@1+no-image"],
        "protocols": {"points/plain@0123456789": {"rules": {"max_steps": {"points": 9}}}},
    }  # fmt: skip
    (tmp_path / "run.json").write_text(json.dumps(facts))
    lines = [json.dumps(old_record(name, "")) for name in facts["policies"]]
    (tmp_path / "episodes.jsonl").write_text("\n".join(lines) + "\n")
    migrate(tmp_path)
    run = Run.existing(tmp_path)
    assert [r.spec.player for r in run.records().values()] == run.facts["players"]
    assert run.facts["plan"]["benchmarks"][0]["protocol"] == "points/plain@0123456789"
    assert run.facts["policies"] == ["flow@1"]
