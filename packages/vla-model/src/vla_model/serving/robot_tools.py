"""The tools of the MCP service: what an outer agent can do with a robot, and no more.

Tools that move wait until the motion is over or the time they were given is; meanwhile the job is attended
(`vla_model.serving.jobs`). Every error is told as JSON with a reason that an agent can act on.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import anyio
import anyio.to_thread
from mcp.server.mcpserver import Context, Image
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from vla_data.errors import VlaError
from vla_data.robots.kernel import RefusedError
from vla_data.robots.robot_link import RobotLink
from vla_data.robots.scene import Judge, Verdict
from vla_model.serving.guard import CALLER, DONE, GONE
from vla_model.serving.job import Item, Job, new_job
from vla_model.serving.jobs import Jobs
from vla_model.serving.skills import UnknownSkillError, find_skill
from vla_model.serving.tokens import Caller

WAIT = 30.0  # seconds, unless a caller says otherwise
MOST_WAIT = 120.0  # also what a broken connection that nobody closed may cost
STEP = 0.05
LEGIBLE = 256  # pixels
REPORT = 0.5
JUDGES: dict[Judge, str] = {
    "simulator": "The simulator says whether a sub-task is done.",
    "agent": "Nobody here knows whether a sub-task is done: when it has ended, look and tell job_status.",
}

Instruction = Annotated[
    str, Field(max_length=300, description="One of list_skills, by its name or in other words it lists.")
]
Checklist = Annotated[
    list[Annotated[str, Field(max_length=300)]] | None,
    Field(
        max_length=20, description="Sub-tasks in order, instead of an instruction; each one of list_skills."
    ),
]
Seconds = Annotated[
    float,
    Field(ge=0, le=MOST_WAIT, allow_inf_nan=False, description="Wait so long; the robot moves meanwhile."),
]
Told = Annotated[
    Verdict | None,
    Field(
        description="Only where `next` asks for it, of the sub-task marked [?]: success: it is done, go on; "
        "again: try it once more; failure: the job has failed."
    ),
]
JobId = Annotated[str, Field(max_length=40, description="As run_task gave it.")]


def within(low: float, high: float, what: str) -> Any:
    """The type of a number within limits."""
    return Annotated[float, Field(ge=low, le=high, allow_inf_nan=False, description=what)]


@dataclass
class SkillInfo:
    """A skill: call run_task with its name or one of its wordings."""

    name: str
    wordings: list[str]


@dataclass
class Skills:
    """What the robot can be told."""

    skills: list[SkillInfo]
    robot: str
    note: str


@dataclass
class JobInfo:
    """Where a job stands. `paused`: the robot holds; `next` says what lets it go on."""

    id: str
    title: str
    state: str
    checklist: str
    steps: int
    said: str
    next: str


@dataclass
class RobotState:
    """Where the robot is and what it does."""

    time: float
    values: dict[str, float]
    phase: str
    stopped_for: str | None
    moved_by: str | None
    scene: str
    job: JobInfo | None


@dataclass
class Stopped:
    """After a stop, or after it was taken back."""

    phase: str
    stopped_for: str | None


@dataclass
class SeenObject:
    """An object in view: its box (left, top, right, bottom, pixels) and, where depth is known, where it is in
    metres and how fast it moves in metres a second (else empty)."""

    name: str
    box: list[float]
    position: list[float]
    velocity: list[float]
    confidence: float


@dataclass
class SceneInfo:
    """What is in view; `source` says by what it was seen."""

    source: str
    frame: str
    objects: list[SeenObject]


class RobotTools:
    """One robot's tools; each public coroutine is one.

    Args:
        link: to the robot.
        jobs: of the robot.
        describe: what is in view; None where nothing can tell.
        ask: answers a question; None without a language model.
        local: the caller where the transport names none (stdio).
    """

    def __init__(
        self,
        link: RobotLink,
        jobs: Jobs,
        local: Caller,
        describe: Callable[[], SceneInfo] | None = None,
        ask: Callable[[str], str] | None = None,
    ) -> None:
        self.link, self.jobs, self.local = link, jobs, local
        self._describe, self._ask = describe, ask
        self._thinking = anyio.CapacityLimiter(1)
        self._urgent = anyio.CapacityLimiter(8)

    async def list_skills(self) -> Skills:
        """What the robot can be told to do."""
        told = [SkillInfo(n, list(w)) for n, w in self.link.skills.items()]
        note = "One job at a time. A job moves the robot only while run_task or job_status waits for it."
        return Skills(told, self.link.spec.name, f"{note} {JUDGES[self.jobs.judged_by]}")

    async def run_task(
        self,
        ctx: Context,
        instruction: Instruction = "",
        checklist: Checklist = None,
        wait_seconds: Seconds = WAIT,
        unattended: Annotated[
            bool, Field(description="Go on although nobody waits; needs the scope admin.")
        ] = False,
        new_scene: Annotated[
            bool, Field(description="In a simulator: arrange the scene anew before each sub-task.")
        ] = False,
    ) -> JobInfo:
        """Have the robot do something; gives a job, after waiting for it up to `wait_seconds`. Then call
        job_status to wait on, or cancel to end it."""
        with _told():
            caller = self.caller(ctx)
            if unattended and "admin" not in caller.scopes:
                raise _NotAllowedError("a job that goes on alone needs the scope admin", got=caller.name)
            asked = [instruction] if instruction else list(checklist or [])
            if not asked or (instruction and checklist):
                raise UnknownSkillError(
                    "say what to do", expected="either an instruction or a checklist", got="both or neither"
                )
            items = [Item(find_skill(text, self.link.skills), text.strip()) for text in asked]
            title = instruction or f"{len(items)} sub-tasks"
            options: dict[str, object] = {"arrange": new_scene}
            job = new_job(caller.name, title, items=items, unattended=unattended, options=options)
            self.jobs.add(job)
            return await self._attended(ctx, job, wait_seconds)

    async def job_status(
        self, ctx: Context, job_id: JobId, wait_seconds: Seconds = WAIT, verdict: Told = None
    ) -> JobInfo:
        """Where a job stands, once it is over, waits for a verdict, or `wait_seconds` passed; it goes on
        meanwhile."""
        with _told():
            job, caller = self.jobs.find(job_id), self.caller(ctx)
            if "move" not in caller.scopes:
                if verdict is not None:
                    raise _NotAllowedError("a verdict needs the scope move", got=caller.name)
                wait_seconds = 0.0  # who may not move a robot does not let it go on either
            if verdict is not None:
                await anyio.to_thread.run_sync(self.jobs.judge, job, verdict)
            return await self._attended(ctx, job, wait_seconds)

    async def cancel(self, ctx: Context, job_id: JobId) -> JobInfo:
        """End a job; the robot brakes."""
        with _told():
            job = self.jobs.find(job_id)
            await self._cancel(job, f"cancelled by {self.caller(ctx).name}")
            return info_of(job)

    async def gripper(self, ctx: Context, action: Literal["open", "close"]) -> JobInfo:
        """Open or close the gripper; waits until it is done."""
        return await self._motion(ctx, f"{action} the gripper", {"do": "grip", "close": action == "close"})

    async def reach(self, ctx: Context, target: Mapping[str, float], wait_seconds: float) -> JobInfo:
        """To a place; the tool `move_to` is made of it for each robot."""
        title = "move to " + ", ".join(f"{k} {v:.3f}" for k, v in target.items())
        return await self._motion(ctx, title, {"do": "reach", "target": dict(target)}, wait_seconds)

    async def stop(
        self, ctx: Context, reason: Annotated[Any, Field(description="Why, in a few words.")] = "asked for"
    ) -> Stopped:
        """Hold the robot at once and refuse every motion until reset_stop. Anybody may stop."""
        with _told():
            request = ctx.request_context.request
            done = request.scope.get(DONE) if request is not None else None
            return _stopped(done or await self.stop_now(_why(self.caller(ctx), reason)))

    async def stop_for(self, caller: Caller, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """Stop as soon as a call is known to be one; None where that failed: the tool then tries again."""
        try:
            return await self.stop_now(_why(caller, arguments.get("reason", "asked for")))
        except VlaError:
            return None

    async def stop_now(self, said: str) -> dict[str, Any]:
        """Stop, in threads that nothing else waits for."""
        told = await anyio.to_thread.run_sync(
            partial(self.link.ask, "stop", reason=said), limiter=self._urgent
        )
        self.jobs.stopped(said)
        return told

    async def _cancel(self, job: Job, said: str) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.jobs.cancel, job, said)

    async def reset_stop(self, ctx: Context) -> Stopped:
        """Take a stop back, once it is safe to move; needs the scope admin."""
        with _told():
            return _stopped(await self._asked("reset_stop"))

    async def get_state(self, ctx: Context) -> RobotState:
        """Where the robot is, whether it moves, and for whom."""
        with _told():
            return self.state_of(await self._asked("state"))

    async def look(
        self, ctx: Context, camera: Annotated[str, Field(max_length=60, description="Empty: the first.")] = ""
    ) -> Image:
        """A picture of what a camera sees now."""
        with _told():
            return Image(data=await anyio.to_thread.run_sync(self.picture, camera), format="png")

    async def describe_scene(self, ctx: Context) -> SceneInfo:
        """The objects in view, with positions and velocities."""
        with _told():
            if self._describe is None:
                raise VlaError(
                    "nothing here tells objects",
                    expected="a detector",
                    next_step="look, or start the server with --detector",
                )
            return await anyio.to_thread.run_sync(self._describe, limiter=self._thinking)

    async def ask(self, ctx: Context, question: Annotated[str, Field(min_length=1, max_length=1000)]) -> str:
        """Ask the robot's language model, for instance how to go about a task."""
        with _told():
            if self._ask is None:
                raise VlaError(
                    "there is no language model here", next_step="start the server with --language RUN"
                )
            return await anyio.to_thread.run_sync(self._ask, question, limiter=self._thinking)

    def caller(self, ctx: Context) -> Caller:
        """Who asks."""
        request = ctx.request_context.request
        return request.scope.get(CALLER, self.local) if request is not None else self.local

    def state_of(self, told: Mapping[str, Any]) -> RobotState:
        """The robot's own words as a tool tells them."""
        kernel, job = told["kernel"], self.jobs.current
        names = [d.name for d in self.link.spec.state]
        values = {n: round(float(v), 5) for n, v in zip(names, told["state"], strict=True)}
        return RobotState(
            round(float(told["time"]), 3),
            values,
            str(kernel["phase"]),
            kernel["stopped_for"],
            kernel["owner"],
            str(told["scene"]),
            info_of(job) if job is not None else None,
        )

    def picture(self, camera: str) -> bytes:
        """PNG.

        Raises:
            VlaError: there is no such camera, or it shows nothing.
        """
        from PIL import Image as Pictures

        seen = self.link.observe().images
        name = camera or next(iter(seen), "")
        if name not in seen:
            raise VlaError(
                "there is no such camera", expected=", ".join(seen) or "none: it has no camera", got=name
            )
        picture = Pictures.fromarray(seen[name])
        larger = max(1, round(LEGIBLE / min(picture.size)))  # what a policy looks at may be 64 pixels wide
        picture = picture.resize(
            (picture.width * larger, picture.height * larger), Pictures.Resampling.BICUBIC
        )
        out = io.BytesIO()
        picture.save(out, "PNG")
        return out.getvalue()

    async def _motion(
        self, ctx: Context, title: str, motion: dict[str, object], wait_seconds: float = WAIT
    ) -> JobInfo:
        with _told():
            job = self.jobs.add(new_job(self.caller(ctx).name, title, motion=motion))
            try:
                return await self._attended(ctx, job, wait_seconds)
            finally:
                if not job.over:  # a motion is not gone on with later
                    await self._cancel(job, "nobody waited for it")

    async def _attended(self, ctx: Context, job: Job, seconds: float) -> JobInfo:
        """Wait for a job, which goes on meanwhile; progress is told."""
        request = ctx.request_context.request
        gone: anyio.Event | None = request.scope.get(GONE) if request is not None else None
        left, told = seconds, 0.0
        self.jobs.attend(job) if seconds > 0 else None
        try:
            while not job.over and left > 0 and not (gone is not None and gone.is_set()):
                await anyio.sleep(STEP)
                left, told = left - STEP, told + STEP
                if told >= REPORT or job.unjudged is not None:
                    told = 0.0
                    done = sum(i.state == "done" for i in job.items)
                    await ctx.report_progress(done, max(1, len(job.items)), _doing(job))
                if job.unjudged is not None:  # nothing moves until there is a verdict
                    break
        finally:
            self.jobs.leave(job) if seconds > 0 else None
        return info_of(job)

    async def _asked(self, do: str, **told: Any) -> dict[str, Any]:
        return await anyio.to_thread.run_sync(partial(self.link.ask, do, **told))


