"""The small image encoder learns to locate the named object."""

import torch
from torch import Tensor, nn

from policies.vla.config import ConvConfig
from policies.vla.convnet import ConvNet

PIXELS, WIDTH, SIDE = 64, 16, 8
NAMES = torch.eye(2, WIDTH)


def scenes(number: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return pictures of a red and a green square, the name of one, and its position in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.full((number, 3, PIXELS, PIXELS), -1.0)
    corners = torch.randint(0, PIXELS - SIDE, (number, 2, 2), generator=generator)
    for picture, both in zip(pictures, corners.tolist(), strict=True):
        for colour, (row, column) in enumerate(both):
            picture[colour, row : row + SIDE, column : column + SIDE] = 1.0
    chosen = torch.randint(0, 2, (number,), generator=generator)
    places = corners[torch.arange(number), chosen] / (PIXELS - SIDE) * 2 - 1
    return pictures, NAMES[chosen], places


def test_it_learns_to_locate_the_named_square() -> None:
    torch.manual_seed(0)
    net = ConvNet(ConvConfig(pixels=PIXELS, channels=(16, 32), tokens=4), WIDTH)
    read = nn.Linear(4 * WIDTH, 2)
    adam = torch.optim.Adam([*net.parameters(), *read.parameters()], 5e-3)
    for step in range(350):
        pictures, names, places = scenes(32, step)
        loss = (read(net(pictures, names).flatten(1)) - places).square().mean()
        loss.backward()
        adam.step()
        adam.zero_grad()
    pictures, names, places = scenes(256, -1)
    with torch.no_grad():
        errors = (read(net(pictures, names).flatten(1)) - places).abs().mean(dim=1)
        other = (read(net(pictures, names.flip(0)).flatten(1)) - places).abs().mean(dim=1)
    # A guess in the middle has a mean error of 0.5; a pixel is 2 / 56.
    assert errors.median() < 2 * 2 / (PIXELS - SIDE)
    assert other.mean() > 2 * errors.mean()


def test_the_instruction_has_no_effect_before_training() -> None:
    net = ConvNet(ConvConfig(pixels=PIXELS, channels=(8, 16), tokens=4), WIDTH)
    pictures, names, _ = scenes(3, 0)
    assert torch.equal(net(pictures, names), net(pictures, torch.zeros_like(names)))
