// SPDX-License-Identifier: MIT
//
// job.h: running a job's body, and carrying its argument.
#ifndef WI_EXEC_JOB_H
#define WI_EXEC_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <weft/error.h>
#include <weft/job.h>

// What weft_fail writes to while a body runs; one for each nested call.
struct wi_job_frame {
    struct wi_job_frame *outer;
    int code;
    char text[256];
};

// Where bytes for results come from in a worker process; NULL elsewhere, and
// set before the first job. take: NULL if malloc will do. is_taken: what came
// from take, and is not to be freed.
struct wi_bytes_ops {
    void *(*take)(size_t len);
    bool (*is_taken)(const void *data);
};
extern const struct wi_bytes_ops *wi_bytes_ops;

// Calls the job's body as part of the caller's record: 0, or the code of
// weft_fail with its text in frame->text. result has room for result_size. A
// text is ended on its way in and out.
int wi_job_call(const struct weft_job *job, const void *arg, void *result,
                struct wi_job_frame *frame);

// What a failed job says: its name, a text (may be empty), and where it ran,
// which is where this is called. Cut to size - 1 bytes; returns its length.
size_t wi_job_write_text(char *to, size_t size, const char *job,
                         const char *text);

// The same with the text of the frame, in memory from malloc; NULL: no memory.
char *wi_job_text(const struct weft_job *job, const struct wi_job_frame *frame);

// The code and the text of a job whose deadline has passed.
int wi_job_late(struct wi_job_frame *frame, bool began);

// The code of a job whose body has returned just now: that of wi_job_late if
// its deadline has passed meanwhile. Then its result is dropped.
int wi_job_ended(const struct weft_job *job, int code, int64_t deadline,
                 void *result, struct wi_job_frame *frame);

// A copy of a job's argument: up to 8 bytes in *word, more in memory from
// malloc (*word points to it, *heap is true). A struct weft_bytes is copied
// with what it points to. 0, -ENOMEM.
int wi_job_copy_arg(const struct weft_job *job, const void *arg, void **word,
                    bool *heap);

// Whether the argument is a number or a pointer, as most are: no call for
// those.
static inline bool wi_job_arg_is_word(const struct weft_job *job)
{
    return (job->arg_size == sizeof(void *) || job->arg_size == sizeof(int)) &&
           job->arg_kind != WEFT_NONE;
}

static inline void *wi_job_arg_word(const struct weft_job *job, const void *arg)
{
    void *word = NULL;
    if (job->arg_size == sizeof word) // two copies of known sizes
        memcpy(&word, arg, sizeof word);
    else
        memcpy(&word, arg, sizeof(int));
    return word;
}

// Aborts if an argument of bytes has a length and no data.
void wi_job_need_bytes(const struct weft_job *job, const void *arg);

// Whether job is a record that WEFT_JOB made. 0 or -WEFT_ENOJOB.
static inline int wi_job_check(const struct weft_job *job)
{
    return job != NULL && job->magic == WEFT_JOB_MAGIC ? 0 : -WEFT_ENOJOB;
}

#endif
