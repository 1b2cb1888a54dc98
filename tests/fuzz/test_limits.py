"""The most hostile files: each is refused in one line, within 2 s of CPU and 500 MB."""

import json
import os
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgpack
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.demonstrations.dataset import write_dataset
from harness.demonstrations.shards import write_shard
from harness.serving.codec import LARGEST_MESSAGE
from policies.vla.checkpoint import contract_of, save
from tests.helpers.demonstrations import PROVENANCE, made
from tests.helpers.vla import model, network, normalization, tokenizer

MOST_SECONDS, MOST_BYTES = 2.0, 500 * 10**6
PROGRAM = """
import json, os, resource, sys, time
from pathlib import Path
{imports}
from harness.contracts.errors import UsageError
from harness.serving.codec import WireError
path = Path(sys.argv[1])
start = time.process_time()
limit = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + {most}
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    {read}
    said = ""
except (UsageError, WireError) as error:
    said = str(error)
print(json.dumps([said, time.process_time() - start]), flush=True)
os._exit(0)  # Libraries start threads when they end, and may find no memory for them.
"""
YAML = {
    "plan": (
        "from harness.runs.plan import resolve; from harness.runs.plan_file import load_plans",
        "resolve(*load_plans(path))",
    ),
    "layout": ("from harness.report.paper.layout import load_layout", "load_layout(str(path))"),
    "card": ("from harness.contracts.cards import read_card", "read_card(path)"),
    "settings": ("from policies.train.settings import load_settings", "load_settings(str(path))"),
    "recipe": ("from policies.train.recipe import load_recipe", "load_recipe(str(path), path)"),
}
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
TEXTS = {
    "laughs": LAUGHS + "policies: [*i]\n",
    "deep": "policies: " + "[" * 100_000,
    "long": "#" * 10**8,
    "many": "policies:\n" + "- homing\n" * 300_000,
    "digits": "seed: " + "9" * 200_000,
    "base 60": "seed: 1" + ":1" * 100_000,
}


def refused(path: Path, imports: str, read: str) -> str:
    """Read a file in a process that may take 500 MB more; return its one line."""
    program = PROGRAM.format(imports=imports, read=read, most=MOST_BYTES)
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said, seconds = json.loads(done.stdout.splitlines()[-1])
    assert said
    assert said.isprintable()
    assert len(said) < 1000
    assert seconds < MOST_SECONDS
    return str(said)


def written(folder: Path, name: str) -> Path:
    path = folder / "one.yaml"
    if name in TEXTS:
        path.write_text(TEXTS[name])
    elif name == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    return path


@pytest.mark.parametrize("name", [*TEXTS, "pipe", "zero"])
def test_a_hostile_plan_is_one_line(name: str, tmp_path: Path) -> None:
    refused(written(tmp_path, name), *YAML["plan"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in YAML if kind != "plan"])
@pytest.mark.parametrize("name", [*TEXTS, "pipe", "zero"])
def test_a_hostile_yaml_file_of_any_kind_is_one_line(kind: str, name: str, tmp_path: Path) -> None:
    refused(written(tmp_path, name), *YAML[kind])


@pytest.mark.parametrize("line", ["episodes: 1000000000000", "episodes: 900000", "first: 1.0e+30"])
def test_a_plan_of_any_number_of_episodes_is_one_line(line: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(f"policies: [homing, still]\nbenchmarks: [points_two]\n{line}\n")
    name = line.partition(":")[0]
    assert name in refused(path, *YAML["plan"])


FRAMES = {
    "zeros": bytes(LARGEST_MESSAGE),
    "empty maps": b"\x80" * LARGEST_MESSAGE,
    "a list of empty maps": b"\xdd\x03\xff\xff\xfb" + b"\x80" * (LARGEST_MESSAGE - 5),
    "lists that promise": b"\xdd\x03\xff\xff\xff" * (LARGEST_MESSAGE // 5),
    "many keys": msgpack.packb({f"key{n}": n for n in range(200_000)}),
    "a long type": msgpack.packb({b"__ndarray__": 1, b"dtype": "f" * 10**7}),
    "a long key": msgpack.packb({b"k" * 10**7: 1}),
    "deep": b"\x91" * 10**6,
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_hostile_frame_is_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "frame").write_bytes(FRAMES[name])
    refused(
        tmp_path / "frame",
        "from harness.serving.codec import unpack\nframe = Path(sys.argv[1]).read_bytes()",
        "unpack(frame)",
    )


LOAD = (
    "import torch; from policies.vla.checkpoint import Checkpoint",
    "Checkpoint.open(path).load(torch.device('cpu'))",
)


def huge_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 2**31))
    os.truncate(path, 2**33)


def huge_file(path: Path) -> None:
    os.truncate(path, 2**40)


def zeros(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def wide(path: Path) -> None:
    config = json.loads(path.read_text())
    for stack in ("language", "expert"):
        config["contract"]["network"][stack] |= {"width": 65536, "depth": 1000, "mlp": 10**6}
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.safetensors", huge_header),
        ("model.safetensors", huge_file),
        ("model.safetensors", zeros),
        ("model.safetensors", pipe),
        ("tokenizer.json", huge_file),
        ("tokenizer.json", zeros),
        ("config.json", huge_file),
        ("config.json", zeros),
        ("config.json", wide),
    ],
)
def test_a_hostile_checkpoint_is_one_line(
    name: str, damage: Callable[[Path], None], tmp_path: Path
) -> None:
    vla = model(network("dummy"))
    save(tmp_path, vla, tokenizer(vla.config), contract_of(vla, normalization()))
    damage(tmp_path / name)
    refused(tmp_path, *LOAD)


INFO, EPISODES = "meta/info.json", "meta/episodes/chunk-000/file-000.parquet"
DATA = "data/chunk-000/file-000.parquet"


def many_rows(path: Path) -> None:
    pq.write_table(pa.table({"episode_index": np.zeros(5_000_000, np.int64)}), path)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (INFO, huge_file),
        (INFO, zeros),
        (INFO, pipe),
        (EPISODES, many_rows),
        (EPISODES, zeros),
        (EPISODES, pipe),
        (EPISODES, huge_file),
        (DATA, pipe),
        (DATA, zeros),
        (DATA, many_rows),
    ],
)
def test_a_hostile_data_set_is_one_line(
    name: str, damage: Callable[[Path], None], tmp_path: Path
) -> None:
    for episode in range(2):
        write_shard(tmp_path, made(episode))
    write_dataset(tmp_path, PROVENANCE)
    damage(tmp_path / name)
    refused(
        tmp_path,
        "from harness.demonstrations.reader import Demonstrations",
        "Demonstrations(path).samples(4)",
    )


def test_the_limits_of_these_tests_hold(tmp_path: Path) -> None:
    """A test must be able to fail: memory over the limit ends the process."""
    with pytest.raises(AssertionError, match="MemoryError"):
        refused(tmp_path, "", f"bytearray({2 * MOST_BYTES})")
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
