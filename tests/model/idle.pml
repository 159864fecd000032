/* SPDX-License-Identifier: MIT
 *
 * The sleep of a worker (src/sched/idle.c): two send it a message each, one
 * brings work that anybody may take. Whatever comes is seen: the worker ends. */
#define AWAKE  0
#define ASLEEP 1

byte sleep_word = AWAKE;
bool idle_bit = false;
byte inbox = 0;
byte work = 0;
bool in_kernel = false;

inline wake()
{
    atomic {
        was = sleep_word;
        sleep_word = AWAKE
    }
    if
    :: was == ASLEEP -> in_kernel = false /* cut: it sleeps */
    :: else
    fi
}

active proctype worker()
{
    byte done = 0;
    do
    :: done < 3 ->
        if
        :: atomic { inbox > 0 -> done = done + inbox; inbox = 0 }
        :: atomic { work > 0 -> work--; done++ }
        :: else ->
            sleep_word = ASLEEP;
            idle_bit = true;
            if
            :: inbox > 0 || work > 0 /* cut: look again after announcing */
            :: else ->
                atomic {
                    if
                    :: sleep_word == ASLEEP -> in_kernel = true
                    :: else
                    fi
                }
                !in_kernel
            fi;
            idle_bit = false;
            sleep_word = AWAKE
        fi
    :: else -> break
    od
}

active [2] proctype sender()
{
    byte was;
    bool first;
    atomic { first = (inbox == 0); inbox++ };
    if
    :: first -> wake() /* cut: the first message wakes */
    :: else
    fi
}

active proctype submitter()
{
    byte was;
    bool idle;
    work++;
    atomic { idle = idle_bit; idle_bit = false };
    if
    :: idle -> wake() /* cut: an idle worker is woken */
    :: else
    fi
}
