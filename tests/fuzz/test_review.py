"""Attacks of a review that no other test holds; docs/design/adversarial.md lists all of them."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.cli import main as run_eval
from harness.contracts.errors import UsageError
from harness.contracts.registry import make_policy
from harness.runs.folder import Run
from harness.serving.codec import LARGEST_MESSAGE, pack
from policies.vla.checkpoint import Checkpoint, contract_of, save
from tests.helpers.serving import served
from tests.helpers.vla import model, network, normalization, tokenizer
from tests.policies.test_remote import answering, openpi, remote

RUN = ["run", "--benchmark", "points_two", "--tasks", "0", "--protocol", "short"]

pytestmark = pytest.mark.usefixtures("points", "no_page")


@pytest.fixture
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write no page after a run: it takes a second."""
    monkeypatch.setattr("harness.cli.run._formats", lambda: ("md", "csv"))


def play(out: Path, policy: str, *more: str) -> int:
    return run_eval.main([*RUN, "--policy", policy, "--episodes", "2", "--out", str(out), *more])


def results(out: Path) -> list[dict[str, Any]]:
    return [record.deterministic() for record in Run.existing(out).records().values()]


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


# Policies.

ODD = """
import numpy as np
zeros = np.zeros((6, 2), np.float32)
ANSWERS = {
    "nan": zeros + np.nan, "inf": zeros + np.inf, "huge": zeros.astype(np.float64) + 1e300,
    "shape": np.zeros((6, 3), np.float32), "flat": np.zeros(2, np.float32),
    "whole": np.zeros((6, 2), np.int64), "objects": zeros.astype(object),
    "empty": zeros[:0], "list": zeros.tolist(), "nothing": None, "text": "go",
    "masked": np.ma.masked_array(zeros + np.nan, mask=True), "dates": zeros.astype("M8[s]"),
    "half": zeros.astype(np.float16), "big": zeros.astype(">f4"),
    "long": np.zeros((200_000, 2), np.float32),
}
def made(name):
    return lambda observation: ANSWERS[name]
for name in ANSWERS:
    globals()[name] = made(name)
def generator(observation):
    yield zeros
async def coroutine(observation):
    return zeros
def three(observation, stream, memory, more): return zeros
cameras = 5
def seen(observation): return zeros
seen.cameras = 5
def sized(observation): return zeros
sized.image_size = "large"
class Raises:
    def __init__(self): raise OSError("no weights")
    def __call__(self, observation): return zeros
"""
PLAYED = ("half", "long", "three")
FAILED = ("nan", "inf", "huge", "masked")
REFUSED = (
    *("shape", "flat", "whole", "objects", "empty", "list", "nothing", "text", "dates"),
    *("big", "generator", "coroutine", "seen", "sized", "Raises"),
)
ADDRESSES = ("ws://[::1", "ws://h:x", "ws://h:99999999", "ws://h:0", "ws:///", "http://h")
NAMES = ("../../x", "<b>", "a\nb", "\x1b[31m", "x" * 5000, "python:\0:f", "")


@pytest.mark.parametrize("name", PLAYED + FAILED)
def test_numbers_are_played_or_fail_the_episode(tmp_path: Path, name: str) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    assert play(tmp_path / "run", f"python:{tmp_path}/odd.py:{name}") == 0
    reasons = {result["reason"] for result in results(tmp_path / "run")}
    failed = {"policy_nan: the actions are not finite"}
    assert reasons == ({"step_limit"} if name in PLAYED else failed)


