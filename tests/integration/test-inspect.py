#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`plateau inspect`: its answers and its pictures from a probe that is played (census-player).

Arguments: the executable `plateau`, `plateau-probe`, and census-player.
"""
import fcntl
import json
import os
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unicodedata

import tap
from lib import DEADLINE_S

PLATEAU, PROBE, PLAYER = sys.argv[1:4]
SGR = re.compile(r'\x1b\[[0-9;]*m')
FOLDER = tempfile.TemporaryDirectory()


def environment(**changes):
    env = {k: v for k, v in os.environ.items() if not k.startswith('LC_') and k != 'NO_COLOR'}
    env.update(LANG='C.UTF-8', TERM='xterm-256color', PLATEAU_PROBE=PROBE)
    env.update(changes)
    return env


def player(name):
    """A link by which the player knows what to play."""
    path = os.path.join(FOLDER.name, 'census-player-' + name)
    if not os.path.islink(path):
        os.symlink(PLAYER, path)
    return path


def inspect(*args, pid=None, play=None, **changes):
    words = [PLATEAU, 'inspect', *args, str(pid or os.getpid())]
    if play:
        words += ['--probe', player(play)]
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE_S,
                          env=environment(**changes), check=False)


def expect(result, status, *texts):
    said = (result.stdout + result.stderr).decode()
    assert result.returncode == status, (result.args, result.returncode, said)
    for text in texts:
        assert text in said, (result.args, text, said)
    return said


def document(*args, status=0, **kwargs):
    result = inspect('--json', *args, **kwargs)
    assert result.returncode == status, (result.args, result.returncode, result.stdout, result.stderr)
    return json.loads(result.stdout.decode('utf-8', 'strict'))


def on_terminal(columns, rows, *args, play, **changes):
    """Lines that it writes to a terminal of this size."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
    process = subprocess.Popen([PLATEAU, 'inspect', *args, '--probe', player(play), str(os.getpid())], stdin=slave,
                               stdout=slave, stderr=subprocess.DEVNULL, env=environment(**changes))
    os.close(slave)
    output, end = b'', time.monotonic() + DEADLINE_S
    while True:
        assert select.select([master], [], [], end - time.monotonic())[0], 'not in time'
        try:
            chunk = os.read(master, 65536)
        except OSError: # EIO: the other end is closed
            chunk = b''
        if not chunk:
            break
        output += chunk
    os.close(master)
    assert process.wait(DEADLINE_S) == 0
    return output.decode().replace('\r', '').splitlines()


def width(line):
    text = SGR.sub('', line)
    assert '\x1b' not in text and all(c >= ' ' for c in text), text
    return sum(2 if unicodedata.east_asian_width(c) in 'WF' else 1 for c in text)


# ---- figures that are played ----

def test_one_census():
    """one census: version, how it was read, and each figure, largest type first"""
    said = expect(inspect(play='plain'), 0, 'CPython 3.11.2', 'from outside, nothing stopped', 'complete', '832,658 (122 MB)',
                  'str 1,203,112 (98.4 MB)', 'bytearray 800 (52.4 MB)', '2,345,678 blocks', '1,280 arenas of 336 MB',
                  '5 threads', '12 asyncio tasks', 'old 828,744', '; --top 40 shows more')
    rows = [line.split()[-1] for line in said.splitlines() if '%' in line]
    assert len(rows) == 20 and rows[:3] == ['dict', 'tuple', 'list'], rows
    assert '\x1b' not in said


