// SPDX-License-Identifier: MIT
#include "process/name.h"

#include <string.h>

static bool name_of(const void *address, struct wi_name *name)
{
    struct wi_os_module module;
    memset(name, 0, sizeof *name);
    if (!wi_os_module_at(address, &module))
        return false;
    name->build = module.build;
    name->offset = (uintptr_t)address - module.base;
    return true;
}

bool wi_name_function(weft_function *fn, struct wi_name *name)
{
    return name_of((const void *)(uintptr_t)fn, name) &&
           wi_name_find_function(name) == fn;
}

weft_function *wi_name_find_function(const struct wi_name *name)
{
    void *place = wi_os_module_place(&name->build, name->offset, 1, true);
    return (weft_function *)(uintptr_t)place;
}

bool wi_name_job(const struct weft_job *job, struct wi_name *name)
{
    return name_of(job, name) && wi_name_find_job(name) == job;
}

const struct weft_job *wi_name_find_job(const struct wi_name *name)
{
    const struct weft_job *job =
        wi_os_module_place(&name->build, name->offset, sizeof *job, false);
    if (job == NULL || (uintptr_t)job % _Alignof(struct weft_job) != 0 ||
        job->magic != WEFT_JOB_MAGIC)
        return NULL;
    return job;
}
