// SPDX-License-Identifier: MIT
//
// launch.h: starting a program as a child process, from a process of any size
// that has threads.
#ifndef WI_OS_LAUNCH_H
#define WI_OS_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

enum {
    WI_LAUNCH_FD = 3,   // fds[0] becomes 3 in the child, fds[1] 4, ...
    WI_LAUNCH_FDS = 64, // so many at most
    WI_LAUNCH_STACK = 64 << 10,
};

// One of a child's first three descriptors, in place of a number: the same as
// here, or /dev/null.
enum { WI_LAUNCH_SAME = -1, WI_LAUNCH_NULL = -2 };

enum wi_launch_group {
    WI_LAUNCH_OWN_GROUP,
    WI_LAUNCH_SAME_GROUP,
    WI_LAUNCH_SESSION
};

struct wi_os_child {
    pid_t pid;
    int pidfd; // -1: none could be had
};

struct wi_os_launch {
    const char *program; // NULL: this program itself
    char *const *argv;   // NULL-terminated
    char *const *env;    // NULL-terminated
    char *mark;          // in one of env's strings: 10 bytes that the child
                         // overwrites with its own process id
    const char *cwd;     // NULL: as here
    const int *fds;      // descriptors that the child gets; -1: none
    unsigned fd_count;
    int stdio[3]; // descriptors, or one of the above
    enum wi_launch_group group;
    void *stack; // WI_LAUNCH_STACK bytes that the caller owns
    int self;    // descriptor of this program, or -1
};

// Starts the child: no signal blocked or caught, nothing inherited but 0, 1, 2
// and fds, to be killed when the calling thread ends. The same number may stand
// in several places. Returns when the new program runs, or a negative code.
int wi_os_launch(const struct wi_os_launch *launch, struct wi_os_child *child);

// Makes a child that is a copy of this process with the calling thread alone.
// Returns 0 in both, in the child with child->pid 0; or a negative code.
int wi_os_launch_copy(struct wi_os_child *child);

// The stack for the above, with a guard page below; NULL: no memory.
void *wi_os_launch_stack(void);

// An O_PATH descriptor of this program for launch.self, or a negative code.
int wi_os_launch_self(void);

// Blocks every signal in the calling thread; those of faults only if `all`.
void wi_os_block_signals(bool all);

void wi_os_unblock_signals(void); // all, in the calling thread

// Puts handlers back to the default, those of faults only if `all`, and
// unblocks all signals. Only system calls.
void wi_os_restore_signals(bool all);

// The program's own environment; never NULL.
const char *const *wi_os_environ(void);

// A copy of an environment (base NULL: the program's own) with the entry
// "name=value" in place of one of that name, in one piece of memory from
// malloc; *copied is where the value stands in it. NULL: no memory.
char **wi_os_environ_with(const char *const *base, const char *name,
                          const char *value, char **copied);

#endif
