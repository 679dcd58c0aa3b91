"""What the wheel brings: the program, types, and a process that ends cleanly."""
import os
import pathlib
import subprocess
import sys

import pytest

import weft

PACKAGE = pathlib.Path(weft.__file__).parent


def run_python(script, **environment):
    return subprocess.run([sys.executable, "-c", script], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120)


def test_the_program_comes_along():
    program = pathlib.Path(sys.executable).parent / "weft"
    for command in ([str(program)], [sys.executable, "-m", "weft"]):
        shown = subprocess.run([*command, "nodes", "image.resize"], capture_output=True, text=True, timeout=120)
        assert shown.returncode == 0, shown.stderr
        assert "image.resize" in shown.stdout


def test_the_small_model_comes_along():
    shown = subprocess.run([str(PACKAGE / "bin/weft"), "models"], capture_output=True, text=True, timeout=120)
    assert str(PACKAGE / "share/weft/models/emoji") in shown.stdout, shown.stderr


def test_types_are_complete():
    pytest.importorskip("mypy", reason="skipped: mypy is not installed")
    checked = subprocess.run([sys.executable, "-m", "mypy", "--strict", "-p", "weft"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    assert (PACKAGE / "py.typed").is_file()


USES_EVERYTHING = """
import gc, sys
import numpy as np
import weft
session = weft.Session(threads=2, plugins=sys.argv[1:] or None)
hand_on = {"weft": 1, "name": "x", "inputs": {"x": {"type": "any"}}, "nodes": {}, "outputs": {"y": "inputs.x"}}
for value in ("text", b"bytes", 1, 0.5, True, {"a": [1]}, np.ones(1000)):
    for event in weft.start(hand_on, {"x": value}): pass
    kept = weft.run(hand_on, {"x": value})
    session.run(hand_on, {"x": value}, on_event=print)
for pipeline in ({}, {**hand_on, "outputs": {"y": "no.thing"}}):
    try: weft.run(pipeline)
    except weft.PipelineError as error: failed = error
try: weft.run(hand_on, {"z": 1})
except weft.InputError: pass
array = weft.run(hand_on, {"x": np.ones(10)})["y"].numpy()
capsule = kept["y"].__dlpack__()
"""


def test_nothing_is_leaked_at_exit():
    """nanobind counts instances, types and functions that are left, and complains on standard error."""
    ended = run_python(USES_EVERYTHING)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""


def test_leaving_while_runs_go_on_ends_the_process():
    from conftest import test_plugins
    ended = run_python(f"""
import weft
session = weft.Session(plugins={str(test_plugins())!r})
pipeline = {{"weft": 1, "name": "x", "nodes": {{"a": {{"uses": "test.sleep", "with": {{"ms": 60000}}}}}}, "outputs": {{"y": "a.y"}}}}
runs = [session.start(pipeline) for _ in range(3)]
next(runs[0])
""")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_memory_is_flat_over_many_runs():
    ended = run_python("""
import os, gc
import numpy as np
import weft
pipeline = {"weft": 1, "name": "x", "inputs": {"x": {"type": "tensor"}, "t": {"type": "text"}}, "nodes": {},
            "outputs": {"y": "inputs.x", "t": "inputs.t"}}
def resident():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
def runs(n):
    for i in range(n):
        result = weft.run(pipeline, {"x": np.full(100_000, i, np.float32), "t": "text" * 100})
        assert result["y"].numpy()[0] == i
        try: weft.run(pipeline, {"x": 1})
        except weft.InputError: pass
runs(100)
before = resident()
runs(300)
print(resident() - before)
""")
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) < 8 << 20, "300 arrays of 400 kB went through"
