# weft_isa_sources(TARGET source... [ALSO body...] [ONLY body...]): compiles each source once per body (see isa_bodies.h) and adds the
# objects to TARGET. Every source has the bodies scalar, avx2 and avx512; ALSO adds avx512bf16, amx or both;
# ONLY names all.
# The definitions: WEFT_ISA_NAMESPACE (isa_avx2), WEFT_ISA_NAME ("avx2"), and WEFT_ISA_SCALAR, _AVX2 or _AVX512. The bodies
# avx512bf16 and amx have WEFT_ISA_AVX512 and WEFT_ISA_AVX512BF16, amx also WEFT_ISA_AMX.
set(WEFT_ISA_FLAGS_scalar -march=x86-64)
set(WEFT_ISA_FLAGS_avx2 -march=x86-64 -mavx2 -mfma -mf16c -mbmi -mbmi2 -mlzcnt -mpopcnt)
set(WEFT_ISA_FLAGS_avx512 ${WEFT_ISA_FLAGS_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mavx512vnni
    -mprefer-vector-width=512)
set(WEFT_ISA_FLAGS_avx512bf16 ${WEFT_ISA_FLAGS_avx512} -mavx512bf16)
set(WEFT_ISA_FLAGS_amx ${WEFT_ISA_FLAGS_avx512bf16} -mamx-tile -mamx-int8 -mamx-bf16)
set(WEFT_ISA_DEFINITIONS_scalar WEFT_ISA_SCALAR=1)
set(WEFT_ISA_DEFINITIONS_avx2 WEFT_ISA_AVX2=1)
set(WEFT_ISA_DEFINITIONS_avx512 WEFT_ISA_AVX512=1)
set(WEFT_ISA_DEFINITIONS_avx512bf16 ${WEFT_ISA_DEFINITIONS_avx512} WEFT_ISA_AVX512BF16=1)
set(WEFT_ISA_DEFINITIONS_amx ${WEFT_ISA_DEFINITIONS_avx512bf16} WEFT_ISA_AMX=1)

function(weft_isa_sources target)
  cmake_parse_arguments(ARG "" "" "ALSO;ONLY" ${ARGN})
  if(NOT ARG_ONLY)
    set(ARG_ONLY scalar avx2 avx512 ${ARG_ALSO})
  endif()
  foreach(source ${ARG_UNPARSED_ARGUMENTS})
    cmake_path(ABSOLUTE_PATH source OUTPUT_VARIABLE path)
    cmake_path(RELATIVE_PATH path BASE_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE stem)
    cmake_path(REMOVE_EXTENSION stem)
    string(REPLACE "/" "_" stem ${stem})
    foreach(body ${ARG_ONLY})
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
                                 ${WEFT_ISA_DEFINITIONS_${body}})
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
