// SPDX-License-Identifier: MIT
// Workers that speak without end, that only look dead, that claim what they do
// not have.
#include "jobs.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "process/ring.h"
#include "process/worker.h"

static weft_executor *ex;

// Without end -----------------------------------------------------------------

// Each is a question to the parent, and a word more when it was answered.
enum { QUESTIONS = 60 };
struct questions {
    uint64_t ids[QUESTIONS];
};

WEFT_JOB(long, ask_on, struct questions, q)
{
    for (unsigned i = 0;; i++)
        weft_future_unref(weft_future_open(q.ids[i % QUESTIONS]));
    return 0;
}

static char *find_memory(void)
{
    char line[512];
    unsigned long begin = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (fgets(line, sizeof line, maps) != NULL)
        if (strstr(line, "memfd:weft ") != NULL)
            sscanf(line, "%lx-", &begin);
    fclose(maps);
    return (char *)begin;
}

static void say(struct wi_ring *ring, uint32_t at, struct wi_frame said)
{
    while (at - __atomic_load_n(&ring->heard, __ATOMIC_ACQUIRE) >= WI_FRAMES)
        ;
    struct wi_frame *frame = &ring->frames[at % WI_FRAMES];
    said.sequence = frame->sequence;
    *frame = said;
    __atomic_store_n(&frame->sequence, at + 1, __ATOMIC_RELEASE);
}

// The same without hearing the answers: it is faster than the parent can be.
WEFT_JOB(long, babble, uint64_t, id)
{
    struct wi_ring *ring = wi_ring_of((struct wi_boot *)find_memory());
    uint32_t at = __atomic_load_n(&ring->heard, __ATOMIC_ACQUIRE);
    for (uint32_t asked = 0;; at += 2, asked++) {
        struct wi_frame frame = {.kind = WI_FRAME_OPEN, .ticket = WI_NONE};
        memcpy(frame.data, &id, sizeof id);
        say(ring, at, frame);
        frame.kind = WI_FRAME_DROP;
        say(ring, at + 1, frame);
        // Never more than there are.
        ring->answered = asked > WI_FRAMES ? asked - WI_FRAMES : 0;
    }
    return 0;
}

WEFT_JOB(long, nap, int, ms)
{
    usleep((unsigned)ms * 1000);
    return ms;
}

static weft_promise *answers[QUESTIONS];
static struct questions questions;

static void open_pool(void)
{
    for (int i = 0; i < QUESTIONS; i++) {
        answers[i] = weft_promise_new();
        weft_future *f = weft_promise_future(answers[i]);
        questions.ids[i] = weft_future_id(f);
        weft_promise_keep(answers[i], 0, NULL, 0, NULL);
    }
    ex = weft_process_pool(.workers = 2);
    expect_long(weft_submit(ex, square, 3), 9);
}

static weft_future *talk(weft_executor *to, bool mad)
{
    return mad ? weft_submit(to, babble, questions.ids[0])
               : weft_submit_job(to, &weft_job_ask_on, &questions);
}

// Meanwhile the others work; afterwards all do.
static void close_pool(void)
{
    for (int i = 0; i < 20; i++)
        expect_long(weft_submit(ex, nap, 1), 1);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

static void deadline_ends(bool mad)
{
    open_pool();
    expect(talk(weft_executor_with(ex, .deadline = 0.05), mad),
           -WEFT_EJOBTIMEOUT);
    close_pool();
}

static void timeout_ends(bool mad)
{
    open_pool();
    expect(talk(weft_executor_with(ex, .timeout = 0.05), mad),
           -WEFT_EJOBTIMEOUT);
    close_pool();
}

static void cancel_ends(bool mad)
{
    open_pool();
    weft_future *f = talk(ex, mad);
    for (int i = 0; i < 20; i++)
        expect_long(weft_submit(ex, nap, 1), 1);
    weft_cancel(f);
    expect(f, -WEFT_EJOBCANCELED);
    close_pool();
}

static void close_ends(bool mad)
{
    open_pool();
    weft_future *f = talk(ex, mad);
    expect_long(weft_submit(ex, nap, 5), 5);
    weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL);
    expect(f, -WEFT_EJOBCANCELED);
}

WEFT_TEST(a_deadline_ends_a_job_that_asks_without_end, .timeout = 20)
{
    deadline_ends(false);
}

WEFT_TEST(a_timeout_does, .timeout = 20)
{
    timeout_ends(false);
}

WEFT_TEST(a_cancel_does, .timeout = 20)
{
    cancel_ends(false);
}

