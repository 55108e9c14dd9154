"""ROS 2 in this process: its libraries found, a node with a thread that answers for it."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import sysconfig
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from vla_data.errors import MissingDependencyError

SEARCHED = (
    "_ROS_WHEELS_BOOTSTRAP_COMPLETE"  # set where the wheels' own hook named their libraries to the linker
)

MESSAGES = (
    "diagnostic_msgs.msg",
    "sensor_msgs.msg",
    "std_msgs.msg",
    "std_srvs.srv",
    "trajectory_msgs.msg",
)


def ros() -> Any:
    """The package rclpy.

    Raises:
        MissingDependencyError: there is none that this Python can load.
    """
    try:
        _load_libraries()
        import rclpy
        import rclpy.executors

        for name in MESSAGES:
            importlib.import_module(name)
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            "ROS 2's Python packages cannot be loaded",
            where=sys.executable,
            expected="rclpy and the standard messages",
            got=str(error).partition("\n")[0],
            next_step="pip install 'vla-data[ros2]' (Linux, x86-64), or source the setup.bash of a ROS 2",
        ) from error
    return rclpy


class RosNode:
    """A node in a context of its own, until closed. Callbacks run one after the other in its thread.

    Raises:
        MissingDependencyError: ROS 2 is absent.
    """

    def __init__(self, name: str, domain: int | None = None) -> None:
        rclpy = ros()
        self.context = rclpy.Context()
        # Who ends this process, and how, is not for ROS to say: it would take Ctrl-C and SIGTERM for itself.
        none = rclpy.signals.SignalHandlerOptions.NO
        rclpy.init(args=[], context=self.context, domain_id=domain, signal_handler_options=none)
        self.node = rclpy.create_node(name, context=self.context)
        self._executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True, name=f"ros {name}")

    def start(self) -> None:
        """Answer from now on, when all callbacks are told."""
        self._thread.start()

    def now(self) -> int:
        """ROS's time, nanoseconds."""
        return int(self.node.get_clock().now().nanoseconds)

    def close(self) -> None:
        """Leave."""
        with suppress(Exception):  # what ROS says while it ends helps nobody
            self._executor.shutdown(timeout_sec=1.0)
        self.context.try_shutdown()
        if self._thread.ident is not None:
            self._thread.join(2.0)
        with suppress(Exception):
            self.node.destroy_node()

    def _spin(self) -> None:
        import rclpy.executors

        with suppress(rclpy.executors.ExternalShutdownException, rclpy.executors.ShutdownException):
            self._executor.spin()


def _load_libraries() -> None:
    """Load the libraries of ROS's wheels, which name each other without saying where they lie.

    The wheels have a hook that starts every Python anew with LD_LIBRARY_PATH set. Where it is left out, as
    in this workspace, they are loaded here, each after those that it needs.
    """
    folder, packages = Path(sys.prefix, "lib"), Path(sysconfig.get_paths()["platlib"])
    if "rclpy" in sys.modules or SEARCHED in os.environ or not (packages / "ros_rclpy.libs").is_dir():
        return
    bundled = packages.glob("ros_*.libs/*.so*")
    # Wheels bundle the same file more than once; a second copy of one would be another library.
    left = [*{file.name: file for file in sorted(bundled)}.values(), *sorted(folder.glob("lib*.so"))]
    while left:
        waiting = [file for file in left if not _loaded(file)]
        if len(waiting) == len(left):
            return  # the import says what is missing
        left = waiting


def _loaded(file: Path) -> bool:
    try:
        ctypes.CDLL(str(file))
    except OSError:
        return False
    return True
