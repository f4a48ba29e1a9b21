#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""plateau explain as a person sees it: one screen, figures that the kernel's own files confirm, remedies that do what
they say."""
import contextlib
import fcntl
import json
import os
import re
import struct
import subprocess
import sys
import termios

import tap
from lib import DEADLINE_S, Skip, wait_until

PLATEAU, PROBE, MKLEAK, MKGROW = sys.argv[1:5]
MIB = 1 << 20
ESCAPE = re.compile(r'\x1b\[[0-9;]*m')
GROUPS = '/sys/fs/cgroup/memory' # v1; elsewhere what needs a group of its own is skipped


@contextlib.contextmanager
def grow(cause, *args, group=None, env=None):
    """A program of a known cause, stepping; in a cgroup of its own if one is given."""
    def join():
        with open(f'{group}/cgroup.procs', 'w', encoding='ascii') as f:
            f.write('0')
    t = subprocess.Popen([MKGROW, cause, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                         preexec_fn=join if group else None, env={**os.environ, **(env or {})})
    try:
        t.pid_told = int(t.stdout.readline().split('pid=')[1])
        yield t
    finally:
        t.stdin.close()
        t.wait(DEADLINE_S)
        t.stdout.close()


@contextlib.contextmanager
def leaky(*args, env=None):
    t = subprocess.Popen([MKLEAK, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                         env={**os.environ, **(env or {})})
    try:
        t.stdout.readline()
        yield t
    finally:
        t.stdin.close()
        t.wait(DEADLINE_S)
        t.stdout.close()


@contextlib.contextmanager
def cgroup(limit_bytes):
    path = f'{GROUPS}/plateau-view-{os.getpid()}'
    try:
        os.mkdir(path)
    except OSError as e:
        raise Skip(f'no cgroup of its own: {e}') from None
    try:
        with open(f'{path}/memory.limit_in_bytes', 'w', encoding='ascii') as f:
            f.write(str(limit_bytes))
        yield path
    finally:
        wait_until('the group is empty', lambda: not open(f'{path}/cgroup.procs', encoding='ascii').read())
        os.rmdir(path)


def stop(t):
    """No more steps: what is read twice is the same twice."""
    t.stdin.write('s')
    t.stdin.flush()
    assert t.stdout.readline().startswith('stopped')


def explain(pid, *args):
    done = subprocess.run([PLATEAU, 'explain', '--json', '--probe', PROBE, *args, str(pid)], capture_output=True, text=True,
                          timeout=DEADLINE_S * 2, check=False)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def screen(pid, *args, columns=80, env=None):
    """What a terminal of that width gets."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 40, columns, 0, 0))
    p = subprocess.Popen([PLATEAU, 'explain', '--probe', PROBE, *args, str(pid)], stdin=slave, stdout=slave, stderr=slave,
                         env={**os.environ, 'TERM': 'xterm', 'LC_ALL': 'C.UTF-8', **(env or {})})
    os.close(slave)
    out = b''
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError: # the other end is closed
            break
        if not piece:
            break
        out += piece
    os.close(master)
    assert p.wait(DEADLINE_S) == 0, out
    return out.decode().replace('\r\n', '\n')


def status(pid, key):
    with open(f'/proc/{pid}/status', encoding='utf-8') as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith(key))


def test_one_screen():
    """at 80 columns all of it is on one screen of 40 lines, and no line is wider than the terminal"""
    with grow('fragment-pinned', '200') as t:
        wait_until('it has grown', lambda: status(t.pid_told, 'VmRSS') > 50 * MIB)
        for columns in (40, 60, 80, 120, 200):
            lines = ESCAPE.sub('', screen(t.pid_told, '--diff', '500ms', columns=columns)).splitlines()
            # a line to copy is never cut: the terminal wraps it
            wide = [line for line in lines if len(line) > columns and 'LD_PRELOAD=' not in line and 'apt-get' not in line]
            assert not wide, (columns, wide)
            if columns >= 80:
                assert len(lines) <= 40, (len(lines), lines)
        text = '\n'.join(lines)
        assert 'pinned fragmentation' in text and '1. ' in text and 'cgroup' in text, text


