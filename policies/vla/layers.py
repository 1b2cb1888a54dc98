"""The layers of Gemma, which read the instruction and which act: RMSNorm, rotary attention, GeGLU.

Two stacks of them share attention: a token attends to keys and values that the other stack made.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.vla.config import StackConfig

EPSILON = 1e-6
LONGEST_WAVE = 10_000.0
"""What the rotation's slowest frequency is one over, roughly."""


class KeysValues(NamedTuple):
    """What a layer's tokens offer to those who attend to them, (batch, kv_heads, N, head_size)."""

    keys: Tensor
    values: Tensor

    def then(self, later: "KeysValues") -> "KeysValues":
        """Return these with the later tokens' behind them."""
        return KeysValues(*(torch.cat(pair, dim=2) for pair in zip(self, later, strict=True)))


class Rotation(NamedTuple):
    """How far each token's queries and keys are turned, (batch, 1, N, head_size)."""

    cosine: Tensor
    sine: Tensor

    @classmethod
    def of(cls, positions: Tensor, head_size: int) -> "Rotation":
        """Return the rotation for positions, (batch, N)."""
        exponents = torch.arange(0, head_size, 2, device=positions.device) / head_size
        angles = positions[:, None, :, None].float() / LONGEST_WAVE**exponents
        return cls(*(torch.cat([wave, wave], dim=-1) for wave in (angles.cos(), angles.sin())))

    def turn(self, vectors: Tensor) -> Tensor:
        """Return the vectors, turned."""
        low, high = vectors.float().chunk(2, dim=-1)
        turned = vectors.float() * self.cosine + torch.cat([-high, low], dim=-1) * self.sine
        return turned.to(vectors.dtype)


