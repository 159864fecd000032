# SPDX-License-Identifier: MIT
# Install rules; the installed tree may be moved as a whole.
include(CMakePackageConfigHelpers)

install(TARGETS weft weft_static weft_entry EXPORT weft-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET weft_debug)
    install(TARGETS weft_debug EXPORT weft-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
if(TLS_FOUND)
    install(TARGETS weft_tls weft_tls_static EXPORT weft-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
    set(weft_headers_left_out "")
else()
    set(weft_headers_left_out PATTERN "tls.h" EXCLUDE)
endif()
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.h" ${weft_headers_left_out})

if(WEFT_BUILD_TOOL)
    # The tool finds its library in the tree it was moved to. Distributions
    # set CMAKE_SKIP_INSTALL_RPATH.
    file(RELATIVE_PATH weft_bin_to_lib
        "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}")
    set_target_properties(weft_tool PROPERTIES
        INSTALL_RPATH "$ORIGIN/${weft_bin_to_lib}")
    install(TARGETS weft_tool DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

set(weft_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/weft)
install(EXPORT weft-targets NAMESPACE weft:: DESTINATION ${weft_cmake_dir})
configure_package_config_file(cmake/weft-config.cmake.in
    "${PROJECT_BINARY_DIR}/weft-config.cmake"
    INSTALL_DESTINATION ${weft_cmake_dir})
write_basic_package_version_file(
    "${PROJECT_BINARY_DIR}/weft-config-version.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/weft-config.cmake"
    "${PROJECT_BINARY_DIR}/weft-config-version.cmake"
    DESTINATION ${weft_cmake_dir})

# weft.pc names its prefix by its own place, unless the folders are absolute.
set(weft_pc_dir "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig")
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(WEFT_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
    set(WEFT_PC_LIBDIR "${CMAKE_INSTALL_LIBDIR}")
else()
    file(RELATIVE_PATH weft_pc_up "${weft_pc_dir}" "${CMAKE_INSTALL_PREFIX}")
    string(REGEX REPLACE "/$" "" weft_pc_up "${weft_pc_up}")
    set(WEFT_PC_PREFIX "\${pcfiledir}/${weft_pc_up}")
    set(WEFT_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
    set(WEFT_PC_INCLUDEDIR "${CMAKE_INSTALL_INCLUDEDIR}")
else()
    set(WEFT_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(cmake/weft.pc.in "${PROJECT_BINARY_DIR}/weft.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/weft.pc"
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(TLS_FOUND)
    configure_file(cmake/weft-tls.pc.in "${PROJECT_BINARY_DIR}/weft-tls.pc"
        @ONLY)
    install(FILES "${PROJECT_BINARY_DIR}/weft-tls.pc"
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()
