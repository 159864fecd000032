// SPDX-License-Identifier: MIT
//
// One descriptor is taken at a time: what a callback frees can then not be
// found later in a list of events that was fetched before.
#include "process/supervisor.h"

#include <errno.h>
#include <stddef.h>

#include "base/fresh.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/event.h"
#include "os/thread.h"
#include "os/watch.h"
#include "process/crash.h"

static struct {
    struct wi_mutex lock;
    bool running;
    int set, bell;
    struct wi_watch bell_watch;
    int64_t next; // when it will wake by itself; under lock
    struct wi_wheel wheel;
    struct wi_errand *first, **last;
} supervisor;

static _Thread_local bool is_self;

bool wi_supervisor_is_self(void)
{
    return is_self;
}

static void bell_heard(struct wi_watch *watch)
{
    (void)watch;
    wi_os_event_take(supervisor.bell);
}

static bool run_errand(void)
{
    wi_mutex_lock(&supervisor.lock);
    struct wi_errand *errand = supervisor.first;
    if (errand != NULL) {
        supervisor.first = errand->next;
        if (supervisor.first == NULL)
            supervisor.last = &supervisor.first;
        errand->posted = false;
    }
    wi_mutex_unlock(&supervisor.lock);
    if (errand != NULL)
        errand->run(errand);
    return errand != NULL;
}

static bool ring_alarm(void)
{
    wi_mutex_lock(&supervisor.lock);
    struct wi_timer *timer = wi_wheel_pop(&supervisor.wheel, wi_os_now());
    wi_mutex_unlock(&supervisor.lock);
    struct wi_alarm *alarm = (struct wi_alarm *)timer;
    if (alarm != NULL)
        alarm->ring(alarm);
    return alarm != NULL;
}

static void run(void *arg)
{
    (void)arg;
    is_self = true;
    wi_os_block_signals(false);
    for (;;) {
        // One of each kind in a turn: none can keep the others waiting.
        bool more = run_errand();
        more |= ring_alarm();
        wi_mutex_lock(&supervisor.lock);
        supervisor.next = more || supervisor.first != NULL
                              ? 0
                              : wi_wheel_next(&supervisor.wheel);
        int64_t next = supervisor.next;
        wi_mutex_unlock(&supervisor.lock);
        struct wi_watch *watch = wi_os_watch_wait(supervisor.set, next);
        wi_mutex_lock(&supervisor.lock);
        supervisor.next = 0; // awake
        wi_mutex_unlock(&supervisor.lock);
        if (watch != NULL)
            watch->heard(watch);
    }
}

// Under the lock.
static int start(void)
{
    struct wi_os_thread_options options = {.name = "weft-processes",
                                           .service = true};
    struct wi_os_thread thread;
    supervisor.last = &supervisor.first;
    supervisor.bell_watch.heard = bell_heard;
    wi_wheel_init(&supervisor.wheel, wi_os_now());
    supervisor.set = wi_os_watch_open();
    supervisor.bell = wi_os_event_new();
    int rc = supervisor.set < 0 ? supervisor.set : supervisor.bell;
    if (rc >= 0)
        rc = wi_os_watch_add(supervisor.set, supervisor.bell,
                             &supervisor.bell_watch);
    if (rc == 0)
        rc = wi_os_thread_start(&thread, run, NULL, &options);
    if (rc < 0) {
        wi_os_close(supervisor.set);
        wi_os_close(supervisor.bell);
        return rc;
    }
    wi_os_thread_detach(&thread);
    wi_crash_begin();
    supervisor.running = true;
    return 0;
}

int wi_supervisor_start(void)
{
    wi_mutex_lock(&supervisor.lock);
    int rc = supervisor.running ? 0 : start();
    wi_mutex_unlock(&supervisor.lock);
    return rc;
}

int wi_supervisor_watch(int fd, struct wi_watch *watch)
{
    wi_mutex_lock(&supervisor.lock); // *watch was filled in before
    int rc = wi_os_watch_add(supervisor.set, fd, watch);
    wi_mutex_unlock(&supervisor.lock);
    return rc;
}

void wi_supervisor_forget(int fd)
{
    wi_os_watch_remove(supervisor.set, fd);
}

void wi_alarm_set(struct wi_alarm *alarm, int64_t when)
{
    wi_mutex_lock(&supervisor.lock);
    if (alarm->timer.link != NULL)
        wi_wheel_remove(&supervisor.wheel, &alarm->timer);
    wi_wheel_add(&supervisor.wheel, &alarm->timer, when);
    bool sooner = when < supervisor.next;
    if (sooner)
        supervisor.next = when;
    wi_mutex_unlock(&supervisor.lock);
    if (sooner)
        wi_os_event_set(supervisor.bell);
}

bool wi_alarm_stop(struct wi_alarm *alarm)
{
    wi_mutex_lock(&supervisor.lock);
    bool set = alarm->timer.link != NULL;
    if (set)
        wi_wheel_remove(&supervisor.wheel, &alarm->timer);
    wi_mutex_unlock(&supervisor.lock);
    return set;
}

static void count_round(struct wi_errand *errand);

static uint32_t rounds; // futex word: how often count_round has run
static struct wi_errand round_errand = {.run = count_round};

static void count_round(struct wi_errand *errand)
{
    (void)errand;
    // release: pairs with the acquire in wi_supervisor_settle
    __atomic_fetch_add(&rounds, 1, __ATOMIC_RELEASE);
    wi_os_futex_wake(&rounds, INT32_MAX, false);
}

void wi_supervisor_settle(void)
{
    // The first round may have been under way already.
    for (int i = 0; i < 2; i++) {
        // acquire, both: pairs with count_round
        uint32_t before = __atomic_load_n(&rounds, __ATOMIC_ACQUIRE);
        wi_supervisor_post(&round_errand);
        while (__atomic_load_n(&rounds, __ATOMIC_ACQUIRE) == before)
            wi_os_futex_wait(&rounds, before, WI_FOREVER, false);
    }
}

void wi_supervisor_post(struct wi_errand *errand)
{
    wi_mutex_lock(&supervisor.lock);
    bool first = !errand->posted;
    if (first) {
        errand->posted = true;
        errand->next = NULL;
        *supervisor.last = errand;
        supervisor.last = &errand->next;
    }
    bool asleep = supervisor.next != 0;
    if (asleep)
        supervisor.next = 0;
    wi_mutex_unlock(&supervisor.lock);
    if (first && asleep)
        wi_os_event_set(supervisor.bell);
}

// In a child of fork there is no supervisor.
static void fresh(void)
{
    if (supervisor.running) {
        wi_os_close(supervisor.set);
        wi_os_close(supervisor.bell);
    }
    supervisor.running = false;
    supervisor.lock = (struct wi_mutex){0};
    supervisor.first = NULL;
    round_errand.posted = false; // another thread's, under way
    is_self = false;
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}
