"""Asks a policy on a few scenes of a benchmark and says what it found."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from harness.contracts.errors import PolicyCrashed, UsageError
from harness.contracts.policy import Policy, load
from harness.contracts.setup import BenchmarkSetup
from harness.contracts.spec import EpisodeSpec
from harness.play.threads import use_one_core
from harness.preflight.actions import ActionRow, action_remarks, action_rows
from harness.preflight.answers import Answers
from harness.preflight.inputs import input_remarks
from harness.preflight.interview import AGAIN, DRAW, PLAIN, Chunk, Interview, variants
from harness.preflight.remark import Remark
from harness.preflight.scenes import Moment, SceneReader, SceneStates
from harness.preflight.sizes import Loading, cost_remarks, resident_megabytes, size_remarks
from harness.runs.plan import BenchmarkRequest, Plan, resolve

if TYPE_CHECKING:
    from harness.preflight.remote_scenes import RemoteSceneReader

TASKS = 2
"""Tasks whose simulators are built."""
STATES = 4
"""States of each scene."""
QUESTION_SECONDS = 60.0
"""Seconds that the questions should take; a slow policy is asked in fewer states."""


class PreflightProgress(Protocol):
    """Shows how far a check is."""

    def begin(self, name: str, total: int) -> None:
        """Start to count."""
        ...

    def advance(self, what: str) -> None:
        """Count one more; say what it was."""
        ...


@dataclass(frozen=True)
class PreflightRequest:
    """What to check.

    Attributes:
        policy: The policy as on the command line.
        benchmark: The benchmark as on the command line.
        tasks: Names or numbers of tasks; the first two are used.
        protocol: The protocol card; empty for the default.
        seed: The seed of the scenes.
        scenes: Scenes in all.
    """

    policy: str
    benchmark: str
    tasks: tuple[str, ...] = ()
    protocol: str = ""
    seed: int = 7
    scenes: int = 12


@dataclass(frozen=True)
class PreflightReport:
    """What was found.

    Attributes:
        remarks: One for each topic.
        rows: The actions by number; empty if no answer was usable.
        states: The states in which the policy was asked.
    """

    remarks: Sequence[Remark]
    rows: Sequence[ActionRow] = ()
    states: int = 0


def check_policy(request: PreflightRequest, progress: PreflightProgress) -> PreflightReport:
    """Load the policy, build a simulator, ask, and compare.

    Raises:
        UsageError: The policy cannot play this benchmark; the message says why.
        PolicyCrashed: The policy's code raised an exception.
    """
    from threadpoolctl import threadpool_limits

    asked = BenchmarkRequest(request.benchmark, request.tasks, request.protocol)
    work = resolve(Plan((request.policy,), (asked,), episodes=1, seed=request.seed))
    ((name, policy),), (setup,) = work.policies.items(), work.setups
    if policy.needs_env:
        raise UsageError(
            f"{name} reads or drives the simulator itself, so there are no answers to check; "
            f"doctor checks policies that act on observations"
        )
    base = EpisodeSpec(name, setup.benchmark, "", 0, request.seed, setup.protocol.label)
    use_one_core()
    with threadpool_limits(limits=1, user_api="blas"):
        loading = _loaded(policy)
        reader = _reader(setup)
        try:
            return _checked(_Check(request, setup, policy, base, loading), reader, progress)
        finally:
            reader.close()


@dataclass(frozen=True)
class _Check:
    request: PreflightRequest
    setup: BenchmarkSetup
    policy: Policy
    base: EpisodeSpec
    loading: Loading


def _loaded(policy: Policy) -> Loading:
    start, before = time.perf_counter(), resident_megabytes()
    load(policy)
    return Loading(time.perf_counter() - start, before, resident_megabytes())


def _reader(setup: BenchmarkSetup) -> "SceneReader | RemoteSceneReader":
    if setup.family.venv is None:
        return SceneReader()
    from harness.preflight.remote_scenes import RemoteSceneReader

    return RemoteSceneReader(str(setup.family.venv.interpreter))


def _checked(
    check: _Check, reader: "SceneReader | RemoteSceneReader", progress: PreflightProgress
) -> PreflightReport:
    setup, policy, seed = check.setup, check.policy, check.request.seed
    wanted = _wanted(setup, check.request.scenes)
    progress.begin("scenes", len(wanted))
    scenes: list[SceneStates] = []
    interview: Interview | None = None
    for task, episode in wanted:
        scene = reader.scene(setup, policy.spec, task, episode, seed, STATES)
        scenes.append(scene)
        if interview is None:
            # A mistake shows at the first answer, so do not read the other scenes before it.
            interview = Interview(policy, check.base, scene.spec, setup.protocol.replan)
            interview.answer(scene.moments[0], scene.moments[0].observation)
        progress.advance(task)
    assert interview is not None
    answers, failed = _ask(check, scenes, interview, progress)
    known = {remark.topic for remark in failed}
    others = [r for r in _remarks(check, scenes, interview, answers) if r.topic not in known]
    return PreflightReport(
        [*others, *failed],
        action_rows(answers) if answers else (),
        len(answers.moments) if answers else 0,
    )


def _wanted(setup: BenchmarkSetup, count: int) -> list[tuple[str, int]]:
    """Return task and episode of each scene, task by task."""
    tasks = setup.tasks[:TASKS]
    found: list[tuple[str, int]] = []
    for place, task in enumerate(tasks):
        share = count // len(tasks) + (place < count % len(tasks))
        known = setup.family.episodes(setup.benchmark, task)
        found += [(task, episode) for episode in range(min(share, known or share))]
    return found


def _ask(
    check: _Check, scenes: Sequence[SceneStates], interview: Interview, progress: PreflightProgress
) -> tuple[Answers | None, list[Remark]]:
    """Ask everything; return the usable answers, and remarks on the others."""
    instructions = check.setup.instructions
    cameras = check.policy.spec.cameras
    every = [moment for scene in scenes for moment in scene.moments]
    kinds = len(variants(every[:1], cameras, instructions)) + 1
    # The first call may compile, so the second one is timed.
    interview.answer(every[0], every[0].observation)
    each = max(1, int(QUESTION_SECONDS / (interview.seconds[-1] * kinds * len(scenes))))
    moments = [moment for scene in scenes for moment in _some(scene.moments, each)]
    questions = variants(moments, cameras, instructions)
    progress.begin("questions", len(questions) * len(moments))
    chunks: dict[str, list[Chunk]] = {}
    failed: list[Remark] = []
    for variant, observations in questions.items():
        draw = int(variant == DRAW)
        chunks[variant] = []
        try:
            for moment, observation in zip(moments, observations, strict=True):
                chunks[variant].append(interview.answer(moment, observation, draw))
                progress.advance(variant)
        except PolicyCrashed as crash:
            if variant in (PLAIN, AGAIN, DRAW):
                raise
            del chunks[variant]
            text = f"it crashes when this input is changed: {crash.summary}"
            failed.append(Remark("warning", variant, text))
    failed += _failures(interview)
    usable = [i for i in range(len(moments)) if all(len(each[i]) for each in chunks.values())]
    if not usable:
        return None, failed
    kept = {variant: [each[i] for i in usable] for variant, each in chunks.items()}
    low, high = scenes[0].low, scenes[0].high
    layout = scenes[0].spec.action_layout
    return Answers([moments[i] for i in usable], kept, low, high, layout), failed


def _some(moments: Sequence[Moment], count: int) -> list[Moment]:
    """Return some states of a scene, from the first to the last."""
    places = np.linspace(0, len(moments) - 1, min(count, len(moments))).astype(int)
    return [moments[place] for place in np.unique(places)]


def _failures(interview: Interview) -> list[Remark]:
    if not interview.failures:
        return []
    count, total = len(interview.failures), len(interview.seconds)
    text = f"{count} of {total} are unusable and would end the episode: {interview.failures[0]}"
    return [Remark("problem", "answers", text, "return finite actions of the environment's layout")]


def _remarks(
    check: _Check, scenes: Sequence[SceneStates], interview: Interview, answers: Answers | None
) -> Iterator[Remark]:
    yield _scenes(scenes, answers)
    if any(interview.lengths):
        yield from size_remarks(check.policy.spec, scenes[0], interview)
        yield from cost_remarks(check.setup, scenes, interview, check.loading)
    if answers is None:
        return
    yield from action_remarks(answers)
    told = {
        task.instruction
        for task in check.setup.family.tasks(check.setup.benchmark)
        if task.name in check.setup.tasks
    }
    yield from input_remarks(answers, check.policy.spec.cameras, len(told) > 1)


def _scenes(scenes: Sequence[SceneStates], answers: Answers | None) -> Remark:
    tasks = len({scene.moments[0].task for scene in scenes})
    played = sum(scene.expert == "succeeded" for scene in scenes)
    if all(scene.expert == "none" for scene in scenes):
        expert = "no expert, so only their first states"
    else:
        expert = f"the expert succeeded in {played}; its actions are compared there"
    states = len(answers.moments) if answers else 0
    text = f"{len(scenes)} scenes of {tasks} {'task' if tasks == 1 else 'tasks'}, {states} states"
    return Remark("ok", "scenes", f"{text}; {expert}")
