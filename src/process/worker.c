// SPDX-License-Identifier: MIT
//
// A worker: takes requests in the order of the ring, calls the job on the main
// thread's own stack, says what came of it. One job runs at a time. While it
// waits for a future of the parent, remote.c may run another one on top of it,
// if the parent sends one: it then is a child of the one that waits.
//
// Looking for work it spins for as long as a sleep and a wake would cost, if
// no one needs the CPU, then sleeps on `parked`.
//
// What the parent has written is believed: it could do what it likes with this
// process anyhow. But a job may come from another build than this one; then
// it is looked up by name, and its sizes must agree.
#include "process/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>
#include <weft/task.h>

#include "arch/arch.h"
#include "exec/job.h"
#include "os/clock.h"
#include "os/cpu.h"
#include "os/event.h"
#include "os/memfd.h"
#include "os/process.h"
#include "os/thread.h"
#include "os/spin.h"
#include "process/room.h"
#include "process/spec.h"
#include "process/tray.h"
#include "process/unpack.h"
#include "sched/park.h"
#include "sched/task.h"

enum { ROOM = 1024 };

struct wi_worker_self wi_worker_self;

static const struct weft_job *known[WI_JOB_NAMES];

static bool may_spin; // there are CPUs to spare
static struct wi_spin spinning;
static struct wi_kept kept_args;
static bool writes[WI_JOB_NAMES]; // the job writes all over its argument
static bool bell_due;             // the main thread's: see call_parent
static uint32_t bell_frame;       // the same: due unless so many were heard

// As the bytes of an answer: they lie in the window already (tray.h).
static const char in_window[1];

static bool has_request(void *arg);

// Speaking --------------------------------------------------------------------

static bool has_place(void *arg)
{
    (void)arg;
    struct wi_worker_self *self = &wi_worker_self;
    // acquire: pairs with the parent's release; the place is free
    return self->frames -
               __atomic_load_n(&self->ring->heard, __ATOMIC_ACQUIRE) <
           WI_FRAMES;
}

static void ring_bell(struct wi_ring *ring)
{
    // relaxed, acq_rel: as in wi_ring_wake
    if (__atomic_load_n(&ring->listening, __ATOMIC_RELAXED) != 0 &&
        __atomic_exchange_n(&ring->listening, 0, __ATOMIC_ACQ_REL) != 0)
        wi_os_event_set(WI_BELL_FD);
}

// Rings the bell that is due, unless the parent has looked by itself.
static void settle_bell(struct wi_ring *ring)
{
    bell_due = false;
    // acquire: as in has_place
    uint32_t heard = __atomic_load_n(&ring->heard, __ATOMIC_ACQUIRE);
    if ((int32_t)(heard - bell_frame) < 0)
        ring_bell(ring);
}

// Makes the parent look: a thread of it that sleeps for us, or its supervisor.
// Where there are no CPUs to spare the one who has submitted may not have got
// to its wait yet, for we run in its place. Then the bell can wait until it has
// had the CPU again (wait_for_request); it would only wake a third. Not that of
// a job that ran on top of a wait, which goes on. frames: that were written.
static void call_parent(struct wi_ring *ring, bool done, uint32_t frames)
{
    wi_arch_fence(); // the frame before the look; pairs with wi_listen
    // relaxed, acq_rel: as in wi_ring_wake
    if (__atomic_load_n(&ring->waiter, __ATOMIC_RELAXED) != 0 &&
        __atomic_exchange_n(&ring->waiter, 0, __ATOMIC_ACQ_REL) != 0)
        wi_os_futex_wake(&ring->waiter, 1, true);
    else if (done && !may_spin && wi_worker_self.depth == 0 &&
             !has_request(NULL) &&
             __atomic_load_n(&ring->soon, __ATOMIC_RELAXED) != 0) {
        bell_frame = frames;
        bell_due = true;
    } else {
        ring_bell(ring);
    }
}