WEFT_TEST(a_close_does, .timeout = 20)
{
    close_ends(false);
}

WEFT_TEST(a_deadline_ends_a_job_that_babbles, .timeout = 20)
{
    deadline_ends(true);
}

WEFT_TEST(a_timeout_ends_one, .timeout = 20)
{
    timeout_ends(true);
}

WEFT_TEST(a_cancel_ends_one, .timeout = 20)
{
    cancel_ends(true);
}

WEFT_TEST(a_close_ends_one, .timeout = 20)
{
    close_ends(true);
}

// Only in appearance ----------------------------------------------------------

static void hang_on(void)
{
    for (;;)
        pause();
}

// Says on the page that its handler of faults has been called, and lives.
WEFT_JOB(long, feign_a_fault)
{
    struct wi_words *words = wi_boot_words((struct wi_boot *)find_memory());
    uint64_t one = 1;
    __atomic_store_n(&words->fault.written, 1, __ATOMIC_RELEASE);
    if (write(WI_BELL_FD, &one, sizeof one) < 0)
        return errno;
    hang_on();
    return 0;
}

// Sets the life word as the kernel would.
WEFT_JOB(long, feign_death)
{
    struct wi_words *words = wi_boot_words((struct wi_boot *)find_memory());
    uint32_t *word = (uint32_t *)(words->life + words->life_at);
    __atomic_store_n(word, FUTEX_OWNER_DIED, __ATOMIC_RELEASE);
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    hang_on();
    return 0;
}

// One that counts as dead is dead soon: nobody waits for its end in vain.
static void feigned(const struct weft_job *job)
{
    struct weft_worker_stats worker;
    ex = weft_process_pool(.workers = 1);
    do
        expect_long(weft_submit(ex, square, 5), 25);
    while (weft_process_pool_workers(ex, &worker, 1) < 1 || worker.pid == 0);
    expect(weft_submit_job(ex, job, NULL), -WEFT_ECRASHED);
    expect_long(weft_submit(ex, square, 5), 25);
    ck_assert_int_eq(weft_executor_close(ex), 0);
    ck_assert_int_eq(kill(worker.pid, 0), -1);
}

WEFT_TEST(a_worker_that_feigns_a_fault_is_ended, .timeout = 20)
{
    feigned(&weft_job_feign_a_fault);
}

WEFT_TEST(so_is_one_that_feigns_death, .timeout = 20)
{
    feigned(&weft_job_feign_death);
}

// What they do not have -------------------------------------------------------

// Says that it is done, with a text that has no end.
WEFT_JOB(struct weft_text, endless, int, letter)
{
    struct wi_worker_self *self = &wi_worker_self;
    struct wi_frame frame = {.kind = WI_FRAME_DONE,
                             .form = WI_FORM_PAYLOAD,
                             .ticket = self->ticket,
                             .inline_size = sizeof(struct wi_far)};
    struct wi_far far = {.size = WEFT_TEXT_SIZE, .count = 1};
    memcpy(frame.data, &far, sizeof far);
    memset(self->ring->frame_payload[self->frames % WI_FRAMES], letter,
           WEFT_TEXT_SIZE);
    say(self->ring, self->frames, frame);
    hang_on();
    return weft_text("never");
}

WEFT_TEST(a_text_that_lacks_its_end_gets_one)
{
    int letter = 'a';
    struct weft_text text;
    ex = weft_process_pool(.workers = 1);
    ck_assert_int_eq(weft_map(ex, endless, &letter, 1, &text), 0);
    ck_assert_uint_eq(strnlen(text.s, sizeof text.s), sizeof text.s - 1);
    weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL);
}

struct page {
    char bytes[4000];
};

WEFT_JOB(long, sum, struct page, page)
{
    long all = 0;
    for (size_t i = 0; i < sizeof page.bytes; i++)
        all += page.bytes[i];
    return all;
}

WEFT_JOB(long, seal_memory)
{
    for (int seal = 0x10; seal > 0; seal /= 2) // from F_SEAL_FUTURE_WRITE on
        fcntl(WI_BOOT_FD, F_ADD_SEALS, seal);
    return fcntl(WI_BOOT_FD, F_GET_SEALS) & ~F_SEAL_SHRINK & 0x1e;
}

