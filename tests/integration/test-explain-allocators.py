#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""plateau explain on programs whose memory is not glibc's: each figure beside the one that the program has of itself."""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

import tap
from lib import DEADLINE_S, Skip, need
from pythonlib import interpreters

PLATEAU, PROBE = sys.argv[1:3]
INJECTOR = 'none' not in sys.argv[3:4]
MIB = 1 << 20


def explain(pid, *args, status=0):
    done = subprocess.run([PLATEAU, 'explain', '--json', '--probe', PROBE, *args, str(pid)], capture_output=True, text=True,
                          timeout=DEADLINE_S * 2, check=False)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    e = json.loads(done.stdout)
    if e['result'] == 'ok':
        assert e['rss_bytes'] == sum(p['rss_bytes'] for p in e['breakdown']), e
    return e


def part(e, kind):
    return sum(p['rss_bytes'] for p in e['breakdown'] if p['kind'] == kind)


class Program:
    """Reads a line when it is ready; ends when its stdin does."""

    def __init__(self, *args, until='\n', **kwargs):
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, **kwargs)
        self.pid = self.process.pid
        ready = ''
        while until not in ready:
            more = self.process.stdout.read(1)
            assert more, ready
            ready += more

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
        self.process.stdin.close()
        self.process.wait(DEADLINE_S)
        self.process.stdout.close()

    def ask(self, line):
        self.process.stdin.write(line + '\n')
        return self.process.stdout.readline()


def rest(program):
    """What it had to free and to read with is done, so its heap holds still."""
    for _ in range(2):
        assert program.ask('r') == 'rests\n'


# ---- CPython's arenas

PYMALLOC = '''
import gc, os, sys
gc.disable()
mib, every = int(sys.argv[1]), int(sys.argv[2])
keep = [(i, -i, None) for i in range(mib << 20 >> 6)]
keep = keep[::every]
print('ready', flush=True)
for line in sys.stdin:
    if line[0] == 'r':
        print('rests', flush=True)
        continue
    if line[0] == 'g':
        keep.append([(i, -i, None) for i in range(1 << 15)])
        print('grown', flush=True)
        continue
    os.dup2(os.open(sys.argv[3], os.O_RDWR | os.O_CREAT | os.O_TRUNC), 2)
    sys._debugmallocstats()
    print('told', flush=True)
'''


def own_arenas(program, path):
    """sys._debugmallocstats(), which prints on stderr."""
    assert program.ask('t') == 'told\n'
    with open(path, encoding='ascii') as f:
        text = f.read()
    number = lambda pattern: int(re.search(pattern, text).group(1).replace(',', ''))
    pools, size = re.search(r'^([\d,]+) unused pools \* (\d+) bytes', text, re.M).groups()
    return {'arenas': number(r'# arenas allocated current\s+=\s+([\d,]+)'), 'pools_free': int(pools.replace(',', '')),
            'pool_bytes': int(size), 'used_bytes': number(r'# bytes in allocated blocks\s+=\s+([\d,]+)'),
            'free_bytes': number(r'# bytes in available blocks\s+=\s+([\d,]+)') + int(pools.replace(',', '')) * int(size)}


def pythons():
    found = interpreters()
    if not found:
        raise Skip('no CPython is installed')
    return sorted(found.items())


def compare_pymalloc(version, path, told):
    with Program(path, '-c', PYMALLOC, '24', '7', told) as t:
        own = own_arenas(t, told)
        e = explain(t.pid)
        p = e['python']
        assert p and version.startswith(p['version']), (version, p)
        assert p['pools_unread'] == 0 and p['arenas'] == own['arenas'] and p['pool_bytes'] == own['pool_bytes'], (p, own)
        # what it takes to print the figures, and to read the next line
        assert abs(p['pools_free'] - own['pools_free']) <= 2, (version, p, own)
        for key in ('used_bytes', 'free_bytes'):
            assert abs(p[key] - own[key]) <= 2 * own['pool_bytes'], (version, key, p, own)
        assert p['arena_bytes'] == p['arenas'] * 64 * p['pool_bytes']
        assert 0.9 * p['arena_bytes'] < part(e, 'pymalloc') <= p['arena_bytes'], (version, e['breakdown'])
        print(f'# {version}: {p["arenas"]} arenas, {p["used_bytes"]} in use, {e["survey"]["cpu_usec"]} us of CPU')


@tap.deadline(300)
def test_pymalloc():
    """arenas, pools and blocks of every CPython: what sys._debugmallocstats() says, and all of it on one line"""
    for version, path in pythons():
        with tempfile.TemporaryDirectory(prefix='plateau-pymalloc-') as folder:
            compare_pymalloc(version, path, os.path.join(folder, 'told'))


