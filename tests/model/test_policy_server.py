"""A policy behind a websocket: the same policy, and nobody else's business."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from openpi_client.websocket_client_policy import WebsocketClientPolicy
from tests.model.conftest import ROBOT
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import serve

from vla_data.errors import ConfigError, SpecMismatchError, UnknownNameError
from vla_data.protocols import Policy
from vla_data.robots.conventions import CONVENTIONS, Convention, find_convention, plain
from vla_data.robots.remote_policy import RemotePolicy, RemotePolicyError
from vla_data.robots.wire import MOST_BYTES, MessageError, pack, unpack
from vla_data.types import ActionChunk, ActionSpec, CameraInput, InputSpec, ObservationWindow
from vla_model.policies.registry import load_policy
from vla_model.serving.policy_server import PolicyServer, ServeConfig
from vla_model.serving.tokens import new_token

TOKEN = "a-token-for-a-test"
HORIZON = 3
SPEC = InputSpec(ROBOT, (CameraInput("front", 8, 8, depth=True), CameraInput("wrist", 6, 4)), HORIZON, 2)
FLAT = replace(SPEC, cameras=(CameraInput("front", 8, 8), CameraInput("wrist", 6, 4)), history=1)


class Echo:
    """Its chunk is made of everything that it was shown, and of the seed its episode began with."""

    def __init__(self, spec: InputSpec = SPEC) -> None:
        self.input_spec = spec
        self.seeds: dict[int, int] = {}
        self.wrong: Callable[[np.ndarray], np.ndarray] = lambda actions: actions

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        self.seeds.update(zip(slots, seeds, strict=True))

    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
        return [self._chunk(w) for w in windows]

    def _chunk(self, window: ObservationWindow) -> ActionChunk:
        latest = window.latest
        told = [
            sum(float(i.mean()) for o in window.observations for i in o.images.values()),
            sum(float(d.mean()) for d in latest.depth.values()) + float(latest.state.sum()) + latest.time,
            len(latest.instruction) + float(window.past_actions.sum()),
            self.seeds[window.slot],
        ]
        actions = np.tile(np.array(told, np.float32), (HORIZON, 1))
        return ActionChunk(self.wrong(actions), self.input_spec.robot.action)


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def server(echo: Echo) -> Iterator[PolicyServer]:
    with PolicyServer(echo, ServeConfig(TOKEN, port=0), "echo") as server:
        yield server


def address(server: PolicyServer) -> str:
    return f"ws://127.0.0.1:{server.port}"


@pytest.fixture
def remote(server: PolicyServer) -> Iterator[RemotePolicy]:
    policy = RemotePolicy(address(server), TOKEN, answer_seconds=20)
    yield policy
    policy.close()


def test_it_is_the_same_policy(echo: Echo, remote: RemotePolicy):
    assert isinstance(remote, Policy)
    assert remote.input_spec == SPEC
    remote.reset([0, 5], [7, 2**40])
    windows = [SPEC.fake_window(1, slot=5), SPEC.fake_window(2, slot=0)]
    found = remote.infer(windows)
    local = Echo()
    local.reset([0, 5], [7, 2**40])
    for mine, theirs in zip(found, local.infer(windows), strict=True):
        np.testing.assert_array_equal(mine.actions, theirs.actions)
        assert mine.spec == ROBOT.action


def test_clients_have_episodes_of_their_own(server: PolicyServer, remote: RemotePolicy):
    other = RemotePolicy(address(server), TOKEN)
    remote.reset([3], [1])
    other.reset([3], [2])
    window = SPEC.fake_window(slot=3)
    assert [p.infer([window])[0].actions[0, 3] for p in (remote, other)] == [1, 2]
    other.close()


def test_it_is_loaded_by_its_address(server: PolicyServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VLA_TOKEN", TOKEN)
    assert load_policy(address(server)).input_spec == SPEC


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}])
def test_nobody_comes_in_without_the_token(server: PolicyServer, headers: dict[str, str]):
    with pytest.raises(InvalidStatus) as refused:
        connect(address(server), additional_headers=headers, proxy=None)
    assert refused.value.response.status_code == 401


def test_a_wrong_token_is_said(server: PolicyServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("VLA_TOKEN", raising=False)
    for token in (None, "wrong"):
        with pytest.raises(RemotePolicyError, match="turned us away") as refused:
            RemotePolicy(address(server), token)
        assert "VLA_TOKEN" in str(refused.value)


def test_web_pages_do_not_come_in_even_with_the_token(server: PolicyServer):
    with pytest.raises(InvalidStatus) as refused:
        connect(
            address(server),
            origin="http://127.0.0.1",  # type: ignore[arg-type]
            additional_headers={"Authorization": f"Bearer {TOKEN}"},
            proxy=None,
        )
    assert refused.value.response.status_code == 403


def test_it_says_that_it_is_well(server: PolicyServer):
    asked = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    asked.request("GET", "/healthz")
    assert asked.getresponse().status == 200
    asked.close()


def test_it_listens_on_the_loopback_interface_and_wants_a_token_that_is_one():
    assert ServeConfig(new_token()).host == "127.0.0.1"
    for token in ("", "short", "é" * 20):
        with pytest.raises(ConfigError):
            ServeConfig(token)


def talk(server: PolicyServer, message: bytes | str) -> bytes | str:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with connect(address(server), additional_headers=headers, proxy=None) as socket:
        socket.recv()
        socket.send(message)
        answer = socket.recv(timeout=20)
        socket.send(pack({"do": "reset", "slots": [1], "seeds": [1]}))  # it still listens
        assert unpack(socket.recv(timeout=20)) == {"done": True}  # type: ignore[arg-type]
        return answer


def window(**changed: object) -> dict:
    frame = {
        "time": 0.0,
        "state": np.zeros(3, np.float32),
        "instruction": "go",
        "images": {"front": np.zeros((8, 8, 3), np.uint8), "wrist": np.zeros((6, 4, 3), np.uint8)},
        "depth": {"front": np.ones((8, 8), np.float32)},
    }
    frame |= {k: v for k, v in changed.items() if k in frame}
    rest = {k: v for k, v in changed.items() if k not in frame}
    return {"slot": 0, "past_actions": np.zeros((1, 4), np.float32), "observations": [frame, frame]} | rest


NAN = np.array([0, np.nan, 0], np.float32)
BAD = {
    "text": "hello",
    "no message": b"\xc1",
    "unknown": pack({"do": "explode"}),
    "no windows": pack({"do": "infer"}),
    "nothing to do": pack({"do": "infer", "windows": []}),
    "too many": pack({"do": "infer", "windows": [{}] * 65}),
    "a window that is none": pack({"do": "infer", "windows": [1]}),
    "an unknown slot": pack({"do": "infer", "windows": [window(slot=64)]}),
    "a slot that did not begin": pack({"do": "infer", "windows": [window(slot=3)]}),
    "a slot that is no number": pack({"do": "infer", "windows": [window(slot=True)]}),
    "a state that is not finite": pack({"do": "infer", "windows": [window(state=NAN)]}),
    "a state of another length": pack({"do": "infer", "windows": [window(state=NAN[:2])]}),
    "a state of numbers too large": pack({"do": "infer", "windows": [window(state=np.full(3, 1e300))]}),
    "a state in words": pack({"do": "infer", "windows": [window(state=["NaN"] * 3)]}),
    "a time that is none": pack({"do": "infer", "windows": [window(time=float("inf"))]}),
    "no picture": pack({"do": "infer", "windows": [window(images={})]}),
    "a picture in floats": pack(
        {"do": "infer", "windows": [window(images={"front": np.zeros((8, 8, 3)), "wrist": 0})]}
    ),
    "depth that is not finite": pack(
        {"do": "infer", "windows": [window(depth={"front": np.full((8, 8), np.inf)})]}
    ),
    "a long instruction": pack({"do": "infer", "windows": [window(instruction="a" * 5000)]}),
    "an instruction that is none": pack({"do": "infer", "windows": [window(instruction=7)]}),
    "one observation of two": pack(
        {"do": "infer", "windows": [window(observations=window()["observations"][:1])]}
    ),
    "nothing of the past": pack(
        {"do": "infer", "windows": [window(past_actions=np.zeros((0, 4), np.float32))]}
    ),
    "too much of the past": pack(
        {"do": "infer", "windows": [window(past_actions=np.zeros((9, 4), np.float32))]}
    ),
    "a past that is not finite": pack(
        {"do": "infer", "windows": [window(past_actions=np.full((1, 4), np.nan))]}
    ),
    "seeds that are none": pack({"do": "reset", "slots": [0], "seeds": [-1]}),
    "lists of two lengths": pack({"do": "reset", "slots": [0], "seeds": []}),
    "a flat observation for a policy with a past": pack({"prompt": "go"}),
}


@pytest.mark.parametrize("message", BAD.values(), ids=BAD)
def test_what_is_wrong_is_said_and_nothing_more(server: PolicyServer, message: bytes | str):
    answer = talk(server, message)
    assert isinstance(answer, str)
    assert "Traceback" not in answer
    assert ".py" not in answer


def test_a_good_window_is_answered(server: PolicyServer):
    answer = unpack(talk(server, pack({"do": "infer", "windows": [window()]})))  # type: ignore[arg-type]
    assert answer["chunks"].shape == (1, HORIZON, 4)
    assert answer["server_timing"]["infer_ms"] >= 0


@pytest.mark.parametrize(
    "wrong", [lambda a: a * np.float32("nan"), lambda a: a[:1], lambda a: a.astype(int), lambda a: a + np.inf]
)
def test_a_chunk_that_no_robot_should_see_is_not_sent(echo: Echo, remote: RemotePolicy, wrong):
    echo.wrong = wrong
    remote.reset([0], [0])
    with pytest.raises(RemotePolicyError, match="something is wrong"):
        remote.infer([SPEC.fake_window()])
    echo.wrong = lambda a: a
    assert remote.infer([SPEC.fake_window()])


def test_an_error_inside_is_told_by_a_number_alone(echo: Echo, server: PolicyServer, caplog):
    def fail(actions: np.ndarray) -> np.ndarray:
        raise RuntimeError("secret path /home/robot")

    echo.wrong = fail
    answer = talk(server, pack({"do": "infer", "windows": [window()]}))
    assert isinstance(answer, str)
    assert "secret" not in answer
    assert answer.rpartition(" ")[2] in caplog.text
    assert "secret" in caplog.text


def test_too_much_at_once_hangs_up(server: PolicyServer):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with connect(address(server), additional_headers=headers, proxy=None) as socket:
        socket.recv()
        with suppress(ConnectionClosed):
            socket.send(b"\0" * (MOST_BYTES + 1))
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=20)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_so_many_and_no_more(echo: Echo):
    with PolicyServer(echo, ServeConfig(TOKEN, port=0, connections=1), "echo") as server:
        first = RemotePolicy(address(server), TOKEN)
        with pytest.raises(RemotePolicyError, match="hung up"):
            RemotePolicy(address(server), TOKEN)
        first.close()
        deadline = time.monotonic() + 10
        while len(server._room) == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        RemotePolicy(address(server), TOKEN).close()


def test_a_policy_that_takes_too_long_is_named(echo: Echo, server: PolicyServer):
    wait = threading.Event()

    def think(actions: np.ndarray) -> np.ndarray:
        wait.wait(30)
        return actions

    echo.wrong = think
    slow = RemotePolicy(address(server), TOKEN, answer_seconds=0.2)
    with pytest.raises(RemotePolicyError, match="in time"):
        slow.infer([SPEC.fake_window()])
    wait.set()
    with pytest.raises(RemotePolicyError, match="hung up"):  # a late answer is never taken for another's
        slow.infer([SPEC.fake_window()])


def test_a_server_that_is_gone_is_named(echo: Echo):
    with PolicyServer(echo, ServeConfig(TOKEN, port=0), "echo") as server:
        remote = RemotePolicy(address(server), TOKEN)
    with pytest.raises(RemotePolicyError, match="hung up"):
        remote.infer([SPEC.fake_window()])
    with pytest.raises(RemotePolicyError, match="cannot be reached"):
        RemotePolicy(address_of_nobody(), TOKEN)


def address_of_nobody() -> str:
    return "ws://127.0.0.1:9"


def flat(convention: Convention) -> dict:
    spec = convention.spec(1)
    return convention.tell(spec.fake_window().latest)


def test_openpi_asks_ours():
    echo = Echo(FLAT)
    with PolicyServer(echo, ServeConfig(TOKEN, port=0), "echo") as server:
        theirs = WebsocketClientPolicy("127.0.0.1", server.port, api_key=TOKEN)
        assert theirs.get_server_metadata()["policy"] == "echo"
        observation = flat(plain(FLAT))
        actions = theirs.infer(observation)["actions"]
        assert actions.shape == (HORIZON, 4)
        pictures = [observation[f"observation/{c.name}"] for c in FLAT.cameras]
        assert actions[0, 0] == pytest.approx(sum(p.mean() for p in pictures), rel=1e-5)
        with pytest.raises(RuntimeError, match="picture is missing"):
            theirs.infer({"prompt": "go", "observation/state": np.zeros(3)})


def libero(action_horizon: int = HORIZON) -> InputSpec:
    return find_convention("openpi-libero").spec(action_horizon)


def test_openpi_asks_ours_in_the_names_of_libero():
    small = replace(libero(), cameras=(CameraInput("agentview", 56, 112),))
    convention = find_convention("openpi-libero")
    policy = Shown(small)
    with PolicyServer(policy, ServeConfig(TOKEN, port=0), "shown", convention) as server:
        theirs = WebsocketClientPolicy("127.0.0.1", server.port, api_key=TOKEN)
        observation = flat(convention)
        left = np.zeros((224, 224, 3), np.uint8)
        left[:, :112] = 200  # mirrored: the right half of what the camera sees
        assert theirs.infer(observation | {"observation/image": left})["actions"].shape == (HORIZON, 7)
    seen = policy.seen[-1].images["agentview"]
    assert seen.shape == (56, 112, 3)
    assert (seen[:, 56:] == 200).all()
    assert (seen[:, :56] == 0).all()


class Shown:
    """Keeps what it is shown and stays still."""

    def __init__(self, spec: InputSpec) -> None:
        self.input_spec = spec
        self.seen: list = []

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None: ...

    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
        self.seen += [w.latest for w in windows]
        action = self.input_spec.robot.action
        return [ActionChunk(np.zeros((HORIZON, action.dim), np.float32), action) for _ in windows]


@pytest.fixture
def theirs() -> Iterator[str]:
    """A server as openpi's is: no word about inputs, arrays that cannot be written to, its own horizon."""
    from openpi_client import msgpack_numpy

    def handle(socket) -> None:
        socket.send(msgpack_numpy.packb({"reset_pose": [0.0]}))
        for data in socket:
            told = msgpack_numpy.unpackb(data)
            brightness = float(told["observation/image"][:, :112].mean()) / 255
            actions = np.full((10, 7), brightness)
            if told["prompt"] == "explode":
                socket.send("Traceback (most recent call last): …")
            elif told["prompt"] == "shrink":
                socket.send(msgpack_numpy.packb({"actions": actions[:4]}))
            else:
                socket.send(msgpack_numpy.packb({"actions": actions, "policy_timing": {"infer_ms": 1.0}}))

    with serve(handle, "127.0.0.1", 0, compression=None, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


def test_ours_asks_openpi(theirs: str):
    with pytest.raises(ConfigError, match="does not say what it takes") as refused:
        RemotePolicy(theirs, "")
    assert "openpi-libero" in str(refused.value)
    with pytest.raises(UnknownNameError):
        RemotePolicy(f"{theirs}?convention=openpi-libro", "")
    policy = RemotePolicy(f"{theirs}?convention=openpi-libero", "")
    assert policy.input_spec == libero(10)
    policy.reset([0], [1])
    window = policy.input_spec.fake_window()
    latest = window.latest
    right = np.zeros((224, 224, 3), np.uint8)
    right[:, 112:] = 255
    seen = replace(latest, images=dict(latest.images) | {"agentview": right})
    (chunk,) = policy.infer([replace(window, observations=(seen,))])
    assert chunk.actions.shape == (10, 7)
    assert chunk.actions.min() == 1  # mirrored on the way
    for said, kind in (("explode", RemotePolicyError), ("shrink", MessageError)):
        asked = replace(window, observations=(replace(latest, instruction=said),))
        with pytest.raises(kind):
            policy.infer([asked])
    policy.close()


def test_conventions_say_what_the_robot_says():
    for name in CONVENTIONS:
        convention = find_convention(name)
        spec = convention.spec(1)
        observation = spec.fake_window().latest
        came = convention.read(convention.tell(observation))
        assert came.instruction == observation.instruction
        for camera, image in observation.images.items():
            np.testing.assert_array_equal(came.images[camera], image)


def test_a_convention_of_another_robot_or_camera_is_refused(echo: Echo):
    other = ActionSpec(ROBOT.action.dims, control_hz=20.0, gripper_closes=1)
    config = ServeConfig(TOKEN, port=0)
    with pytest.raises(SpecMismatchError):
        PolicyServer(echo, config, "echo", replace(plain(SPEC), robot=replace(ROBOT, action=other)))
    with pytest.raises(SpecMismatchError):
        PolicyServer(echo, config, "echo", replace(plain(SPEC), cameras=plain(SPEC).cameras[:1]))


def test_an_expert_is_not_served(echo: Echo):
    echo.input_spec = replace(SPEC, privileged=True)
    with pytest.raises(ConfigError, match="cannot be served"):
        PolicyServer(echo, ServeConfig(TOKEN), "expert")
