# SPDX-License-Identifier: Apache-2.0
"""The storms of tests/bench in their short form: a thousand deaths of the probe, looks at every kind of sleeper, 16 allocators.

Everything here is counted and nothing is timed. The long forms: tests/bench/torture, unseen, stops.
"""
import random
import sys

import tap
from lib import Skip
from probelib import Probe
from stormlib import (Build, Row, judge, kill_at_random, kill_by_step, kill_daemon, kill_together, preloads, stepper, storm, storms,
                      target_dies, torment)
from unseenlib import NEVER_STOPPED, Kind, Unseen, call_all_kinds, call_one_kind, look

BUILD = Build(sys.argv[1])
INJECTOR = sys.argv[2] != 'none' # built for this processor?
SEED = 6938
# target, kills at a step
STEPPED = ((('fragment', 'size_mib=8'), 100), (('fragment-threads', 'size_mib=8'), 120), (('mask-keeper',), 60), (('fpu',), 60),
           (('allocator-hot',), 60))
AT_RANDOM = (('fragment-threads', 'size_mib=8'), ('epoll-eintr',), ('fpu',), ('errno-keeper',), ('mask-keeper',), ('allocator-hot',))
TOGETHER = (('fragment', 'size_mib=8'), ('fragment-threads', 'size_mib=8'))


def need_injector():
    if not INJECTOR:
        raise Skip('no injector for this processor')


def harmless(row, eintr=False):
    assert not row.bad() and (eintr or not row.eintr), (Row.HEAD, row.columns(), row.notes)


@tap.deadline(240)
def test_killed_at_steps():
    """SIGKILL of the probe, its worker or both at 400 steps of a call: the target lives as before, the next call succeeds"""
    need_injector()
    rnd = random.Random(SEED)
    for args, n in STEPPED:
        harmless(torment(BUILD, args, lambda t, row, n=n: kill_by_step(BUILD, t, row, rnd, n)))


@tap.deadline(120)
def test_killed_at_steps_with_other_allocators():
    """the same with jemalloc and tcmalloc in charge, at 80 steps"""
    need_injector()
    rnd = random.Random(SEED)
    if not preloads():
        raise Skip('neither jemalloc nor tcmalloc is installed')
    for env in preloads():
        harmless(torment(BUILD, ('fragment-threads', 'size_mib=8'), lambda t, row: kill_by_step(BUILD, t, row, rnd, 40), env))


@tap.deadline(240)
def test_ledger_killed():
    """the same while jemalloc and tcmalloc are asked for their figures: at 120 steps, and at 100 instants drawn at random"""
    need_injector()
    rnd = random.Random(SEED)
    if not preloads():
        raise Skip('neither jemalloc nor tcmalloc is installed')
    for env in preloads():
        for work in (lambda t, row: kill_by_step(BUILD, t, row, rnd, 60, 'ledger'),
                     lambda t, row: kill_at_random(BUILD, t, row, rnd, lambda r: r.kills < 50, 'ledger')):
            harmless(torment(BUILD, ('fragment-threads', 'size_mib=8'), work, env))


# What stops a process, sends it something, writes into it or changes what it is given (syscalls(2)); setitimer is for the worker's
# own alarm, prctl and the rest of its start are the probe's, before it forks.
HARMING = {'process_vm_writev', 'process_madvise', 'process_mrelease', 'kill', 'tkill', 'tgkill', 'rt_sigqueueinfo',
           'rt_tgsigqueueinfo', 'pidfd_send_signal', 'pidfd_getfd', 'prlimit64', 'migrate_pages', 'move_pages', 'setpriority',
           'ioprio_set', 'sched_setaffinity', 'sched_setscheduler', 'sched_setattr', 'setns', 'unlink', 'unlinkat', 'rename',
           'renameat2', 'mkdirat', 'ftruncate', 'fallocate', 'mount', 'umount2'}


def test_explain_only_reads():
    """what explain asks for without --call makes no system call that stops, signals or writes into the target, nor changes a file"""
    for args, env in ((('fragment-threads', 'size_mib=8'), None), *((('steady', 'size_mib=8'), env) for env in preloads())):
        for op in ('survey', 'growth'):
            trace = []
            harmless(torment(BUILD, args, lambda t, row, op=op: (trace.extend(stepper(BUILD, t, 0, 'both', op)[1]), judge(t, row)), env))
            names = {step.split(':')[1] for step in trace}
            assert 'process_vm_readv' in names and not names & HARMING and 'ptrace' not in names, (op, sorted(names))


