# SPDX-License-Identifier: MIT
# weft_flags: what every C file of the project is compiled with. The flags of
# the environment and of a distribution (CFLAGS) are kept and come first.

add_library(weft_flags INTERFACE)
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)

target_compile_definitions(weft_flags INTERFACE _GNU_SOURCE)
target_compile_options(weft_flags INTERFACE
    -fno-omit-frame-pointer
    "$<$<COMPILE_LANGUAGE:C>:-Wall;-Wextra;-Wstrict-prototypes>"
    "$<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>"
    # The library is never opened late in a process that has no room left for
    # its few thread-locals, and an access is one instruction.
    "$<$<COMPILE_LANGUAGE:C>:-fvisibility=hidden;-ftls-model=initial-exec>"
    "$<$<COMPILE_LANGUAGE:C>:-fno-semantic-interposition>")
if(WEFT_WERROR)
    target_compile_options(weft_flags INTERFACE -Werror)
endif()

if(WEFT_SANITIZE)
    add_compile_options(-fsanitize=${WEFT_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${WEFT_SANITIZE})
endif()

# The CPU, by the name that its file in src/arch has.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
    set(WEFT_ARCH x86_64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    set(WEFT_ARCH aarch64)
else()
    set(WEFT_ARCH generic)
endif()
