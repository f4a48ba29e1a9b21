#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A WebSocket server for audio: speakers stream PCM into a room, listeners keep short previews of what was said.

Every connection begins with one text message, {"op": "hello", "role": "speaker" | "listener" | "admin", ...}.

speaker   Each binary message is a 4-byte sequence number and PCM samples. They are collected (bytearray.extend),
          cut into chunks, and each chunk is copied through a gain table, in a worker thread unless --single-thread.
          Acknowledged by 8 bytes: the sequence number and the CRC-32 of the result. The newest --window chunks are
          kept whole. Of an older one only its beginning is kept, cut in place: `del chunk[preview:]`.
listener  Keeps the newest --keep previews of its room, and is told by text messages how many came with which CRC.
          {"op": "audit"} computes those CRCs again from what is in memory now.
admin     {"op": "stat"}, {"op": "trim"}: figures of this process; malloc_trim(0) in a worker thread.

The live state of a connection is bounded (--window chunks, --keep previews) and goes when the connection goes. Nothing
else is kept, except under --leak.
"""

import argparse
import asyncio
import collections
import concurrent.futures
import itertools
import json
import logging
import os
import signal
import struct
import sys
import time
import zlib

import websockets

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import heap  # noqa: E402
import sockets  # noqa: E402

sockets.mend()
GAIN = bytes((i * 3 // 4) & 0xFF for i in range(256))
FRAME_BYTES = 640  # 20 ms of 16 kHz, 16 bit, mono: what a client's encoder hands over at a time
MESSAGE_MAX_BYTES = 1 << 20
CHUNK_MAX_BYTES = 120 * 1024  # above malloc's mmap threshold (128 KiB) a chunk would not be in the heap at all
CLOSE_RESTART = 1012  # "service restart": RFC 6455 §7.4.1's registry, 1012
STOP_SECONDS = 1.5
LEAK_BLOCK_BYTES = 4096


def cut(message, chunk_bytes):
    """The chunks of one message: collected frame by frame, as they would come off an encoder, copied with gain."""
    chunks, crc = [], 0
    pcm = memoryview(message)[4:]
    for at in range(0, len(pcm), chunk_bytes):
        end = min(at + chunk_bytes, len(pcm))
        collected = bytearray()
        for frame in range(at, end, FRAME_BYTES):
            collected.extend(pcm[frame : min(frame + FRAME_BYTES, end)])
        chunk = collected.translate(GAIN)
        crc = zlib.crc32(chunk, crc)
        chunks.append(chunk)
    return chunks, crc


class Listener:
    def __init__(self, ws, keep):
        self.ws = ws
        self.groups = collections.deque()  # of lists of previews; together at most `keep` of them
        self.n_previews = 0
        self.keep = keep

    def add(self, previews):
        self.groups.append(previews)
        self.n_previews += len(previews)
        while self.n_previews > self.keep:
            self.n_previews -= len(self.groups.popleft())

    def audit(self):
        return [crc_of(g) for g in self.groups]


def crc_of(previews):
    crc = 0
    for p in previews:
        crc = zlib.crc32(p, crc)
    return crc


class Server:
    def __init__(self, args):
        self.args = args
        self.rooms = collections.defaultdict(list)  # room -> its living listeners
        self.turns = itertools.count()
        self.connections = set()
        self.n_messages = self.n_bytes = self.n_refused = self.n_total = 0
        self.pool = None if args.single_thread else concurrent.futures.ThreadPoolExecutor(args.workers, "worker")
        self.forgotten = []  # --leak only
        self.started = time.monotonic()

    async def work(self, fn, *args):
        if not self.pool:
            return fn(*args)
        return await asyncio.get_running_loop().run_in_executor(self.pool, fn, *args)

    async def serve_speaker(self, ws, hello):
        room = int(hello["room"])
        chunk_bytes = self.args.chunk_bytes
        window = collections.deque()
        try:
            async for message in ws:
                if not isinstance(message, bytes) or len(message) < 4:
                    raise ValueError("a speaker sends samples")
                chunks, crc = await self.work(cut, message, chunk_bytes)
                window.extend(chunks)
                del chunks
                self.n_messages += 1
                self.n_bytes += len(message)
                await ws.send(message[:4] + struct.pack("!I", crc))
                del message
                await self.publish(room, window, self.args.window)
        finally:
            await self.publish(room, window, 0)

    async def publish(self, room, window, remaining):
        """What no longer fits the window is cut down to its preview and handed to one of the room's listeners."""
        previews = []
        while len(window) > remaining:
            chunk = window.popleft()
            del chunk[self.args.preview_bytes :]
            previews.append(chunk)
        listeners = self.rooms.get(room)
        if not previews or not listeners:
            return
        listener = listeners[next(self.turns) % len(listeners)]
        listener.add(previews)
        note = json.dumps({"ev": "kept", "n": len(previews), "crc": crc_of(previews)})
        try:
            await listener.ws.send(note)
        except websockets.exceptions.ConnectionClosed:
            pass  # its own handler sees the same and takes it out of the room

    async def serve_listener(self, ws, hello):
        room = int(hello["room"])
        listener = Listener(ws, self.args.keep)
        self.rooms[room].append(listener)
        try:
            await ws.send(json.dumps({"ev": "listening"}))
            async for message in ws:
                if json.loads(message).get("op") == "audit":
                    await ws.send(json.dumps({"ev": "audit", "crcs": listener.audit()}))
        finally:
            self.rooms[room].remove(listener)
            if not self.rooms[room]:
                del self.rooms[room]

    async def serve_admin(self, ws, hello):
        async for message in ws:
            op = json.loads(message).get("op")
            if op == "stat":
                answer = await self.work(heap.stat)
            elif op == "trim":
                answer = await self.work(heap.trim)
            else:
                raise ValueError("unknown operation")
            answer.update(
                connections=len(self.connections),
                listeners=sum(len(v) for v in self.rooms.values()),
                messages=self.n_messages,
                stream_bytes=self.n_bytes,
                refused=self.n_refused,
                total=self.n_total,
                leaked_bytes=len(self.forgotten) * LEAK_BLOCK_BYTES,
                uptime_s=round(time.monotonic() - self.started, 1),
            )
            await ws.send(json.dumps(answer))

    async def serve(self, ws, _path=None):
        """_path: given by websockets before 10.1"""
        roles = {"speaker": self.serve_speaker, "listener": self.serve_listener, "admin": self.serve_admin}
        self.connections.add(ws)
        self.n_total += 1
        try:
            hello = json.loads(await ws.recv())
            await roles[hello["role"]](ws, hello)
        except websockets.exceptions.ConnectionClosed:
            pass
        except (ValueError, KeyError, TypeError) as e:
            self.n_refused += 1
            logging.warning("refused: %s: %s", type(e).__name__, e)
            await ws.close(1008, "not understood")
        finally:
            self.connections.discard(ws)

    async def leak(self, bytes_per_s):
        start, n = time.monotonic(), 0
        while True:
            await asyncio.sleep(0.1)
            due = int((time.monotonic() - start) * bytes_per_s / LEAK_BLOCK_BYTES)
            for _ in range(due - n):
                self.forgotten.append(bytearray(b"\xa5" * (LEAK_BLOCK_BYTES - 32)))
            n = due

    async def stop(self, server):
        """Nobody new; everybody told 1012; at most STOP_SECONDS for those who do not answer the close."""
        server.server.close()  # the asyncio server alone: the library's own close() would tell everybody 1001
        closing = [asyncio.ensure_future(ws.close(CLOSE_RESTART, "restarting")) for ws in list(self.connections)]
        if closing:
            await asyncio.wait(closing, timeout=STOP_SECONDS)
        logging.info("stopped: %d connections told, %d served in all", len(closing), self.n_total)

    async def run(self):
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sig, stop.set)
        server = await websockets.serve(
            self.serve,
            self.args.host,
            self.args.port,
            compression=None,
            max_size=MESSAGE_MAX_BYTES,
            ping_interval=20,
            ping_timeout=60,
            close_timeout=1,
        )
        leak = asyncio.ensure_future(self.leak(self.args.leak)) if self.args.leak else None
        port = server.sockets[0].getsockname()[1]
        print(f"ready pid={os.getpid()} port={port}", flush=True)
        await stop.wait()
        if leak:
            leak.cancel()
        await self.stop(server)