@tap.deadline(240)
def test_target_dies():
    """SIGKILL of the target itself at 90 steps of a call: it is said to be gone, and no worker breaks by it"""
    need_injector()
    rnd = random.Random(SEED)
    runs = [('trim', None), *(('ledger', env) for env in preloads())]
    for op, env in runs:
        said = target_dies(BUILD, ('fragment-threads', 'size_mib=8'), rnd, 30, op, env)
        print(f'# {op}: {dict(said)}')
        assert set(said) <= {'ok', 'gone', 'zombie'} and said['ok'] < sum(said.values()), said


@tap.deadline(240)
def test_killed_at_random():
    """SIGKILL at 420 instants drawn at random: the target lives as before, the next call succeeds"""
    need_injector()
    rnd = random.Random(SEED)
    for args in AT_RANDOM:
        # a kill between the stop and the switch is EINTR for a call of that class: signal(7) allows it, and it is told
        harmless(torment(BUILD, args, lambda t, row: kill_at_random(BUILD, t, row, rnd, lambda r: r.kills < 70)),
                 eintr=args[0] == 'epoll-eintr')


@tap.deadline(120)
def test_killed_together():
    """SIGKILL of command, probe and worker in one go, 100 times: the target lives as before, the next call succeeds"""
    need_injector()
    rnd = random.Random(SEED)
    for args in TOGETHER:
        harmless(torment(BUILD, args, lambda t, row: kill_together(BUILD, t, row, rnd, lambda r: r.kills < 50)))


@tap.deadline(120)
def test_daemon_killed():
    """SIGKILL of plateaud, probe and worker in one go, 20 times in mid-call: the target lives as before, the next call succeeds"""
    need_injector()
    rnd = random.Random(SEED)
    harmless(torment(BUILD, ('fragment-threads', 'size_mib=8'), lambda t, row: kill_daemon(BUILD, t, row, rnd, lambda r: r.kills < 20)))


def unnoticed(kinds):
    for kind in kinds:
        assert not kind.bad(), (kind.HEAD, kind.columns(), kind.notes)


def test_unseen_looks():
    """stopped and let go in every kind of wait, 20 times each, and called meanwhile: no EINTR, nothing early, lost or wrong"""
    need_injector()
    with Unseen(BUILD) as t, Probe(BUILD.probe) as probe:
        statuses, absent = t.seats()
        statuses = [status for status in statuses if status['kind'] not in NEVER_STOPPED]
        kinds = {status['kind']: Kind(status['kind']) for status in statuses}
        print(f'# {len(kinds)} kinds; not here: {absent or "none"}')
        looks, _ = look(BUILD, t, statuses, 20)
        assert min(looks.values()) >= 1 and sum(looks.values()) > 10 * len(kinds), looks
        assert all(reply['result'] == 'ok' for reply in call_all_kinds(t, probe, 5))
        for status in t.seats()[0]:
            if status['kind'] in kinds:
                kinds[status['kind']].add_status(status)
        unnoticed(kinds.values())


@tap.deadline(240)
def test_unseen_calls():
    """a whole call where only one kind of sleeper is to be had, each kind in turn: no EINTR, nothing early, lost or wrong"""
    need_injector()
    with Unseen(BUILD) as t:
        kinds = [Kind(status['kind']) for status in t.seats()[0]]
    for kind in kinds:
        call_one_kind(BUILD, kind, 1)
    unnoticed(kinds)
    borrowed = {kind.name for kind in kinds if kind.borrowed}
    assert {'futex', 'cond', 'read-pipe', 'poll', 'epoll', 'accept', 'nanosleep'} <= borrowed, borrowed
    never = {'on-altstack', 'pause', 'sigsuspend', 'mutex', 'mutex-pi', 'write-pipe', 'spin-sse-x87', *NEVER_STOPPED}
    assert not never & borrowed, never & borrowed


@tap.deadline(240)
def test_malloc_storm():
    """16 threads in malloc, calloc, realloc, memalign and free without pause, called into: none stuck, no canary touched"""
    need_injector()
    for name, args, env in storms(16):
        row = storm(BUILD, name, args, env, 4)
        assert not row.bad(), (row.HEAD, row.columns())
        if 'MALLOC_CHECK_' not in env: # checked by a malloc of its own, which has no purge
            assert row.calls, (row.HEAD, row.columns())


if __name__ == '__main__':
    tap.main(globals())
