"""What weft raises: weft.Error, and classes below it for what callers tell apart."""
from __future__ import annotations

import dataclasses
import re


class Error(Exception):
    """Something went wrong; str(error) says what, where, what was expected, what was found and what to do.

    code: "not found", "out of memory", "invalid argument" ...; the other attributes are parts of the message, or "".
    """

    def __init__(self, text: str = "", *, code: str = "", message: str = "", where: str = "", expected: str = "", got: str = "",
                 hint: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.message = message
        self.where = where
        self.expected = expected
        self.got = got
        self.hint = hint


class InputError(Error, ValueError):
    """Inputs that are missing, unknown or of the wrong type. Nothing has run."""


class NodeError(Error):
    """A node failed. node: its name, "outer/inner" in a subgraph."""

    node: str = ""


class CancelledError(Error):
    """The run was cancelled."""


@dataclasses.dataclass(frozen=True)
class Diagnostic:
    """One thing that is wrong with a pipeline file, or odd. line and column count from 1, column in UTF-8 bytes."""

    severity: str  # "error" or "warning"
    file: str
    line: int
    column: int
    pointer: str  # JSON pointer (RFC 6901)
    message: str
    expected: str
    nearest: str  # the known name that was probably meant
    hint: str
    text: str = dataclasses.field(repr=False)  # all of it, with an excerpt of the file

    def __str__(self) -> str:
        return self.text


class PipelineError(Error, ValueError):
    """A pipeline that is not valid. Nothing has run.

    errors: all that is wrong, by file and place. file, line, column and pointer are those of the first.
    """

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        self.errors = [diagnostic for diagnostic in diagnostics if diagnostic.severity == "error"]
        self.warnings = [diagnostic for diagnostic in diagnostics if diagnostic.severity != "error"]
        first = self.errors[0]
        super().__init__("\n".join(error.text.rstrip("\n") for error in self.errors), code="invalid argument",
                         message=first.message, where=f"{first.file}:{first.line}:{first.column}", expected=first.expected,
                         hint=first.hint)
        self.file = first.file
        self.line = first.line
        self.column = first.column
        self.pointer = first.pointer

    def __reduce__(self) -> tuple[object, ...]:
        return PipelineError, (self.errors + self.warnings,)


def from_fields(text: str, **fields: str) -> Error:
    """The exception for an error of the library; "where" names the node if one failed."""
    if fields["code"] == "cancelled":
        return CancelledError(text, **fields)
    node = re.search(r"node '([^']*)'", fields["where"])
    if node is None:
        return Error(text, **fields)
    error = NodeError(text, **fields)
    error.node = node[1]
    return error
