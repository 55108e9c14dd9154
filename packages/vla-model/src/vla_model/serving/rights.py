"""Which scope of a token opens what: tools, the protocol's other methods, pages.

What is not named here needs `read`: a token that may only move learns nothing about the robot but what comes
of what it told it.
"""

from __future__ import annotations

from vla_model.serving.tokens import Scope

ANYBODY = "stop"  # whoever may come in at all may stop
TOOLS: dict[str, Scope] = {
    "list_skills": "read",
    "run_task": "move",
    "job_status": "read",
    "cancel": "move",
    "move_to": "move",
    "gripper": "move",
    "reset_stop": "admin",
    "get_state": "read",
    "look": "read",
    "describe_scene": "read",
    "ask": "read",
}
CALL = "tools/call"
# Of the protocol: coming in, and being told which tools there are.
FREE = ("initialize", "server/discover", "ping", "tools/list", "logging/setLevel")
NOTICES = "notifications/"
PAGES: dict[str, Scope | None] = {"/mcp": None, "/stop": None, "/reset_stop": "admin"}


def right_of(method: str | None, tool: str | None) -> Scope | None:
    """What a message of the protocol needs; None where any token will do.

    Args:
        method: None where it is no request: an answer, or what cannot be read and is refused later.
        tool: that is called; a tool that does not exist is refused later.
    """
    if method is None or method in FREE or method.startswith(NOTICES):
        return None
    if method == CALL:
        return TOOLS.get(tool or "")
    return "read"


def right_of_page(path: str) -> Scope | None:
    """What a path needs by itself."""
    return PAGES.get(path, "read")