int wi_worker_tell(struct wi_frame *frame, const void *bytes, uint64_t size,
                   uint64_t window)
{
    struct wi_worker_self *self = &wi_worker_self;
    struct wi_ring *ring = self->ring;
    int rc = 0;
    wi_mutex_lock(&self->tell);
    while (!has_place(NULL))
        wi_ring_sleep(&ring->full, has_place, NULL, WI_FOREVER);
    uint32_t at = self->frames % WI_FRAMES;
    struct wi_frame *place = &ring->frames[at];
    if (frame->kind == WI_FRAME_DONE) {
        struct wi_place to = {.line = frame->data,
                              .payload = ring->frame_payload[at],
                              .fd = WI_BOOT_FD,
                              .window = window,
                              .far = {.size = size, .count = frame->form}};
        rc = bytes == in_window ? wi_place_mapped(&to)
                                : wi_place_write(&to, bytes);
        frame->form = (uint8_t)to.form;
        frame->inline_size = (uint16_t)to.inline_size;
    } else if (size > 0 && size <= WI_PAYLOAD) {
        memcpy(ring->frame_payload[at], bytes, size);
    }
    if (rc == 0) {
        frame->sequence = place->sequence;
        *place = *frame;
        // release: the frame is whole; pairs with wi_has_said
        __atomic_store_n(&place->sequence, ++self->frames, __ATOMIC_RELEASE);
    }
    uint32_t frames = self->frames;
    wi_mutex_unlock(&self->tell);
    if (rc == 0)
        call_parent(ring, frame->kind == WI_FRAME_DONE, frames);
    return rc;
}

// Jobs ------------------------------------------------------------------------

static bool same_job(const struct weft_job *job, const struct wi_job_name *name)
{
    return job != NULL && job->version == name->version &&
           job->arg_size == name->arg_size &&
           job->result_size == name->result_size &&
           job->arg_kind == name->arg_kind &&
           job->result_kind == name->result_kind &&
           strncmp(job->name, name->name, sizeof name->name - 1) == 0;
}

static const struct weft_job *find_job(unsigned number)
{
    if (known[number] != NULL)
        return known[number];
    const struct wi_job_name *name = &wi_worker_self.ring->jobs[number];
    const struct weft_job *job = wi_name_find_job(&name->place);
    if (!same_job(job, name))
        job = weft_job_find(name->name);
    if (!same_job(job, name))
        return NULL;
    return known[number] = job;
}

// A request, copied out of its slot.
struct request {
    struct wi_slot slot;
    uint64_t size;               // of the argument's bytes
    uint64_t count;              // of a chunk
    bool codes;                  // of a chunk: wanted
    void *bytes;                 // the argument's bytes
    void *heap;                  // where they lie if they are many
    struct wi_unpacked unpacked; // the same, for a parcel
    _Alignas(64) char room[ROOM];
};

// What came of it, to be said.
struct answer {
    struct wi_frame frame;
    const void *bytes;
    size_t size;
    void *heap; // freed after
    struct wi_job_frame job;
    _Alignas(64) char room[ROOM];
};

static void answer_text(struct answer *a, int code, const char *job,
                        const char *text)
{
    a->frame.code = code;
    a->size = wi_job_write_text(a->room, sizeof a->room, job, text);
    a->bytes = a->room;
}

// The parcel's file, which the parent has given us.
static int parcel_fd(void)
{
    return WI_BOOT_FD + WI_BOOT_FDS + (int)wi_worker_self.boot->fd_count;
}

static bool unpack(struct request *r)
{
    struct wi_far far;
    memcpy(&far, r->slot.data, sizeof far);
    r->size = far.size;
    r->count = far.count;
    r->codes = far.codes;
    bool copy = writes[r->slot.job % WI_JOB_NAMES];
    bool done = wi_unpack(parcel_fd(), far.at, far.size, copy, &r->unpacked);
    r->bytes = r->unpacked.bytes;
    return done;
}

// The bytes of the argument are not needed any more.
static void put_away(struct request *r)
{
    wi_room_give(r->heap);
    if (r->unpacked.bytes != NULL && wi_unpack_end(&r->unpacked))
        writes[r->slot.job % WI_JOB_NAMES] = true;
}

static bool copy_out(struct request *r, uint32_t at)
{
    struct wi_ring *ring = wi_worker_self.ring;
    struct wi_place place = {.line = r->slot.data,
                             .payload = ring->slot_payload[at],
                             .fd = WI_BOOT_FD,
                             .window = wi_window_arg(r->slot.ticket),
                             .form = r->slot.state >> 4 & WI_SLOT_FORM,
                             .inline_size = r->slot.state >> 8};
    r->heap = NULL;
    r->unpacked.bytes = NULL;
    if (place.form == WI_FORM_PARCEL)
        return unpack(r);
    wi_place_look(&place);
    r->size = place.far.size;
    r->count = place.far.count;
    r->codes = place.far.codes;
    r->bytes = r->room;
    if (r->size > sizeof r->room &&
        (r->bytes = r->heap = wi_room_take(r->size)) == NULL)
        return false;
    int rc = wi_place_read(&place, r->bytes);
    wi_kept_note(&kept_args, &place, r->slot.ticket);
    return rc == 0;
}

