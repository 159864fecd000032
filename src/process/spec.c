// SPDX-License-Identifier: MIT
#include "process/spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "os/event.h"
#include "os/memfd.h"
#include "os/process.h"
#include "process/zygote.h"

enum { CAPTURE = 64 << 10 };

// Copies ----------------------------------------------------------------------

// A NULL-terminated list of strings in one piece of memory; NULL from NULL.
static int copy_strings(const char *const *from, char ***to)
{
    size_t count = 0, bytes = 0;
    *to = NULL;
    if (from == NULL)
        return 0;
    for (; from[count] != NULL; count++)
        bytes += strlen(from[count]) + 1;
    char **copy = malloc((count + 1) * sizeof *copy + bytes);
    if (copy == NULL)
        return -ENOMEM;
    char *at = (char *)&copy[count + 1];
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(from[i]) + 1;
        copy[i] = memcpy(at, from[i], size);
        at += size;
    }
    copy[count] = NULL;
    *to = copy;
    return 0;
}

static int copy_string(const char *from, char **to)
{
    *to = NULL;
    if (from == NULL)
        return 0;
    size_t size = strlen(from) + 1;
    if ((*to = malloc(size)) == NULL)
        return -ENOMEM;
    memcpy(*to, from, size);
    return 0;
}

static int copy_texts(struct wi_spec *spec,
                      const struct weft_process_options *o)
{
    const char *name = o->program ? o->program : wi_os_program_name();
    const char *const alone[] = {name, NULL};
    int rc = copy_strings(o->argv != NULL ? o->argv : alone, &spec->argv);
    if (rc == 0)
        rc = copy_strings(o->env, &spec->env);
    if (rc == 0)
        rc = copy_string(o->cwd, &spec->cwd);
    return rc == 0 ? copy_string(o->program, &spec->program) : rc;
}

// Descriptors -----------------------------------------------------------------

static int copy_fd(int fd, int *to)
{
    *to = wi_os_dup(fd);
    return *to < 0 ? *to : 0;
}

static int copy_stdio(int i, int given, struct wi_spec *spec)
{
    if (given < WEFT_DEV_PIPE || (given == WEFT_DEV_OUT && i != 2) ||
        (given == WEFT_DEV_CAPTURE && i == 0))
        return -EBADF;
    spec->capture[i] = given == WEFT_DEV_CAPTURE;
    spec->pipe[i] = given == WEFT_DEV_PIPE;
    spec->err_to_out |= given == WEFT_DEV_OUT;
    if (spec->capture[i] || spec->pipe[i])
        return 0;
    if (given == WEFT_DEV_NULL) {
        spec->stdio[i] = WI_LAUNCH_NULL;
        return 0;
    }
    if (given == WEFT_DEV_OUT) {
        if (spec->stdio[1] >= 0)
            return copy_fd(spec->stdio[1], &spec->stdio[2]);
        bool made = spec->capture[1] || spec->pipe[1]; // by the launch
        if (spec->stdio[1] == WI_LAUNCH_SAME && !made)
            return copy_fd(1, &spec->stdio[2]);
        spec->stdio[2] = spec->stdio[1];
        return 0;
    }
    // In a process group of its own it would be stopped when it reads.
    if (given == 0 && i == 0 && spec->group == WI_LAUNCH_OWN_GROUP &&
        wi_os_is_terminal(0))
        spec->stdio[i] = WI_LAUNCH_NULL;
    return given == 0 ? 0 : copy_fd(given, &spec->stdio[i]);
}

static int copy_fds(struct wi_spec *spec, const struct weft_process_options *o)
{
    if (o->fd_count > WI_SPEC_FDS)
        return -E2BIG;
    if (o->fd_count > 0 && o->fds == NULL)
        return -EINVAL;
    int rc = copy_stdio(0, o->in, spec);
    if (rc == 0)
        rc = copy_stdio(1, o->out, spec);
    if (rc == 0)
        rc = copy_stdio(2, o->err, spec);
    spec->capture_size = o->capture != 0 ? o->capture : CAPTURE;
    spec->echo = o->echo;
    for (; rc == 0 && spec->fd_count < o->fd_count; spec->fd_count++)
        rc = copy_fd(o->fds[spec->fd_count], &spec->fds[spec->fd_count]);
    return rc;
}

