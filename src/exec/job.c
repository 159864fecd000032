// SPDX-License-Identifier: MIT
#include "exec/job.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "base/cold.h"
#include "base/fresh.h"
#include "base/text.h"
#include "os/process.h"
#include "os/report.h"
#include "os/thread.h"
#include "sched/task.h"

// Values ----------------------------------------------------------------------

// Cuts a text that filled its buffer before the UTF-8 character that was cut.
static void trim_utf8(char *text, size_t length)
{
    size_t start = length;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (length - (start - 1) < need)
        text[start - 1] = '\0';
}

static void print_text(char *text, size_t size, const char *format,
                       va_list args)
{
    int n = vsnprintf(text, size, format, args);
    if (n < 0)
        text[0] = '\0';
    else if ((size_t)n >= size)
        trim_utf8(text, size - 1);
}

struct weft_text weft_text(const char *format, ...)
{
    wi_need(format);
    struct weft_text text = {{0}};
    va_list args;
    va_start(args, format);
    print_text(text.s, sizeof text.s, format, args);
    va_end(args);
    return text;
}

const struct wi_bytes_ops *wi_bytes_ops;

struct weft_bytes weft_bytes_new(size_t len)
{
    struct weft_bytes bytes = {NULL, 0};
    if (len > 0 && wi_bytes_ops != NULL)
        bytes.data = wi_bytes_ops->take(len);
    if (len > 0 && bytes.data == NULL)
        bytes.data = malloc(len);
    bytes.len = bytes.data != NULL ? len : 0;
    return bytes;
}

struct weft_bytes weft_bytes_copy(const void *data, size_t len)
{
    wi_need_some(data, len);
    struct weft_bytes bytes = {NULL, 0};
    if (len > 0)
        bytes.data = malloc(len);
    if (bytes.data != NULL) {
        memcpy(bytes.data, data, len);
        bytes.len = len;
    }
    return bytes;
}

void weft_bytes_free(struct weft_bytes *bytes)
{
    if (bytes == NULL)
        return;
    if (wi_bytes_ops == NULL || !wi_bytes_ops->is_taken(bytes->data))
        free(bytes->data);
    *bytes = (struct weft_bytes){NULL, 0};
}

// Bodies ----------------------------------------------------------------------

// A text of which all bytes are used loses the last: as on the way to another
// process.
static void end_text(struct weft_text *text)
{
    text->s[sizeof text->s - 1] = '\0';
}

// The argument may be the caller's own, as the elements of a map are.
static WI_COLD void call_with_text(const struct weft_job *job,
                                   const struct weft_text *arg, void *result)
{
    struct weft_text text = *arg;
    end_text(&text);
    job->call(&text, result);
}

void weft_fail(int code, const char *format, ...)
{
    struct wi_task *self = wi_self();
    struct wi_job_frame *frame = self != NULL ? self->frame : NULL;
    wi_require(frame != NULL, NULL, "weft_fail is for the body of a job");
    if (frame->code != 0)
        return;
    frame->code = code == 0 ? -EINVAL : code > 0 ? -code : code;
    if (format == NULL)
        return;
    va_list args;
    va_start(args, format);
    print_text(frame->text, sizeof frame->text, format, args);
    va_end(args);
}

int wi_job_call(const struct weft_job *job, const void *arg, void *result,
                struct wi_job_frame *frame)
{
    struct wi_task *self = wi_self();
    if (self == NULL)
        return -ENOMEM;
    frame->outer = self->frame;
    frame->code = 0;
    frame->text[0] = '\0';
    self->frame = frame;
    if (WI_RARELY(job->arg_kind == WEFT_TEXT))
        call_with_text(job, arg, result);
    else
        job->call(arg, result);
    self->frame = frame->outer;
    if (job->result_kind == WEFT_TEXT)
        end_text(result);
    return frame->code;
}

