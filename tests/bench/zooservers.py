# SPDX-License-Identifier: Apache-2.0
"""Real servers of the zoo (tests/bench/zoo): each in a folder of its own, on a unix socket, with what it is asked for."""
import glob
import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import threading

from lib import Skip, need, wait_until

VALUE_BYTES = 900 # with key and bookkeeping about 1 KiB


class Server:
    """A process and its folder."""
    def __init__(self, argv, folder, **kwargs):
        self.folder = folder
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, **kwargs)
        self.pid = self.process.pid

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    try:
        s.connect(path)
        return s
    except OSError:
        s.close()
        return None


class Redis(Server):
    """Filling, with a bound on the time a key lives, or doing nothing at all."""
    def __init__(self, run):
        path = need('redis-server')
        folder = tempfile.mkdtemp(prefix='zoo-')
        super().__init__([path, '--port', '0', '--unixsocket', folder + '/s', '--save', '', '--appendonly', 'no', '--dir', folder], folder)
        self.socket = wait_until('redis answers', lambda: connect(folder + '/s'))
        self.reader, self.n, self.draw = self.socket.makefile('rb'), 0, random.Random(run.seed)
        self.put(run.base_mib * 1024, None)
        self.end = threading.Event()
        self.feeder = None
        if run.cause.grows:
            expire = run.cause.name == 'redis-expire'
            if expire: # what it holds in the long run
                self.put(int(run.rate_mib * 1024), 1000)
            self.feeder = threading.Thread(target=self.feed, args=(run.rate_mib * 1024 / 20, 1000 if expire else None))
            self.feeder.start()
            if expire:
                self.end.wait(3)
            else: # what jemalloc has free after the first keys is used up
                before = self.rss_kib()
                wait_until('redis grows', lambda: self.rss_kib() > before + 1024)

    def rss_kib(self):
        with open(f'/proc/{self.pid}/status', encoding='ascii') as f:
            return next(int(line.split()[1]) for line in f if line.startswith('VmRSS'))

    def put(self, n, expire_msec):
        for _ in range(0, n, 500):
            batch = []
            for _ in range(min(500, n)):
                self.n += 1
                words = ['SET', f'key:{self.n}', 'x' * self.draw.randint(VALUE_BYTES - 300, VALUE_BYTES + 300)]
                words += ['PX', str(expire_msec)] if expire_msec else []
                batch.append(f'*{len(words)}\r\n' + ''.join(f'${len(word)}\r\n{word}\r\n' for word in words))
            self.socket.sendall(''.join(batch).encode())
            for _ in batch:
                assert self.reader.readline() == b'+OK\r\n'

    def feed(self, per_turn, expire_msec):
        while not self.end.wait(0.05):
            self.put(max(int(per_turn), 1), expire_msec)

    def close(self):
        self.end.set()
        if self.feeder:
            self.feeder.join()
        self.socket.close()
        super().close()


class Nginx(Server):
    """Asked for a page again and again."""
    def __init__(self, run):
        path = shutil.which('nginx', path=os.environ['PATH'] + ':/usr/sbin')
        if not path:
            raise Skip('nginx is not installed')
        folder = tempfile.mkdtemp(prefix='zoo-')
        with open(folder + '/conf', 'w', encoding='ascii') as f:
            f.write(f'daemon off; master_process off; pid {folder}/pid; error_log {folder}/log; events {{}} http {{ access_log off; '
                    f'client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; '
                    f'scgi_temp_path {folder}; server {{ listen unix:{folder}/s; location / {{ return 200 "well"; }} }} }}')
        super().__init__([path, '-c', folder + '/conf', '-p', folder], folder)
        self.socket = wait_until('nginx answers', lambda: connect(folder + '/s'))
        self.end = threading.Event()
        self.asker = threading.Thread(target=self.ask)
        self.asker.start()

    def ask(self):
        while not self.end.wait(0.01):
            with connect(self.folder + '/s') as s:
                s.sendall(b'GET / HTTP/1.0\r\n\r\n')
                while s.recv(4096):
                    pass

    def close(self):
        self.end.set()
        self.asker.join()
        self.socket.close()
        super().close()


class Postgres(Server):
    """Its postmaster, with nobody connected."""
    def __init__(self, run):
        folder = sorted(glob.glob('/usr/lib/postgresql/*/bin'), reverse=True)
        if not folder:
            raise Skip('postgresql is not installed')
        place, user = tempfile.mkdtemp(prefix='zoo-'), {}
        if os.getuid() == 0: # it refuses to be root
            try:
                user = {'user': pwd.getpwnam('postgres').pw_name, 'group': pwd.getpwnam('postgres').pw_gid}
            except KeyError as e:
                raise Skip('there is no user postgres to run it as') from e
            shutil.chown(place, 'postgres')
        done = subprocess.run([folder[0] + '/initdb', '-D', place + '/data', '-A', 'trust'], capture_output=True, check=False, cwd=place, **user)
        if done.returncode != 0:
            shutil.rmtree(place, ignore_errors=True)
            raise Skip(f'initdb failed: {done.stderr.decode(errors="replace").strip()[-100:]}')
        super().__init__([folder[0] + '/postgres', '-D', place + '/data', '-k', place, '-c', 'listen_addresses='], place, cwd=place, **user)
        wait_until('postgres answers', lambda: os.path.exists(place + '/.s.PGSQL.5432'))
        with open(f'/proc/{self.pid}/task/{self.pid}/children', encoding='ascii') as f:
            wait_until('all its workers run', lambda: f.seek(0) == 0 and len(f.read().split()) >= 5)


SERVERS = {'redis': Redis, 'nginx': Nginx, 'postgres': Postgres}
