"""The backbone: which tokens attend to which, and that caches change nothing."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from policies.vla.backbone import Backbone
from policies.vla.config import VLAConfig
from policies.vla.inputs import Inputs
from policies.vla.layers import Rotation
from tests.helpers.vla import CAMERAS, inputs, model, network

KINDS = {
    "pi0": network("dummy", state="token"),
    "pi0.5": network("dummy", state="text", adaptive=True),
    "pi0-FAST": network("dummy", state="text", acting="language"),
    "tiny": network("tiny"),
    "tiny, adaptive": network("tiny", adaptive=True),
}


@pytest.fixture(params=KINDS)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    head = "flow" if KINDS[request.param].adaptive else "regression"
    options = {"adaptive": True} if head == "flow" else {}
    return model(KINDS[request.param], head, **options).backbone


def actions(backbone: Backbone, batch: int = 2, number: int = 4) -> tuple[Tensor, Tensor | None]:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(batch, number, backbone.config.width, generator=generator)
    condition = torch.randn(batch, backbone.config.width, generator=generator)
    return tokens, condition if backbone.config.adaptive else None


def run(backbone: Backbone, seen: Inputs, causal: bool = False) -> Tensor:
    tokens, condition = actions(backbone, len(seen.tokens))
    return backbone.expert(backbone.prefix(seen))(tokens, condition=condition, causal=causal)


def in_one_pass(backbone: Backbone, seen: Inputs, causal: bool) -> Tensor:
    """Run all tokens at once, with explicit attention and one block mask.

    Blocks are numbered as in openpi's `make_att_2d_masks`: a token attends to its own block and to
    all earlier ones.
    """
    config: VLAConfig = backbone.config
    words, present = backbone.embedding(seen)
    tokens, condition = actions(backbone, len(words))
    groups = [(backbone.language, words, None)]
    blocks = [0] * words.shape[1]
    if config.state == "token":
        none = torch.zeros_like(tokens[:, 0]) if config.adaptive else None
        groups.append((backbone.acting, backbone.state(seen.state)[:, None], none))
        blocks.append(1)
    groups.append((backbone.acting, tokens, condition))
    blocks += [2 + (place if causal else 0) for place in range(tokens.shape[1])]
    present = torch.cat([present, present.new_ones(len(words), len(blocks) - words.shape[1])], 1)
    block = torch.tensor(blocks)
    mask = (block[None, :] <= block[:, None]) & present[:, None]
    rotation = Rotation.of(present.cumsum(1) - 1, config.language.head_size)
    running = [group[1] for group in groups]
    for number in range(config.language.depth):
        layers = [stack.layers[number] for stack, _, _ in groups]
        given = zip(layers, running, groups, strict=True)
        normed = [layer.attention_norm(x, group[2]) for layer, x, group in given]

        def made(name: str) -> Tensor:
            pairs = zip(layers, normed, strict=True)  # noqa: B023
            joined = torch.cat([getattr(one.attention, name)(x[0]) for one, x in pairs], 1)
            return joined.unflatten(-1, (-1, config.language.head_size)).transpose(1, 2)

        repeats = config.language.heads // config.language.kv_heads
        queries, keys = rotation.rotate(made("queries")), rotation.rotate(made("keys"))
        keys, values = (x.repeat_interleave(repeats, 1) for x in (keys, made("values")))
        scores = queries @ keys.transpose(2, 3) / config.language.head_size**0.5
        weights = scores.masked_fill(~mask[:, None], float("-inf")).softmax(-1)
        gathered = (weights @ values).transpose(1, 2).flatten(2)
        parts = gathered.split([x.shape[1] for x in running], 1)
        for place, (layer, part) in enumerate(zip(layers, parts, strict=True)):
            gate = normed[place][1]
            added = layer.attention.out(part)
            after = running[place] + (added if gate is None else added * gate)
            inner, gate = layer.forward_norm(after, groups[place][2])
            added = layer.feed_forward(inner)
            running[place] = after + (added if gate is None else added * gate)
    return backbone.acting.norm(running[-1], condition)[0]


@pytest.mark.parametrize("causal", [False, True])
def test_the_cached_prefix_gives_the_same_as_one_pass(backbone: Backbone, causal: bool) -> None:
    seen = inputs(backbone.config)
    with torch.no_grad():
        cached, whole = run(backbone, seen, causal), in_one_pass(backbone, seen, causal)
    assert whole.std() > 0.1
    torch.testing.assert_close(cached, whole, atol=1e-5, rtol=1e-5)


def test_memory_gives_the_same_as_one_causal_pass(backbone: Backbone) -> None:
    tokens, condition = actions(backbone)
    with torch.no_grad():
        expert = backbone.expert(backbone.prefix(inputs(backbone.config)))
        whole = expert(tokens, condition=condition, causal=True)
        memory = expert.memory()
        parts = [
            expert(part, condition=condition, causal=True, memory=memory)
            for part in tokens.split([1, 2, 1], dim=1)
        ]
        forgetful = expert(tokens[:, 1:2], condition=condition, causal=True)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(forgetful, whole[:, 1:2], atol=1e-3)


def test_masked_tokens_have_no_influence(backbone: Backbone) -> None:
    seen = inputs(backbone.config)
    absent = {"main": torch.tensor([True, True]), "wrist": torch.tensor([True, False])}
    seen = replace(seen, present=absent)
    images = {role: image.clone() for role, image in seen.images.items()}
    images["wrist"][1] = 0.5
    tokens = torch.where(seen.token_mask, seen.tokens, 1)
    with torch.no_grad():
        before, after = (
            run(backbone, seen),
            run(backbone, replace(seen, images=images, tokens=tokens)),
        )
        everything = run(backbone, replace(seen, present=inputs(backbone.config).present))
    assert torch.equal(before, after)
    assert not torch.allclose(before[1], everything[1], atol=1e-4)


def test_padding_and_absent_cameras_change_nothing(backbone: Backbone) -> None:
    seen = inputs(backbone.config)
    alone = Inputs(
        images={role: image[1:] for role, image in seen.images.items()},
        present={role: there[1:] for role, there in seen.present.items()},
        tokens=seen.tokens[1:, :5],
        token_mask=seen.token_mask[1:, :5],
        state=seen.state[1:],
        viewpoint={},
    )
    with torch.no_grad():
        tokens, condition = actions(backbone)
        condition = None if condition is None else condition[1:]
        expert = backbone.expert(backbone.prefix(alone))
        shorter = expert(tokens[1:], condition=condition)
        torch.testing.assert_close(shorter, run(backbone, seen)[1:], atol=1e-5, rtol=1e-5)


def test_a_row_changes_no_other_row(backbone: Backbone) -> None:
    seen = inputs(backbone.config, batch=3)
    other = inputs(backbone.config, batch=3, seed=9)
    pairs = {role: (seen.images[role], other.images[role]) for role in CAMERAS}
    mixed = replace(
        seen,
        images={role: torch.cat([old[:2], new[2:]]) for role, (old, new) in pairs.items()},
        state=torch.cat([seen.state[:2], other.state[2:]]),
        tokens=torch.cat([seen.tokens[:2], other.tokens[2:]]),
    )
    with torch.no_grad():
        before, after = run(backbone, seen), run(backbone, mixed)
    assert torch.equal(before[:2], after[:2])
    assert not torch.allclose(before[2], after[2], atol=1e-3)


def test_every_kind_of_input_matters(backbone: Backbone) -> None:
    seen, config = inputs(backbone.config), backbone.config
    with torch.no_grad():
        before = run(backbone, seen)
        for role in CAMERAS:
            images = {**seen.images, role: -seen.images[role]}
            assert not torch.allclose(
                run(backbone, replace(seen, images=images)), before, atol=1e-4
            )
        other_words = replace(seen, tokens=seen.tokens + 1)
        assert not torch.allclose(run(backbone, other_words), before, atol=1e-4)
        other_state = run(backbone, replace(seen, state=-seen.state))
    assert torch.allclose(other_state, before) == (config.state != "token")


def test_gradients_reach_every_used_weight() -> None:
    vla = model(network("tiny", state="token"), "flow")
    run(vla.backbone, inputs(vla.config)).square().sum().backward()
    unused = {name for name, weight in vla.backbone.named_parameters() if weight.grad is None}
    # The last layer's output for words is not used.
    assert unused
    assert all(name.startswith(("language.norm", "language.layers.2")) for name in unused)


def test_viewpoint_changes_the_output_after_training() -> None:
    config = network("tiny", viewpoint=True)
    vla, seen = model(config), inputs(config)
    still = {role: torch.zeros(2, 3) for role in CAMERAS}
    moved = {**still, "wrist": torch.tensor([[0.1, -0.2, 0.3], [0.0, 0.0, 0.0]])}
    with torch.no_grad():
        before = run(vla.backbone, seen)
        assert torch.equal(run(vla.backbone, replace(seen, viewpoint=still)), before)
        after = run(vla.backbone, replace(seen, viewpoint=moved))
        torch.nn.init.zeros_(vla.backbone.embedding.viewpoint.weight)
        untrained = run(vla.backbone, replace(seen, viewpoint=moved))
    assert not torch.allclose(after[0], before[0], atol=1e-4)
    assert torch.equal(after[1], before[1])
    assert torch.equal(untrained, before)
