"""Finds the protocol that a request names, with its options."""

import re
from dataclasses import replace
from pathlib import Path

from harness.contracts.benchmark import Benchmark
from harness.contracts.cards import CARD_SUFFIXES
from harness.contracts.errors import UsageError
from harness.contracts.protocol import Protocol, ProtocolLabel

_REPLAN, _CARD = "replan", "card"
_LABEL = re.compile(r"[^/@,]+/[^@,]+(,replan=\d+)?@[0-9a-f]+(?=,|$)")
"""The label of a recorded run, before the options of a request."""


def find_protocol_of(family: Benchmark, benchmark: str, request: str) -> Protocol:
    """Return a benchmark's protocol.

    Args:
        family: The benchmark's family.
        benchmark: The benchmark's name.
        request: ``CARD,OPTION=VALUE,...``, or the label of a recorded run in place of the card.
            The card is a bundled one's name or a YAML file. The options ``replan`` and ``card``,
            the file of a label's card, work for every family. Empty for the default.

    Raises:
        UsageError: The card or an option is unknown, or the protocol differs from the label's.
    """
    found = _LABEL.match(request)
    label = None if found is None else ProtocolLabel.parse(found[0])
    if label is not None:
        request = label.card + request[len(str(label)) :]
    card, options = _split(request)
    file = options.pop(_CARD, card if card.endswith(CARD_SUFFIXES) else None)
    card = card.removeprefix(f"{family.name}/") or family.protocol_of(benchmark)
    if "@" in card and file is None:
        raise UsageError(f"{card!r} is not a protocol's label, family/card@hash")
    replan = options.pop(_REPLAN, None)
    if file is None and label is not None and card not in family.protocols():
        raise UsageError(
            f"{family.name} has no bundled card {card!r}; if it came from a file, give that: "
            f"--protocol FILE, or in a plan: {label},{_CARD}=FILE"
        )
    protocol = family.protocol(card, options) if file is None else _loaded(family, file, options)
    if replan is not None:
        protocol = _with_replan(protocol, replan)
    if label is not None and protocol.label != str(label):
        raise UsageError(
            f"the protocol was {label}; here it is {protocol.label} "
            f"({protocol.rules.get('simulator')})"
        )
    protocol.limit(benchmark)
    return protocol


def card_copy(folder: Path, label: str) -> Path:
    """Return where a run keeps the card of a protocol that came from a file."""
    name = ProtocolLabel.parse(label).name.partition(f",{_REPLAN}=")[0]
    return folder / "protocols" / f"{name}.yaml"


def with_kept_card(folder: Path, label: str) -> str:
    """Return a request for a recorded protocol; it names the run's copy of the card, if any."""
    copy = card_copy(folder, label)
    return f"{label},{_CARD}={copy}" if copy.is_file() else label


def with_replan_option(protocol: str, replan: int | None) -> str:
    """Return a request for a protocol with the option ``replan``."""
    return protocol if replan is None else f"{protocol},{_REPLAN}={replan}"


def _with_replan(protocol: Protocol, text: str) -> Protocol:
    """Return the protocol under which another number of actions is executed.

    It has another name, because its results do not compare with those of the card.
    """
    if not re.fullmatch(r"[1-9]\d{0,5}", text):
        raise UsageError(f"replan must be a whole number from 1, got {text!r}")
    number = int(text)
    if number == protocol.replan:
        return protocol
    says = "the whole chunk" if protocol.replan is None else f"{protocol.replan}"
    note = f"executes {number} actions before the policy infers again, the card says {says}"
    return replace(
        protocol,
        name=f"{protocol.name},{_REPLAN}={number}",
        replan=number,
        sources={**protocol.sources, _REPLAN: "--replan"},
        note="; ".join(filter(None, (protocol.note, note))),
    )


def _loaded(family: Benchmark, file: str, options: dict[str, str]) -> Protocol:
    """Return the protocol of a card by file; such a card has no options."""
    for option in options:
        raise UsageError(f"a card by file has no option {option}; write it into {file}")
    return family.protocol_from(Path(file))


def _split(text: str) -> tuple[str, dict[str, str]]:
    """Split ``CARD,OPTION=VALUE,...`` into the card and its options."""
    card, *given = text.split(",")
    options: dict[str, str] = {}
    for each in given:
        option, equals, value = each.partition("=")
        if not (option and equals and value):
            raise UsageError(f"{each!r} in --protocol {text} is not OPTION=VALUE")
        if option in options:
            raise UsageError(f"--protocol {text} gives {option} twice")
        options[option] = value
    return card, options
