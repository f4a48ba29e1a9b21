# SPDX-License-Identifier: Apache-2.0
"""Clients of a Service, as kube-proxy would send them: each connects to an endpoint that the EndpointSlices call ready.

Load(follow, ...) runs in a thread of its own until stop(), which returns the counts. An error is what a client would call
one: no connection, no whole answer, a session that was cut before its end. Sessions end by themselves, after their time or
when they are asked to finish. A connection to an endpoint that stopped being ready less than GRACE_S ago is the propagation
delay that every proxy has; it is no error of ours only if the endpoint still answers, so it is not excused.
"""
import asyncio
import collections
import random
import threading
import time

import websockets

ANSWER_S = 10


class Endpoints:
    """The ready endpoints of a service, kept by a watch; and the fewest that there ever were."""

    def __init__(self):
        self.ready = {}
        self.lock = threading.Lock()
        self.fewest = None
        self.history = []

    def update(self, slices):
        """slices: list of EndpointSlice objects of the service, all of them."""
        ready = {}
        for s in slices:
            port = next((p['port'] for p in s.get('ports') or [] if p.get('port')), None)
            for e in s.get('endpoints') or []:
                if e.get('conditions', {}).get('ready') and port:
                    for address in e['addresses']:
                        ready[(address, port)] = (e.get('targetRef') or {}).get('name', '')
        with self.lock:
            self.ready = ready
            self.history.append((time.time(), sorted(ready.values())))
            if self.fewest is not None:
                self.fewest = min(self.fewest, len(ready))

    def count_from_now(self):
        with self.lock:
            self.fewest = len(self.ready)

    def pick(self, rng):
        with self.lock:
            return rng.choice(sorted(self.ready)) if self.ready else None


class Load:
    def __init__(self, endpoints, workers=4, sessions=6, session_s=(1.0, 6.0), finish_s=(0.1, 1.0), seed=1):
        self.endpoints = endpoints
        self.workers, self.sessions = workers, sessions
        self.session_s, self.finish_s = session_s, finish_s
        self.rng = random.Random(seed)
        self.count = collections.Counter()
        self.notes = []
        self.ending = False
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()), daemon=True)
        self.thread.start()

    def stop(self, deadline_s=30):
        self.ending = True
        self.thread.join(deadline_s)
        assert not self.thread.is_alive(), 'clients do not end'
        return self.count

    def error(self, kind, what):
        self.count[kind] += 1
        if len(self.notes) < 50:
            self.notes.append(f'{time.time():.3f} {kind}: {what}')

    async def run(self):
        await asyncio.gather(*[self.requests() for _ in range(self.workers)],
                             *[self.keep_sessions() for _ in range(self.sessions)])

    async def requests(self):
        while not self.ending:
            where = self.endpoints.pick(self.rng)
            if not where:
                self.error('http_errors', 'no ready endpoint')
                await asyncio.sleep(0.1)
                continue
            try:
                await asyncio.wait_for(self.request(where), ANSWER_S)
                self.count['http'] += 1
            except (OSError, ValueError, asyncio.TimeoutError, asyncio.IncompleteReadError) as e:
                self.error('http_errors', f'{where} {type(e).__name__} {e}')
            await asyncio.sleep(0.05)

    @staticmethod
    async def request(where):
        reader, writer = await asyncio.open_connection(*where)
        try:
            writer.write(b'GET /job HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n')
            head = await reader.readuntil(b'\r\n\r\n')
            if b' 200 ' not in head.split(b'\r\n', 1)[0]:
                raise ValueError(head[:60])
            await reader.readexactly(int(head.lower().split(b'content-length: ', 1)[1].split(b'\r\n', 1)[0]))
        finally:
            writer.close()

    async def keep_sessions(self):
        while not self.ending:
            where = self.endpoints.pick(self.rng)
            if not where:
                await asyncio.sleep(0.1)
                continue
            try:
                await self.session(where)
                self.count['sessions'] += 1
            except websockets.ConnectionClosed as e:
                self.error('sessions_cut', f'{where} {e}')
            except (OSError, asyncio.TimeoutError, websockets.InvalidHandshake) as e:
                self.error('session_errors', f'{where} {type(e).__name__} {e}')
            await asyncio.sleep(0.02)

    async def session(self, where):
        """Talks until its time is over, or for a moment longer when it is asked to finish."""
        end = time.monotonic() + self.rng.uniform(*self.session_s)
        asked = False
        async with websockets.connect(f'ws://{where[0]}:{where[1]}/session', ping_interval=None, open_timeout=ANSWER_S) as ws:
            while time.monotonic() < end and not (self.ending and not asked):
                await ws.send('hello')
                while (answer := await asyncio.wait_for(ws.recv(), ANSWER_S)) == 'finish':
                    if not asked:
                        asked = True
                        self.count['asked'] += 1
                        end = time.monotonic() + self.rng.uniform(*self.finish_s)
                assert answer == 'hello', answer
                await asyncio.sleep(0.05)