// Settings --------------------------------------------------------------------

static int copy_settings(struct wi_settings *s,
                         const struct weft_process_options *o)
{
    if (o->limit_count > WI_SETTINGS_LIMITS)
        return -E2BIG;
    if (o->limit_count > 0 && o->limits == NULL)
        return -EINVAL;
    s->nice = o->nice;
    s->memory = o->memory;
    for (size_t i = 0; i < o->limit_count; i++) {
        s->limits[i].resource = o->limits[i].resource;
        s->limits[i].soft = o->limits[i].soft;
        s->limits[i].hard = o->limits[i].hard;
    }
    s->limit_count = (uint32_t)o->limit_count;
    s->has_cpus = o->cpus != NULL;
    for (size_t i = 0; o->cpus != NULL && i < o->cpu_count; i++) {
        if (o->cpus[i] >= WI_SETTINGS_CPUS)
            return -EINVAL;
        s->cpus[o->cpus[i] / 64] |= (uint64_t)1 << o->cpus[i] % 64;
    }
    return 0;
}

static int add_paths(struct wi_sandbox *s, char kind, const char *const *paths)
{
    for (; paths != NULL && *paths != NULL; paths++) {
        size_t size = strlen(*paths) + 1;
        if (s->size + 1 + size > sizeof s->list)
            return -E2BIG;
        s->list[s->size] = kind;
        memcpy(s->list + s->size + 1, *paths, size);
        s->size = (uint16_t)(s->size + 1 + size);
    }
    return 0;
}

static int copy_sandbox(struct wi_sandbox *s,
                        const struct weft_process_options *o)
{
    s->no_new_privs = o->no_new_privs;
    s->compute = o->compute_only;
    s->paths = o->readable != NULL || o->writable != NULL;
    int rc = add_paths(s, 'r', o->readable);
    return rc == 0 ? add_paths(s, 'w', o->writable) : rc;
}

static enum wi_launch_group group_of(enum weft_process_group group)
{
    return group == WEFT_GROUP_PARENT    ? WI_LAUNCH_SAME_GROUP
           : group == WEFT_GROUP_SESSION ? WI_LAUNCH_SESSION
                                         : WI_LAUNCH_OWN_GROUP;
}

static int copy_method(struct wi_spec *spec,
                       const struct weft_process_options *o)
{
    bool copy = o->start != WEFT_START_EXEC, fork = o->start >= WEFT_START_FORK;
    if (o->start > WEFT_START_FORK_ANYWAY || (copy && o->argv != NULL) ||
        (fork && o->program != NULL))
        return -EINVAL;
    spec->method = o->start;
    if (o->preload != NULL && !wi_name_function(o->preload, &spec->preload))
        return -EINVAL;
    if (o->start != WEFT_START_ZYGOTE)
        return 0;
    return wi_zygote_of(o->program, &spec->preload, &spec->zygote);
}

int wi_spec_copy(struct wi_spec *spec, const struct weft_process_options *o)
{
    memset(spec, 0, sizeof *spec);
    for (int i = 0; i < 3; i++)
        spec->stdio[i] = WI_LAUNCH_SAME;
    spec->group = group_of(o->process_group);
    int rc = copy_method(spec, o);
    if (rc == 0)
        rc = copy_texts(spec, o);
    if (rc == 0)
        rc = copy_fds(spec, o);
    if (rc == 0)
        rc = copy_settings(&spec->settings, o);
    if (rc == 0)
        rc = copy_sandbox(&spec->sandbox, o);
    if (rc < 0)
        wi_spec_free(spec);
    return rc;
}

void wi_spec_free(struct wi_spec *spec)
{
    free(spec->program);
    free(spec->cwd);
    free(spec->argv);
    free(spec->env);
    for (int i = 0; i < 3; i++)
        if (spec->stdio[i] >= 0)
            wi_os_close(spec->stdio[i]);
    for (unsigned i = 0; i < spec->fd_count; i++)
        wi_os_close(spec->fds[i]);
    memset(spec, 0, sizeof *spec);
    for (int i = 0; i < 3; i++)
        spec->stdio[i] = WI_LAUNCH_SAME;
}

