"""Distances and contacts of a MuJoCo model's solids, taken as oriented boxes."""

from collections.abc import Sequence
from functools import cached_property

import mujoco
import numpy as np
from numpy.typing import NDArray

from benchmarks.libero.expert.rotations import Array

Indices = NDArray[np.int64]

_UNIT_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
# Larger distances are cut off, because they make no difference to the expert.
_REACH = 0.05


class Solids:
    """The colliding geoms of a model, grouped by the root body of their object.

    LIBERO builds its objects from boxes, so the geoms' bounding boxes are exact for nearly all.

    Args:
        model: The MuJoCo model.
        data: Its state, read again at each call.
        robot_root: Root body of the robot, which never counts as an obstacle.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, robot_root: int) -> None:
        self._model = model
        self._data = data
        self._robot_root = robot_root

    def vertices(self, root: int) -> Array:
        """Return the corners of the boxes of one object, shape (n, 3)."""
        centers, rotations, halves = self._boxes(
            np.flatnonzero(self._is_solid & (self._roots == root))
        )
        corners = _UNIT_CORNERS * halves[:, None, :]
        return (np.einsum("gij,gkj->gki", rotations, corners) + centers[:, None, :]).reshape(-1, 3)

    def distance(self, points: Array, ignored_roots: Sequence[int]) -> Array:
        """Return the distance from each point, shape (..., 3), to the nearest box; zero inside."""
        flat = points.reshape(-1, 3)
        centers, rotations, halves = self._boxes(self._obstacles(ignored_roots))
        low, high = flat.min(axis=0) - _REACH, flat.max(axis=0) + _REACH
        span = _span(rotations, halves)
        near = np.all((centers + span > low) & (centers - span < high), axis=1)
        if not near.any():
            return np.full(points.shape[:-1], _REACH)
        offsets = flat[None] - centers[near][:, None]
        local = np.abs(np.einsum("gji,gpj->gpi", rotations[near], offsets))
        outside = np.maximum(local - halves[near][:, None], 0.0)
        distances = np.linalg.norm(outside, axis=2).min(axis=0)
        return np.minimum(distances, _REACH).reshape(points.shape[:-1])

    def height(
        self, start: Array, end: Array, radius: float, ignored_roots: Sequence[int]
    ) -> float:
        """Return the top of the highest box under a path of the given half width."""
        centers, rotations, halves = self._boxes(self._obstacles(ignored_roots))
        span = _span(rotations, halves)
        # Steps are no longer than the radius, so two samples cannot miss a box between them.
        count = 2 + int(np.linalg.norm(end[:2] - start[:2]) / radius)
        path = np.linspace(start[:2], end[:2], count)
        gaps = np.abs(path[None] - centers[:, None, :2]) - span[:, None, :2]
        under = np.all(gaps < radius, axis=2).any(axis=1)
        return float((centers + span)[under, 2].max(initial=-np.inf))

    def bodies_touching(self, root: int) -> set[int]:
        """Return the bodies in contact with an object, without its own bodies."""
        bodies = self._model.geom_bodyid[self._data.contact.geom].reshape(-1, 2)
        pairs = np.concatenate([bodies, bodies[:, ::-1]])
        roots = self._model.body_rootid[pairs]
        return set(pairs[(roots[:, 0] == root) & (roots[:, 1] != root), 1].tolist())

    @cached_property
    def _roots(self) -> NDArray[np.int32]:
        return self._model.body_rootid[self._model.geom_bodyid]

    @cached_property
    def _is_solid(self) -> NDArray[np.bool_]:
        collides = (self._model.geom_contype | self._model.geom_conaffinity) != 0
        return collides & (self._roots != self._robot_root)

    def _obstacles(self, ignored_roots: Sequence[int]) -> Indices:
        planes = self._model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE  # the floor has no box
        return np.flatnonzero(self._is_solid & ~planes & ~np.isin(self._roots, ignored_roots))

    def _boxes(self, geoms: Indices) -> tuple[Array, Array, Array]:
        """Return centers, rotations and half sizes of the geoms' bounding boxes."""
        rotations = self._data.geom_xmat[geoms].reshape(-1, 3, 3)
        bounds = self._model.geom_aabb[geoms]
        offsets = (rotations @ bounds[:, :3, None])[..., 0]
        return self._data.geom_xpos[geoms] + offsets, rotations, bounds[:, 3:]


def _span(rotations: Array, halves: Array) -> Array:
    """Return half sizes of the boxes' axis-aligned bounds."""
    return (np.abs(rotations) @ halves[:, :, None])[..., 0]
