# SPDX-License-Identifier: Apache-2.0
"""Settings of a live allocator: what the target does with its memory afterwards, and what is refused."""
import os
import subprocess
import sys

import tap
from lib import DEADLINE_S, Skip
from probelib import Probe, Target

PROBE, MKLEAK = sys.argv[1:3]
MIB = 1 << 20
JEMALLOC = '/usr/lib/x86_64-linux-gnu/libjemalloc.so.2'

# A program that allocates as it is told, with the C library's own functions. Python's own objects do not stand in the way:
# its small ones are in arenas of its own.
ALLOCATES = """
import ctypes, sys, threading
c = ctypes.CDLL(None)
c.malloc.restype = ctypes.c_void_p
c.malloc.argtypes = [ctypes.c_size_t]
c.free.argtypes = [ctypes.c_void_p]
c.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
blocks = (ctypes.c_void_p * 4096)()
stop = threading.Event()
def take(n, size, first=0):
    for i in range(first, first + n):
        blocks[i] = c.malloc(size)
        c.memset(blocks[i], 1, size)
    return blocks[first]
def give(n, first=0):
    for i in range(first, first + n):
        c.free(blocks[i])
    return 0
def cycle(n, size): # in one go: nothing of Python's comes to lie behind it
    take(n, size)
    return give(n)
def in_threads(n, size):
    got = []
    def one():
        got.append(c.malloc(size))
        stop.wait()
    threads = [threading.Thread(target=one, daemon=True) for _ in range(n)]
    for t in threads: t.start()
    while len(got) < n: pass
    return ' '.join(map(str, got))
print('ready', flush=True)
for line in sys.stdin:
    name, *args = line.split()
    print(globals()[name](*map(int, args)), flush=True)
"""


