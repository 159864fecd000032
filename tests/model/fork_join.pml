/* SPDX-License-Identifier: MIT
 *
 * Fork-join: src/sched/fork_join.c. One owner forks and joins children in its
 * range; two thieves steal. Each child runs exactly once, its join sees that it
 * has run, and an owner that sleeps for a stolen child is woken. When the owner
 * is asked to share is left open: it shares after any fork.
 */
#define SLOTS 3
#define FORKS 4

#define STOLEN 1
#define WAITED 2
#define DONE   3

byte tail, split;  /* one word: read, compared and changed in one step */
byte state[SLOTS];
byte ran[SLOTS];   /* how often the child in the slot has run */
bit permit;        /* the owner's */
bit over;

inline execute(i)
{
    assert(ran[i] == 0);
    ran[i]++
}

/* The owner sleeps until the child in slot i is done. */
inline await(i)
{
    if
    :: atomic { state[i] != DONE -> state[i] = WAITED };
        do
        :: state[i] == DONE -> break
        :: else -> atomic { permit -> permit = 0 }
        od
    :: state[i] == DONE
    fi
}

inline take_back(i)
{
    do
    :: d_step { t = tail; s = split };
        if
        :: t > i -> mine = 0; break
        :: else
        fi;
        n = t + (s - t) / 2;
        if
        :: n > i -> n = i
        :: else
        fi;
        atomic {
            if
            :: (split == s
                && tail == t /* NEEDED: a thief may have come since the look */
                ) -> split = n; mine = 1
            :: else -> mine = 0
            fi
        };
        if
        :: mine -> private = n; break
        :: else
        fi
    od
}

inline join(i)
{
    if
    :: i >= private -> execute(i)
    :: else ->
        take_back(i);
        if
        :: mine -> execute(i)
        :: else ->
            await(i);
            assert(ran[i] == 1);
            state[i] = 0; /* NEEDED: the next child in the slot is not done */
            private = i;
            atomic { tail = i; split = i } /* NEEDED: the part of thieves ends below the free slots */
        fi
    fi
}

active proctype owner()
{
    byte head, private, forks; /* private: the first slot of that part */
    byte t, s, n;
    bit mine;
    do
    :: head < SLOTS && forks < FORKS ->
        ran[head] = 0;
        head++;
        forks++;
        if
        :: n = (head - private + 1) / 2;
            private = private + n;
            split = split + n
        :: true
        fi
    :: head > 0 ->
        head--;
        join(head);
        assert(ran[head] == 1)
    :: head == 0 && forks == FORKS -> break
    od;
    over = 1
}

active [2] proctype thief()
{
    byte t, s, was;
    bit mine;
    do
    :: over -> break
    :: d_step { tail < split -> t = tail; s = split };
        atomic {
            if
            :: tail == t && split == s -> tail++; mine = 1
            :: else -> mine = 0
            fi
        };
        if
        :: !mine
        :: else ->
            atomic {
                if
                :: state[t] == 0 -> state[t] = STOLEN
                :: else /* the owner waits already */
                fi
            };
            execute(t);
            atomic { was = state[t]; state[t] = DONE };
            if
            :: was == WAITED -> permit = 1 /* NEEDED: the owner sleeps */
            :: else
            fi
        fi
    od
}
