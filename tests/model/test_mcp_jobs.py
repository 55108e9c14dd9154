"""Jobs: one at a time, sub-task by sub-task, and only while somebody is there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("mcp")

from vla_data.errors import VlaError
from vla_data.robots.driver import RobotError
from vla_data.robots.kernel import RefusedError
from vla_model.serving.job import Item, Job, new_job
from vla_model.serving.jobs import BusyError, Jobs, NothingToJudgeError
from vla_model.serving.skills import UnknownSkillError, find_skill

SKILLS = {"reach": ["reach the goal", "go to the goal"], "drawer-open": ["open the drawer", "pull it open"]}


class Lease:
    def __init__(self, present: Callable[[], bool]) -> None:
        self.key, self.present = "key", present

    @property
    def lost(self) -> str:
        return "" if self.present() else "nobody waits"


class FakeLink:
    """A robot whose sub-tasks come out as they are told to, each after `takes` seconds."""

    def __init__(self, *outcomes: str, takes: float = 0.02) -> None:
        self.outcomes, self.takes = list(outcomes), takes
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.number, self.ends = 0, 0.0
        self.refuses: Exception | None = None
        self.held: list[str] = []

    def ask(self, do: str, **told: Any) -> dict[str, Any]:
        if do == "motion":
            over = time.monotonic() >= self.ends
            state = self.outcomes[0] if over else "moving"
            if over and len(self.outcomes) > 1:
                self.outcomes.pop(0)
            return {"motion": {"number": self.number, "state": state, "said": "", "steps": 3}}
        self.asked.append((do, told))
        if do == "judge":
            return {}
        if self.refuses is not None and do in ("task", "reach"):
            raise self.refuses
        self.number, self.ends = self.number + 1, time.monotonic() + self.takes
        return {"number": self.number}

    @contextmanager
    def hold(self, owner: str, present: Callable[[], bool], *, seize: bool = False):
        if isinstance(self.refuses, RefusedError):
            raise self.refuses
        self.held.append(owner)
        yield Lease(present)


def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to it"
        time.sleep(0.005)


def tasks(*names: str, **parts: Any) -> Job:
    return new_job("agent", "a job", items=[Item(n, SKILLS[n][0]) for n in names], **parts)


def made(link: FakeLink) -> Jobs:
    return Jobs(link)


def test_sub_tasks_are_done_in_order():
    link = FakeLink("succeeded")
    jobs, job = made(link), tasks("drawer-open", "reach", options={"arrange": True})
    jobs.attend(jobs.add(job))
    until(lambda: job.over)
    assert job.state == "succeeded"
    assert job.steps == 6
    assert job.checklist() == "- [x] open the drawer\n- [x] reach the goal"
    assert [told["skill"] for _, told in link.asked] == ["drawer-open", "reach"]
    assert all(told["arrange"] is True for _, told in link.asked)


def test_what_was_not_done_is_tried_once_more_and_then_fails():
    link = FakeLink("ended", "succeeded", "ended", "ended")
    jobs, job = made(link), tasks("drawer-open", "reach", options={"arrange": True})
    jobs.attend(jobs.add(job))
    until(lambda: job.over)
    assert job.state == "failed"
    assert "reach the goal: not done" in job.said
    assert job.checklist() == "- [x] open the drawer\n- [!] reach the goal"
    assert [(told["skill"], told["arrange"]) for _, told in link.asked] == [
        ("drawer-open", True), ("drawer-open", False), ("reach", True), ("reach", False)
    ]  # fmt: skip


def test_a_job_that_nobody_waits_for_pauses_and_goes_on():
    link = FakeLink("succeeded", takes=0.4)
    jobs, job = made(link), tasks("drawer-open")
    jobs.attend(jobs.add(job))
    until(lambda: bool(link.asked))
    jobs.leave(job)
    until(lambda: job.state == "paused")
    assert job.checklist() == "- [ ] open the drawer"
    jobs.attend(job)
    until(lambda: job.over)
    assert job.state == "succeeded"
    assert len(link.asked) == 2


def judged(link: FakeLink) -> Jobs:
    return Jobs(link, judge="agent")


@pytest.mark.parametrize("outcome", ["ended", "succeeded"])
def test_where_an_agent_judges_nothing_moves_until_it_did(outcome: str):
    link = FakeLink(outcome)
    jobs, job = judged(link), tasks("drawer-open", "reach", options={"arrange": True})
    jobs.attend(jobs.add(job))
    until(lambda: job.unjudged is not None and jobs._driving is None)
    time.sleep(0.1)  # somebody still waits for it
    jobs.leave(job)
    jobs.attend(job)
    assert (job.state, job.checklist()) == ("paused", "- [?] open the drawer\n- [ ] reach the goal")
    assert "look, and tell" in job.said
    assert len(link.asked) == 1
    jobs.judge(job, "success")
    until(lambda: job.unjudged is not None and "reach" in job.said)
    jobs.judge(job, "again")
    until(lambda: len([do for do, _ in link.asked if do == "task"]) == 3 and job.unjudged is not None)
    jobs.judge(job, "success")
    assert (job.state, job.checklist()) == ("succeeded", "- [x] open the drawer\n- [x] reach the goal")
    told = [(told["skill"], told["arrange"]) for do, told in link.asked if do == "task"]
    assert told == [("drawer-open", True), ("reach", True), ("reach", False)]
    verdicts = [(told["number"], told["success"]) for do, told in link.asked if do == "judge"]
    assert verdicts == [(1, True), (2, False), (3, True)]


def test_a_sub_task_that_an_agent_gives_up_fails_its_job():
    jobs, job = judged(FakeLink("ended")), tasks("drawer-open", "reach")
    jobs.attend(jobs.add(job))
    until(lambda: job.unjudged is not None)
    jobs.judge(job, "failure")
    assert (job.state, job.said) == ("failed", "open the drawer: not done")
    assert job.checklist() == "- [!] open the drawer\n- [ ] reach the goal"


def test_a_verdict_that_nothing_waits_for_is_an_error():
    link = FakeLink("ended", takes=0.3)
    jobs, job = judged(link), tasks("drawer-open")
    jobs.attend(jobs.add(job))
    until(lambda: bool(link.asked))
    with pytest.raises(NothingToJudgeError, match="no sub-task waits"):
        jobs.judge(job, "success")
    until(lambda: job.unjudged is not None)
    jobs.cancel(job, "enough")
    assert job.checklist() == "- [ ] open the drawer"
    with pytest.raises(NothingToJudgeError):
        jobs.judge(job, "success")
    assert job.state == "cancelled"


def test_of_many_verdicts_at_once_one_counts():
    for _ in range(20):
        link = FakeLink("ended", takes=0.0)
        jobs, job = judged(link), tasks("drawer-open", "reach")
        jobs.attend(jobs.add(job))
        until(lambda job=job: job.unjudged is not None)
        counted: list[bool] = []

        def tell(jobs: Jobs = jobs, job: Job = job, counted: list[bool] = counted) -> None:
            try:
                jobs.judge(job, "failure")
            except NothingToJudgeError:
                return
            counted.append(True)

        threads = [threading.Thread(target=tell) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (counted, job.state) == ([True], "failed")


def test_a_verdict_for_a_job_that_nobody_waits_for_does_not_move_the_robot():
    link = FakeLink("ended")
    jobs, job = judged(link), tasks("drawer-open", "reach")
    jobs.attend(jobs.add(job))
    until(lambda: job.unjudged is not None)
    jobs.leave(job)
    jobs.judge(job, "success")
    time.sleep(0.1)
    assert (job.state, len(link.held)) == ("paused", 1)
    jobs.attend(job)
    until(lambda: job.unjudged is not None)
    assert "reach" in job.said


def test_only_an_unattended_job_goes_on_alone():
    link = FakeLink("succeeded")
    jobs = made(link)
    alone, attended = tasks("reach", unattended=True), tasks("reach")
    jobs.add(alone)
    until(lambda: alone.over)
    jobs.add(attended)
    time.sleep(0.1)
    assert attended.state == "paused"
    assert len(link.asked) == 1


def test_one_job_at_a_time():
    jobs = made(FakeLink("succeeded"))
    first = jobs.add(tasks("reach"))
    with pytest.raises(BusyError, match="under way") as error:
        jobs.add(tasks("reach"))
    assert first.id in str(error.value)
    jobs.cancel(first, "enough")
    assert first.state == "cancelled"
    jobs.add(tasks("reach"))
    with pytest.raises(VlaError, match="no such job"):
        jobs.find("none")


def test_a_cancelled_job_stays_cancelled():
    link = FakeLink("left", takes=0.3)
    jobs, job = made(link), tasks("reach")
    jobs.attend(jobs.add(job))
    until(lambda: bool(link.asked))
    jobs.cancel(job, "enough")
    jobs.leave(job)
    time.sleep(0.3)
    assert (job.state, job.said) == ("cancelled", "enough")
    assert link.asked[-1][0] == "cancel"


@pytest.mark.parametrize(
    ("refusal", "state"),
    [
        (RefusedError("stopped", "stopped", got="a person"), "stopped"),
        (RefusedError("faulty", "fault"), "failed"),
        (RefusedError("somebody else", "owned", got="a person"), "paused"),
        (RobotError("unplugged"), "failed"),
    ],
)
def test_what_a_robot_refuses_ends_or_pauses_a_job(refusal: VlaError, state: str):
    link = FakeLink("succeeded")
    link.refuses = refusal
    jobs, job = made(link), tasks("reach")
    jobs.attend(jobs.add(job))
    until(lambda: job.state == state and bool(job.said))
    jobs.leave(job)
    until(lambda: jobs._driving is None)


def test_a_job_taken_on_while_another_winds_down_begins():
    link = FakeLink("succeeded", takes=0.2)
    jobs = made(link)
    for _ in range(5):
        job = jobs.add(tasks("reach"))
        jobs.attend(job)
        until(lambda: bool(link.asked))
        jobs.cancel(job, "something else comes first")
        following = jobs.add(new_job("agent", "move", motion={"do": "reach", "target": {"x": 0.1}}))
        jobs.attend(following)
        until(lambda following=following: following.over)
        assert following.state == "succeeded"
        link.asked.clear()


def test_a_job_goes_on_when_a_person_lets_go():
    link = FakeLink("succeeded")
    link.refuses = RefusedError("somebody else", "owned", got="a person")
    jobs, job = made(link), tasks("reach")
    jobs.attend(jobs.add(job))
    until(lambda: "a person" in job.said)
    link.refuses = None
    until(lambda: job.over)
    assert job.state == "succeeded"


def test_a_stop_ends_what_is_under_way():
    link = FakeLink("stopped", takes=0.3)
    jobs, job = made(link), tasks("reach")
    jobs.attend(jobs.add(job))
    until(lambda: bool(link.asked))
    jobs.stopped("a person")
    assert (job.state, job.said) == ("stopped", "a person")
    until(lambda: jobs._driving is None)
    assert job.state == "stopped"


def test_many_clients_come_and_go_and_one_thread_drives():
    link = FakeLink("succeeded", takes=0.5)
    jobs, job = made(link), tasks("reach")
    jobs.add(job)

    def visit() -> None:
        for _ in range(20):
            jobs.attend(job)
            time.sleep(0.001)
            jobs.leave(job)

    jobs.attend(job)
    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: job.over)
    assert job.state == "succeeded"
    assert len(link.asked) == 1
    assert job.attended == 1


def test_motions_are_jobs_too():
    link = FakeLink("succeeded")
    jobs = made(link)
    job = jobs.add(new_job("agent", "move", motion={"do": "reach", "target": {"x": 0.1}}))
    jobs.attend(job)
    until(lambda: job.over)
    assert link.asked == [("reach", {"target": {"x": 0.1}, "key": "key"})]


# ------------------------------------------------------------------ skills


@pytest.mark.parametrize(
    ("asked", "name"),
    [("reach", "reach"), ("Reach the goal.", "reach"), ("  open   THE drawer!", "drawer-open"),
     ("drawer open", "drawer-open"), ("pull it open", "drawer-open")],
)  # fmt: skip
def test_a_skill_is_known_by_its_name_and_its_wordings(asked: str, name: str):
    assert find_skill(asked, SKILLS) == name


@pytest.mark.parametrize("asked", ["", "make coffee", "open the drawr", "reach the goal and open the drawer"])
def test_what_is_not_quite_a_skill_is_refused_with_the_nearest(asked: str):
    with pytest.raises(UnknownSkillError) as error:
        find_skill(asked, SKILLS)
    if "drawr" in asked:
        assert error.value.next_step == "did you mean 'drawer-open'?"


@given(st.text())
def test_no_text_is_guessed_at(asked: str):
    try:
        name = find_skill(asked, SKILLS)
    except UnknownSkillError:
        return
    plain = " ".join(asked.lower().replace("-", " ").strip(" .!").split())
    assert plain in [w.replace("-", " ") for w in (name, *SKILLS[name])]