def test_the_json_of_one_census():
    """--json: the documented keys, and all types"""
    d = document(play='plain')
    assert d['result'] == d['reason'] == 'ok' and d['pid'] == os.getpid() and d['diff'] is d['call'] is None, d
    c = d['census']
    assert list(c) == ['version', 'mode', 'complete', 'torn', 'sampled', 'sample_every', 'retries', 'duration_usec', 'cpu_usec',
                       'interpreters', 'threads', 'tasks', 'objects', 'generations', 'str', 'bytes', 'bytearray',
                       'allocated_blocks', 'arenas', 'types', 'other_types'], list(c)
    assert c['mode'] == 'passive' and c['complete'] and not c['torn'] and c['objects']['count'] == 832658, c
    assert c['generations']['middle'] == {'count': 3402, 'bytes': 408240}, c['generations']
    assert c['arenas'] == {'count': 1280, 'bytes': 335544320, 'pools_used': 80690, 'pools_free': 1230,
                           'free_block_bytes': 12340000}, c['arenas']
    assert len(c['types']) == 23 and c['types'][0] == {'type': 'dict', 'count': 312404, 'bytes': 72310000}, c['types']
    assert len(document('--top', '3', play='plain')['census']['types']) == 3


def test_growth():
    """--diff: growth by type, most first, with its rate"""
    said = expect(inspect('--diff', '1ms', play='leak'), 0, '+5,143 objects', 'in 60 s', '+308,580 objects/h', '+62.9 MB/h')
    rows = [line.split() for line in said.splitlines() if re.match(r' +[+-][0-9,]+ ', line)]
    assert [r[-1] for r in rows] == ['dict', 'coroutine', 'asyncio.sslproto.SSLProtocol', 'server.session.Session',
                                     'server.session.New', 'generator', 'weakref.ReferenceType'], rows
    assert rows[0][:6] == ['+3,120', '+722', 'kB', '+187,200', '+43.3', 'MB'], rows[0]
    assert rows[-1][:3] == ['-1,100', '-88.0', 'kB'], rows[-1]
    expect(inspect('--diff', '1ms', '--top', '2', play='leak'), 0, '3 more grew, 2 shrank; --top 4 shows more')
    expect(inspect('--diff', '1ms', play='plain'), 0, 'none grew or shrank')


def test_the_json_of_growth():
    """--diff --json: both sides of each type, objects and bytes an hour"""
    d = document('--diff', '1ms', play='leak')['diff']
    assert list(d) == ['seconds', 'complete', 'sampled', 'objects_before', 'grown', 'grown_bytes', 'grown_per_h',
                       'grown_bytes_per_h', 'types'], list(d)
    assert d['seconds'] == 60 and d['grown'] == 5143 and d['grown_per_h'] == 308580, d
    assert d['types'][0] == {'type': 'dict', 'count_before': 312404, 'count': 315524, 'bytes_before': 72310000,
                             'bytes': 73032000, 'grown': 3120, 'grown_bytes': 722000, 'grown_per_h': 187200,
                             'grown_bytes_per_h': 43320000}, d['types'][0]


def test_what_is_not_known():
    """what is not known is unknown, and null, never 0"""
    said = expect(inspect(play='bare'), 0, 'bytes, bytearray and str: unknown', 'blocks unknown', 'arenas unknown',
                  'threads unknown', 'asyncio tasks unknown')
    assert 'young' not in said, said
    c = document(play='bare')['census']
    for key in ('threads', 'tasks', 'generations', 'str', 'bytes', 'bytearray', 'allocated_blocks', 'arenas'):
        assert c[key] is None, (key, c[key])


def test_trust():
    """a census that is torn, incomplete or sampled says so, and growth from it is doubted"""
    expect(inspect(play='torn'), 0, 'torn: its lists changed', 'what follows is no count')
    expect(inspect(play='partial'), 0, 'not complete')
    expect(inspect(play='sampled'), 0, 'sizes estimated from each 16th object')
    expect(inspect('--diff', '1ms', play='torn'), 0, 'what looks like growth may be none')
    expect(inspect('--diff', '1ms', play='sampled'), 0, 'sizes are estimates')
    c = document(play='torn')['census']
    assert c['torn'] and not c['complete'] and c['retries'] == 3, c


def test_refusals():
    """each end that is no census: its sentence, its status, its JSON"""
    for play, status, result, reason, text in (('refused', 4, 'refused', 'no_python', 'it is PyPy 7.3'),
                                               ('unsafe', 4, 'refused', 'no_safe_thread', '12 stops'),
                                               ('timeout', 5, 'timeout', 'timeout', 'left to finish')):
        expect(inspect(play=play), status, result, reason, text)
        d = document(play=play, status=status)
        assert (d['result'], d['reason'], d['census']) == (result, reason, None), d


