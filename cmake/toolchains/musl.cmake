# SPDX-License-Identifier: MIT
# musl on the CPU of this machine, with Debian's musl-gcc.
set(CMAKE_SYSTEM_NAME Linux)
execute_process(COMMAND uname -m OUTPUT_VARIABLE CMAKE_SYSTEM_PROCESSOR
    OUTPUT_STRIP_TRAILING_WHITESPACE)
set(CMAKE_C_COMPILER musl-gcc)
set(CMAKE_ASM_COMPILER musl-gcc)
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/${CMAKE_SYSTEM_PROCESSOR}-linux-musl/pkgconfig)

# musl-gcc sees musl's headers only, and musl has none of the kernel's. All of
# /usr/include would let glibc's in as well, so that a header which musl lacks
# seems to be there; these links show it the kernel's three folders alone.
set(weft_kernel "${CMAKE_BINARY_DIR}/kernel-headers")
file(MAKE_DIRECTORY "${weft_kernel}")
foreach(folder linux asm-generic asm)
    foreach(base /usr/include
            /usr/include/${CMAKE_SYSTEM_PROCESSOR}-linux-gnu)
        if(IS_DIRECTORY "${base}/${folder}")
            file(CREATE_LINK "${base}/${folder}" "${weft_kernel}/${folder}"
                SYMBOLIC)
        endif()
    endforeach()
endforeach()
set(CMAKE_C_FLAGS_INIT "-idirafter ${weft_kernel}")
