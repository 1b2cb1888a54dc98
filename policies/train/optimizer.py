"""AdamW, its learning rate, and the running average of the weights that is kept."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from harness.contracts.errors import UsageError
from policies.train.settings import Settings

WEIGHTS, AVERAGE, ADAM = "weights/", "average/", "adam/"
"""What the names of kept tensors begin with."""


class Optimizer:
    """Improves a model's weights, and remembers all that the next update depends on.

    Attributes:
        step: Updates so far.
    """

    def __init__(self, model: nn.Module, settings: Settings) -> None:
        """Start with the model's present weights, which are also the first average.

        Weights that need no gradient are left as they are.
        """
        self._model, self._settings = model, settings
        self._parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
        # A vector is a bias or a norm's scale; what it should be near is not zero.
        matrices = [p for p in self._parameters.values() if p.ndim > 1]
        vectors = [p for p in self._parameters.values() if p.ndim <= 1]
        self._adam = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": settings.weight_decay},
                {"params": vectors, "weight_decay": 0.0},
            ],
            betas=(0.9, settings.beta2),
            fused=next(model.parameters()).is_cuda,
        )
        self._average = {name: p.detach().clone() for name, p in self._parameters.items()}
        self.step = 0

    def update(self, losses: Iterable[Callable[[], Tensor]]) -> tuple[float, float, float]:
        """Make one update.

        Args:
            losses: Computes the mean loss of each equally large part of the batch.

        Returns:
            The batch's mean loss, the learning rate, and the gradient's norm before clipping.
        """
        rate = learning_rate(self._settings, self.step)
        for group in self._adam.param_groups:
            group["lr"] = rate
        parts = []
        for loss in losses:
            part = loss() / self._settings.accumulate
            part.backward()  # type: ignore[no-untyped-call]
            parts.append(part.detach())
        norm = nn.utils.clip_grad_norm_(self._parameters.values(), self._settings.clip)
        self._adam.step()
        self._adam.zero_grad()
        self._remember()
        self.step += 1
        # A GPU is waited for once, now that it has been told everything.
        *found, length = torch.stack([*parts, norm]).tolist()
        return sum(found), rate, length

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the average of the weights into the model for a while."""
        own = {name: p.data for name, p in self._parameters.items()}
        for name, parameter in self._parameters.items():
            parameter.data = self._average[name]
        try:
            yield
        finally:
            for name, parameter in self._parameters.items():
                parameter.data = own[name]

    def adopt_average(self) -> None:
        """Make the average the model's weights, at the end."""
        for name, parameter in self._parameters.items():
            parameter.data = self._average[name]

    def kept(self) -> dict[str, Tensor]:
        """Return all that the next update depends on."""
        found = {WEIGHTS + name: value for name, value in self._model.state_dict().items()}
        found |= {AVERAGE + name: value for name, value in self._average.items()}
        for name, parameter in self._parameters.items():
            for kind, value in self._adam.state[parameter].items():
                found[f"{ADAM}{kind}/{name}"] = value
        return {name: value.detach().contiguous() for name, value in found.items()}

    def restore(self, kept: Mapping[str, Tensor], step: int) -> None:
        """Take up what another's `kept` gave after so many updates.

        Raises:
            UsageError: It belongs to another model.
        """
        try:
            weights = {n.removeprefix(WEIGHTS): v for n, v in kept.items() if n.startswith(WEIGHTS)}
            self._model.load_state_dict(weights)
            for name, parameter in self._parameters.items():
                self._average[name].copy_(kept[AVERAGE + name])
                self._adam.state[parameter] = {
                    # Fused, as on a GPU, AdamW counts there; else on the CPU, where they all are.
                    kind: kept[f"{ADAM}{kind}/{name}"].to(parameter.device)
                    for kind in ("step", "exp_avg", "exp_avg_sq")
                    if f"{ADAM}{kind}/{name}" in kept
                }
        except (KeyError, RuntimeError) as error:
            raise UsageError(f"the training state belongs to another model: {error}") from error
        self.step = step

    @torch.no_grad()
    def _remember(self) -> None:
        # The first weights are random: an average that begins with them needs time to forget.
        share = min(self._settings.ema, (1 + self.step) / (10 + self.step))
        if self._settings.ema == 0:
            share = 0.0
        old: list[Tensor] = list(self._average.values())
        new: list[Tensor] = list(self._parameters.values())
        torch._foreach_lerp_(old, new, 1 - share)


def learning_rate(settings: Settings, step: int) -> float:
    """Return the learning rate of the update after so many: a linear rise, then half a cosine."""
    peak, end = settings.learning_rate, settings.final_learning_rate
    if step < settings.warmup:
        return peak * (step + 1) / (settings.warmup + 1)
    done = (step - settings.warmup) / max(settings.steps - settings.warmup, 1)
    return end + (peak - end) * (1 + math.cos(math.pi * min(done, 1.0))) / 2
