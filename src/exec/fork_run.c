// SPDX-License-Identifier: MIT
//
// weft_fork_run: where the root of a fork-join run goes. On a worker that has
// others beside it, or that belongs to the executor that was asked for, it is
// a call in place: a parallel loop inside a job or inside another loop uses the
// same workers. From anywhere else it is a job of the executor, and the caller
// waits for it.
//
// The job works on the caller's frame, so the caller never leaves before the
// job has ended: when its scopes end the wait, it cancels the job, which the
// run follows, and waits. Nor does it leave because the wait closes a cycle:
// another one of that is told. (A child that another worker runs is in no cycle
// that can be seen: fork.h has the rule.)
#include <weft/fork.h>

#include <errno.h>
#include <string.h>

#include <weft/error.h>
#include <weft/future.h>
#include <weft/job.h>

#include "exec/common_pool.h"
#include "exec/window.h"
#include "future/future.h"
#include "os/process.h"
#include "os/report.h"
#include "sched/fork_join.h"
#include "sched/park.h"

// The pool of the process for runs that are started outside any pool: made at
// the first use, with as many workers as CPUs, and never closed.
static weft_executor *get_shared_pool(void)
{
    static struct wi_common_pool shared;
    return wi_common_pool_get(
        &shared, WEFT_OPTIONS(weft_thread_pool_options, .name = "cpu"));
}

// A root, in the caller's frame.
struct root {
    weft_fork_function *run;
    void *data;
    struct wi_fork_run of;
    int code;
};

static void clear(void *data)
{
    if (data != NULL)
        memset(data, 0, WEFT_FORK_DATA);
}

// What the caller's scopes say; a run may also be canceled in the last moment
// of its scope's, and have ended whole.
static int end(struct root *root)
{
    // relaxed: the run is over
    if (!__atomic_load_n(&root->of.canceled, __ATOMIC_RELAXED))
        return 0;
    clear(root->data);
    int rc = wi_check_scopes();
    return rc < 0 ? rc : -ECANCELED;
}

static int run_in_place(struct root *root)
{
    int rc = wi_fork_root(&root->of, root->run, root->data);
    return rc < 0 ? rc : end(root);
}

// What the job is sent. An executor may run its jobs in other processes, where
// nothing is known of the root.
struct sent {
    struct root *root;
    pid_t process;
};

// The job. Its executor may run it on a thread that is no worker.
static void call_root(const void *arg, void *result)
{
    const struct sent *sent = arg;
    struct root *root = sent->root;
    *(int *)result = 0;
    if (sent->process != wi_os_pid()) {
        weft_fail(-ENOTSUP, "fork-join needs an executor of this process");
        return;
    }
    root->code = wi_here.worker != NULL
                     ? wi_fork_root(&root->of, root->run, root->data)
                     : weft_fork_run_on(NULL, root->run, root->data);
}

static const struct weft_job root_job = {
    .magic = WEFT_JOB_MAGIC,
    .name = "fork-join run",
    .call = call_root,
    .arg_size = sizeof(struct sent),
    .result_size = sizeof(int),
};

static int run_as_job(weft_executor *ex, struct root *root)
{
    const struct sent sent = {root, wi_os_pid()};
    weft_future *f = weft_submit_job(ex, &root_job, &sent);
    int rc = weft_get_into(f, NULL, 0);
    if (weft_done(f) || rc == -WEFT_EDEADLOCK)
        rc = 0;
    else // the caller's scopes ended the wait
        weft_cancel(f);
    wi_future_await(wi_of_future(f));
    int code = weft_future_code(f);
    weft_future_unref(f);
    if (rc < 0) {
        clear(root->data);
        return rc;
    }
    if (code < 0 || root->code < 0)
        return code < 0 ? code : root->code;
    return end(root);
}

int weft_fork_run_on(weft_executor *ex, weft_fork_function *run, void *data)
{
    wi_need(run);
    struct root root = {.run = run, .data = data};
    int rc = wi_check_scopes(); // else a job might begin before its cancel
    if (rc < 0) {
        clear(data);
        return rc;
    }
    if (wi_fork_in_place(ex != NULL ? wi_window_inner(ex) : NULL))
        return run_in_place(&root);
    return run_as_job(ex != NULL ? ex : get_shared_pool(), &root);
}
