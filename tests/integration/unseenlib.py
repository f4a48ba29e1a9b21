# SPDX-License-Identifier: Apache-2.0
"""The target `unseen` (tests/targets/unseen.h) under looks and calls: what does each way to wait notice?

A look is the probe's own stop and release, on any thread (tests/targets/looker.c); a call is a whole trim. The probe would
always choose the best thread, so calls go into targets that have one kind of sleeper alone, beside a main thread and a feeder
that are never borrowed.
"""
import select
import subprocess

from probelib import Probe, Target
from stormlib import ANSWER_S

FIND_MS = 200
TROUBLES = ('eintr', 'early', 'lost', 'wrong')
ONCE_MORE = 3 # tries that a thread which just moved may have

NEVER_STOPPED = {'read-tty'} # interrupted, it may hand over a part of what it waits for: injector and looks leave it alone


class Kind:
    """What became of one kind of sleeper."""

    HEAD = ('waits in', 'looks', 'borrowed', 'declined', 'EINTR', 'early', 'lost', 'wrong', 'late ms')

    def __init__(self, name):
        self.name = name
        self.looks = self.borrowed = self.declined = self.eintr = self.early = self.lost = self.wrong = self.late_usec = 0
        self.waits = 0
        self.why = '' # it is never borrowed
        self.notes = []

    def attaches(self):
        return self.looks + self.borrowed + self.declined

    def bad(self):
        return sum(getattr(self, key) for key in TROUBLES)

    def add_status(self, status):
        self.waits += int(status['waits'])
        for key in TROUBLES:
            setattr(self, key, getattr(self, key) + int(status[key]))
        self.late_usec = max(self.late_usec, int(status['late_max_usec']))
        if 'note' in status:
            self.notes.append(status['note'])
        if int(status['early']):
            self.notes.append(f'early by {status["early_max_usec"]} usec at most')

    def columns(self):
        return (self.name, self.looks, self.borrowed, self.declined or ('-' if self.borrowed else 'never stopped'), self.eintr,
                self.early, self.lost, self.wrong, f'{self.late_usec / 1000:.1f}')


class Unseen(Target):
    """The target, with some kinds of seats or with all."""

    def __init__(self, build, kinds='all', *args):
        super().__init__(build.mkleak, 'unseen', f'kinds={kinds}', *args)

    def line(self):
        word, *pairs = self.process.stdout.readline().split()
        return word, dict(pair.split('=', 1) for pair in pairs)

    def seats(self):
        """([a status for each seat], {what is not here: why})"""
        self.process.stdin.write('k')
        self.process.stdin.flush()
        assert select.select([self.process.stdout], [], [], ANSWER_S)[0], 'it does not answer'
        out = []
        while True:
            word, status = self.line()
            if word == 'seats':
                absent = status['absent'].split(',') if status['absent'] else []
                return out, dict(a.split(':') for a in absent)
            out.append(status)


def look(build, target, statuses, rounds, pause_usec=200):
    """Stops each thread @rounds times: ({kind: looks}, lines on how long they were held). A thread that does not stop in its time
    (uninterruptible, or starved) stays attached until the looker ends; the rounds that are left are another one's."""
    tids = {status['tid']: status['kind'] for status in statuses}
    looks = dict.fromkeys(tids.values(), 0)
    held = []
    while rounds > 0:
        out = subprocess.run([build.looker, str(target.pid), str(rounds), str(pause_usec), *tids], stdout=subprocess.PIPE, text=True,
                             check=True).stdout.splitlines()
        lines = [dict(word.split('=') for word in line.split()[1:]) for line in out]
        held.append(lines.pop())
        rounds -= max(1, *(int(line['stopped']) + int(line['signals']) for line in lines))
        for line in lines:
            # a signal that came first was passed on, and the thread let go: a look too
            looks[tids[line['tid']]] += int(line['stopped']) + int(line['signals'])
            if line['stuck'] != '0':
                print(f'# a thread in {tids[line["tid"]]} did not stop in time')
    return looks, held


def call_one_kind(build, kind, calls):
    """@calls trims in a target that has this kind of sleeper alone."""
    with Unseen(build, kind.name, 'every_ms=40') as t, Probe(build.probe) as probe:
        done = tries = 0
        while done < calls and tries < ONCE_MORE * calls:
            reply = probe.trim(t.pid, find_ms=FIND_MS)
            tries += 1
            kind.declined += reply['declined']
            if reply['result'] == 'ok':
                done += 1
                kind.borrowed += 3 # map, trim, unmap
            elif reply['result'] == 'no_safe_thread':
                kind.why = reply['detail']
                if tries == ONCE_MORE and not done:
                    break
            else:
                kind.wrong += 1
                kind.notes.append(str(reply))
                break
        statuses, _ = t.seats()
        for status in statuses:
            kind.add_status(status)
        if t.scratch_maps(): # when no thread was to be had to unmap it in time, the next call does
            probe.trim(t.pid)
        kind.wrong += len(t.scratch_maps())


def call_all_kinds(target, probe, calls):
    """Trims while all kinds are there: the replies."""
    return [probe.trim(target.pid) for _ in range(calls)]
