"""The network below the head: a prefix, computed once a chunk, and an expert that attends to it."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from policies.heads.head import Expert
from policies.vla.config import VLAConfig
from policies.vla.embedding import Embedding
from policies.vla.inputs import Inputs
from policies.vla.layers import KeysValues, Stack


@dataclass(frozen=True)
class Prefix:
    """What action tokens attend to: images, instruction and state of a batch of observations.

    Attributes:
        layers: The keys and values of each layer.
        present: Which tokens are real, not padding or an absent camera, (batch, N).
    """

    layers: list[KeysValues]
    present: Tensor

    @property
    def length(self) -> Tensor:
        """The number of real tokens, which is the position of the next one, (batch, 1)."""
        return self.present.sum(dim=1, keepdim=True)


@dataclass
class KVMemory:
    """The keys and values of earlier action tokens, by layer."""

    layers: list[KeysValues] = field(default_factory=list)

    @property
    def length(self) -> int:
        """The number of action tokens."""
        return self.layers[0].keys.shape[2] if self.layers else 0

    def append(self, new: list[KeysValues]) -> None:
        """Add the keys and values of further tokens."""
        pairs = zip(self.layers, new, strict=True) if self.layers else ()
        self.layers = [old.followed_by(added) for old, added in pairs] or new


class Backbone(nn.Module):
    """The image encoder, the language stack and the action expert's stack."""

    def __init__(self, config: VLAConfig) -> None:
        """Create the weights."""
        super().__init__()
        self.config = config
        self.embedding = Embedding(config)
        self.language = Stack(config.language)
        if config.acting == "expert":
            self.actor = Stack(config.expert, config.adaptive)
        if config.state == "token":
            self.state = nn.Linear(config.state_size, config.width)

    @property
    def acting(self) -> Stack:
        """The stack that processes action tokens."""
        return self.actor if self.config.acting == "expert" else self.language

    def read(self, inputs: Inputs) -> Prefix:
        """Return the prefix of images and instruction, whose tokens all attend to each other."""
        tokens, present = self.embedding(inputs)
        # Absent tokens take no position, so padding changes nothing.
        positions = present.cumsum(dim=1) - 1
        return Prefix(self.language.keys_values(tokens, positions, None, present[:, None]), present)

    def prefix(self, inputs: Inputs, read: Prefix | None = None) -> Prefix:
        """Return the whole prefix: what `read` gives, and the state token.

        As in pi0, the state token attends to images and instruction, and they do not attend to it.
        It does not depend on the actions, so it is computed once as well.

        Args:
            inputs: The observations.
            read: The result of `read`, if already known.
        """
        prefix = read or self.read(inputs)
        return self._with_state(prefix, inputs.state) if self.config.state == "token" else prefix

    def _with_state(self, prefix: Prefix, state: Tensor) -> Prefix:
        token = self.state(state)[:, None]
        present = torch.cat([prefix.present, prefix.present.new_ones(len(state), 1)], dim=1)
        # The state token has no noise level of its own; adaptive layers see a condition of zeros.
        none = torch.zeros_like(token[:, 0]) if self.config.adaptive else None
        new = self.acting.keys_values(token, prefix.length, prefix.layers, present[:, None], none)
        pairs = zip(prefix.layers, new, strict=True)
        return Prefix([old.followed_by(added) for old, added in pairs], present)

    def expert(self, prefix: Prefix) -> "BoundExpert":
        """Return the acting stack, bound to these observations."""
        return BoundExpert(self.acting, prefix)


class BoundExpert(Expert):
    """The acting stack, bound to the prefix of a batch of observations."""

    def __init__(self, stack: Stack, prefix: Prefix) -> None:
        """Bind the stack."""
        super().__init__(len(prefix.present), prefix.present.device)
        self._stack, self._prefix = stack, prefix

    def run(
        self, tokens: Tensor, condition: Tensor | None, causal: bool, memory: KVMemory | None
    ) -> Tensor:
        """Run the stack over action tokens."""
        number, before = tokens.shape[1], memory.length if memory else 0
        present = self._prefix.present[:, None].expand(-1, number, -1)
        own = present.new_ones(self.batch, number, before + number)
        if causal:
            own = own.tril(diagonal=before)
        past = self._prefix.layers
        if memory and memory.layers:
            past = [old.followed_by(new) for old, new in zip(past, memory.layers, strict=True)]
        steps = torch.arange(before, before + number, device=self.device)
        output, new = self._stack(
            tokens, self._prefix.length + steps, past, torch.cat([present, own], dim=2), condition
        )
        if memory is not None:
            memory.append(new)
        result: Tensor = output
        return result

    def memory(self) -> KVMemory:
        """Return an empty memory."""
        return KVMemory()
