"""Gemma's layers: RMSNorm, rotary attention, GeGLU. They form the language and the expert stack.

The two stacks share attention: expert tokens attend to the language stack's keys and values.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.vla.config import StackConfig

_EPSILON = 1e-6
_LONGEST_WAVE = 10_000.0
"""The slowest rotary frequency is about 1 / this."""


class KeysValues(NamedTuple):
    """The keys and values of a layer's tokens, (batch, kv_heads, N, head_size)."""

    keys: Tensor
    values: Tensor

    def followed_by(self, later: "KeysValues") -> "KeysValues":
        """Return these and then the later tokens' keys and values."""
        return KeysValues(*(torch.cat(pair, dim=2) for pair in zip(self, later, strict=True)))


class Rotation(NamedTuple):
    """Rotary position embedding of each token, (batch, 1, N, head_size)."""

    cosine: Tensor
    sine: Tensor

    @classmethod
    def of(cls, positions: Tensor, head_size: int) -> "Rotation":
        """Return the rotation for positions, (batch, N)."""
        exponents = torch.arange(0, head_size, 2, device=positions.device) / head_size
        angles = positions[:, None, :, None].float() / _LONGEST_WAVE**exponents
        return cls(*(torch.cat([wave, wave], dim=-1) for wave in (angles.cos(), angles.sin())))

    def rotate(self, vectors: Tensor) -> Tensor:
        """Return rotated queries or keys."""
        low, high = vectors.float().chunk(2, dim=-1)
        rotated = vectors.float() * self.cosine + torch.cat([-high, low], dim=-1) * self.sine
        return rotated.to(vectors.dtype)


class _Norm(nn.Module):
    """RMSNorm with a learned scale, or a scale from a condition (adaRMS).

    A condition also shifts the output and gates the layer's residual. Untrained, the gate is 0.
    """

    def __init__(self, width: int, adaptive: bool) -> None:
        """Create the weights."""
        super().__init__()
        self.condition = nn.Linear(width, 3 * width) if adaptive else None
        if self.condition is None:
            self.weight = nn.Parameter(torch.zeros(width))
        else:
            nn.init.zeros_(self.condition.weight)
            nn.init.zeros_(self.condition.bias)

    def forward(self, tokens: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the normalised tokens, and the gate of the layer's residual."""
        wide = tokens.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + _EPSILON)
        if self.condition is None:
            return (wide * (1 + self.weight.float())).to(tokens.dtype), None
        if condition is None:
            raise ValueError("adaptive layers need a condition")
        scale, shift, gate = self.condition(condition)[:, None].chunk(3, dim=-1)
        return (wide * (1 + scale.float()) + shift.float()).to(tokens.dtype), gate


class _Attention(nn.Module):
    """Grouped-query attention: several heads may share keys and values."""

    def __init__(self, config: StackConfig) -> None:
        """Create the weights."""
        super().__init__()
        inner, shared = config.heads * config.head_size, config.kv_heads * config.head_size
        self.head_size = config.head_size
        self.queries = nn.Linear(config.width, inner, bias=False)
        self.keys = nn.Linear(config.width, shared, bias=False)
        self.values = nn.Linear(config.width, shared, bias=False)
        self.out = nn.Linear(inner, config.width, bias=False)

    def keys_values(self, tokens: Tensor, rotation: Rotation) -> KeysValues:
        """Return the keys and values of the tokens."""
        keys, values = self._split(self.keys(tokens)), self._split(self.values(tokens))
        return KeysValues(rotation.rotate(keys), values)

    def forward(
        self, tokens: Tensor, rotation: Rotation, context: KeysValues, mask: Tensor
    ) -> Tensor:
        """Return the tokens' attention over the context."""
        gathered = functional.scaled_dot_product_attention(
            rotation.rotate(self._split(self.queries(tokens))),
            *context,
            attn_mask=mask[:, None],
            enable_gqa=True,
        )
        added: Tensor = self.out(gathered.transpose(1, 2).flatten(2))
        return added

    def _split(self, vectors: Tensor) -> Tensor:
        """Return (batch, N, heads x head_size) as (batch, heads, N, head_size)."""
        return vectors.view(*vectors.shape[:2], -1, self.head_size).transpose(1, 2)


