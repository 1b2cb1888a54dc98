"""Measures the coverage of the intervals and the error rates of the tests.

    python perf/intervals.py [--repeats 500]

Coverage is the share of intervals that contain the true value; its nominal value is 0.95. Size is
the share of significant results between equal policies; it should be at most 0.05. Width is the
mean width of the intervals. A column for each alternative that was not chosen stands beside ours.

Success rates and pairs of successes are exact sums over all outcomes. Everything else is simulated
with fixed seeds; with 500 repeats, a coverage of 0.95 has a standard error of 0.01. BCa, betting,
and the tests of process scores use a fifth of the repeats. A cell with several values has one for
each n. docs/statistics.md shows the tables. The last line is one JSON object.
"""

import argparse
import json
import math
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.proportion import proportion_confint
from tabulate import tabulate

from harness.statistics import compare, family, interval, means, power, sequential
from harness.statistics.interval import Floats, Interval

Draw = Callable[[np.random.Generator, int], Floats]
Row = dict[str, Any]
SIZES = (10, 25, 50, 100)


def student(values: Floats, low: float = 0.0, high: float = 1.0) -> Interval:
    """Return Student's interval, clipped to the bounds."""
    mean, n = float(values.mean()), len(values)
    half = float(stats.t.ppf(0.975, n - 1)) * float(values.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, max(low, mean - half), min(high, mean + half))


def bootstrap(values: Floats) -> Interval:
    """Return the interval of the BCa bootstrap."""
    mean = float(values.mean())
    if np.ptp(values) == 0:
        return Interval(mean, mean, mean)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = stats.bootstrap((values,), np.mean, n_resamples=999, rng=np.random.default_rng(0))
    low, high = found.confidence_interval
    return Interval(mean, float(np.nan_to_num(low, nan=mean)), float(np.nan_to_num(high, nan=mean)))


def betting(values: Floats) -> Interval:
    """Return the interval of the sequential comparison, by betting."""
    found = sequential.sequential_comparison(2 * values - 1).difference
    return Interval((found.estimate + 1) / 2, (found.low + 1) / 2, (found.high + 1) / 2)


def clopper_pearson(successes: int, n: int) -> Interval:
    """Return the exact interval of a success rate."""
    low, high = proportion_confint(successes, n, method="beta")
    return Interval(successes / n, float(low), float(high))


def mid_p(only_a: int, only_b: int) -> float:
    """Return McNemar's mid-p: the exact p with half of the probability of the observed counts."""
    fewer, discordant = min(only_a, only_b), only_a + only_b
    point = float(stats.binom.pmf(fewer, discordant, 0.5))
    return min(1.0, 2 * float(stats.binom.cdf(fewer, discordant, 0.5)) - point)


def coverage(intervals: Sequence[Interval], truths: Sequence[float]) -> tuple[float, float]:
    """Return the share of intervals that contain the true value, and their mean width."""
    # The tolerance is for a limit that equals the true value up to rounding.
    held = [i.low - 1e-9 <= t <= i.high + 1e-9 for i, t in zip(intervals, truths, strict=True)]
    return round(float(np.mean(held)), 3), round(
        float(np.mean([i.high - i.low for i in intervals])), 3
    )


def show(title: str, rows: list[Row], over: str = "") -> list[Row]:
    """Print rows as a table, and return them.

    With `over`, rows with equal values in the columns before it share a line.
    """
    frame = pd.DataFrame(rows).astype(object).fillna("").astype(str)
    if over:
        names = list(rows[0])
        frame = frame.groupby(names[: names.index(over)], sort=False, as_index=False).agg(_joined)
    table = tabulate(frame.to_dict("records"), "keys", "github", disable_numparse=True)
    print(f"\n### {title}\n\n{table}", flush=True)
    return rows


def _joined(values: "pd.Series[str]") -> str:
    return " ".join(filter(None, values))


