# OpenCV's core and imgproc as imported targets weft::opencv_core and weft::opencv_imgproc. Debian's light packages
# (libopencv-core-dev, libopencv-imgproc-dev) have no OpenCVConfig.cmake; the full libopencv-dev, which has one, brings 200
# packages.
find_path(WeftOpenCV_INCLUDE_DIR opencv2/core.hpp PATH_SUFFIXES opencv4)
find_library(WeftOpenCV_CORE opencv_core)
find_library(WeftOpenCV_IMGPROC opencv_imgproc)
mark_as_advanced(WeftOpenCV_INCLUDE_DIR WeftOpenCV_CORE WeftOpenCV_IMGPROC)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(WeftOpenCV REQUIRED_VARS WeftOpenCV_CORE WeftOpenCV_IMGPROC WeftOpenCV_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "Debian: apt-get install libopencv-core-dev libopencv-imgproc-dev")
if(WeftOpenCV_FOUND AND NOT TARGET weft::opencv_core)
  foreach(part IN ITEMS core imgproc)
    string(TOUPPER ${part} variable)
    add_library(weft::opencv_${part} UNKNOWN IMPORTED)
    set_target_properties(weft::opencv_${part} PROPERTIES IMPORTED_LOCATION ${WeftOpenCV_${variable}}
                          INTERFACE_INCLUDE_DIRECTORIES ${WeftOpenCV_INCLUDE_DIR})
  endforeach()
  target_link_libraries(weft::opencv_imgproc INTERFACE weft::opencv_core)
endif()