// Use -------------------------------------------------------------------------

int wi_spec_launch(const struct wi_spec *spec, struct wi_launch *launch,
                   char ***env)
{
    struct wi_os_launch *os = &launch->os;
    *env = wi_os_environ_with((const char *const *)spec->env, WI_WORKER_MARK,
                              "0000000000", &os->mark);
    if (*env == NULL)
        return -ENOMEM;
    os->env = *env;
    os->program = spec->program;
    os->argv = spec->argv;
    os->cwd = spec->cwd;
    os->group = spec->group;
    memcpy(os->stdio, spec->stdio, sizeof os->stdio);
    memcpy(launch->fds + WI_BOOT_FDS, spec->fds,
           spec->fd_count * sizeof *spec->fds);
    os->fd_count = WI_BOOT_FDS + spec->fd_count;
    launch->method = spec->method;
    launch->zygote = spec->zygote;
    return 0;
}

// The ends that are open so far become its stdio.
static void give_ends(const struct wi_spec *spec, struct wi_launch *launch)
{
    for (int i = 0; i < 3; i++)
        if (launch->ends[i] > 0)
            launch->os.stdio[i] = launch->ends[i];
    if (launch->ends[1] > 0 && spec->err_to_out)
        launch->os.stdio[2] = launch->ends[1];
}

int wi_spec_capture(const struct wi_spec *spec, struct wi_launch *launch,
                    struct wi_capture captures[2])
{
    int rc = 0;
    for (int i = 0; i < 2; i++)
        captures[i] = (struct wi_capture){.fd = -1};
    for (int i = 0; i < 2 && rc == 0; i++) {
        if (!spec->capture[1 + i])
            continue;
        rc = wi_capture_open(&captures[i], spec->capture_size,
                             &launch->ends[1 + i]);
    }
    give_ends(spec, launch);
    return rc;
}

int wi_spec_pipe(const struct wi_spec *spec, struct wi_launch *launch,
                 struct wi_pipes **pipes)
{
    *pipes = NULL;
    if (!spec->pipe[0] && !spec->pipe[1] && !spec->pipe[2])
        return 0;
    int rc = wi_pipes_open(spec->pipe, launch->ours, launch->ends, pipes);
    give_ends(spec, launch);
    return rc;
}

void wi_spec_close_ends(struct wi_launch *launch)
{
    for (int i = 0; i < 3; i++) {
        if (launch->ends[i] > 0)
            wi_os_close(launch->ends[i]);
        launch->ends[i] = 0;
    }
}

int wi_spec_hear(const struct wi_spec *spec, struct wi_capture captures[2],
                 const char *name, pid_t pid)
{
    int rc = 0;
    for (int i = 0; i < 2 && rc == 0; i++) {
        if (spec->echo)
            rc = wi_capture_echo(&captures[i], 1 + i, name, pid);
        if (rc == 0 && captures[i].fd >= 0)
            rc = wi_capture_watch(&captures[i]);
    }
    return rc;
}

int wi_spec_boot(const struct wi_spec *spec, struct wi_boot *boot, int memfd)
{
    boot->fd_count = spec->fd_count;
    boot->settings = spec->settings;
    boot->sandbox = spec->sandbox;
    boot->preload = spec->preload;
    if (spec->method == WEFT_START_EXEC)
        return 0; // it has them from exec
    return wi_boot_add_texts(boot, memfd, spec->cwd,
                             (const char *const *)spec->env);
}

int wi_spec_settle(const struct wi_boot *boot, const char **what)
{
    for (uint32_t i = 0; i < boot->fd_count; i++)
        wi_os_close_on_exec(WI_BOOT_FD + WI_BOOT_FDS + (int)i);
    int rc = wi_boot_take_texts(boot, what);
    if (rc < 0)
        return rc;
    *what = "the preload function";
    rc = wi_boot_preload(boot);
    return rc < 0 ? rc : wi_os_settings_apply(&boot->settings, what);
}