class _FeedForward(nn.Module):
    """GeGLU: one half gates the other."""

    def __init__(self, config: StackConfig) -> None:
        """Create the weights."""
        super().__init__()
        self.gate = nn.Linear(config.width, config.mlp, bias=False)
        self.up = nn.Linear(config.width, config.mlp, bias=False)
        self.down = nn.Linear(config.mlp, config.width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the residual of the tokens."""
        gated = functional.gelu(self.gate(tokens), approximate="tanh") * self.up(tokens)
        added: Tensor = self.down(gated)
        return added


class _Layer(nn.Module):
    """A pre-norm transformer layer: attention, then feed-forward."""

    def __init__(self, config: StackConfig, adaptive: bool) -> None:
        """Create the weights."""
        super().__init__()
        self.attention_norm = _Norm(config.width, adaptive)
        self.attention = _Attention(config)
        self.forward_norm = _Norm(config.width, adaptive)
        self.feed_forward = _FeedForward(config)

    def keys_values(
        self, tokens: Tensor, rotation: Rotation, condition: Tensor | None
    ) -> KeysValues:
        """Return only the keys and values of the tokens."""
        return self.attention.keys_values(self.attention_norm(tokens, condition)[0], rotation)

    def forward(
        self,
        tokens: Tensor,
        rotation: Rotation,
        past: KeysValues | None,
        mask: Tensor,
        condition: Tensor | None,
    ) -> tuple[Tensor, KeysValues]:
        """Return the output tokens, and the keys and values of the input tokens."""
        normed, gate = self.attention_norm(tokens, condition)
        own = self.attention.keys_values(normed, rotation)
        context = past.followed_by(own) if past else own
        tokens = tokens + _gated(self.attention(normed, rotation, context, mask), gate)
        normed, gate = self.forward_norm(tokens, condition)
        return tokens + _gated(self.feed_forward(normed), gate), own


class Stack(nn.Module):
    """A sequence of layers and a final norm."""

    def __init__(self, config: StackConfig, adaptive: bool = False) -> None:
        """Create the weights."""
        super().__init__()
        self.head_size, self.width = config.head_size, config.width
        self.layers = nn.ModuleList(_Layer(config, adaptive) for _ in range(config.depth))
        self.norm = _Norm(config.width, adaptive)

    def keys_values(
        self,
        tokens: Tensor,
        positions: Tensor,
        past: list[KeysValues] | None,
        mask: Tensor,
        condition: Tensor | None = None,
    ) -> list[KeysValues]:
        """Return each layer's keys and values of the tokens; the arguments are `forward`'s.

        This skips the output of the last layer.
        """
        rotation = Rotation.of(positions, self.head_size)
        collected = []
        for number, layer in enumerate(self.layers[:-1]):
            tokens, own = layer(tokens, rotation, past and past[number], mask, condition)
            collected.append(own)
        last = self.layers[-1]
        assert isinstance(last, _Layer)
        return [*collected, last.keys_values(tokens, rotation, condition)]

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor,
        past: list[KeysValues] | None,
        mask: Tensor,
        condition: Tensor | None = None,
    ) -> tuple[Tensor, list[KeysValues]]:
        """Return the output tokens, and each layer's keys and values of the input tokens.

        Args:
            tokens: (batch, N, width).
            positions: Their places in the sequence, (batch, N).
            past: Each layer's keys and values of earlier tokens.
            mask: Which tokens each token attends to, (batch, N or 1, earlier tokens + N).
            condition: For adaptive layers, (batch, width).
        """
        rotation = Rotation.of(positions, self.head_size)
        collected = []
        for number, layer in enumerate(self.layers):
            tokens, own = layer(tokens, rotation, past and past[number], mask, condition)
            collected.append(own)
        return self.norm(tokens, condition)[0], collected


def _gated(added: Tensor, gate: Tensor | None) -> Tensor:
    return added if gate is None else added * gate