static int call_body(const struct weft_job *job, const void *arg, void *result,
                     struct answer *a, bool *tray)
{
    struct wi_worker_self *self = &wi_worker_self;
    self->frame = &a->job;
    int code = wi_job_call(job, arg, result, &a->job);
    self->frame = NULL;
    struct weft_bytes bytes = {NULL, 0};
    if (code >= 0 && job->result_kind == WEFT_BYTES)
        bytes = *(struct weft_bytes *)result;
    *tray = wi_tray_end(self->ticket, bytes.data, bytes.len);
    return code;
}

// Runs one job; its result's bytes go into the answer.
static void run_single(const struct weft_job *job, struct request *r,
                       struct answer *a)
{
    _Alignas(64) char arg_room[ROOM], result_room[ROOM];
    void *arg = job->arg_size > ROOM ? malloc(job->arg_size) : arg_room;
    void *result =
        job->result_size > ROOM ? malloc(job->result_size) : result_room;
    int code = arg == NULL || result == NULL ? -ENOMEM : 0;
    bool tray = false;
    if (code == 0)
        code = wi_carry_get(wi_arg_type(job), r->bytes, r->size, arg);
    a->job.text[0] = '\0';
    if (code == 0)
        code = call_body(job, arg, result, a, &tray);
    if (code < 0) {
        answer_text(a, code, job->name, a->job.text);
    } else {
        struct wi_type type = wi_result_type(job);
        a->size = wi_carry_size(type, result);
        a->bytes = a->heap = NULL;
        if (type.kind == WEFT_BYTES) {
            void *data = ((struct weft_bytes *)result)->data;
            a->bytes = tray ? in_window : data;
            a->heap = tray ? NULL : data;
        } else if (result == result_room) {
            wi_carry_put(type, result, a->room);
            a->bytes = a->room;
        } else {
            a->bytes = a->heap = result;
            result = NULL;
        }
    }
    if (arg != arg_room)
        free(arg);
    if (result != result_room)
        free(result);
}

static int own_code(int code)
{
    return code == -ECANCELED   ? -WEFT_EJOBCANCELED
           : code == -ETIMEDOUT ? -WEFT_EJOBTIMEOUT
                                : code;
}

// The arrays of a chunk.
struct chunk {
    char *args, *results;
    int *codes;
    size_t done; // elements that have run
};

static bool make_chunk(const struct weft_job *job, const struct request *r,
                       struct chunk *chunk)
{
    chunk->args = malloc(r->count * job->arg_size + 1);
    chunk->results = calloc(r->count, job->result_size);
    chunk->codes = calloc(r->count, sizeof *chunk->codes);
    chunk->done = 0;
    return chunk->args != NULL && chunk->results != NULL &&
           chunk->codes != NULL &&
           wi_carry_array_get(wi_arg_type(job), r->bytes, r->size, r->count,
                              chunk->args, false) == 0;
}

static void free_chunk(const struct weft_job *job, struct chunk *chunk,
                       size_t count)
{
    struct weft_bytes *all = (struct weft_bytes *)chunk->results;
    for (size_t i = 0;
         job->result_kind == WEFT_BYTES && all != NULL && i < count; i++)
        free(all[i].data);
    free(chunk->args);
    free(chunk->results);
    free(chunk->codes);
}

// Runs the elements; without codes it stops at the first that fails.
static int run_elements(const struct weft_job *job, const struct request *r,
                        struct chunk *chunk, struct answer *a)
{
    for (size_t i = 0; i < r->count; i++) {
        int code = wi_job_call(job, chunk->args + i * job->arg_size,
                               chunk->results + i * job->result_size, &a->job);
        chunk->codes[i] = own_code(code);
        if (code < 0 && job->result_kind == WEFT_BYTES)
            memset(chunk->results + i * job->result_size, 0, job->result_size);
        if (code < 0 && !r->codes) {
            char text[320];
            snprintf(text, sizeof text, "element %zu: %s", i, a->job.text);
            answer_text(a, code, job->name, text);
            return code;
        }
    }
    return 0;
}

static int pack_chunk(const struct weft_job *job, const struct request *r,
                      const struct chunk *chunk, struct answer *a)
{
    struct wi_type type = wi_result_type(job);
    size_t codes = r->codes ? (4 * r->count + 7) & ~(size_t)7 : 0;
    a->size = codes + wi_carry_array_size(type, chunk->results, r->count);
    a->bytes = a->heap = malloc(a->size + 1);
    if (a->heap == NULL)
        return -ENOMEM;
    if (codes > 0)
        memcpy(a->heap, chunk->codes, 4 * r->count);
    wi_carry_array_put(type, chunk->results, r->count, (char *)a->heap + codes);
    return 0;
}

