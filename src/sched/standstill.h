// SPDX-License-Identifier: MIT
//
// standstill.h: whether anything can ever run again in this process, and what
// is said when not.
#ifndef WI_SCHED_STANDSTILL_H
#define WI_SCHED_STANDSTILL_H

#include <stdbool.h>

struct wi_runtime;

// What is to be done about waits that would never end; WEFT_DEADLOCK.
enum wi_deadlock_policy {
    WI_DEADLOCK_TELL,   // a cycle: one of it, by its code; a standstill: report
    WI_DEADLOCK_QUIET,  // "0": no reports
    WI_DEADLOCK_REPORT, // "report": cycles as well
    WI_DEADLOCK_ABORT   // "abort": report, and end the program
};
enum wi_deadlock_policy wi_deadlock_policy(void);

// Whether nothing can run: some wait, and nothing is left that could wake them.
// The watchdog's thread, with its lock: the runtimes from this one on, linked
// by next_watched, stay what they are. Never true by mistake.
bool wi_stands_still(struct wi_runtime *runtimes);

// Says so, and who waits for what.
void wi_standstill_report(void);

#endif
