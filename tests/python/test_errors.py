"""Exceptions: what they say, and what programs read from them."""
import pickle

import pytest

import weft
from conftest import nodes

BROKEN = """{ "weft": 1, "name": "broken",
  "nodes": {
    "a": { "uses": "test.int", "with": { "valeu": 3 } },
    "b": { "uses": "test.nothing" } },
  "outputs": { "y": "c.y" } }
"""


def test_pipeline_error_has_all_mistakes_and_their_places(session, tmp_path):
    (tmp_path / "broken.json").write_text(BROKEN)
    with pytest.raises(weft.PipelineError) as raised:
        session.run("broken.json")
    error = raised.value
    assert (error.file, error.line, error.column, error.pointer) == ("broken.json", 3, 42, "/nodes/a/with/valeu")
    assert len(error.errors) == 3
    assert [diagnostic.line for diagnostic in error.errors] == [3, 4, 5]
    assert error.errors[0].nearest == "value"
    for expected in ("broken.json:3:42", "test.int has no parameter 'valeu'", "test.nothing", "^"):
        assert expected in str(error)
    assert isinstance(error, ValueError) and isinstance(error, weft.Error)


def test_pipeline_error_of_a_dict_has_pointers(session):
    with pytest.raises(weft.PipelineError) as raised:
        session.run(nodes({"y": "a.y"}, a={"uses": "test.int", "with": {"value": "three"}}))
    assert raised.value.pointer == "/nodes/a/with/value"
    assert raised.value.file == "pipeline"


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00", "{" * 100_000])
def test_files_that_are_no_pipelines(session, tmp_path, text):
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(weft.PipelineError):
        session.run("bad.json")


def test_files_that_cannot_be_read(session, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.json"):
        session.run("nowhere.json")
    with pytest.raises(weft.PipelineError):
        session.run(tmp_path)


def test_node_error_has_its_parts(session):
    with pytest.raises(weft.NodeError) as raised:
        session.run(nodes({"y": "a.text"}, a={"uses": "test.fails", "with": {"times": 1000, "key": "parts"}}))
    error = raised.value
    assert (error.node, error.code, error.message, error.hint) == (
        "a", "input/output error", "made to fail", "ask for fewer failures")
    assert str(error) == "node 'a': made to fail; ask for fewer failures"


def test_node_of_a_subgraph_has_its_path(session, tmp_path):
    (tmp_path / "inner.json").write_text(
        '{"weft": 1, "name": "inner", "nodes": {"f": {"uses": "test.throws"}}, "outputs": {"y": "f.y"}}')
    with pytest.raises(weft.NodeError) as raised:
        session.run(nodes({"y": "o.y"}, o={"uses": "pipeline:inner.json"}))
    assert raised.value.node == "o/f"


def test_exceptions_can_be_sent_to_other_processes(session):
    with pytest.raises(weft.NodeError) as raised:
        session.run(nodes({"y": "a.y"}, a={"uses": "test.throws"}))
    again = pickle.loads(pickle.dumps(raised.value))
    assert (type(again), str(again), again.node) == (weft.NodeError, str(raised.value), "a")
    with pytest.raises(weft.PipelineError) as raised:
        session.run({"weft": 1})
    again = pickle.loads(pickle.dumps(raised.value))
    assert (type(again), str(again), again.errors) == (weft.PipelineError, str(raised.value), raised.value.errors)