def test_bar():
    """the bar's sections are told apart without colour, and the legend names them in their order"""
    with leaky('fragment', 'size_mib=32', 'hole_bytes=1000') as t:
        for env in ({}, {'LC_ALL': 'C'}):
            lines = ESCAPE.sub('', screen(t.pid, env=env)).splitlines()
            at = next(i for i, line in enumerate(lines) if line.startswith('RSS'))
            cells = lines[at].split()[1]
            order = [c for i, c in enumerate(cells) if i == 0 or cells[i - 1] != c]
            assert len(order) == len(set(order)) >= 2, cells
            legend = ' '.join(lines[at + 1:at + 3])
            names = [re.search(rf'(?:^|  ){re.escape(c)} [a-z]', legend) for c in order]
            entries = re.findall(r'\S [a-z][a-z ]+ [0-9.]+ [kM]?B', legend)
            assert len(entries) == len(order), (order, legend)
            assert all(names) and [m.start() for m in names] == sorted(m.start() for m in names), (order, legend)
            assert len(cells) == 80 - 11, cells
            if env:
                assert all(ord(c) < 128 for line in lines for c in line), lines


def test_colour():
    """colour only on a terminal that wants it"""
    with leaky('steady', 'size_mib=4') as t:
        assert '\x1b[' in screen(t.pid)
        for env in ({'NO_COLOR': '1'}, {'TERM': 'dumb'}):
            assert '\x1b' not in screen(t.pid, env=env)
        done = subprocess.run([PLATEAU, 'explain', '--probe', PROBE, str(t.pid)], capture_output=True, check=True,
                              timeout=DEADLINE_S)
        assert b'\x1b' not in done.stdout, done.stdout


def test_kernel_figures():
    """page tables, cgroup and the lines' sum are what the kernel's own files say"""
    with cgroup(512 * MIB) as group, grow('shared', '200', group=group) as t:
        wait_until('it has grown', lambda: status(t.pid_told, 'VmRSS') > 30 * MIB)
        stop(t)
        e = explain(t.pid_told)
        c = e['cgroup']
        with open(f'{group}/memory.stat', encoding='ascii') as f:
            stat = {k: int(v) for k, v in (line.split() for line in f)}
        assert e['page_tables_bytes'] == status(t.pid_told, 'VmPTE'), e
        assert e['rss_bytes'] == sum(p['rss_bytes'] for p in e['breakdown']), e
        assert c['version'] == 1 and c['path'] == group[len(GROUPS):] and c['levels_up'] == 0, c
        assert c['limit_bytes'] == e['limit_bytes'] == 512 * MIB, c
        assert c['processes'] == 1 and c['strangers'] == 0, c
        for ours, theirs in (('anon_bytes', 'total_rss'), ('shmem_bytes', 'total_shmem'),
                             ('active_file_bytes', 'total_active_file'), ('inactive_file_bytes', 'total_inactive_file')):
            assert abs(c[ours] - stat[theirs]) <= 256 * 1024, (ours, c, stat) # the kernel adds up by the batch
        assert c['slab_reclaimable_bytes'] is None and c['sock_bytes'] is None, c # v1 does not say
        assert c['usage_bytes'] >= c['own_bytes'] - 256 * 1024 > 20 * MIB, c
        text = ESCAPE.sub('', screen(t.pid_told))
        assert '1 process, this one has' in text and 'of its limit of 537 MB' in text, text


def test_shared_group():
    """page cache of a group that others are in is not blamed on one of them"""
    with cgroup(512 * MIB) as group, grow('page-cache', '100', group=group), grow('steady', group=group) as t:
        e = explain(t.pid_told, '--diff', '1')
        assert e['verdict']['kind'] == 'steady', e['verdict']
        assert e['cgroup']['processes'] == 2 and e['cgroup']['strangers'] == 1, e['cgroup']


