#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""plateau replay from the command line: traces of each form, a policy, expectations, pictures, and a recording of ours.

Arguments: the executable `plateau`, the folder of example configurations.
"""
import fcntl
import json
import math
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import xml.etree.ElementTree

import tap
from lib import DEADLINE_S

PLATEAU, CONFIG = sys.argv[1:3]
MIB = 1 << 20
SGR = re.compile(r'\x1b\[[0-9;]*m')


def environment(**changes):
    env = {k: v for k, v in os.environ.items() if not k.startswith(('LC_', 'PLATEAU_')) and k != 'NO_COLOR'}
    env.update(LANG='C.UTF-8', TZ='UTC', TERM='xterm-256color', **changes)
    return env


def replay(*args, text=''):
    return subprocess.run([PLATEAU, 'replay', *args], input=text.encode(), capture_output=True, timeout=DEADLINE_S,
                          env=environment(), check=False)


def expect(result, status, *texts):
    said = (result.stdout + result.stderr).decode()
    assert result.returncode == status, (result.args, result.returncode, said)
    for text in texts:
        assert text in said, (result.args, text, said)
    return result


def csv(law, hours, step_s=5, limit=1000 * MIB):
    lines = ['time_s,rss_bytes,limit_bytes']
    lines += [f'{i * step_s},{int(law(i * step_s) * MIB)},{limit}' for i in range(int(hours * 3600 / step_s))]
    return '\n'.join(lines) + '\n'


def leak(s):
    return 100 + s / 6 + math.sin(s / 13)


def flat(s):
    return 400 + 2 * math.sin(s / 70)


LEAK, FLAT = csv(leak, 2), csv(flat, 2)
FAST = csv(lambda s: 60 + s / 3, 0.5, limit=300 * MIB)


def test_time_line():
    """a leak: each decision with its reason, and what it would have prevented"""
    out = expect(replay('-', text=LEAK), 0, 'standard input', 'prevented  the OOM kill at 1:30:0').stdout.decode()
    for rung in 'alert', 'reclaim', 'rotate':
        assert re.search(rf'^ +\d:\d\d:\d\d .* {rung}$', out, re.M), (rung, out)
    assert 'had nothing been done' in out, out
    assert 'taken as nothing' in out, out # the assumption is told


def test_flat():
    """a flat trace: nothing, and no kill to prevent"""
    out = expect(replay('-', text=FLAT), 0, 'none in the trace', 'nothing was decided').stdout.decode()
    assert 'prevented' not in out and 'alert 0 ' in out, out


def test_expectations():
    """what is expected is met, or the status is 7 with a line that says what came"""
    met = 'alert-before:10m,reclaim,rotate-before:2m,false-alarms<=0,prevented'
    out = expect(replay('-q', '-e', met, '-', text=LEAK), 0).stdout.decode()
    assert len(out.strip().splitlines()) == 5 and 'NOT MET' not in out, out
    out = expect(replay('-q', '-e', 'no-action', '--expect', 'alert', '-', text=LEAK), 7).stdout.decode()
    assert re.search(r'NOT MET +no-action: (reclaim|rotate) \d', out), out
    assert re.search(r'^met +alert: alert 1 time', out, re.M), out
    expect(replay('-q', '-e', 'no-action,no-alert', '-', text=FLAT), 0)
    expect(replay('-q', '-e', 'verdict:leak', '-', text=LEAK), 0, 'met        verdict:leak: leak')
    expect(replay('-q', '-e', 'verdict:leak', '-', text=FLAT), 7)
    expect(replay('-e', 'alert-before:soon', '-', text=FLAT), 2, "expected a duration such as 10m")
    expect(replay('-e', 'nonsense', '-', text=FLAT), 2, "--expect 'nonsense': expected one of no-action")


def test_policy():
    """the configuration's policy decides, and its dry run does nothing"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'p.yaml')
        with open(path, 'w', encoding='utf-8') as f:
            f.write('targets:\n  - name: a\n    match: {pid: 1}\n    limit: 500MiB\n'
                    'policy: {dry_run: true, rotate: {method: signal}}\n')
        out = expect(replay('-c', path, '-', text=LEAK), 0, 'dry run').stdout.decode()
        assert re.search('would rotate$', out, re.M) and 'the kernel kills at 1:30' in out, out
        without = LEAK.replace(',limit_bytes', '').replace(f',{1000 * MIB}', '')
        expect(replay('-c', path, '-', text=without), 0, '524 MB, by the configuration', 'crossing   0:39:5')
        expect(replay('-c', path, '-t', 'b', '-', text=LEAK), 6, "--target 'b'")
        expect(replay('-c', path, '-t', 'a', '-', text=LEAK), 0)
    expect(replay('-c', '/nonexistent.yaml', '-', text=LEAK), 78, '/nonexistent.yaml')
    for name in sorted(os.listdir(CONFIG)):
        if name.endswith('.yaml'):
            expect(replay('-c', os.path.join(CONFIG, name), '-', text=LEAK), 0)
    expect(replay('-c', os.path.join(CONFIG, 'minimal.yaml'), '-e', 'no-rotate', '-', text=LEAK), 0,
           'rotate waits: this rung is switched off')


