#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Services in small, each with a known way of using memory: lab.py WAY [seed]. The zoo that the whole daemon is tried on.

Memory is what a Python service would hold: dictionaries, strings, bytes. It prints "ready", works by the clock until SIGTERM
or the end of its stdin, and then tells "end REASON rss_bytes=N". Rates are a service's, scaled to minutes.
"""
import collections
import gc
import os
import random
import select
import signal
import sys
import time

MIB = 1 << 20
PERIOD_S = 0.25

held = []


def session(rnd):
    """About 1 KiB in several objects."""
    return {'id': rnd.random(), 'peer': f'client-{rnd.random()}', 'buffer': bytes(700)}


def sessions(rnd, mib):
    return [session(rnd) for _ in range(int(mib * 1000))]


def leak(rnd, _):
    """a list that nobody empties: 0.6 MiB/s"""
    held.append(sessions(rnd, 0.6 * PERIOD_S))


def leak_bursts(rnd, _):
    """the same by requests that come in bursts, 5 s apart on average"""
    if rnd.random() < PERIOD_S / 5:
        held.append(sessions(rnd, rnd.uniform(2, 5)))


def leak_under_saw(rnd, t):
    """garbage that is collected every 12 s, and a floor that rises by 0.5 MiB/s"""
    held.append(sessions(rnd, 0.5 * PERIOD_S))
    saw(rnd, t, every_s=12)


def warm_up(rnd, t):
    """a cache that fills fast, then ever more slowly, to 60 MiB"""
    want = 60 * (1 - 2 ** (-t / 12))
    have = sum(len(s) for s in held) / 1000
    if want > have:
        held.append(sessions(rnd, want - have))


cycles_since = 0.0


def saw(rnd, t, every_s=20):
    """cycles of garbage, which the collector takes back every now and then"""
    global cycles_since
    for _ in range(int(1000 * PERIOD_S)):
        s = session(rnd)
        s['self'] = s
    if t - cycles_since >= every_s:
        cycles_since = t
        gc.collect()


lru_cache = collections.OrderedDict()


def lru(rnd, _):
    """a cache of 25,000 entries that is always full, of things that are not alike in size"""
    for _ in range(2000):
        key = int(rnd.expovariate(1 / 30000))
        lru_cache[key] = bytes(rnd.randrange(200, 3000))
        lru_cache.move_to_end(key)
        if len(lru_cache) > 25000:
            lru_cache.popitem(last=False)


def steps(rnd, t):
    """a table that is loaded at the start, and twice again, larger: a step each"""
    n = sum(t >= at for at in (0, 50, 75))
    if len(held) < n:
        held.append(sessions(rnd, 12))


def batch(rnd, t):
    """a job every 30 s that needs 40 MiB for 8 s and lets go of them"""
    if t % 30 < 8 and not held:
        held.append(bytearray(40 * MIB))
    elif t % 30 >= 8:
        held.clear()


def flat(rnd, _):
    """requests, and nothing kept"""
    sessions(rnd, 0.5)


WAYS = {f.__name__.replace('_', '-'): f for f in (leak, leak_bursts, leak_under_saw, warm_up, saw, lru, steps, batch, flat)}


def rss_bytes():
    with open('/proc/self/statm', encoding='ascii') as f:
        return int(f.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def main():
    way, rnd = WAYS[sys.argv[1]], random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    reason = []
    signal.signal(signal.SIGTERM, lambda *_: reason.append('SIGTERM'))
    gc.disable() # so that collecting is the saw's own doing
    base = sessions(rnd, 10)
    print('ready', flush=True)
    begin = time.monotonic()
    tick = 0
    while not reason:
        way(rnd, time.monotonic() - begin)
        tick += 1
        wait_s = begin + tick * PERIOD_S - time.monotonic()
        # EINTR is retried by select(), hence short waits
        if select.select([sys.stdin], [], [], max(0.0, wait_s))[0]:
            reason.append('stdin')
    print(f'end {reason[0]} rss_bytes={rss_bytes()} held={len(base)}', flush=True)


if __name__ == '__main__':
    main()
