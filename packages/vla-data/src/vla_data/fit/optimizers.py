"""What moves the weights: AdamW, or Muon for matrices with AdamW for the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from vla_data.errors import ConfigError
from vla_data.fit.config import FitConfig


class StepAdamW(torch.optim.AdamW):
    """AdamW without the per-step probe for CUDA graph capture.

    On a machine without a GPU that probe searches for the driver anew at every step, which costs more
    than the update of a small network. Nothing here is ever captured in a graph.
    """

    def _accelerator_graph_capture_health_check(self) -> None:
        return


class MuonAdamW(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) and AdamW as one optimiser with one schedule.

    Args:
        muon: groups of matrices.
        adamw: groups of everything else.
    """

    def __init__(self, muon: list[dict[str, Any]], adamw: list[dict[str, Any]], **common: Any) -> None:
        # With `match_rms_adamw` an update is as large as one of AdamW, so one learning rate serves both.
        self._parts: list[torch.optim.Optimizer] = [
            torch.optim.Muon(muon, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
            StepAdamW(adamw, betas=common["betas"], fused=True),
        ]
        super().__init__([p for g in (*muon, *adamw) for p in g["params"]], {})
        self.param_groups = [group for part in self._parts for group in part.param_groups]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Both parts, once; a closure is evaluated before."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts:
            part.step()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Of both parts."""
        for part in self._parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Of both parts, side by side."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As `state_dict` gave it."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self._parts for group in part.param_groups]


def make_optimizer(module: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    """The optimiser of `config` for what of `module` is trained.

    With "muon" the module says by `optimizer_groups()` which of its matrices Muon gets (`"muon": True`), and
    at what multiple of the learning rate (`"rate"`) and with which weight decay others are trained.

    Raises:
        ConfigError: "muon" is asked for and the module does not say.
    """
    if config.optimizer == "muon":
        return _muon(module, config)
    free = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in free if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in free if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = StepAdamW([g for g in groups if g["params"]], config.learning_rate, config.betas, fused=True)
    # "Unscales gradients itself" is true of fused optimisers under a loss scaler, which bfloat16 has not;
    # left standing it would make Lightning refuse to clip.
    optimizer._step_supports_amp_scaling = False
    return optimizer


def _muon(module: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    say = getattr(module, "optimizer_groups", None)
    if say is None:
        raise ConfigError(
            "this module does not say which of its matrices Muon is for",
            where="optimizer",
            expected="adamw",
            got="muon",
            next_step="--set fit.optimizer=adamw",
        )
    groups = [_group(g, config) for g in say()]
    groups = [g for g in groups if g["params"]]
    muon = [{k: v for k, v in g.items() if k != "muon"} for g in groups if g.get("muon")]
    rest = [{k: v for k, v in g.items() if k != "muon"} for g in groups if not g.get("muon")]
    return MuonAdamW(muon, rest, betas=config.betas)


def _group(group: dict[str, Any], config: FitConfig) -> dict[str, Any]:
    parameters: Sequence[nn.Parameter] = [p for p in group["params"] if p.requires_grad]
    return {
        "params": parameters,
        "lr": config.learning_rate * group.get("rate", 1.0),
        "weight_decay": group.get("weight_decay", config.weight_decay),
        "muon": group.get("muon", False),
    }
