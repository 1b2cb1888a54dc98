"""Augmentation, compared with the paper's equations pixel by pixel."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from harness.contracts.errors import UsageError
from policies.augment.homography import centre, warp
from policies.augment.pictures import LUMA, Augmentation, cropped, in_plane, recoloured
from policies.augment.spherical import Spherical, turn

SIZE = (48, 64)
PLAIN = {"crop": 1.0, "rotation": 0.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0}

angles = st.floats(-0.3, 0.3)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth(count: int = 1) -> Tensor:
    """Return smooth pictures, in which interpolation errors are small."""
    v, u = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    waves = [torch.sin(u / (5 + k) + k) * torch.cos(v / (6 + k)) / 2 + 0.5 for k in range(3)]
    return torch.stack(waves).expand(count, -1, -1, -1).float()


def turned(pictures: Tensor, yaw: float, pitch: float, field_of_view: float = 60) -> Tensor:
    focal = Spherical(field_of_view=field_of_view).focal_length(SIZE[0])
    matrices = turn(torch.tensor([[0.0, yaw, pitch]]), focal)
    return warp(pictures, centre(matrices, SIZE), "bilinear", "zeros")


def by_the_equations(
    picture: NDArray[np.float64], yaw: float, pitch: float, depth: float, field_of_view: float
) -> NDArray[np.float64]:
    """Apply equations 15 to 17 to each pixel: find the source (u, v) of (u', v')."""
    height, width = SIZE
    f = height / 2 / math.tan(math.radians(field_of_view) / 2)
    cx, cy = (width - 1) / 2, (height - 1) / 2
    rx = np.array(
        [
            [1, 0, 0],
            [0, math.cos(pitch), -math.sin(pitch)],
            [0, math.sin(pitch), math.cos(pitch)],
        ]
    )
    ry = np.array(
        [[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]]
    )
    inverse = np.linalg.inv(rx @ ry)
    result = np.zeros_like(picture)
    for v in range(height):
        for u in range(width):
            # Undo (17) at some depth Z', then (16); the point is then scaled to (15)'s Z = depth.
            point = inverse @ np.array([(u - cx) / f, (v - cy) / f, 1.0])
            x, y, _ = point * depth / point[2]
            result[:, v, u] = sample(picture, x * f / depth + cx, y * f / depth + cy)
    return result


def sample(picture: NDArray[np.float64], u: float, v: float) -> NDArray[np.float64]:
    """Interpolate between four pixels; pixels outside the picture are zero."""
    total = np.zeros(3)
    for row in (math.floor(v), math.floor(v) + 1):
        for column in (math.floor(u), math.floor(u) + 1):
            if 0 <= row < SIZE[0] and 0 <= column < SIZE[1]:
                total += picture[:, row, column] * (1 - abs(v - row)) * (1 - abs(u - column))
    return total


@pytest.mark.parametrize(("yaw", "pitch"), [(0.1, 0.0), (0.0, -0.2), (-0.15, 0.25)])
@pytest.mark.parametrize("depth", [0.5, 3.0])
def test_the_warp_is_the_equations_at_any_depth(yaw: float, pitch: float, depth: float) -> None:
    pictures = torch.rand(1, 3, *SIZE, generator=generator())
    expected = by_the_equations(pictures[0].double().numpy(), yaw, pitch, depth, 60)
    np.testing.assert_allclose(turned(pictures, yaw, pitch)[0].numpy(), expected, atol=2e-4)


def test_a_turn_by_zero_changes_nothing() -> None:
    pictures = torch.rand(1, 3, *SIZE, generator=generator())
    torch.testing.assert_close(turned(pictures, 0, 0), pictures, atol=1e-5, rtol=0)


@pytest.mark.slow
@given(yaw=angles, pitch=angles)
def test_turning_back_returns_the_picture(yaw: float, pitch: float) -> None:
    focal = Spherical(field_of_view=60).focal_length(SIZE[0])
    matrices = centre(turn(torch.tensor([[0.0, yaw, pitch]]), focal), SIZE)
    there = warp(smooth(), matrices, "bilinear", "zeros")
    back = warp(there, torch.linalg.inv(matrices), "bilinear", "zeros")
    # Pixels that left the picture, or touched its edge, are lost.
    inside = warp(
        warp(torch.ones(1, 3, *SIZE), matrices, "bilinear", "zeros"),
        torch.linalg.inv(matrices),
        "bilinear",
        "zeros",
    )
    kept = inside > 0.999
    assert kept.float().mean() > 0.2
    assert (back - smooth())[kept].abs().max() < 0.05


def test_positive_yaw_moves_the_scene_to_the_right_and_positive_pitch_up() -> None:
    dot = torch.zeros(1, 3, *SIZE)
    dot[:, :, 20:28, 28:36] = 1

    def middle(pictures: Tensor) -> tuple[float, float]:
        weights = pictures[0, 0] / pictures[0, 0].sum()
        v = (weights.sum(1) * torch.arange(SIZE[0])).sum()
        return float(v), float((weights.sum(0) * torch.arange(SIZE[1])).sum())

    focal = Spherical(field_of_view=60).focal_length(SIZE[0])
    v, u = middle(dot)
    right, up = middle(turned(dot, 0.1, 0)), middle(turned(dot, 0, 0.1))
    assert right == pytest.approx((v, u + focal * math.tan(0.1)), abs=0.2)
    assert up == pytest.approx((v - focal * math.tan(0.1), u), abs=0.2)


def test_a_rotation_by_90_degrees_turns_the_picture() -> None:
    pictures = torch.rand(1, 3, 32, 32, generator=generator())
    quarter = centre(in_plane(torch.tensor([math.pi / 2])), (32, 32))
    found = warp(pictures, quarter, "bilinear", "zeros")
    torch.testing.assert_close(found, pictures.rot90(-1, (2, 3)), atol=1e-4, rtol=0)


def test_a_crop_is_inside_the_picture() -> None:
    matrices = centre(cropped(0.5, SIZE, 64, generator()), SIZE)
    corners = torch.tensor([[0.0, 0, 1], [SIZE[1] - 1, SIZE[0] - 1, 1]]).double()
    seen = (corners @ torch.linalg.inv(matrices).mT)[..., :2]
    extent = seen[:, 1] - seen[:, 0]
    expected = torch.tensor([SIZE[1] - 1, SIZE[0] - 1]).double() / 2
    torch.testing.assert_close(extent, expected.expand(64, 2))
    assert seen.min() >= -1e-6
    assert bool((seen[:, 1] <= corners[1, :2] + 1e-6).all())
    assert seen[:, 0].std(0).min() > 5


def test_one_affine_map_equals_three_colour_changes() -> None:
    pictures = torch.rand(2, 3, 8, 8, generator=generator()) * 0.4 + 0.3
    bright, contrast, saturation = torch.tensor([[0.9, 1.1], [0.8, 1.1], [1.2, 0.5]])

    def grey(shown: Tensor) -> Tensor:
        return sum(LUMA[i] * shown[:, i : i + 1] for i in range(3))  # type: ignore[return-value]

    step = pictures * bright.view(2, 1, 1, 1)
    mean = grey(step).mean((1, 2, 3), keepdim=True)
    step = mean + contrast.view(2, 1, 1, 1) * (step - mean)
    expected = grey(step) + saturation.view(2, 1, 1, 1) * (step - grey(step))
    found = recoloured(pictures, bright, contrast, saturation)
    torch.testing.assert_close(found, expected.clamp(0, 1))


def both(seed: int, **settings: object) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    pictures = {"main": smooth(16), "left_wrist": smooth(16)}
    return Augmentation(**settings)(pictures, generator(seed))  # type: ignore[arg-type]


def test_the_generator_is_the_only_randomness() -> None:
    settings = {"spherical": Spherical(share=0.5)}
    (first, inputs), (again, inputs_again), (other, _) = (
        both(seed, **settings) for seed in (1, 1, 2)
    )
    for role in first:
        assert torch.equal(first[role], again[role])
        assert torch.equal(inputs[role], inputs_again[role])
        assert not torch.equal(first[role], other[role])
        # Every picture of a batch is changed differently.
        assert len(first[role].flatten(1).unique(dim=0)) == 16


def test_the_order_of_the_cameras_does_not_matter() -> None:
    pictures = {"main": smooth(4), "wrist": smooth(4)}
    first, _ = Augmentation()(pictures, generator())
    again, _ = Augmentation()(dict(reversed(pictures.items())), generator())
    assert all(torch.equal(first[role], again[role]) for role in pictures)


def test_a_wrist_camera_keeps_its_geometry() -> None:
    settings = PLAIN | {"crop": 0.8, "rotation": 10.0, "spherical": Spherical(share=1)}
    pictures, inputs = both(3, **settings)
    assert torch.equal(pictures["left_wrist"], smooth(16))
    assert not inputs["left_wrist"].any()
    assert not torch.isclose(pictures["main"], smooth(16), atol=1e-4).all(dim=(1, 2, 3)).any()


def test_the_viewpoint_input_is_the_offset_or_its_negative() -> None:
    settings = PLAIN | {"spherical": Spherical(share=0.5, yaw=12, pitch=7, field_of_view=60)}
    pictures, inputs = both(4, **settings)
    offsets = inputs["main"]
    same = torch.isclose(pictures["main"], smooth(16), atol=1e-4).all(dim=(1, 2, 3))
    assert 0 < int(same.sum()) < 16
    assert not offsets[:, 0].any()
    assert bool((offsets[:, 1:].abs() <= torch.deg2rad(torch.tensor([12.0, 7.0]))).all())
    for picture, offset, plain in zip(pictures["main"], offsets, same, strict=True):
        yaw, pitch = offset[1:].tolist()
        expected = smooth()[0] if plain else turned(smooth(), yaw, pitch)[0]
        torch.testing.assert_close(picture, expected, atol=1e-4, rtol=0)


def test_without_a_warp_there_is_no_viewpoint_input() -> None:
    pictures, inputs = both(5, **PLAIN)
    assert not inputs
    assert all(torch.equal(shown, smooth(16)) for shown in pictures.values())


@pytest.mark.parametrize(
    ("kind", "name", "value", "message"),
    [
        (Augmentation, "crop", 0.0, "crop must be more than 0"),
        (Augmentation, "contrast", 1.5, "contrast must be from 0 to 1"),
        (Spherical, "share", 2.0, "spherical share must be from 0 to 1"),
        (Spherical, "field_of_view", 0.0, "field-of-view must be more than 0"),
    ],
)
def test_mistakes_are_explained(
    kind: type[Augmentation] | type[Spherical], name: str, value: float, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        kind(**{name: value})  # type: ignore[arg-type]
