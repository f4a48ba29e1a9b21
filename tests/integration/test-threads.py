# SPDX-License-Identifier: Apache-2.0
"""Which thread is borrowed, out of which call, with which rights; and what is said when there is none."""
import contextlib
import os
import shutil
import subprocess
import sys

import tap
from lib import DEADLINE_S, Skip
from probelib import Probe, Target

PROBE, MKLEAK = sys.argv[1:3]
MIB = 1 << 20
NOBODY, SOMEBODY = 65534, 65533


def as_nobody(*capabilities):
    """The probe as the user nobody, with these capabilities and no other."""
    if os.geteuid() != 0:
        raise Skip('only root can become another user')
    if not shutil.which('setpriv'):
        raise Skip('setpriv (util-linux) is not installed')
    caps = ''.join(f',+{c}' for c in capabilities)
    argv = ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups', f'--inh-caps=-all{caps}',
            f'--ambient-caps=-all{caps}', f'--bounding-set=-all{caps}', PROBE]
    if subprocess.run([*argv, '--version'], capture_output=True, check=False).returncode != 0:
        raise Skip('another user cannot start the probe in the build directory')
    return argv


def trim(target, want='ok', probe=PROBE, **kwargs):
    with Probe(probe) as p:
        reply = p.trim(target.pid, **kwargs)
    assert reply['result'] == want, reply
    return reply


@contextlib.contextmanager
def python(code, **kwargs):
    """A Python program that prints "ready"; it must end well when its stdin ends."""
    with subprocess.Popen(['/usr/bin/python3', '-c', code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **kwargs) as p:
        try:
            assert p.stdout.readline() == b'ready\n'
            yield p
            p.stdin.close()
            assert p.wait(DEADLINE_S) == 0
        except BaseException:
            p.kill()
            raise


def undisturbed(target, wakes=True):
    if wakes:
        assert target.ask('w')['ok'] == '1'
    status = target.ask('?')
    assert status['ok'] == '1' and status['bad'] == '0' and status['eintr'] == '0', status


def test_another_user():
    """with CAP_SYS_PTRACE alone, in another user's process: the memory comes back, nothing is noticed"""
    probe = as_nobody('sys_ptrace')
    for args in (('fragment', 'size_mib=64'), ('fragment-threads', 'size_mib=64')):
        with Target(MKLEAK, *args, user=SOMEBODY) as t:
            r = trim(t, probe=probe)
            assert r['before'] - r['after'] > 40 * MIB, r
            assert not t.scratch_maps()
            undisturbed(t)
    for name in ('epoll-eintr', 'fpu', 'errno-keeper', 'mask-keeper', 'sigaltstack', 'allocator-hot'):
        with Target(MKLEAK, name, user=SOMEBODY) as t:
            for _ in range(5):
                trim(t, probe=probe)
            undisturbed(t, wakes=name != 'allocator-hot')


def test_another_users_sleeper():
    """another user's thread, whose call only the stop tells: one that would sleep longer is taken if there is no other"""
    probe = as_nobody('sys_ptrace')
    for wait in ('nanosleep', 'poll-timed', 'epoll-timed'):
        with Target(MKLEAK, 'errno-keeper', f'wait={wait}', 'timeout_ms=2000', user=SOMEBODY) as t:
            r = trim(t, probe=probe)
            assert r['declined'] <= 1, r
            undisturbed(t, wakes=False)


def test_another_users_blocked_writer():
    """another user's thread in a call that a stop would cut short is not stopped"""
    probe = as_nobody('sys_ptrace')
    code = ('import os,sys,threading\n'
            'r,w=os.pipe()\n'
            'def f():\n'
            ' n=os.write(w,bytes(200000))\n'
            ' print(n,flush=True)\n'
            't=threading.Thread(target=f);t.start()\n'
            'print("ready",flush=True);sys.stdin.read(1)\n'
            'n=200000\n'
            'while n:\n'
            ' n-=len(os.read(r,n))\n')
    with python(code, user=SOMEBODY) as p:
        with Probe(probe) as q:
            for _ in range(5):
                r = q.trim(p.pid)
                assert r['result'] == 'ok' and r['tid'] == p.pid, r
        p.stdin.write(b'x')
        p.stdin.flush()
        assert p.stdout.readline() == b'200000\n'


def test_another_user_without_capability():
    """another user's process and no capability: no access, and why"""
    probe = as_nobody()
    with Target(MKLEAK, 'steady', user=SOMEBODY) as t:
        r = trim(t, 'access', probe=probe)
        assert f'it runs as uid {SOMEBODY}, the probe as uid {NOBODY}' in r['detail'], r


if __name__ == '__main__':
    tap.main(globals())
