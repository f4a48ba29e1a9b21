#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The workload of the rotation tests: HTTP requests and WebSocket sessions on one port, and memory that leaks on request.

  GET /job         an answer after some milliseconds
  GET /healthz      200
  POST /leak?bytes  keeps so many bytes more, touched
  POST /holes?bytes touches so many bytes in small blocks and frees all but some: the heap keeps the pages
  POST /rate?bytes  leaks so many bytes a second from now on
  POST /free        gives all of it back
  POST /drain       sessions are asked to end ("finish"), as plateau's drain hook does it; so does SIGUSR1, and DRAIN_FILE
  ws://.../session  echoes; a client that is asked to finish does so by itself

SIGTERM: sessions that are left are closed with 1012 (service restart), then it ends with 0. Prints one JSON line at its end:
how many sessions it had to cut. Listens on POD_IP (one loopback address a pod), port PORT.
"""
import asyncio
import json
import os
import signal
import sys
from urllib.parse import parse_qs, urlsplit

import websockets

WORK_S = 0.005
PAGE = 4096
BLOCK = 2000 # above what pymalloc serves: from malloc


class App:
    def __init__(self):
        self.kept = []
        self.rate = int(os.environ.get('LEAK_BYTES_PER_S', '0'))
        self.sessions = set()
        self.draining = False
        self.cut = 0
        self.stop = asyncio.Event()

    def leak(self, n):
        block = bytearray(n)
        block[::PAGE] = b'x' * len(range(0, n, PAGE))
        self.kept.append(block)

    def make_holes(self, n):
        blocks = [bytearray(BLOCK) for _ in range(n // BLOCK)]
        self.kept.extend(blocks[::100])

    async def leak_steadily(self):
        while True:
            await asyncio.sleep(0.1)
            if self.rate:
                self.leak(max(self.rate // 10, 1))

    async def mind_file(self, path):
        """plateau's drain.file, in a volume that both containers have."""
        while not os.path.exists(path):
            await asyncio.sleep(0.1)
        await self.ask_to_finish('file')

    async def ask_to_finish(self, by):
        print(json.dumps({'asked': by, 'sessions': len(self.sessions)}), flush=True)
        self.draining = True
        for session in list(self.sessions):
            try:
                await session.send('finish')
            except websockets.ConnectionClosed:
                pass

    async def answer(self, method, target):
        url = urlsplit(target)
        n = int(parse_qs(url.query).get('bytes', ['0'])[0])
        if url.path == '/job':
            await asyncio.sleep(WORK_S)
        elif url.path == '/leak' and method == 'POST':
            self.leak(n)
        elif url.path == '/free' and method == 'POST':
            self.kept.clear()
        elif url.path == '/holes' and method == 'POST':
            self.make_holes(n)
        elif url.path == '/rate' and method == 'POST':
            self.rate = n
        elif url.path == '/drain' and method == 'POST':
            await self.ask_to_finish('url')
        elif url.path != '/healthz':
            return 404, b'no such thing\n'
        return 200, json.dumps({'pod': os.environ.get('HOSTNAME', ''), 'sessions': len(self.sessions),
                                'kept': sum(len(b) for b in self.kept)}).encode() + b'\n'

    async def session(self, ws, *_):
        self.sessions.add(ws)
        try:
            if self.draining:
                await ws.send('finish')
            async for message in ws:
                await ws.send(message)
        except websockets.ConnectionClosed:
            pass
        finally:
            self.sessions.discard(ws)


class Front:
    """One port for both: a request that wants to be upgraded is handed to the WebSocket server on a socket of its own."""

    def __init__(self, app, ws_path):
        self.app, self.ws_path = app, ws_path

    async def on_connection(self, reader, writer):
        try:
            head = await reader.readuntil(b'\r\n\r\n')
            method, target, _ = head.split(b'\r\n', 1)[0].decode('ascii', 'replace').split(' ', 2)
            if b'upgrade: websocket' in head.lower():
                await self.pass_on(head, reader, writer)
                return
            status, body = await self.app.answer(method, target)
            writer.write(b'HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n' % (status, len(body)) + body)
            await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def pass_on(self, head, reader, writer):
        inner_reader, inner_writer = await asyncio.open_unix_connection(self.ws_path)
        inner_writer.write(head)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer), return_exceptions=True)


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def main():
    app = App()
    host, port = os.environ.get('POD_IP', '127.0.0.1'), int(os.environ.get('PORT', '8080'))
    ws_path = os.path.join(os.environ.get('APP_DIR', '.'), f'ws-{os.getpid()}.sock')
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, app.stop.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: tasks.append(loop.create_task(app.ask_to_finish('signal'))))
    sessions = await websockets.unix_serve(app.session, ws_path, ping_interval=None)
    server = await asyncio.start_server(Front(app, ws_path).on_connection, host, port)
    tasks = [asyncio.create_task(app.leak_steadily())]
    if 'DRAIN_FILE' in os.environ:
        tasks.append(asyncio.create_task(app.mind_file(os.environ['DRAIN_FILE'])))
    print(json.dumps({'listening': f'{host}:{port}', 'pid': os.getpid()}), flush=True)
    await app.stop.wait()
    app.cut = len(app.sessions)
    for task in tasks:
        task.cancel()
    server.close()
    for session in list(app.sessions):
        await session.close(1012, 'service restart')
    sessions.close()
    os.unlink(ws_path)
    print(json.dumps({'cut': app.cut}), flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(asyncio.run(main()))
