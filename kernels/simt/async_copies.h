/// The copies that one thread has started with cp.async, in groups. Private to this folder.
#ifndef WEFT_KERNELS_SIMT_ASYNC_COPIES_H
#define WEFT_KERNELS_SIMT_ASYNC_COPIES_H

#include <cstddef>
#include <vector>

#include "kernels/simt/checker.h"
#include "kernels/simt/device.h"

namespace weft::simt {

struct Copy {
  void* shared;
  const void* global;
  int bytes, source_bytes;  // beyond the source's bytes it writes zeros
};

class AsyncCopies {
 public:
  /// The bytes come as late as legal, or at once; the right to read them comes with the wait.
  void issue(const Copy& copy, CopyTime time, Checker& checker, const Accessor& who);
  void commit();
  /// Ends all groups but the last `groups_left`.
  void wait(size_t groups_left, Checker& checker, const Accessor& who);
  /// Ends all, as the end of the thread does.
  void finish(Checker& checker, const Accessor& who);

 private:
  static void finish_group(std::vector<Copy>& group, Checker& checker, const Accessor& who);
  std::vector<std::vector<Copy>> groups_;  // the last one is open
};

}  // namespace weft::simt
#endif
