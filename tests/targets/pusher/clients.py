#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients of the audio server: waves of speakers with mixed lifetimes, and per wave a few listeners that stay.

Every acknowledgement is checked against the CRC-32 of what the server must have made of the samples, and every listener
lets the server compute the CRCs of its previews again from time to time: memory that was damaged shows as an error.
A server that closes with 1001 or 1012 is going away on purpose: counted as "moved", and the client connects again.
Prints one JSON line at the end, and exits 1 if there was any error.
"""

import argparse
import asyncio
import collections
import json
import os
import random
import signal
import struct
import sys
import time
import zlib

import websockets

import sockets

sockets.mend()
GAIN = bytes((i * 3 // 4) & 0xFF for i in range(256))
GOING_AWAY = (1001, 1012)
RECONNECT_SECONDS = 15
ANSWER_SECONDS = 15


class Count:
    def __init__(self):
        self.acks = self.errors = self.moved = self.audits = self.previews = self.connections = 0
        self.latencies = collections.deque(maxlen=20000)
        self.notes = collections.Counter()

    def error(self, what):
        self.errors += 1
        self.notes[what] += 1

    def line(self):
        ordered = sorted(self.latencies) or [0.0]
        return {
            "connections": self.connections,
            "acks": self.acks,
            "previews": self.previews,
            "audits": self.audits,
            "moved": self.moved,
            "errors": self.errors,
            "notes": dict(self.notes),
            "latency_p50_ms": round(ordered[len(ordered) // 2] * 1000, 2),
            "latency_p99_ms": round(ordered[len(ordered) * 99 // 100] * 1000, 2),
            "latency_max_ms": round(ordered[-1] * 1000, 2),
        }


def close_code(e):
    """ConnectionClosed's code, the same way for websockets 9 to 15 (.rcvd came with 10, .code is deprecated since 13)."""
    if not hasattr(e, "rcvd"):
        return e.code
    return e.rcvd.code if e.rcvd else 1006


def samples(seed, n_bytes):
    """A block of pseudo-random PCM, made once: what is in it matters to the CRC only."""
    return random.Random(seed).randbytes(n_bytes)