def test_pymalloc_pinned():
    """arenas that a few blocks hold: pinned, and how few; the remedy is PYTHONMALLOC=malloc, which holds what it says"""
    path = pythons()[-1][1]
    with Program(path, '-c', PYMALLOC, '64', '1000') as t:
        rest(t)
        e = explain(t.pid)
        p, v = e['python'], e['verdict']
        assert v['kind'] == 'pinned_fragmentation' and v['part'] == 'pymalloc_free' and v['remedy'] == 'python_malloc', v
        assert p['sparse_arena_bytes'] > 50 * MIB and p['sparse_used_bytes'] < 8 * MIB, p
        assert 0 < p['sparse_blocks_in_use'] < p['blocks_in_use'], p
        gain = v['remedies'][0]['gain_bytes']
        assert gain > 50 * MIB, v
    with Program(path, '-c', PYMALLOC, '64', '1000', env={**os.environ, 'PYTHONMALLOC': 'malloc'}) as t:
        rest(t)
        e = explain(t.pid)
        assert e['heap']['trimmable_bytes'] > 0.8 * gain, (gain, e['heap'])
        assert part(e, 'pymalloc') < MIB and e['verdict']['kind'] == 'trimmable', e


def test_pymalloc_grows():
    """a Python that keeps what it makes: live growth of pymalloc's arenas"""
    with Program(pythons()[-1][1], '-c', PYMALLOC, '8', '1') as t:
        with subprocess.Popen([PLATEAU, 'explain', '--json', '--probe', PROBE, '--diff', '3', str(t.pid)],
                              stdout=subprocess.PIPE, text=True) as asked:
            while asked.poll() is None:
                assert t.ask('g') == 'grown\n'
                try:
                    asked.wait(0.1)
                except subprocess.TimeoutExpired:
                    pass
            v = json.loads(asked.stdout.read())['verdict']
        assert v['kind'] == 'live_growth' and v['part'] == 'pymalloc', v


def test_no_python():
    """a program without Python has no such figures"""
    with subprocess.Popen(['sleep', '60']) as t:
        e = explain(t.pid)
        assert e['python'] is None and part(e, 'pymalloc') == 0, e
        t.kill()

def javas():
    found = {os.path.realpath(path) for path in glob.glob('/usr/lib/jvm/*/bin/java')}
    if not found:
        raise Skip('java is not installed')
    return sorted(found)


class Jvm(Program):
    """keytool, which every Java runtime has, waits for a password; all of its heap is in memory."""

    def __init__(self, java, collector):
        self.folder = tempfile.TemporaryDirectory(prefix='plateau-java-')
        super().__init__(java, '-Xms64m', '-Xmx64m', '-XX:+AlwaysPreTouch', '-XX:+Use' + collector, '-m',
                         'java.base/sun.security.tools.keytool.Main', '-genkeypair', '-alias', 'x', '-keystore', 'none',
                         stderr=subprocess.STDOUT, cwd=self.folder.name, env={**os.environ, 'LC_ALL': 'C'}, until='password')

    def __exit__(self, *args):
        self.process.kill()
        super().__exit__(*args)
        self.folder.cleanup()


@tap.deadline(180)
def test_java():
    """a JVM's heap and compiled code are lines of their own, whichever collector it has: by its own table of itself"""
    for java in javas():
        for collector in ('SerialGC', 'G1GC', 'ParallelGC'):
            with Jvm(java, collector) as t:
                e = explain(t.pid)
                assert e['java'] and e['java']['heap_reserved_bytes'] == 64 * MIB, (java, collector, e['java'])
                assert e['java']['code_reserved_bytes'] > 32 * MIB, e['java']
                assert 56 * MIB < part(e, 'java_heap') <= 64 * MIB, (java, collector, e['breakdown'])
                assert 0 < part(e, 'java_code') < 32 * MIB and e['verdict']['part'] == 'java_heap', (e['verdict'], e['breakdown'])
                print(f'# {java} {collector}: {e["survey"]["cpu_usec"]} us of CPU')
    with subprocess.Popen(['sleep', '60']) as t:
        assert explain(t.pid)['java'] is None
        t.kill()


