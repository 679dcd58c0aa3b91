/// Tensors of Weft as Python objects, and arrays of other libraries as tensors of Weft; nothing is copied either way.
///
/// A Tensor shares the value and the session that made it, and so does every array made from it: memory goes back when the
/// last of them is gone. An imported array is held until the last node has let go of it, on a device until its work is done.
/// Thread safety: objects are immutable; imported arrays may be let go of on any thread, which takes the interpreter's lock for it.
#ifndef WEFT_PIPELINE_PYTHON_TENSOR_H
#define WEFT_PIPELINE_PYTHON_TENSOR_H

#include <nanobind/nanobind.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "pipeline/memory/value.h"
#include "pipeline/python/session.h"

namespace weft::python {

struct Tensor {
  std::shared_ptr<Session> session;  // whose memory it is; null for an imported array. Goes after the value
  Value value;                       // of kind tensor
};

/// Whether `object` is a Tensor, or offers DLPack or the buffer protocol and is no bytes or text.
bool is_array(nanobind::handle object);

/// A tensor value of port type `type` over the memory of `object`: a Tensor or an array of another library. For "image" an
/// array [height, width] or [height, width, channels] gets the extents that it lacks. attributes: JSON text, or what a Tensor
/// carries. session: takes arrays on devices, and lives longer; null: they are refused.
/// Errors: kInvalidArgument, kInvalidShape, kUnsupported, those of Devices::open(). Throws what the array's library raises.
Result<Value> tensor_from_python(nanobind::handle object, const std::string& type, Session* session,
                                 const std::optional<std::string>& attributes = {});

/// What Tensor.__dlpack__ does: stream as consumer_stream() of dlpack.h takes it. Throws BufferError for a device or stream that
/// cannot be given.
nanobind::object export_dlpack(const Tensor& tensor, nanobind::object stream, nanobind::object max_version,
                               nanobind::object dl_device, nanobind::object copy);

void bind_tensor(nanobind::module_& module);

}  // namespace weft::python
#endif
