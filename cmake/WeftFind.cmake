# SPDX-License-Identifier: MIT
# What is found on this machine. Nothing but libc and a compiler is needed.

set(THREADS_PREFER_PTHREAD_FLAG OFF)
find_package(Threads REQUIRED)
find_package(PkgConfig QUIET)

function(weft_find var module)
    set(${var}_FOUND FALSE PARENT_SCOPE)
    if(PKG_CONFIG_FOUND)
        pkg_check_modules(${var} QUIET IMPORTED_TARGET GLOBAL ${module})
        set(${var}_FOUND ${${var}_FOUND} PARENT_SCOPE)
        set(${var}_VERSION "${${var}_VERSION}" PARENT_SCOPE)
        set(${var}_LIBRARY_DIRS "${${var}_LIBRARY_DIRS}" PARENT_SCOPE)
        set(${var}_INCLUDE_DIRS "${${var}_INCLUDE_DIRS}" PARENT_SCOPE)
    endif()
endfunction()

# Names of libraries, not targets: they reach the installed CMake files as they
# are, so that a static user needs no search for our dependencies.
set(WEFT_PRIVATE_LIBS ${CMAKE_THREAD_LIBS_INIT})
set(WEFT_PC_REQUIRES_PRIVATE "")
set(WEFT_HAVE_URING OFF)
if(NOT WEFT_WITH_URING STREQUAL "OFF")
    weft_find(URING "liburing>=2.3")
    if(URING_FOUND)
        set(WEFT_HAVE_URING ON)
        set(WEFT_PC_REQUIRES_PRIVATE "liburing >= 2.3")
        list(APPEND WEFT_PRIVATE_LIBS uring)
        link_directories(${URING_LIBRARY_DIRS})
        target_include_directories(weft_flags INTERFACE ${URING_INCLUDE_DIRS})
        target_compile_definitions(weft_flags INTERFACE WEFT_HAVE_URING=1)
    elseif(NOT WEFT_WITH_URING STREQUAL "AUTO")
        message(FATAL_ERROR "WEFT_WITH_URING=ON, but pkg-config finds no "
            "liburing >= 2.3")
    endif()
endif()

set(TLS_FOUND FALSE)
if(NOT WEFT_WITH_TLS STREQUAL "OFF")
    weft_find(TLS "libssl>=3.0")
    if(NOT TLS_FOUND AND WEFT_WITH_TLS STREQUAL "ON")
        message(FATAL_ERROR "WEFT_WITH_TLS=ON, but pkg-config finds no "
            "libssl >= 3.0")
    endif()
endif()

set(CHECK_FOUND FALSE)
if(WEFT_BUILD_TESTS)
    weft_find(CHECK "check>=0.15")
endif()
set(CRYPTO_FOUND FALSE)
if(WEFT_BUILD_TOOL)
    weft_find(CRYPTO "libcrypto>=3.0")
endif()
find_program(SCDOC scdoc)
mark_as_advanced(SCDOC)
