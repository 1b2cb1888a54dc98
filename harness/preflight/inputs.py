"""Which inputs the policy uses, and whether its pictures are the right way up."""

from collections.abc import Iterator, Sequence

import numpy as np

from harness.preflight.answers import Answers
from harness.preflight.chance import LEVEL, Numbers, chance_text, family_flip_p, sign_flip_p
from harness.preflight.interview import (
    AGAIN,
    DRAW,
    INSTRUCTION,
    PICTURE,
    STATE,
    VIEWS,
    one_camera_name,
)
from harness.preflight.remark import Remark


def input_remarks(
    answers: Answers, cameras: Sequence[str], several_instructions: bool
) -> Iterator[Remark]:
    """Yield what there is to say about the inputs.

    Args:
        answers: The policy's answers.
        cameras: The policy's cameras.
        several_instructions: Whether the tasks that are evaluated differ in their instructions.
    """
    yield _repeatable(answers)
    yield _draws(answers)
    if cameras:
        if PICTURE in answers.chunks:
            yield _use(answers, PICTURE, "pictures", "another scene's pictures", "warning")
        else:
            yield Remark("ok", "pictures", "not checked: all scenes have the same pictures")
        yield _views(answers)
        yield _orientation(answers, cameras)
    else:
        yield Remark(
            "ok", "pictures", "the policy asks for none; name them in cameras if it must see"
        )
    level = "warning" if several_instructions else "ok"
    if INSTRUCTION in answers.chunks:
        yield _use(answers, INSTRUCTION, "instruction", "another instruction", level)
    if STATE in answers.chunks:
        yield _use(answers, STATE, "state", "another scene's state", "ok")
    else:
        yield Remark("ok", "state", "not checked: all scenes have the same state")


def _repeatable(answers: Answers) -> Remark:
    n, same = len(answers.moments), answers.same(AGAIN)
    if same == n:
        return Remark("ok", "repeatable", f"the same bits for the same question, {n} of {n} times")
    return Remark(
        "warning",
        "repeatable",
        f"another answer to the same question and random stream in {n - same} of {n} states",
        "draw only from the given stream, and keep nothing between calls; "
        "otherwise a run cannot be repeated",
    )


def _draws(answers: Answers) -> Remark:
    n, same = len(answers.moments), answers.same(DRAW)
    if same == n:
        return Remark(
            "ok", "random", f"it draws nothing: another stream changes none of {n} answers"
        )
    size = _mean(answers, DRAW)
    return Remark(
        "ok", "random", f"another stream changes the answer by {size:.2f} spreads, n = {n}"
    )


def _use(answers: Answers, variant: str, topic: str, changed: str, level: str) -> Remark:
    """Say whether the answers change with an input."""
    n, same = len(answers.moments), answers.same(variant)
    fix = f"if it should use its {topic}, check how they reach the network"
    if same == n:
        text = f"ignored: {changed} changes none of {n} answers"
        return Remark("warning" if level == "warning" else "ok", topic, text, fix)
    # A policy that is not repeatable changes its answer by itself.
    change, itself = answers.change(variant), answers.change(AGAIN)
    size = float(np.nanmean(change)) if np.isfinite(change).any() else 0.0
    if np.nansum(itself) > 0:
        p = sign_flip_p(answers.by_scene(change - itself))
        if p >= LEVEL:
            text = (
                f"no sign that it uses them: {changed} changes the answer no more than asking again"
            )
            found: Remark = Remark("ok", topic, f"{text} ({chance_text(p)}, n = {n} states)")
            return found
    hardly = size < 0.01
    text = f"{changed} changes the answer by {size:.2f} spreads, n = {n} states"
    if hardly and level == "warning":
        return Remark("warning", topic, f"hardly used: {text}", fix)
    return Remark("ok", topic, text)


def _views(answers: Answers) -> Remark:
    """Say how much a change of the pictures changes the answer."""
    views = [view for view in VIEWS if view in answers.chunks]
    parts: list[str] = []
    draws = answers.same(DRAW) < len(answers.moments)
    differences = [answers.by_scene(answers.change(v) - answers.change(DRAW)) for v in views]
    chances = family_flip_p(np.array(differences))
    for view, p in zip(views, chances, strict=True):
        more = ", more than another draw" if draws and p < LEVEL else ""
        parts.append(f"{view} {_mean(answers, view):.2f}{more}")
    n = len(answers.moments)
    return Remark("ok", "views", f"change in spreads: {'; '.join(parts)}; n = {n} states")


def _orientation(answers: Answers, cameras: Sequence[str]) -> Remark:
    """Test whether another view of the pictures brings the answers nearer to the expert's."""
    if not answers.has_expert.any():
        return Remark("ok", "orientation", "not checked: no expert in these scenes")
    alone = [one_camera_name(camera) for camera in cameras] if len(cameras) > 1 else []
    views = [view for view in (*VIEWS, *alone) if view in answers.chunks]
    plain = answers.error("plain")
    gains = [answers.by_scene(plain - answers.error(view)) for view in views]
    scenes = len(gains[0])
    if scenes == 0:
        return Remark("ok", "orientation", "not checked: the expert does the same in all scenes")
    nearer = family_flip_p(np.array(gains))
    best = max(range(len(views)), key=lambda place: float(np.mean(gains[place])))
    text = f"{views[best]}, the pictures bring the answers {_percent(gains[best], plain)} nearer"
    if nearer[best] < LEVEL:
        return Remark(
            "problem",
            "orientation",
            f"{text} to the expert's ({scenes} scenes, {chance_text(nearer[best])})",
            f"does the policy expect its pictures {views[best]}?",
        )
    worse = int(np.sum(family_flip_p(-np.array(gains)) < LEVEL))
    return Remark(
        "ok",
        "orientation",
        f"no sign of a wrong one: no change of the pictures brings the answers nearer to the "
        f"expert's, {worse} of {len(views)} bring them farther; {scenes} scenes",
    )


def _percent(gain: Numbers, plain: Numbers) -> str:
    return f"{float(np.mean(gain)) / float(np.nanmean(plain)):.0%}"


def _mean(answers: Answers, variant: str) -> float:
    change = answers.change(variant)
    return float(np.nanmean(change)) if np.isfinite(change).any() else 0.0
