"""Our network computes the same as LeRobot's pi0, pi0.5 and pi0-FAST, with the same random weights.

The action tokens of pi0-FAST are fitted here, in the format of the released ones.

LeRobot needs another environment (Python 3.12). There, at the root of this repository, run:

    pip install "lerobot[pi]==0.6.1" pytest hypothesis gymnasium
    PYTHONPATH=. python -m pytest -s tests/policies/weights/test_agreement.py
"""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from policies.heads import build
from policies.heads.fast import FastHead
from policies.heads.fast_tokenizer import FastTokenizer
from policies.heads.head import draw_normals
from policies.vla.backbone import Prefix
from policies.vla.config import VLAConfig, sized
from policies.vla.inputs import Inputs
from policies.vla.model import VLA
from policies.vla.prompts import PromptTokenizer
from policies.weights.lerobot import (
    ACTION_TOKENS_END,
    copy_pi0_fast,
    leading_tokens,
    read_normalizer,
)
from policies.weights.paligemma import copy_weights
from tests.helpers.released_fast import write_released

pytest.importorskip(
    "lerobot.policies.pi0.modeling_pi0", reason="LeRobot is not installed; see this file's top"
)
pytest.importorskip("transformers", reason="LeRobot's extra `pi` is not installed")

from lerobot.lerobot_types import TransitionKey
from lerobot.policies.pi0 import modeling_pi0
from lerobot.policies.pi0_fast import modeling_pi0_fast, processor_pi0_fast
from lerobot.policies.pi05 import modeling_pi05
from lerobot.processor import NormalizerProcessorStep
from lerobot.utils.constants import OBS_STATE
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast

CAMERAS, BATCH, HORIZON, ACTION_SIZE, STEPS = ("main", "wrist"), 2, 6, 7, 10
CLOSE = 1e-4