def test_malice():
    """a census that cannot be true is refused whole"""
    for play, why in (('unsealed', 'no sealed memory file'), ('short', 'size'), ('more', 'size'), ('count', 'nobody can mean'),
                      ('endless', 'a name does not end'), ('huge', 'beyond any memory'), ('magic', 'layout'),
                      ('nothing', 'Bad file descriptor')):
        said = expect(inspect(play=play), 1, why)
        assert 'gc tracks' not in said, said


def test_hostile_names():
    """names of types reach neither terminal nor parser as they are"""
    lines = on_terminal(80, 50, play='hostile')
    assert any('a\\e[31mb\\nc\\u{202e}d\\x07\\xff' in line for line in lines), lines
    assert max(map(width, lines)) <= 80, lines
    d = document(play='hostile')
    assert d['census']['types'][0]['type'].startswith('a\x1b[31mb\nc\u202ed\x07\ufffd'), d['census']['types'][0]
    raw = inspect('--json', play='hostile').stdout.strip()
    assert b'\x1b' not in raw and b'\n' not in raw and b'\x07' not in raw


def test_on_terminals():
    """it fits terminals of each size, in colour only there"""
    for columns in (20, 40, 60, 80, 110, 120, 200):
        for args in ((), ('--diff', '1ms')):
            lines = on_terminal(columns, 24, *args, play='leak')
            assert max(map(width, lines)) <= columns, (columns, [l for l in lines if width(l) > columns])
            assert any('\x1b[' in line for line in lines)
    for rows in (20, 24, 28):
        assert len(on_terminal(100, rows, play='plain')) == rows - 1
    assert not any('\x1b' in line for line in on_terminal(80, 24, play='plain', NO_COLOR='1'))
    assert not any('\x1b' in line for line in on_terminal(80, 24, play='plain', TERM='dumb'))
    assert all(line.isascii() for line in on_terminal(80, 24, play='hostile', LANG='C'))


def test_exact():
    """--call asks for it, and tells what it cost"""
    expect(inspect('--call', play='exact'), 0, 'exact', 'the GIL for 74 ms')
    d = document('--call', play='exact')
    assert d['census']['mode'] == 'injected', d
    assert d['call'] == {'name': 'PyGILState_Ensure', 'thread': 'own', 'tid': 4711, 'stop_usec': 61, 'stop_max_usec': 38,
                         'declined_stops': 1, 'duration_usec': 74000, 'total_usec': 81500}, d['call']


def test_command_line():
    """wrong command lines are told, exit 2; a process that is not there, exit 1"""
    for args, text in ((('--diff', '0', '1'), 'is not a time'), (('--diff', 'soon', '1'), 'bare number is seconds'),
                       (('--diff', '8d', '1'), 'is not a time'), (('--diff', '99999999999999999999', '1'), 'is not a time'),
                       (('--top', '0', '1'), '--top'), (('x',), 'x')):
        result = subprocess.run([PLATEAU, 'inspect', *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                                timeout=DEADLINE_S, env=environment())
        expect(result, 2, text)
        assert result.stdout == b'', result.stdout
    child = subprocess.Popen(['true'])
    child.wait()
    expect(inspect(pid=child.pid), 1, 'gone')
    help_text = subprocess.run([PLATEAU, 'help', 'inspect'], stdout=subprocess.PIPE, check=True, timeout=DEADLINE_S,
                               env=environment()).stdout.decode()
    for key in document('--diff', '1ms', play='leak')['diff']:
        assert key in help_text, key


def test_it_ends_in_between():
    """a process that ends between two censuses"""
    child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)
    waiting = subprocess.Popen([PLATEAU, 'inspect', '--diff', '600', '--probe', player('plain'), str(child.pid)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    child.communicate(b'\n')
    out, _ = waiting.communicate(timeout=DEADLINE_S)
    assert waiting.returncode == 1 and b'gone' in out, (waiting.returncode, out)


if __name__ == '__main__':
    tap.main(globals())
