"""The predicates of a LIBERO goal, and the process score."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.environment import StepOutcome

_GRASPED_SCORE = 0.5
"""The score of a predicate that does not hold, after its object was grasped."""


class Goal:
    """The goal predicates of a task, and which of their objects were grasped so far.

    The process score is the mean over the predicates. A predicate scores 1 if it holds, 0.5 if it
    does not hold but its object was grasped before, and 0 otherwise. So the process score is 1 if
    and only if all predicates hold.
    """

    def __init__(self, env: Any) -> None:
        """Read the goal of a LIBERO environment."""
        self._env = env
        self._predicates = [tuple(state) for state in env.parsed_problem["goal_state"]]
        model = env.sim.model
        gripper = env.robots[0].gripper.important_geoms
        self._pads = [
            _marks(model, gripper[side]) for side in ("left_fingerpad", "right_fingerpad")
        ]
        # Only objects count as grasped; drawers and knobs do not.
        self._objects = {
            name: _marks(model, env.objects_dict[name].contact_geoms)
            for name in dict.fromkeys(predicate[1] for predicate in self._predicates)
            if name in env.objects_dict
        }
        self._grasped: set[str] = set()

    def begin(self) -> None:
        """Start an episode: nothing was grasped yet."""
        self._grasped.clear()

    def outcome(self, success: bool) -> StepOutcome:
        """Return the outcome of the present state."""
        self._grasped.update(name for name in self._objects if self._holds(name))
        subgoals = {f"grasped({name})": name in self._grasped for name in self._objects}
        scores = []
        for predicate in self._predicates:
            holds = bool(self._env._eval_predicate(list(predicate)))
            subgoals[f"{predicate[0]}({', '.join(predicate[1:])})"] = holds
            partial = _GRASPED_SCORE if predicate[1] in self._grasped else 0.0
            scores.append(1.0 if holds else partial)
        return StepOutcome(success, float(np.mean(scores)), subgoals)

    def _holds(self, name: str) -> bool:
        """Return whether both finger pads touch the object, which is robosuite's grasp check."""
        pairs = self._env.sim.data._data.contact.geom
        of_object = self._objects[name][pairs]
        if not of_object.any():
            return False
        touched = pairs[of_object[:, ::-1]]
        return all(pads[touched].any() for pads in self._pads)


def _marks(model: Any, names: list[str]) -> NDArray[np.bool_]:
    """Return for each geometry whether it is named; the last entry is for MuJoCo's -1."""
    marks = np.zeros(model.ngeom + 1, bool)
    marks[[model.geom_name2id(name) for name in names]] = True
    return marks
