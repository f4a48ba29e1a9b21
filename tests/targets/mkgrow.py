#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What mkgrow.c cannot be: a CPython whose memory grows, or does not, for one known cause. mkgrow.py CAUSE STEPS_PER_S [KEY=VALUE]...

Keys as there. It prints "ready pid=..." and steps until its stdin ends; 's' makes it stop stepping ("stopped").
"""
import gc
import os
import random
import select
import sys

options = {'step_kib': 256, 'base_mib': 0, 'seed': 0, 'stop_step': 32}
options.update((key, int(value)) for key, value in (arg.split('=') for arg in sys.argv[3:]))
STEP = options['step_kib'] * 1024
kept, n_steps, draw = [], 0, random.Random(options['seed'])


class Node:
    """What a program makes many of."""
    def __init__(self, other=None):
        self.other, self.name = other, str(n_steps)


def leak_list():
    kept.extend([i, None] for i in range(STEP // 120))


def leak_dict():
    kept.extend({'key': i, i: ''} for i in range(STEP // 250))


def leak_class():
    kept.extend(Node(i) for i in range(STEP // 200))


def leak_bytes():
    kept.append(b'x' * STEP)


def begin_pinned():
    """Small objects of which a few are left, one in each arena and more: none of them can go back."""
    peak = [(i, None) for i in range(max(options['base_mib'], 64) * (1 << 20) // 96)]
    kept.extend(peak[i] for i in range(0, len(peak), draw.randint(500, 1500)))


def saw():
    """Cycles, which wait for the collector."""
    for _ in range(STEP // 250):
        one = Node()
        one.other = Node(one)
    if n_steps % options['stop_step'] == 0:
        gc.collect()


def begin_saw():
    """The first tooth is no growth of anything."""
    global n_steps
    gc.disable()
    while n_steps < options['stop_step']:
        saw()
        n_steps += 1


def nothing():
    pass


# cause: (before "ready", a step)
CAUSES = {
    'leak-list': (nothing, leak_list),
    'leak-dict': (nothing, leak_dict),
    'leak-class': (nothing, leak_class),
    'leak-bytes': (nothing, leak_bytes),
    'pinned': (begin_pinned, nothing),
    'saw': (begin_saw, saw),
}


def main():
    global n_steps
    begin, step = CAUSES[sys.argv[1]]
    if begin is not begin_pinned:
        kept.extend(b'x' * (600 + i % 8) for i in range(options['base_mib'] << 20 >> 10))
    begin()
    os.write(1, b'ready pid=%d\n' % os.getpid())
    wait = 1 / float(sys.argv[2])
    while True:
        if not select.select([0], [], [], wait)[0]:
            step()
            n_steps += 1
            continue
        letter = os.read(0, 1)
        if not letter:
            return
        if letter == b'?':
            os.write(1, b'steps=%d\n' % n_steps)
        if letter == b's':
            wait = None
            os.write(1, b'stopped\n')


main()
