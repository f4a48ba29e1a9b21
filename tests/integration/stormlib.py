# SPDX-License-Identifier: Apache-2.0
"""Storms of calls and of deaths, for the suite (shortly) and for tests/bench (at length): what is done, counted, and told.

A storm works on one target (tests/targets/mkleak.h) and fills one Row. What must never be is counted by kinds: died, hung,
disturbed (the target's own checks), left over (scratch memory that the next call did not clean up). The one thing that is
known to be seen is EINTR in a call of that class, when a kill falls between the stop and the switch: counted apart.
"""
import collections
import itertools
import os
import select
import signal
import statistics
import subprocess
import tempfile
import time

from probelib import LEDGER, LEDGER_WITH_BINS, TRIM_OP, Probe, Target, let_pass, start_ticks, traced

ANSWER_S = 20
SETTLE_TRIES = 200
# what a kill at or next to may leave half done; everything else only looks, waits or tidies up in the worker itself
TOUCHES = ('ptrace:', 'process_vm_writev')
WHOM = ('worker', 'both', 'probe')
LIBRARIES = '/usr/lib/x86_64-linux-gnu/'
OTHERS = ('libjemalloc.so.2', 'libtcmalloc_minimal.so.4')


class Build:
    """The programs of a build directory."""

    def __init__(self, path):
        self.probe = os.path.join(path, 'daemon', 'plateau-probe')
        self.plateaud = os.path.join(path, 'daemon', 'plateaud')
        self.plateau = os.path.join(path, 'daemon', 'plateau')
        self.mkleak = os.path.join(path, 'tests', 'targets', 'mkleak')
        self.stepper = os.path.join(path, 'tests', 'targets', 'stepper')
        self.looker = os.path.join(path, 'tests', 'targets', 'looker')


class Row:
    """What a storm did to one target."""

    COUNTS = ('kills', 'calls', 'declined', 'died', 'hung', 'disturbed', 'eintr', 'left')
    HEAD = ('target', 'kills', 'calls', 'declined', 'died', 'hung', 'disturbed', 'EINTR', 'left over', 'stop usec', 'p99')

    def __init__(self, name):
        self.name = name
        for key in self.COUNTS:
            setattr(self, key, 0)
        self.stops = [] # usec: the longest of each call
        self.at = collections.Counter() # stepped kills by step
        self.notes = []

    def count(self, reply):
        self.calls += reply['result'] == 'ok'
        self.declined += reply['declined']
        if reply['stop_max_usec']:
            self.stops.append(reply['stop_max_usec'])

    def bad(self):
        return self.died + self.hung + self.disturbed + self.left

    def add(self, other):
        for key in self.COUNTS:
            setattr(self, key, getattr(self, key) + getattr(other, key))
        self.stops += other.stops
        self.at += other.at
        self.notes += other.notes

    def columns(self):
        stops = sorted(self.stops)
        quantiles = (f'{statistics.median(stops):.0f}', f'{stops[len(stops) * 99 // 100]}') if stops else ('-', '-')
        return (self.name, *(getattr(self, key) for key in self.COUNTS), *quantiles)


def table(head, lines):
    """Lines of columns as text: the first to the left, the others to the right."""
    lines = [tuple(head)] + [tuple(str(c) for c in line) for line in lines]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return '\n'.join('  '.join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))).rstrip()
                     for line in lines)


def ask(target, letter='?'):
    """The answer; None: it hangs; {}: it is dead."""
    try:
        target.process.stdin.write(letter)
        target.process.stdin.flush()
    except BrokenPipeError:
        return {}
    while True:
        if not select.select([target.process.stdout], [], [], ANSWER_S)[0]:
            return None
        line = target.process.stdout.readline()
        if not line.startswith('ready '): # exec-self says it each time
            return dict(word.split('=', 1) for word in line.split() if '=' in word)


def judge(target, row, where=''):
    """Asks the target how it is. False: there is nothing more to be had from it. Its counts are of its whole life."""
    status = ask(target)
    if status is None:
        row.hung += 1
    elif not status or target.process.poll() is not None:
        row.died += 1
    else:
        eintr = int(status['eintr'])
        if eintr > row.eintr and where:
            row.notes.append(f'EINTR: {where}')
        row.eintr = eintr
        if status['ok'] == '1' and status['bad'] == '0':
            return True
        row.disturbed += 1
    row.notes.append(f'{row.name}: {where}: {status}')
    return False


def settle(probe, target, row, where=''):
    """A call that completes: cleans up what killed ones left."""
    reply = None
    for _ in range(SETTLE_TRIES):
        reply = probe.trim(target.pid)
        row.count(reply)
        if reply['result'] not in ('in_flight', 'no_safe_thread', 'timeout', 'traced'):
            break # traced: by a worker that outlived its probe
        let_pass(0.002)
    left = target.scratch_maps()
    row.left += len(left) + (reply['result'] != 'ok')
    if left or reply['result'] != 'ok':
        row.notes.append(f'{row.name}: {where}: {reply} {left}')


