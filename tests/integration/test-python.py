# SPDX-License-Identifier: Apache-2.0
"""The objects of live Python programs, counted from outside: the same as they count themselves, and unseen by them."""
import os
import select
import subprocess
import sys

import tap
from lib import Skip, need
from probelib import PYTHON, Probe, Target, children
from pythonlib import (ARENAS, BLOCKS, COMPLETE, LISTS_ONLY, SAMPLED, TASKS, THREADS, TORN, UNTRACKED, PythonTarget, ask,
                       census, interpreters, receive)

PROBE, MKLEAK, MKLEAK_STATIC = sys.argv[1:4]
SANITIZED = 'sanitized' in sys.argv[4:]
PYTHONS = interpreters()
OWN = {'__main__.Node': 5000, '__main__.Slotted': 1000, '__main__.Outer.Inner': 300, '__main__.Mapping': 200,
       '__main__.\u00dcmlaut': 150}
SIZED = ('__main__.Slotted', 'builtins.list', 'builtins.set', 'builtins.dict') # whose __sizeof__ is no more than we count
SLACK = 16 # frames and lists of the counting itself, on either side


def name_of(name):
    return name[len('builtins.'):] if name.startswith('builtins.') else name


def whole(target):
    """A census that was walked to its end."""
    result, detail, c = census(PROBE, target.pid)
    assert result == 'ok', (result, detail)
    assert c.complete(), hex(c.flags)
    return c


def agrees(target):
    """Types and totals as the program itself counted them."""
    facts, c = target.facts, whole(target)
    assert facts['version'].startswith(c.version), (facts['version'], c.version)
    for name, n in OWN.items():
        assert c.objects(name) == n == facts['types'].get(name, [n])[0], (name, n, c.objects(name))
    assert abs(c.all[0] - c.permanent[0] - facts['total']) <= SLACK, (c.all, c.permanent, facts['total'])
    assert sum(n for n, _ in c.types.values()) + c.others[0] == c.all[0]
    for name, (n, _) in facts['types'].items():
        extra = c.permanent[0] if name == 'builtins.tuple' else 0 # 3.12 has tuples of code there, which gc does not tell
        got = c.objects(name_of(name))
        if c.types.get(name_of(name)):
            assert n - SLACK <= got <= n + extra + SLACK, (name, n, got)
    for name in SIZED:
        n, size = facts['types'][name]
        got = c.types[name_of(name)]
        assert abs(got[1] - size) <= 2000 + size // 200, (name, (n, size), got)
    assert c.flags & BLOCKS and abs(c.n_blocks - facts['blocks']) <= 40, (c.n_blocks, facts['blocks'])
    assert c.flags & ARENAS and c.arenas_bytes == c.arenas << (20 if minor(facts['version']) >= 10 else 18)
    assert c.pools_used + c.pools_free <= c.arenas * 64 and c.blocks_free_bytes < c.arenas_bytes
    return c


def minor(version):
    return int(version.split('.')[1])


def exact(name, path):
    def test():
        with PythonTarget(path, 'mixed', '5000') as t:
            agrees(t)
    test.__doc__ = f'CPython {name}: every type as often as it counts itself'
    return test


for _number, (_name, _path) in enumerate(sorted(PYTHONS.items())):
    globals()[f'test_exact_{_number}'] = exact(_name, _path)


def each():
    return sorted(PYTHONS.items())


def test_unseen():
    """the program is neither stopped nor grown by it"""
    with PythonTarget(sys.executable, 'mixed', '20000') as t:
        whole(t) # first: the pages of its libraries that it had not touched are looked at
        before = t.status()
        for _ in range(5):
            whole(t)
        after = t.status()
        for key in ('RssAnon', 'RssFile', 'VmData', 'voluntary_ctxt_switches', 'nonvoluntary_ctxt_switches', 'TracerPid'):
            assert before[key] == after[key], (key, before[key], after[key])


def texts(path, n):
    """What the census and the program itself say of a program that holds so many of each: {name: (objects, bytes)}."""
    with PythonTarget(path, 'strings', str(n)) as t:
        c = whole(t)
        result, _, without = census(PROBE, t.pid, value=LISTS_ONLY)
        assert result == 'ok' and without.complete() and not without.flags & UNTRACKED and without.strings == (0, 0)
        assert without.all == c.all
        assert c.flags & UNTRACKED and bool(c.flags & SAMPLED) == (c.sample_every > 1) == (n > 10000), (n, hex(c.flags))
        return {'bytes': c.bytes, 'bytearray': c.bytearrays, 'str': c.strings}, t.facts['texts']


@tap.deadline(240)
def test_texts():
    """bytes, bytearrays and strings are those that objects hold: each while they are few, else estimated"""
    for name, path in each():
        none = texts(path, 10) # the strings of the modules, of which we see fewer: not those that only functions hold
        for n, share in ((3000, 0.005), (15000, 0.03)):
            some = texts(path, n)
            for kind in none[0]:
                got, want = ([b - a for a, b in zip(none[i][kind], some[i][kind])] for i in (0, 1))
                some_share = 0.1 if kind == 'bytearray' and n > 10000 else share # there are few of them
                assert all(abs(g - w) <= some_share * w for g, w in zip(got, want)), (name, n, kind, got, want)


