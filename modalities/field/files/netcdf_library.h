/// libnetcdf behind Status: one thread at a time, files in memory, attributes as numbers and texts. Internal to files/.
///
/// libnetcdf (and HDF5 below it) is not thread-safe: whoever calls it holds a NetcdfLock.
#ifndef WEFT_MODALITIES_FIELD_FILES_NETCDF_LIBRARY_H
#define WEFT_MODALITIES_FIELD_FILES_NETCDF_LIBRARY_H

#include <netcdf.h>
#include <netcdf_mem.h>
#include <weft/sdk/status.h>

#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace weft::files {

/// Holds the process's one lock around libnetcdf.
class NetcdfLock {
 public:
  NetcdfLock() : lock_(mutex()) {}

 private:
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }
  std::lock_guard<std::mutex> lock_;
};

inline Status netcdf_status(int code, const std::string& what, StatusCode kind = StatusCode::kCorruptData) {
  if (code == NC_NOERR) return {};
  return Status(code == NC_ENOMEM ? StatusCode::kOutOfMemory : kind, what).got(nc_strerror(code));
}

/// An open file; closed with the object, for which the lock is taken.
class NetcdfFile {
 public:
  explicit NetcdfFile(int id) : id_(id) {}
  NetcdfFile(NetcdfFile&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  NetcdfFile& operator=(NetcdfFile&&) = delete;
  ~NetcdfFile() {
    if (id_ < 0) return;
    const NetcdfLock lock;
    nc_close(id_);
  }
  int id() const { return id_; }
  void closed() { id_ = -1; }

 private:
  int id_;
};

}  // namespace weft::files
#endif