def rates() -> list[Row]:
    """Return the exact coverage of success rates, over all true rates from 0.5 % to 99.5 %."""
    truths = np.linspace(0.005, 0.995, 199)
    rows = []
    for n in SIZES:
        chances = stats.binom.pmf(np.arange(n + 1)[:, None], n, truths)
        row: Row = {"n": n}
        wilson = [interval.rate_interval(k, n) for k in range(n + 1)]
        exact = [clopper_pearson(k, n) for k in range(n + 1)]
        for name, found in (("Wilson", wilson), ("Clopper-Pearson", exact)):
            held = np.array([[truth in one for truth in truths] for one in found])
            cover = (chances * held).sum(axis=0)
            row[f"{name}, mean"] = round(float(cover.mean()), 3)
            row[f"{name}, lowest"] = round(float(cover.min()), 3)
        rows.append(row)
    return show("Coverage of a success rate, over all true rates", rows)


def inflated(zeros: float, ones: float, a: float, b: float) -> tuple[Draw, float]:
    """Return a source of scores that are 0 or 1 with these probabilities, else beta-distributed."""

    def draw(random: np.random.Generator, n: int) -> Floats:
        u = random.random(n)
        return np.where(u < zeros, 0.0, np.where(u < zeros + ones, 1.0, random.beta(a, b, n)))

    return draw, ones + (1 - zeros - ones) * a / (a + b)


def subgoals(rate: float, count: int) -> tuple[Draw, float]:
    """Return a source of scores: the share of sub-goals reached, one after another."""

    def draw(random: np.random.Generator, n: int) -> Floats:
        reached = np.cumprod(random.random((n, count)) < rate, axis=1)
        return np.asarray(reached.sum(axis=1) / count)

    return draw, sum(rate**i for i in range(1, count + 1)) / count


