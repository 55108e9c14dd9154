"""Run by test_fit_resume.py in a process of its own: trains, is killed at given moments, trains on.

It also sees to it that training never imports TensorFlow, which would take MuJoCo's renderer down with it.
Lightning is imported once; every attempt is a fork of this otherwise idle process. Prints one line a case:
how its two attempts ended, as signal or exit status.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch  # noqa: F401
from tests.data.fit_cases import train

from vla_data import files
from vla_data.fit import state
from vla_data.protocols import Progress


def kill_now(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_step(step: int) -> Callable[[Progress], None]:
    return lambda progress: kill_now() if progress.done >= step else None


def never(progress: Progress) -> None:
    return


def in_save(number: int, fraction: float) -> None:
    """Die in the `number`th save, once `fraction` of the state was written."""
    whole, calls = state.__dict__["save_file"], [0]

    def torn(tensors: Any, path: Path, metadata: Any = None) -> None:
        whole(tensors, path, metadata=metadata)
        calls[0] += 1
        if calls[0] == number:
            with path.open("r+b") as handle:
                handle.truncate(int(path.stat().st_size * fraction))
            kill_now()

    state.__dict__["save_file"] = torn


def before_rename(number: int) -> None:
    """Die with the `number`th state written in full, but not yet under its name."""
    rename, calls = os.replace, [0]

    def replace(source: Any, target: Any) -> None:
        calls[0] += 1
        if calls[0] == number:
            kill_now()
        rename(source, target)

    files.os.replace = replace  # type: ignore[attr-defined]


def after_training() -> None:
    """Die when all is trained, while the resume state is being cleared away."""
    from vla_data.fit import loop

    loop.shutil.rmtree = kill_now  # type: ignore[attr-defined]


def attempt(work: Callable[[], None]) -> str:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return str(-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


def main(root: Path) -> None:
    def case(name: str, arm: Callable[[], None] | None, on_progress: Callable[[Progress], None]) -> None:
        directory, weights = root / name, root / f"{name}.safetensors"

        def first() -> None:
            if arm is not None:
                arm()
            train(directory, on_progress, weights)

        def second() -> None:
            train(directory, never, weights)
            assert not {"tensorflow", "torch.utils.tensorboard"} & set(sys.modules)

        print(name, attempt(first), attempt(second), flush=True)

    for step in (1, 7, 12):
        case(f"step{step}", None, at_step(step))
    case("torn_save", lambda: in_save(2, 0.5), never)
    case("whole_save", lambda: in_save(3, 1.0), never)
    case("before_rename", lambda: before_rename(1), never)
    case("cleared", after_training, never)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
