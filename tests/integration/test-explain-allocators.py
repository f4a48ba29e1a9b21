#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""plateau explain on programs whose memory is not glibc's: each figure beside the one that the program has of itself."""
import json
import os
import re
import subprocess
import sys

import tap
from lib import DEADLINE_S, Skip
from pythonlib import interpreters

PLATEAU, PROBE = sys.argv[1:3]
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

    def __init__(self, *args, **kwargs):
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, **kwargs)
        self.pid = self.process.pid
        self.ready = self.process.stdout.readline()

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


# ---- CPython's arenas

PYMALLOC = '''
import gc, os, sys
gc.disable()
mib, every = int(sys.argv[1]), int(sys.argv[2])
keep = [(i, -i, None) for i in range(mib << 20 >> 6)]
keep = keep[::every]
print('ready', flush=True)
for line in sys.stdin:
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


@tap.deadline(300)
def test_pymalloc():
    """arenas, pools and blocks of every CPython: what sys._debugmallocstats() says, and all of it on one line"""
    told = f'/tmp/plateau-pymalloc-{os.getpid()}'
    for version, path in pythons():
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
    os.unlink(told)


def test_pymalloc_pinned():
    """arenas that a few blocks hold: pinned, and how few; the remedy is PYTHONMALLOC=malloc, which holds what it says"""
    path = pythons()[-1][1]
    with Program(path, '-c', PYMALLOC, '64', '1000') as t:
        e = explain(t.pid)
        p, v = e['python'], e['verdict']
        assert v['kind'] == 'pinned_fragmentation' and v['part'] == 'pymalloc_free' and v['remedy'] == 'python_malloc', v
        assert p['sparse_arena_bytes'] > 50 * MIB and p['sparse_used_bytes'] < 8 * MIB, p
        assert 0 < p['sparse_blocks_in_use'] < p['blocks_in_use'], p
        gain = v['remedies'][0]['gain_bytes']
        assert gain > 50 * MIB, v
    with Program(path, '-c', PYMALLOC, '64', '1000', env={**os.environ, 'PYTHONMALLOC': 'malloc'}) as t:
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


if __name__ == '__main__':
    tap.main(globals())
