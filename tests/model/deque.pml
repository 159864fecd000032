/* SPDX-License-Identifier: MIT
 *
 * The unstarted records of a worker: src/sched/deque.c. The owner puts hints at
 * the tail, joins some in their place, and moves what lives to the tail when
 * half of the ring is tombstones; thieves take half of them at the head. None
 * is lost, whoever is interrupted where, and what a thief keeps is a hint.
 */
#define JOBS  4
#define SLOTS 4 /* of the ring; one stays free */
#define LOOT  2

byte slot[SLOTS]; /* 0: no hint, as in memory that was given back */
byte head, tail, seen;
bool claimed[JOBS + 1];
byte ended;

inline claim(hint)
{
    d_step {
        assert(hint != 0);
        if
        :: claimed[hint] -> skip
        :: else -> claimed[hint] = 1; ended++
        fi
    }
}

/* What the head has passed may be anything as soon as the owner knows it. */
inline see_head()
{
    d_step {
        do
        :: seen < head -> slot[seen % SLOTS] = 0; seen++
        :: else -> break
        od
    }
}

inline put(hint)
{
    slot[tail % SLOTS] = hint;
    tail++
}

inline move_head(from, to)
{
    atomic {
        moved = 1;
        moved = (head == from); /* NEEDED: another may have moved it */
        if
        :: moved -> head = to
        :: else
        fi
    }
}

active proctype owner()
{
    byte job = 1, end, at, hint;
    bool moved;
    do
    :: job > JOBS -> break
    :: job <= JOBS && tail - seen < SLOTS - 1 ->
        put(job);
        if
        :: skip
        :: claim(job) /* a join in its place */
        fi;
        job++
    :: job <= JOBS && tail - seen >= SLOTS - 1 ->
        see_head();
        if
        :: tail - seen < SLOTS - 1 || head > seen /* or it grows */
        :: seen + 3 == tail && claimed[slot[seen % SLOTS]] +
               claimed[slot[(seen + 1) % SLOTS]] +
               claimed[slot[(seen + 2) % SLOTS]] >= 2 ->
            end = tail;
            do
            :: seen >= end -> break
            :: else ->
                at = seen;
                hint = slot[at % SLOTS];
                if
                :: claimed[hint] -> skip
                :: else ->
                    put(hint) /* NEEDED: what leaves the head must stand behind */
                fi;
                move_head(at, at + 1);
                see_head()
            od
        fi
    od;
    do /* it ends what is left, as thieves do */
    :: at = head;
        if
        :: at >= tail -> break
        :: else ->
            hint = slot[at % SLOTS];
            move_head(at, at + 1);
            if
            :: moved -> claim(hint)
            :: else
            fi
        fi
    od;
    ended == JOBS
}

active [2] proctype thief()
{
    byte at, n, hint[LOOT];
    bool moved;
    do
    :: ended == JOBS -> break
    :: ended < JOBS && head < tail ->
        at = head;
        d_step {
            n = (tail > at -> (tail - at + 1) / 2 : 0);
            n = (n > LOOT -> LOOT : n)
        }
        if
        :: n > 0 -> hint[0] = slot[at % SLOTS]
        :: else
        fi;
        if
        :: n > 1 -> hint[1] = slot[(at + 1) % SLOTS]
        :: else
        fi;
        n = (head == at -> n : 0); /* NEEDED: a slot behind the head may be no hint */
        if
        :: n > 0 ->
            move_head(at, at + n);
            if
            :: moved -> claim(hint[0])
            :: else
            fi;
            if
            :: n > 1 -> claim(hint[1]) /* moved or not: it is in the thief's */
            :: else
            fi
        :: else
        fi;
        d_step { at = 0; n = 0; moved = 0; hint[0] = 0; hint[1] = 0 }
    od
}
