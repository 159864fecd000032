// SPDX-License-Identifier: MIT
//
// process.h: what a process does to itself, to its children and to its parent.
#ifndef WI_OS_PROCESS_H
#define WI_OS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "os/launch.h"

// How a process ended.
struct wi_os_end {
    enum { WI_END_UNKNOWN, WI_END_EXIT, WI_END_SIGNAL } how;
    int status;          // exit status or signal
    bool core;           // a core was dumped
    double user, system; // seconds of CPU time
    size_t max_rss;      // bytes
};

// Takes the end of a child: true when it has ended. With `block` waits for it.
// Works also when the program reaps or ignores all its children; where the
// kernel has then forgotten how it ended (before 6.15), WI_END_UNKNOWN.
bool wi_os_child_reap(struct wi_os_child *child, struct wi_os_end *end,
                      bool block);

// How a child that is dying will have ended, before it can be waited for.
// false: that cannot be seen.
bool wi_os_child_peek(const struct wi_os_child *child, struct wi_os_end *end);

// Its resident memory in bytes, and the CPU time that it has used in seconds;
// 0 if that cannot be read. It must not have been reaped.
size_t wi_os_child_rss(const struct wi_os_child *child);
double wi_os_child_cpu(const struct wi_os_child *child);

// When a process started, in the kernel's ticks since boot; 0: there is none.
uint64_t wi_os_start_time(pid_t pid);

// Whether somebody has stopped the child: a signal or a debugger.
bool wi_os_child_stopped(const struct wi_os_child *child);

// Whether its core is being written.
bool wi_os_child_dumps(const struct wi_os_child *child);
void wi_os_child_close(struct wi_os_child *child);

// Opens the pidfd of a child of this process that is known by its number. 0, or
// -ECHILD if there is no such child any more, or another negative code.
int wi_os_child_adopt(struct wi_os_child *child);

// Sends a signal to the child, or to its whole process group. Returns 0 or a
// negative code; never hits a process that got the number later.
int wi_os_child_signal(const struct wi_os_child *child, int sig);
int wi_os_child_signal_group(const struct wi_os_child *child, int sig);

// The name of this machine, or of this container; cut to size - 1 bytes.
void wi_os_host_name(char *name, size_t size);

pid_t wi_os_pid(void);
pid_t wi_os_parent(void);
int wi_os_pidfd(pid_t pid);        // close-on-exec, or a negative code
bool wi_os_pidfd_ended(int pidfd); // whether that process has ended

// This process shall be killed when its parent ends. 0, or -ESRCH if the
// parent with the given id has ended already.
int wi_os_die_with_parent(pid_t parent);

void wi_os_close_on_exec_from(int fd); // every descriptor from fd on
void wi_os_be_victim(void); // rather than the parent, when memory runs out
void wi_os_set_name(const char *name); // of the calling thread, 15 bytes
void wi_os_unsetenv(const char *name);
void wi_os_set_environ(char **env); // must stay
int wi_os_chdir(const char *path);
const char *wi_os_program_name(void);       // what argv[0] was
const char *wi_os_program_short_name(void); // its last part
void wi_os_flush(void);                     // the streams of stdio
bool wi_os_is_terminal(int fd);

// Ends the process: what wi_os_at_exit has registered runs, the streams of
// stdio are flushed, destructors do not run.
_Noreturn void wi_os_leave(int status);
_Noreturn void wi_os_exit_now(int status); // without flushing

// "SIGSEGV"; "an unusual signal" for those that end no program usually.
const char *wi_os_signal_name(int sig);
extern const int wi_os_sigint, wi_os_sigterm, wi_os_sigkill;

#endif
