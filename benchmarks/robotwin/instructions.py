"""Instructions from RoboTwin's templates."""

import random
from collections.abc import Mapping
from typing import Any

from benchmarks.robotwin.source import silence

_CANDIDATES = 100
"""The number of texts to choose from, as in upstream's evaluator."""


def instruction(describe: Any, task: str, kind: str, named: Mapping[str, str], seed: int) -> str:
    """Return an episode's instruction; it depends on the arguments alone.

    Args:
        describe: RoboTwin's `generate_episode_descriptions`.
        task: The task's name.
        kind: ``seen`` or ``unseen``, the set of templates.
        named: The values of the templates' placeholders.
        seed: The scene's seed.
    """
    with silence():
        candidates = describe(task, [dict(named)], max_descriptions=_CANDIDATES, seed=seed)
    return str(random.Random(f"{task}/{kind}/{seed}").choice(candidates[0][kind]))
