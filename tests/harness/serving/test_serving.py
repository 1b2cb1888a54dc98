"""The policy server over a real socket, with plain websockets and with openpi's client."""

import socket
import threading
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from assay_points import ACTION, STATE, Broken, Homing, Still
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from harness.cli import main as run_eval
from harness.contracts.errors import UsageError
from harness.contracts.policy import PolicySpec, Query
from harness.contracts.registry import make_policy
from harness.contracts.spec import EpisodeSpec, keyed_stream, policy_stream, stream_key
from harness.serving.codec import LARGEST_MESSAGE, WireError, pack, unpack
from harness.serving.greeting import QUESTION_KEY, Greeting, read_greeting
from harness.serving.keys import ObservationKeys
from harness.serving.server import MOST_CLIENTS, MOST_SOCKETS, PolicyServer, Serving
from tests.helpers.plays import wait_until
from tests.helpers.serving import served

Serve = Callable[..., AbstractContextManager[int]]
REQUEST = {"observation/state": np.array([0.5, -0.25]), "prompt": "reach left"}
EPISODE = EpisodeSpec("homing", "points_two", "left", 0, 7, "points/plain")
DROID = ObservationKeys.parse(
    {"main": "observation/exterior_image_1_left", "wrist": "observation/wrist_image_left"},
    ["observation/joint_position:7", "observation/gripper_position:1"],
    "",
)


def ask(port: int, *requests: Any, **options: Any) -> list[Any]:
    """Send requests on one connection; return the server's metadata and answers."""
    with connect(f"ws://127.0.0.1:{port}", proxy=None, max_size=None, **options) as socket:
        answers = [unpack(socket.recv())]  # type: ignore[arg-type]
        for request in requests:
            socket.send(request if isinstance(request, str | bytes) else pack(request))
            answer = socket.recv()
            answers.append(answer if isinstance(answer, str) else unpack(answer))
            if isinstance(answer, str):
                with pytest.raises(ConnectionClosed) as closed:
                    socket.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1011
    return answers


def test_server_sends_its_spec_then_actions_and_timings() -> None:
    with served("homing") as port:
        metadata, first, second = ask(port, REQUEST, REQUEST)
    greeting = read_greeting(metadata)
    assert greeting == Greeting(Homing.spec, ObservationKeys())
    assert first["actions"].dtype == np.float32
    assert first["actions"].shape == (6, 2)
    assert first["policy_timing"]["infer_ms"] > 0
    assert first["policy_timing"]["evaluations"] == 2
    assert first["server_timing"].keys() == {"infer_ms"}
    assert second["server_timing"].keys() == {"infer_ms", "prev_total_ms"}


def test_actions_are_drawn_from_the_stream_in_the_request() -> None:
    key = stream_key(policy_stream(EPISODE, 4))
    with served("homing") as port:
        _, answer = ask(port, REQUEST | {"assay/stream": key})
    observation = ObservationKeys().unpack(REQUEST, Homing.spec)
    (here,) = Homing().infer([Query(observation, policy_stream(EPISODE, 4))])
    np.testing.assert_array_equal(answer["actions"], here)


def test_without_a_stream_the_actions_depend_on_seed_and_call_count() -> None:
    with served("homing", seed=1) as port:
        _, *once = ask(port, REQUEST, REQUEST)
        _, *again = ask(port, REQUEST, REQUEST)
    with served("homing", seed=2) as port:
        _, *other = ask(port, REQUEST, REQUEST)
    drawn = [[answer["actions"].tolist() for answer in answers] for answers in (once, again, other)]
    assert drawn[0] == drawn[1]
    assert drawn[0][0] != drawn[0][1]
    assert drawn[0][0] != drawn[2][0]


def test_unused_stream_is_sent_as_its_key() -> None:
    stream = policy_stream(EPISODE, 9)
    again = keyed_stream(stream_key(stream))
    assert again.normal(size=9).tolist() == stream.normal(size=9).tolist()
    for used in (stream, np.random.default_rng(0)):
        with pytest.raises(ValueError, match="nobody has drawn"):
            stream_key(used)


