"""Values in and out, by port type."""
import pathlib

import numpy as np
import pytest

import weft


@pytest.mark.parametrize("type_, given, expected", [
    ("text", "a \"quoted\" text\n", "a \"quoted\" text\n"),
    ("text", "日本語 🌊", "日本語 🌊"),
    ("text", "", ""),
    ("bytes", b"\x00\xff", b"\x00\xff"),
    ("bytes", bytearray(b"ab"), b"ab"),
    ("bytes", memoryview(b"ab"), b"ab"),
    ("int", -(2**63), -(2**63)),
    ("int", np.int32(7), 7),
    ("float", 0.1, 0.1),
    ("float", 3, 3.0),
    ("float", np.float32(0.5), 0.5),
    ("bool", True, True),
    ("bool", np.bool_(False), False),
    ("json", {"a": [1, None, "é"]}, {"a": [1, None, "é"]}),
    ("path", pathlib.PurePath("no/such/file"), "no/such/file"),
    ("list<text>", ["a", "b"], ["a", "b"]),
    ("list<int>", np.arange(3), [0, 1, 2]),
    ("list<float>", (), []),
    ("any", "text", "text"),
    ("any", b"bytes", b"bytes"),
    ("any", 7, 7),
    ("any", 0.5, 0.5),
    ("any", True, True),
    ("any", {"a": 1}, {"a": 1}),
])
def test_comes_out_as_it_went_in(hand_on, type_, given, expected):
    result = hand_on(type_, given)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize("type_, given, message", [
    ("text", 7, "input 'x': a value has the wrong type (expected str, got int)"),
    ("text", None, "expected str, got NoneType"),
    ("int", "7", "expected int, got str"),
    ("int", 7.0, "expected int, got float"),
    ("int", True, "expected int, got bool"),
    ("int", 2**63, "an integer is too large (expected -2^63 to 2^63 - 1, got 9223372036854775808)"),
    ("float", "0.5", "expected float, got str"),
    ("bool", 1, "expected bool, got int"),
    ("bytes", "text", "expected bytes, got str"),
    ("path", 7, "expected str or os.PathLike, got int"),
    ("list<text>", "abc", "expected list of text, got str"),
    ("list<int>", [1, "2"], "element 1: a value has the wrong type (expected int, got str)"),
    ("tensor", [1.0], "with DLPack or the buffer protocol, got list"),
    ("image", "picture.png", "expected an array for image"),
])
def test_refuses_what_does_not_fit(hand_on, type_, given, message):
    with pytest.raises(weft.InputError) as raised:
        hand_on(type_, given)
    assert message in str(raised.value)
    assert isinstance(raised.value, ValueError)


def test_what_an_objects_own_methods_raise_comes_through(hand_on):
    with pytest.raises(TypeError, match="not JSON serializable"):
        hand_on("json", object())
    with pytest.raises(UnicodeEncodeError):
        hand_on("text", "\ud800")


def test_path_that_exists_starts_at_the_current_folder(hand_on, tmp_path):
    (tmp_path / "here.txt").touch()
    assert hand_on("path", "here.txt") == str(tmp_path / "here.txt")


def test_missing_and_unknown_inputs_are_named(session):
    pipeline = {"weft": 1, "name": "two", "inputs": {"topic": {"type": "text"}, "seed": {"type": "int"}}, "nodes": {}, "outputs": {}}
    with pytest.raises(weft.InputError, match=r"needs a value for 'topic' \(text\), 'seed' \(int\)"):
        session.run(pipeline)
    with pytest.raises(weft.InputError, match="no input 'topik'.*did you mean topic"):
        session.run(pipeline, {"topik": "x"})