static void run_chunk(const struct weft_job *job, struct request *r,
                      struct answer *a)
{
    struct chunk chunk;
    int code = make_chunk(job, r, &chunk) ? 0 : -ENOMEM;
    if (code == 0)
        code = run_elements(job, r, &chunk, a);
    if (code == 0)
        code = pack_chunk(job, r, &chunk, a);
    if (code < 0 && a->frame.code == 0)
        answer_text(a, code, job->name, "");
    free_chunk(job, &chunk, r->count);
}

static void say_done(const struct weft_job *job, struct answer *a,
                     unsigned ticket)
{
    bool chunk = a->frame.form != 0;
    uint64_t window = wi_window_result(ticket);
    int rc = wi_worker_tell(&a->frame, a->bytes, a->size, window);
    if (rc < 0) { // no room for a large result
        a->frame.form = chunk;
        answer_text(a, rc, job->name, "its result could not be sent");
        wi_worker_tell(&a->frame, a->bytes, a->size, window);
    }
    free(a->heap);
}

// The job as part of the main thread's record, which takes its id.
static void run_job(const struct weft_job *job, struct request *r,
                    struct answer *a)
{
    struct wi_worker_self *self = &wi_worker_self;
    uint16_t outer = self->ticket;
    uint64_t id = self->record->id;
    const struct weft_job *outer_job = self->record->job;
    const struct wi_job_frame *frame = self->frame;
    self->frame = NULL;
    self->ticket = r->slot.ticket;
    self->record->id = r->slot.id;
    self->record->job = job;
    self->depth++;
    wi_ring_phase(self->ring, WI_PHASE_RUNNING);
    if (r->count > 0)
        run_chunk(job, r, a);
    else
        run_single(job, r, a);
    wi_remote_go_on();
    wi_ring_phase(self->ring, WI_PHASE_TELLING);
    self->depth--;
    self->frame = frame;
    self->record->job = outer_job;
    self->record->id = id;
    self->ticket = outer;
}

static void serve(struct request *r, bool whole)
{
    struct answer a;
    memset(&a.frame, 0, sizeof a.frame);
    a.heap = NULL;
    a.frame.kind = WI_FRAME_DONE;
    a.frame.ticket = r->slot.ticket;
    int64_t begin = wi_os_now();
    unsigned number = r->slot.job % WI_JOB_NAMES;
    const struct weft_job *job = find_job(number);
    if (job == NULL)
        answer_text(&a, -WEFT_ENOJOB, wi_worker_self.ring->jobs[number].name,
                    "the workers' program has none of this name, number and "
                    "size");
    else if (!whole)
        answer_text(&a, -ENOMEM, job->name, "");
    else
        run_job(job, r, &a);
    put_away(r);
    uint64_t units = (uint64_t)(wi_os_now() - begin) / 16;
    a.frame.proxy = units < 0xffff ? (uint16_t)units : 0xffff;
    a.frame.form = r->count > 0; // never inline: see wi_place_write
    say_done(job, &a, r->slot.ticket);
}

// Taking ----------------------------------------------------------------------

