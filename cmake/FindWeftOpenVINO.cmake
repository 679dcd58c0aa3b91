# OpenVINO's C++ runtime as the imported target weft::openvino, with the oneTBB that it brings as weft::openvino_tbb, from a folder
# that scripts/fetch_openvino made or from the package `openvino` of Python (its folder openvino/ holds headers and libraries).
# OpenVINO's own CMake files are not used: they want every frontend and set compiler options for the whole folder.
#   WEFT_OPENVINO_DIR   that folder; else the environment variable of that name, else where scripts/fetch_openvino puts it
# WeftOpenVINO_RUNTIME_FILES: what a program needs at run time, to be installed beside each other.
set(WeftOpenVINO_VERSION_WANTED 2026.4)
set(WEFT_OPENVINO_DIR "" CACHE PATH "OpenVINO: a folder with include/ and libs/; empty: the one of scripts/fetch_openvino")
if(DEFINED ENV{XDG_DATA_HOME} AND NOT "$ENV{XDG_DATA_HOME}" STREQUAL "")
  set(_data $ENV{XDG_DATA_HOME})
else()
  set(_data $ENV{HOME}/.local/share)
endif()
set(_folders ${WEFT_OPENVINO_DIR} $ENV{WEFT_OPENVINO_DIR} ${_data}/weft/openvino)

# Not kept from one configuration to the next: the folder may have come or gone since.
unset(WeftOpenVINO_DIR CACHE)
find_path(WeftOpenVINO_DIR include/openvino/openvino.hpp HINTS ${_folders} NO_DEFAULT_PATH NO_CACHE)
if(WeftOpenVINO_DIR)
  file(STRINGS ${WeftOpenVINO_DIR}/include/openvino/core/version.hpp _lines REGEX "define OPENVINO_VERSION_(MAJOR|MINOR)")
  string(REGEX REPLACE ".*MAJOR +([0-9]+).*MINOR +([0-9]+).*" "\\1.\\2" WeftOpenVINO_VERSION "${_lines}")
  file(GLOB WeftOpenVINO_LIBRARY ${WeftOpenVINO_DIR}/libs/libopenvino.so.*)
  file(GLOB WeftOpenVINO_TBB ${WeftOpenVINO_DIR}/libs/libtbb.so.*)
  file(GLOB WeftOpenVINO_RUNTIME_FILES
       ${WeftOpenVINO_DIR}/libs/libopenvino.so.* ${WeftOpenVINO_DIR}/libs/libopenvino_onnx_frontend.so.*
       ${WeftOpenVINO_DIR}/libs/libopenvino_intel_cpu_plugin.so ${WeftOpenVINO_DIR}/libs/libtbb.so.*
       ${WeftOpenVINO_DIR}/libs/libtbbmalloc.so.* ${WeftOpenVINO_DIR}/libs/libtbbbind_2_5.so.* ${WeftOpenVINO_DIR}/libs/libhwloc.so.*)
  if(NOT WeftOpenVINO_VERSION VERSION_EQUAL WeftOpenVINO_VERSION_WANTED)
    set(_reason "${WeftOpenVINO_DIR} holds version ${WeftOpenVINO_VERSION}, wanted ${WeftOpenVINO_VERSION_WANTED}")
    unset(WeftOpenVINO_LIBRARY)
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(WeftOpenVINO REQUIRED_VARS WeftOpenVINO_DIR WeftOpenVINO_LIBRARY WeftOpenVINO_TBB
                                  VERSION_VAR WeftOpenVINO_VERSION REASON_FAILURE_MESSAGE "${_reason}")
if(WeftOpenVINO_FOUND AND NOT TARGET weft::openvino)
  foreach(part IN ITEMS openvino openvino_tbb)
    add_library(weft::${part} SHARED IMPORTED)
    set_target_properties(weft::${part} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${WeftOpenVINO_DIR}/include)
  endforeach()
  set_target_properties(weft::openvino PROPERTIES IMPORTED_LOCATION ${WeftOpenVINO_LIBRARY})
  set_target_properties(weft::openvino_tbb PROPERTIES IMPORTED_LOCATION ${WeftOpenVINO_TBB})
endif()
