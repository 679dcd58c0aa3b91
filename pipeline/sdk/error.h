/// Errors across the C boundary: Status to weft_error and back, and the barrier that no exception passes.
///
/// Every entry point that a plugin gives to the host runs its body inside `barrier`; every call into the host that can
/// fail goes through `checked`. Thread safety: no shared state.
///
///   Status status = checked([&](weft_error* error) { return api->allocate(self, &request, stream, &buffer, error); });
#ifndef WEFT_SDK_ERROR_H
#define WEFT_SDK_ERROR_H

#include <weft/abi/status.h>
#include <weft/sdk/status.h>

#include <cstddef>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace weft::sdk {

/// Copies `text` into a field of `capacity` bytes, NUL-terminated, cut between two UTF-8 characters if too long.
inline void copy_field(char* field, size_t capacity, std::string_view text) {
  size_t size = text.size();
  if (size >= capacity) {
    size = capacity - 1;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  }
  std::memcpy(field, text.data(), size);
  field[size] = '\0';
}

/// Writes `status` into `error` (may be NULL), no field beyond error->struct_size; returns the code.
inline weft_status to_c(const Status& status, weft_error* error) {
  const weft_status code = static_cast<weft_status>(status.code());
  if (error == nullptr || status.ok()) return code;
  const auto fits = [&](size_t offset, size_t size) { return offset + size <= error->struct_size; };
  const auto copy = [&](char* field, size_t offset, size_t size, const std::string& text) {
    if (fits(offset, size)) copy_field(field, size, text);
  };
  if (fits(offsetof(weft_error, code), sizeof error->code)) error->code = code;
  const Error& from = status.error();
  copy(error->message, offsetof(weft_error, message), sizeof error->message, from.message);
  copy(error->where, offsetof(weft_error, where), sizeof error->where, from.where);
  copy(error->expected, offsetof(weft_error, expected), sizeof error->expected, from.expected);
  copy(error->got, offsetof(weft_error, got), sizeof error->got, from.got);
  copy(error->hint, offsetof(weft_error, hint), sizeof error->hint, from.hint);
  return code;
}

/// The Status for a returned code and the error filled with it; a code that this version does not know is kInternal.
inline Status from_c(weft_status code, const weft_error& error) {
  if (code == WEFT_OK) return {};
  const auto text = [](const char* field, size_t capacity) {
    return std::string(field, strnlen(field, capacity));
  };
  Error result;
  const bool known = code > WEFT_OK && code <= static_cast<weft_status>(kLastStatusCode);
  result.code = known ? static_cast<StatusCode>(code) : StatusCode::kInternal;
  result.message = text(error.message, sizeof error.message);
  result.where = text(error.where, sizeof error.where);
  result.expected = text(error.expected, sizeof error.expected);
  result.got = text(error.got, sizeof error.got);
  result.hint = text(error.hint, sizeof error.hint);
  if (!known && result.message.empty()) result.message = "unknown status code " + std::to_string(code);
  if (result.message.empty()) result.message = to_string(result.code);
  return Status(std::move(result));
}

/// Status of a C call without an error object.
inline Status from_c(weft_status code, const char* what) {
  if (code == WEFT_OK) return {};
  weft_error error{};
  copy_field(error.message, sizeof error.message, what);
  return from_c(code, error);
}

/// Runs call(weft_error*) -> weft_status and returns what it reported.
template <typename Call>
Status checked(Call&& call) {
  weft_error error;
  error.struct_size = sizeof error;
  error.code = WEFT_OK;
  error.message[0] = error.where[0] = error.expected[0] = error.got[0] = error.hint[0] = '\0';
  const weft_status code = call(&error);
  return from_c(code, error);
}

/// Runs body() -> Status and turns an exception into a Status.
template <typename Body>
Status guarded(Body&& body) noexcept {
  try {
    try {
      return body();
    } catch (const std::bad_alloc&) {
      return Status(StatusCode::kOutOfMemory, "out of memory");
    } catch (const std::exception& exception) {
      return Status(StatusCode::kInternal, std::string("uncaught exception: ") + exception.what());
    } catch (...) {
      return Status(StatusCode::kInternal, "uncaught exception of an unknown type");
    }
  } catch (...) {  // no memory to describe the first one
    return Status(StatusCode::kOutOfMemory, {});
  }
}

/// What every C entry point of a plugin is made of: body() -> Status, no exception leaves, the error is filled.
template <typename Body>
weft_status barrier(weft_error* error, Body&& body) noexcept {
  return to_c(guarded(std::forward<Body>(body)), error);
}

}  // namespace weft::sdk
#endif
