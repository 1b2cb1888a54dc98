"""Files that programs write: checkpoints, data sets and the logs of runs."""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from harness.cli.main import main
from harness.contracts.record import EpisodeRecord
from harness.demonstrations.dataset import write_dataset
from harness.demonstrations.reader import Demonstrations
from harness.demonstrations.shards import write_shard
from harness.runs.folder import Run
from policies.vla.checkpoint import Checkpoint, contract_of, save
from tests.fuzz.inputs import BRIEFLY_AND_LONG, damaged, damaged_bytes, damaged_text, read_all
from tests.helpers.demonstrations import PROVENANCE, made
from tests.helpers.vla import model, network, normalization, tokenizer

CONFIG, WEIGHTS = "config.json", "model.safetensors"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"


@BRIEFLY_AND_LONG
@pytest.mark.parametrize("head", ["e0", "flow"])
def test_a_checkpoint_is_loaded_or_refused_in_a_line(
    head: str, examples: int, tmp_path: Path
) -> None:
    vla = model(network("dummy"), head)
    save(tmp_path, vla, tokenizer(vla.config), contract_of(vla, normalization()))
    whole = json.loads((tmp_path / CONFIG).read_text())

    def written(text: bytes) -> None:
        (tmp_path / CONFIG).write_bytes(text)
        Checkpoint.open(tmp_path).load(torch.device("cpu"))

    read_all(damaged_text(whole), written, examples)


@BRIEFLY_AND_LONG
@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.json"])
def test_damaged_weights_with_the_right_hash_are_refused(
    name: str, examples: int, tmp_path: Path
) -> None:
    vla = model(network("dummy"))
    save(tmp_path, vla, tokenizer(vla.config), contract_of(vla, normalization()))
    config = json.loads((tmp_path / CONFIG).read_text())

    def written(content: bytes) -> None:
        (tmp_path / name).write_bytes(content)
        config["files"][name] = hashlib.sha256(content).hexdigest()
        (tmp_path / CONFIG).write_text(json.dumps(config))
        Checkpoint.open(tmp_path).load(torch.device("cpu"))

    whole = (tmp_path / name).read_bytes()
    head, rest = whole[:9000], whole[9000:]
    read_all(damaged_bytes(head).map(lambda start: start + rest), written, examples // 4)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for episode in range(3):
        write_shard(tmp_path, made(episode, stride=4))
    write_dataset(tmp_path, PROVENANCE)
    return tmp_path


def read_data(folder: Path) -> None:
    found = Demonstrations(folder)
    found.statistics  # noqa: B018 - it is read here
    found.samples(4)
    found.episode(0)


@BRIEFLY_AND_LONG
@pytest.mark.parametrize("name", ["meta/info.json", "meta/stats.json", "provenance.json"])
def test_a_description_of_data_is_read_or_refused_in_a_line(
    name: str, examples: int, data: Path
) -> None:
    whole = json.loads((data / name).read_text())

    def written(text: bytes) -> None:
        (data / name).write_bytes(text)
        read_data(data)

    read_all(damaged_text(whole), written, examples)


@BRIEFLY_AND_LONG
@pytest.mark.parametrize("name", [EPISODES, "data/chunk-000/file-000.parquet"])
def test_damaged_parquet_is_read_or_refused_in_a_line(name: str, examples: int, data: Path) -> None:
    def written(content: bytes) -> None:
        (data / name).write_bytes(content)
        read_data(data)

    read_all(damaged_bytes((data / name).read_bytes()), written, examples)


@BRIEFLY_AND_LONG
def test_wrong_rows_of_episodes_are_refused_in_a_line(examples: int, data: Path) -> None:
    rows = pq.read_table(data / EPISODES).to_pylist()

    def written(changed: object) -> None:
        try:
            table = pa.Table.from_pylist(changed)
            pq.write_table(table, data / EPISODES)
        except (
            pa.ArrowException,
            ArithmeticError,
            LookupError,
            TypeError,
            AttributeError,
            ValueError,
        ):
            return
        read_data(data)

    read_all(damaged(rows), written, examples)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fuzz") / "run"
    command = ["run", "--policy", "homing", "--benchmark", "points_two", "--episodes", "2"]
    assert main([*command, "--out", str(out)]) == 0
    return out


@BRIEFLY_AND_LONG
def test_a_line_of_a_log_is_a_record_or_a_value_error(examples: int, played: Path) -> None:
    whole = json.loads((played / "episodes.jsonl").read_text().splitlines()[0])
    read_all(damaged_text(whole), EpisodeRecord.from_json, examples, ValueError)


@BRIEFLY_AND_LONG
def test_a_damaged_log_is_read_or_refused_in_a_line(
    examples: int, played: Path, tmp_path: Path
) -> None:
    whole = (played / "episodes.jsonl").read_bytes()
    (tmp_path / "run.json").write_bytes((played / "run.json").read_bytes())

    def written(content: bytes) -> None:
        (tmp_path / "episodes.jsonl").write_bytes(content)
        Run.existing(tmp_path).records()

    read_all(damaged_bytes(whole), written, examples)
