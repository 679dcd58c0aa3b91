/// Errors of the library as exceptions of weft.errors, which Python defines.
#ifndef WEFT_PIPELINE_PYTHON_RAISE_H
#define WEFT_PIPELINE_PYTHON_RAISE_H

#include <nanobind/nanobind.h>
#include <weft/sdk/status.h>

#include <vector>

#include "pipeline/graph/diagnostic.h"

namespace weft::python {

/// The exception for `error`, not raised: weft.errors chooses the class.
nanobind::object exception_of(const Error& error);
/// Needs the interpreter's lock.
[[noreturn]] void raise(const Error& error);
/// weft.InputError, for inputs that are missing, unknown or of the wrong type.
[[noreturn]] void raise_input_error(const Error& error);
/// weft.PipelineError with all diagnostics. Precondition: one of them is an error.
[[noreturn]] void raise(const std::vector<Diagnostic>& diagnostics);
/// weft.Diagnostic objects.
nanobind::list to_python(const std::vector<Diagnostic>& diagnostics);

}  // namespace weft::python
#endif