@pytest.mark.parametrize("name", REFUSED)
def test_an_odd_policy_is_a_mistake_in_the_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    assert play(tmp_path / "run", f"python:{tmp_path}/odd.py:{name}") == 2
    shown = said(capsys)
    assert shown.count("error: ") >= 1
    assert shown.count("Traceback") == int(name == "Raises")
    if (tmp_path / "run" / "run.json").exists():
        assert all(result["outcome"] == "error" for result in results(tmp_path / "run"))


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_of_policies_are_one_bounded_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for reference in (name, f"python:{name}.py:f", f"vla:{name}", f"replay:{name}"):
        assert run_eval.main([*RUN, "--policy", reference, "--episodes", "1"]) == 2
        shown = capsys.readouterr().err
        assert shown.startswith("error: ")
        assert "\x1b" not in shown
        assert "Traceback" not in shown
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_malformed_address_is_one_line(capsys: pytest.CaptureFixture[str], address: str) -> None:
    assert run_eval.main([*RUN, "--policy", f"remote:{address}"]) == 2
    assert "is not ws://HOST:PORT" in said(capsys)


# Logs and folders.


@pytest.mark.parametrize("letter", ["\u2028", "\x85", "\x0c", "\x1e"])
def test_line_separators_of_unicode_end_no_line(tmp_path: Path, letter: str) -> None:
    assert play(tmp_path, "homing") == 0
    log = tmp_path / "episodes.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        line["worker"] = f"a{letter}b"
    raw = letter in "\u2028\x85"  # JSON has to escape control characters.
    log.write_text("".join(json.dumps(line, ensure_ascii=not raw) + "\n" for line in lines))
    before = log.read_bytes()
    assert run_eval.main(["report", str(tmp_path)]) == 0
    assert play(tmp_path, "homing") == 0
    assert log.read_bytes() == before


@pytest.mark.parametrize("tail", [b"\0" * 4096, b"\xff\xfe\x80", b'{"key": "12', b"{}", None])
def test_whatever_follows_the_last_whole_line_is_dropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tail: bytes | None
) -> None:
    assert play(tmp_path, "homing") == 0
    log, before = tmp_path / "episodes.jsonl", results(tmp_path)
    log.write_bytes(log.read_bytes()[:-1] if tail is None else log.read_bytes() + tail)
    assert play(tmp_path, "homing") == 0
    assert "the log's last line was incomplete; its episode runs again" in said(capsys)
    assert results(tmp_path) == before


def test_lost_actions_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert play(tmp_path, "homing") == 0
    assert "actions" not in said(capsys)
    for file in (tmp_path / "actions").iterdir():
        file.unlink()
    assert play(tmp_path, "homing") == 0
    assert "episodes that lost their actions: 2; they cannot be replayed" in said(capsys)


# Checkpoints.


def test_nothing_is_shown_of_a_file_that_a_checkpoint_links_to(tmp_path: Path) -> None:
    vla = model(network("dummy"))
    save(tmp_path, vla, tokenizer(vla.config), contract_of(vla, normalization()))
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        kept = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        (tmp_path / name).symlink_to("/etc/passwd")
        with pytest.raises(UsageError) as refused:
            Checkpoint.open(tmp_path).load(torch.device("cpu"))
        assert ":x:" not in str(refused.value)
        (tmp_path / name).unlink()
        (tmp_path / name).write_bytes(kept)


# The network.

GREETINGS: dict[str, Callable[[], Any]] = {
    "20 MiB": lambda: {"assay": "x" * (20 * 2**20)},
    "zeros": lambda: bytes(10 * 2**20),
    "many keys": lambda: {f"key{number}": number for number in range(200_000)},
    "long parts": lambda: {
        "assay": {
            "policy": "p",
            "cameras": [],
            "image_size": None,
            "chunk_length": None,
            "state_layout": [["n" * 5000, 1, "m" * 5000] for _ in range(2000)],
            "action_layout": None,
            "keys": {"images": {}, "state": [{"key": "s", "size": None}], "prompt": "p"},
        }
    },
}


@pytest.mark.parametrize("name", GREETINGS)
def test_a_hostile_greeting_is_one_short_line_in_seconds(name: str) -> None:
    with answering(dict, GREETINGS[name]()) as port:
        start = time.process_time()
        with pytest.raises(UsageError) as refused:
            make_policy(f"remote:ws://127.0.0.1:{port}")
        assert time.process_time() - start < 5
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 3000


