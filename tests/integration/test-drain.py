# SPDX-License-Identifier: Apache-2.0
"""The drain, on a real WebSocket server in a process of its own and real clients: what it waits for, and what it tells."""
import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading

import tap
from lib import Receiver, Skip, free_port, need, wait_until

try:
    import websockets
except ImportError:
    websockets = None

DRIVER = sys.argv[1]

SERVER = """
import asyncio, signal, sys, websockets
async def serve(ws):
    await ws.send('hello')
    async for text in ws:
        await ws.send(text)
async def main():
    signal.signal(signal.SIGUSR1, lambda *_: print('told', flush=True))
    async with websockets.serve(serve, '127.0.0.1', int(sys.argv[1])):
        print('ready', flush=True)
        await asyncio.Future()
asyncio.run(main())
"""


class Server:
    """A WebSocket server in its own process."""

    def __init__(self, program=SERVER):
        if not websockets:
            raise Skip('python3-websockets is not installed')
        self.port = free_port()
        self.process = subprocess.Popen([sys.executable, '-c', program, str(self.port)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == 'ready\n'

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


# Closes its listening socket when it is told, as many do first; what it has accepted goes on.
CLOSER = """
import signal, socket, sys
s = socket.create_server(('127.0.0.1', int(sys.argv[1])))
def told(*_):
    s.close()
    print('told', flush=True)
signal.signal(signal.SIGUSR1, told)
print('ready', flush=True)
kept = []
try:
    while True:
        kept.append(s.accept())
except OSError:
    while True:
        signal.pause()
"""


class Clients:
    """Connections in a thread of their own; leave(n) ends n of them as a client does that has finished."""

    def __init__(self, server, n):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.open = [self.do(self.connect(server.port)) for _ in range(n)]
        self.lost = 0

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    async def connect(self, port):
        ws = await websockets.connect(f'ws://127.0.0.1:{port}')
        assert await ws.recv() == 'hello'
        return ws

    def leave(self, n):
        for _ in range(n):
            ws = self.open.pop()
            self.do(self.finish(ws))

    async def finish(self, ws):
        try:
            await ws.send('last words')
            assert await ws.recv() == 'last words'
        except websockets.ConnectionClosed:
            self.lost += 1
        await ws.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.leave(len(self.open))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class Drain:
    """drain-driver: states(until) reads its lines."""

    def __init__(self, server, seconds, *options, env=None):
        self.process = subprocess.Popen([DRIVER, str(server.process.pid), str(seconds), *options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})

    def wait(self, wanted):
        for line in self.process.stdout:
            state = json.loads(line)
            if wanted(state):
                return state
        raise AssertionError('the drain ended before')

    def end(self):
        return self.wait(lambda s: s['end'] != 'going_on')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        code = self.process.wait(30)
        self.process.stdout.close()
        assert code == 0, code


def test_ends_when_clients_have_finished():
    """it counts down with the clients, ends at zero before its time, and none of them is lost"""
    with Server() as s, Clients(s, 5) as c, Drain(s, 3600) as d:
        first = d.wait(lambda x: x['left'] == 5)
        assert first['from'] == 1 and first['ports'] == 1, first  # the port that the process listens on, and no other
        c.leave(3)
        d.wait(lambda x: x['left'] == 2)
        c.leave(2)
        last = d.end()
        assert last['end'] == 'empty' and last['left'] == 0, last
        assert c.lost == 0


def test_ends_at_the_deadline():
    """a client that stays does not keep it beyond its deadline, and is told of"""
    with Server() as s, Clients(s, 2), Drain(s, 1) as d:
        last = d.end()
        assert last['end'] == 'deadline' and last['left'] == 2 and last['waited_s'] >= 1, last


def test_the_process_ends():
    """a process that ends by itself ends the drain at once"""
    with Server() as s, Clients(s, 1) as c, Drain(s, 3600) as d:
        d.wait(lambda x: x['left'] == 1)
        s.process.terminate()
        assert d.end()['end'] == 'ended'
        c.open.clear()


def test_tells_by_all_ways():
    """hook, signal and file: each is used, and what they carry is whole"""
    with tempfile.TemporaryDirectory() as folder, Receiver() as r, Server() as s, Clients(s, 1) as c:
        path = os.path.join(folder, 'drain')
        with Drain(s, 3600, f'url={r.url}/drain', f'file={path}', f'signal={int(signal.SIGUSR1)}') as d:
            said = d.wait(lambda x: 'POST' in x['told'])['told']
            assert said == 'file written; SIGUSR1 sent; POST: answered 200', said
            assert s.process.stdout.readline() == 'told\n'
            with open(path, encoding='utf-8') as f:
                document = json.load(f)
            posted = json.loads(r.next().body)
            for told in (document, posted):
                assert told['type'] == 'plateau.drain' and told['pod'] == 'web-1' and told['reason'] == 'limit near', told
                assert 3590 < told['deadline_s'] <= 3600 and told['deadline'].endswith('Z'), told
            c.leave(1)
            assert d.end()['end'] == 'empty'
        assert os.listdir(folder) == ['drain'], os.listdir(folder)


def test_listener_is_closed_first():
    """an application that stops listening when it is told is still waited for: its ports were found before"""
    with Server(CLOSER) as s, socket.create_connection(('127.0.0.1', s.port)) as c:
        with Drain(s, 3600, f'signal={int(signal.SIGUSR1)}') as d:
            assert s.process.stdout.readline() == 'told\n'
            seen = d.wait(lambda x: x['left'] is not None)
            assert seen['from'] == 1 and seen['ports'] == 1 and seen['left'] == 1, seen
            c.close()
            assert d.end()['end'] == 'empty'


def test_hook_refused():
    """an application that does not listen is said, and the drain goes on"""
    with Server() as s, Clients(s, 1) as c, Drain(s, 3600, f'url=http://127.0.0.1:{free_port()}/drain') as d:
        said = d.wait(lambda x: x['told'])['told']
        assert said.startswith('POST: ') and 'answered' not in said, said
        c.leave(1)
        assert d.end()['end'] == 'empty'


def test_hook_through_no_proxy():
    """the environment's proxy is for the world outside; it would look for the hook on its own loopback"""
    with Receiver() as proxy, Receiver() as r, Server() as s, Clients(s, 1) as c:
        env = {**dict.fromkeys(('http_proxy', 'all_proxy', 'ALL_PROXY'), proxy.url), 'no_proxy': '', 'NO_PROXY': ''}
        with Drain(s, 3600, f'url={r.url}/drain', env=env) as d:
            said = d.wait(lambda x: x['told'])['told']
            assert said == 'POST: answered 200', said
            assert r.next().path == '/drain'
            proxy.none()
            c.leave(1)
            assert d.end()['end'] == 'empty'


def test_link_is_not_followed():
    """what stands in the file's place is replaced, never written through"""
    with tempfile.TemporaryDirectory() as folder, Server() as s, Clients(s, 1):
        path, victim = os.path.join(folder, 'drain'), os.path.join(folder, 'victim')
        with open(victim, 'w', encoding='utf-8') as f:
            f.write('precious')
        os.symlink(victim, path)
        os.symlink(victim, path + '.new')
        with Drain(s, 3600, f'file={path}') as d:
            d.wait(lambda x: 'file written' in x['told'])
        with open(victim, encoding='utf-8') as f:
            assert f.read() == 'precious'


def test_cancel_takes_the_file_back():
    """a drain that is called off leaves no file"""
    with tempfile.TemporaryDirectory() as folder, Server() as s, Clients(s, 1):
        path = os.path.join(folder, 'drain')
        with Drain(s, 3600, f'file={path}') as d:
            d.wait(lambda x: x['left'] == 1)
            assert os.path.exists(path)
        assert not os.path.exists(path)


NGINX = """
daemon off; master_process on; worker_processes 2; error_log stderr crit; pid {folder}/pid;
events {{ worker_connections 256; }}
http {{
  access_log off; keepalive_timeout 600;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d;
  scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port} reuseport; {six} location / {{ return 200 'x'; }} }}
}}
"""


class Nginx:
    """Two workers that accept on sockets which all of its processes hold."""

    def __init__(self, folder):
        self.port = free_port()
        self.hosts = ['127.0.0.1']
        try:
            free_port(socket.AF_INET6, '::1')
            self.hosts.append('::1')
        except OSError:
            pass
        six = f'listen [::1]:{self.port};' if len(self.hosts) > 1 else ''
        path = os.path.join(folder, 'nginx.conf')
        with open(path, 'w', encoding='ascii') as f:
            f.write(NGINX.format(folder=folder, port=self.port, six=six))
        self.process = subprocess.Popen([need('nginx'), '-c', path, '-p', folder, '-e', 'stderr'], stderr=subprocess.DEVNULL)
        wait_until('nginx', self.answers)

    def answers(self):
        try:
            self.connect('127.0.0.1').close()
            return True
        except OSError:
            return False

    def connect(self, host):
        """A connection that is kept alive."""
        c = http.client.HTTPConnection(host, self.port, timeout=20)
        c.request('GET', '/')
        assert c.getresponse().read() == b'x'
        return c

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)


def test_nginx():
    """nginx with two workers: its kept connections of both families, whichever worker has them, by netlink as by text"""
    with tempfile.TemporaryDirectory() as folder, Nginx(folder) as s:
        kept = [s.connect(host) for host in s.hosts for _ in range(20)]
        with Drain(s, 3600) as d:
            seen = d.wait(lambda x: x['left'] == len(kept))
            assert seen['from'] == 1 and seen['ports'] == len(s.hosts), seen
            assert seen['netlink'] or not os.path.exists('/proc/sys/net/ipv4'), seen
            while kept:
                kept.pop().close()
            assert d.end()['end'] == 'empty'


def test_given_ports():
    """only the ports that are named count"""
    with Server() as s, Clients(s, 1), Drain(s, 3600, f'port={free_port()}') as d:
        last = d.end()
        assert last['end'] == 'empty' and last['from'] == 0, last


with contextlib.suppress(KeyboardInterrupt):
    tap.main(globals())