def test_limit_too_low():
    """who stands still close to its limit is told what limit it needs"""
    with cgroup(512 * MIB) as group, grow('steady', 'base_mib=60', group=group) as t:
        with open(f'{group}/memory.limit_in_bytes', 'w', encoding='ascii') as f:
            f.write(str(int(1.05 * explain(t.pid_told)['cgroup']['usage_bytes'])))
        e = explain(t.pid_told, '--diff', '1')
        r = next((r for r in e['verdict']['remedies'] if r['kind'] == 'raise_limit'), None)
        assert r, e['verdict']
        assert abs(r['need_bytes'] - 1.25 * e['cgroup']['usage_bytes']) <= 0.05 * r['need_bytes'], (r, e['cgroup'])


def remedy(e, kind):
    return next((r for r in e['verdict']['remedies'] if r['kind'] == kind), None)


def test_reclaim_line():
    """the line for a reclaim, pasted, gives back what it says"""
    with leaky('fragment', 'size_mib=64') as t:
        r = remedy(explain(t.pid), 'reclaim')
        assert r['command'] == f'plateau reclaim {t.pid}', r
        before = status(t.pid, 'VmRSS')
        done = subprocess.run([PLATEAU, *r['command'].split()[1:], '--probe', PROBE, '--find-timeout', '20s'],
                              capture_output=True, text=True, timeout=DEADLINE_S * 2, check=False)
        assert done.returncode == 0, done
        fell = before - status(t.pid, 'VmRSS')
        assert abs(r['gain_bytes'] - fell) <= 0.05 * fell, (r, fell)


def test_jemalloc_line():
    """the line for another malloc, pasted, puts it under the program; its path is the package's own"""
    with open('/etc/os-release', encoding='utf-8') as f:
        name = next((line.strip().strip('"')[3:] for line in f if line.startswith('ID=')), '')
    if name not in ('debian', 'ubuntu'):
        raise Skip(f'written down for Debian and Ubuntu, this is {name}')
    with grow('fragment-pinned', '400') as t:
        wait_until('it has grown', lambda: status(t.pid_told, 'VmRSS') > 60 * MIB)
        stop(t)
        r = remedy(explain(t.pid_told), 'other_malloc')
    path = r['command'].removeprefix('LD_PRELOAD=')
    if not os.path.exists(path):
        assert r['install'].endswith('apt-get install -y libjemalloc2'), r
        raise Skip(f'{path} is not installed')
    assert r['install'] is None, r
    owner = subprocess.run(['dpkg', '-S', path], capture_output=True, text=True, check=False).stdout
    assert owner.startswith('libjemalloc2'), owner
    with leaky('steady', 'size_mib=4', env={'LD_PRELOAD': path}) as t:
        assert explain(t.pid)['allocator'].startswith('jemalloc')


def test_threshold_line():
    """the setting for large blocks keeps them out of the heap"""
    held = {}
    for env in ({}, {'MALLOC_MMAP_THRESHOLD_': '131072'}):
        with grow('large-blocks', '200', env=env) as t:
            wait_until('it has freed some', lambda t=t: status(t.pid_told, 'VmHWM') > 40 * MIB)
            stop(t)
            e = explain(t.pid_told)
            held[len(env)] = e['heap']['free_bytes']
            r = remedy(e, 'mmap_threshold')
            assert bool(r) == (not env), (env, e['verdict'])
            assert env or r['command'] == 'MALLOC_MMAP_THRESHOLD_=131072', r
    assert held[1] < held[0] / 4, held


def test_all():
    """--all has every line of RSS, every arena and every size that JSON has"""
    with leaky('fragment-threads', 'size_mib=16', 'threads=8') as t:
        e = explain(t.pid)
        text = ESCAPE.sub('', screen(t.pid, '--all', columns=200))
        for part in e['breakdown']:
            assert not part['name'] or part['name'] in text, part
        assert len(re.findall(r'\n.* 0x[0-9a-f]+', text)) == len(e['arenas']), text
        assert 'chunks of' in text, text


if __name__ == '__main__':
    tap.main(globals())
