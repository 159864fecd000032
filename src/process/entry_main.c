// SPDX-License-Identifier: MIT
//
// The whole of libweft_entry.a: with -Wl,--wrap=main the start code calls this
// in place of the program's main. It is an archive of its own, never part of
// the shared library, so that the linker binds it to the program's main.
#include <weft/process.h>

int __wrap_main(int argc, char **argv, char **env);
int __real_main(int argc, char **argv, char **env);

__attribute__((used)) int __wrap_main(int argc, char **argv, char **env)
{
    weft_main_hook();
    return __real_main(argc, argv, env);
}