class Clients:
    def __init__(self, args):
        self.args = args
        self.count = Count()
        self.random = random.Random(args.seed)
        self.pcm = [samples(args.seed * 1000 + i, args.message_bytes) for i in range(8)]
        self.crcs = [zlib.crc32(p.translate(GAIN)) for p in self.pcm]
        self.stop = asyncio.Event()

    async def connect(self, hello):
        """Try again while a server starts anew. Only then is a refused connection no error."""
        deadline = time.monotonic() + RECONNECT_SECONDS
        while True:
            try:
                ws = await websockets.connect(
                    f"ws://127.0.0.1:{self.args.port}/", compression=None, max_size=1 << 20, ping_interval=None
                )
                await ws.send(json.dumps(hello))
                self.count.connections += 1
                return ws
            except (OSError, asyncio.TimeoutError, websockets.exceptions.WebSocketException):
                if self.stop.is_set() or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)

    async def wait(self, seconds):
        """Return: False when it is time to stop."""
        try:
            await asyncio.wait_for(self.stop.wait(), max(seconds, 0))
        except asyncio.TimeoutError:
            return True
        return False

    async def speak(self, ws, until):
        interval = self.args.speakers * self.args.message_bytes / self.args.bytes_per_s
        n, at = 0, time.monotonic() + self.random.random() * interval
        while at < until and await self.wait(at - time.monotonic()):
            k = self.random.randrange(len(self.pcm))
            sent = time.monotonic()
            await ws.send(struct.pack("!I", n) + self.pcm[k])
            answer = await asyncio.wait_for(ws.recv(), ANSWER_SECONDS)
            if answer == struct.pack("!II", n, self.crcs[k]):
                self.count.acks += 1
            else:
                self.count.error("wrong-ack")
            self.count.latencies.append(time.monotonic() - sent)
            n, at = n + 1, at + interval

    async def listen(self, ws, until):
        kept = collections.deque(maxlen=100000)
        audit_at = time.monotonic() + self.random.uniform(5, 15)
        while time.monotonic() < until and not self.stop.is_set():
            try:
                message = json.loads(await asyncio.wait_for(ws.recv(), 0.5))
            except asyncio.TimeoutError:
                if time.monotonic() > audit_at:
                    audit_at = time.monotonic() + self.random.uniform(10, 20)
                    await ws.send('{"op": "audit"}')
                continue
            if message["ev"] == "kept":
                kept.append(message["crc"])
                self.count.previews += message["n"]
            elif message["ev"] == "audit":
                self.count.audits += 1
                # listed are the newest; a "kept" still on its way to us can be missing from ours, never reordered
                n = len(message["crcs"])
                if list(kept)[len(kept) - n :] != message["crcs"]:
                    self.count.error("audit-differs")

    async def live(self, role, room, life, seconds):
        """One client's life, over as many servers as it takes."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.stop.is_set():
            try:
                ws = await self.connect({"op": "hello", "role": role, "room": room})
                try:
                    await life(ws, until)
                finally:
                    await ws.close()
                return
            except websockets.exceptions.ConnectionClosed as e:
                if self.stop.is_set() and close_code(e) in GOING_AWAY + (1006,):
                    return
                if close_code(e) not in GOING_AWAY:
                    self.count.error(f"closed-{close_code(e)}")
                    return
                self.count.moved += 1
            except (asyncio.TimeoutError, OSError, websockets.exceptions.WebSocketException) as e:
                self.count.error(type(e).__name__)
                return

    def wave(self, room):
        a, r = self.args, self.random
        lives = [("listener", self.listen, float("inf"))] * a.survivors
        lives += [("listener", self.listen, r.uniform(1.0, 4.0) * a.wave_seconds)] * a.passers_by
        # mean 1.0: so many speakers at a time as a wave has, but each wave overlaps its neighbours
        lives += [("speaker", self.speak, r.uniform(0.4, 1.6) * a.wave_seconds) for _ in range(a.speakers)]
        return [asyncio.ensure_future(self.live(role, room, life, s)) for role, life, s in lives]

    async def report(self):
        while await self.wait(self.args.report):
            c = self.count
            print(json.dumps({"acks": c.acks, "moved": c.moved, "errors": c.errors}), flush=True)

    async def run(self):
        for sig in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sig, self.stop.set)
        end, room, tasks = time.monotonic() + self.args.seconds, 0, set()
        reporter = asyncio.ensure_future(self.report()) if self.args.report else None
        while time.monotonic() < end:
            for t in self.wave(room):
                tasks.add(t)
                t.add_done_callback(tasks.discard)
            room += 1
            if not await self.wait(min(self.args.wave_seconds, end - time.monotonic())):
                break
        self.stop.set()
        if tasks:
            await asyncio.wait(list(tasks), timeout=5)
        if reporter:
            await reporter
        return self.count


def arguments(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--seconds", type=float, default=75)
    p.add_argument("--bytes-per-s", type=float, default=5.5e6, help="samples streamed by all speakers together")
    p.add_argument("--message-bytes", type=int, default=32000, help="1 s of 16 kHz, 16 bit, mono")
    p.add_argument("--wave-seconds", type=float, default=3)
    p.add_argument("--speakers", type=int, default=12, help="per wave")
    p.add_argument("--survivors", type=int, default=3, help="listeners per wave that stay until the end")
    p.add_argument("--passers-by", type=int, default=0, help="listeners per wave that leave after 1 to 4 waves")
    p.add_argument("--report", type=float, default=0, help="print counters every so many seconds")
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args(argv)


def main():
    os.environ["no_proxy"] = "127.0.0.1"  # websockets 15 looks for a proxy in the environment
    count = asyncio.run(Clients(arguments(sys.argv[1:])).run())
    print(json.dumps(count.line()), flush=True)
    return 1 if count.errors else 0


if __name__ == "__main__":
    sys.exit(main())
