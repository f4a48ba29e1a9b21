# SPDX-License-Identifier: Apache-2.0
"""The whole daemon on services in small, each with a known use of memory and a limit scaled to minutes: did it act in time, or
rightly do nothing? Forecast, ladder and injection are the real ones; only the lengths in the settings are scaled.
"""
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass

from daemonlib import Daemon
from lib import DEADLINE_S

MB = 1000 * 1000
TARGETS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'targets')

# Hours become minutes. Where it says nothing, as in production.
SETTINGS = '''
sample: {interval_max: 2s, survey_interval: 15s, survey_interval_min: 5s, survey_budget: 2%}
policy:
  startup_grace: 45s
  alert: {eta: 60s, for: 3s}
  reclaim: {eta: 40s, for: 3s, cooldown: 20s, settle: 3s}
  rotate: {method: signal, needs: {drain: 3s, startup: 5s, retries: 0s, margin: 7s}, for: 2s, cooldown: 60s, wait: 10s}
'''


@dataclass
class Service:
    """A row: what runs, the limit it lives under, and what must come of it."""
    name: str
    limit_mb: int
    must: str               # 'rotate', 'reclaim', 'nothing'
    verdicts: tuple = ()    # that the surveys may come to; () = any
    argv: tuple = ()        # of mkgrow; () = lab.py with the name


SERVICES = [
    Service('leak', 105, 'rotate', ('live_growth',)),
    Service('leak-bursts', 105, 'rotate', ('live_growth',)),
    Service('leak-under-saw', 105, 'rotate'),
    Service('leak-small', 150, 'rotate', ('live_growth',), ('leak-small', '4')),
    Service('fragment-pinned', 200, 'rotate', ('pinned_fragmentation',), ('fragment-pinned', '4')),
    Service('fragment-trimmable', 160, 'reclaim', ('trimmable',), ('fragment-trimmable', '6')),
    Service('warm-up', 120, 'nothing'),
    Service('saw', 56, 'nothing'),
    Service('lru', 105, 'nothing'),
    Service('steps', 105, 'nothing'),
    Service('batch', 85, 'nothing'),
    Service('flat', 40, 'nothing'),
]


class Running:
    """One of them at work; what it was seen to do."""

    def __init__(self, service, mkgrow):
        self.service = service
        argv = [mkgrow, *service.argv] if service.argv else [sys.executable, os.path.join(TARGETS, 'lab.py'), service.name]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().startswith('ready')
        self.acts = []          # (seconds, rung, reason, bytes in use)
        self.reclaimed = []     # (result, bytes)
        self.verdicts = []
        self.kinds = []
        self.crossed = False    # its own limit, as the kernel would have it

    def look(self):
        """RSS just now against the limit: what the OOM killer would see."""
        if self.process.poll() is None:
            with open(f'/proc/{self.process.pid}/statm', encoding='ascii') as f:
                pages = f.read().split()
            self.crossed |= bool(pages) and int(pages[1]) * os.sysconf('SC_PAGE_SIZE') > self.service.limit_mb * MB

    def did(self, rung):
        return [a for a in self.acts if a[1] == rung]

    def wrong(self):
        """What is wrong with what came; '' = nothing."""
        s = self.service
        told = [v for v in self.verdicts if v not in ('unknown', 'steady', 'warm_up')]
        if self.crossed:
            return 'reached its limit'
        if s.must == 'nothing':
            return f'{self.acts[0][1]} by {self.acts[0][2]}' if self.acts else ''
        if not self.did('alert'):
            return 'no alert'
        if s.must == 'reclaim' and (self.did('rotate') or not any(r[0] == 'ok' for r in self.reclaimed)):
            return f'not reclaimed: {self.reclaimed or "never tried"}; rotations: {len(self.did("rotate"))}'
        if s.must == 'rotate' and not self.did('rotate'):
            return 'not rotated'
        if s.verdicts and told and told[-1] not in s.verdicts:
            return f'verdict {told[-1]}'
        return ''

    def row(self):
        acts = ', '.join(f'{rung} {at:.0f} s at {used / MB:.0f} MB by {reason}' for at, rung, reason, used in self.acts[:4])
        more = f' … {len(self.acts) - 4} more' if len(self.acts) > 4 else ''
        return (f'{self.service.name:20}{self.service.limit_mb:4} MB  must {self.service.must:8} {self.wrong() or "right":24} '
                f'{acts or "-"}{more}; verdicts {", ".join(dict.fromkeys(self.verdicts)) or "none"}; '
                f'kinds {", ".join(dict.fromkeys(self.kinds)) or "none"}')

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def config(running):
    lines = ['targets:']
    for r in running:
        lines.append(f'  - {{name: {r.service.name}, match: {{pid: {r.process.pid}}}, limit: {r.service.limit_mb * MB}}}')
    return '\n'.join(lines) + SETTINGS


def take(running, line, begin):
    """One line of the daemon's log."""
    r = running.get(line.get('target'))
    rung, _, what = line['event'].partition('.')
    if r and what == 'act' and rung in ('alert', 'reclaim', 'rotate'):
        r.acts.append((time.monotonic() - begin, rung, line['reason'], line['usage_bytes']))
    elif r and line['event'] == 'reclaim.done':
        r.reclaimed.append((line['result'], line['released_bytes']))


def note_state(running, status):
    for t in status['targets']:
        r = running[t['name']]
        if t['present']:
            r.kinds.append(t['trend']['kind'])
        if t['diagnosis']:
            r.verdicts.append(t['diagnosis']['kind'])


def run(plateaud, probe, mkgrow, seconds, services=SERVICES):
    """All of them at once, for so long: the list of Running."""
    running = {s.name: Running(s, mkgrow) for s in services}
    try:
        with Daemon(plateaud, probe, config(running.values())) as d:
            begin = time.monotonic()
            next_look = begin + 2
            while time.monotonic() < begin + seconds:
                while not d.lines.empty():
                    line = d.lines.get()
                    assert line is not None, 'the daemon ended'
                    take(running, line, begin)
                for r in running.values():
                    r.look()
                if time.monotonic() >= next_look:
                    next_look += 5
                    note_state(running, d.status())
                select.select([], [], [], 0.1) # nothing to wait for but the time that they have
    finally:
        for r in running.values():
            r.end()
    return list(running.values())
