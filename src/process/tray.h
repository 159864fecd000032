// SPDX-License-Identifier: MIT
//
// tray.h: memory in which a job of a worker lays a large result, so that it
// need not be copied on its way out: weft_bytes_new in a job's body.
#ifndef WI_PROCESS_TRAY_H
#define WI_PROCESS_TRAY_H

#include <stdbool.h>
#include <stddef.h>

// From so many bytes on; of less a copy more costs no more.
enum { WI_TRAY_LEAST = 32 << 10 };

// The worker begins: weft_bytes_new gives trays from now on.
void wi_tray_start(void);

// The job with this ticket has ended, with a result of size bytes at data
// (NULL: it has none). Whether that is its tray, and for the parent to read
// there. Main thread only.
bool wi_tray_end(unsigned ticket, const void *data, size_t size);

#endif
