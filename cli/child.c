// SPDX-License-Identifier: MIT
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

extern char **environ;

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_pair(int pair[2])
{
    close_fd(&pair[0]);
    close_fd(&pair[1]);
}

static int spawn(struct child *child, char *const argv[], int in, int out,
                 bool with_errors)
{
    posix_spawn_file_actions_t actions;
    int rc;

    if (posix_spawn_file_actions_init(&actions))
        return -ENOMEM;
    if (in >= 0)
        rc = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    else
        rc = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO,
                                              "/dev/null", O_RDONLY, 0);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (!rc && with_errors)
        rc = posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
    if (!rc)
        rc = posix_spawn(&child->pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return -rc;
}

// Who has started the tool may have let it ignore its children: then nobody
// could say how one of them ended.
static void heed_children(void)
{
    struct sigaction now;

    if (sigaction(SIGCHLD, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
        signal(SIGCHLD, SIG_DFL);
}

int child_start(struct child *child, char *const argv[],
                const struct child_options *options)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, rc = 0;

    heed_children();
    // A socket, because a write to a pipe that nobody reads raises SIGPIPE.
    if (options->with_input &&
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in))
        return -errno;
    if (pipe2(out, O_CLOEXEC))
        rc = -errno;
    else
        rc = spawn(child, argv, in[1], out[1], options->with_errors);
    if (rc < 0) {
        close_pair(in);
        close_pair(out);
        return rc;
    }
    close_fd(&in[1]);
    close_fd(&out[1]);
    child->in = in[0];
    child->out = out[0];
    return 0;
}

ssize_t child_read_all(struct child *child, char *text, size_t size)
{
    size_t filled = 0;
    ssize_t n = 1;

    while (n > 0 && filled + 1 < size) {
        n = weft_read(child->out, text + filled, size - 1 - filled);
        filled += n > 0 ? (size_t)n : 0;
    }
    text[filled] = '\0';
    return n < 0 ? n : (ssize_t)filled;
}

int child_end(struct child *child, double seconds)
{
    double until = weft_now() + seconds;
    int status;

    close_fd(&child->in);
    close_fd(&child->out);
    while (waitpid(child->pid, &status, WNOHANG) == 0) {
        if (weft_now() > until)
            kill(child->pid, SIGKILL);
        weft_sleep(0.001);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