def test_simultaneous_clients_get_the_same_answers_as_single_ones() -> None:
    requests = [REQUEST | {"observation/state": np.array([0.1 * k, 1.0])} for k in range(8)]
    answers: dict[int, Any] = {}
    with served("homing") as port:
        alone = [ask(port, request)[1]["actions"].tolist() for request in requests]

        def one(index: int) -> None:
            answers[index] = ask(port, requests[index])[1]["actions"].tolist()

        threads = [threading.Thread(target=one, args=(index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [answers[index] for index in range(8)] == alone


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"prompt": "reach left"}, "observation/state is missing; sent: prompt"),
        (
            REQUEST | {"observation/state": np.zeros(3)},
            "must have 2 numbers, got 3: position[2] (m)",
        ),
        (REQUEST | {"observation/state": "0 0"}, "observation/state must be numbers, got str"),
        (REQUEST | {"observation/state": np.array([0, np.nan])}, "number 1 of observation/state"),
        (
            REQUEST | {"observation/state": np.array([0, -np.inf])},
            "is -inf; a state must be finite",
        ),
        (REQUEST | {"observation/state": np.array([2e6, 0])}, "is 2e+06; a state must be finite"),
        ({"observation/state": np.zeros(2)}, "prompt is missing; sent: observation/state"),
        (REQUEST | {"prompt": 5}, "prompt must be a string"),
        (REQUEST | {"assay/stream": 5}, "assay/stream must be a uint64 array"),
        ("text", "binary frame"),
        (b"\xc1", "not a message of openpi's protocol"),
        ([1], "must be a map, got list"),
    ],
)
def test_wrong_request_gets_a_text_error_and_others_still_work(request_: Any, message: str) -> None:
    with served("homing") as port:
        _, answer = ask(port, request_)
        assert message in answer
        assert ask(port, REQUEST)[1]["actions"].shape == (6, 2)
    assert answer.startswith("harness.serving.codec.WireError: ")
    assert str(Path(__file__).parents[3]) not in answer


def test_policy_exception_is_reported_and_the_next_client_is_served() -> None:
    with served("fussy") as port:
        assert ask(port, REQUEST)[1].startswith("ValueError: not this one (assay_points.py:")
        assert "actions" in ask(port, REQUEST | {"prompt": "reach right"})[1]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (np.array([[object()]]), "expected float32, got object"),
        ({1}, "expected an array, got set"),
        (np.array([[0.0, np.inf]]), "the actions are not finite"),
        (np.array([[0.0, 0.0], [np.nan, 0.0]], np.float32), "the actions are not finite"),
        (np.zeros((3, 2), np.int64), "expected float32, got int64"),
        (np.zeros((0, 2), np.float32), "got (0, 2)"),
        (np.zeros(2), "got (2,)"),
    ],
    ids=["objects", "set", "infinite", "NaN", "integers", "empty", "one action"],
)
def test_wrong_chunk_is_reported_and_never_sent_to_a_robot(
    answer: Any, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Broken, "answer", answer)
    with served("broken") as port:
        assert problem in ask(port, REQUEST)[1]


def test_served_chunk_has_the_size_of_its_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Broken, "spec", PolicySpec("broken", action_layout=ACTION))
    for size, reply in ((3, "expected (length, 2), got (5, 3)"), (2, "")):
        monkeypatch.setattr(Broken, "answer", np.zeros((5, size), np.float32))
        with served("broken") as port:
            answer = ask(port, REQUEST)[1]
        assert reply in answer if reply else answer["actions"].shape == (5, 2)


def test_error_frame_is_short_and_printable_and_so_is_the_screen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hostile = "\x1b[2J\x07\u202e" * 50_000
    requests = [{hostile: 1}, REQUEST | {"observation/state": [hostile]}, {f"{hostile}\n": 1}]
    with served("homing") as port:
        frames = [ask(port, request)[1] for request in requests]
    screen = capsys.readouterr().out
    for frame in frames:
        assert len(frame) <= 2000
        assert frame.isprintable()
    assert "\\x1b[2J\\x07\\u202e" in frames[0]
    assert len(screen) < 3 * 2100
    assert screen.replace("\n", "").isprintable()


def test_observation_uses_the_message_keys_of_the_robot() -> None:
    rng = np.random.default_rng(0)
    images = {role: rng.integers(0, 255, (6, 8, 3), np.uint8) for role in ("main", "wrist")}
    state = rng.normal(size=8).astype(np.float32)
    spec = PolicySpec("droid", ("main", "wrist"), image_size=(6, 8))
    sent = unpack(pack(DROID.pack({"image": images, "state": state, "instruction": "go"})))
    assert sent["observation/gripper_position"].shape == (1,)
    got = DROID.unpack(sent, spec)
    np.testing.assert_equal(got["image"], images)
    np.testing.assert_array_equal(got["state"], state)
    # Some of openpi's robots send the gripper as a scalar.
    sent["observation/gripper_position"] = float(state[7])
    np.testing.assert_array_equal(DROID.unpack(sent, spec)["state"], state)


@pytest.mark.parametrize(
    "image", [np.zeros((3, 8, 6), np.uint8), np.zeros((6, 8, 3)), np.zeros((8, 6, 3), np.uint8)]
)
def test_image_of_wrong_shape_or_dtype_is_refused(image: Any) -> None:
    spec = PolicySpec("droid", ("main",), image_size=(6, 8))
    with pytest.raises(WireError, match=r"exterior_image_1_left must be .* \(6, 8, 3\), got"):
        DROID.unpack({"observation/exterior_image_1_left": image}, spec)


