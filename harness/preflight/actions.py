"""What the policy's actions look like beside the action space and the expert's actions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.preflight.answers import Answers, Number
from harness.preflight.chance import LEVEL, Numbers, chance_text, family_flip_p, sign_flip_p
from harness.preflight.remark import Remark

SCALE_FACTOR = 5.0
"""A difference in scale that is worth a warning."""
_STILL = 0.01
"""A movement below this share of the expert's counts as none."""
_OUTSIDE = 0.05
"""A number that exceeds the action space by this share of it is clearly outside."""


@dataclass(frozen=True)
class ActionRow:
    """The values of one number of the action, for the table.

    Attributes:
        number: Its name.
        space: Its bounds.
        policy: Minimum, median and maximum of the policy's.
        expert: The same of the expert's; None without an expert.
        correlation: The correlation of both over the states; None if it is not defined.
    """

    number: str
    space: tuple[float, float]
    policy: tuple[float, float, float]
    expert: tuple[float, float, float] | None
    correlation: float | None


def action_rows(answers: Answers) -> list[ActionRow]:
    """Return a row for each number of the action."""
    known = [chunk for chunk in answers.expert if len(chunk)]
    expert = np.concatenate(known) if known else None
    rows: list[ActionRow] = []
    for number in answers.numbers:
        at = number.index
        rows.append(
            ActionRow(
                number.label,
                (float(answers.low[at]), float(answers.high[at])),
                _range(answers.actions[:, at]),
                None if expert is None else _range(expert[:, at]),
                _correlation(answers, at),
            )
        )
    return rows


def action_remarks(answers: Answers) -> Iterator[Remark]:
    """Yield what there is to say about the actions."""
    yield _clipping(answers)
    if answers.is_constant:
        n, scenes = len(answers.moments), len(set(answers.scenes))
        yield Remark(
            "problem",
            "actions",
            f"the same actions in all {n} states of {scenes} scenes",
            "the policy does not use its inputs: check the weights and the preprocessing",
        )
    if not answers.has_expert.any():
        yield _without_expert(answers)
        return
    still = _stillness(answers)
    yield still or _scale(answers)
    for number in answers.numbers:
        if number.is_gripper:
            yield _gripper(answers, number)
    if still is None:
        yield _direction(answers)


def _clipping(answers: Answers) -> Remark:
    actions, n = answers.actions, len(answers.actions)
    low, high = answers.low.astype(np.float64), answers.high.astype(np.float64)
    outside = np.mean(((actions < low - 1e-5) | (actions > high + 1e-5)).any(axis=1))
    margin = np.where(np.isfinite(high - low), _OUTSIDE * (high - low), 0.0)
    far = (actions < low - margin) | (actions > high + margin)
    share, worst = float(far.any(axis=1).mean()), int(far.mean(axis=0).argmax())
    text = f"{outside:.0%} of {n} actions would be clipped"
    if share <= _OUTSIDE:
        small = ", by less than 5 % of the action space" if outside and share == 0 else ""
        return Remark("ok", "action space", text + small)
    return Remark(
        "problem" if share > 0.5 else "warning",
        "action space",
        f"{text}; {share:.0%} by more than 5 % of the action space, most often "
        f"{answers.numbers[worst].label}",
        "check the unit and the unnormalisation of the actions",
    )


def _without_expert(answers: Answers) -> Remark:
    """Say whether the policy moves at all."""
    width = np.where(np.isfinite(answers.high - answers.low), answers.high - answers.low, 2.0)
    moved = np.abs(answers.policy_moves / width)[:, _moving(answers.numbers)]
    text = "no expert to compare with in these scenes"
    if moved.size and np.nanmax(moved) < 1e-3:
        n = len(answers.moments)
        return Remark("problem", "scale", f"all actions are nearly 0 in {n} states", _UNIT_FIX)
    return Remark("ok", "scale", text)


_UNIT_FIX = "check the unit and the unnormalisation of the actions: statistics of another data set?"


def _stillness(answers: Answers) -> Remark | None:
    """Return a problem if the policy commands hardly any movement where the expert moves."""
    known, at = answers.has_expert, _moving(answers.numbers)
    mine, expert = (
        _size(answers.policy_moves[known][:, at]),
        _size(answers.expert_moves[known][:, at]),
    )
    if expert == 0 or mine >= _STILL * expert:
        return None
    n = int(known.sum())
    text = f"all actions are nearly 0: {mine / expert:.1%} of the expert's movement in {n} states"
    return Remark("problem", "scale", text, _UNIT_FIX)


def _scale(answers: Answers) -> Remark:
    """Compare the size of the movements, by the parts of the layout."""
    known, n = answers.has_expert, int(answers.has_expert.sum())
    ratios: dict[str, float] = {}
    for part in dict.fromkeys(number.part for number in answers.numbers if not number.is_gripper):
        at = [number.index for number in answers.numbers if number.part == part]
        mine = _size(answers.policy_moves[known][:, at])
        expert = _size(answers.expert_moves[known][:, at])
        width = answers.high[at] - answers.low[at]
        least = 1e-3 * float(width.max()) if np.isfinite(width).all() else 0.0
        if expert > least:
            ratios[part.name] = mine / expert
    listed = ", ".join(f"{name} {ratio:.2g}" for name, ratio in ratios.items())
    text = f"movement as a multiple of the expert's: {listed or 'not defined'}; n = {n} states"
    if all(1 / SCALE_FACTOR <= ratio <= SCALE_FACTOR for ratio in ratios.values()):
        return Remark("ok", "scale", text)
    return Remark("warning", "scale", text, _UNIT_FIX)


