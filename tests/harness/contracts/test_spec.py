"""Keys and random streams depend only on the spec."""

from dataclasses import replace

import pytest

from harness.contracts.protocol import Protocol, ProtocolLabel
from harness.contracts.spec import EpisodeSpec, policy_stream

SPEC = EpisodeSpec("oracle", "libero_object", "pick", 3, 7, "libero/openpi@abc")


def test_key_is_the_same_in_all_versions() -> None:
    # Run folders find their records by this key. A changed key would lose old records.
    assert SPEC.key == "a1fb6c54bd7191047da0"
    assert SPEC.scene == "3ab0d88605ebd3d176cf"


@pytest.mark.parametrize(
    "change",
    [
        {"policy": "random"},
        {"benchmark": "libero_goal"},
        {"task": "place"},
        {"episode": 4},
        {"seed": 8},
        {"protocol": "libero/openvla@abc"},
        {"ablation": "no-image"},
    ],
)
def test_every_field_changes_the_key_and_policy_and_ablation_keep_the_scene(change: dict) -> None:
    other = replace(SPEC, **change)
    assert other.key != SPEC.key
    assert (other.scene == SPEC.scene) == bool({"policy", "ablation"} & set(change))


def test_stream_depends_only_on_episode_and_chunk() -> None:
    first = policy_stream(SPEC, 0).normal(size=4).tolist()
    policy_stream(SPEC, 1).normal(size=100)
    assert policy_stream(SPEC, 0).normal(size=4).tolist() == first
    assert policy_stream(SPEC, 1).normal(size=4).tolist() != first
    assert policy_stream(replace(SPEC, episode=4), 0).normal(size=4).tolist() != first


def test_protocol_hash_covers_the_rules_and_not_the_summary() -> None:
    card = Protocol(name="a/b", max_steps={"a": 10, "a_long": 20}, replan=5)
    assert replace(card, summary="other words").label == card.label
    assert replace(card, replan=6).label != card.label
    assert replace(card, simulator="mujoco 3.3.3").label != card.label
    assert card.limit("a_swap") == 10
    assert card.limit("a_long_swap") == 20


def test_label_parses_its_own_text() -> None:
    label = Protocol(name="a/b-c", max_steps={"a": 10}).label
    assert str(ProtocolLabel.parse(label)) == label
    assert ProtocolLabel.parse(label).name == "a/b-c"
    for text in ("a/b", "b@12ab", "a/b@xyz", ""):
        with pytest.raises(ValueError, match="family/card@hash"):
            ProtocolLabel.parse(text)