@pytest.mark.parametrize("count", [-(10**18), 2**63, 10**6 + 1, "many", 0.5, None])
def test_a_server_cannot_write_impossible_costs(tmp_path: Path, count: Any) -> None:
    actions = np.zeros((6, 2), np.float32)
    timing = {"infer_ms": count, "evaluations": count, "inexact": count}
    with answering(lambda _: {"actions": actions, "policy_timing": timing}) as port:
        assert play(tmp_path, openpi(port)) in (0, 3)
    for record in Run.existing(tmp_path).log():
        assert 0 <= record.evaluations <= 10**6
        assert record.batching == ""


def test_a_frame_over_the_limit_is_never_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pack({"actions": np.zeros((6, 2), np.float32), "more": bytes(LARGEST_MESSAGE - 1000)})
    with answering(lambda _: frame + bytes(2000)) as port:
        assert play(tmp_path, openpi(port)) == 2
    assert f"a message is too large; {LARGEST_MESSAGE} bytes are accepted" in said(capsys)


def test_the_api_key_is_in_no_file_and_no_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "key").write_text("quite-secret")
    with served("homing", api_key="quite-secret") as port:
        reference = remote(port, api_key_file=str(tmp_path / "key"))
        assert play(tmp_path / "run", reference) == 0
        (tmp_path / "key").write_text("other-secret")
        assert play(tmp_path / "other", reference) == 2
    shown = capsys.readouterr()
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "key"]
    assert len(files) > 5
    for text in (shown.out, shown.err, *(path.read_bytes().decode("latin-1") for path in files)):
        assert "quite-secret" not in text
        assert "other-secret" not in text


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("network", "language", "depth"), 3),
        (("network", "expert", "depth"), 3),
        (("network", "vocabulary"), 10**12),
        (("network", "expert", "width"), 10**9),
        (("options", "steps"), 10**9),
    ],
)
def test_sizes_of_a_checkpoint_that_cannot_be_are_one_line(
    tmp_path: Path, place: tuple[str, ...], value: int
) -> None:
    vla = model(network("dummy"), "flow")
    save(tmp_path, vla, tokenizer(vla.config), contract_of(vla, normalization()))
    config = json.loads((tmp_path / "config.json").read_text())
    inner = config["contract"]
    for name in place[:-1]:
        inner = inner[name]
    assert inner[place[-1]] != value
    inner[place[-1]] = value
    (tmp_path / "config.json").write_text(json.dumps(config))
    start = time.process_time()
    with pytest.raises(UsageError) as refused:
        Checkpoint.open(tmp_path).load(torch.device("cpu"))
    assert time.process_time() - start < 2
    assert str(refused.value).isprintable()


def test_long_headers_are_refused_and_the_next_client_is_served() -> None:
    with served("homing") as port:
        for header in (b"X: " + b"y" * 100_000, b"\r\n".join([b"X: y"] * 1000)):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
                with suppress(ConnectionResetError):
                    assert not client.recv(100).startswith(b"HTTP/1.1 101")
        assert make_policy(remote(port)).spec.name


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_server(tmp_path: Path, sent: signal.Signals, code: int) -> None:
    command = [sys.executable, "run_eval.py", "serve", "--policy", "homing", "--port", "0"]
    with (tmp_path / "out").open("w") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            end = time.monotonic() + 60
            while "ws://" not in (tmp_path / "out").read_text() and time.monotonic() < end:
                time.sleep(0.1)
            server.send_signal(sent)
            assert server.wait(30) == code
        finally:
            server.kill()
    assert "Traceback" not in (tmp_path / "out").read_text()


def test_every_test_that_the_page_names_exists() -> None:
    page = Path("docs/design/adversarial.md").read_text()
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", page)
    assert len(named) > 100
    for file, name in named:
        assert f"def {name}(" in (Path("tests") / file).read_text(), (file, name)
