"""Errors: what they say, what they map to, and that they survive a process boundary."""

from __future__ import annotations

import pickle
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_data.errors import (
    EXIT_DATA,
    EXIT_ENVIRONMENT,
    EXIT_FAILED,
    EXIT_USAGE,
    CheckpointError,
    ConfigError,
    DataError,
    MissingDependencyError,
    SimError,
    SpecMismatchError,
    UnknownNameError,
    VlaError,
    nearest_names,
)

FIELDS = {
    "where": "shard 3, offset 120",
    "expected": "crc 1",
    "got": "crc 2",
    "next_step": "download it again",
}
NAMES = st.text(string.ascii_lowercase + string.digits + "-_", min_size=1, max_size=12)


def test_message_says_where_expected_got_and_next():
    lines = str(DataError("a record is broken", **FIELDS)).splitlines()
    assert lines == [
        "a record is broken",
        "  where: shard 3, offset 120",
        "  expected: crc 1",
        "  got: crc 2",
        "  next: download it again",
    ]


def test_message_leaves_out_what_is_not_known():
    assert str(VlaError("it failed", got="nothing")) == "it failed\n  got: nothing"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (VlaError, EXIT_FAILED),
        (SimError, EXIT_FAILED),
        (ConfigError, EXIT_USAGE),
        (DataError, EXIT_DATA),
        (CheckpointError, EXIT_DATA),
        (SpecMismatchError, EXIT_DATA),
        (MissingDependencyError, EXIT_ENVIRONMENT),
    ],
)
def test_exit_code_follows_the_kind(kind: type[VlaError], code: int):
    error = kind("it failed", **FIELDS)
    assert error.exit_code == code
    assert error.to_dict() == {
        "type": kind.__name__,
        "message": "it failed",
        "where": FIELDS["where"],
        "expected": FIELDS["expected"],
        "got": FIELDS["got"],
        "next": FIELDS["next_step"],
        "exit_code": code,
    }


@pytest.mark.parametrize("kind", [VlaError, DataError, CheckpointError, SpecMismatchError, SimError])
def test_pickle_keeps_kind_and_every_field(kind: type[VlaError]):
    error = kind("it failed", **FIELDS)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert copy.to_dict() == error.to_dict()
    assert copy.args == error.args


def test_pickle_of_an_error_with_its_own_constructor():
    error = UnknownNameError("task", "door-opn", ["door-open", "reach"], where="--tasks")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is UnknownNameError
    assert copy.matches == ["door-open"]
    assert str(copy) == str(error)


def test_unknown_name_offers_the_nearest():
    error = UnknownNameError("preset", "debgu", ["debug", "default", "rt1"], where="--preset")
    assert error.matches == ["debug"]
    assert error.next_step == "did you mean 'debug'?"
    assert error.exit_code == EXIT_USAGE


def test_unknown_name_lists_the_choices_when_nothing_is_near():
    error = UnknownNameError("preset", "zzz", [f"name{i:02}" for i in range(30)])
    assert error.matches == []
    assert "name00, name01" in str(error)
    assert "(30 in all)" in str(error)
    assert "name20" not in str(error)


def test_unknown_name_without_any_choice():
    assert UnknownNameError("preset", "x", []).next_step == "no preset is defined here"


@given(st.lists(NAMES, min_size=1, max_size=20, unique=True), NAMES)
def test_nearest_names_are_known_names(known: list[str], name: str):
    found = nearest_names(name, known)
    assert set(found) <= set(known)
    assert len(found) == len(set(found)) <= 3


@given(st.lists(NAMES, min_size=1, max_size=20, unique=True), st.data())
def test_a_name_is_its_own_nearest_whatever_its_case(known: list[str], data: st.DataObject):
    name = data.draw(st.sampled_from(known))
    assert nearest_names(name.upper(), known)[0] == name


def test_a_beginning_finds_the_whole_name():
    assert nearest_names("button", ["button-press-topdown-v3", "door-open-v3"]) == ["button-press-topdown-v3"]
