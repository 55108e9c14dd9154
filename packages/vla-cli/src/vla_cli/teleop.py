"""`vla data record --teleop`: a person drives a robot, or takes over from a policy."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vla_cli.errors import InterruptedRunError
from vla_cli.output import emit, hint, print_pairs

if TYPE_CHECKING:
    from vla_cli.keyboard import Terminal
    from vla_data.robots.sessions import RobotConfig
    from vla_data.robots.station import StationConfig
    from vla_data.robots.teleoperation import Leader
    from vla_data.types import RobotSpec

KEYBOARD, GAMEPAD = "keyboard", "gamepad"
LEADERS = ("lerobot",)  # an arm that a file describes
DEVICE = "/dev/input/js0"


def drive(how: str, chosen: RobotConfig, out: Path, checkpoint: Path | None, as_json: bool) -> None:
    """Record episodes by hand and say what came of it.

    Raises:
        ConfigError, RobotError: nobody can drive like this, or here.
        InterruptedRunError: the person stopped; what was kept is kept.
    """
    from vla_cli.keyboard import Terminal
    from vla_data.registry import lookup
    from vla_data.robots.by_hand import record_by_hand
    from vla_data.robots.robot_link import RobotProcess
    from vla_data.robots.scene import StoppedByPersonError
    from vla_model.serving.policy_process import policy_of

    lookup("way to drive", dict.fromkeys((KEYBOARD, GAMEPAD, *LEADERS)), how.partition(":")[0])
    station = _station(chosen, out)
    with ExitStack() as stack:
        terminal = stack.enter_context(Terminal())
        if checkpoint is not None:
            station = stack.enter_context(policy_of(checkpoint, station))
        hint(f"starting {chosen.robot} …")
        link = stack.enter_context(RobotProcess(station))
        leader = make_leader(how, link.spec, terminal)
        stack.callback(leader.close)
        names = [task.name for task in chosen.tasks]
        try:
            told = record_by_hand(link, leader, terminal, names, chosen.trials, policy=checkpoint is not None)
        except StoppedByPersonError:
            raise InterruptedRunError(
                "stopped; what was kept is kept",
                where=str(out),
                next_step="run the same command again to record more",
            ) from None
    summary = {"robot": chosen.robot, **asdict(told), "directory": str(out / "episodes")}
    emit(summary, as_json, lambda to: print_pairs(to, summary))


def make_leader(how: str, robot: RobotSpec, terminal: Terminal) -> Leader:
    """What the person holds.

    Raises:
        UnknownNameError: there is no such thing.
        ConfigError, RobotError: it cannot move this robot, or is not there.
    """
    from vla_data.registry import lookup
    from vla_data.robots.by_file import leading_arm
    from vla_data.robots.teleoperation import Gamepad, Keyboard

    kind, _, device = how.partition(":")

    def keyboard() -> Leader:
        keys = Keyboard(robot, terminal.typed)
        hint(f"keys: {keys.help()}")
        return keys

    ways = {
        KEYBOARD: keyboard,
        GAMEPAD: lambda: Gamepad(robot, Path(device or DEVICE)),
        **dict.fromkeys(LEADERS, lambda: leading_arm(robot, how)),
    }
    return lookup("way to drive", ways, kind)()


def _station(chosen: RobotConfig, out: Path) -> StationConfig:
    from vla_cli.serving import VIEWS
    from vla_data.robots.station import StationConfig
    from vla_data.types import CameraInput

    small = tuple(CameraInput(name, 64, 64) for name, *_ in VIEWS.get(chosen.robot, ()))
    tasks = tuple(task.name for task in chosen.tasks)
    station = StationConfig(chosen.robot, tasks, cameras=small, out=out, split="train", successes_only=True)
    return replace(station, steps=chosen.max_steps or 100_000)
