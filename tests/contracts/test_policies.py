"""One suite over every policy: whatever calls itself a `Policy` keeps these."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from vla_data.normalize import NormStats
from vla_data.protocols import ActionCodec, Policy
from vla_data.robots.remote_policy import RemotePolicy
from vla_data.sim import RandomPolicy, SimConfig, make_expert
from vla_data.sim.metaworld import PRIVILEGED, MetaWorldEnv
from vla_data.types import CameraInput, InputSpec, ObservationWindow, Trial
from vla_model.checkpoint import PolicyStats
from vla_model.policies.compact import CompactConfig
from vla_model.policies.kinds import PolicyConfig, kind_of
from vla_model.policies.learned import LearnedPolicy
from vla_model.policies.rt1 import RT1Config
from vla_model.policies.shapes import PolicyShapes
from vla_model.policies.vla import VlaConfig
from vla_model.prompt.episodes import PromptParts
from vla_model.serving.policy_server import PolicyServer, ServeConfig
from vla_model.serving.tokens import new_token
from vla_ts.bins import UniformBinsCodec

TASKS = ("reach", "drawer-open")


@pytest.fixture(scope="module")
def env() -> Iterator[MetaWorldEnv]:
    env = MetaWorldEnv(TASKS, SimConfig(cameras=()), num_envs=3)
    env.reset(range(3), [Trial(TASKS[i % 2], i, "") for i in range(3)])
    yield env
    env.close()


def untrained(config: PolicyConfig) -> Callable[[MetaWorldEnv], Policy]:
    """A policy with weights nobody trained: contracts hold for any weights."""
    return lambda env: _untrained(config, env)


def _untrained(config: PolicyConfig, env: MetaWorldEnv) -> Policy:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    cameras = (CameraInput("corner4", 64, 64), CameraInput("gripperPOV", 64, 64))
    kind = kind_of(config)
    history, past = kind.history(config), kind.past(config)
    spec = InputSpec(env.robot, cameras, 6, history, past_actions=past)
    codec = _codec(env) if kind.codes(config) else None
    levels, size = (codec.tokens_per_chunk or 0, codec.vocab_size) if codec else (0, 0)
    texts = kind.texts(config, ["pick up the cube"], spec, (), levels * size)
    shapes = PolicyShapes(
        2, 64, 64, spec.state_dim, texts.size, 6, env.robot.action.dim, levels, size,
        history, past, texts.length,
    )  # fmt: skip
    network = kind.network(config, shapes).eval()
    for parameter in network.parameters():  # what begins at zero would hide mistakes
        torch.nn.init.normal_(parameter, std=0.1)
    stats = PolicyStats(
        NormStats.of([rng.normal(size=(50, spec.state_dim)).astype(np.float32)]),
        NormStats.of([rng.normal(size=(50, env.robot.action.dim)).astype(np.float32)]),
    )
    return LearnedPolicy(network, spec, texts, stats, codec)


class Served(RemotePolicy):
    """A policy that is asked over a websocket, and its server."""

    def __init__(self, policy: Policy) -> None:
        token = new_token()
        self.server = PolicyServer(policy, ServeConfig(token, port=0), "served")
        self.server.__enter__()
        super().__init__(f"ws://127.0.0.1:{self.server.port}", token)

    def close(self) -> None:
        super().close()
        self.server.__exit__()


def _codec(env: MetaWorldEnv) -> ActionCodec:
    return UniformBinsCodec(env.robot.action, 6, bins=16)


TOLD = PromptParts(checklist=False, past_steps=8)
# A policy joins the suite by one line here.
POLICIES: dict[str, Callable[[MetaWorldEnv], Policy]] = {
    "expert": make_expert,
    "random": lambda env: RandomPolicy(env.robot, action_horizon=5),
    "compact": untrained(CompactConfig(head="continuous")),
    "compact, flow": untrained(CompactConfig(head="flow")),
    "rt1": untrained(RT1Config()),
    "rt1 without TokenLearner": untrained(RT1Config(tokens=0, history=1)),
    "vla": untrained(VlaConfig()),
    "vla, parallel": untrained(VlaConfig(head="parallel", parts=TOLD)),
    "vla, continuous": untrained(VlaConfig(head="continuous", parts=TOLD)),
    "vla, flow": untrained(VlaConfig(head="flow")),
    "served elsewhere": lambda env: Served(_untrained(VlaConfig(head="flow", parts=TOLD), env)),
}


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest, env: MetaWorldEnv) -> Iterator[Policy]:
    policy = POLICIES[request.param](env)
    policy.reset([0, 1, 2], [0, 1, 2])
    yield policy
    if isinstance(policy, RemotePolicy):
        policy.close()


def windows(policy: Policy, env: MetaWorldEnv, slots: list[int]) -> list[ObservationWindow]:
    """Windows of the published shapes; simulator state is real, since experts read it."""
    found = []
    for slot in slots:
        fake = policy.input_spec.fake_window(seed=slot, slot=slot)
        if policy.input_spec.privileged:
            seen = env.observe([slot], images=False, privileged=True)[0]
            assert PRIVILEGED in seen.privileged
            fake = ObservationWindow((seen,) * policy.input_spec.history, fake.past_actions, slot)
        found.append(fake)
    return found


def infer(policy: Policy, env: MetaWorldEnv, slots: list[int]) -> dict[int, np.ndarray]:
    chunks = policy.infer(windows(policy, env, slots))
    return {slot: chunk.actions for slot, chunk in zip(slots, chunks, strict=True)}


def test_it_is_a_policy_and_says_what_it_needs(policy: Policy, env: MetaWorldEnv) -> None:
    assert isinstance(policy, Policy)
    policy.input_spec.robot.action.require_same(env.robot.action, "contract")
    assert policy.input_spec.action_horizon >= 1
    assert policy.input_spec.history >= 1


def test_chunks_are_finite_in_range_and_of_the_published_shape(policy: Policy, env: MetaWorldEnv) -> None:
    spec = env.robot.action
    for chunk in policy.infer(windows(policy, env, [0, 1, 2])):
        assert chunk.actions.shape == (policy.input_spec.action_horizon, spec.dim)
        assert chunk.actions.dtype == np.float32
        assert np.isfinite(chunk.actions).all()
        assert (chunk.actions >= spec.low).all()
        assert (chunk.actions <= spec.high).all()
        assert chunk.spec.differences(spec) == []


def test_an_answer_does_not_depend_on_the_windows_beside_it(policy: Policy, env: MetaWorldEnv) -> None:
    together = infer(policy, env, [0, 1, 2])
    policy.reset([0, 1, 2], [0, 1, 2])
    alone = {slot: infer(policy, env, [slot])[slot] for slot in (2, 0, 1)}
    for slot, actions in together.items():
        np.testing.assert_allclose(actions, alone[slot], atol=1e-5)


def test_a_reset_with_the_same_seed_repeats_the_answers(policy: Policy, env: MetaWorldEnv) -> None:
    first = [infer(policy, env, [0])[0] for _ in range(3)]
    policy.reset([0], [0])
    for actions in first:
        np.testing.assert_array_equal(actions, infer(policy, env, [0])[0])


def test_a_reset_of_one_slot_leaves_the_others_alone(policy: Policy, env: MetaWorldEnv) -> None:
    infer(policy, env, [0, 1])
    straight = infer(policy, env, [1])[1]
    policy.reset([0, 1], [0, 1])
    infer(policy, env, [0, 1])
    policy.reset([0], [9])
    np.testing.assert_array_equal(infer(policy, env, [1])[1], straight)


def test_no_window_no_chunk(policy: Policy) -> None:
    assert policy.infer([]) == []


def test_random_actions_fill_the_range_and_follow_the_seed(env: MetaWorldEnv) -> None:
    policy = RandomPolicy(env.robot, action_horizon=500)
    policy.reset([0, 1], [5, 6])
    actions = infer(policy, env, [0, 1])
    assert np.abs(actions[0].mean(axis=0)).max() < 0.15
    assert actions[0].min() < -0.95
    assert actions[0].max() > 0.95
    assert not np.array_equal(actions[0], actions[1])
