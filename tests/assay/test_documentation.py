"""The examples of docs/python-api.md, in their order."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "python-api.md"


@pytest.mark.slow
@pytest.mark.libero
def test_the_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(examples) == 4
    names: dict[str, Any] = {"__name__": "example"}
    for example in examples:
        exec(compile(example, str(PAGE), "exec"), names)
    shown = capsys.readouterr().out
    assert "are not distinguishable" in shown
    assert len(names["run"].players) == 1
    assert len(names["curve"]["policy"].unique()) == 2
    assert len(names["both"].players) == 2
    assert (tmp_path / "results" / "Reach-libero_object" / "episodes.jsonl").is_file()
