#include "pipeline/python/convert.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <filesystem>
#include <variant>

#include "pipeline/graph/find_input.h"
#include "pipeline/loader/port_type.h"
#include "pipeline/python/raise.h"
#include "pipeline/python/tensor.h"

namespace nb = nanobind;

namespace weft::python {
namespace {

std::string class_name(nb::handle object) {
  return nb::cast<std::string>(nb::handle(object.type()).attr("__name__"));
}

Status wrong_type(const std::string& expected, nb::handle object) {
  return Status(StatusCode::kInvalidArgument, "a value has the wrong type")
      .expected(expected)
      .got(class_name(object));
}

std::string_view utf8_of(nb::handle text) {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (data == nullptr) throw nb::python_error();
  return {data, static_cast<size_t>(size)};
}

bool is_bool(nb::handle object) {
  const std::string name = class_name(object);
  return PyBool_Check(object.ptr()) || name == "bool_" || name == "bool";  // numpy's is bool_ before 2.0
}

Result<Value> text_of(nb::handle object) {
  if (!nb::isinstance<nb::str>(object)) return wrong_type("str", object);
  return Value::text(utf8_of(object));
}

Result<Value> path_of(nb::handle object) {
  if (!nb::isinstance<nb::str>(object) && !nb::hasattr(object, "__fspath__"))
    return wrong_type("str or os.PathLike", object);
  std::string path(utf8_of(nb::steal(PyOS_FSPath(object.ptr()))));
  std::error_code error;
  if (std::filesystem::exists(path, error)) path = std::filesystem::absolute(path, error).string();
  return Value::bytes(path, "path");
}

Result<Value> bytes_of(nb::handle object) {
  if (!PyObject_CheckBuffer(object.ptr())) return wrong_type("bytes", object);
  Py_buffer view;
  if (PyObject_GetBuffer(object.ptr(), &view, PyBUF_SIMPLE) != 0) throw nb::python_error();
  Result<Value> value =
      Value::bytes({static_cast<const char*>(view.buf), static_cast<size_t>(view.len)}, "bytes");
  PyBuffer_Release(&view);
  return value;
}

Result<Value> integer_of(nb::handle object) {
  if (PyIndex_Check(object.ptr()) == 0 || is_bool(object)) return wrong_type("int", object);
  const nb::object index = nb::steal(PyNumber_Index(object.ptr()));
  if (!index.is_valid()) throw nb::python_error();
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
  if (overflow != 0) {
    return Status(StatusCode::kOutOfRange, "an integer is too large")
        .expected("-2^63 to 2^63 - 1")
        .got(nb::cast<std::string>(nb::str(index)));
  }
  return Value::integer(number);
}

Result<Value> real_of(nb::handle object) {
  const bool number = nb::hasattr(object, "__float__") || PyIndex_Check(object.ptr()) != 0;
  if (!number || is_bool(object)) return wrong_type("float", object);
  const double real = PyFloat_AsDouble(object.ptr());
  if (real == -1.0 && PyErr_Occurred() != nullptr) throw nb::python_error();
  return Value::real(real);
}

Result<Value> json_of(nb::handle object) {
  const nb::object text = nb::module_::import_("json").attr("dumps")(object, nb::arg("allow_nan") = false,
                                                                     nb::arg("ensure_ascii") = false);
  return Value::bytes(utf8_of(text), "json");
}

Result<Value> list_of(nb::handle object, const std::string& element_type, Session& session) {
  const bool text = nb::isinstance<nb::str>(object) || nb::isinstance<nb::bytes>(object);
  if (text || !nb::hasattr(object, "__iter__") || nb::isinstance<nb::dict>(object))
    return wrong_type("list of " + element_type, object);
  std::vector<Value> items;
  for (nb::handle element : nb::iter(object)) {
    Result<Value> item = value_from_python(element, element_type, session);
    if (!item.ok()) return item.status().at("element " + std::to_string(items.size()));
    items.push_back(*std::move(item));
  }
  return Value::list(items, element_type.c_str());
}

/// What an input of type "any" takes an object for.
std::string type_of(nb::handle object) {
  if (nb::isinstance<nb::str>(object)) return "text";
  if (nb::isinstance<nb::bytes>(object)) return "bytes";
  if (is_bool(object)) return "bool";
  if (is_array(object)) return "tensor";
  if (PyIndex_Check(object.ptr()) != 0) return "int";
  if (nb::hasattr(object, "__float__")) return "float";
  return nb::hasattr(object, "__fspath__") ? "path" : "json";
}

nb::object loads(std::string_view json) { return nb::module_::import_("json").attr("loads")(json); }

nb::object bytes_to_python(const Value& value) {
  const std::string_view bytes = value.bytes_view();
  if (value.type() == "bytes") return nb::bytes(bytes.data(), bytes.size());
  if (value.type() == "json") return loads(bytes);
  return nb::str(bytes.data(), bytes.size());
}

void check_missing(const Graph& graph, const std::map<std::string, InputValue>& values) {
  std::string missing;
  for (const PipelineInput& input : graph.inputs) {
    if (input.default_json || values.count(input.name) > 0) continue;
    missing += (missing.empty() ? "'" : ", '") + input.name + "' (" + input.type + ")";
  }
  if (missing.empty()) return;
  raise_input_error(
      Error{StatusCode::kInvalidArgument, "the pipeline needs a value for " + missing, {}, {}, {}, {}});
}

nb::tuple to_tuple(const std::vector<uint32_t>& numbers) {
  nb::list list;
  for (const uint32_t number : numbers) list.append(number);
  return nb::tuple(list);
}

/// The class of weft.events and its arguments in order.
struct ToPython {
  const nb::object& module;
  const KeptEvent& kept;

