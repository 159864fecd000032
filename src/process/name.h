// SPDX-License-Identifier: MIT
//
// name.h: functions and records named across processes: the build they belong
// to and the offset from where it was loaded. Right under address
// randomisation, for static functions and for those of libraries.
#ifndef WI_PROCESS_NAME_H
#define WI_PROCESS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/job.h>
#include <weft/task.h>

#include "os/module.h"

struct wi_name {
    struct wi_build build; // size 0: no name
    uint64_t offset;
};

// Names a function. false: it lies in no module (a nested function, generated
// code): another process could not find it.
bool wi_name_function(weft_function *fn, struct wi_name *name);

// The function of that name here; NULL if its build is not loaded, or the
// place is no code.
weft_function *wi_name_find_function(const struct wi_name *name);

// The same for the record of a job. What is found is checked: it is a record.
bool wi_name_job(const struct weft_job *job, struct wi_name *name);
const struct weft_job *wi_name_find_job(const struct wi_name *name);

#endif
