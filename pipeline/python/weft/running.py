"""Sessions, runs and results."""
from __future__ import annotations

import atexit
import dataclasses
import json
import os
import pathlib
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Union

from . import _core
from .events import Event

Pipeline = Union[str, "os.PathLike[str]", Mapping[str, Any]]
Folders = Union[str, "os.PathLike[str]", Iterable[Union[str, "os.PathLike[str]"]], None]


@dataclasses.dataclass(frozen=True)
class NodeTiming:
    seconds: float  # wall clock, all attempts
    outcome: str  # "computed", "cached" or "skipped"


@dataclasses.dataclass(frozen=True, eq=False)
class Result(Mapping[str, Any]):
    """The outputs of a pipeline, by name: result["text"]. An output of a node that was skipped is absent."""

    outputs: dict[str, Any]
    files: list[pathlib.Path]  # that were written
    manifest: pathlib.Path | None
    seconds: float
    timings: dict[str, NodeTiming] = dataclasses.field(repr=False)  # by node
    peak_live_bytes: int = dataclasses.field(repr=False)  # of values between nodes
    copied_bytes: int = dataclasses.field(repr=False)  # by the host, between nodes

    def __getitem__(self, name: str) -> Any:
        return self.outputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)


class Run:
    """A pipeline that is running: iterate over its events, then ask for its result.

    A run goes on whether or not its events are taken. Iterating, and result(), raise what the run failed with. Ctrl-C while
    waiting cancels the run. As a context manager it is cancelled on the way out if it has not ended.
    """

    def __init__(self, core: _core.Run, out: pathlib.Path | None) -> None:
        self._core = core
        self._out = out
        self._result: Result | None = None
        _runs.add(self)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        event: Event | None = self._unless_interrupted(self._core.next_event)
        if event is None:
            self.result()
            raise StopIteration
        return event

    def result(self, timeout: float | None = None) -> Result:
        """Waits for the end; raises TimeoutError after `timeout` seconds, which does not cancel the run."""
        if self._result is None:
            seconds = -1.0 if timeout is None else max(timeout, 0.0)
            if not self._unless_interrupted(lambda: self._core.wait(seconds)):
                raise TimeoutError(f"the run has not ended within {timeout} s")
            fields = self._core.result()
            fields["files"] = [pathlib.Path(self._out or ".", file) for file in fields["files"]]
            fields["manifest"] = pathlib.Path(fields["manifest"]) if fields["manifest"] else None
            fields["timings"] = {node: NodeTiming(*timing) for node, timing in fields["timings"].items()}
            self._result = Result(**fields)
        return self._result

    def cancel(self) -> None:
        """Asks the run to stop. It then ends with CancelledError, within a tenth of a second for most nodes."""
        self._core.cancel()

    @property
    def done(self) -> bool:
        return self._core.wait(0.0)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()
        self._core.wait(-1.0)

    def _unless_interrupted(self, wait: Callable[[], Any]) -> Any:
        try:
            return wait()
        except BaseException:  # KeyboardInterrupt, or what another signal handler raises
            self.cancel()
            self._core.wait(-1.0)
            raise