// Claims the slot that comes next, if it has this mark. false: there is
// nothing.
static bool claim(struct wi_slot *slot, uint32_t mark, uint32_t *state)
{
    // acquire: the slot is filled; pairs with the parent's release
    *state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
    uint32_t to = (*state & ~(uint32_t)WI_SLOT_STATE) | WI_SLOT_RUNNING;
    // acq_rel: against a recall; one of the two gets it
    return (*state & (WI_SLOT_STATE | mark)) == (WI_SLOT_READY | mark) &&
           __atomic_compare_exchange_n(&slot->state, state, to, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

// Passes over a recalled slot. false: it is none.
static bool pass_over(struct wi_slot *slot)
{
    uint32_t state = __atomic_load_n(&slot->state, __ATOMIC_RELAXED);
    // acq_rel: the parent may take it back just now
    return (state & WI_SLOT_STATE) == WI_SLOT_RECALLED &&
           __atomic_compare_exchange_n(&slot->state, &state, WI_SLOT_FREE,
                                       false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

static bool has_request(void *arg)
{
    (void)arg;
    struct wi_worker_self *self = &wi_worker_self;
    struct wi_slot *slot = &self->ring->slots[self->next % WI_SLOTS];
    // acquire: as in claim; stop comes after all requests
    uint32_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
    return (state & WI_SLOT_STATE) != WI_SLOT_FREE ||
           __atomic_load_n(&self->ring->stop, __ATOMIC_ACQUIRE) != 0;
}

bool wi_worker_run_one(bool on_top)
{
    struct wi_worker_self *self = &wi_worker_self;
    struct wi_slot *slot = &self->ring->slots[self->next % WI_SLOTS];
    while (pass_over(slot))
        slot = &self->ring->slots[++self->next % WI_SLOTS];
    struct request r;
    uint32_t state;
    if (!claim(slot, on_top ? WI_SLOT_ON_TOP : 0, &state))
        return false;
    if (bell_due) // the next job may take long
        settle_bell(self->ring);
    wi_ring_phase(self->ring, WI_PHASE_TAKING);
    r.slot = *slot;
    r.slot.state = state;
    bool whole = copy_out(&r, self->next % WI_SLOTS);
    // release: the slot was read; pairs with the parent's acquire
    __atomic_store_n(&slot->state, WI_SLOT_FREE, __ATOMIC_RELEASE);
    self->next++;
    serve(&r, whole);
    return true;
}

// The loop --------------------------------------------------------------------

static void wait_for_request(struct wi_ring *ring)
{
    wi_ring_phase(ring, WI_PHASE_IDLE);
    if (may_spin && wi_spin(&spinning, has_request, NULL))
        return;
    if (bell_due) {
        wi_os_thread_yield();
        settle_bell(ring);
    }
    wi_ring_phase(ring, WI_PHASE_PARKED);
    wi_ring_sleep(&ring->parked, has_request, NULL, WI_FOREVER);
    wi_ring_phase(ring, WI_PHASE_IDLE);
}

// What the initializer was given, for the finalizer.
static void *init_arg;

static _Noreturn void leave(void)
{
    struct wi_boot *boot = wi_worker_self.boot;
    if (bell_due) // the finalizer may take long
        settle_bell(wi_worker_self.ring);
    if (boot->finalizer.build.size != 0) {
        weft_function *fn = wi_name_find_function(&boot->finalizer);
        if (fn == NULL)
            wi_boot_cannot(boot, -WEFT_ENOJOB,
                           "the finalizer is not in this program");
        int code = fn(init_arg);
        if (code < 0)
            wi_boot_cannot(boot, code, "the finalizer failed");
    }
    wi_os_leave(0);
}

static _Noreturn void work(struct wi_ring *ring)
{
    for (;;) {
        if (wi_worker_run_one(false))
            continue;
        // acquire: requests come before; pairs with wi_member_retire
        if (__atomic_load_n(&ring->stop, __ATOMIC_ACQUIRE) != 0)
            leave();
        wait_for_request(ring);
    }
}

// Start -----------------------------------------------------------------------

static void settle(struct wi_boot *boot)
{
    const char *what;
    int rc = wi_spec_settle(boot, &what);
    if (rc < 0)
        wi_boot_cannot(boot, rc, what);
    if (boot->parcels)
        wi_os_close_on_exec(parcel_fd());
}

static void confine(struct wi_boot *boot)
{
    const char *what;
    int rc = wi_os_sandbox_enter(&boot->sandbox, &what);
    if (rc < 0)
        wi_boot_cannot(boot, rc, what);
}

static void initialize(struct wi_boot *boot)
{
    wi_boot_reach(boot, WI_STAGE_STARTED);
    if (!wi_boot_arg(boot, &init_arg)) // stays for what is set up
        wi_boot_cannot(boot, -ENOMEM, "the initializer's argument");
    if (boot->body.build.size == 0)
        return;
    weft_function *fn = wi_name_find_function(&boot->body);
    if (fn == NULL)
        wi_boot_cannot(boot, -WEFT_ENOJOB,
                       "the initializer is not in this program");
    int code = fn(init_arg);
    if (code < 0)
        wi_boot_cannot(boot, code, "the initializer failed");
}

_Noreturn void wi_worker_main(struct wi_boot *boot)
{
    struct wi_worker_self *self = &wi_worker_self;
    self->boot = boot;
    self->ring = wi_ring_of(boot);
    self->ticket = WI_NONE;
    self->record = wi_self();
    if (self->record == NULL)
        wi_boot_cannot(boot, -ENOMEM, "no memory to begin with");
    may_spin = !wi_os_cpu_scarce();
    wi_remote_start();
    wi_tray_start();
    settle(boot);
    initialize(boot);
    confine(boot);
    wi_ring_phase(self->ring, WI_PHASE_IDLE);
    wi_boot_reach(boot, WI_STAGE_READY);
    wi_os_event_set(WI_BELL_FD);
    work(self->ring);
}
