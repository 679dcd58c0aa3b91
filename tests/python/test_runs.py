"""Events, waiting, cancelling, threads, files."""
import os
import pathlib
import signal
import sys
import threading
import time

import pytest

import weft
from conftest import nodes, sleeping

STREAM = nodes({"text": "a.text"}, a={"uses": "test.stream", "with": {"text": "abcdefgh"}})


def kinds(events):
    return [type(event).__name__ for event in events]


def test_events_come_in_order(session):
    run = session.start(STREAM)
    events = list(run)
    assert kinds(events)[0] == "NodeStarted"
    assert kinds(events)[-1] == "NodeFinished"
    parts = [event for event in events if isinstance(event, weft.TextPart)]
    assert [part.text for part in parts] == ["abc", "def", "gh"]
    assert parts[0] == weft.TextPart("a", "text", "abc")
    assert weft.Progress("a", 3, 8, "bytes") in events
    assert run.result()["text"] == "abcdefgh"
    assert list(run) == []


def test_run_hands_events_to_a_function_on_this_thread(session):
    seen = []
    session.run(STREAM, on_event=lambda event: seen.append((threading.get_ident(), event)))
    assert {ident for ident, _ in seen} == {threading.get_ident()}
    assert kinds(event for _, event in seen)[0] == "NodeStarted"


def test_elements_skips_and_retries_are_told(session):
    pipeline = nodes({"list": "each.text"},
                     words={"uses": "test.split", "with": {"text": "a b"}},
                     each={"uses": "test.text", "for_each": "words.items", "in": {"text": "words.items"}},
                     no={"uses": "test.compare", "in": {"x": "number.y"}}, number={"uses": "test.int"},
                     left_out={"uses": "test.int", "when": "no.yes"},
                     again={"uses": "test.fails", "retry": 1, "with": {"times": 1, "key": "retried"}})
    events = list(session.start(pipeline))
    assert weft.NodeStarted("each", 2) in events
    assert weft.NodeSkipped("left_out", "'when' is false") in events
    (discarded,) = [event for event in events if isinstance(event, weft.PartsDiscarded)]
    assert (discarded.node, discarded.attempt) == ("again", 1)
    assert "made to fail" in str(discarded.error)


def test_a_failing_node_raises_at_the_end_of_its_events(session):
    pipeline = nodes({"y": "a.y"}, a={"uses": "test.throws"})
    run = session.start(pipeline)
    seen = []
    with pytest.raises(weft.NodeError) as raised:
        for event in run:
            seen.append(event)
    assert raised.value.node == "a"
    failed = seen[-1]
    assert isinstance(failed, weft.NodeFailed) and failed.node == "a" and isinstance(failed.error, weft.NodeError)
    with pytest.raises(weft.NodeError):
        run.result()
    with pytest.raises(weft.NodeError):
        session.run(pipeline)


def test_cancel_ends_a_run_soon(session):
    run = session.start(sleeping(60_000))
    next(run)
    assert not run.done
    with pytest.raises(TimeoutError):
        run.result(timeout=0.05)
    began = time.monotonic()
    run.cancel()
    with pytest.raises(weft.CancelledError):
        run.result()
    assert time.monotonic() - began < 5
    assert run.done


def test_leaving_the_block_or_the_last_reference_cancels(session):
    began = time.monotonic()
    with session.start(sleeping(60_000)) as run:
        pass
    with pytest.raises(weft.CancelledError):
        run.result()
    run = session.start(sleeping(60_000))
    del run
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("wait", [
    lambda session: session.run(sleeping(60_000)),
    lambda session: session.run(sleeping(60_000), on_event=lambda event: None),
    lambda session: list(session.start(sleeping(60_000))),
    lambda session: session.start(sleeping(60_000)).result(),
])
def test_keyboard_interrupt_cancels(session, wait):
    began = time.monotonic()
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        wait(session)
    timer.join()
    assert time.monotonic() - began < 10


def test_what_on_event_raises_cancels_and_comes_through(session):
    class Enough(Exception):
        pass

    def stop(event):
        raise Enough

    began = time.monotonic()
    with pytest.raises(Enough):
        session.run(sleeping(60_000), on_event=stop)
    assert time.monotonic() - began < 5


def test_other_threads_go_on_while_a_run_waits(session):
    turns = 0
    run = session.start(sleeping(300))
    waiting = threading.Thread(target=run.result)
    waiting.start()
    while waiting.is_alive():
        turns += 1
        time.sleep(0.001)
    assert turns > 10


def test_runs_on_many_threads_at_once(session):
    failed = []

    def work(number):
        try:
            pipeline = nodes({"text": "a.text"}, a={"uses": "test.stream", "with": {"text": f"text {number}"}})
            for _ in range(20):
                parts = []
                text = session.run(pipeline, on_event=lambda event: parts.append(getattr(event, "text", "")))["text"]
                assert text == "".join(parts) == f"text {number}"
        except BaseException as error:  # a thread's own would only be printed
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_files_go_where_the_caller_says(session, tmp_path):
    pipeline = nodes({"path": "w.path"}, t={"uses": "test.text", "with": {"text": "content"}},
                     w={"uses": "test.write", "in": {"text": "t.text"}, "with": {"path": "deep/a.txt"}})
    with pytest.raises(weft.InputError, match="node 'w' .* writes files.*pass out="):
        session.run(pipeline)
    result = session.run(pipeline, out=tmp_path / "out")
    assert result.files == [tmp_path / "out/deep/a.txt"]
    assert result["path"] == str(tmp_path / "out/deep/a.txt")
    assert pathlib.Path(result["path"]).read_text() == "content"
    assert result.manifest == tmp_path / "out/manifest.json" and result.manifest.is_file()


