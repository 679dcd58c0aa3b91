# Headers that most sources include, parsed once for all targets: the standard library, JSON, and for tests GoogleTest.
#   cmake --preset asan -DWEFT_PRECOMPILED_HEADERS=ON
# Off unless asked for: only a build without it shows which file forgot to include what it uses. For builds by clang.
option(WEFT_PRECOMPILED_HEADERS "Parse widely used headers once for all targets (clang)" OFF)

# weft_precompile(TARGET KIND): lets a target use the headers of its kind: library, program or test. Kinds differ in how they are
# compiled, which a precompiled header must match.
function(weft_precompile target kind)
  if(WEFT_PRECOMPILED_HEADERS)
    target_precompile_headers(${target} REUSE_FROM weft_precompiled_${kind})
  endif()
endfunction()

# weft_precompiled_kinds(): makes the headers, once what all targets are compiled with is known.
function(weft_precompiled_kinds)
  if(NOT WEFT_PRECOMPILED_HEADERS)
    return()
  endif()
  find_package(nlohmann_json REQUIRED)
  set(headers <algorithm> <array> <atomic> <chrono> <cmath> <condition_variable> <cstdint> <cstring> <deque> <filesystem> <fstream>
      <functional> <map> <memory> <mutex> <nlohmann/json.hpp> <optional> <set> <span> <sstream> <string> <string_view> <thread>
      <unordered_map> <utility> <variant> <vector>)
  set(source ${CMAKE_BINARY_DIR}/precompiled.cc)
  file(CONFIGURE OUTPUT ${source} CONTENT "// Makes a target of precompiled headers.\n")
  set(kinds library program)
  if(WEFT_TESTS)
    list(APPEND kinds test)
  endif()
  foreach(kind IN LISTS kinds)
    set(target weft_precompiled_${kind})
    add_library(${target} OBJECT ${source})
    target_link_libraries(${target} PRIVATE weft_build_flags nlohmann_json::nlohmann_json)
    target_precompile_headers(${target} PRIVATE ${headers})
    target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")  # so that ccache knows it again
    if(kind STREQUAL library)
      weft_library_flags(${target})
    else() # position-independent as programs are
      set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
      target_compile_options(${target} PRIVATE -fPIE)
    endif()
  endforeach()
  if(WEFT_TESTS)
    target_link_libraries(weft_precompiled_test PRIVATE GTest::gmock)
    target_precompile_headers(weft_precompiled_test PRIVATE <gmock/gmock.h> <gtest/gtest.h>)
    weft_test_flags(weft_precompiled_test)
  endif()
endfunction()
