"""What the tests share: a folder with caches of their own, and a session with the nodes of weft's own tests."""
import os
import pathlib
import tempfile

# Before anything of weft reads them: no test uses, or fills, the user's caches.
_caches = tempfile.TemporaryDirectory(prefix="weft-python-test-")
os.environ["XDG_CACHE_HOME"] = _caches.name

import pytest  # noqa: E402

import weft  # noqa: E402


def test_plugins():
    build = pathlib.Path(os.environ["WEFT_BUILD_DIR"])
    return build / "tests/plugins/nodes"


@pytest.fixture(scope="session")
def session():
    return weft.Session(threads=2, plugins=test_plugins())


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def hand_on(session):
    """Gives `value` to an input of port type `type_` and returns what comes out."""

    def call(type_, value):
        pipeline = {"weft": 1, "name": "hand on", "inputs": {"x": {"type": type_}}, "nodes": {}, "outputs": {"y": "inputs.x"}}
        return session.run(pipeline, {"x": value})["y"]

    return call


def nodes(outputs, **definitions):
    """A pipeline of these nodes."""
    return {"weft": 1, "name": "test", "nodes": definitions, "outputs": outputs}


def sleeping(ms):
    return nodes({"y": "a.y"}, a={"uses": "test.sleep", "with": {"ms": ms}})