def arguments(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=0, help="0: any (it is printed)")
    p.add_argument("--chunk-bytes", type=int, default=32000, help="samples are kept in pieces of this size")
    p.add_argument("--preview-bytes", type=int, default=640, help="what is left of a chunk out of the window")
    p.add_argument("--window", type=int, default=16, help="whole chunks kept per speaker")
    p.add_argument("--keep", type=int, default=4096, help="previews kept per listener")
    p.add_argument("--workers", type=int, default=8, help="worker threads")
    p.add_argument("--single-thread", action="store_true", help="no worker threads at all")
    p.add_argument("--leak", type=int, default=0, metavar="BYTES_PER_S", help="leak for real")
    a = p.parse_args(argv)
    if not 64 <= a.chunk_bytes <= CHUNK_MAX_BYTES or not 0 <= a.preview_bytes <= a.chunk_bytes:
        p.error(f"--chunk-bytes is 64..{CHUNK_MAX_BYTES}, --preview-bytes 0..--chunk-bytes")
    return a


def main():
    logging.basicConfig(level=logging.INFO, format="server: %(message)s", stream=sys.stderr)
    logging.getLogger("websockets").setLevel(logging.WARNING)
    asyncio.run(Server(arguments(sys.argv[1:])).run())
    # the pool's threads are idle: what is left is memory, and that the kernel takes back faster than free() does
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