def test_runtimes():
    """musl and Go manage memory in ways that nobody outside knows: named, their memory on one line, no figure made up"""
    with tempfile.TemporaryDirectory(prefix='plateau-musl-') as folder:
        source = os.path.join(folder, 'hold.c')
        with open(source, 'w', encoding='ascii') as f:
            f.write('#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n'
                    'int main(void) { for (int i = 0; i < 20000; i++) memset(malloc(1000), 1, 1000); puts("ready");'
                    ' fflush(stdout); return getchar(); }\n')
        for options in ((), ('-static',)):
            subprocess.run([need('musl-gcc'), *options, '-o', os.path.join(folder, 'hold'), source], check=True)
            with Program(os.path.join(folder, 'hold')) as t:
                e = explain(t.pid)
                assert e['allocator'] == 'musl' and part(e, 'allocator') > 18 * MIB, (options, e['allocator'], e['breakdown'])
                assert e['heap']['in_use_bytes'] is None and e['heap']['trimmable_bytes'] is None, e['heap']
                if INJECTOR:
                    assert explain(t.pid, '--call')['allocator_stats'] is None


# ---- allocators that are asked

# Holds blocks of 1000 bytes in the allocator that was preloaded, frees all but each 20th, and tells its own figures.
BLOCKS = '''
import ctypes, json, os, sys, threading
C = ctypes.CDLL(None)
C.malloc.restype = ctypes.c_void_p
C.malloc.argtypes = [ctypes.c_size_t]
C.free.argtypes = [ctypes.c_void_p]
SIZE = ctypes.c_size_t
def take(n):
    found = [C.malloc(1000) for _ in range(n)]
    for block in found:
        ctypes.memset(block, 1, 1000)
    return found
def mallctl(name, kind=SIZE, new=None):
    value, length = kind(), SIZE(ctypes.sizeof(kind))
    assert C.mallctl(name.encode(), ctypes.byref(value), ctypes.byref(length), new and ctypes.byref(new),
                     SIZE(new and ctypes.sizeof(new) or 0)) == 0, name
    return value.value
def property(name):
    value = SIZE()
    assert C.MallocExtension_GetNumericProperty(name.encode(), ctypes.byref(value)) == 1, name
    return value.value
def figures(kind):
    if kind == 'jemalloc':
        mallctl('epoch', ctypes.c_uint64, ctypes.c_uint64(1))
        page = mallctl('arenas.page')
        return {**{n + '_bytes': mallctl('stats.' + n) for n in ('allocated', 'active', 'metadata', 'resident', 'mapped', 'retained')},
                'dirty_bytes': page * mallctl('stats.arenas.4096.pdirty'), 'muzzy_bytes': page * mallctl('stats.arenas.4096.pmuzzy'),
                'arenas': mallctl('arenas.narenas', ctypes.c_uint),
                'bins': [[mallctl(f'arenas.bin.{i}.size'), mallctl(f'arenas.bin.{i}.nregs', ctypes.c_uint32),
                          mallctl(f'stats.arenas.4096.bins.{i}.curslabs'), mallctl(f'stats.arenas.4096.bins.{i}.curregs')]
                         for i in range(mallctl('arenas.nbins', ctypes.c_uint))]}
    return {'allocated_bytes': property('generic.current_allocated_bytes'), 'mapped_bytes': property('generic.heap_size'),
            'dirty_bytes': property('tcmalloc.pageheap_free_bytes'), 'retained_bytes': property('tcmalloc.pageheap_unmapped_bytes'),
            'central_cache_bytes': property('tcmalloc.central_cache_free_bytes')}
for _ in range(int(sys.argv[1])):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
kept = take(60000)
for i, block in enumerate(kept):
    if i % 20:
        C.free(block)
large = C.malloc(24 << 20)
ctypes.memset(large, 1, 24 << 20)
C.free(large)
print('ready', flush=True)
for line in sys.stdin:
    if line[0] == 'g':
        kept += take(2000)
        print('grown', flush=True)
    else:
        print(json.dumps(figures(line.strip())), flush=True)
os._exit(0)
'''


def preloaded(pattern, package, threads=0, **env):
    if not INJECTOR:
        raise Skip('no calls are made on this architecture')
    found = sorted(glob.glob('/usr/lib/x86_64-linux-gnu/' + pattern))
    if not found:
        raise Skip(f'{package} is not installed')
    return Program('/usr/bin/python3', '-c', BLOCKS, str(threads),
                   env={**os.environ, 'LD_PRELOAD': found[0], 'PYTHONMALLOC': 'malloc', **env})


def reclaimed(pid):
    done = subprocess.run([PLATEAU, 'reclaim', '--json', '--probe', PROBE, '--find-timeout', '20s', str(pid)],
                          capture_output=True, text=True, timeout=DEADLINE_S * 2, check=False)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)['released_bytes']


def called(target, own, slack):
    """With --call: the figures in @own, within @slack bytes: asking allocates, on either side."""
    e = explain(target.pid, '--call')
    told = e['allocator_stats']
    assert told and e['call']['result'] == 'ok' and e['call']['thread'] == 'borrowed', e['call']
    for key, value in own.items():
        if key != 'bins':
            assert abs(told[key] - value) <= slack, (key, told, own)
    return e


