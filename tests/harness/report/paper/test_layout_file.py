"""Errors in layout files and their messages."""

from pathlib import Path

import pytest

from harness.contracts.errors import UsageError
from harness.report.paper.layout import load_layout

BAD = {
    "- [": "cannot read the layout",
    "[]": "the layout must be a mapping of title",
    "title: x": "the layout lacks places",
    "title: x\nplaces: []": "places is empty",
    "title: x\nplaces: {a: 1}": "places must be a list",
    "titel: x\nplaces: []": "unknown field in the layout: 'titel'; did you mean title?",
    "title: x\nplaces: [{ours: a}]": "places[0] lacks label",
    "title: x\nplaces: [{label: a, our: b}]": "unknown field in places[0]: 'our'; did you",
    "title: x\nplaces: [{label: 1.0}]": "places[0].label must be text, got 1.0; put it in quotes",
    "title: x\nplaces: [{label: a}, {label: a}]": "two places have the label 'a'",
    "title: x\nplaces: [{label: One}, {label: m, mean: [Ome]}]": "mean of 'm': 'Ome'; did you",
    "title: x\nplaces: [{label: a, ours: b, mean: all}]": "places[0] has both ours and mean",
    "title: x\nplaces: [{label: a, weigh: tasks}]": "places[0] has weigh but no mean",
    "title: x\nplaces: [{label: a, published: {suit: b}}]": "'suit'; did you mean suite?",
    "title: x\nplaces: [{label: a}]\nmetric: succes": "unknown metric 'succes'; did you",
    "title: x\nplaces: [{label: a}]\nrows: place": "unknown rows 'place'; did you mean",
    "title: x\nplaces: [{label: a}]\npolicies: [{label: a}]": "[0] needs ours or published",
    "title: x\nplaces: [{label: a}]\ndifferences: [{label: a, ours: b}]": "ours must be two",
    "title: x\nplaces: [{label: a}]\ndifferences: [{label: a, published: b - c - d}]": "'A - B'",
}


@pytest.mark.parametrize("text", BAD)
def test_the_error_names_the_field(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UsageError) as error:
        load_layout(str(tmp_path / "mine.yaml"))
    assert BAD[text] in str(error.value)
    assert "mine.yaml" in str(error.value)


def test_omitted_fields_have_defaults(tmp_path: Path) -> None:
    (tmp_path / "my table!.yaml").write_text("title: x\nplaces: [{label: a, ours: b/c}]")
    layout = load_layout(str(tmp_path / "my table!.yaml"))
    # The name becomes a file name and a LaTeX label, so special characters are replaced.
    assert layout.name == "my-table-"
    assert (layout.metric, layout.rows) == ("success", "policies")
    assert (layout.head, layout.policies) == ("", ())
    place = layout.places[0]
    assert (place.ours, place.published, place.mean, place.weigh) == ("b/c", None, (), "tasks")