def test_only_the_health_check_works_without_the_api_key(tmp_path: Path) -> None:
    with served("homing", api_key="secret") as port:
        health = urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz")
        assert (health.status, health.read()) == (200, b"OK\n")
        for given in (None, "Api-Key other", "secret", "Api-Key ", "Api-Key sécret"):
            headers = {"Authorization": given} if given is not None else {}
            with pytest.raises(InvalidStatus, match="401"):
                ask(port, REQUEST, additional_headers=headers)
        right = {"Authorization": "Api-Key secret"}
        assert "actions" in ask(port, REQUEST, additional_headers=right)[1]


def test_a_client_too_much_is_told_and_the_others_are_served() -> None:
    with served("homing") as port, ExitStack() as opened:
        sockets = [opened.enter_context(client(port)) for _ in range(MOST_CLIENTS)]
        for each in sockets:
            each.recv()
        with client(port) as refused:
            assert refused.recv() == "the server has 64 clients, the most it takes; try later"
        with pytest.raises(UsageError, match="the server has 64 clients, the most it takes"):
            make_policy(f"remote:ws://127.0.0.1:{port}")
        sockets[0].send(pack(REQUEST))
        assert "actions" in unpack(sockets[0].recv())  # type: ignore[arg-type]
        sockets[1].close()
        wait_until(lambda: isinstance(first_frame(port), bytes), 10)


def test_silent_sockets_are_bounded_and_leave_room_again() -> None:
    with served("homing") as port, ExitStack() as opened:
        for _ in range(MOST_SOCKETS + 20):
            opened.enter_context(socket.create_connection(("127.0.0.1", port)))
        wait_until(lambda: handlers() >= MOST_SOCKETS, 20)
        assert handlers() <= MOST_SOCKETS + 20
        opened.close()
        wait_until(lambda: isinstance(first_frame(port), bytes), 20)


def client(port: int) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{port}", proxy=None, compression=None)


def first_frame(port: int) -> Any:
    try:
        with client(port) as one:
            return one.recv()
    except (OSError, InvalidHandshake):
        return None


def handlers() -> int:
    """Return the number of threads of this process that answer a socket."""
    return sum("_accept" in thread.name for thread in threading.enumerate())


@pytest.mark.parametrize("frame", [bytes(LARGEST_MESSAGE), pack({f"k{n}": 1 for n in range(9000)})])
def test_a_long_malformed_frame_gets_a_short_answer(
    frame: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with served("homing") as port:
        _, error = ask(port, frame)
    assert len(error) < 2500
    assert len(capsys.readouterr().out) < 2500


def test_a_reply_repeats_the_number_of_its_request() -> None:
    with served("homing") as port:
        replies = ask(port, *({**REQUEST, QUESTION_KEY: number} for number in (5, 7)), REQUEST)[1:]
    assert [reply.get(QUESTION_KEY) for reply in replies] == [5, 7, None]


def test_requests_from_a_browser_are_refused() -> None:
    with served("homing") as port, pytest.raises(InvalidStatus, match="403"):
        ask(port, REQUEST, origin="http://example.org")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "oracle"], "oracle needs the simulator"),
        (["--policy", "nobody"], "unknown policy 'nobody'"),
        (["--policy", "still", "--image-key", "main"], "'main' is not ROLE=KEY"),
        (["--policy", "homing", "--state-key", "a", "b:1"], "write KEY:SIZE for each"),
        (["--policy", "homing", "--state-key", "a:x"], "is not KEY or KEY:SIZE"),
        (["--policy", "homing", "--port", "70000"], "--port must be from 0 to 65535"),
        (["--policy", "homing", "--max-batch", "0"], "--max-batch must be at least 1"),
        (["--policy", "homing", "--host", "192.0.2.1"], "choose another --host or --port"),
        (["--policy", "homing", "--api-key-file", "/dev/null"], "must hold a key"),
        (["--policy", "homing", "--api-key-file", "/no"], "cannot read the API key in /no"),
    ],
)
def test_serve_refuses_wrong_arguments_at_the_start(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_eval.main(["serve", "--port", "0", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_camera_without_a_message_key_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Still, "spec", PolicySpec("still", ("left",), STATE, ACTION))
    with pytest.raises(UsageError, match="no key is known for the camera 'left'; give left=KEY"):
        PolicyServer(Serving(reference="still", port=0), print)


def test_openpi_client_gets_the_same_actions() -> None:
    theirs = pytest.importorskip(
        "openpi_client.websocket_client_policy", reason="openpi-client is not installed"
    )
    with served("homing", api_key="secret") as port:
        client = theirs.WebsocketClientPolicy("127.0.0.1", port, api_key="secret")
        _, ours = ask(port, REQUEST, additional_headers={"Authorization": "Api-Key secret"})
        got = client.infer(REQUEST)
        assert read_greeting(client.get_server_metadata()) is not None
        np.testing.assert_array_equal(got["actions"], ours["actions"])
        with pytest.raises(RuntimeError, match="observation/state is missing"):
            client.infer({"prompt": "reach left"})