def info_of(job: Job) -> JobInfo:
    """A job as a tool tells it."""
    state = "paused" if job.state == "running" and not job.attended and not job.unattended else job.state
    goes_on = f"job_status('{job.id}') lets it go on"
    if job.unjudged is not None:
        goes_on = f"look, then job_status('{job.id}', verdict='success' or 'again' or 'failure')"
    hints = {"paused": goes_on, "stopped": "reset_stop, then run_task again"}
    return JobInfo(job.id, job.title, state, job.checklist(), job.steps, job.said, hints.get(state, ""))


def _doing(job: Job) -> str:
    item = next((i for i in job.items if i.state in ("doing", "ended")), None)
    if job.unjudged is not None:
        return job.said
    return f"{job.state}: {item.text}" if item else f"{job.state}: {job.title}"


def _why(caller: Caller, reason: object) -> str:
    return f"{str(reason)[:200]} ({caller.name})"


def _stopped(told: Mapping[str, Any]) -> Stopped:
    return Stopped(str(told["kernel"]["phase"]), told["kernel"]["stopped_for"])


class _NotAllowedError(VlaError):
    """A token does not allow this."""


@contextmanager
def _told() -> Iterator[None]:
    """Errors as an agent can act on them."""
    try:
        yield
    except VlaError as error:
        raise ToolError(json.dumps(_error(error), ensure_ascii=False)) from error


def _error(error: VlaError) -> dict[str, str]:
    kind = type(error).__name__.removesuffix("Error").strip("_")
    reason = error.reason if isinstance(error, RefusedError) else _snake(kind)
    parts = {"reason": reason, "message": error.message, "where": error.where, "expected": error.expected}
    parts |= {"got": error.got, "next": error.next_step}
    return {k: v for k, v in parts.items() if v}


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_") or "error"
