"""Runs multimodal generation pipelines.

    import weft

    result = weft.run("hello.json", {"topic": "the sea"})
    print(result["text"])

    for event in weft.start("hello.json", {"topic": "the sea"}):
        match event:
            case weft.TextPart(text=text):
                print(text, end="")
"""
from ._core import Tensor
from .errors import CancelledError, Diagnostic, Error, InputError, NodeError, PipelineError
from .events import (Event, FileWritten, NodeFailed, NodeFinished, NodeSkipped, NodeStarted, PartsDiscarded, Progress,
                     TextPart)
from .running import NodeTiming, Result, Run, Session, run, start

__all__ = [
    "CancelledError", "Diagnostic", "Error", "Event", "FileWritten", "InputError", "NodeError", "NodeFailed", "NodeFinished",
    "NodeSkipped", "NodeStarted", "NodeTiming", "PartsDiscarded", "PipelineError", "Progress", "Result", "Run", "Session", "Tensor",
    "TextPart", "run", "start",
]
