"""E0's spherical viewpoint augmentation: the camera is turned, and the model is told by how much.

The paper's equations lift each pixel to a point at a fixed depth, turn it by R = Rx(pitch) Ry(yaw)
and project it again (15 to 17). The depth cancels, so that they are the homography K R K^-1: a pure
rotation, whatever depth one chooses, and no picture shows a radial displacement. The offset
[d, yaw, pitch] that is embedded (18, 19) therefore has d = 0 here; the model keeps a place for it.

Ranges, interpolation, border and how often are not published, and no released code has the warp.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.contracts.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Spherical:
    """How far cameras are turned in training.

    Attributes:
        share: The share of samples whose cameras are turned; 0 turns none and tells nothing.
        yaw: Degrees to either side, at most.
        pitch: Degrees up or down, at most.
        field_of_view: Degrees from a picture's upper to its lower edge, by which pixels become
            directions: 45 in LIBERO, 57.3 in ManiSkill's render_camera, 90 in its base_camera.
    """

    share: float = 0.0
    yaw: float = 10.0
    pitch: float = 10.0
    field_of_view: float = 45.0

    def __post_init__(self) -> None:
        """Refuse what is no augmentation.

        Raises:
            UsageError: A value is out of its range.
        """
        ranges = (("share", 1.0), ("yaw", 90.0), ("pitch", 90.0), ("field_of_view", 179.0))
        for name, most in ranges:
            if not 0 <= getattr(self, name) <= most:
                raise UsageError(f"spherical {name.replace('_', '-')} must be from 0 to {most:g}")
        if self.field_of_view == 0:
            raise UsageError("spherical field-of-view must be more than 0")

    def focal_length(self, height: int) -> float:
        """Return the focal length in pixels of pictures of this height."""
        return height / 2 / math.tan(math.radians(self.field_of_view) / 2)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw how far each camera is turned, and whether.

        Returns:
            The offsets (distance, yaw, pitch) in m and rad, (count, 3), and which are applied.
        """
        limits = torch.tensor([0.0, math.radians(self.yaw), math.radians(self.pitch)])
        offsets = (2 * torch.rand(count, 3, generator=generator) - 1) * limits
        return offsets, torch.rand(count, generator=generator) < self.share


def rotation(offsets: Tensor) -> Tensor:
    """Return Rx(pitch) Ry(yaw) of each offset, (batch, 3, 3); the axes are right, down, ahead."""
    yaw, pitch = offsets[:, 1].double(), offsets[:, 2].double()
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    about_x = [one, zero, zero, zero, pitch.cos(), -pitch.sin(), zero, pitch.sin(), pitch.cos()]
    about_y = [yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos()]
    return torch.stack(about_x, -1).view(-1, 3, 3) @ torch.stack(about_y, -1).view(-1, 3, 3)


def turn(offsets: Tensor, focal_length: float) -> Tensor:
    """Return K R K^-1 of each offset, (batch, 3, 3), on pixels counted from the centre."""
    intrinsics = torch.tensor([focal_length, focal_length, 1.0], dtype=torch.float64)
    return intrinsics[:, None] * rotation(offsets) / intrinsics


def viewpoint(offsets: Tensor, turned: Tensor) -> Tensor:
    """Return what the model is told: +offset of a turned camera, -offset of one that was not."""
    return torch.where(turned[:, None], offsets, -offsets)
