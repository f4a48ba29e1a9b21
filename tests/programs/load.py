# SPDX-License-Identifier: Apache-2.0
"""Client load on one server, in a process of its own: load.py CLIENT ADDRESS.

Some connections have a request under way at once; the requests come in bursts with pauses between, as those of people
do. Every answer is checked. A word on stdin ends a phase, whose figures are then printed as one JSON object a line: the
answers, the errors and the first of them, and the longest time that a request waited for its answer.
"""
import ctypes
import json
import random
import select
import signal
import sys
import time

from clients import CLIENTS

CONNECTIONS = 4
BURST = (2, 12)             # requests of a connection in a burst
PAUSE_S = (0.004, 0.03)     # between bursts
ERRORS_MAX = 20             # then it gives up
PR_SET_PDEATHSIG = 1


class Phase:
    def __init__(self):
        self.answers, self.errors, self.first_error, self.longest_s, self.begin = 0, 0, None, 0.0, time.monotonic()

    def figures(self):
        return {'answers': self.answers, 'errors': self.errors, 'first_error': self.first_error,
                'longest_usec': round(self.longest_s * 1e6), 'seconds': time.monotonic() - self.begin}

    def failed(self, e):
        self.errors += 1
        self.first_error = self.first_error or f'{type(e).__name__}: {e}'


class Load:
    def __init__(self, kind, address):
        self.kind, self.address, self.n = CLIENTS[kind], address, 0
        self.phase = Phase()
        self.clients = [self.kind(address, i) for i in range(CONNECTIONS)]

    def again(self, i):
        """A new connection in place of one that failed."""
        if self.clients[i]:
            self.clients[i].close()
        try:
            self.clients[i] = self.kind(self.address, i)
        except Exception as e:
            self.clients[i] = None
            self.phase.failed(e)

    def round(self):
        """One request on each connection, then the answers."""
        self.n += 1
        under_way = []
        for i, client in enumerate(self.clients):
            try:
                under_way.append((i, client, time.monotonic()))
                client.send(self.n)
            except Exception as e:
                under_way.pop()
                self.phase.failed(e)
                self.again(i)
        for i, client, since in under_way:
            try:
                client.receive(self.n)
                self.phase.answers += 1
            except Exception as e:
                self.phase.failed(e)
                self.again(i)
            self.phase.longest_s = max(self.phase.longest_s, time.monotonic() - since)

    def burst(self):
        for _ in range(random.randint(*BURST)):
            if self.phase.errors < ERRORS_MAX:
                self.round()


def main():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    load = Load(sys.argv[1], sys.argv[2])
    print(json.dumps({'connected': True}), flush=True)
    while True:
        load.burst()
        if select.select([sys.stdin], [], [], random.uniform(*PAUSE_S))[0]:
            if not sys.stdin.readline():
                return
            print(json.dumps(load.phase.figures()), flush=True)
            load.phase = Phase()


if __name__ == '__main__':
    main()
