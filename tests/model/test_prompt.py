"""Prompts: whatever is said comes back, as text and as tokens; budgets; bodies from URDF."""

import math
from dataclasses import replace
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_data.camera_control import CameraControl
from vla_data.errors import ConfigError, DataError
from vla_data.types import ActionDim, ActionSpec, Camera, Joint, RobotSpec, StateDim, SubStep
from vla_model.lm.tokenizer import Tokenizer
from vla_model.prompt.episodes import PromptParts, prompt_at, split_instruction, with_checklist
from vla_model.prompt.parse import parse_answer, parse_prompt
from vla_model.prompt.render import answer_pieces, as_text, prompt_pieces
from vla_model.prompt.tokens import answer_of, as_tokens, fitted, text_length
from vla_model.prompt.types import Answer, AnswerFormat, Prompt, SubTask, Video
from vla_model.prompt.urdf import read_urdf

words = st.text(max_size=12)
evil = st.sampled_from(["<|end|>", "- [x] done", "a, b; c: d", "\\n\n", "Task: x", "\r", " ", "Given: video"])
texts = words | evil
numbers = st.floats(allow_nan=False) | st.integers(-1000, 1000).map(float)
finite = st.floats(allow_nan=False, allow_infinity=False)
matrices = st.sampled_from([3, 4]).flatmap(
    lambda n: st.lists(st.lists(finite, min_size=n, max_size=n).map(tuple), min_size=n, max_size=n).map(tuple)
)
dims = st.builds(
    ActionDim, texts, st.sampled_from(["position", "gripper"]), st.sampled_from(["delta", "absolute"]),
    st.sampled_from(["world", "none"]), texts, numbers, numbers, numbers,
)  # fmt: skip
robots = st.builds(
    RobotSpec,
    texts,
    st.builds(
        ActionSpec,
        st.lists(dims, max_size=3).map(tuple),
        numbers,
        st.sampled_from(["none", "quaternion_xyzw"]),
        st.sampled_from([None, 1, -1]),
    ),
    st.lists(st.builds(StateDim, texts, texts), max_size=3).map(tuple),
    st.lists(st.builds(Joint, texts, numbers, numbers, numbers, texts), max_size=3).map(tuple),
)
cameras = st.builds(
    Camera,
    texts,
    st.integers(1, 4000),
    st.integers(1, 4000),
    st.none() | matrices,
    st.none() | matrices,
    st.none() | finite,
    st.sampled_from(["colour", "depth"]),
)
said = st.lists(st.sampled_from(["text", "actions", "camera"]), min_size=1, max_size=3, unique=True).map(
    tuple
)
channels = st.lists(st.sampled_from(["rgb", "depth", "velocity"]), max_size=3, unique=True).map(tuple)
prompts = st.builds(
    Prompt,
    task=texts,
    robot=st.none() | robots,
    links=st.lists(texts, max_size=3).map(tuple),
    cameras=st.lists(cameras, max_size=2).map(tuple),
    answer=st.builds(AnswerFormat, said, st.integers(0, 100), finite),
    environment=texts,
    checklist=st.lists(st.builds(SubTask, texts, st.booleans()), max_size=4).map(tuple),
    state=st.booleans(),
    past_steps=st.integers(0, 40),
    videos=st.lists(st.builds(Video, texts, st.integers(0, 9), channels), max_size=3).map(tuple),
)
answers = st.builds(
    Answer,
    texts,
    st.none() | st.builds(CameraControl, st.sampled_from(["choose", "pan", "tilt", "zoom"]), texts, finite),
    st.lists(st.integers(0, 15), max_size=5).map(tuple),
)


@lru_cache
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["open the drawer", "Task: push"], 320, codes=16)


@settings(max_examples=300)
@given(prompts)
def test_every_prompt_comes_back_from_its_text(prompt):
    assert parse_prompt(as_text(prompt_pieces(prompt))) == prompt


@settings(max_examples=300)
@given(answers)
def test_every_answer_comes_back_from_text_and_from_tokens(answer):
    pieces = answer_pieces(answer)
    assert parse_answer(as_text(pieces)) == answer
    assert answer_of(as_tokens(pieces, tokenizer()), tokenizer()) == answer


@given(texts)
def test_what_is_said_never_becomes_a_special_token(text):
    tokens = as_tokens(prompt_pieces(Prompt(task=text, environment=text)), tokenizer())
    special = [t for t in tokens if t < 10]
    plain = as_tokens(prompt_pieces(Prompt(task="")), tokenizer())
    assert special == [t for t in plain if t < 10]


def robot() -> RobotSpec:
    dim = ActionDim("x", "position", "delta", "world", "m", 0.01)
    joints = tuple(Joint(f"joint {i}", -1.0, 1.0, 2.0) for i in range(7))
    return RobotSpec("arm", ActionSpec((dim,), 20.0, gripper_closes=1), (StateDim("x", "m"),), joints)


def long_prompt() -> Prompt:
    eye = tuple(tuple(float(i == j) for j in range(4)) for i in range(4))
    return Prompt(
        "stack the cups",
        robot(),
        ("base", "arm", "hand"),
        (Camera("front", 64, 64, pose=eye),),
        environment="a kitchen " * 20,
        checklist=(SubTask("lift the red cup", True), SubTask("put it on the blue cup")),
        state=True,
        past_steps=16,
        videos=(Video("front", 4),),
    )


