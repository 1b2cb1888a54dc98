"""The names of policies in tables, as the user gives them."""

import re
from collections.abc import Iterable, Mapping, Sequence

from harness.contracts.errors import UsageError, require_known
from harness.contracts.spec import player_name
from harness.runs.folder import Run

_DIGEST = re.compile(r"@[0-9a-f]{4,}(?=$| \()")


def read_labels(given: Iterable[str], runs: Sequence[Run]) -> dict[str, str]:
    """Read labels of the form NAME=TEXT.

    Args:
        given: Each NAME is a policy's identity, or its part before the ``@`` if only one has it.
        runs: The runs of the policies.

    Returns:
        The text by the policy's identity.

    Raises:
        UsageError: A name is unknown, fits several policies or is given twice, or two policies
            would have the same label.
    """
    policies = _policies(runs)
    names = {short: [p for p in policies if _short(p) == short] for short in map(_short, policies)}
    names |= {policy: [policy] for policy in policies}
    labels: dict[str, str] = {}
    for pair in given:
        name, text = _split(pair, names)
        if len(names[name]) > 1:
            raise UsageError(f"--label {name} fits {' and '.join(names[name])}; give one of them")
        (policy,) = names[name]
        if policy in labels:
            raise UsageError(f"--label names {policy} twice")
        labels[policy] = text
    shown = [labels.get(policy, policy) for policy in policies]
    for text in shown:
        if shown.count(text) > 1:
            raise UsageError(f"two policies would be named {text!r}; labels must be unique")
    return labels


def player_labels(runs: Sequence[Run], labels: Mapping[str, str]) -> dict[str, str]:
    """Return how tables name every policy and each of its ablations."""
    return {
        player_name(policy, ablation): player_name(labels.get(policy, policy), ablation)
        for run in runs
        for policy in run.facts["policies"]
        for ablation in ("", *ablations_of(run))
    }


def ablations_of(run: Run) -> list[str]:
    """Return the ablations of a run."""
    return [ablation for plan in run.plans for ablation in plan.get("ablations", ())]


def without_digest(name: str) -> str:
    """Return a policy's name without the digest of its weights."""
    return _DIGEST.sub("", name)


def _policies(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(policy for run in runs for policy in run.facts["policies"]))


def _short(policy: str) -> str:
    return policy.rpartition("@")[0] or policy


def _split(pair: str, names: Iterable[str]) -> tuple[str, str]:
    """Split NAME=TEXT; a name may contain the sign too, e.g. ``flow,steps=3@1a2b``."""
    known = [name for name in names if pair.startswith(f"{name}=")]
    name = max(known, key=len) if known else pair.partition("=")[0]
    text = " ".join(pair[len(name) + 1 :].split())
    if not text:
        raise UsageError(f"--label {pair} is not NAME=TEXT")
    require_known("policy in --label:", name, names)
    return name, text