def kill_at_random(build, target, row, rnd, go_on, op='trim'):
    """SIGKILL for the probe, half of the times for its worker too, at an instant drawn from the time that a call takes."""
    number, value = {'trim': (TRIM_OP, 0), 'ledger': (LEDGER, LEDGER_WITH_BINS)}[op]
    with Probe(build.probe) as probe:
        replies = [getattr(probe, op)(target.pid) for _ in range(5)]
    for reply in replies:
        row.count(reply)
    span_s = 1.2e-6 * statistics.median(reply['total_usec'] for reply in replies)
    while go_on(row):
        with Probe(build.probe) as probe:
            probe.send(number, target.pid, value=value)
            let_pass(rnd.random() * span_s)
            probe.kill(child_too=rnd.random() < 0.5)
        row.kills += 1
        if row.kills % 50 == 0 and not judge(target, row, 'killed at random'):
            return
    with Probe(build.probe) as probe:
        settle(probe, target, row)
    judge(target, row, 'after the next call')


def kill_together(build, target, row, rnd, go_on):
    """SIGKILL for `plateau reclaim`, its probe and the worker in one go, as the end of a container is."""
    begin_s = 0.03
    while go_on(row):
        with subprocess.Popen([build.plateau, 'reclaim', '--json', '--probe', build.probe, str(target.pid)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as p:
            let_pass(rnd.random() * begin_s)
            os.killpg(p.pid, signal.SIGKILL)
        row.kills += 1
        if row.kills % 50 == 0 and not judge(target, row, 'all killed'):
            return
    with Probe(build.probe) as probe:
        settle(probe, target, row)
    judge(target, row, 'after the next call')


# A limit below what the target holds: there is a reason to call from the first sample on.
DAEMON = ('targets: [{{name: t, match: {{pid: {pid}}}, limit: 1MiB}}]\n'
          'sample: {{interval: 100ms, search_interval: 100ms}}\ntrend: {{min_span: 1s}}\n'
          'policy: {{startup_grace: 0, alert: {{enabled: false}}, rotate: {{enabled: false}}, '
          'reclaim: {{used: 10%, for: 0, cooldown: 1h}}}}\nsocket: {socket}\nlog: {{format: json, level: debug}}\n')


def kill_daemon(build, target, row, rnd, go_on):
    """SIGKILL for plateaud, its probe and the worker in one go, from the moment on when the daemon says that it acts."""
    with tempfile.TemporaryDirectory(prefix='plateau-test-') as where:
        config = os.path.join(where, 'plateau.yaml')
        while go_on(row):
            with open(config, 'w', encoding='utf-8') as f: # a socket for each: a dying probe may hold the last one yet
                f.write(DAEMON.format(pid=target.pid, socket=os.path.join(where, str(row.kills))))
            with subprocess.Popen([build.plateaud, '--config', config], stderr=subprocess.PIPE, text=True, start_new_session=True,
                                  env={**os.environ, 'PLATEAU_PROBE': build.probe}) as p:
                assert any('reclaim.act' in line for line in iter(p.stderr.readline, '')), 'plateaud ended before it acted'
                let_pass(rnd.random() * 0.03)
                os.killpg(p.pid, signal.SIGKILL)
            row.kills += 1
            if not judge(target, row, 'plateaud and all killed'):
                return
    with Probe(build.probe) as probe:
        settle(probe, target, row)
    judge(target, row, 'after the next call')


def target_dies(build, args, rnd, n, op, env=None):
    """SIGKILL of the target itself at @n steps of a call. Return: the answers, counted: never none, never that the worker broke."""
    said = collections.Counter()
    trace = []
    torment(build, args, lambda t, _: trace.extend(stepper(build, t, 0, op=op)[1]), env)
    for step in choose_steps(trace, n, rnd):
        torment(build, args, lambda t, _, step=step: said.update([stepper(build, t, step, 'target', op)[0]['result']]), env)
    return said


class Storm:
    """One target of threads that allocate without pause, under calls."""

    HEAD = ('allocator', 'calls', 'refused', 'declined', 'longest stop us', 'million steps', 'died', 'hung', 'wrong', 'left over', 'said')

    def __init__(self, name):
        self.name = name
        self.calls = self.refused = self.declined = self.stop_max = self.steps = self.died = self.hung = self.wrong = self.left = 0
        self.said = ''

    def bad(self):
        return self.died + self.hung + self.wrong + self.left

    def columns(self):
        return (self.name, self.calls, self.refused, self.declined, self.stop_max, f'{self.steps / 1e6:.1f}', self.died, self.hung,
                self.wrong, self.left, self.said or '-')


def storms(threads):
    """(name, arguments, environment) of each kind of heap."""
    args = ('allocator-hot', f'threads={threads}', 'all=1', 'max_bytes=20000')
    debug = LIBRARIES + 'libc_malloc_debug.so.0' # since glibc 2.34 MALLOC_CHECK_ is its, and unread without it
    yield 'glibc', args, {}
    yield 'glibc, MALLOC_PERTURB_=165', args, {'MALLOC_PERTURB_': '165'}
    yield 'glibc, 2 arenas, no tcache', args, {'GLIBC_TUNABLES': 'glibc.malloc.arena_max=2:glibc.malloc.tcache_count=0'}
    if os.path.exists(debug):
        yield 'glibc, MALLOC_CHECK_=3', args, {'MALLOC_CHECK_': '3', 'LD_PRELOAD': debug}
    for env in preloads():
        yield os.path.basename(env['LD_PRELOAD']).split('.')[0], args, env


def ask_until_it_moves(target, steps):
    """Its status, once its loops have gone on from @steps: refused at once, it may not have had a turn since the last answer."""
    end = time.monotonic() + ANSWER_S
    while (status := ask(target)) and int(status['loops']) == steps and time.monotonic() < end:
        pass
    return status


def storm(build, name, args, env, calls):
    """@calls trims; after each the loops must go on, and the target's canaries be whole."""
    row = Storm(name)
    target = Target(build.mkleak, *args, env={**os.environ, **env})
    with Probe(build.probe) as probe:
        for _ in range(calls):
            reply = probe.trim(target.pid, find_ms=2000)
            row.calls += reply['result'] == 'ok'
            row.refused += reply['result'] != 'ok'
            row.declined += reply['declined']
            row.stop_max = max(row.stop_max, reply['stop_max_usec'])
            if reply['result'] != 'ok':
                row.said = reply['result']
                if row.refused == 5 and not row.calls:
                    break
            status = ask_until_it_moves(target, row.steps)
            if not status:
                row.died += status == {}
                row.hung += status is None
                break
            row.wrong += status['ok'] != '1' or int(status['loops']) == row.steps
            row.steps = int(status['loops'])
            if row.wrong:
                row.said = status.get('note', 'no step was made')
                break
        if row.calls and target.process.poll() is None and not row.bad():
            settle(probe, target, rest := Row(name))
            row.left = rest.left
    target.process.kill()
    target.process.wait()
    target.process.stdin.close()
    target.process.stdout.close()
    return row


def stepper(build, target, step, whom='both', op='trim'):
    """(the last line's words, the steps): see tests/targets/stepper.c"""
    out = subprocess.run([build.stepper, build.probe, str(target.pid), str(start_ticks(target.pid)), str(step), whom, op],
                         stdout=subprocess.PIPE, text=True, check=True, env=traced()).stdout.splitlines()
    return dict(word.split('=', 1) for word in out[-1].split()[1:]), [line[3:] for line in out if line.startswith('at ')]


def choose_steps(trace, n, rnd):
    """@n of all steps: those at calls that touch the target first, then others, drawn at random where not all can be had."""
    every = range(1, len(trace) + 1)
    near = [k for k in every if any(word in trace[k - 1] for word in TOUCHES)]
    others = sorted(set(every) - set(near))
    near = rnd.sample(near, min(n, len(near)))
    return sorted(near + rnd.sample(others, min(n - len(near), len(others))))


def kill_by_step(build, target, row, rnd, n, op='trim'):
    """SIGKILL at each step of a call, or at @n of them; after each the target is asked, and a whole call must follow."""
    trace = max((stepper(build, target, 0, op=op)[1] for _ in range(3)), key=len)
    whom = itertools.cycle(WHOM)
    with Probe(build.probe) as probe:
        for step in choose_steps(trace, n, rnd):
            said, _ = stepper(build, target, step, next(whom), op)
            if said['killed'] == '1':
                row.kills += 1
                row.at[said['at']] += 1
            if not judge(target, row, said['at']):
                return
            settle(probe, target, row, said['at'])
        judge(target, row, 'after the next call')


def torment(build, args, work, env=None):
    """One target, from its start to its end, under @work(target, row)."""
    preloaded = os.path.basename(env['LD_PRELOAD']).split('.')[0] + ' ' if env and 'LD_PRELOAD' in env else ''
    row = Row(preloaded + ' '.join(args))
    target = Target(build.mkleak, *args, env=env)
    try:
        work(target, row)
        if target.process.poll() is not None and not row.died:
            row.died += 1
    finally:
        target.process.kill()
        target.process.wait()
        target.process.stdin.close()
        target.process.stdout.close()
    return row


def preloads():
    """An environment for each other allocator that is installed."""
    return [{**os.environ, 'LD_PRELOAD': LIBRARIES + name} for name in OTHERS if os.path.exists(LIBRARIES + name)]
