"""What a run reports while it works. Nodes of a subgraph are named "outer/inner".

element: which element of a for_each, its own or that of the nearest subgraph around the node; outer: those further out,
outermost first.
"""
from __future__ import annotations

import dataclasses
from typing import Union

from .errors import Error


@dataclasses.dataclass(frozen=True)
class NodeStarted:
    node: str
    n_requests: int  # elements of a for_each


@dataclasses.dataclass(frozen=True)
class NodeFinished:
    node: str
    seconds: float
    cached: bool


@dataclasses.dataclass(frozen=True)
class NodeSkipped:
    node: str
    reason: str


@dataclasses.dataclass(frozen=True)
class NodeFailed:
    node: str
    error: Error


@dataclasses.dataclass(frozen=True)
class TextPart:
    """Text of an output as it is made: the parts of one (node, port, element, outer), joined, are the output."""

    node: str
    port: str
    text: str
    element: int = 0
    outer: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class PartsDiscarded:
    """An attempt failed and is repeated: forget the parts of this node and element so far."""

    node: str
    attempt: int  # the one that failed, from 1
    error: Error
    element: int = 0
    outer: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Progress:
    node: str
    done: int
    total: int | None  # None: not known
    unit: str
    element: int = 0
    outer: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class FileWritten:
    node: str
    path: str  # below the output folder
    size_bytes: int


Event = Union[NodeStarted, NodeFinished, NodeSkipped, NodeFailed, TextPart, PartsDiscarded, Progress, FileWritten]