def test_gives():
    """what a reclaim gives is an assumption that can be made"""
    out = expect(replay('--reclaim-gives', '50%', '-', text=LEAK), 0, 'gives back 50 %').stdout.decode()
    assert 'is assumed to have given' in out, out
    expect(replay('--reclaim-gives', 'much', '-', text=LEAK), 2, 'expected none, or a share')


def test_json():
    """--json: one document with every event"""
    document = json.loads(expect(replay('--json', '-e', 'no-alert', '-', text=LEAK), 7).stdout)
    acts = [e['rung'] for e in document['events'] if e['event'] == 'decision' and e['acts']]
    assert {'alert', 'reclaim', 'rotate'} <= set(acts), acts
    times = [e['time_s'] for e in document['events']]
    assert times == sorted(times), times
    assert document['trace']['samples'] == 1440 and document['trace']['form'] == 'csv', document['trace']
    life = document['summary']['lives'][0]
    assert life['alert_s'] < life['rotate_s'] < life['crossed_s'] and life['scenario_crossed_s'] is None, life
    assert document['summary']['prevented'] == 1, document['summary']
    assert [e['met'] for e in document['expectations']] == [False]


def test_wrong():
    """what is wrong with a trace is told by file, line and column"""
    expect(replay('-', text='time_s,bytes\n0,1\n1,5MB\n'), 65, "-:3:3: memory '5MB': expected a number of bytes")
    expect(replay('-', text=''), 65, 'no sample')
    expect(replay('/nonexistent.csv'), 1, '/nonexistent.csv: No such file')
    expect(replay(), 2, 'expected TRACE')
    expect(replay('--at', '5m', '-', text=FLAT), 2, 'expected --svg')
    out = expect(replay('-', text='0 5 9\n10 5 9\n5 5 9\n'), 0, '-:3:1: warning: time 5.0')
    assert b'out of order left out' in out.stdout


def test_prometheus():
    """an answer to query_range, with the limit beside it"""
    rows = [line.split(',') for line in LEAK.splitlines()[1:]]
    series = [{'metric': {'__name__': 'rss', 'pod': pod}, 'values': [[1.7e9 + float(t), b] for t, b, _ in rows]}
              for pod in ('a', 'b')]
    series.append({'metric': {'__name__': 'memory_limit'}, 'values': [[1.7e9, str(1000 * MIB)]]})
    text = json.dumps({'status': 'success', 'data': {'resultType': 'matrix', 'result': series}})
    expect(replay('-', text=text), 65, 'expected one series; --series')
    expect(replay('-s', 'pod=b', '-e', 'rotate-before:1m,prevented', '-', text=text), 0, 'Prometheus query_range')