@pytest.fixture(params=["pi0", "pi0.5"])
def pair(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[VLA, nn.Module]:
    """Return our model and LeRobot's, of dummy size, with the same random weights."""
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
    theirs = randomized((module.PI05Pytorch if adaptive else module.PI0Pytorch)(settings))
    options = {"horizon": HORIZON, "action_size": 32, "steps": STEPS, "adaptive": adaptive}
    mine = VLA(config, build("flow", options, config.width)).eval()
    copy_weights(mine, theirs.state_dict(), "LeRobot's")
    return mine, theirs


def randomized(theirs: nn.Module) -> nn.Module:
    """Randomize every weight; zeros in norms and adaRMS would hide a mistake."""
    torch.manual_seed(0)
    for weight in theirs.parameters():
        nn.init.normal_(weight, std=weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.3)
    return theirs.eval()


def shrink(module: Any, config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make LeRobot build a model of our dimensions, instead of PaliGemma's."""
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
    """Return the inputs for both models; one row has padding and lacks a camera."""
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
    largest = float((one - other).abs().max())
    print(f"{name}: {largest:.2e} (values up to {float(other.abs().max()):.1f})")
    return largest


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
    prefix: Prefix = mine.backbone.prefix(seen)
    number = padded.shape[1]
    assert torch.equal(prefix.present[:, :number], padded)
    there = padded[:, None, :, None]
    for layer, made in enumerate(prefix.layers):
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
    """LeRobot's training runs all tokens in one pass; its loss is the squared error."""
    mine, theirs = pair
    seen, given = observations(mine.config)
    drawn = torch.Generator().manual_seed(2)
    actions, noise = (torch.randn(BATCH, HORIZON, 32, generator=drawn) for _ in range(2))
    times = torch.tensor([0.3, 0.9])
    squares = theirs.forward(*given, actions, noise, times)
    noisy = times[:, None, None] * noise + (1 - times[:, None, None]) * actions
    velocity = mine.head.predict(mine.backbone.expert(mine.backbone.prefix(seen)), noisy, times)
    assert difference("loss", (velocity - (noise - actions)).square(), squares) < CLOSE


@torch.no_grad()
def test_the_actions_are_the_same(pair: tuple[VLA, nn.Module]) -> None:
    mine, theirs = pair
    seen, given = observations(mine.config)
    got = mine.act(seen, [np.random.default_rng(row) for row in range(BATCH)])
    noise = draw_normals([np.random.default_rng(row) for row in range(BATCH)], (HORIZON, 32))
    assert got.std() > 0.1
    other = theirs.sample_actions(*given, noise=noise, num_steps=STEPS)
    assert difference("actions", got, other) < CLOSE
    assert difference("the network's part of the actions", got - noise, noise * 0) > 100 * CLOSE


class PiZeroFast(NamedTuple):
    """Our pi0-FAST and LeRobot's, with the same weights and tokens."""

    mine: VLA
    theirs: Any
    tokenizer: PromptTokenizer
    words: Any


@pytest.fixture
def fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PiZeroFast:
    config = replace(
        sized("dummy", cameras=CAMERAS, state_size=32, state="text", acting="language"),
        prompts="lerobot",
    )
    shrink(modeling_pi0_fast, config, monkeypatch)
    tokenizer = PromptTokenizer.fitted(["push the red cube to the green goal"], config)
    (tmp_path / "tokenizer.json").write_text(tokenizer.dumps())
    words = PreTrainedTokenizerFast(
        tokenizer_file=str(tmp_path / "tokenizer.json"), bos_token="<bos>", pad_token="<pad>"
    )
    chunks = np.random.default_rng(0).uniform(-1, 1, (300, HORIZON, ACTION_SIZE))
    write_released(tmp_path / "fast", chunks, vocabulary=160, scale=5)
    tokens = FastTokenizer.released(tmp_path / "fast")
    # LeRobot's constructor would download both tokenizers.
    theirs = modeling_pi0_fast.PI0FastPolicy.__new__(modeling_pi0_fast.PI0FastPolicy)
    nn.Module.__init__(theirs)
    theirs.config = modeling_pi0_fast.PI0FastConfig(device="cpu", dtype="float32")
    theirs._paligemma_tokenizer = words
    processor = json.loads((tmp_path / "fast/processor_config.json").read_text())
    theirs.action_tokenizer = SimpleNamespace(
        bpe_tokenizer=PreTrainedTokenizerFast(
            tokenizer_file=str(tmp_path / "fast/tokenizer.json"),
            clean_up_tokenization_spaces=False,
        ),
        min_token=processor["min_token"],
        scale=processor["scale"],
    )
    theirs.model = randomized(
        modeling_pi0_fast.PI0FastPytorch(theirs.config, paligemma_tokenizer=words)
    )
    options = {"horizon": HORIZON, "action_size": ACTION_SIZE, "vocabulary": tokens.count}
    options |= {"leading": len(leading_tokens(tokenizer)), "mend": True}
    mine = VLA(config, build("fast", options, config.width)).eval()
    assert isinstance(mine.head, FastHead)
    mine.head.use(tokens)
    copy_pi0_fast(mine, tokenizer, theirs.state_dict(), "LeRobot's")
    return PiZeroFast(mine, theirs, tokenizer, words)


@torch.no_grad()
def test_pi0_fast_logits_are_the_same(fast: PiZeroFast) -> None:
    """LeRobot runs prompt and action tokens through the language stack in one pass."""
    mine, model = fast.mine, fast.theirs.model
    seen, (images, present, tokens, mask, _) = observations(mine.config)
    chosen = torch.randint(0, 160, (BATCH, 5), generator=torch.Generator().manual_seed(4))
    lead = torch.tensor(leading_tokens(fast.tokenizer)).expand(BATCH, -1)
    written = torch.cat([lead, fast.tokenizer.count - 1 - ACTION_TOKENS_END - chosen], dim=1)
    embedded, padded, seeing, *_ = model.embed_prefix_fast(
        images, present, tokens, mask, written, torch.ones_like(written, dtype=torch.bool)
    )
    (states, _), _ = model.paligemma_with_expert.forward(
        attention_mask=modeling_pi0_fast.prepare_attention_masks_4d(seeing),
        position_ids=padded.cumsum(1) - 1,
        inputs_embeds=[embedded, None],
    )
    head = mine.head
    before = torch.cat([head.start.expand(BATCH, -1, -1), head.embed(chosen)], dim=1)
    got = head.out_proj(mine.backbone.expert(mine.backbone.prefix(seen))(before, causal=True))
    other = model.paligemma_with_expert.paligemma.lm_head(states[:, -written.shape[1] :])
    rows = [fast.tokenizer.count - 1 - ACTION_TOKENS_END - token for token in range(160)]
    assert difference("pi0-FAST's logits", got[..., :160], other[..., rows]) < CLOSE


@torch.no_grad()
def test_pi0_fast_actions_are_the_same(fast: PiZeroFast, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the text of a prompt on. LeRobot may generate any word, we only action tokens.

    A trained model generates "Action: ", action tokens and the end by itself. With random weights
    this has to be forced, which is the only change to LeRobot's model.
    """
    mine, theirs = fast.mine, fast.theirs
    seen, (images, present, *_) = observations(mine.config)
    instructions = ["push the red cube", "Push the Goal"]
    state = np.random.default_rng(0).uniform(-1, 1, (BATCH, 8)).astype(np.float32)
    tokens, mask = fast.tokenizer.encode(instructions, state)
    transition = {
        TransitionKey.OBSERVATION: {OBS_STATE: torch.from_numpy(state)},
        TransitionKey.COMPLEMENTARY_DATA: {"task": instructions},
    }
    step = processor_pi0_fast.Pi0FastPrepareStateAndLanguageTokenizerProcessorStep()
    prompts = step(transition)[TransitionKey.COMPLEMENTARY_DATA]["task"]
    given = fast.words(
        ["<bos>" + one for one in prompts],
        padding="max_length",
        max_length=120,
        return_tensors="pt",
    )
    lead, end = leading_tokens(fast.tokenizer), fast.words.convert_tokens_to_ids("|")
    allowed_words = [
        fast.tokenizer.count - 1 - ACTION_TOKENS_END - token for token in range(160)
    ] + [end]
    table, steps = theirs.model.paligemma_with_expert.paligemma.lm_head, []
    plain = table.forward

    def forced(states: Tensor) -> Tensor:
        logits = plain(states)
        allowed = [lead[len(steps)]] if len(steps) < len(lead) else allowed_words
        steps.append(allowed)
        return logits + torch.full_like(logits, -1e9).index_fill(-1, torch.tensor(allowed), 0.0)

    monkeypatch.setattr(table, "forward", forced)
    theirs.config.validate_action_token_prefix = (
        False  # It expects PaliGemma's tokens of "Action: ".
    )
    sampled = theirs.model.sample_actions_fast_kv_cache(
        images, present, given["input_ids"], given["attention_mask"].bool(), max_decoding_steps=40
    )
    other = theirs.detokenize_actions(sampled, HORIZON, ACTION_SIZE)
    seen = replace(seen, tokens=tokens, token_mask=mask)
    head, expert = mine.head, mine.backbone.expert(mine.backbone.prefix(seen))
    streams = [np.random.default_rng(row) for row in range(BATCH)]
    written = head.generate(expert, streams, 40 - len(lead), 0.0, 160, 160)
    for row in range(BATCH):
        ours_here = [allowed_words[token] for token in written[row].tolist()]
        stop = ours_here.index(end) + 1 if end in ours_here else len(ours_here)
        assert ours_here[:stop] == sampled[row, len(lead) : len(lead) + stop].tolist()
    assert len({tuple(row) for row in written.tolist()}) == BATCH
    got = mine.act(seen, streams)
    assert float(got.std()) > 0.1
    assert difference("pi0-FAST's actions", got, other) < CLOSE


def test_lerobot_s_normalizer_is_read(tmp_path: Path) -> None:
    stats = {
        "observation.state": {"mean": np.arange(3.0), "std": np.ones(3), "q01": -np.ones(3)},
        "action": {"mean": np.arange(2.0), "q99": np.full(2, 7.5)},
    }
    tensors = NormalizerProcessorStep(features={}, norm_map={}, stats=stats).state_dict()
    save_file(tensors, tmp_path / "step.safetensors")
    read = read_normalizer(tmp_path / "step.safetensors")
    for ours, theirs in (("state", "observation.state"), ("action", "action")):
        assert read[ours].keys() == stats[theirs].keys()
        for name, values in stats[theirs].items():
            np.testing.assert_array_equal(read[ours][name], values)
