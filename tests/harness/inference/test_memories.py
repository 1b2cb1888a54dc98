"""A policy's memory of an episode is its own and is never mixed up."""

import pytest

from harness.contracts.errors import MemoryLost
from harness.inference.memories import Memories, Place


def test_an_episode_finds_its_memory_again() -> None:
    memories = Memories()
    for call in range(3):
        for client in ("a", "b"):
            memory = memories.take(Place(client, call))
            assert memory == dict.fromkeys(range(call), client)
            memory[call] = client


def test_a_new_episode_starts_empty() -> None:
    memories = Memories()
    memories.take(Place("a", 0))["old"] = 1
    assert memories.take(Place("a", 0)) == {}


@pytest.mark.parametrize("call", [0, 2])
def test_a_repeated_or_skipped_call_loses_the_memory(call: int) -> None:
    memories = Memories()
    memories.take(Place("a", 0))
    memories.take(Place("a", 1))
    if call == 2:
        with pytest.raises(MemoryLost):
            memories.take(Place("a", 1))
    else:
        with pytest.raises(MemoryLost):
            memories.take(Place("a", 3))


def test_a_process_that_starts_anew_has_lost_every_memory() -> None:
    with pytest.raises(MemoryLost):
        Memories().take(Place("a", 1))


def test_the_number_of_memories_is_bounded() -> None:
    memories = Memories(most=2)
    for client in "abc":
        memories.take(Place(client, 0))
    with pytest.raises(MemoryLost):
        memories.take(Place("a", 1))
    memories.take(Place("c", 1))
