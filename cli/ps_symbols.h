// SPDX-License-Identifier: MIT
//
// ps_symbols.h: the names of functions of another process, or of a core file.
#ifndef WEFT_CLI_PS_SYMBOLS_H
#define WEFT_CLI_PS_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ps_target.h"

// Writes the function at an address of the process: "worker()" by the symbols
// of the program or library that it lies in, or "program+0x12a9" if these have
// none for it. False: there is no code of a file, it cannot be read, or the
// calls with the same *looks, 0 at first, have looked at too much: the target
// may be somebody else's.
bool ps_symbol(const struct ps_target *target, uint64_t address, char *text,
               size_t size, uint64_t *looks);

#endif