class Program:
    def __init__(self, **env):
        self.process = subprocess.Popen(['/usr/bin/python3', '-c', ALLOCATES], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={**os.environ, **env})
        self.pid = self.process.pid
        assert self.process.stdout.readline() == 'ready\n'

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        status = self.process.wait(DEADLINE_S)
        self.process.stdout.close()
        assert status == 0, status

    def __call__(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        return [int(word) for word in self.process.stdout.readline().split()]

    def in_heap(self, address):
        with open(f'/proc/{self.pid}/maps', encoding='utf-8') as f:
            for line in f:
                if line.rstrip().endswith('[heap]'):
                    start, end = (int(x, 16) for x in line.split()[0].split('-'))
                    return start <= address < end
        return False

    def rss(self):
        with open(f'/proc/{self.pid}/statm', encoding='ascii') as f:
            return int(f.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')

    def threads(self):
        return len(os.listdir(f'/proc/{self.pid}/task'))


def tune(target, name, value, want='ok'):
    with Probe(PROBE) as probe:
        r = probe.tune(target.pid, name, value)
    assert r['result'] == want, r
    assert want != 'ok' or r['verdict'] == 'taken' and r['after'] == value and r['thread'] == 'borrowed', r
    return r


def jemalloc():
    if not os.path.exists(JEMALLOC):
        raise Skip('jemalloc is not installed')
    return {'LD_PRELOAD': JEMALLOC}


def test_mmap_threshold():
    """mmap_threshold: smaller blocks come from the heap, larger ones are mappings; and glibc adapts it no more"""
    with Program() as p:
        assert not p.in_heap(p('take', 1, 300000)[0])
        r = tune(p, 'mmap_threshold', MIB)
        assert r['before'] == 128 * 1024 and r['call'] == 'mallopt' and r['allocator'].startswith('glibc 2.'), r
        assert p.in_heap(p('take', 1, 300000, 1)[0])
        r = tune(p, 'mmap_threshold', 64 * 1024)
        assert r['before'] == MIB, r
        p('take', 1, 2 * MIB, 2)
        p('give', 1, 2) # as a rule this would make its size the threshold
        assert not p.in_heap(p('take', 1, 1500000, 3)[0])


def test_trim_threshold():
    """trim_threshold: what is free at the heap's end stays up to it, and goes at the next free() beyond"""
    with Program() as p:
        r = tune(p, 'trim_threshold', 512 * MIB)
        assert r['before'] == 128 * 1024, r
        before = p.rss()
        p('cycle', 800, 65536)
        assert p.rss() - before > 40 * MIB, (before, p.rss())
        tune(p, 'trim_threshold', 65536)
        p('cycle', 1, 65536)
        assert p.rss() - before < 10 * MIB, (before, p.rss())


def test_arena_max():
    """arena_max: taken by a process that had no second arena yet; without it each thread has one"""
    for limit in (None, 1):
        with Program() as p:
            if limit:
                assert tune(p, 'arena_max', limit)['before'] == 0
            inside = [p.in_heap(address) for address in p('in_threads', 3, 1000)]
            assert all(inside) if limit else not any(inside), (limit, inside)


def test_refused_by_glibc():
    """a value that glibc refused until 2.34: its own answer is told; later ones take it"""
    with Program() as p, Probe(PROBE) as probe:
        r = probe.tune(p.pid, 'mmap_threshold', 1 << 30)
        if tuple(map(int, r['allocator'].removeprefix('glibc ').split('.'))) < (2, 35):
            assert r['result'] == 'rejected' and r['verdict'] == 'refused' and r['before'] == r['after'] == 128 * 1024, r
        else:
            assert r['result'] == 'ok' and r['verdict'] == 'taken' and r['after'] == 1 << 30, r
        assert p.in_heap(p('take', 1, 300000)[0]) == (r['result'] == 'ok')


def test_defaults_not_known():
    """a program that changed what its settings are known by: the value before and after are not told, it is set"""
    with Program(MALLOC_MMAP_MAX_='1000') as p:
        with Probe(PROBE) as probe:
            r = probe.tune(p.pid, 'mmap_threshold', MIB)
        assert r['result'] == 'ok' and r['verdict'] == 'taken' and r['before'] is None and r['after'] is None, r
        assert p.in_heap(p('take', 1, 300000)[0])


def test_dirty_decay():
    """dirty_decay_ms: reaches the arenas in use; with 0 what is freed goes back at once"""
    with Program(**jemalloc()) as p:
        p('take', 1000, 65536)
        full = p.rss()
        p('give', 1000)
        r = tune(p, 'dirty_decay_ms', 0)
        assert r['before'] == 10000 and 1 <= r['tuned'] < r['arenas'] and r['call'] == 'mallctl', r
        assert r['allocator'].startswith('jemalloc 5.'), r
        assert full - p.rss() > 50 * MIB, (full, p.rss())
        p('take', 1000, 65536)
        p('give', 1000)
        assert full - p.rss() > 50 * MIB, (full, p.rss())
        assert tune(p, 'dirty_decay_ms', -1)['before'] == 0
        p('take', 1000, 65536)
        p('give', 1000)
        assert full - p.rss() < 10 * MIB, (full, p.rss())
        assert tune(p, 'muzzy_decay_ms', 5000)['before'] in (0, 10000)
    with Target(MKLEAK, 'fragment-threads', 'threads=4', env={**os.environ, **jemalloc()}) as t:
        r = tune(t, 'dirty_decay_ms', 1)
        assert r['tuned'] > 1, r
        status = t.ask('?')
        assert status['ok'] == '1' and status['eintr'] == '0', status


def test_background_thread():
    """background_thread: on and off where there are threads; refused where there is one"""
    with Program(**jemalloc()) as p:
        assert p.threads() == 1
        tune(p, 'background_thread', 1, 'one_thread')
        assert p.threads() == 1
        tune(p, 'background_thread', 0)
        p('in_threads', 2, 1000)
        n = p.threads()
        assert tune(p, 'background_thread', 1)['before'] == 0
        assert p.threads() > n
        assert tune(p, 'background_thread', 0)['before'] == 1
        assert p.threads() == n


def test_of_another_allocator():
    """a setting of jemalloc's asked of glibc, and the other way round; values that no setting has"""
    with Program() as p, Probe(PROBE) as probe:
        r = probe.tune(p.pid, 'dirty_decay_ms', 0)
        assert r['result'] == 'no_setting' and 'glibc' in r['detail'] and r['stop_usec'] == 0, r
        for param, value in ((0, 1), (7, 1), (99, 1), (2, -1), (2, 1 << 40), (1, 0), (5, -2), (4, 2)):
            probe.send(5, p.pid, param=param, value=value)
            assert probe.receive()['result'] == 'protocol', (param, value)
    with Program(**jemalloc()) as p, Probe(PROBE) as probe:
        r = probe.tune(p.pid, 'trim_threshold', 0)
        assert r['result'] == 'no_setting' and 'jemalloc' in r['detail'], r
        assert probe.trim(p.pid, flags=2)['call'] == 'mallctl_decay'
    with Program() as p, Probe(PROBE) as probe:
        assert probe.trim(p.pid, flags=2)['result'] == 'no_setting'


def test_nothing_is_noticed():
    """registers, FPU, mask, errno and waiting calls are as before"""
    for name in ('epoll-eintr', 'fpu', 'errno-keeper', 'mask-keeper'):
        with Target(MKLEAK, name) as t:
            for i in range(5):
                tune(t, 'trim_threshold', (i + 1) * 65536)
            assert t.ask('w')['ok'] == '1'
            status = t.ask('?')
            assert status['ok'] == '1' and status['bad'] == '0' and status['eintr'] == '0', status
            assert not t.scratch_maps()


if __name__ == '__main__':
    tap.main(globals())
