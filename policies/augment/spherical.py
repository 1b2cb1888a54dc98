"""E0's spherical viewpoint augmentation: cameras are turned, and the offset is a model input.

The paper's equations 15 to 17 lift each pixel to a point at a fixed depth, turn it by
R = Rx(pitch) Ry(yaw), and project it again. The depth cancels, so this is the homography K R K^-1:
a pure rotation. No picture shows a radial displacement, so the embedded offset [d, yaw, pitch] of
equations 18 and 19 has d = 0 here; the model still has an input for it.

The paper does not publish ranges, interpolation, border or frequency. No released code has it.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.contracts.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Spherical:
    """How cameras are turned in training.

    Attributes:
        share: Share of samples whose cameras are turned; with 0 the model has no viewpoint input.
        yaw: Largest turn to either side, in degrees.
        pitch: Largest turn up or down, in degrees.
        field_of_view: Vertical field of view in degrees: 45 in LIBERO, 57.3 for ManiSkill's
            render_camera, 90 for its base_camera.
    """

    share: float = 0.0
    yaw: float = 10.0
    pitch: float = 10.0
    field_of_view: float = 45.0

    def __post_init__(self) -> None:
        """Check the values.

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
        """Return the focal length in pixels for pictures of this height."""
        return height / 2 / math.tan(math.radians(self.field_of_view) / 2)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a turn for each camera.

        Returns:
            The offsets (distance, yaw, pitch) in m and rad, (count, 3), and which to apply.
        """
        limits = torch.tensor([0.0, math.radians(self.yaw), math.radians(self.pitch)])
        offsets = (2 * torch.rand(count, 3, generator=generator) - 1) * limits
        return offsets, torch.rand(count, generator=generator) < self.share


def _rotation(offsets: Tensor) -> Tensor:
    """Return Rx(pitch) Ry(yaw) of each offset, (batch, 3, 3). Axes: right, down, forward."""
    yaw, pitch = offsets[:, 1].double(), offsets[:, 2].double()
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    about_x = [one, zero, zero, zero, pitch.cos(), -pitch.sin(), zero, pitch.sin(), pitch.cos()]
    about_y = [yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos()]
    return torch.stack(about_x, -1).view(-1, 3, 3) @ torch.stack(about_y, -1).view(-1, 3, 3)


def turn(offsets: Tensor, focal_length: float) -> Tensor:
    """Return K R K^-1 of each offset, (batch, 3, 3), for pixels relative to the centre."""
    intrinsics = torch.tensor([focal_length, focal_length, 1.0], dtype=torch.float64)
    return intrinsics[:, None] * _rotation(offsets) / intrinsics


def viewpoint(offsets: Tensor, turned: Tensor) -> Tensor:
    """Return the model's input: +offset for turned cameras, -offset for the others."""
    return torch.where(turned[:, None], offsets, -offsets)
