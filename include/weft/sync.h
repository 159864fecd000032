// SPDX-License-Identifier: MIT
//
// sync.h: the objects by which tasks and threads keep order among themselves.
// All live in the caller's storage, never allocate, and work between tasks and
// plain threads in any mixture: a task that waits parks, a thread sleeps.
//
// All of them also work between processes: made with .arena in memory that
// these share (arena.h).
//
// A wait that a cancel, a deadline or its own time limit has ended has taken
// nothing: no permit, no notification. No wait returns for no reason.
#ifndef WEFT_SYNC_H
#define WEFT_SYNC_H

#include <weft/barrier.h>
#include <weft/condition.h>
#include <weft/event.h>
#include <weft/lock.h>
#include <weft/once.h>
#include <weft/rwlock.h>
#include <weft/semaphore.h>

#endif
