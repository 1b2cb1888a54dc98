"""A gripper and a card, with the names of upstream's environment."""

import random
from types import SimpleNamespace

import numpy as np

TASK_CONFIG = {"default": {"robot": {}}, "select_poker": {"robot": {"reach": 1.0}}}
ROBOT_CONFIG = {"franka": {"home": [0.0, -0.2, 1.2]}}
NEAR = 0.03


def load_env(task, robot, episode_config, random_init, eval, run_mode):
    if episode_config["task"].pop("breaks", False):
        raise ValueError("this episode does not load")
    assert (random_init, eval, run_mode) == (False, False, "eval")
    settings = TASK_CONFIG["default"]
    # As upstream does: what one task sets, the next one would find.
    settings.update(TASK_CONFIG.get(task, {}))
    ROBOT_CONFIG[robot].update(settings["robot"])
    env = Environment(Task(episode_config["task"]), ROBOT_CONFIG[robot])
    env.reset()
    return env


class Task:
    """The goal of an episode."""

    def __init__(self, config):
        self.config = {"task": config}
        self.target_entity = config["target_entity"]
        met = {"is_grasped": lambda env: env.held, "lift": lambda env: env.card[2] >= 0.9}
        self.conditions = SimpleNamespace(
            conditions=[SimpleNamespace(is_met=met[name]) for name in config["conditions"]]
        )

    def get_instruction(self):
        return random.choice(self.config["task"]["instructions"])


class Environment:
    """The environment, which is also its physics and its robot."""

    def __init__(self, task, robot):
        self.task, self.physics, self.robot = task, self, self
        self._home = np.array(robot["home"])
        self._reach = robot.get("reach", 0.0)
        self.random_state = np.random.RandomState()

    def reset(self):
        jitter = 1e-3 * self.random_state.uniform(-1, 1, 3)
        self.card = np.array(self.task.config["task"]["position"]) + jitter
        self.tool, self.quat = self._home.copy(), np.array([0.0, 1.0, 0.0, 0.0])
        self.open, self.held = True, False
        self.task.target_is_grasped = dict.fromkeys(self.task.target_entity, False)
        self.task.intention_distance = dict.fromkeys(self.task.target_entity, np.inf)

    def step(self, action):
        before = self.tool
        self.tool, self.quat = np.array(action[:3]), np.array(action[3:7])
        self.open = action[7] > 0.035
        if self.held:
            self.card = self.card + self.tool - before
        distance = np.linalg.norm(self.tool - self.card)
        self.held = distance < NEAR and not self.open
        for name in self.task.target_entity:
            self.task.target_is_grasped[name] |= bool(self.held)
            nearest = min(self.task.intention_distance[name], distance)
            self.task.intention_distance[name] = nearest
        met = all(condition.is_met(self) for condition in self.task.conditions.conditions)
        return SimpleNamespace(last=lambda: met)

    def get_qpos_from_ee_pos(self, physics, pos, quat):
        # The search never says that it found a pose, and its end is executed all the same.
        return False, np.concatenate([pos, quat])

    def get_ee_state(self, physics):
        return np.concatenate([self.tool, self.quat, [float(not self.open)]])

    def get_state(self):
        return np.concatenate([self.tool, self.quat, self.card, [self._reach]])

    def get_intention_score(self, threshold):
        return int(self.task.intention_distance[self.task.target_entity[-1]] < threshold)

    def get_task_progress(self):
        met = [condition.is_met(self) for condition in self.task.conditions.conditions]
        touched = list(self.task.target_is_grasped.values())
        return (sum(met) + sum(touched)) / (len(met) + len(touched))

    def render(self, camera_id, height, width):
        return np.full((height, width, 3), 10 * camera_id, np.uint8)

    def close(self):
        self.task = None
