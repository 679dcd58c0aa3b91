# weft_add_plugin(NAME SOURCES ... [DEPS ...]): a shared library with one exported symbol, weft_plugin_entry, as target
# weft_plugin_NAME. Used by the plugins of the Weft tree and, through find_package(weft), by plugins built elsewhere.
# The file is NAME.so in the build folder (WEFT_PLUGIN_OUTPUT_DIRECTORY changes that); `cmake --install` puts it into
# lib/weft/plugins of the install prefix.
function(weft_add_plugin name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  if(NOT name MATCHES "^[a-z][a-z0-9_]*$")
    message(FATAL_ERROR "weft_add_plugin: '${name}' is not a plugin name: lower-case letters, digits and _, a letter first")
  endif()
  if(NOT ARG_SOURCES)
    message(FATAL_ERROR "weft_add_plugin(${name}): SOURCES is empty")
  endif()
  set(target weft_plugin_${name})
  add_library(${target} MODULE ${ARG_SOURCES})
  target_compile_features(${target} PRIVATE cxx_std_20)
  target_link_libraries(${target} PRIVATE weft::sdk ${ARG_DEPS})
  target_link_options(${target} PRIVATE "LINKER:--version-script=${WEFT_PLUGIN_MAP}")
  if(NOT WEFT_SANITIZE) # a sanitizer's run-time library stays undefined in shared libraries
    target_link_options(${target} PRIVATE "LINKER:-z,defs")
  endif()
  set(folder ${CMAKE_BINARY_DIR})
  if(WEFT_PLUGIN_OUTPUT_DIRECTORY)
    set(folder ${WEFT_PLUGIN_OUTPUT_DIRECTORY})
  endif()
  set_target_properties(${target} PROPERTIES
    PREFIX "" OUTPUT_NAME ${name} LIBRARY_OUTPUT_DIRECTORY ${folder} LINK_DEPENDS ${WEFT_PLUGIN_MAP}
    CXX_VISIBILITY_PRESET hidden C_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  install(TARGETS ${target} LIBRARY DESTINATION lib/weft/plugins)
endfunction()