class Session:
    """Threads, memory and models that runs share; weft.run and weft.start use one of their own.

    threads: to compute with; None: all that the process may use. max_memory: bytes; a run whose plan needs more is refused.
    models, plugins: folders to search before the usual ones. Models stay loaded until release_models() or the end of the
    session, which lasts as long as anything that came out of it. Log messages go to logging.getLogger("weft").
    """

    def __init__(self, *, threads: int | None = None, max_memory: int | None = None, models: Folders = None,
                 plugins: Folders = None) -> None:
        for name, value in (("threads", threads), ("max_memory", max_memory)):
            if value is not None and value < 1:
                raise ValueError(f"{name} is a positive number, not {value}")
        prefix = str(pathlib.Path(__file__).resolve().parent)
        self._core = _core.Session(prefix, threads or 0, max_memory or 0, _paths(models), _paths(plugins))

    def run(self, pipeline: Pipeline, inputs: Mapping[str, Any] | None = None, *, out: str | os.PathLike[str] | None = None,
            cache: bool = True, on_event: Callable[[Event], object] | None = None) -> Result:
        """Runs a pipeline; see weft.run."""
        if on_event is None:
            with self._start(pipeline, inputs, out, cache, events=False) as running:
                return running.result()
        with self._start(pipeline, inputs, out, cache, events=True) as running:
            for event in running:
                on_event(event)
            return running.result()

    def start(self, pipeline: Pipeline, inputs: Mapping[str, Any] | None = None, *,
              out: str | os.PathLike[str] | None = None, cache: bool = True) -> Run:
        """Starts a pipeline; see weft.start."""
        return self._start(pipeline, inputs, out, cache, events=True)

    def release_models(self) -> None:
        """Drops the weights of models that no run uses; they are read again when they are needed."""
        self._core.release_models()

    def _start(self, pipeline: Pipeline, inputs: Mapping[str, Any] | None, out: str | os.PathLike[str] | None, cache: bool,
               events: bool) -> Run:
        text, file = _read(pipeline)
        folder = None if out is None else pathlib.Path(out)
        core = self._core.start(text, file, dict(inputs or {}), "" if folder is None else str(folder), cache, events)
        return Run(core, folder)


def run(pipeline: Pipeline, inputs: Mapping[str, Any] | None = None, *, out: str | os.PathLike[str] | None = None,
        models: Folders = None, cache: bool = True, on_event: Callable[[Event], object] | None = None) -> Result:
    """Runs a pipeline and gives its outputs.

    pipeline: the path of a file, or the file's content as a dict. inputs: values by name; arrays that offer DLPack, such as
    numpy's and torch's, are shared and not copied. out: the folder for files that nodes write and for manifest.json; a
    pipeline that writes files is refused without it. models: folders to search before the usual ones. cache: whether results
    of earlier runs may be reused. on_event: called with every event on this thread; what it raises cancels the run.

    Raises PipelineError and InputError before anything has run, NodeError when a node fails, Error otherwise.
    """
    return _session(models).run(pipeline, inputs, out=out, cache=cache, on_event=on_event)


def start(pipeline: Pipeline, inputs: Mapping[str, Any] | None = None, *, out: str | os.PathLike[str] | None = None,
          models: Folders = None, cache: bool = True) -> Run:
    """Starts a pipeline and returns while it runs: iterate over its events. Arguments as those of run."""
    return _session(models).start(pipeline, inputs, out=out, cache=cache)


def _paths(folders: Folders) -> list[str]:
    if folders is None:
        return []
    if isinstance(folders, (str, os.PathLike)):
        return [os.fspath(folders)]
    return [os.fspath(folder) for folder in folders]


def _read(pipeline: Pipeline) -> tuple[str, str]:
    """The text, or "" for a file; and the name for messages."""
    if isinstance(pipeline, Mapping):
        return json.dumps(pipeline, indent=2, ensure_ascii=False), "pipeline"
    path = os.fspath(pipeline)
    if not os.path.exists(path):
        raise FileNotFoundError(2, "there is no such pipeline", path)
    return "", path


_runs: weakref.WeakSet[Run] = weakref.WeakSet()
_sessions: dict[tuple[str, ...], Session] = {}
_sessions_lock = threading.Lock()


def _session(models: Folders) -> Session:
    key = tuple(_paths(models))
    with _sessions_lock:
        if key not in _sessions:
            _sessions[key] = Session(models=key)
        return _sessions[key]


def _end_runs() -> None:
    """Nothing may run in nodes, or hold Python's objects, when the interpreter ends."""
    for running in list(_runs):
        running.cancel()
    for running in list(_runs):
        running._core.wait(-1.0)
    _sessions.clear()


def _forget_after_fork() -> None:
    """A forked child has none of the sessions' threads; it makes sessions of its own, and leaves the parent's alone."""
    global _sessions_lock
    _sessions_lock = threading.Lock()
    _inherited.append(dict(_sessions))
    _sessions.clear()
    _runs.clear()


_inherited: list[dict[tuple[str, ...], Session]] = []
atexit.register(_end_runs)
os.register_at_fork(after_in_child=_forget_after_fork)