@tap.deadline(240)
def test_frozen():
    """gc.freeze() moves all into the permanent generation"""
    tried = 0
    for name, path in each():
        if name.startswith('3.6'):
            continue # has none
        tried += 1
        with PythonTarget(path, 'mixed', '2000') as t:
            n = whole(t).all[0]
            t.ask('freeze')
            c = whole(t)
            assert c.permanent[0] >= n - 100 and c.all[0] - c.permanent[0] < 5000, (name, n, c.permanent, c.all)
    if not tried:
        raise Skip('no CPython 3.7 or later')


@tap.deadline(240)
def test_threads_and_tasks():
    """threads of the interpreter and asyncio's tasks are counted"""
    for name, path in each():
        with PythonTarget(path, 'threads', '7') as t:
            c = whole(t)
            assert c.flags & THREADS and c.n_threads == t.facts['threads'] == 8, (name, c.n_threads)
        with PythonTarget(path, 'tasks', '40') as t:
            c = whole(t)
            assert c.flags & TASKS and c.n_tasks == 40, (name, c.n_tasks)


@tap.deadline(240)
def test_interpreters():
    """all interpreters of a process are counted together"""
    tried = 0
    for name, path in each():
        if tuple(int(p) for p in name.split()[0].split('.')[:2]) < (3, 8):
            continue
        tried += 1
        with PythonTarget(path, 'interpreters', '3') as t:
            c = whole(t)
            assert c.n_interpreters == 4, (name, c.n_interpreters)
            assert c.objects('__main__.Inside') == 1500, (name, c.objects('__main__.Inside'))
    if not tried:
        raise Skip('no CPython 3.8 or later')


@tap.deadline(240)
def test_busy():
    """while it makes and drops objects without pause, the ones that stay are all counted"""
    for name, path in each():
        with PythonTarget(path, 'mixed', '40000') as t:
            t.ask('churn')
            for _ in range(3):
                c = whole(t)
                assert abs(c.objects('__main__.Node') - 40000) <= 40, (name, c.objects('__main__.Node'), c.n_retries)
                assert abs(c.objects('__main__.Slotted') - 1000) <= 1, (name, c.objects('__main__.Slotted'))


@tap.deadline(240)
def test_collecting():
    """while it collects without pause: right, or said to be torn or not whole"""
    for name, path in each():
        with PythonTarget(path, 'mixed', '30000') as t:
            t.ask('collect')
            for _ in range(3):
                result, detail, c = census(PROBE, t.pid, budget_ms=1000)
                if result == 'ok' and c.flags & COMPLETE:
                    assert not c.flags & TORN and abs(c.objects('__main__.Node') - 30000) <= 30, (name, c.objects('__main__.Node'))
                else:
                    assert result in ('ok', 'no_python'), (name, result, detail)


def test_no_time():
    """a heap that is too large for its time is told as not whole"""
    with PythonTarget(sys.executable, 'mixed', '300000') as t:
        result, detail, c = census(PROBE, t.pid, budget_ms=1)
        assert result == 'ok', (result, detail)
        assert not c.flags & COMPLETE and c.all[0] < 300000, (hex(c.flags), c.all)


def test_many_classes():
    """more classes than the table holds: the rest is summed up; classes of one name are one row"""
    with PythonTarget(sys.executable, 'classes', '6000') as t:
        c = whole(t)
        assert c.n_types <= 4096 and c.others[0] > 1000, (c.n_types, c.others)
        assert abs(c.all[0] - t.facts['total']) <= SLACK
    with PythonTarget(sys.executable, 'same_classes', '20000') as t:
        c = whole(t)
        assert c.objects('__main__.Same') == 20000 and c.n_types < 1000, (c.n_types, c.objects('__main__.Same'))


def test_no_python():
    """what is no CPython is refused with a sentence"""
    for path in (MKLEAK, MKLEAK_STATIC):
        if not os.path.exists(path):
            continue
        with Target(path, 'steady', 'size_mib=1') as t:
            result, detail, _ = census(PROBE, t.pid)
            assert result == 'no_python' and 'no CPython' in detail, (result, detail)
    with Probe(PROBE) as probe:
        result, _, _ = ask(probe, os.getpid(), ticks=1)
        assert result == 'gone', result


def test_pypy():
    """PyPy, which has no gc lists, is refused by its name"""
    with subprocess.Popen([need('pypy3'), '-c', 'import os; os.write(1, b"up"); os.read(0, 1)'], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as p:
        assert p.stdout.read(2) == b'up'
        result, detail, _ = census(PROBE, p.pid)
        p.stdin.close()
    assert result == 'no_python' and 'PyPy' in detail, (result, detail)


def high_water_kib(pid):
    try:
        with open(f'/proc/{pid}/status', encoding='ascii') as f:
            return next((int(line.split()[1]) for line in f if line.startswith('VmHWM')), 0)
    except OSError:
        return 0


def test_memory():
    """the probe's worker keeps within 16 MiB, however large the heap, and gives all of it back"""
    if SANITIZED:
        raise Skip('the sanitizer takes memory of its own')
    with PythonTarget(sys.executable, 'mixed', '300000') as t, Probe(PROBE) as probe:
        probe.send(PYTHON, t.pid, budget_ms=20000)
        peak = 0
        while not select.select([probe.socket], [], [], 0)[0]:
            peak = max([peak] + [high_water_kib(child) for child in children(probe.process.pid)])
        result, detail, c = receive(probe)
        assert result == 'ok' and c.complete(), (result, detail)
        assert 0 < peak < 16384, peak
        assert high_water_kib(probe.process.pid) < 4096, high_water_kib(probe.process.pid)


tap.main(globals())
