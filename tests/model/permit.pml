/* SPDX-License-Identifier: MIT
 *
 * The permit of a plain thread (src/sched/park.c): one waits for two items, two
 * bring one each. No wake is lost: the waiter ends. */
#define NONE   0
#define GIVEN  1
#define ASLEEP 2

byte permit = NONE;
byte items = 0;
bool in_kernel = false;

inline park()
{
    atomic {
        if
        :: permit == GIVEN -> sleeps = false /* cut: a permit was given before */
        :: else -> permit = ASLEEP; sleeps = true
        fi
    }
    do
    :: sleeps && permit == ASLEEP ->
        /* The kernel compares and sleeps in one step. */
        atomic {
            if
            :: permit == ASLEEP -> in_kernel = true
            :: else
            fi
        }
        !in_kernel
    :: else -> break
    od;
    permit = NONE
}

active proctype waiter()
{
    byte got = 0;
    bool sleeps;
    do
    :: got < 2 ->
        if
        :: atomic { items > 0 -> items-- }; got++
        :: else -> park()
        fi
    :: else -> break
    od
}

active [2] proctype waker()
{
    byte was;
    items++; /* first what is waited for, then the wake */
    atomic { was = permit; permit = GIVEN };
    if
    :: was == ASLEEP -> in_kernel = false /* cut: it sleeps */
    :: else
    fi
}
