"""Our network computes what LeRobot's pi0 and pi0.5 compute, from the same random weights.

LeRobot needs another environment (Python 3.12); in one, at the root of this repository:

    pip install "lerobot[pi]==0.6.1" pytest hypothesis gymnasium
    PYTHONPATH=. python -m pytest -s tests/policies/test_vla_agreement.py
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from policies.heads import build
from policies.heads.head import normal
from policies.vla.checkpoint import fill
from policies.vla.config import VLAConfig, sized
from policies.vla.foreign import adopt, ours
from policies.vla.inputs import Inputs
from policies.vla.model import VLA
from policies.vla.trunk import Prefix, Trunk

pytest.importorskip(
    "lerobot.policies.pi0.modeling_pi0", reason="LeRobot is not installed; see this file's top"
)
pytest.importorskip("transformers", reason="LeRobot's extra `pi` is not installed")

from lerobot.policies.pi0 import modeling_pi0
from lerobot.policies.pi0_fast import modeling_pi0_fast
from lerobot.policies.pi05 import modeling_pi05

CAMERAS, BATCH, HORIZON, STEPS = ("main", "wrist"), 2, 6, 10
CLOSE = 1e-4


@pytest.fixture(params=["pi0", "pi0.5"])
def pair(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[VLA, nn.Module]:
    """Our model and LeRobot's, both of dummy size, every weight drawn, with the same weights."""
    adaptive = request.param == "pi0.5"
    config = sized(
        "dummy",
        cameras=CAMERAS,
        state_size=32,
        state="text" if adaptive else "token",
        adaptive=adaptive,
    )
    module = modeling_pi05 if adaptive else modeling_pi0
    shrink(module, config, monkeypatch)
    settings = (module.PI05Config if adaptive else module.PI0Config)(
        device="cpu", dtype="float32", chunk_size=HORIZON, n_action_steps=HORIZON
    )
    theirs = drawn((module.PI05Pytorch if adaptive else module.PI0Pytorch)(settings))
    options = {"horizon": HORIZON, "action_size": 32, "steps": STEPS, "adaptive": adaptive}
    mine = VLA(config, build("flow", options, config.width)).eval()
    adopt(mine, theirs.state_dict(), "LeRobot's")
    return mine, theirs


def drawn(theirs: nn.Module) -> nn.Module:
    """Draw every weight; norms and adaRMS begin at zero, where they would hide a mistake."""
    torch.manual_seed(0)
    for weight in theirs.parameters():
        nn.init.normal_(weight, std=weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.3)
    return theirs.eval()


