// SPDX-License-Identifier: MIT
#include "process/boot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <weft/error.h>

#include "os/event.h"
#include "os/memfd.h"
#include "os/process.h"

static void fill(struct wi_boot *boot, size_t map_size, size_t arg_size,
                 const char *name)
{
    boot->magic = WI_BOOT_MAGIC;
    boot->version = WI_BOOT_VERSION;
    boot->map_size = map_size;
    boot->parent = wi_os_pid();
    boot->depth = wi_entry_depth() + 1;
    boot->arg_at = map_size;
    boot->arg_size = arg_size;
    if (name != NULL)
        snprintf(boot->name, sizeof boot->name, "%s", name);
}

int wi_boot_new(size_t map_size, const void *arg, size_t arg_size,
                const char *name, struct wi_boot **boot)
{
    if (wi_entry_depth() >= WI_PROCESS_DEPTH)
        return -EAGAIN;
    int fd = wi_os_memfd_new("weft", map_size);
    if (fd < 0)
        return fd;
    void *map;
    int rc = wi_os_memfd_map(fd, map_size, &map);
    if (rc == 0 && arg_size > 0) {
        rc = wi_os_memfd_write(fd, map_size, arg, arg_size);
        if (rc < 0)
            wi_os_memfd_unmap(map, map_size);
    }
    if (rc < 0) {
        wi_os_close(fd);
        return rc;
    }
    fill(map, map_size, arg_size, name);
    *boot = map;
    return fd;
}

void wi_boot_free(struct wi_boot *boot, size_t map_size, int fd)
{
    if (boot != NULL)
        wi_os_memfd_unmap(boot, map_size);
    wi_os_close(fd);
}

_Noreturn void wi_boot_cannot(struct wi_boot *boot, int code, const char *what)
{
    struct wi_words *words = wi_boot_words(boot);
    words->code = code;
    snprintf(words->text, sizeof words->text, "%s: %s (%s)", what,
             weft_strerror(code), weft_error_name(code));
    wi_boot_reach(boot, WI_STAGE_DONE);
    if (boot->kind == WI_BOOT_WORKER)
        wi_os_event_set(WI_BELL_FD);
    wi_os_leave(127);
}

bool wi_boot_arg(const struct wi_boot *boot, void **arg)
{
    *arg = NULL;
    if (boot->arg_size == 0)
        return true;
    *arg = malloc(boot->arg_size);
    return *arg != NULL && wi_os_memfd_read(WI_BOOT_FD, boot->arg_at, *arg,
                                            boot->arg_size) == 0;
}
