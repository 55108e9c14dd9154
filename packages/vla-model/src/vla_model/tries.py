"""Trying a policy in the closed loop while it is trained, and keeping the weights that did best.

Losses and token accuracy do not say which checkpoint drives best. Placements are those of the validation
split, so that neither training nor evaluation ever sees them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from vla_data.errors import ConfigError
from vla_data.files import atomic_directory, read_json, sha256_file, write_json
from vla_data.protocols import OnProgress, no_progress
from vla_model.checkpoint import WEIGHTS
from vla_model.eval_config import Arm, EvalConfig
from vla_model.evaluate import evaluate

FOLDER, RESULT = "tries", "success.json"


@dataclass(frozen=True)
class TryConfig:
    """When and where a policy is tried.

    Args:
        every: steps between; 0 never tries.
        sim, tasks: where; the tasks are to be named.
        trials: placements of each task.
        max_steps: cap; None for the simulator's own.

    Raises:
        ConfigError: it is to be tried, and there is no task.
    """

    every: int = 0
    sim: str = "metaworld"
    tasks: tuple[str, ...] = ()
    trials: int = 4
    max_steps: int | None = None

    def __post_init__(self) -> None:
        if self.every < 0 or self.trials < 1 or (self.every and not self.tasks):
            raise ConfigError(
                "a policy cannot be tried like this",
                where="tries",
                expected="every at least 0, trials at least 1, and tasks where every is above 0",
                got=f"every {self.every}, trials {self.trials}, tasks {list(self.tasks)}",
                next_step='name tasks: --set tries.tasks=["reach"]',
            )


class Tries:
    """A `validate` of the training loop: saves the module, lets it drive, remembers how it went.

    What was tried before an interruption is found again by the digest of its weights.

    Args:
        save: writes a checkpoint of the module to a directory.
        execute: actions of a chunk to execute before looking again.
    """

    def __init__(
        self,
        config: TryConfig,
        out: Path,
        save: Callable[[nn.Module, Path], None],
        execute: int,
        on_progress: OnProgress = no_progress,
    ) -> None:
        self.config, self.folder, self.save = config, out / FOLDER, save
        self.execute, self.on_progress = execute, on_progress

    def __call__(self, module: nn.Module) -> dict[str, float]:
        """Success rate of the module as it is now."""
        new = self.folder / "new"
        shutil.rmtree(new, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.save(module, new)
        kept = self.folder / sha256_file(new / WEIGHTS)[:16]
        if kept.is_dir():
            shutil.rmtree(new)
        else:
            new.rename(kept)
        result = self.folder / f"{kept.name}.json"
        if not result.is_file():
            write_json(result, {"success": self._drive(kept), "order": len(list(self.folder.glob("*.json")))})
        return {"success": float(read_json(result)["success"])}

    def _drive(self, checkpoint: Path) -> float:
        c = self.config
        protocol = EvalConfig(c.sim, c.tasks, c.trials, "validation", self.execute, c.max_steps, videos=False)
        records = self.folder / f"{checkpoint.name}-records"
        return evaluate((Arm("try", str(checkpoint)),), protocol, records, on_progress=self.on_progress).rate(
            "try"
        )

    def keep_best(self, target: Path) -> float:
        """Copy the checkpoint that did best (of equals the latest) to `target`; its success rate."""
        found = {p.stem: json.loads(p.read_text()) for p in self.folder.glob("*.json")}
        name, best = max(found.items(), key=lambda item: (item[1]["success"], item[1]["order"]))
        with atomic_directory(target) as part:
            shutil.copytree(self.folder / name, part, dirs_exist_ok=True)
        shutil.rmtree(self.folder)
        return float(best["success"])
