"""Training on a second device, without a GPU: see tests/helpers/elsewhere.py."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from policies.augment.pictures import Augmentation
from policies.augment.spherical import Spherical
from policies.train import randomness
from policies.train.__main__ import main
from policies.train.corpus import Corpus, read_corpus
from policies.train.optimizer import Optimizer
from policies.train.prefix_cache import PrefixCache
from policies.train.run import make_task
from policies.train.settings import Settings
from policies.train.task import Task
from tests.helpers.demos import PIXELS, write_demos
from tests.helpers.elsewhere import ELSEWHERE, Elsewhere

SETTINGS = Settings(
    size="dummy",
    horizon=4,
    replan=2,
    batch=6,
    held_out=3,
    accumulate=2,
    augmentation=Augmentation(spherical=Spherical(share=0.5)),
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    data = write_demos(tmp_path_factory.mktemp("demos"), range(12))
    return read_corpus((data,), SETTINGS, PIXELS, 1.0, tmp_path_factory.mktemp("out"))


def two_steps(task: Task) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Return the losses of two updates and of a validation, and everything that is stored."""
    optimizer = Optimizer(task.model, SETTINGS)
    losses = []
    for step in range(2):
        augmentation = randomness.generator(0, "pictures", step)
        noise = randomness.generator(0, "loss", step)
        rows = randomness.batch_rows(len(task.epoch), SETTINGS.batch, 0, step)
        parts = [task.batch(task.epoch[part], augmentation) for part in np.split(rows, 2)]
        steps = (partial(task.loss, part, noise) for part in parts)
        losses.append(optimizer.update(steps)[0])
    with torch.no_grad():
        losses.append(float(task.loss(task.batch(task.validation[:4], None), noise)))
    kept = {name: value.detach().cpu().clone() for name, value in optimizer.state().items()}
    again = Optimizer(task.model, SETTINGS)
    again.restore(optimizer.state(), optimizer.step)
    optimizer.adopt_average()
    return losses, kept


@pytest.mark.parametrize("head", ["flow", "fast", "masked"])
def test_updates_are_those_of_the_cpu(head: str, corpus: Corpus) -> None:
    """With augmentation, accumulation, validation, and the state that a resumed training reads."""
    settings = replace(SETTINGS, head=head)
    losses, kept = two_steps(make_task(corpus, settings, torch.device("cpu")))
    with Elsewhere() as elsewhere:
        task = make_task(corpus, settings, ELSEWHERE)
        moved_losses, moved = two_steps(task)
        assert {weight.device for weight in task.model.parameters()} == {ELSEWHERE}
    assert elsewhere.drawn == []
    np.testing.assert_allclose(moved_losses, losses, rtol=1e-3)
    # AdamW divides by the size of a gradient, which may be rounding alone.
    near = [torch.isclose(moved[name], kept[name], atol=2e-5, rtol=1e-3) for name in kept]
    assert moved.keys() == kept.keys()
    assert torch.cat([each.flatten() for each in near]).float().mean() > 0.95


def test_cached_prefixes_stay_on_the_device(corpus: Corpus) -> None:
    with Elsewhere():
        task = make_task(corpus, replace(SETTINGS, head="flow"), ELSEWHERE)
        cache = PrefixCache.compute(
            task.model.backbone, len(corpus), lambda rows: task.batch(rows, None).inputs
        )
        cached = replace(task, prefixes=cache)
        rows = np.array([0, 5, 9])
        noise = [randomness.generator(0, "loss") for _ in range(2)]
        with torch.no_grad():
            loss = task.loss(task.batch(rows, None), noise[0])
            again = cached.loss(cached.batch(rows, None), noise[1])
        assert again.device == ELSEWHERE
        torch.testing.assert_close(again.cpu(), loss.cpu())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "meta", "graphics"])
def test_a_device_that_is_not_there_is_one_line_before_the_data_are_read(
    device: str, workers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", "nowhere", "--out", str(tmp_path / "out"), "--device", device]
    assert main([*arguments, "--workers", workers]) == 2
    shown = capsys.readouterr().err
    assert f"--device {device}: " in shown
    assert "Traceback" not in shown
    assert "nowhere" not in shown
    assert not (tmp_path / "out").exists()
