"""Rewrites the committed runs once: ablations and protocol labels become fields.

    python results/migrate.py results

Before, an ablation was a suffix of the policy's name and a plan held the short name of a protocol.
The keys of episodes under an ablation change, since the key is a hash of the fields.
"""

import json
import sys
from pathlib import Path
from typing import Any

from harness.contracts.record import SPEC_FIELDS, EpisodeRecord
from harness.contracts.spec import EpisodeSpec, player_name


def split_name(policy: str) -> tuple[str, str]:
    """Split ``policy+ablation`` as the old code did."""
    name, _, ablation = policy.rpartition("+")
    known = ("no-image", "no-instruction", "shuffled-instruction")
    return (name, ablation) if ablation in known else (policy, "")


def new_record(old: dict[str, Any]) -> dict[str, Any]:
    """Return a log line's fields in the new form."""
    policy, ablation = split_name(old["policy"])
    fields = {**old, "policy": policy, "ablation": ablation}
    spec = EpisodeSpec(**{name: fields[name] for name in SPEC_FIELDS})
    timing = dict(old["timing"])
    timing.setdefault("total", round(sum(timing.values()), 4))
    ordered = {"key": spec.key, **{name: fields.pop(name) for name in SPEC_FIELDS}}
    return {**ordered, **fields, "key": spec.key, "timing": timing}


def new_facts(old: dict[str, Any]) -> dict[str, Any]:
    """Return run.json's content in the new form."""
    facts, plan = dict(old), dict(old["plan"])
    plan["ablations"] = plan.pop("controls", [])
    plan.setdefault("stop_when_decided", False)
    plan["benchmarks"] = [
        {**request, "protocol": _label(old, request)} for request in plan["benchmarks"]
    ]
    names = [split_name(policy) for policy in old.get("compared", old["policies"])]
    facts.pop("compared", None)
    facts["plan"] = plan
    facts["policies"] = sorted({name for name, _ in names})
    facts["players"] = [player_name(*name) for name in names]
    return facts


def _label(facts: dict[str, Any], request: dict[str, Any]) -> str:
    fitting = [
        label
        for label, card in facts["protocols"].items()
        if label.partition("@")[0].partition("/")[2] == request["protocol"]
        and any(request["name"].startswith(prefix) for prefix in card["rules"]["max_steps"])
    ]
    (label,) = fitting
    return label


def migrate(folder: Path) -> None:
    """Rewrite one run."""
    facts = new_facts(json.loads((folder / "run.json").read_text()))
    log = folder / "episodes.jsonl"
    lines = [json.dumps(new_record(json.loads(line))) for line in log.read_text().splitlines()]
    for line in lines:
        EpisodeRecord.from_json(line.encode())
    (folder / "run.json").write_text(json.dumps(facts, indent=2) + "\n")
    log.write_text("".join(line + "\n" for line in lines))


if __name__ == "__main__":
    for path in sorted(Path(sys.argv[1]).rglob("run.json")):
        migrate(path.parent)
