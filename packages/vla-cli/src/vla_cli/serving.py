"""What `vla serve mcp` and `vla serve ros2` say and start."""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_cli.output import hint

if TYPE_CHECKING:
    from vla_data.robots.station import StationConfig
    from vla_model.serving.mcp_service import McpConfig

VIEWS = {
    "sim-metaworld": (("corner4", 256, 256), ("gripperPOV", 128, 128)),
    "sim-libero": (("agentview", 256, 256), ("robot0_eye_in_hand", 128, 128)),
}

# Of one scene, so that a checklist goes on where the sub-task before it ended; the scripted expert does them.
TASKS = {
    "sim-libero": (
        "libero_goal/turn_on_the_stove",
        "libero_goal/put_the_bowl_on_the_stove",
        "libero_goal/put_the_wine_bottle_on_the_rack",
        "libero_goal/open_the_middle_drawer_of_the_cabinet",
    )
}


def mcp_config(
    run: Path | None,
    robot: str,
    tasks: tuple[str, ...] | None,
    out: Path | None,
    *,
    demo: bool,
    judge: str | None = None,
    **extras: Any,
) -> McpConfig:
    """What is served.

    Args:
        judge: "simulator" or "agent"; None for the simulator, where there is one.
        extras: other fields of `McpConfig`.

    Raises:
        ConfigError: nothing moves the robot, or two things would.
        UnknownNameError: nobody of that name judges.
    """
    from vla_data.registry import lookup
    from vla_data.robots.scene import Judge
    from vla_model.serving.mcp_service import McpConfig

    judges: dict[str, Judge] = {"simulator": "simulator", "agent": "agent"}
    station = station_config("vla serve mcp", run, robot, tasks, out, demo=demo)
    station = replace(station, judge=None if judge is None else lookup("judge", judges, judge))
    audit = out / "audit.jsonl" if out is not None else None
    return McpConfig(station, run, audit=audit, **extras)


def station_config(
    command: str,
    run: Path | None,
    robot: str,
    tasks: tuple[str, ...] | None,
    out: Path | None,
    *,
    demo: bool,
) -> StationConfig:
    """The robot that a command serves; what drives it, where that is a trained policy, is opened later.

    Raises:
        ConfigError: nothing moves the robot, or two things would.
    """
    from vla_data.errors import ConfigError
    from vla_data.robots.station import StationConfig
    from vla_data.types import CameraInput

    if demo == (run is not None):
        raise ConfigError(
            "say what moves the robot",
            where=command,
            expected="--run DIR or --demo",
            got="both" if demo else "neither",
            next_step=f"{command} --demo",
        )
    cameras = tuple(CameraInput(*view) for view in VIEWS.get(robot, ()))
    station = StationConfig(robot, cameras=cameras, out=out)
    tasks = tasks or TASKS.get(robot)
    return replace(station, tasks=_known(robot, tasks)) if tasks else station


def run_ros2(station: StationConfig, run: Path | None, mapping: Path | None) -> None:
    """Serve a robot as a node of ROS 2 until interrupted.

    Raises:
        ConfigError, UnknownNameError: of the mapping's file.
        MissingDependencyError: ROS 2 is absent.
        VlaError: the robot or its policy cannot be started.
    """
    from vla_data.robots.mapping import read_mapping
    from vla_data.robots.robot_link import RobotProcess
    from vla_data.robots.ros2_node import ros
    from vla_data.robots.ros2_service import Ros2Service, Ros2ServiceConfig
    from vla_model.serving.policy_process import policy_of

    config = Ros2ServiceConfig() if mapping is None else read_mapping(Ros2ServiceConfig, mapping)
    ros()  # said before a robot is started for nothing
    with ExitStack() as stack:
        stack.enter_context(suppress(KeyboardInterrupt))
        if run is not None:
            station = stack.enter_context(policy_of(run, station))
        hint(f"starting {station.robot} …")
        link = stack.enter_context(RobotProcess(station))
        service = stack.enter_context(Ros2Service(link, config))
        hint(f"{link.spec.name} is the node {config.node}; tasks: {', '.join(link.skills) or 'none'}")
        hint(f"it moves while {config.topics.heartbeat} is published; stop with Ctrl-C")
        service.run(threading.Event())


def _known(robot: str, tasks: tuple[str, ...]) -> tuple[str, ...]:
    """Tasks by name; of a simulator a suite stands for its own."""
    from vla_data.sim import chosen_tasks

    return chosen_tasks(robot.removeprefix("sim-"), tasks) if robot in VIEWS else tasks


def run_mcp(config: McpConfig, *, stdio: bool, tokens: Path | None, scopes: tuple[str, ...]) -> None:
    """Serve until interrupted, or until standard input ends."""
    from vla_model.serving.mcp_service import open_service
    from vla_model.serving.tokens import new_callers, read_callers, scopes_of

    config = replace(config, local_scopes=scopes_of(scopes))
    made = {} if tokens is not None or stdio else new_callers()
    callers = read_callers(tokens) if tokens is not None else tuple(made.values())
    hint(f"starting {config.station.robot} …")
    with open_service(config) as service:
        if stdio:
            service.run_stdio()
            return

        def ready(taken: int) -> None:
            address = config.address.url(taken)
            hint(f"an agent connects to {address}/mcp; stop with Ctrl-C")
            if not config.address.loopback:
                hint_readable("http")
            for token, caller in made.items():
                hint(f"token of {caller.name} ({', '.join(caller.scopes)}): {token}")
            shown = next(reversed(made), "")
            hint(f"status page: {address}/" + (f"#token={shown}" if shown else ""))

        service.run_http(callers, ready)


def hint_readable(scheme: str) -> None:
    """That whoever is on the network reads along."""
    hint(
        f"WARNING: others can reach this, and {scheme} is not encrypted: tokens and pictures can be read "
        "on the way. Listen on 127.0.0.1 behind a proxy with TLS, or trust everybody on this network."
    )