def test_parts_are_left_out_in_order_and_no_more_than_needed():
    prompt, length = long_prompt(), text_length(tokenizer(), videos=8, series=4)
    whole = length(prompt)
    assert fitted(prompt, whole, length) == (prompt, ())
    shorter, left_out = fitted(prompt, whole - 1, length)
    assert left_out == ("the environment",)
    assert shorter == replace(prompt, environment="")
    tight, left_out = fitted(prompt, 150, length)
    assert length(tight) <= 150
    assert tight.checklist == (SubTask("put it on the blue cup"),)
    assert left_out[:3] == ("the environment", "sub-tasks that are done", "intrinsics and poses")
    stays = replace(prompt, robot=None, links=(), cameras=(), environment="", past_steps=0)
    stays = replace(stays, checklist=prompt.checklist[1:], videos=(Video("front"),))
    budgets = range(length(stays), whole, 7)
    assert all(length(fitted(prompt, b, length)[0]) <= b for b in budgets)


def test_a_prompt_that_cannot_fit_says_what_was_tried():
    with pytest.raises(ConfigError, match="does not fit") as error:
        fitted(long_prompt(), 20, text_length(tokenizer(), videos=8, series=4))
    assert "without the environment" in str(error.value)


def test_marks_stand_for_as_many_tokens_as_there_are_vectors():
    prompt = long_prompt()
    tokens = as_tokens(prompt_pieces(prompt), tokenizer(), videos=[32], series=[1, 4])
    assert tokens.count(tokenizer().special("<|video|>")) == 32
    assert tokens.count(tokenizer().special("<|series|>")) == 5
    with pytest.raises(DataError, match="do not fit"):
        as_tokens(prompt_pieces(prompt), tokenizer(), videos=[8, 8])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "<|begin|><|system|>Answer: actions, 1, 2<|end|><|user|>Task: x\nGiven: state\n<|end|><|assistant|>",
        "<|begin|><|system|>Answer: shout, 1, 2<|end|><|user|>Nonsense: x\nGiven: \n<|end|><|assistant|>",
    ],
)
def test_a_text_that_is_no_prompt_is_refused(text):
    with pytest.raises(DataError, match="no prompt"):
        parse_prompt(text)


def test_an_answer_with_another_camera_order_or_an_unknown_look_is_refused():
    with pytest.raises(DataError, match="no prompt or answer"):
        parse_answer("<|action|><|code 3|><|camera|>choose, front, 0")
    with pytest.raises(DataError, match="choose, pan, tilt or zoom"):
        parse_answer("<|camera|>dance, front, 0")


def test_instructions_carry_checklists():
    tasks = (SubTask("reach the handle", True), SubTask("pull"))
    said = with_checklist("open the drawer", tasks)
    assert split_instruction(said) == ("open the drawer", tasks)
    assert split_instruction("plain\nwords") == ("plain\nwords", ())


def test_sub_tasks_are_ticked_once_they_have_ended(toy_source):
    episode = replace(toy_source[0], substeps=(SubStep(0, 5, "go"), SubStep(5, 20, "stay")))
    prompt = prompt_at(episode, 7, PromptParts(past_steps=4))
    assert prompt.checklist == (SubTask("go", True), SubTask("stay", False))
    assert [v.camera for v in prompt.videos] == ["front", "wrist"]
    assert parse_prompt(as_text(prompt_pieces(prompt))) == prompt
    bare = prompt_at(episode, 7, PromptParts(robot=False, cameras=False, checklist=False, state=False))
    assert (bare.robot, bare.cameras, bare.checklist, bare.state) == (None, (), (), False)


URDF = """<robot name="two">
  <link name="hand"/><link name="base"/><link name="arm"/><link name="tip"/>
  <joint name="j2" type="prismatic"><parent link="arm"/><child link="hand"/>
    <limit lower="0" upper="0.04" velocity="0.2" effort="1"/></joint>
  <joint name="j1" type="continuous"><parent link="base"/><child link="arm"/></joint>
  <joint name="end" type="fixed"><parent link="hand"/><child link="tip"/></joint>
</robot>"""


def test_a_urdf_gives_links_from_the_base_on_and_joints_that_move(tmp_path):
    path = tmp_path / "two.urdf"
    path.write_text(URDF)
    body = read_urdf(path)
    assert body.links == ("base", "arm", "hand", "tip")
    assert body.joints[0] == Joint("j1", -math.inf, math.inf, math.inf, "rad")
    assert body.joints[1] == Joint("j2", 0.0, 0.04, 0.2, "m")


@pytest.mark.parametrize(
    "text",
    [
        "not xml",
        "<model/>",
        URDF.replace('<child link="tip"/>', '<child link="base"/>'),
        URDF.replace('<parent link="hand"/>', '<parent link="nowhere"/>'),
        URDF.replace("0.04", "wide"),
        '<!DOCTYPE x [<!ENTITY a "b">]><robot name="x"/>',
    ],
)
def test_a_broken_urdf_is_refused_by_name(tmp_path, text):
    path = tmp_path / "broken.urdf"
    path.write_text(text)
    with pytest.raises(DataError, match=r"broken\.urdf"):
        read_urdf(path)
