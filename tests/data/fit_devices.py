"""A training on as many CPU processes as asked: run as a script, by test_fit_devices.py.

    fit_devices.py DIR DEVICES ACCUMULATE STEPS [fail]

Writes DIR/out/weights.safetensors and DIR/tried; `fail` makes the loss of the second process NaN at step 3.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from vla_data.fit import FitConfig, fit
from vla_data.fit.weights import save_weights
from vla_data.pool import is_helper
from vla_data.protocols import no_progress
from vla_data.runs import Stage, run_stage


class Line(nn.Module):
    """y = a x + b, and noise whose gradient shows which numbers were drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(3, 1)

    def training_loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        noise = torch.rand(()) if batch["noisy"] else torch.tensor(0.0)
        loss = ((self.line(batch["x"]) - batch["y"]) ** 2).mean() + noise * self.line.weight.sum()
        if batch["bad"]:
            loss = loss * float("nan")
        return {"loss": loss}


def main() -> None:
    directory, devices, accumulate, steps = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    options = sys.argv[5:]
    torch.manual_seed(0)
    module = Line()

    def batches(number: int) -> dict[str, Tensor]:
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(number))
        bad = torch.tensor("fail" in options and is_helper() and number >= 7)
        return {
            "x": x,
            "y": x.sum(1, keepdim=True) + 1,
            "bad": bad,
            "noisy": torch.tensor("noisy" in options),
        }

    def validate(trained: nn.Module) -> dict[str, float]:
        with (directory / "tried").open("a") as file:
            file.write("once\n")
        return {"quality": 1.0}

    config = FitConfig(
        steps=steps, devices=devices, accumulate=accumulate, learning_rate=0.05, warmup_steps=0, device="cpu",
        schedule="constant", checkpoint_every=4, ema_decay=0.9, log_every=1,
    )  # fmt: skip

    def work() -> tuple[dict, list]:
        out = directory / "out"
        stop = next((int(o.removeprefix("stop")) for o in options if o.startswith("stop")), None)
        told = _stopping(stop) if stop else no_progress
        result = fit(module, batches, config, out, told, validate=validate, validate_every=5)
        save_weights(module, out / "weights.safetensors")
        return {"losses": [v for _, v in result.history["loss"]], "resumed": result.resumed_from}, []

    print(run_stage(Stage("fit", directory / "out", config, (), work)).manifest.summary)


def _stopping(step: int):
    def told(progress) -> None:
        if progress.done == step:
            raise KeyboardInterrupt

    return told


if __name__ == "__main__":
    main()
