#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""plateau verify from the command line: its three answers as exit statuses, before and after, and what is wrong.

Arguments: the executable `plateau`.
"""
import json
import math
import os
import subprocess
import sys
import tempfile

import tap
from lib import DEADLINE_S

PLATEAU = sys.argv[1]
MIB = 1 << 20


def verify(*args, text=''):
    return subprocess.run([PLATEAU, 'verify', *args], input=text, capture_output=True, text=True, timeout=DEADLINE_S,
                          env={**os.environ, 'LC_ALL': 'C.UTF-8'}, check=False)


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


def test_wrong():
    """what is wrong is named"""
    expect(verify(), 2, 'expected TRACE')
    expect(verify('-b', 'x'), 2, 'expected TRACE')
    expect(verify('-c', '2', 'x'), 2, "--confidence '2': expected 0.5 to 0.999")
    expect(verify('--daily', 'much', 'x'), 2, "--daily 'much'")
    expect(verify('/nonexistent'), 1, '/nonexistent: No such file')
    expect(verify('-', text='a,b\n1,2\n'), 65)


tap.main(globals())
