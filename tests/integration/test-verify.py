#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""plateau verify from the command line: its three answers as exit statuses, before and after, what is wrong; and real
programs watched, with glibc's malloc and with jemalloc under them.

Arguments: the executables `plateau`, `plateau-probe`, mkgrow.
"""
import glob
import json
import math
import os
import signal
import subprocess
import sys
import tempfile

import tap
from lib import DEADLINE_S, Skip, wait_until
from probelib import Target

PLATEAU, PROBE, MKGROW = sys.argv[1:4]
MIB = 1 << 20


def verify(*args, text=''):
    return subprocess.run([PLATEAU, 'verify', *args], input=text, capture_output=True, text=True,
                          timeout=DEADLINE_S * 2, env={**os.environ, 'LC_ALL': 'C.UTF-8'}, check=False)


def csv(law, n=5760, limit=4000):
    rows = [f'{i * 30},{int((law(i * 30) + math.sin(i * i)) * MIB)},{limit * MIB}' for i in range(n)]
    return 'time_s,rss_bytes,limit_bytes\n' + '\n'.join(rows) + '\n'


LINE = csv(lambda s: 500 + s / 300)
FLAT = csv(lambda s: 500 - 200 * math.exp(-s / 5000))
WAVE = csv(lambda s: 3900 + 40 * math.sin(s / 20000))


def expect(result, status, *texts):
    said = result.stdout + result.stderr
    assert result.returncode == status, (result.args, result.returncode, said)
    for text in texts:
        assert text in said, (text, said)
    return result


def test_answers():
    """a line, a plateau behind a warm-up, half of a wave: three statuses"""
    expect(verify('-', text=LINE), 8, 'LINE', 'a day [', 'within 30 d')
    expect(verify('-', text=FLAT), 0, 'PLATEAU', 'of warm-up')
    expect(verify('-', text=WAVE), 9, 'UNDECIDED', 'more of it')
    expect(verify('-', text='0 5\n1 5\n'), 9, 'too few samples')
    expect(verify('--horizon', '1d', '-', text=LINE), 0, 'PLATEAU') # known to grow, and the limit is further away


def test_before_after():
    """the trace after the cure is the answer, both are told"""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, text in ('line', LINE), ('flat', FLAT):
            paths.append(os.path.join(folder, name))
            with open(paths[-1], 'w', encoding='utf-8') as f:
                f.write(text)
        answer = json.loads(expect(verify('--json', '-b', paths[0], '-a', paths[1]), 0).stdout)
        assert [t['verdict'] for t in answer['traces']] == ['line', 'plateau'], answer
        assert answer['traces'][1]['slope_lo_bytes_per_s'] < answer['traces'][1]['slope_hi_bytes_per_s'], answer
        expect(verify('-b', paths[1], '-a', paths[0]), 8, 'before', 'after')


def test_bends():
    """growth that slows down is no line yet, and neither is a straight rise of half a day with room for weeks"""
    expect(verify('-', text=csv(lambda s: 500 + 100 * math.log1p(s / 600), limit=1500)), 9, 'slows down')
    expect(verify('-', text=csv(lambda s: 500 + s / 300, n=1440)), 9, 'one side of a wave')
    expect(verify('-', text=csv(lambda s: 500 + s / 300, n=1440, limit=900)), 8, 'LINE') # and this one without room


def test_several():
    """of several traces the worst is the status"""
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in 'abc']
        for path, text in zip(paths, (FLAT, LINE, WAVE)):
            with open(path, 'w', encoding='utf-8') as f:
                f.write(text)
        expect(verify(paths[0], paths[0]), 0)
        expect(verify(paths[0], paths[2]), 9)
        answer = json.loads(expect(verify('--json', *paths), 8).stdout)
        assert [t['verdict'] for t in answer['traces']] == ['plateau', 'line', 'undecided'], answer
        assert answer['verdict'] == 'line', answer


def test_change():
    """slopes and levels compared with intervals, resident for each byte in use, a picture of both"""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, law, used in ('a', lambda s: 500 + s / 300, 250), ('b', lambda s: 500 + s / 1200, 400):
            rows = [line + f',{used * MIB}' for line in csv(law).splitlines()[1:]]
            paths.append(os.path.join(folder, name))
            with open(paths[-1], 'w', encoding='utf-8') as f:
                f.write('time_s,rss_bytes,limit_bytes,in_use_bytes\n' + '\n'.join(rows) + '\n')
        svg = os.path.join(folder, 'svg')
        answer = json.loads(verify('--json', '-b', paths[0], '-a', paths[1], '--svg', svg).stdout)
        change = answer['change']
        assert change['slope_ratio_lo'] < 0.25 < change['slope_ratio_hi'] < 0.26, change
        saved = (576 - 144) * MIB # 5760 samples of 30 s at MiB/300 s and MiB/1200 s
        assert abs(change['saved_bytes'] - saved) < 0.05 * saved, (change, saved) # to the middle of the last window
        assert change['saved_lo_bytes'] < change['saved_bytes'] < change['saved_hi_bytes'], change
        ratios = [t['resident_per_in_use'] for t in answer['traces']]
        assert 2 < ratios[0] < 5 and 1 < ratios[1] < 2, ratios
        with open(svg, encoding='utf-8') as f:
            picture = f.read()
        assert picture.startswith('<svg') and '>before<' in picture and 'nothing been done' not in picture
        expect(verify('-b', paths[1], '-a', paths[0]), 8, 'growth is 4', '1.43 before')
        expect(verify(*paths, '--svg', svg), 2, 'expected one trace')


def watched(*args, env=None, **kwargs):
    with Target(MKGROW, 'fragment-trimmable', '20', 'step_kib=1024', env={**os.environ, **(env or {})}) as t:
        return verify(str(t.pid), '--probe', PROBE, *args, **kwargs)


BRIEFLY = '--for', '6s', '--interval', '100ms', '--limit', '300MB', '--horizon', '1m'


@tap.deadline(120)
def test_glibc_and_jemalloc():
    """a program that fragments glibc's heap is a line; with jemalloc under it a plateau, and compared with before"""
    with tempfile.TemporaryDirectory() as folder:
        before = os.path.join(folder, 'before.csv')
        expect(watched(*BRIEFLY, '--survey', '--out', before), 8, 'LINE', 'mkgrow', 'bytes resident for each')
        expect(verify(before, '--limit', '300MB', '--horizon', '1m'), 8, 'in use')
        expect(watched(*BRIEFLY, '--out', before), 1, 'exists already')
        found = sorted(glob.glob('/usr/lib/*-linux-gnu*/libjemalloc.so.2'))
        if not found:
            raise Skip('libjemalloc2 is not installed')
        expect(watched(*BRIEFLY, '-b', before, '-e', 'jemalloc', env={'LD_PRELOAD': found[0]}), 0, 'PLATEAU', 'change',
               'malloc    jemalloc')


