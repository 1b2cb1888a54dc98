"""Training on data of other programs, whose columns have other names."""

from dataclasses import replace
from pathlib import Path

from policies.train.corpus import read_corpus
from policies.train.settings import Settings, load_settings
from tests.harness.demonstrations.test_versions import LENGTHS, SIDE, write_old

LIBERO = "columns: {state: state, action: actions, main: image, wrist: wrist_image}\n"


def test_a_config_names_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "libero.yaml"
    path.write_text("size: dummy\nhorizon: 3\nreplan: 3\n" + LIBERO)
    settings = load_settings(str(path))
    corpus = read_corpus([write_old(tmp_path / "data", "v2.0")], settings, SIDE, 1.0, tmp_path)
    assert set(corpus.images) == {"main", "wrist"}
    assert corpus.episodes == len(LENGTHS)
    assert corpus.state[6].tolist() == [1, 1]
    assert corpus.chunk[6, :, 0].tolist() == [11, 12, 13]
    assert corpus.images["wrist"][6, 0, 0, 0] == 120


def test_settings_without_columns_are_written_as_before() -> None:
    assert "columns" not in Settings().as_json()
    named = replace(Settings(), columns=("state=state",)).as_json()
    assert named["columns"] == ["state=state"]
