"""`vla serve`: who may ask, and what is said to the person who starts it."""

from __future__ import annotations

import numpy as np
import pytest
from tests.model.test_policy_server import FLAT, TOKEN, Echo

from vla_data.robots.remote_policy import RemotePolicy
from vla_model.serving.policy_server import PolicyServer


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """The command with a policy of which nothing is read, asked once and then stopped."""
    found = []

    def ask(server: PolicyServer) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("VLA_TOKEN", server.config.token)
            remote = RemotePolicy(f"ws://127.0.0.1:{server.port}")
        remote.reset([0], [3])
        found.append(remote.infer([FLAT.fake_window()])[0].actions)
        remote.close()

    monkeypatch.setattr(PolicyServer, "serve_forever", ask)
    monkeypatch.setattr("vla_model.serving.policy_server.load_policy", lambda path: Echo(FLAT))
    return found


def test_a_token_is_made_and_told(vla, asked, tmp_path):
    ran = vla("serve", "policy", tmp_path, "--port", 0)
    assert ran.code == 0
    assert np.shape(asked[0]) == (3, 4)
    assert ran.err.count("VLA_TOKEN=") == 1
    assert len(ran.err.partition("VLA_TOKEN=")[2].split()[0]) >= 32


def test_a_token_is_read_and_not_told(vla, asked, tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n")
    ran = vla("serve", "policy", tmp_path, "--port", 0, "--token-file", tmp_path / "token")
    assert ran.code == 0
    assert asked
    assert TOKEN not in ran.err + ran.out


def test_what_is_wrong_is_named_with_what_mends_it(vla, asked, tmp_path):
    ran = vla("serve", "policy", tmp_path, "--port", 0, "--token-file", tmp_path / "absent")
    assert (ran.code, "a token cannot be read" in ran.err) == (2, True)
    ran = vla("serve", "policy", tmp_path, "--port", 0, "--convention", "openpi-libro")
    assert (ran.code, "openpi-libero" in ran.err) == (2, True)
    ran = vla("serve", "policy", tmp_path, "--port", 0, "--convention", "openpi-libero")
    assert ran.code != 0
    assert "two action specs disagree" in ran.err
    ran = vla("serve", "policy", tmp_path / "absent")
    assert (ran.code, "vla model finetune" in ran.err) == (3, True)


def test_a_port_that_is_taken_is_named(vla, asked, tmp_path):
    from vla_model.serving.policy_server import ServeConfig

    with PolicyServer(Echo(FLAT), ServeConfig(TOKEN, port=0), "echo") as server:
        ran = vla("serve", "policy", tmp_path, "--port", server.port)
    assert ran.code != 0
    assert "Traceback" not in ran.err
    assert str(server.config.host) in ran.err or "in use" in ran.err


def test_eval_takes_an_address_or_a_name(vla, tmp_path):
    ran = vla("eval", "metaworld", "--policy", "exprt", "--out", tmp_path / "a")
    assert (ran.code, "expert" in ran.err) == (2, True)
    ran = vla(
        "eval", "metaworld", "--policy", "ws://127.0.0.1:9", "--tasks", "reach", "--out", tmp_path / "b"
    )
    assert ran.code != 0
    assert "cannot be reached" in ran.err
    assert "vla serve policy" in ran.err


def test_a_robot_that_others_can_reach_needs_a_name(vla):
    ran = vla("serve", "mcp", "--demo", "--host", "0.0.0.0")
    assert (ran.code, "--host 0.0.0.0 --public-host NAME" in ran.err) == (2, True)
    ran = vla("serve", "mcp", "--demo", "--host", "::", "--public-host", "a.example,*")
    assert (ran.code, "a public host cannot be like this" in ran.err) == (2, True)


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_tokens_that_others_can_read_are_warned_of(vla, asked, tmp_path, host, warned):
    ran = vla("serve", "policy", tmp_path, "--port", 0, "--host", host)
    assert (ran.code, "not encrypted" in ran.err) == (0, warned)


def test_a_policy_listens_at_the_loopback_of_ipv6(vla, monkeypatch, tmp_path):
    addresses = []

    def ask(server: PolicyServer) -> None:
        remote = RemotePolicy(f"ws://[::1]:{server.port}", server.config.token)
        addresses.append(remote.address)
        remote.close()

    monkeypatch.setattr(PolicyServer, "serve_forever", ask)
    monkeypatch.setattr("vla_model.serving.policy_server.load_policy", lambda path: Echo(FLAT))
    ran = vla("serve", "policy", tmp_path, "--port", 0, "--host", "::1")
    assert (ran.code, f"at {addresses[0]};" in ran.err) == (0, True)
