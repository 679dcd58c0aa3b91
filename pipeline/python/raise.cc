#include "pipeline/python/raise.h"

#include <nanobind/stl/string.h>

namespace nb = nanobind;

namespace weft::python {
namespace {

nb::object errors_module() { return nb::module_::import_("weft.errors"); }

nb::dict fields_of(const Error& error) {
  nb::dict fields;
  fields["code"] = to_string(error.code);
  fields["message"] = error.message;
  fields["where"] = error.where;
  fields["expected"] = error.expected;
  fields["got"] = error.got;
  fields["hint"] = error.hint;
  fields["text"] = to_string(error);
  return fields;
}

[[noreturn]] void raise_object(const nb::object& exception) {
  PyErr_SetObject(exception.type().ptr(), exception.ptr());
  throw nb::python_error();
}

}  // namespace

nb::object exception_of(const Error& error) {
  return errors_module().attr("from_fields")(**fields_of(error));
}

void raise(const Error& error) { raise_object(exception_of(error)); }

void raise_input_error(const Error& error) {
  raise_object(errors_module().attr("InputError")(**fields_of(error)));
}

nb::list to_python(const std::vector<Diagnostic>& diagnostics) {
  const nb::object type = errors_module().attr("Diagnostic");
  nb::list list;
  for (const Diagnostic& diagnostic : diagnostics) {
    nb::dict fields;
    fields["severity"] = diagnostic.severity == Diagnostic::Severity::kError ? "error" : "warning";
    fields["file"] = diagnostic.file;
    fields["line"] = diagnostic.position.line;
    fields["column"] = diagnostic.position.column;
    fields["pointer"] = diagnostic.pointer;
    fields["message"] = diagnostic.message;
    fields["expected"] = diagnostic.expected;
    fields["nearest"] = diagnostic.nearest;
    fields["hint"] = diagnostic.hint;
    fields["text"] = to_text(diagnostic, Excerpt::kShow);
    list.append(type(**fields));
  }
  return list;
}

void raise(const std::vector<Diagnostic>& diagnostics) {
  raise_object(errors_module().attr("PipelineError")(to_python(diagnostics)));
}

}  // namespace weft::python