def shrink(module: Any, config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make LeRobot build a model of our dimensions; it knows only PaliGemma's."""
    gemma, vision = config.language, config.images
    monkeypatch.setattr(
        module,
        "get_gemma_config",
        lambda variant: module.GemmaConfig(
            gemma.width, gemma.depth, gemma.mlp, gemma.heads, gemma.kv_heads, gemma.head_size
        ),
    )
    whole = module.PaliGemmaForConditionalGenerationWithPiGemma

    def small(config: Any) -> nn.Module:
        sees = config.vision_config
        sees.image_size, sees.patch_size, sees.hidden_size = (
            vision.pixels,
            vision.patch,
            vision.width,
        )
        sees.num_hidden_layers, sees.num_attention_heads = vision.depth, vision.heads
        sees.intermediate_size, sees.projection_dim = vision.mlp, gemma.width
        config.projection_dim, config.text_config.vocab_size = gemma.width, 512
        config.image_token_index = 512
        return whole(config)

    monkeypatch.setattr(module, "PaliGemmaForConditionalGenerationWithPiGemma", small)
    if hasattr(module, "PiGemmaForCausalLM"):
        expert = module.PiGemmaForCausalLM

        def wordless(config: Any) -> nn.Module:
            config.vocab_size = 8
            return expert(config)

        monkeypatch.setattr(module, "PiGemmaForCausalLM", wordless)


def observations(config: VLAConfig) -> tuple[Inputs, list[Any]]:
    """A camera is missing in one row, with padding: for us, and as LeRobot takes them."""
    drawn, pixels = torch.Generator().manual_seed(1), config.images.pixels
    images = [torch.rand(BATCH, 3, pixels, pixels, generator=drawn) * 2 - 1 for _ in CAMERAS]
    present = [torch.tensor([True, True]), torch.tensor([True, False])]
    tokens = torch.randint(2, 500, (BATCH, 9), generator=drawn)
    mask = torch.ones(BATCH, 9, dtype=torch.bool)
    mask[1, 6:] = False
    state = torch.randn(BATCH, 32, generator=drawn)
    seen = Inputs(
        images=dict(zip(CAMERAS, images, strict=True)),
        present=dict(zip(CAMERAS, present, strict=True)),
        tokens=tokens,
        token_mask=mask,
        state=state,
        viewpoint={},
    )
    theirs = [images, present, tokens, mask]
    return seen, theirs if config.adaptive else [*theirs, state]


def difference(name: str, one: Tensor, other: Tensor) -> float:
    """Print and return the largest difference."""
    found = float((one - other).abs().max())
    print(f"{name}: {found:.2e} (values up to {float(other.abs().max()):.1f})")
    return found


@torch.no_grad()
def test_the_prefix_is_the_same(pair: tuple[VLA, nn.Module]) -> None:
    mine, theirs = pair
    seen, (images, present, tokens, mask, *_) = observations(mine.config)
    module = modeling_pi05 if mine.config.adaptive else modeling_pi0
    embedded, padded, blocks = theirs.embed_prefix(images, present, tokens, mask)
    theirs.paligemma_with_expert.paligemma.model.language_model.config._attn_implementation = (
        "eager"
    )
    _, cache = theirs.paligemma_with_expert.forward(
        attention_mask=module.prepare_attention_masks_4d(module.make_att_2d_masks(padded, blocks)),
        position_ids=padded.cumsum(1) - 1,
        inputs_embeds=[embedded, None],
        use_cache=True,
    )
    prefix: Prefix = mine.trunk.prefix(seen)
    number = padded.shape[1]
    assert torch.equal(prefix.present[:, :number], padded)
    there = padded[:, None, :, None]
    for layer, made in enumerate(prefix.made):
        for name, here, other in zip(
            ("keys", "values"),
            made,
            (cache.layers[layer].keys, cache.layers[layer].values),
            strict=True,
        ):
            here = here[:, :, :number]
            assert difference(f"layer {layer} {name}", here * there, other * there) < CLOSE


@torch.no_grad()
def test_the_velocity_is_the_same(pair: tuple[VLA, nn.Module]) -> None:
    """LeRobot computes it for training, all tokens in one pass; its loss is its square."""
    mine, theirs = pair
    seen, given = observations(mine.config)
    drawn = torch.Generator().manual_seed(2)
    actions, noise = (torch.randn(BATCH, HORIZON, 32, generator=drawn) for _ in range(2))
    times = torch.tensor([0.3, 0.9])
    squares = theirs.forward(*given, actions, noise, times)
    noisy = times[:, None, None] * noise + (1 - times[:, None, None]) * actions
    velocity = mine.head.velocity(mine.trunk.expert(mine.trunk.prefix(seen)), noisy, times)
    assert difference("loss", (velocity - (noise - actions)).square(), squares) < CLOSE


@torch.no_grad()
def test_the_actions_are_the_same(pair: tuple[VLA, nn.Module]) -> None:
    mine, theirs = pair
    seen, given = observations(mine.config)
    got = mine.act(seen, [np.random.default_rng(row) for row in range(BATCH)])
    noise = normal([np.random.default_rng(row) for row in range(BATCH)], (HORIZON, 32))
    assert got.std() > 0.1
    other = theirs.sample_actions(*given, noise=noise, num_steps=STEPS)
    assert difference("actions", got, other) < CLOSE
    assert difference("what the network adds to noise", got - noise, noise * 0) > 100 * CLOSE


@torch.no_grad()
def test_the_words_of_pi0_fast_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The language stack acts; LeRobot runs prompt and action tokens through it in one pass."""
    config = sized("dummy", cameras=CAMERAS, state_size=32, state="text", acting="language")
    shrink(modeling_pi0_fast, config, monkeypatch)
    settings = modeling_pi0_fast.PI0FastConfig(device="cpu", dtype="float32")
    theirs = drawn(modeling_pi0_fast.PI0FastPytorch(settings))
    table = theirs.paligemma_with_expert.paligemma
    weights = {
        ours(name.removeprefix("paligemma_with_expert.")).removeprefix("trunk."): weight
        for name, weight in theirs.state_dict().items()
        if "lm_head" not in name
    }
    trunk = Trunk(config).eval()
    fill(trunk, weights, "LeRobot's")
    seen, (images, present, tokens, mask, _) = observations(config)
    written = torch.randint(2, 500, (BATCH, 5), generator=torch.Generator().manual_seed(4))
    embedded, padded, seeing, *_ = theirs.embed_prefix_fast(
        images, present, tokens, mask, written, torch.ones_like(written, dtype=torch.bool)
    )
    (states, _), _ = theirs.paligemma_with_expert.forward(
        attention_mask=modeling_pi0_fast.prepare_attention_masks_4d(seeing),
        position_ids=padded.cumsum(1) - 1,
        inputs_embeds=[embedded, None],
    )
    words = trunk.embedding.words
    expert = trunk.expert(trunk.prefix(seen))
    got = expert(words(written) * words.embedding_dim**0.5, causal=True)
    logits, other = table.lm_head(got), table.lm_head(states[:, -5:])
    assert difference("pi0-FAST's logits", logits, other) < CLOSE
