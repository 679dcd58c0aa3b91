#include "modalities/image/opencv/one_thread.h"

#include <opencv2/core/utility.hpp>

namespace weft {

void keep_opencv_to_one_thread() {
  static const bool once = [] {
    cv::setNumThreads(1);
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace weft
