# weft_isa_sources(TARGET source...): compiles each source once per body (see isa_bodies.h) and adds the objects to TARGET.
# The definitions: WEFT_ISA_NAMESPACE (isa_avx2), WEFT_ISA_NAME ("avx2"), and one of WEFT_ISA_SCALAR, _AVX2, _AVX512.
set(WEFT_ISA_FLAGS_scalar -march=x86-64)
set(WEFT_ISA_FLAGS_avx2 -march=x86-64 -mavx2 -mfma -mf16c -mbmi -mbmi2 -mlzcnt -mpopcnt)
set(WEFT_ISA_FLAGS_avx512 ${WEFT_ISA_FLAGS_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mavx512vnni
    -mprefer-vector-width=512)

function(weft_isa_sources target)
  foreach(source ${ARGN})
    cmake_path(ABSOLUTE_PATH source OUTPUT_VARIABLE path)
    cmake_path(RELATIVE_PATH path BASE_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE stem)
    cmake_path(REMOVE_EXTENSION stem)
    string(REPLACE "/" "_" stem ${stem})
    foreach(body scalar avx2 avx512)
      string(TOUPPER ${body} upper)
      set(objects isa_${body}_${stem})
      add_library(${objects} OBJECT ${path})
      target_link_libraries(${objects} PRIVATE weft_build_flags)
      target_compile_options(${objects} PRIVATE ${WEFT_ISA_FLAGS_${body}} -fvisibility=hidden)
      # -Wpsabi: wide vectors pass between static functions only. The others: GCC 12's AVX-512 header builds its
      # "undefined" operands from uninitialized variables (GCC bug 105593).
      target_compile_options(${objects} PRIVATE -Wno-psabi
        $<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized -Wno-maybe-uninitialized>)
      # Undefined behaviour is looked for in the scalar body, which is the same source; in the others the checks
      # double the longest compilation of the sanitizer build. Addresses are checked in all.
      if(WEFT_SANITIZE MATCHES "undefined" AND NOT body STREQUAL "scalar")
        target_compile_options(${objects} PRIVATE -fno-sanitize=undefined)
      endif()
      target_compile_definitions(${objects} PRIVATE WEFT_ISA_NAMESPACE=isa_${body} WEFT_ISA_NAME="${body}"
                                 WEFT_ISA_${upper}=1)
      set_target_properties(${objects} PROPERTIES POSITION_INDEPENDENT_CODE ON)
      target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
      set_property(GLOBAL APPEND PROPERTY WEFT_ISA_OBJECT_LIBRARIES ${objects})
    endforeach()
  endforeach()
endfunction()

# weft_isa_symbols_test(): adds the test on the symbols of every object that weft_isa_sources() made so far. Sanitizers add
# weak symbols of their own, so their builds do without.
function(weft_isa_symbols_test)
  if(NOT WEFT_TESTS OR WEFT_SANITIZE)
    return()
  endif()
  get_property(libraries GLOBAL PROPERTY WEFT_ISA_OBJECT_LIBRARIES)
  set(objects "")
  foreach(library ${libraries})
    list(APPEND objects $<TARGET_OBJECTS:${library}>)
  endforeach()
  add_test(NAME isa_symbols COMMAND ${CMAKE_COMMAND} -DNM=${CMAKE_NM} "-DOBJECTS=${objects}"
           -P ${CMAKE_SOURCE_DIR}/kernels/cpu/isa_symbols_test.cmake)
endfunction()