def test_picture():
    """--svg: well-formed, of itself alone, bounded, with the cone at the moments asked for"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'a<&>\n.csv')
        with open(path, 'w', encoding='utf-8') as f:
            f.write(LEAK)
        for args in [], ['--at', '30m', '--at', '50m,40m']:
            svg = os.path.join(folder, 'p.svg')
            expect(replay('-o', svg, *args, path), 0)
            root = xml.etree.ElementTree.parse(svg).getroot()
            texts = [''.join(e.itertext()) for e in root.iter('{http://www.w3.org/2000/svg}text')]
            assert any('a<&>' in t for t in texts), texts
            assert any(t.startswith('forecast 0:40:0') for t in texts) == bool(args), texts
            with open(svg, encoding='utf-8') as f:
                drawn = f.read()
            assert len(drawn) < 200000 and 'prefers-color-scheme' in drawn, len(drawn)
            assert drawn.count('http') == 1, 'it refers to nothing but its own namespace'
        expect(replay('-o', os.path.join(folder, 'no', 'p.svg'), path), 1, 'No such file')


def test_width():
    """on a terminal of 80 columns no line is longer"""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 50, 80, 0, 0))
    with tempfile.NamedTemporaryFile('w', suffix='.csv') as f:
        f.write(FAST)
        f.flush()
        process = subprocess.Popen([PLATEAU, 'replay', '-v', f.name], stdin=subprocess.DEVNULL, stdout=slave,
                                   stderr=slave, env=environment())
        os.close(slave)
        out = b''
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError: # EIO: the other end is closed
                break
            out += chunk
        assert process.wait(DEADLINE_S) == 0
    os.close(master)
    lines = [SGR.sub('', line) for line in out.decode().splitlines()]
    assert any('deadline: ' in line for line in lines), lines # the longest sentence
    assert max(len(line) for line in lines) <= 80, max(lines, key=len)
    with tempfile.NamedTemporaryFile('w', suffix='.csv') as f:
        f.write(FAST)
        f.flush()
        wide = expect(replay('-v', f.name), 0).stdout.decode()
    words, wide_words = (text.replace('\u00b7', '').split()[3:] for text in (' '.join(lines), wide))
    assert words == wide_words, 'nothing is cut: words are wrapped'


def test_recording():
    """what plateau watch --json writes is a trace"""
    with subprocess.Popen([sys.executable, '-c', 'import sys; sys.stdin.read()'], stdin=subprocess.PIPE) as child:
        watched = subprocess.run([PLATEAU, 'watch', str(child.pid), '--json', '--limit', '1GB', '--interval', '50ms',
                                  '--count', '12'], capture_output=True, timeout=DEADLINE_S, env=environment(),
                                 check=False)
        child.stdin.close()
    assert watched.returncode == 0, watched.stderr
    text = watched.stdout.decode()
    out = expect(replay('--json', '-', text=text), 0).stdout
    trace = json.loads(out)['trace']
    assert trace['form'] == 'watch' and trace['samples'] == 12 and trace['unordered'] == 0, trace
    expect(replay('-e', 'no-action', '-', text=text), 0, 'as recorded in the trace')


def columns(rows):
    return ''.join(f'{t} {int(v)} {limit}\n' for t, v, limit in rows)


def test_columns():
    """--columns: the forecaster alone, a line for each line; a leak is said when the rung's proof is there"""
    rows = [(i * 5, leak(i * 5) * MIB, 1000 * MIB) for i in range(1000)]
    first = {}
    for rung in ('alert', 'reclaim', 'rotate'):
        out = expect(replay('--columns', '--rung', rung, text=columns(rows)), 0).stdout.decode().splitlines()
        assert len(out) == len(rows), len(out)
        assert out[0] == 'wait 0 inf nan nan', out[0]
        verdicts = [line.split()[0] for line in out]
        first[rung] = verdicts.index('leak')
        slope, eta, low, high = (float(x) for x in out[-1].split()[1:])
        assert abs(slope / (MIB / 6) - 1) < 0.05 and low <= eta <= high, out[-1]
        assert abs(eta / ((1000 - leak(4995)) * 6) - 1) < 0.2, out[-1]
    assert first['alert'] <= first['reclaim'] <= first['rotate'], first
    out = expect(replay('--columns', text=columns((i * 5, flat(i * 5) * MIB, 0) for i in range(1000))), 0).stdout.decode()
    assert 'leak' not in out and out.splitlines()[-1].split()[2:] == ['inf', 'nan', 'nan'], out[-100:]


def test_columns_at_once():
    """--columns: each line is answered before the next one comes"""
    with subprocess.Popen([PLATEAU, 'replay', '--columns'], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        for i in range(20):
            p.stdin.write(f'{1700000000 + i}.25 {(100 + i) * MIB} {1000 * MIB}\n'.encode())
            p.stdin.flush()
            assert len(p.stdout.readline().split()) == 5
        p.stdin.close()
        assert p.wait(DEADLINE_S) == 0 and p.stdout.read() == b''


def test_columns_wrong():
    """--columns: what is wrong is told by its line, after the answers to those before"""
    for bad, why in (('1 2', 'must be three columns'), ('1 2 3 4', 'must be three columns'), ('nan 2 3', 'column 1'),
                     ('-1 2 3', 'column 1'), ('1e3 2 3', 'column 1'), ('1 -2 3', 'columns 2 and 3'),
                     ('1 2.5 3', 'columns 2 and 3'), ('1 2 99999999999999999999', 'columns 2 and 3'),
                     ('', 'must be three columns'), ('1 ' + '2' * 300, 'line 2: ')):
        result = expect(replay('--columns', text=f'0 1048576 0\n{bad}\n'), 65, 'line 2: ', why)
        assert result.stdout == b'wait 0 inf nan nan\n', result.stdout
    expect(replay('--columns', '--rung', 'all', text=''), 2, '--rung must be alert, reclaim or rotate')
    expect(replay('--columns', 'trace.csv'), 2, 'expected TRACE, or --columns alone')
    expect(replay('--columns', text=''), 0)


if __name__ == '__main__':
    tap.main(globals())