def _gripper(answers: Answers, number: Number) -> Remark:
    """Compare on which side of the middle the gripper's numbers of policy and expert are."""
    known, at = answers.has_expert, number.index
    mine, expert = answers.policy_moves[known, at], answers.expert_moves[known, at]
    n, middle = len(expert), (expert.min() + expert.max()) / 2
    if expert.max() - expert.min() < 0.1 * max(1e-6, float(answers.high[at] - answers.low[at])):
        text = (
            f"the expert does not move it in these scenes, so its sign cannot be checked; n = {n}"
        )
        return Remark("ok", number.label, text)
    low, high = float(answers.low[at]), float(answers.high[at])
    if _is_half(mine, low, high) and expert.min() < low / 2 and expert.max() > high / 2:
        values = f"{mine.min():.2g} to {mine.max():.2g} in {n} states"
        text = f"{values}; the expert's is {low:g} to {high:g}"
        return Remark(
            "warning", number.label, text, f"rescale it from 0..{high:g} to {low:g}..{high:g}?"
        )
    if not (mine > middle).any() or not (mine < middle).any():
        side = "above" if (mine >= middle).all() else "below"
        text = f"always {side} {middle:.2g} in {n} states, and the expert's is on both sides"
        fix = f"check it if the task needs both. The environment says: {number.part.meaning}"
        return Remark("warning", number.label, text, fix)
    agrees = np.sign(mine - middle) * np.sign(expert - middle)
    opposite, same = int((agrees < 0).sum()), int((agrees > 0).sum())
    # Each scene counts both sides alike, so a gripper that stays on one side is no evidence.
    balanced = _balanced(agrees, expert > middle, answers.scenes[known])
    p = sign_flip_p(-balanced)
    if p < LEVEL:
        text = (
            f"opposite to the expert's in {opposite} of {n} states "
            f"({len(balanced)} scenes with both sides, {chance_text(p)})"
        )
        fix = f"flip its sign? The environment says: {number.part.meaning}"
        return Remark("problem", number.label, text, fix)
    agree = f"on the expert's side in {same} of {n} states, {len(balanced)} scenes with both sides"
    return Remark("ok", number.label, f"no sign of an opposite sign: {agree}")


def _is_half(values: Numbers, low: float, high: float) -> bool:
    """Return whether the values span 0 to `high`, where `low` to `high` was possible."""
    small = 0.15 * high
    return low < 0 < high and -small < values.min() < small and values.max() > high - small


def _direction(answers: Answers) -> Remark:
    """Compare the direction of each movement with the expert's."""
    known = answers.has_expert
    numbers = [n for n in answers.numbers if not (n.is_gripper or n.is_quaternion)]
    products = {
        number: answers.policy_moves[:, number.index] * answers.expert_moves[:, number.index]
        for number in numbers
    }
    moved = {n: each for n, each in products.items() if np.nansum(np.abs(each)) > 0}
    if not moved:
        return Remark("ok", "direction", "no movement to compare")
    by_scene = [answers.by_scene(each) for each in moved.values()]
    against = family_flip_p(-np.array(by_scene))
    scenes, n = len(by_scene[0]), int(known.sum())
    signs = np.concatenate([np.sign(each[known]) for each in moved.values()])
    share = float(np.mean(signs[signs != 0] > 0))
    found = [(number, p) for number, p in zip(moved, against, strict=True) if p < LEVEL]
    text = f"the expert's sign in {share:.0%} of the numbers of {n} states, {scenes} scenes"
    if not found:
        return Remark("ok", "direction", f"no sign of an opposite direction: {text}")
    named = ", ".join(f"{number.label} ({chance_text(p)})" for number, p in found)
    return Remark(
        "warning",
        "direction",
        f"against the expert's: {named}; {scenes} scenes",
        f"check sign, frame and order. The environment says: {found[0][0].part.meaning}",
    )


def _balanced(agrees: Numbers, side: NDArray[np.bool_], scenes: NDArray[np.int64]) -> Numbers:
    """Return each scene's mean agreement, with both sides of the expert counted alike."""
    found: list[float] = []
    for scene in np.unique(scenes):
        here = scenes == scene
        if side[here].any() and not side[here].all():
            means = [agrees[here & (side == one)].mean() for one in (True, False)]
            found.append(float(np.mean(means)))
    return np.array(found)


def _moving(numbers: Sequence[Number]) -> list[int]:
    return [number.index for number in numbers if not number.is_gripper]


def _size(moves: Numbers) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.nanmean(moves**2))) if moves.size else 0.0


def _range(values: NDArray[Any]) -> tuple[float, float, float]:
    return float(values.min()), float(np.median(values)), float(values.max())


def _correlation(answers: Answers, at: int) -> float | None:
    known = answers.has_expert
    if known.sum() < 3:
        return None
    mine, expert = answers.policy_moves[known, at], answers.expert_moves[known, at]
    if mine.std() < 1e-9 or expert.std() < 1e-9:
        return None
    return float(np.corrcoef(mine, expert)[0, 1])