class Norm(nn.Module):
    """RMSNorm, which scales by a weight, or by what a condition says (adaRMS).

    A condition also shifts, and gates what the layer adds; before training it gates everything.
    """

    def __init__(self, width: int, adaptive: bool) -> None:
        """Make the weights."""
        super().__init__()
        self.condition = nn.Linear(width, 3 * width) if adaptive else None
        if self.condition is None:
            self.weight = nn.Parameter(torch.zeros(width))
        else:
            nn.init.zeros_(self.condition.weight)
            nn.init.zeros_(self.condition.bias)

    def forward(self, tokens: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the tokens, normalised, and the gate for what is added to them."""
        wide = tokens.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + EPSILON)
        if self.condition is None:
            return (wide * (1 + self.weight.float())).to(tokens.dtype), None
        if condition is None:
            raise ValueError("these layers are adaptive, so they need a condition")
        scale, shift, gate = self.condition(condition)[:, None].chunk(3, dim=-1)
        return (wide * (1 + scale.float()) + shift.float()).to(tokens.dtype), gate


class Attention(nn.Module):
    """Attention in which several heads may share keys and values."""

    def __init__(self, config: StackConfig) -> None:
        """Make the weights."""
        super().__init__()
        inner, shared = config.heads * config.head_size, config.kv_heads * config.head_size
        self.head_size = config.head_size
        self.queries = nn.Linear(config.width, inner, bias=False)
        self.keys = nn.Linear(config.width, shared, bias=False)
        self.values = nn.Linear(config.width, shared, bias=False)
        self.out = nn.Linear(inner, config.width, bias=False)

    def offer(self, tokens: Tensor, rotation: Rotation) -> KeysValues:
        """Return the keys and values that the tokens make."""
        keys, values = self._split(self.keys(tokens)), self._split(self.values(tokens))
        return KeysValues(rotation.turn(keys), values)

    def forward(
        self, tokens: Tensor, rotation: Rotation, offered: KeysValues, seen: Tensor
    ) -> Tensor:
        """Return what the tokens gather of what is offered."""
        gathered = functional.scaled_dot_product_attention(
            rotation.turn(self._split(self.queries(tokens))),
            *offered,
            attn_mask=seen[:, None],
            enable_gqa=True,
        )
        added: Tensor = self.out(gathered.transpose(1, 2).flatten(2))
        return added

    def _split(self, vectors: Tensor) -> Tensor:
        """Return (batch, N, heads x head_size) as (batch, heads, N, head_size)."""
        return vectors.view(*vectors.shape[:2], -1, self.head_size).transpose(1, 2)


class FeedForward(nn.Module):
    """GeGLU: one half gates the other."""

    def __init__(self, config: StackConfig) -> None:
        """Make the weights."""
        super().__init__()
        self.gate = nn.Linear(config.width, config.mlp, bias=False)
        self.up = nn.Linear(config.width, config.mlp, bias=False)
        self.down = nn.Linear(config.mlp, config.width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return what is added to the tokens."""
        gated = functional.gelu(self.gate(tokens), approximate="tanh") * self.up(tokens)
        added: Tensor = self.down(gated)
        return added


class Layer(nn.Module):
    """Attention and feed-forward, each normalised before and added to what came in."""

    def __init__(self, config: StackConfig, adaptive: bool) -> None:
        """Make the weights."""
        super().__init__()
        self.attention_norm = Norm(config.width, adaptive)
        self.attention = Attention(config)
        self.forward_norm = Norm(config.width, adaptive)
        self.feed_forward = FeedForward(config)

    def offer(self, tokens: Tensor, rotation: Rotation, condition: Tensor | None) -> KeysValues:
        """Return the keys and values that the tokens make, and nothing else."""
        return self.attention.offer(self.attention_norm(tokens, condition)[0], rotation)

    def forward(
        self,
        tokens: Tensor,
        rotation: Rotation,
        past: KeysValues | None,
        seen: Tensor,
        condition: Tensor | None,
    ) -> tuple[Tensor, KeysValues]:
        """Return the tokens after the layer, and the keys and values that they made."""
        normed, gate = self.attention_norm(tokens, condition)
        made = self.attention.offer(normed, rotation)
        offered = past.then(made) if past else made
        tokens = tokens + _gated(self.attention(normed, rotation, offered, seen), gate)
        normed, gate = self.forward_norm(tokens, condition)
        return tokens + _gated(self.feed_forward(normed), gate), made


class Stack(nn.Module):
    """Layers one after the other, and a last norm."""

    def __init__(self, config: StackConfig, adaptive: bool = False) -> None:
        """Make the weights."""
        super().__init__()
        self.head_size, self.width = config.head_size, config.width
        self.layers = nn.ModuleList(Layer(config, adaptive) for _ in range(config.depth))
        self.norm = Norm(config.width, adaptive)

    def offer(
        self,
        tokens: Tensor,
        positions: Tensor,
        past: list[KeysValues] | None,
        seen: Tensor,
        condition: Tensor | None = None,
    ) -> list[KeysValues]:
        """Return each layer's keys and values of the tokens; arguments are those of `forward`.

        What becomes of the tokens after the last layer is not computed.
        """
        rotation = Rotation.of(positions, self.head_size)
        made = []
        for number, layer in enumerate(self.layers[:-1]):
            tokens, own = layer(tokens, rotation, past and past[number], seen, condition)
            made.append(own)
        last = self.layers[-1]
        assert isinstance(last, Layer)
        return [*made, last.offer(tokens, rotation, condition)]

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor,
        past: list[KeysValues] | None,
        seen: Tensor,
        condition: Tensor | None = None,
    ) -> tuple[Tensor, list[KeysValues]]:
        """Return what becomes of the tokens, and each layer's keys and values of theirs.

        Args:
            tokens: (batch, N, width).
            positions: Where in the sequence they are, (batch, N).
            past: Each layer's keys and values of the tokens before them.
            seen: Which tokens each attends to, (batch, N or 1, those before and N).
            condition: For adaptive layers, (batch, width).
        """
        rotation = Rotation.of(positions, self.head_size)
        made = []
        for number, layer in enumerate(self.layers):
            tokens, own = layer(tokens, rotation, past and past[number], seen, condition)
            made.append(own)
        return self.norm(tokens, condition)[0], made


def _gated(added: Tensor, gate: Tensor | None) -> Tensor:
    return added if gate is None else added * gate