WEFT_TEST(the_memory_of_a_worker_cannot_be_sealed)
{
    struct page page;
    memset(page.bytes, 1, sizeof page.bytes);
    ex = weft_process_pool(.workers = 1);
    expect_long(weft_submit(ex, seal_memory), 0);
    expect_long(weft_submit_job(ex, &weft_job_sum, &page), sizeof page.bytes);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

#define CLAIM ((size_t)1 << 32)

static size_t resident(void)
{
    size_t all, mine = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    ck_assert_int_eq(fscanf(f, "%zu %zu", &all, &mine), 2);
    fclose(f);
    return mine * 4096;
}

// A result of which one page is there.
WEFT_JOB(struct weft_bytes, claim_a_result)
{
    uint64_t window = wi_window_result(wi_worker_self.ticket);
    struct wi_frame frame = {.kind = WI_FRAME_DONE,
                             .form = WI_FORM_WINDOW,
                             .ticket = wi_worker_self.ticket,
                             .inline_size = sizeof(struct wi_far)};
    struct wi_far far = {.size = CLAIM};
    memcpy(frame.data, &far, sizeof far);
    if (ftruncate(WI_BOOT_FD, (off_t)(window + CLAIM)) != 0 ||
        pwrite(WI_BOOT_FD, "word", 4, (off_t)window + 4096) != 4)
        weft_fail(-errno, "no window");
    else
        say(wi_worker_self.ring, wi_worker_self.frames, frame);
    hang_on();
    return (struct weft_bytes){NULL, 0};
}

WEFT_TEST(a_claimed_result_costs_what_it_cost_the_worker)
{
    struct weft_bytes bytes = {NULL, 0};
    if (WI_ASAN || WI_TSAN)
        weft_test_skip("a sanitizer has memory of its own for it");
    ex = weft_process_pool(.workers = 1);
    expect_long(weft_submit(ex, square, 5), 25);
    size_t before = resident();
    int rc = weft_result(weft_submit(ex, claim_a_result), &bytes);
    ck_assert_uint_lt(resident(), before + CLAIM / 16);
    ck_assert(rc == 0 || rc == -ENOMEM);
    if (rc == 0) {
        ck_assert_uint_eq(bytes.len, CLAIM);
        ck_assert_mem_eq((char *)bytes.data + 4095, "\0word", 6);
    }
    weft_bytes_free(&bytes);
    weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL);
}

WEFT_JOB(long, length, struct weft_bytes, bytes)
{
    return (long)bytes.len;
}

// An argument for another job of which nothing is there.
WEFT_JOB(long, claim_an_argument, uint64_t, size)
{
    struct wi_submit submit = {.id = 0, .size = size};
    struct wi_frame frame = {.kind = WI_FRAME_SUBMIT,
                             .ticket = wi_worker_self.ticket,
                             .proxy = WI_PROXIES - 1};
    wi_name_job(&weft_job_length, &submit.job);
    memcpy(frame.data, &submit, sizeof submit);
    off_t end = (off_t)(wi_window_up(frame.proxy) + size);
    if (ftruncate(WI_BOOT_FD, end) != 0)
        return -errno;
    struct wi_reply *reply = &wi_worker_self.ring->replies[0];
    say(wi_worker_self.ring, wi_worker_self.frames++, frame);
    uint64_t one = 1;
    if (write(WI_BELL_FD, &one, sizeof one) < 0)
        return -errno;
    while (__atomic_load_n(&reply->sequence, __ATOMIC_ACQUIRE) == 0)
        usleep(100);
    return -reply->code;
}

WEFT_TEST(a_claimed_argument_is_refused)
{
    ex = weft_process_pool(.workers = 1);
    expect_long(weft_submit(ex, claim_an_argument, (uint64_t)1 << 26),
                WEFT_EPROTO);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

static int claim_in_a_process(void *arg)
{
    (void)arg;
    struct wi_boot *boot = wi_entry_boot();
    uint64_t size = (uint64_t)1 << 26;
    if (ftruncate(WI_BOOT_FD, (off_t)(wi_boot_result_at(boot) + size)) != 0)
        return -errno;
    wi_boot_words(boot)->result_size = size;
    return 0;
}

WEFT_TEST(so_is_what_a_process_claims_to_return)
{
    expect(weft_process_start(claim_in_a_process, NULL, 0), -WEFT_EPROTO);
}

static int spoil_all(void *arg)
{
    memset(wi_entry_boot(), 'x', WI_BOOT_PAGES);
    raise(SIGKILL);
    return arg != NULL;
}

// Its name is not looked for in what it may have spoiled.
WEFT_TEST(a_process_that_spoils_all_that_it_can_write)
{
    for (int i = 0; i < 5; i++)
        expect_text(weft_process_start(spoil_all, NULL, 0, .name = "mad"),
                    -WEFT_ECRASHED, "mad: process");
}

WEFT_TEST_MAIN("lying workers")
