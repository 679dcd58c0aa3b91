#include "pipeline/python/tensor.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <weft/sdk/device.h>

#include <cstring>
#include <vector>

#include "pipeline/memory/buffer.h"
#include "pipeline/memory/devices.h"
#include "pipeline/memory/dlpack.h"
#include "pipeline/memory/tensor_layout.h"
#include "pipeline/python/raise.h"

namespace nb = nanobind;

namespace weft::python {
namespace {

using Array = nb::ndarray<nb::ro>;

/// The layout that consumers without versions expect; see the DLPack specification.
struct UnversionedDlpack {
  DLTensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(UnversionedDlpack* self);
};
constexpr char kVersioned[] = "dltensor_versioned", kUnversioned[] = "dltensor";
constexpr char kUsedVersioned[] = "used_dltensor_versioned", kUsedUnversioned[] = "used_dltensor";
constexpr uint64_t kDlpackIsCopied = 2;

struct TensorParts {
  weft_tensor view{};
  Buffer buffer;
  const char* attributes = nullptr;
};

TensorParts parts_of(const Value& value) {
  TensorParts parts;
  parts.view.struct_size = sizeof(parts.view);
  weft_buffer* buffer = nullptr;
  value_api()->get_tensor(value.get(), &parts.view, &buffer, &parts.attributes);
  parts.buffer = Buffer::share(buffer);
  return parts;
}

Result<Value> make_tensor(const Buffer& buffer, const weft_tensor& view, const std::string& type,
                          const char* attributes) {
  weft_value* value = nullptr;
  const weft_status status = value_api()->make_tensor(buffer.get(), &view, type.c_str(), attributes, &value);
  if (status == WEFT_OK) return Value::adopt(value);
  return Status(static_cast<StatusCode>(status), "no tensor of type '" + type + "' can be made of the array")
      .hint("negative strides are not supported: numpy.ascontiguousarray copies");
}

/// A buffer over the same memory that also keeps the session, whose pools take the memory back.
Buffer keep_session(const Tensor& tensor) {
  const TensorParts parts = parts_of(tensor.value);
  if (!tensor.session) return parts.buffer;
  auto shared = share_memory(parts.buffer, tensor.session);
  if (!shared.ok()) raise(shared.error());
  return *std::move(shared);
}

void let_go_of_array(void* owner, weft_buffer*, weft_stream*) noexcept {
  // After the interpreter's end nothing is left to let go of.
  if (const nb::detail::cleanup_guard guard{}) delete static_cast<Array*>(owner);
}

bool is_tensor(nb::handle object) { return nb::isinstance<Tensor>(object); }

weft_dtype dtype_of(nb::dlpack::dtype dtype) {
  using Code = nb::dlpack::dtype_code;
  const auto code = static_cast<Code>(dtype.code);
  if (dtype.lanes != 1) return 0;
  if (code == Code::Bool) return dtype.bits == 8 ? WEFT_DTYPE_BOOL : 0;
  if (code == Code::UInt) return dtype.bits == 8 ? WEFT_DTYPE_U8 : 0;
  if (code == Code::Bfloat) return dtype.bits == 16 ? WEFT_DTYPE_BF16 : 0;
  if (code != Code::Int && code != Code::Float) return 0;
  const std::string name = (code == Code::Int ? "i" : "f") + std::to_string(dtype.bits);
  return dtype_from_name(name);
}

/// Puts the extents of a batch and of channels around what is one picture.
void complete_picture(weft_tensor& view) {
  if (view.rank == 2) {
    view.shape[2] = view.strides[2] = 1;
    view.rank = 3;
  }
  if (view.rank != 3) return;
  for (int i = 3; i > 0; --i) {
    view.shape[i] = view.shape[i - 1];
    view.strides[i] = view.strides[i - 1];
  }
  view.shape[0] = 1;
  view.strides[0] = view.shape[1] * view.strides[1];
  view.rank = 4;
}

Result<weft_tensor> view_of(const Array& array) {
  weft_tensor view{};
  view.struct_size = sizeof(view);
  view.dtype = dtype_of(array.dtype());
  if (view.dtype == 0) {
    return Status(StatusCode::kUnsupported, "the array has an element type that Weft does not serve")
        .expected("bool, uint8, int8 to int64, float16, bfloat16, float32 or float64");
  }
  if (array.ndim() > WEFT_MAX_RANK) {
    return Status(StatusCode::kInvalidShape, "the array has too many dimensions")
        .expected("at most " + std::to_string(WEFT_MAX_RANK))
        .got(std::to_string(array.ndim()));
  }
  view.device = {array.device_type(), array.device_id()};
  view.rank = static_cast<int32_t>(array.ndim());
  view.data = const_cast<void*>(array.data());
  for (int i = 0; i < view.rank; ++i) {
    view.shape[i] = static_cast<int64_t>(array.shape(static_cast<size_t>(i)));
    view.strides[i] = array.stride(static_cast<size_t>(i));
    // The stride of an extent that is not walked says nothing; some libraries write what they like.
    if (view.shape[i] <= 1 && view.strides[i] < 0) view.strides[i] = 1;
  }
  return view;
}

/// Bytes from the first element to behind the last one; 0 where there are none, or strides lead backwards.
uint64_t reach_bytes(const weft_tensor& view) {
  int64_t last = 0;
  for (int i = 0; i < view.rank; ++i) {
    if (view.shape[i] == 0 || view.strides[i] < 0) return 0;
    last += (view.shape[i] - 1) * view.strides[i];
  }
  return static_cast<uint64_t>((last + 1) * element_bytes(view.dtype));
}

/// An array without gaps with the elements of `view`, from the session's memory.
Result<TensorParts> copy_of(const Tensor& tensor) {
  const TensorParts from = parts_of(tensor.value);
  int64_t count = 0;
  count_elements({from.view.shape, static_cast<size_t>(from.view.rank)}, count);
  const auto size = static_cast<size_t>(element_bytes(from.view.dtype));
  TensorParts to;
  auto* memory = new (std::nothrow) char[static_cast<size_t>(count) * size + 1];
  if (memory == nullptr) return Status(StatusCode::kOutOfMemory, "no memory for a copy of the tensor");
  const auto dispose = [](void* owner, weft_buffer*, weft_stream*) noexcept {
    delete[] static_cast<char*>(owner);
  };
  auto buffer =
      wrap_memory(memory, static_cast<uint64_t>(count) * size, {WEFT_DEVICE_CPU, 0}, memory, dispose);
  if (!buffer.ok()) return delete[] memory, buffer.status();
  to.buffer = *std::move(buffer);
  to.view = row_major(memory, from.view.dtype, {from.view.shape, static_cast<size_t>(from.view.rank)});
  std::vector<int64_t> index(static_cast<size_t>(from.view.rank), 0);
  for (int64_t element = 0; element < count; ++element) {
    int64_t offset = 0;
    for (int i = 0; i < from.view.rank; ++i) offset += index[static_cast<size_t>(i)] * from.view.strides[i];
    std::memcpy(memory + static_cast<size_t>(element) * size,
                static_cast<const char*>(from.view.data) + offset * static_cast<int64_t>(size), size);
    for (int i = from.view.rank - 1; i >= 0 && ++index[static_cast<size_t>(i)] == from.view.shape[i]; --i) {
      index[static_cast<size_t>(i)] = 0;
    }
  }
  return to;
}

void delete_unversioned(UnversionedDlpack* self) {
  auto* versioned = static_cast<DLManagedTensorVersioned*>(self->manager_ctx);
  versioned->deleter(versioned);
  delete self;
}

/// A capsule that nobody took the tensor out of gives it back itself; whoever takes it renames the capsule.
template <typename Managed, const char* kName>
nb::object capsule_of(Managed* managed) {
  const auto destructor = [](PyObject* capsule) noexcept {
    if (!PyCapsule_IsValid(capsule, kName)) return;
    auto* left = static_cast<Managed*>(PyCapsule_GetPointer(capsule, kName));
    left->deleter(left);
  };
  PyObject* capsule = PyCapsule_New(managed, kName, destructor);
  if (capsule == nullptr) {
    managed->deleter(managed);
    throw nb::python_error();
  }
  return nb::steal(capsule);
}

/// A tensor without a version, as one with it.
struct FromUnversioned {
  DLManagedTensorVersioned tensor{};
  UnversionedDlpack* given = nullptr;
};

/// The tensor in a capsule, which has given it away then.
DLManagedTensorVersioned* take_tensor(const nb::object& capsule) {
  if (PyCapsule_IsValid(capsule.ptr(), kVersioned)) {
    auto* tensor = static_cast<DLManagedTensorVersioned*>(PyCapsule_GetPointer(capsule.ptr(), kVersioned));
    PyCapsule_SetName(capsule.ptr(), kUsedVersioned);
    return tensor;
  }
  auto* given = static_cast<UnversionedDlpack*>(PyCapsule_GetPointer(capsule.ptr(), kUnversioned));
  if (given == nullptr) throw nb::python_error();
  auto* taken = new FromUnversioned;
  PyCapsule_SetName(capsule.ptr(), kUsedUnversioned);
  taken->given = given;
  taken->tensor.version = {1, 0};
  taken->tensor.manager_ctx = taken;
  taken->tensor.dl_tensor = given->dl_tensor;
  taken->tensor.deleter = [](DLManagedTensorVersioned* self) {
    const std::unique_ptr<FromUnversioned> owned(static_cast<FromUnversioned*>(self->manager_ctx));
    if (owned->given->deleter) owned->given->deleter(owned->given);
  };
  return &taken->tensor;
}

/// Where an array is, by its own account; the CPU for one that does not say.
weft_device device_of(nb::handle object) {
  if (!nb::hasattr(object, "__dlpack_device__")) return sdk::kCpu;
  const nb::object device = object.attr("__dlpack_device__")();
  return {nb::cast<int32_t>(device[0]), nb::cast<int32_t>(device[1])};
}

/// What object.__dlpack__() gives, whose library makes the stream wait for the contents.
nb::object capsule_from(nb::handle object, NativeStream stream) {
  const nb::object give = object.attr("__dlpack__");
  const nb::int_ number(reinterpret_cast<intptr_t>(stream));
  try {
    return give(nb::arg("stream") = number, nb::arg("max_version") = nb::make_tuple(1, 0));
  } catch (nb::python_error& error) {
    if (!error.matches(PyExc_TypeError)) throw;  // a library from before there were versions
  }
  return give(nb::arg("stream") = number);
}

Result<Value> tensor_from_device(nb::handle object, weft_device device, const std::string& type,
                                 const char* attributes, Session* session) {
  if (session == nullptr) {
    return Status(StatusCode::kUnsupported, "an array on a device becomes a tensor within a run")
        .got("an array on " + sdk::device_name(device))
        .hint("give it to the run as it is");
  }
  Devices& devices = session->host().devices();
  if (Status status = devices.open(device); !status.ok()) return status;
  auto stream = devices.stream(device);
  if (!stream.ok()) return stream.status();
  auto imported = from_dlpack(take_tensor(capsule_from(object, stream->get()->native)), *devices.pool(device),
                              stream->get());
  if (!imported.ok()) return imported.status();
  if (type == "image") complete_picture(imported->view);
  return make_tensor(imported->buffer, imported->view, type == "any" ? "tensor" : type, attributes);
}

[[noreturn]] void refuse_export(const std::string& why) { throw nb::buffer_error(why.c_str()); }

bool consumer_knows_versions(const nb::object& max_version) {
  if (max_version.is_none()) return false;
  return nb::cast<int64_t>(max_version[0]) >= 1;
}

nb::tuple shape_of(const Tensor& tensor) {
  const weft_tensor view = parts_of(tensor.value).view;
  nb::list shape;
  for (int i = 0; i < view.rank; ++i) shape.append(view.shape[i]);
  return nb::tuple(shape);
}

}  // namespace

bool is_array(nb::handle object) {
  if (is_tensor(object)) return true;
  if (nb::isinstance<nb::str>(object) || PyBytes_Check(object.ptr()) || PyByteArray_Check(object.ptr()))
    return false;
  return nb::hasattr(object, "__dlpack__") || PyObject_CheckBuffer(object.ptr()) != 0;
}

Result<Value> tensor_from_python(nb::handle object, const std::string& type, Session* session,
                                 const std::optional<std::string>& attributes) {
  const char* given = attributes ? attributes->c_str() : nullptr;
  if (is_tensor(object)) {
    const Tensor& tensor = nb::cast<const Tensor&>(object);
    const TensorParts parts = parts_of(tensor.value);
    return make_tensor(keep_session(tensor), parts.view, type == "any" ? tensor.value.type() : type,
                       given ? given : parts.attributes);
  }
  const weft_device device = device_of(object);
  if (device.kind == WEFT_DEVICE_CUDA || device.kind == WEFT_DEVICE_SIMT)
    return tensor_from_device(object, device, type, given, session);
  auto array = std::make_unique<Array>();
  if (!nb::try_cast<Array>(object, *array, false)) {
    return Status(StatusCode::kInvalidArgument, "not an array: no DLPack and no buffer protocol")
        .got(nb::cast<std::string>(nb::str(nb::handle(object.type()).attr("__name__"))));
  }
  Result<weft_tensor> view = view_of(*array);
  if (!view.ok()) return view.status();
  if (type == "image") complete_picture(*view);
  auto buffer = wrap_memory(view->data, reach_bytes(*view), view->device, array.get(), let_go_of_array);
  if (!buffer.ok()) return buffer.status();
  array.release();
  return make_tensor(*buffer, *view, type == "any" ? "tensor" : type, given);
}

nb::object export_dlpack(const Tensor& tensor, nb::object stream, nb::object max_version,
                         nb::object dl_device, nb::object copy) {
  TensorParts parts = parts_of(tensor.value);
  std::optional<int64_t> number;
  if (!stream.is_none()) number = nb::cast<int64_t>(stream);
  const Result<ConsumerStream> consumer = consumer_stream(parts.view.device, number);
  if (!consumer.ok()) refuse_export(to_string(consumer.error()));
  if (!dl_device.is_none() && (nb::cast<int32_t>(dl_device[0]) != parts.view.device.kind ||
                               nb::cast<int32_t>(dl_device[1]) != parts.view.device.index)) {
    refuse_export("the tensor is on another device; Weft moves none");
  }
  const bool copied = !copy.is_none() && nb::cast<bool>(copy);
  if (copied) {
    if (parts.view.device.kind != WEFT_DEVICE_CPU) refuse_export("Weft copies no tensor of a device");
    Result<TensorParts> own = copy_of(tensor);
    if (!own.ok()) raise(own.error());
    parts = *std::move(own);
  } else {
    parts.buffer = keep_session(tensor);
  }
  Result<DLManagedTensorVersioned*> managed = to_dlpack(parts.buffer, parts.view, *consumer);
  if (managed.code() == StatusCode::kInvalidArgument) refuse_export(to_string(managed.error()));
  if (!managed.ok()) raise(managed.error());
  if (copied) (*managed)->flags = kDlpackIsCopied;
  if (consumer_knows_versions(max_version)) return capsule_of<DLManagedTensorVersioned, kVersioned>(*managed);
  return capsule_of<UnversionedDlpack, kUnversioned>(
      new UnversionedDlpack{(*managed)->dl_tensor, *managed, delete_unversioned});
}

void bind_tensor(nb::module_& module) {
  nb::class_<Tensor>(
      module, "Tensor",
      "A tensor of a pipeline: an input with a type of its own, or an output.\n\n"
      "It offers DLPack: numpy.from_dlpack(t), torch.from_dlpack(t) and t.numpy() share its memory.\n"
      "Tensors are immutable; libraries that cannot tell are trusted not to write.")
      .def(
          "__init__",
          [](Tensor* self, nb::handle array, const std::string& type, nb::object attributes) {
            std::optional<std::string> json;
            if (!attributes.is_none())
              json = nb::cast<std::string>(nb::module_::import_("json").attr("dumps")(attributes));
            Result<Value> value = tensor_from_python(array, type, nullptr, json);
            if (!value.ok()) raise(value.error());
            new (self) Tensor{nullptr, *std::move(value)};
          },
          nb::arg("array"), nb::arg("type") = "tensor", nb::arg("attributes") = nb::none(),
          "Shares an array that offers DLPack or the buffer protocol. type: that of the port it is for, "
          "\"image\" say;\n"
          "attributes: what shape and element type do not say, {\"color_space\": \"linear\"}.",
          nb::sig("def __init__(self, array: typing.Any, type: str = 'tensor', attributes: dict[str, "
                  "typing.Any] | None = "
                  "None) -> None"))
      .def_prop_ro("shape", shape_of, nb::sig("def shape(self) -> tuple[int, ...]"))
      .def_prop_ro(
          "dtype", [](const Tensor& tensor) { return dtype_name(parts_of(tensor.value).view.dtype); },
          "bool, u8, i8, i16, i32, i64, f16, bf16, f32 or f64")
      .def_prop_ro(
          "type", [](const Tensor& tensor) { return tensor.value.type(); }, "The port type: \"image\".")
      .def_prop_ro(
          "attributes",
          [](const Tensor& tensor) -> nb::object {
            const TensorParts parts = parts_of(tensor.value);
            if (parts.attributes == nullptr) return nb::dict();
            return nb::module_::import_("json").attr("loads")(parts.attributes);
          },
          nb::sig("def attributes(self) -> dict[str, typing.Any]"))
      .def("__dlpack__", export_dlpack, nb::kw_only(), nb::arg("stream") = nb::none(),
           nb::arg("max_version") = nb::none(), nb::arg("dl_device") = nb::none(),
           nb::arg("copy") = nb::none(),
           nb::sig("def __dlpack__(self, *, stream: int | None = None, max_version: tuple[int, int] | None = "
                   "None, "
                   "dl_device: tuple[int, int] | None = None, copy: bool | None = None) -> typing.Any"))
      .def(
          "__dlpack_device__",
          [](const Tensor& tensor) {
            const weft_device device = parts_of(tensor.value).view.device;
            return nb::make_tuple(device.kind, device.index);
          },
          nb::sig("def __dlpack_device__(self) -> tuple[int, int]"))
      .def(
          "numpy", [](nb::handle self) { return nb::module_::import_("numpy").attr("from_dlpack")(self); },
          "A read-only numpy array over the same memory.", nb::sig("def numpy(self) -> typing.Any"))
      .def(
          "__array__",
          [](nb::handle self, nb::object dtype, nb::object copy) {
            nb::object numpy = nb::module_::import_("numpy");
            nb::object array = numpy.attr("from_dlpack")(self);
            if (copy.is_none() && dtype.is_none()) return array;
            return numpy.attr("array")(array, dtype, nb::arg("copy") = copy);
          },
          nb::arg("dtype") = nb::none(), nb::arg("copy") = nb::none(),
          nb::sig("def __array__(self, dtype: typing.Any = None, copy: bool | None = None) -> typing.Any"))
      .def("__repr__", [](const Tensor& tensor) {
        const std::string shape = nb::cast<std::string>(nb::repr(shape_of(tensor)));
        return "weft.Tensor(" + shape + ", " + dtype_name(parts_of(tensor.value).view.dtype) + ", '" +
               tensor.value.type() + "')";
      });
}

}  // namespace weft::python