size_t wi_job_write_text(char *to, size_t size, const char *job,
                         const char *text)
{
    char thread[16], host[65];
    const struct wi_task *self = wi_here.self;
    wi_os_thread_get_name(thread);
    wi_os_host_name(host, sizeof host);
    int n = snprintf(
        to, size,
        "job %.120s%s%s (id %" PRIu64 ", thread %s, process %d, host %s)", job,
        *text != '\0' ? ": " : "", text, self != NULL ? self->id : 0, thread,
        (int)wi_os_pid(), host);
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

char *wi_job_text(const struct weft_job *job, const struct wi_job_frame *frame)
{
    char text[640];
    wi_job_write_text(text, sizeof text, job->name, frame->text);
    return wi_text_dup(text);
}

int wi_job_late(struct wi_job_frame *frame, bool began)
{
    const char *text = began ? "ran past its deadline"
                             : "its deadline had passed before it began";
    wi_text_copy(frame->text, sizeof frame->text, text);
    return -WEFT_EJOBTIMEOUT;
}

int wi_job_ended(const struct weft_job *job, int code, int64_t deadline,
                 void *result, struct wi_job_frame *frame)
{
    if (code < 0 || deadline == WI_FOREVER || deadline > wi_os_now())
        return code;
    if (job->result_kind == WEFT_BYTES) // nobody will be given them
        weft_bytes_free(result);
    return wi_job_late(frame, true);
}

// The list of all jobs --------------------------------------------------------

static struct wi_mutex jobs_lock;
static struct weft_job_entry *jobs;

static void fresh(void)
{
    jobs_lock = (struct wi_mutex){0};
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}

static const struct weft_job *find_locked(const char *name)
{
    for (struct weft_job_entry *e = jobs; e != NULL; e = e->next) {
        if (strcmp(e->job->name, name) == 0)
            return e->job;
    }
    return NULL;
}

void weft_job_register(struct weft_job_entry *entry)
{
    wi_mutex_lock(&jobs_lock);
    const struct weft_job *other = find_locked(entry->job->name);
    entry->next = jobs;
    jobs = entry;
    wi_mutex_unlock(&jobs_lock);
    if (other != NULL)
        wi_panic("WEFT_JOB", other,
                 "two jobs have the same name; a worker process could not "
                 "tell them apart");
}

void weft_job_unregister(struct weft_job_entry *entry)
{
    wi_mutex_lock(&jobs_lock);
    for (struct weft_job_entry **link = &jobs; *link; link = &(*link)->next) {
        if (*link == entry) {
            *link = entry->next;
            break;
        }
    }
    wi_mutex_unlock(&jobs_lock);
}

const struct weft_job *weft_job_find(const char *name)
{
    wi_need(name);
    wi_mutex_lock(&jobs_lock);
    const struct weft_job *job = find_locked(name);
    wi_mutex_unlock(&jobs_lock);
    return job;
}

// Arguments -------------------------------------------------------------------

void wi_job_need_bytes(const struct weft_job *job, const void *arg)
{
    const struct weft_bytes *bytes = arg;
    wi_require_in("weft_submit",
                  job->arg_kind != WEFT_BYTES || bytes->data != NULL ||
                      bytes->len == 0,
                  job, "an argument of bytes with a length must have data");
}

static void *copy_bytes(const struct weft_bytes *bytes)
{
    struct weft_bytes *copy = malloc(sizeof *copy + bytes->len);
    if (copy == NULL)
        return NULL;
    copy->len = bytes->len;
    copy->data = copy + 1;
    if (bytes->len > 0)
        memcpy(copy->data, bytes->data, bytes->len);
    return copy;
}

int wi_job_copy_arg(const struct weft_job *job, const void *arg, void **word,
                    bool *heap)
{
    *heap = false;
    *word = NULL;
    if (job->arg_kind == WEFT_NONE)
        return 0;
    if (job->arg_size <= sizeof *word) {
        memcpy(word, arg, job->arg_size);
        return 0;
    }
    wi_job_need_bytes(job, arg);
    if (job->arg_kind == WEFT_BYTES)
        *word = copy_bytes(arg);
    else if ((*word = malloc(job->arg_size)) != NULL)
        memcpy(*word, arg, job->arg_size);
    *heap = *word != NULL;
    return *word != NULL ? 0 : -ENOMEM;
}