def scores(repeats: int) -> list[Row]:
    """Simulate the coverage of a mean process score."""
    cases = {
        "5 % zeros, 90 % ones": inflated(0.05, 0.9, 2, 2),
        "2 % zeros, 95 % ones": inflated(0.02, 0.95, 8, 2),
        "40 % zeros, 40 % ones": inflated(0.4, 0.4, 1, 1),
        "70 % zeros, 5 % ones": inflated(0.7, 0.05, 1, 4),
        "3 % zeros, else near 0.8": inflated(0.03, 0.0, 40, 10),
        "4 sub-goals at 95 %": subgoals(0.95, 4),
        "4 sub-goals at 50 %": subgoals(0.5, 4),
        "success alone, 97 %": subgoals(0.97, 1),
    }
    rows = []
    for name, (draw, truth) in cases.items():
        for n in SIZES:
            random = np.random.default_rng(n)
            samples = [draw(random, n) for _ in range(repeats)]
            few = samples[: repeats // 5]
            rows.append(
                {"scores": name, "n": n}
                | _row("ours", [interval.mean_interval(s) for s in samples], truth)
                | _row("Student", [student(s) for s in samples], truth)
                | _row("BCa", [bootstrap(s) for s in few], truth)
                | _row("betting", [betting(s) for s in few], truth)
            )
    return show("Coverage and width of a mean process score", rows, over="n")


def _row(name: str, intervals: Sequence[Interval], truth: float) -> Row:
    held, width = coverage(intervals, [truth] * len(intervals))
    return {name: held, f"{name}, width": width}


def suites(repeats: int) -> list[Row]:
    """Simulate the coverage of a suite's mean, over exactly these tasks and over similar tasks."""
    rows = []
    for tasks, n in ((5, 10), (10, 5), (10, 10), (10, 50), (50, 10)):
        labels = np.repeat(np.arange(tasks), n).tolist()
        for mean, icc in ((0.5, 0.3), (0.8, 0.1), (0.8, 0.3), (0.95, 0.1), (0.95, 0.3)):
            random = np.random.default_rng(tasks * n)
            spread = 1 / icc - 1
            truths = random.beta(mean * spread, (1 - mean) * spread, (repeats, tasks))
            draws = (random.random((repeats, tasks, n)) < truths[:, :, None]).astype(float)
            flat = draws.reshape(repeats, -1)
            fixed = [interval.fixed_tasks_interval(row, labels) for row in flat]
            pooled = [interval.mean_interval(row) for row in flat]
            sampled = [interval.sampled_tasks_interval(row, labels) for row in flat]
            naive = [student(row) for row in draws.mean(axis=2)]
            here = truths.mean(axis=1).tolist()
            row = {"tasks": tasks, "episodes": n, "mean": mean, "icc": icc}
            for name, found in (("fixed", fixed), ("pooled", pooled)):
                row[name], row[f"{name}, width"] = coverage(found, here)
            rows.append(row | _row("sampled", sampled, mean) | _row("Student", naive, mean))
    return show("Coverage and width of a suite's mean", rows)


def paired_successes() -> list[Row]:
    """Return the exact coverage of Tango's interval and the exact size of both McNemar tests."""
    rows = []
    for n in (10, 25, 50):
        tables = [(b, c) for b in range(n + 1) for c in range(n + 1 - b)]
        found = [compare.tango_interval(b, c, n) for b, c in tables]
        exact = np.array([compare.mcnemar_p(b, c) < 0.05 for b, c in tables])
        mid = np.array([mid_p(b, c) < 0.05 for b, c in tables])
        cells = np.array([(b, c, n - b - c) for b, c in tables])
        covers, sizes, mids = [], [], []
        for discordant in np.linspace(0.05, 0.95, 10):
            for share in np.linspace(0.5, 1.0, 6):
                a, b = discordant * share, discordant * (1 - share)
                chances = stats.multinomial.pmf(cells, n, [a, b, 1 - a - b])
                covers.append(float(chances @ np.array([a - b in i for i in found])))
                if share == 0.5:
                    sizes.append(float(chances @ exact))
                    mids.append(float(chances @ mid))
        rows.append(
            {"n": n, "Tango, mean": round(float(np.mean(covers)), 3)}
            | {"Tango, lowest": round(min(covers), 3)}
            | {"exact McNemar, largest size": round(max(sizes), 3)}
            | {"mid-p, largest size": round(max(mids), 3)}
        )
    return show("Paired successes: coverage of Tango's interval, size of McNemar's tests", rows)


def unequal_tasks(repeats: int) -> list[Row]:
    """Simulate the comparison of two means over three tasks of unequal n, and the pooled one.

    The policies are equal on average over the tasks. B is better on one task by as much as A is on
    another.
    """
    rows = []
    sizes = np.array([60, 15, 8])
    tasks = np.repeat(np.arange(3), sizes)
    for discordant, apart in ((0.1, 0.0), (0.3, 0.0), (0.5, 0.0), (0.5, 0.2), (0.5, 0.4)):
        random = np.random.default_rng(0)
        only_a = discordant / 2 + np.array([apart, -apart, 0.0])[tasks] / 2
        found, pooled = [], []
        for _ in range(repeats):
            u, same = random.random(len(tasks)), random.random(len(tasks)) < 0.5
            a = np.where(u < discordant, u < only_a, same)
            b = np.where(u < discordant, u >= only_a, same)
            found.append(means.paired_means(a, b, tasks.tolist(), success=True).comparison)
            pooled.append(compare.paired_success(a, b))
        row: Row = {"disagreement": discordant, "difference on two tasks": apart}
        for name, each in (("by task", found), ("pooled", pooled)):
            row[f"{name}, size"] = round(float(np.mean([one.p < 0.05 for one in each])), 3)
            gaps = [one.difference for one in each]
            row[f"{name}, coverage"], row[f"{name}, width"] = coverage(gaps, [0.0] * len(gaps))
        rows.append(row)
    return show("Equal policies on three tasks of 60, 15 and 8 scenes", rows)


def paired_scores(repeats: int) -> list[Row]:
    """Simulate the coverage of a paired difference of scores, and the permutation test."""
    rows = []
    for rate_a, rate_b, shared in (
        (0.95, 0.95, 0.0),
        (0.95, 0.95, 0.8),
        (0.8, 0.7, 0.5),
        (0.98, 0.95, 0.5),
    ):
        truth = sum(rate_a**i - rate_b**i for i in (1, 2, 3)) / 3
        for n in SIZES:
            random = np.random.default_rng(n)
            u = random.random((repeats, n, 3))
            same = random.random((repeats, n, 1)) < shared
            v = np.where(same, u, random.random((repeats, n, 3)))
            a = np.cumprod(u < rate_a, axis=2).mean(axis=2)
            b = np.cumprod(v < rate_b, axis=2).mean(axis=2)
            few = repeats // 5
            row: Row = {"sub-goal rates": f"{rate_a} and {rate_b}", "shared": shared, "n": n}
            row |= _row("ours", [interval.mean_interval(d, (-1, 1)) for d in a - b], truth)
            row |= _row("Student", [student(d, -1) for d in a - b], truth)
            row |= _row("BCa", [bootstrap(d) for d in (a - b)[:few]], truth)
            if n == 25:
                found = [
                    compare.paired_scores(*pair).p for pair in zip(a[:few], b[:few], strict=True)
                ]
                row["test rejects at n = 25"] = round(float(np.mean(np.array(found) < 0.05)), 3)
            rows.append(row)
    return show("Paired process scores of three sub-goals: coverage and width", rows, over="n")


def best_sets(repeats: int) -> list[Row]:
    """Simulate how often the best set loses one of equal policies, for two families of tests."""

    def quick(a: Any, b: Any) -> compare.Comparison:
        p = compare.mcnemar_p(int(np.sum(a & ~b)), int(np.sum(~a & b)))
        return compare.Comparison(Interval(0, -1, 1), p, len(a), "", 0, 0)

    rows = []
    for policies, n in ((3, 500), (10, 50), (10, 500)):
        random = np.random.default_rng(policies)
        lost, lost_few = 0, 0
        for _ in range(repeats):
            column = list(random.random((policies, n)) < 0.8)
            found = family.best_set(column, quick)
            lost += len(found.members) < policies
            others = [quick(column[found.best], c).p for c in column if c is not column[found.best]]
            lost_few += bool(np.any(family.holm(others) < 0.05))
        row = {"equal policies": policies, "n": n, "all pairs": round(lost / repeats, 3)}
        rows.append(row | {"only pairs with the best": round(lost_few / repeats, 3)})
    return show("How often one of equal policies is called worse than the best", rows)


def watched(repeats: int) -> list[Row]:
    """Simulate how often the sequential comparison decides between equal policies."""
    rows = []
    for name, rate_a, rate_b, goals in (
        ("success 50 %", 0.5, 0.5, 1),
        ("success 90 %", 0.9, 0.9, 1),
        ("success 98 %", 0.98, 0.98, 1),
        ("3 sub-goals at 80 %", 0.8, 0.8, 3),
    ):
        random = np.random.default_rng(goals)
        decided, held = 0, 0
        for _ in range(repeats):
            a = np.cumprod(random.random((500, goals)) < rate_a, axis=1).mean(axis=1)
            b = np.cumprod(random.random((500, goals)) < rate_b, axis=1).mean(axis=1)
            found = sequential.sequential_comparison(a - b)
            decided += found.outcome != "undecided"
            looks = [sequential.sequential_comparison((a - b)[:n]) for n in (20, 50, 100, 200)]
            held += all(0.0 in look.difference for look in (*looks, found))
        row = {"equal policies": name, "decided": round(decided / repeats, 3)}
        rows.append(row | {"interval covers at five looks": round(held / repeats, 3)})
    return show("Sequential comparison of equal policies, looking after each of 500 pairs", rows)


def ordered(repeats: int) -> list[Row]:
    """Simulate policies with equal means over ten tasks, for three orders of the pairs."""
    random = np.random.default_rng(1)
    gap = np.repeat([0.2, -0.2], 5)
    decided = {"task by task": 0, "shuffled": 0, "means of rounds": 0}
    for _ in range(repeats):
        a = random.random((50, 10)) < 0.6 + gap
        b = random.random((50, 10)) < 0.6 - gap
        rounds: Floats = a.astype(float) - b
        shuffled = random.permutation(rounds.ravel())
        for name, steps in (
            ("task by task", rounds.T.ravel()),
            ("shuffled", shuffled),
            ("means of rounds", rounds.mean(axis=1)),
        ):
            decided[name] += sequential.sequential_comparison(steps).outcome != "undecided"
    rows = [
        {"order": name, "decided": round(count / repeats, 3)} for name, count in decided.items()
    ]
    return show("Sequential comparison of policies that are equal only on average over tasks", rows)


def stopping(repeats: int) -> list[Row]:
    """Simulate how soon the sequential comparison decides, relative to the planned number."""
    planned = power.episodes_needed(0.8, 0.1).paired_worst
    rows = []
    for rate in (0.85, 0.9, 0.95, 1.0):
        random = np.random.default_rng(2)
        used, better, once = [], 0, 0
        for _ in range(repeats):
            a, b = random.random(2 * planned) < rate, random.random(2 * planned) < 0.8
            found = sequential.sequential_comparison(a.astype(float) - b)
            used.append(found.pairs)
            better += found.outcome == "better"
            a, b = a[:planned], b[:planned]
            once += compare.mcnemar_p(int(np.sum(a & ~b)), int(np.sum(~a & b))) < 0.05
        row = {"rates": f"{rate} and 0.8", "sequential power": round(better / repeats, 3)}
        row |= {
            "mean pairs": round(float(np.mean(used))),
            "median pairs": round(float(np.median(used))),
        }
        rows.append(
            row | {"planned pairs": planned, "power at the planned pairs": round(once / repeats, 3)}
        )
    return show("Sequential comparison, stopped at twice the planned pairs", rows)


def planned_power(repeats: int) -> list[Row]:
    """Simulate the power at the planned numbers of episodes."""
    rows = []
    for baseline, difference in ((0.5, 0.1), (0.5, 0.2), (0.8, 0.1), (0.9, 0.05), (0.95, 0.03)):
        plan = power.episodes_needed(baseline, difference)
        random = np.random.default_rng(3)
        row: Row = {"baseline": baseline, "difference": difference}
        for name, n in (("paired_best", plan.paired_best), ("paired_worst", plan.paired_worst)):
            u = random.random((repeats, n))
            v = u if name == "paired_best" else random.random((repeats, n))
            a, b = u < baseline + difference, v < baseline
            counts = zip((a & ~b).sum(axis=1), (~a & b).sum(axis=1), strict=True)
            found = [compare.mcnemar_p(int(x), int(y)) < 0.05 for x, y in counts]
            row |= {name: n, f"{name}, power": round(float(np.mean(found)), 3)}
        n = plan.unpaired
        few = repeats if n > compare.BOSCHLOO_LIMIT else repeats // 5
        ours, theirs = (
            random.binomial(n, baseline + difference, few),
            random.binomial(n, baseline, few),
        )
        p = [
            compare.compare_rates(int(x), n, int(y), n).p for x, y in zip(ours, theirs, strict=True)
        ]
        row |= {"unpaired": n, "unpaired, power": round(float(np.mean(np.array(p) < 0.05)), 3)}
        rows.append(row)
    return show("Power at the planned number of episodes, for 0.80", rows)


def main() -> None:
    """Measure everything and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=500)
    repeats = parser.parse_args().repeats
    results = {
        "rates": rates(),
        "scores": scores(repeats),
        "suites": suites(repeats),
        "paired_successes": paired_successes(),
        "unequal_tasks": unequal_tasks(repeats),
        "paired_scores": paired_scores(repeats),
        "best_sets": best_sets(repeats),
        "watched": watched(repeats),
        "ordered": ordered(repeats),
        "stopping": stopping(repeats),
        "planned_power": planned_power(repeats),
    }
    print(json.dumps({"repeats": repeats, "results": results}))


if __name__ == "__main__":
    main()