def test_nothing_is_written_without_a_folder(session, tmp_path):
    result = session.run(STREAM)
    assert (result.files, result.manifest) == ([], None)
    assert list(tmp_path.iterdir()) == []


def test_result_is_a_mapping_with_timings(session):
    result = session.run(STREAM)
    assert dict(result) == {"text": "abcdefgh"} and len(result) == 1 and "text" in result
    assert result.timings["a"].outcome == "computed"
    assert 0 < result.timings["a"].seconds <= result.seconds
    skipped = session.run(nodes({"y": "a.y"}, n={"uses": "test.int"}, no={"uses": "test.compare", "in": {"x": "n.y"}},
                                a={"uses": "test.int", "when": "no.yes"}))
    assert "y" not in skipped and skipped.timings["a"].outcome == "skipped"


def test_results_are_reused_unless_told_not_to(session):
    pipeline = nodes({"y": "a.y"}, a={"uses": "test.pure", "with": {"add": 3}})
    assert session.run(pipeline, cache=False).timings["a"].outcome == "computed"
    session.run(pipeline)
    assert session.run(pipeline).timings["a"].outcome == "cached"
    assert session.run(pipeline, cache=False).timings["a"].outcome == "computed"


def test_a_model_that_was_offloaded_for_one_run_is_whole_in_the_next(tmp_path, monkeypatch):
    from conftest import test_plugins
    libraries = pathlib.Path(os.environ["WEFT_BUILD_DIR"], "lib")
    if not (libraries / "libweft_simt.so").exists():
        pytest.skip("skipped: simt:0 is not built")
    monkeypatch.setenv("WEFT_DEVICE_LIBRARIES", str(libraries))
    (tmp_path / "seven").write_text("7")
    most = 128_000
    own = weft.Session(threads=1, max_memory=most, models=tmp_path, plugins=[test_plugins()])

    def offloaded(room):
        pipeline = nodes({"y": "a.y", "offloaded": "a.offloaded"},
                         a={"uses": "test.model", "with": {"model": "m", "workspace": most - room}})
        pipeline["models"] = {"m": {"path": "seven", "device": "simt:0"}}
        result = own.run(pipeline, cache=False)
        assert result["y"] == 7
        return result["offloaded"]

    assert [offloaded(room) for room in (640, 640, 6400, 512)] == [360, 360, 0, 488]


def test_models_are_found_in_the_folders_given(tmp_path):
    from conftest import test_plugins
    (tmp_path / "models").mkdir()
    (tmp_path / "models/seven").write_text("7")
    pipeline = nodes({"y": "a.y"}, a={"uses": "test.model", "with": {"model": "m"}})
    pipeline["models"] = {"m": {"path": "seven"}}
    own = weft.Session(models=tmp_path / "models", plugins=[test_plugins()])
    assert own.run(pipeline)["y"] == 7
    own.release_models()
    assert own.run(pipeline, cache=False)["y"] == 7
    with pytest.raises(weft.Error) as raised:
        weft.Session(plugins=test_plugins()).run(pipeline)
    assert raised.value.code == "not found" and "seven" in str(raised.value)


def test_a_plan_beyond_the_memory_limit_is_refused():
    from conftest import test_plugins
    own = weft.Session(max_memory=1_000_000, plugins=test_plugins())
    with pytest.raises(weft.Error) as raised:
        own.run(nodes({"y": "a.y"}, a={"uses": "test.scratch", "with": {"bytes": 50_000_000}}))
    assert raised.value.code == "out of memory"
    with pytest.raises(ValueError, match="threads"):
        weft.Session(threads=0)


def test_a_forked_child_makes_its_own_session(session):
    weft.run(nodes({}, ))  # the default session exists before the fork
    child = os.fork()
    if child == 0:
        code = 1
        try:
            try:
                session.run(STREAM)
            except weft.Error as error:
                assert "forked" in str(error)
                hello = {"weft": 1, "name": "hand on", "inputs": {"x": {"type": "text"}}, "nodes": {}, "outputs": {"y": "inputs.x"}}
                code = 0 if weft.run(hello, {"x": "child"})["y"] == "child" else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_log_messages_go_to_pythons_log(tmp_path, monkeypatch, caplog):
    from conftest import test_plugins
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/broken.so").write_text("no library")
    weft.Session(plugins=[tmp_path / "plugins", test_plugins()])
    assert any("plugin left out" in record.message and "broken.so" in record.message for record in caplog.records)
    assert {record.name for record in caplog.records} == {"weft"}
