"""How much of a LIBERO goal is reached: the success check's parts, and the process score."""

from typing import Any

import numpy as np

from harness.contracts.environment import StepOutcome

GRASPED_SHARE = 0.5
"""What a predicate is worth while its object was grasped but it does not hold."""


class Goal:
    """The goal predicates of a task, and which of their objects were ever grasped.

    The process score is the mean over the goal's predicates: 1 for one that holds, 0.5 for one
    that does not while its object was ever grasped, 0 else. It is 1 if and only if all hold.
    """

    def __init__(self, env: Any) -> None:
        """Read the goal of LIBERO's own environment."""
        self._env = env
        self._predicates = [tuple(state) for state in env.parsed_problem["goal_state"]]
        model = env.sim.model
        gripper = env.robots[0].gripper.important_geoms
        self._pads = [
            [model.geom_name2id(name) for name in gripper[side]]
            for side in ("left_fingerpad", "right_fingerpad")
        ]
        # Only what can be carried can be grasped; drawers and knobs cannot.
        self._objects = {
            name: [model.geom_name2id(geom) for geom in env.objects_dict[name].contact_geoms]
            for name in dict.fromkeys(predicate[1] for predicate in self._predicates)
            if name in env.objects_dict
        }
        self._grasped: set[str] = set()

    def forget(self) -> None:
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
            partial = GRASPED_SHARE if predicate[1] in self._grasped else 0.0
            scores.append(1.0 if holds else partial)
        return StepOutcome(success, float(np.mean(scores)), subgoals)

    def _holds(self, name: str) -> bool:
        """Tell whether both finger pads touch the object, robosuite's own test for a grasp."""
        pairs = self._env.sim.data._data.contact.geom
        of_object = np.isin(pairs, self._objects[name])
        if not of_object.any():
            return False
        touched = pairs[of_object[:, ::-1]]
        return all(np.isin(touched, pads).any() for pads in self._pads)