def foretold(target, e):
    """The verdict is by those figures, and what a purge gives back was right."""
    v = e['verdict']
    assert v['kind'] == 'trimmable' and v['part'] == 'heap_free' and v['confidence'] > 0.9, v
    gain = next(r['gain_bytes'] for r in v['remedies'] if r['kind'] == 'reclaim')
    assert gain > 16 * MIB and not any(r['kind'] == 'other_malloc' for r in v['remedies']), v
    released = reclaimed(target.pid)
    assert abs(released - gain) <= 0.05 * gain, (gain, released)


def test_jemalloc():
    """jemalloc's own statistics and size classes, as mallctl tells them within; with threads and without"""
    for threads in (0, 3):
        with preloaded('libjemalloc.so.2', 'libjemalloc2', threads) as t:
            t.ask('jemalloc')
            own = json.loads(t.ask('jemalloc'))
            e = called(t, own, 256 << 10)
            told = e['allocator_stats']
            bins = {b['size_bytes']: b for b in told['bins']}
            for size, regions, slabs, used in own['bins']:
                if slabs:
                    assert bins[size]['slab_regions'] == regions and abs(bins[size]['slabs'] - slabs) <= 8, (size, bins[size], slabs)
                    assert abs(bins[size]['in_use'] - used) <= 600, (size, bins[size], used)
            b = bins[1024]
            assert b['wasted_bytes'] == (b['slabs'] * b['slab_regions'] - b['in_use']) * 1024 > MIB, b
            assert told['bins_wasted_bytes'] >= b['wasted_bytes'] and told['name'].startswith('jemalloc 5.'), told
            assert told['central_cache_bytes'] is None and told['dirty_decay_ms'] == 10000, told
            foretold(t, e)
            assert json.loads(t.ask('jemalloc'))['allocated_bytes'] > 0


def test_jemalloc_keeps():
    """a jemalloc that never gives back by itself: told, with what sets it right"""
    with preloaded('libjemalloc.so.2', 'libjemalloc2', MALLOC_CONF='dirty_decay_ms:-1,muzzy_decay_ms:-1') as t:
        e = explain(t.pid, '--call')
        assert e['allocator_stats']['dirty_decay_ms'] == -1, e['allocator_stats']
        assert [r['kind'] for r in e['verdict']['remedies']] == ['reclaim', 'decay'], e['verdict']
        foretold(t, e)


def test_tcmalloc():
    """gperftools' numeric properties"""
    with preloaded('libtcmalloc_minimal.so.4', 'libtcmalloc-minimal4') as t:
        t.ask('tcmalloc')
        e = called(t, json.loads(t.ask('tcmalloc')), 256 << 10)
        told = e['allocator_stats']
        assert told['resident_bytes'] > told['allocated_bytes'] > 0 and told['active_bytes'] is None and told['bins'] == [], told
        foretold(t, e)


@tap.deadline(120)
def test_growth_inside():
    """a leak in jemalloc, asked at each look: it is in use that grows, not the allocator as a whole"""
    with preloaded('libjemalloc.so.2', 'libjemalloc2') as t:
        for args, part in ((('--call',), 'heap_in_use'), ((), 'allocator')):
            with subprocess.Popen([PLATEAU, 'explain', '--json', '--probe', PROBE, *args, '--diff', '4', str(t.pid)],
                                  stdout=subprocess.PIPE, text=True) as asked:
                while asked.poll() is None:
                    assert t.ask('g') == 'grown\n'
                    try:
                        asked.wait(0.1)
                    except subprocess.TimeoutExpired:
                        pass
                v = json.loads(asked.stdout.read())['verdict']
            assert v['kind'] == 'live_growth' and v['part'] == part, (args, v)


def test_no_figures():
    """glibc's heap needs no call, mimalloc has nothing to tell: said so, and the survey stands; without --call none is made"""
    if not INJECTOR:
        raise Skip('no calls are made on this architecture')
    with subprocess.Popen(['sleep', '60']) as t:
        e = explain(t.pid, '--call')
        assert e['call']['reason'] == 'no_figures' and e['allocator_stats'] is None and e['call']['stop_usec'] is None, e['call']
        e = explain(t.pid)
        assert e['call'] is None and e['allocator_stats'] is None, e
        t.kill()
    with preloaded('libmimalloc.so.*', 'libmimalloc') as t:
        e = explain(t.pid, '--call')
        assert e['call']['reason'] == 'no_figures' and 'mimalloc' in e['call']['detail'], e['call']
        assert e['allocator'] == 'mimalloc' and part(e, 'allocator') > 0, e


if __name__ == '__main__':
    tap.main(globals())
