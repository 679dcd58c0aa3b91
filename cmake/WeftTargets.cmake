# Functions that every folder's CMakeLists.txt uses, so that flags and conventions are written once.

# What all targets of this project are compiled with. Nothing here depends on the build machine's processor.
add_library(weft_build_flags INTERFACE)
target_compile_options(weft_build_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
  -ffp-contract=off -fno-math-errno)
target_include_directories(weft_build_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/include)
if(WEFT_SANITIZE)
  target_compile_options(weft_build_flags INTERFACE -fsanitize=${WEFT_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all -g1)
  target_link_options(weft_build_flags INTERFACE -fsanitize=${WEFT_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
    target_compile_options(weft_build_flags INTERFACE
                           -fsanitize-ignorelist=${CMAKE_SOURCE_DIR}/cmake/sanitizer_ignorelist.txt)
  endif()
endif()

include(WeftPrecompiled)

find_program(WEFT_CCACHE ccache)
if(WEFT_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${WEFT_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${WEFT_CCACHE})
  if(WEFT_PRECOMPILED_HEADERS)  # ccache keeps no result that depends on one unless it may overlook its macros and time
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${WEFT_CCACHE})
  endif()
endif()

# weft_library_flags(NAME), weft_test_flags(NAME): what the targets of a kind are compiled with besides weft_build_flags.
function(weft_library_flags name)
  if(WEFT_FUZZERS)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer-no-link)  # so that fuzzers see which code they reach
  endif()
endfunction()
function(weft_test_flags name)
  if(WEFT_SANITIZE)
    # What is instrumented costs most of its compile time to optimise. What tests call in libraries is optimised all the same.
    target_compile_options(${name} PRIVATE -O0)
  endif()
endfunction()

# weft_library(NAME [SHARED] SOURCES ... [DEPS ...]): a library of this project; static unless SHARED.
function(weft_library name)
  cmake_parse_arguments(ARG "SHARED" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  if(ARG_SHARED)
    add_library(${name} SHARED ${ARG_SOURCES})
  else()
    add_library(${name} STATIC ${ARG_SOURCES})
  endif()
  target_link_libraries(${name} PUBLIC weft_build_flags ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  weft_library_flags(${name})
  weft_precompile(${name} library)
endfunction()

# weft_test(NAME SOURCES ... [DEPS ...] [TIMEOUT s] [LABELS ...]): a GoogleTest program; each case is a ctest case.
# Tests run in the source root and may write only below WEFT_TEST_TMP or a folder of their own under it.
function(weft_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT WEFT_TESTS)
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)  # an empty value would vanish, and the next property's name with it
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE weft_build_flags ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  weft_test_flags(${name})
  weft_precompile(${name} test)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}" SKIP_REGULAR_EXPRESSION "skipped:"
    ENVIRONMENT "WEFT_BUILD_DIR=${CMAKE_BINARY_DIR}")
endfunction()

# weft_bench(NAME SOURCES ... [DEPS ...]): a Google Benchmark program, built with -DWEFT_BENCHES=ON.
function(weft_bench name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  if(NOT WEFT_BENCHES)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE weft_build_flags ${ARG_DEPS} benchmark::benchmark_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
endfunction()

# weft_fuzzer(NAME SOURCES ... CORPUS dir [DEPS ...]): with WEFT_FUZZERS a libFuzzer program that ctest runs for
# WEFT_FUZZ_SECONDS from its seed corpus; without it nothing, so that a gcc build needs no clang.
set(WEFT_FUZZ_SECONDS 30 CACHE STRING "How long ctest runs each fuzzer")
function(weft_fuzzer name)
  cmake_parse_arguments(ARG "" "CORPUS" "SOURCES;DEPS" ${ARGN})
  if(NOT WEFT_FUZZERS)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE weft_build_flags ${ARG_DEPS})
  target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  set(grown ${CMAKE_BINARY_DIR}/fuzz/corpus/${name})
  file(MAKE_DIRECTORY ${grown})
  math(EXPR limit "${WEFT_FUZZ_SECONDS} + 120")
  add_test(NAME fuzz.${name} COMMAND ${name} -max_total_time=${WEFT_FUZZ_SECONDS} -timeout=10 -rss_limit_mb=2048
           -print_final_stats=1 ${grown} ${ARG_CORPUS} WORKING_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT ${limit} LABELS fuzz)
endfunction()

# weft_plugin(NAME SOURCES ... [DEPS ...]): a plugin of this tree; only its entry symbol is exported. The target
# weft_plugins builds all of them.
add_custom_target(weft_plugins)
function(weft_plugin name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  weft_add_plugin(${name} SOURCES ${ARG_SOURCES} DEPS weft_build_flags ${ARG_DEPS})
  set_target_properties(weft_plugin_${name} PROPERTIES INSTALL_RPATH "$ORIGIN/../.." BUILD_RPATH "$ORIGIN/../..")
  add_dependencies(weft_plugins weft_plugin_${name})
endfunction()
