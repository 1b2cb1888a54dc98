"""The page: valid, self-contained, accessible, and safe against hostile names."""

import json
import re
import shlex
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest

from harness.report.html.episode_list import MOST_SHOWN
from harness.report.html.page import write_page
from harness.report.paper.layout import load_layout
from harness.report.write import write_report
from harness.runs.folder import Run
from tests.helpers.runs import BAD, ERROR, GOOD, listed_run, summed

VOID = {"meta", "br", "hr", "img", "input", "link", "wbr"}
EVIL = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</title></svg></style>{{ 7 * 7 }}",
)


class Reader(HTMLParser):
    """Parses a page strictly: every element needs its own end tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.headings: list[int] = []
        self.text = ""
        self.cells: list[str] = []
        self.names: set[str] = set()
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        assert len({name for name, _ in attrs}) == len(attrs), "a repeated attribute"
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"nothing is open at </{tag}>"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data
        if "td" in self.open:
            self.cells[-1] += data


def read(target: Path, *runs: Run, embed: bool = False) -> Reader:
    write_page(*summed(*runs), target, embed)
    page = Reader(target.read_text(encoding="utf-8"))
    check_whole(page)
    return page


def check_whole(page: Reader) -> None:
    """Check what must hold for every page."""
    assert page.names.isdisjoint({"script", "img", "iframe", "object", "embed", "link", "b", "i"})
    assert len(set(page.ids)) == len(page.ids)
    assert all(page.ids)
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    steps = zip(page.headings, page.headings[1:], strict=False)
    assert all(later <= earlier + 1 for earlier, later in steps)
    for tag, name, value in page.attributes:
        assert not name.startswith("on")
        assert name not in {"style", "srcset", "action", "ping", "background"}
        if name in {"href", "src"}:
            assert not re.match(r"(?!data:video/mp4;)[a-z+.-]*:|//", value, re.IGNORECASE), value
            if value.startswith("#"):
                assert value[1:] in page.ids
        if name == "aria-labelledby":
            assert set(value.split()) <= set(page.ids)
        if tag == "svg" and name == "role":
            assert value == "img"
    scopes = [value for tag, name, value in page.attributes if (tag, name) == ("th", "scope")]
    assert {"col", "row"} <= set(scopes) <= {"col", "row", "colgroup", "rowgroup"}


@pytest.fixture
def two(tmp_path: Path) -> Run:
    ends = {
        "able": {"left": [GOOD] * 5, "right": [GOOD] * 4 + [BAD]},
        "poor": {"left": [BAD] * 4 + [ERROR], "right": [GOOD, BAD, BAD]},
    }
    return listed_run(tmp_path / "run", ends, episodes=5)


def test_the_page_shows_the_numbers_of_the_summary(tmp_path: Path, two: Run) -> None:
    page = read(tmp_path / "report.html", two)
    assert "90.0 %" in page.text
    assert "INCOMPLETE: 17 of 20 episodes have a score" in " ".join(page.text.split())
    assert "1 ended in an error and 2 have not been played" in page.text
    for number in ("100.0 [56.6, 100.0]", "0.0 [0.0, 49.0]", "33.3 [6.1, 79.2]"):
        assert number in page.cells
        assert page.text.count(number) >= 2, "also in a chart's description"
    # 250 ms of policy in five chunks, and as many CPU seconds as every record says.
    assert "50.00" in page.cells
    assert "1.25" in page.cells
    assert "step_limit" in page.cells
    assert "the paper, section <4>" in page.cells
    assert "0123456789ab" in page.text


def test_warnings_come_first_with_a_link_to_the_traceback(tmp_path: Path) -> None:
    reason = "policy_crash: KeyError: 'state' (mine.py:3)"
    run = listed_run(tmp_path / "run", {"mine": {"left": [ERROR, GOOD]}}, 2, reason=reason)
    key = next(r.spec.key for r in run.records().values() if r.outcome == "error")
    (run.path / "errors").mkdir()
    (run.path / "errors" / f"{key}.txt").write_text("Traceback")
    page = read(tmp_path / "pages" / "report.html", run)
    warning = "1 of 2 episodes of mine stopped because the policy's code raised an exception"
    assert page.text.index(warning) < page.text.index("Overview")
    links = [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
    assert links.count(f"../run/errors/{key}.txt") == 2, "at the head and at the episode"
    assert "Warning" not in read(tmp_path / "2.html", clean(tmp_path / "clean")).text


def test_the_head_says_when_and_how_the_run_was_made(tmp_path: Path) -> None:
    run = clean(tmp_path / "run")
    facts = json.loads((run.path / "run.json").read_text())
    facts |= {"created": "2026-11-30T09:00:00+00:00", "command": "run_eval.py run --policy <mine>"}
    (run.path / "run.json").write_text(json.dumps(facts))
    page = read(tmp_path / "report.html", Run.existing(run.path))
    text = " ".join(page.text.split())
    head = "2026-11-30T09:00:00+00:00 run_eval.py run --policy <mine>"
    assert text.index(head) < text.index("Complete")


def test_pooled_seeds_and_fast_batches_are_said(tmp_path: Path) -> None:
    ends = {"able": {"left": [GOOD]}}
    runs = [
        listed_run(tmp_path / f"{k}", ends, 1, seed=k, batching="fast" * (k == 8)) for k in (7, 8)
    ]
    page = read(tmp_path / "report.html", *runs)
    assert page.cells.count("7, 8") == 2, "in the table of means and in the table of tasks"
    assert "1 of 2 episodes ran with fast batching" in page.text
    assert "7, 8" not in read(tmp_path / "one.html", runs[0]).cells


def clean(path: Path) -> Run:
    return listed_run(path, {"able": {"left": [GOOD]}}, 1)


def test_each_suite_has_its_own_cost_chart(tmp_path: Path) -> None:
    ends = {"able": {"left": [GOOD]}, "poor": {"left": [BAD]}}
    runs = [listed_run(tmp_path / f"{i}", ends, 1, suite=f"points_{i}") for i in range(2)]
    target = tmp_path / "report.html"
    read(target, *runs)
    page = target.read_text("utf-8")
    described = re.findall(r'<desc id="cost_charts-(\d)-text">([^<]*)</desc>', page)
    assert [index for index, _ in described] == ["0", "1"]
    assert all(re.fullmatch(r"able: 100.*? ms\. poor: 0.*? ms\.", text) for _, text in described)


def test_a_complete_run_is_called_complete(tmp_path: Path) -> None:
    run = listed_run(tmp_path / "run", {"able": {"left": [GOOD] * 3}}, episodes=3)
    page = read(tmp_path / "report.html", run)
    assert "Complete: all 3 episodes have a score" in " ".join(page.text.split())
    assert "INCOMPLETE" not in page.text


def test_every_failure_has_its_replay_command(tmp_path: Path) -> None:
    run = listed_run(tmp_path / "a run; rm -rf $x", {"able": {"left": [BAD, ERROR]}}, episodes=2)
    page = read(tmp_path / "report.html", run)
    commands = re.findall(r"python run_eval.py replay .*", page.text)
    failed = next(r for r in run.records().values() if r.outcome == "failure")
    words = ["python", "run_eval.py", "replay", str(run.path), failed.spec.key]
    words += ["--video", f"{failed.spec.key}.mp4"]
    assert [shlex.split(command) for command in commands] == [words]


@pytest.mark.parametrize("embed", [False, True])
def test_videos_are_linked_or_embedded(tmp_path: Path, two: Run, embed: bool) -> None:
    key = next(r.spec.key for r in two.records().values() if r.outcome == "failure")
    video = two.path / "videos" / f"{key}.mp4"
    video.parent.mkdir()
    video.write_bytes(b"a film")
    page = read(tmp_path / "a" / "report.html", two, embed=embed)
    sources = [value for tag, name, value in page.attributes if (tag, name) == ("video", "src")]
    linked = f"../run/videos/{key}.mp4"
    assert sources == ["data:video/mp4;base64,YSBmaWxt" if embed else linked]
    assert ("a", "href", linked) in page.attributes or embed


def test_videos_above_the_size_limit_are_linked(
    tmp_path: Path, two: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.report.html.episode_list.MOST_EMBEDDED", 10)
    (two.path / "videos").mkdir()
    for each in two.records().values():
        (two.path / "videos" / f"{each.spec.key}.mp4").write_bytes(b"a film")
    page = read(tmp_path / "report.html", two, embed=True)
    sources = [value for tag, name, value in page.attributes if (tag, name) == ("video", "src")]
    assert [s.startswith("data:") for s in sources] == [True] + [False] * (len(sources) - 1)


@pytest.mark.parametrize("evil", EVIL)
def test_a_hostile_name_stays_a_name(tmp_path: Path, evil: str) -> None:
    ends = {evil: {evil: [GOOD, BAD, ERROR], "left": [GOOD]}}
    folder = tmp_path / evil.replace("/", "|")
    run = listed_run(folder, ends, 3, suite=f"points_{evil}", subgoals={evil: True}, reason=evil)
    for each in run.records().values():
        (folder / "videos").mkdir(exist_ok=True)
        (folder / "videos" / f"{each.spec.key}.mp4").write_bytes(b"a film")
    page = read(tmp_path / "report.html", run)
    assert page.text.count(evil) > 10
    assert evil in page.cells


def test_a_forged_key_is_refused(tmp_path: Path, two: Run) -> None:
    log = two.log_path.read_text()
    key = next(r.spec.key for r in two.records().values() if r.outcome == "failure")
    two.log_path.write_text(log.replace(key, "../../secret x"))
    (tmp_path / "secret x.mp4").write_bytes(b"not for you")
    write_page(*summed(two), tmp_path / "report.html", embed_videos=True)
    page = (tmp_path / "report.html").read_text()
    assert "secret" not in page
    assert "the record&#39;s key does not belong to its spec" in page


@pytest.mark.parametrize("rows", ["policies", "places"])
def test_a_layout_is_shown_first(tmp_path: Path, two: Run, rows: str) -> None:
    table = tmp_path / "mine.yaml"
    table.write_text(
        f"title: {EVIL[0]}\nrows: {rows}\nhead: {EVIL[0]}\nplaces:\n"
        f"  - {{group: {EVIL[0]}, label: Left, ours: points_two/left}}\n"
        "  - {label: Mean, mean: all, published: {benchmark: maniskill}}\n"
    )
    files = write_report([two], tmp_path, ["html"], load_layout(str(table)), reference=True).names
    assert files == ("mine.html",)
    page = Reader((tmp_path / "mine.html").read_text(encoding="utf-8"))
    check_whole(page)
    # The list of sections names both first.
    assert page.text.index(EVIL[0]) < page.text.rindex("Overview")
    assert "100.0 [56.6, 100.0]" in page.cells
    assert "53.6" in page.cells
    assert "-" in page.cells
    assert "In italics: published numbers, as printed" in page.text
    assert {"em", "strong", "sup"} <= page.names
    assert ("a", "href", "#table") in page.attributes


@pytest.mark.parametrize(
    ("ends", "measured"),
    [
        ({"able": {"left": []}}, {}),
        ({"able": {"left": [ERROR, ERROR]}}, {}),
        ({"able": {"left": [GOOD]}}, {"progress": None, "timing": {}, "cpu": {}, "replica": ""}),
        ({"able": {"left" * 99: [GOOD, BAD], " ": [BAD]}}, {"steps": 0}),
    ],
)
def test_a_page_needs_few_data(tmp_path: Path, ends: Any, measured: Any) -> None:
    run = listed_run(tmp_path / "run", ends, episodes=2, **measured)
    (run.path / "sessions.jsonl").unlink()
    read(tmp_path / "report.html", run)
    if not ends["able"].get("left", True):
        run.log_path.unlink()
        assert "no score yet" in read(tmp_path / "report.html", run).text


def test_many_episodes_are_sampled_from_every_task(tmp_path: Path) -> None:
    tasks = {f"task {index}": [BAD] * 50 for index in range(10)}
    ends = {f"policy {index}": tasks for index in range(6)}
    run = listed_run(tmp_path / "run", ends, episodes=50)
    page = read(tmp_path / "report.html", run)
    most = MOST_SHOWN["failure"]
    assert f"{most} of 3000 shown" in page.text
    shown = re.findall(r"failure (policy \d) on points_two / (task \d) episode", page.text)
    assert len(shown) == most
    assert {shown.count(cell) for cell in set(shown)} == {most // 60}
    assert (tmp_path / "report.html").stat().st_size < 2**20


def test_equal_runs_give_equal_pages(tmp_path: Path, two: Run) -> None:
    first, second = tmp_path / "1.html", tmp_path / "2.html"
    write_page(*summed(two), first)
    write_page(*summed(two), second)
    assert first.read_bytes() == second.read_bytes()


BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)


@pytest.mark.skipif(not BROWSER, reason="no Chromium is installed")
def test_a_browser_shows_the_page_and_blocks_nothing_in_it(tmp_path: Path, two: Run) -> None:
    target, picture = tmp_path / "report.html", tmp_path / "report.png"
    write_page(*summed(two), target)
    assert "Content Security Policy" not in browse(tmp_path, target, f"--screenshot={picture}")
    pixels = np.asarray(imageio.imread(picture))[..., :3].reshape(-1, 3)
    colours = {tuple(int(c) for c in pixel) for pixel in np.unique(pixels, axis=0)}
    assert (0x00, 0x72, 0xB2) in colours, "the first policy's marker"
    # The same check reports forbidden content, so its silence above is meaningful.
    page = target.read_text(encoding="utf-8")
    inserted = "<main><script>document.title = 'out'</script><p style='color: red'>"
    target.write_text(page.replace("<main>", inserted), encoding="utf-8")
    complaints = browse(tmp_path, target, "--dump-dom")
    assert complaints.count("Content Security Policy") == 2
    assert "<title>out" not in complaints


def browse(folder: Path, target: Path, *options: str) -> str:
    """Open a page and return the browser's log and output."""
    assert BROWSER
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += ["--window-size=800,1200", f"--user-data-dir={folder / 'profile'}", *options]
    done = subprocess.run(
        [*command, target.as_uri()], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout + done.stderr