def test_expected_allocator():
    """a library that was not found is told, and so is one that was"""
    expect(watched('-e', 'glibc'), 0, 'glibc')
    answer = json.loads(expect(watched('-e', 'jemalloc', '-j', env={'LD_PRELOAD': 'libnowhere.so.7'}), 7).stdout)
    assert answer['allocator_met'] is False and answer['allocator'].startswith('glibc'), answer
    expect(watched('-e', 'jemalloc', '--for', '1h'), 7, 'expected jemalloc') # and no hour is waited
    for library, name in ('libjemalloc.so.2', 'jemalloc'), ('libmimalloc.so.2.0', 'mimalloc'):
        for path in glob.glob('/usr/lib/x86_64-linux-gnu/' + library):
            expect(watched('-e', name, env={'LD_PRELOAD': path}), 0, name)


def test_stopped():
    """Ctrl-C judges what was seen; the end of the process does too"""
    with tempfile.TemporaryDirectory() as folder:
        for end in 'signal', 'target':
            out = os.path.join(folder, end)
            with Target(MKGROW, 'leak-large', '50', 'step_kib=1024') as t:
                with subprocess.Popen([PLATEAU, 'verify', str(t.pid), '--for', '1h', '--interval', '50ms', '--limit', '100MB',
                                       '--out', out],
                                      stdout=subprocess.PIPE, text=True) as p:
                    wait_until('it has taken 40 samples', lambda: lines(out) > 40)
                    if end == 'signal':
                        p.send_signal(signal.SIGINT)
                    else:
                        t.process.stdin.close()
                    said = p.communicate(timeout=DEADLINE_S)[0]
                    assert p.returncode == 8 and 'LINE' in said, (end, p.returncode, said)


def lines(path):
    try:
        with open(path, encoding='utf-8') as f:
            return len(f.readlines())
    except FileNotFoundError:
        return 0


def test_wrong():
    """what is wrong is named"""
    expect(verify(), 2, 'expected TRACE')
    expect(verify('-b', 'x'), 2, 'expected TRACE')
    expect(verify('x', '--for', '1h'), 2, 'expected a process')
    expect(verify('-m', '(', ), 2, "--match '('")
    expect(verify('-m', 'x', '-b', 'y', '-a', 'z'), 2, 'got both')
    expect(verify('4000000000'), 2)
    expect(verify('4194305'), 1, 'there is no process 4194305')
    expect(verify('-m', 'x', '-e', 'best'), 2, "--expect-allocator 'best': expected glibc")
    expect(verify('-m', 'x', '--for', '365d', '-i', '50ms'), 2, 'expected at most 1000000 samples')
    expect(verify('-c', '2', 'x'), 2, "--confidence '2': expected 0.5 to 0.999")
    expect(verify('--daily', 'much', 'x'), 2, "--daily 'much'")
    expect(verify('/nonexistent'), 1, '/nonexistent: No such file')
    expect(verify('-', text='a,b\n1,2\n'), 65)


tap.main(globals())
