"""What moves the weights: AdamW, or Muon for matrices with AdamW for the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vla_data.errors import ConfigError
from vla_data.fit.config import FitConfig

MOMENTUM, NEWTON_STEPS, UPDATE_RMS = 0.95, 5, 0.2
POLYNOMIAL = (3.4445, -4.775, 2.0315)  # steepest at zero of those that stay near 1


class StepAdamW(torch.optim.AdamW):
    """AdamW without the per-step probe for CUDA graph capture.

    On a machine without a GPU that probe searches for the driver anew at every step, which costs more
    than the update of a small network. Nothing here is ever captured in a graph.
    """

    def _accelerator_graph_capture_health_check(self) -> None:
        return


class MuonAdamW(StepAdamW):
    """Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) for some groups, AdamW for the others.

    Muon replaces the averaged gradient of a matrix by the nearest orthogonal one, scaled to the size of an
    AdamW update (Liu et al. 2025, arXiv:2502.16982), so that one learning rate serves both. torch's own Muon
    computes in bfloat16, which a CPU without instructions for it only imitates, ten times slower.

    Args:
        groups: as of AdamW; with `"muon": True` their parameters are matrices for Muon.
    """

    def __init__(self, groups: list[dict[str, Any]], betas: tuple[float, float]) -> None:
        super().__init__([g for g in groups if not g["muon"]], betas=betas, fused=True)
        self._adamw = list(self.param_groups)
        for group in (g for g in groups if g["muon"]):
            self.add_param_group(group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Both kinds of group, once; a closure is evaluated before."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in (g for g in self.param_groups if g["muon"]):
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._turn(parameter, group)
        every, self.param_groups = self.param_groups, [g for g in self.param_groups if not g["muon"]]
        try:
            super().step()
        finally:
            self.param_groups = every
        return loss

    def _turn(self, parameter: Tensor, group: dict[str, Any]) -> None:
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum" not in state:
            state["step"] = torch.zeros(())  # AdamW looks for it in every state it loads
            state["momentum"] = torch.zeros_like(parameter)
        momentum: Tensor = state["momentum"].lerp_(parameter.grad, 1 - MOMENTUM)
        ahead = parameter.grad.lerp(momentum, MOMENTUM)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        length = UPDATE_RMS * max(parameter.shape) ** 0.5
        parameter.add_(orthogonal(ahead), alpha=-group["lr"] * length)


def orthogonal(matrix: Tensor) -> Tensor:
    """About the nearest orthogonal matrix, its singular values 0.7 … 1.2, by Newton-Schulz."""
    low = matrix.is_cuda and torch.cuda.is_bf16_supported()
    x = matrix.to(torch.bfloat16) if low else matrix.float()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    a, b, c = POLYNOMIAL
    for _ in range(NEWTON_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)


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
    optimizer = MuonAdamW([g for g in groups if g["params"]], config.betas)
    optimizer._step_supports_amp_scaling = False
    return optimizer


def _group(group: dict[str, Any], config: FitConfig) -> dict[str, Any]:
    parameters: Sequence[nn.Parameter] = [p for p in group["params"] if p.requires_grad]
    return {
        "params": parameters,
        "lr": config.learning_rate * group.get("rate", 1.0),
        "weight_decay": group.get("weight_decay", config.weight_decay),
        "muon": group.get("muon", False),
    }
