"""vla-model without vla-cli: a policy trained for a few steps, loaded again, asked for a chunk."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from _source import Circles
from _wheel import check_absent, check_wheel, import_all

from vla_model import load_policy
from vla_model.finetuning import PRESETS, finetune

check_wheel("vla-model")
check_absent("vla_cli", "ultralytics", "tensorflow", "mujoco")
SERVE = "conversation policy_server policy_process"  # with [serve]
MCP = "describing guard mcp_server mcp_service robot_tools status_page updates"  # with [mcp]
import_all("vla_model", but=tuple(f"vla_model.serving.{name}" for name in (SERVE + " " + MCP).split()))

config = PRESETS["debug"]()
config = replace(config, policy=replace(config.policy, head="continuous"))
with tempfile.TemporaryDirectory() as folder:
    finetune(Circles(), config, None, Path(folder))
    policy = load_policy(Path(folder) / "checkpoint")
    spec = policy.input_spec
    windows = [spec.fake_window(seed, slot=seed) for seed in range(3)]
    chunks = policy.infer(windows)
    assert [c.actions.shape for c in chunks] == [(spec.action_horizon, spec.robot.action.dim)] * 3
    assert all(np.isfinite(c.actions).all() for c in chunks)
    assert not chunks[0].spec.differences(Circles().robot.action)
