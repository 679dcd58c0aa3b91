# What makes a prefix of Weft: `cmake --install` gives one, and the build tree has the same layout, so that programs and
# other projects find the parts by one set of relative paths:
#   bin/weft   libexec/weft/   lib/weft/plugins/*.so   lib/cmake/weft/   include/weft/{abi,sdk}/   share/weft/{template,models}/
include(CMakePackageConfigHelpers)
set(package_files ${CMAKE_SOURCE_DIR}/cmake/weftConfig.cmake ${CMAKE_SOURCE_DIR}/cmake/WeftPlugin.cmake
    ${CMAKE_BINARY_DIR}/weftConfigVersion.cmake)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/weftConfigVersion.cmake COMPATIBILITY SameMinorVersion)
set(template_files ${CMAKE_SOURCE_DIR}/plugins/template/template.cc ${CMAKE_SOURCE_DIR}/plugins/template/CMakeLists.txt)

foreach(file IN LISTS package_files)
  get_filename_component(name ${file} NAME)
  configure_file(${file} ${CMAKE_BINARY_DIR}/lib/cmake/weft/${name} COPYONLY)
endforeach()
foreach(file IN LISTS template_files)
  get_filename_component(name ${file} NAME)
  configure_file(${file} ${CMAKE_BINARY_DIR}/share/weft/template/${name} COPYONLY)
endforeach()

# The models that ship: 35 MB, linked to instead of copied.
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/share/weft)
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/assets/models ${CMAKE_BINARY_DIR}/share/weft/models SYMBOLIC)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/assets/models/ DESTINATION share/weft/models)

# Component plugin_sdk: all that building and checking a plugin takes, without the program and its plugins.
install(FILES ${package_files} DESTINATION lib/cmake/weft COMPONENT plugin_sdk)
install(FILES ${template_files} DESTINATION share/weft/template COMPONENT plugin_sdk)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/pipeline/abi ${CMAKE_SOURCE_DIR}/pipeline/sdk DESTINATION include/weft
        COMPONENT plugin_sdk FILES_MATCHING PATTERN "*.h" PATTERN "*.map")
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION share/doc/weft)
