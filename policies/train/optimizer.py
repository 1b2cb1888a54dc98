"""AdamW, its learning rate schedule, and the moving average of the weights."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from harness.contracts.errors import UsageError
from policies.train.settings import Settings

_WEIGHTS, _AVERAGE, _ADAM = "weights/", "average/", "adam/"
"""Prefixes of the names of stored tensors."""


class Optimizer:
    """Updates a model's weights.

    Attributes:
        step: Updates so far.
    """

    def __init__(self, model: nn.Module, settings: Settings) -> None:
        """Start from the model's weights, which are also the first average.

        Frozen weights are left as they are.
        """
        self._model, self._settings = model, settings
        self._parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
        # Vectors are biases and scales of norms; they must not decay towards zero.
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
            losses: Compute the mean losses of equally large parts of the batch.

        Returns:
            The batch's mean loss, the learning rate, and the norm of the unclipped gradient.
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
        self._update_average()
        self.step += 1
        # The only synchronisation with a GPU, after all its work is queued.
        *values, length = torch.stack([*parts, norm]).tolist()
        return sum(values), rate, length

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Use the average weights in the model inside this context."""
        own = {name: p.data for name, p in self._parameters.items()}
        for name, parameter in self._parameters.items():
            parameter.data = self._average[name]
        try:
            yield
        finally:
            for name, parameter in self._parameters.items():
                parameter.data = own[name]

    def adopt_average(self) -> None:
        """Replace the model's weights by their average, at the end of training."""
        for name, parameter in self._parameters.items():
            parameter.data = self._average[name]

    def state(self) -> dict[str, Tensor]:
        """Return everything that the next update depends on."""
        tensors = {_WEIGHTS + name: value for name, value in self._model.state_dict().items()}
        tensors |= {_AVERAGE + name: value for name, value in self._average.items()}
        for name, parameter in self._parameters.items():
            for kind, value in self._adam.state[parameter].items():
                tensors[f"{_ADAM}{kind}/{name}"] = value
        return {name: value.detach().contiguous() for name, value in tensors.items()}

    def restore(self, state: Mapping[str, Tensor], step: int) -> None:
        """Load what `state` returned after this many updates.

        Raises:
            UsageError: It belongs to another model.
        """
        try:
            weights = {
                name.removeprefix(_WEIGHTS): value
                for name, value in state.items()
                if name.startswith(_WEIGHTS)
            }
            self._model.load_state_dict(weights)
            for name, parameter in self._parameters.items():
                self._average[name].copy_(state[_AVERAGE + name])
                self._adam.state[parameter] = {
                    # Fused AdamW counts its steps on the GPU, the other one on the CPU.
                    kind: state[f"{_ADAM}{kind}/{name}"].to(parameter.device)
                    for kind in ("step", "exp_avg", "exp_avg_sq")
                    if f"{_ADAM}{kind}/{name}" in state
                }
        except (KeyError, RuntimeError) as error:
            raise UsageError(f"the training state belongs to another model: {error}") from error
        self.step = step

    @torch.no_grad()
    def _update_average(self) -> None:
        # The first weights are random, so the average has to forget them quickly.
        share = min(self._settings.ema, (1 + self.step) / (10 + self.step))
        if self._settings.ema == 0:
            share = 0.0
        old: list[Tensor] = list(self._average.values())
        new: list[Tensor] = list(self._parameters.values())
        torch._foreach_lerp_(old, new, 1 - share)


def learning_rate(settings: Settings, step: int) -> float:
    """Return the learning rate of a step, counted from 0: a linear warm-up, then a half cosine."""
    peak, end = settings.learning_rate, settings.final_learning_rate
    if step < settings.warmup:
        return peak * (step + 1) / (settings.warmup + 1)
    done = (step - settings.warmup) / max(settings.steps - settings.warmup, 1)
    return end + (peak - end) * (1 + math.cos(math.pi * min(done, 1.0))) / 2
