/// Values, events and results as Python objects, and Python objects as inputs of a pipeline. Everything here needs the
/// interpreter's lock.
///
/// text and path are str, bytes are bytes, json is what json.loads gives, lists are lists, tensors are weft.Tensor.
#ifndef WEFT_PIPELINE_PYTHON_CONVERT_H
#define WEFT_PIPELINE_PYTHON_CONVERT_H

#include <nanobind/nanobind.h>

#include <map>
#include <memory>
#include <string>

#include "pipeline/graph/graph.h"
#include "pipeline/python/background_run.h"

namespace weft::python {

/// A value of port type `type`, for a run of the session. Errors: kInvalidArgument and others, with what was expected and what came. Throws what the
/// object's own methods raise.
Result<Value> value_from_python(nanobind::handle object, const std::string& type, Session& session);
nanobind::object to_python(const Value& value, const std::shared_ptr<Session>& session);

/// The inputs of a run from a mapping of names to objects. Raises InputError for a name that the pipeline does not have (with
/// the nearest), a value of the wrong type, and inputs that are missing, all at once. A relative path that exists starts at
/// the current folder, as on the command line.
std::map<std::string, InputValue> inputs_from_python(const Graph& graph, const nanobind::dict& inputs,
                                                     Session& session);

/// An object of weft.events.
nanobind::object to_python(const KeptEvent& event);
/// The arguments of weft.Result.
nanobind::dict to_python(const RunResult& result, const std::shared_ptr<Session>& session);

}  // namespace weft::python
#endif