  nb::object operator()(const NodeStarted& e) const {
    return module.attr("NodeStarted")(kept.node, e.n_requests);
  }
  nb::object operator()(const NodeFinished& e) const {
    return module.attr("NodeFinished")(kept.node, e.seconds, e.origin == NodeFinished::Origin::kCached);
  }
  nb::object operator()(const NodeSkipped& e) const {
    return module.attr("NodeSkipped")(kept.node, e.reason);
  }
  nb::object operator()(const NodeFailed& e) const {
    return module.attr("NodeFailed")(kept.node, exception_of(e.error));
  }
  nb::object operator()(const TextPart& e) const {
    return module.attr("TextPart")(kept.node, kept.port, e.text, e.element, to_tuple(e.outer));
  }
  nb::object operator()(const PartsDiscarded& e) const {
    return module.attr("PartsDiscarded")(kept.node, e.attempt, exception_of(e.error), e.element,
                                         to_tuple(e.outer));
  }
  nb::object operator()(const Progress& e) const {
    const nb::object total = e.total > 0 ? nb::object(nb::int_(e.total)) : nb::none();
    return module.attr("Progress")(kept.node, e.done, total, e.unit, e.element, to_tuple(e.outer));
  }
  nb::object operator()(const FileWritten& e) const {
    return module.attr("FileWritten")(kept.node, e.path, e.size_bytes);
  }
};

const char* to_text(NodeTiming::Outcome outcome) {
  switch (outcome) {
    case NodeTiming::Outcome::kComputed: return "computed";
    case NodeTiming::Outcome::kCached: return "cached";
    case NodeTiming::Outcome::kSkipped: return "skipped";
  }
  return "";
}

}  // namespace

Result<Value> value_from_python(nb::handle object, const std::string& type, Session& session) {
  if (type == "text") return text_of(object);
  if (type == "path") return path_of(object);
  if (type == "bytes") return bytes_of(object);
  if (type == "json") return json_of(object);
  if (type == "int") return integer_of(object);
  if (type == "float") return real_of(object);
  if (type == "bool") {
    if (!is_bool(object)) return wrong_type("bool", object);
    return Value::boolean(PyObject_IsTrue(object.ptr()));
  }
  if (const std::string element(list_element_type(type)); !element.empty())
    return list_of(object, element, session);
  if (type == "any" && type_of(object) != "tensor")
    return value_from_python(object, type_of(object), session);
  if (!is_array(object))
    return wrong_type("an array for " + type + ", with DLPack or the buffer protocol", object);
  return tensor_from_python(object, type, &session);
}

nb::object to_python(const Value& value, const std::shared_ptr<Session>& session) {
  switch (value.kind()) {
    case WEFT_KIND_BOOL: return nb::bool_(value_api()->get_bool(value.get()) != 0);
    case WEFT_KIND_INT: return nb::int_(value_api()->get_int(value.get()));
    case WEFT_KIND_FLOAT: return nb::float_(value_api()->get_float(value.get()));
    case WEFT_KIND_BYTES: return bytes_to_python(value);
    case WEFT_KIND_TENSOR: return nb::cast(Tensor{session, value});
    case WEFT_KIND_LIST: break;
  }
  nb::list list;
  for (size_t i = 0; i < value.size(); ++i) list.append(to_python(value.item(i), session));
  return list;
}

std::map<std::string, InputValue> inputs_from_python(const Graph& graph, const nb::dict& inputs,
                                                     Session& session) {
  std::map<std::string, InputValue> values;
  for (const auto& [key, object] : inputs) {
    const std::string name = nb::cast<std::string>(nb::str(key));
    const PipelineInput* input = find_input(graph, name);
    if (input == nullptr) raise_input_error(unknown_input(graph, name, ""));
    Result<Value> value = value_from_python(object, input->type, session);
    if (!value.ok()) raise_input_error(value.status().at("input '" + name + "'").error());
    values[name].value = *std::move(value);
  }
  check_missing(graph, values);
  return values;
}

nb::object to_python(const KeptEvent& event) {
  const nb::object module = nb::module_::import_("weft.events");
  return std::visit(ToPython{module, event}, event.event);
}

nb::dict to_python(const RunResult& result, const std::shared_ptr<Session>& session) {
  nb::dict outputs, timings, fields;
  for (const auto& [name, value] : result.outputs) outputs[name.c_str()] = to_python(value, session);
  for (const NodeTiming& timing : result.timings) {
    timings[timing.node.c_str()] = nb::make_tuple(timing.seconds, to_text(timing.outcome));
  }
  fields["outputs"] = outputs;
  fields["files"] = nb::cast(result.files);
  fields["manifest"] = result.manifest_path.string();
  fields["seconds"] = result.seconds;
  fields["timings"] = timings;
  fields["peak_live_bytes"] = result.peak_live_bytes;
  fields["copied_bytes"] = result.copied_bytes;
  return fields;
}

}  // namespace weft::python
