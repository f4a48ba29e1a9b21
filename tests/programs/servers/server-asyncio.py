# SPDX-License-Identifier: Apache-2.0
"""As server.py, in one thread: an event loop that is all the program has."""
import asyncio
import random

kept = [None] * 2000


async def serve(reader, writer):
    count = 0
    while head := await reader.readuntil(b'\r\n\r\n'):
        n = int(head.split()[1][1:])
        count += 1
        for _ in range(30):
            kept[random.randrange(len(kept))] = [bytearray(random.randrange(20000)), {n: str(n)}]
        body = b'%d %d plateau\n' % (n, count) * (n % 200 + 1)
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
        await writer.drain()


async def main():
    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    print('ready', server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
