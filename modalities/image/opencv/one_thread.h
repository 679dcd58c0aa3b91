/// OpenCV would start a pool of threads of its own beside the host's, and nodes would fight over cores.
#ifndef WEFT_MODALITIES_IMAGE_OPENCV_ONE_THREAD_H
#define WEFT_MODALITIES_IMAGE_OPENCV_ONE_THREAD_H

namespace weft {

/// Called before anything else of OpenCV: it then computes on the calling thread. Thread safety: any thread.
void keep_opencv_to_one_thread();

}  // namespace weft
#endif
