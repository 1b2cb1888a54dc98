"""The network below the head: a prefix, computed once a chunk, and an expert that sees it."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from policies.heads.head import Memory
from policies.vla.config import VLAConfig
from policies.vla.embedding import Embedding
from policies.vla.inputs import Inputs
from policies.vla.layers import KeysValues, Stack


@dataclass(frozen=True)
class Prefix:
    """What action tokens can attend to of a batch of observations.

    Attributes:
        made: Each layer's keys and values of its tokens.
        present: Which of the tokens are there, (batch, N).
    """

    made: list[KeysValues]
    present: Tensor

    @property
    def length(self) -> Tensor:
        """How many tokens are there: the position of the next one, (batch, 1)."""
        return self.present.sum(dim=1, keepdim=True)


@dataclass
class Written:
    """Each layer's keys and values of the action tokens so far: a head's `Memory`."""

    made: list[KeysValues] = field(default_factory=list)

    @property
    def length(self) -> int:
        """How many action tokens there are."""
        return self.made[0].keys.shape[2] if self.made else 0

    def add(self, made: list[KeysValues]) -> None:
        """Take in further tokens."""
        pairs = zip(self.made, made, strict=True) if self.made else ()
        self.made = [before.then(new) for before, new in pairs] or made


class Trunk(nn.Module):
    """Image encoder, the stack that reads, and the stack that acts."""

    def __init__(self, config: VLAConfig) -> None:
        """Make the weights."""
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
        """The stack that action tokens go through."""
        return self.actor if self.config.acting == "expert" else self.language

    def read(self, inputs: Inputs) -> Prefix:
        """Read observations; all their tokens see each other."""
        tokens, present = self.embedding(inputs)
        # What is not there has no position of its own, so padding changes nothing.
        positions = present.cumsum(dim=1) - 1
        return Prefix(self.language.offer(tokens, positions, None, present[:, None]), present)

    def prefix(self, inputs: Inputs, read: Prefix | None = None) -> Prefix:
        """Return what action tokens can attend to: what was read, and a state token.

        The state token sees what was read and is not seen by it, as in pi0; so it does not depend
        on the actions and is computed once, too.

        Args:
            inputs: The observations.
            read: What `read` gave of them, where that is known.
        """
        prefix = read or self.read(inputs)
        return self._with_state(prefix, inputs.state) if self.config.state == "token" else prefix

    def _with_state(self, prefix: Prefix, state: Tensor) -> Prefix:
        token = self.state(state)[:, None]
        present = torch.cat([prefix.present, prefix.present.new_ones(len(state), 1)], dim=1)
        # The state has no condition of its own: what is learned for none serves it.
        none = torch.zeros_like(token[:, 0]) if self.config.adaptive else None
        made = self.acting.offer(token, prefix.length, prefix.made, present[:, None], none)
        return Prefix([old.then(new) for old, new in zip(prefix.made, made, strict=True)], present)

    def expert(self, prefix: Prefix) -> "BoundExpert":
        """Return the acting stack, bound to these observations."""
        return BoundExpert(self.acting, prefix)


class BoundExpert:
    """The stack that acts, bound to a batch of observations: a head's `Expert`.

    Attributes:
        batch: How many observations there are.
        device: Where its tensors are.
    """

    def __init__(self, stack: Stack, prefix: Prefix) -> None:
        """Bind it."""
        self._stack, self._prefix = stack, prefix
        self.batch, self.device = len(prefix.present), prefix.present.device

    def __call__(
        self,
        tokens: Tensor,
        *,
        condition: Tensor | None = None,
        causal: bool = False,
        memory: Memory | None = None,
    ) -> Tensor:
        """Return what becomes of action tokens, as `policies.heads.head.Expert` says."""
        assert memory is None or isinstance(memory, Written)
        number, before = tokens.shape[1], memory.length if memory else 0
        present = self._prefix.present[:, None].expand(-1, number, -1)
        own = present.new_ones(self.batch, number, before + number)
        if causal:
            own = own.tril(diagonal=before)
        past = self._prefix.made
        if memory and memory.made:
            past = [old.then(new) for old, new in zip(past, memory.made, strict=True)]
        steps = torch.arange(before, before + number, device=self.device)
        done, made = self._stack(
            tokens, self._prefix.length + steps, past, torch.cat([present, own], dim=2), condition
        )
        if memory is not None:
            memory.add(made)
        after: Tensor = done
        return after

    def memory(self) -> Written:
        """Return an empty memory."""
        return Written()
