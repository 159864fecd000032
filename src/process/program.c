// SPDX-License-Identifier: MIT
//
// A program is started by way of a process of ours, whose function becomes it:
// so it has all that the options of a process can do, and ends with its parent.
// Its arguments are the function's argument: their number, then the strings.
#include <weft/program.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>
#include <weft/future.h>

#include "base/options.h"
#include "future/external.h"
#include "future/future.h"
#include "os/become.h"
#include "os/report.h"
#include "process/boot.h"
#include "process/process.h"

// In the child ----------------------------------------------------------------

static int become(void *arg)
{
    struct wi_boot *boot = wi_entry_boot();
    uint32_t n;
    memcpy(&n, arg, sizeof n);
    char **argv = calloc(n + 1, sizeof *argv), *at = (char *)arg + sizeof n;
    int rc = -ENOMEM;
    if (argv != NULL) {
        for (uint32_t i = 0; i < n; i++, at += strlen(at) + 1)
            argv[i] = at;
        rc = wi_os_become(argv, WI_BOOT_FD + WI_BOOT_FDS, boot->fd_count);
    }
    wi_boot_words(boot)->began = 0; // nothing of the program has run
    char what[128] = "the program";
    if (argv != NULL)
        snprintf(what, sizeof what, "the program %s", argv[0]);
    wi_boot_cannot(boot, rc, what);
}

// Start -----------------------------------------------------------------------

static void *pack(const char *const *argv, size_t *size)
{
    uint32_t n = 0;
    *size = sizeof n;
    for (; argv[n] != NULL; n++)
        *size += strlen(argv[n]) + 1;
    char *packed = malloc(*size), *at = packed;
    if (packed == NULL)
        return NULL;
    memcpy(at, &n, sizeof n);
    at += sizeof n;
    for (uint32_t i = 0; i < n; i++) {
        size_t length = strlen(argv[i]) + 1;
        memcpy(at, argv[i], length);
        at += length;
    }
    return packed;
}

static weft_future *refuse(int code, const char *text)
{
    return wi_future_failed(code, text != NULL ? text : weft_strerror(code));
}

weft_future *weft_program_start_with(const char *const *argv,
                                     const struct weft_process_options *options)
{
    wi_need(argv);
    WI_OPTIONS(options);
    struct weft_process_options all = *options;
    size_t size;
    if (argv[0] == NULL || argv[0][0] == '\0')
        return refuse(-EINVAL, "a program is needed");
    if (all.program != NULL || all.argv != NULL || all.drop != NULL)
        return refuse(-EINVAL, ".program, .argv and .drop are for functions");
    const char *slash = strrchr(argv[0], '/');
    if (all.name == NULL)
        all.name = slash != NULL && slash[1] != '\0' ? slash + 1 : argv[0];
    void *packed = pack(argv, &size);
    if (packed == NULL)
        return refuse(-ENOMEM, NULL);
    weft_future *f = wi_process_start_foreign(become, packed, size, &all);
    free(packed);
    return f;
}

// To its end ------------------------------------------------------------------

static void tell(weft_future *f, struct weft_program_end *end)
{
    struct weft_process_info info = {.size = sizeof info};
    snprintf(end->text, sizeof end->text, "%.*s", (int)sizeof end->text - 1,
             weft_future_text(f));
    // A start that failed at once is no process.
    if (weft_process_info(f, &info) < 0)
        return;
    end->pid = info.pid;
    end->exit_code = info.exit_code;
    end->signal = info.signal;
    end->core = info.core;
    end->user = info.user;
    end->system = info.system;
    end->max_rss = info.max_rss;
    weft_process_output(f, 1, &end->out, &end->out_lost);
    weft_process_output(f, 2, &end->err, &end->err_lost);
}

int weft_program_run_with(const char *const *argv, struct weft_program_end *end,
                          const struct weft_process_options *options)
{
    wi_need(argv);
    WI_OPTIONS(options);
    bool pipe = options->in == WEFT_DEV_PIPE || options->out == WEFT_DEV_PIPE ||
                options->err == WEFT_DEV_PIPE; // who would be at our ends?
    weft_future *f =
        pipe ? refuse(-EINVAL, "WEFT_DEV_PIPE is for weft_program_start")
             : weft_program_start_with(argv, options);
    int rc = weft_get_into(f, NULL, 0);
    if (!weft_done(f)) // the wait was ended
        wi_futures_end(&f, 1);
    if (end != NULL) {
        struct weft_program_end all = {.size = end->size, .exit_code = -1};
        tell(f, &all);
        memcpy(end, &all, all.size < sizeof all ? all.size : sizeof all);
    }
    weft_future_unref(f);
    return rc;
}

void weft_program_end_free(struct weft_program_end *end)
{
    if (end == NULL)
        return;
    weft_bytes_free(&end->out);
    weft_bytes_free(&end->err);
}
