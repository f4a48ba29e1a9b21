# SPDX-License-Identifier: Apache-2.0
"""The table of real programs: how each is found, started in a folder of its own, asked, and what a reclaim must answer.

A row's start function gets a Place (drive.py) and returns a Start. Everything listens on a unix socket in the folder, or
on a port of loopback that the program picks itself and tells ("ready PORT"); nothing reads a configuration of the
machine's, and nothing is left behind.
"""
import glob
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import Callable

from clients import HttpFile
from lib import Skip, free_port

SERVERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'servers')
PATHS = (os.environ.get('PATH', os.defpath) + ':/usr/local/sbin:/usr/sbin:/sbin:/usr/local/go/bin:' +
         os.path.expanduser('~/.cargo/bin'))


@dataclass
class Start:
    """How a program is started."""
    argv: list
    address: str = None # None: it says "ready PORT"
    leave: str = None   # which processes of it are not called into: a pattern of their titles


@dataclass
class Program:
    name: str
    find: Callable      # () -> path, or Skip
    version: list       # arguments that make it tell
    start: Callable     # (place, path) -> Start
    client: str         # in clients.py
    want: str = 'ok'    # a reason of `plateau reclaim`; 'ok': reclaimed
    says: str = ''      # what its detail must have
    threads: str = None # 'borrowed' or 'own': who makes the call, where it is the same for all its processes
    build: bool = False # takes a minute to build: only where asked for


def which(*names):
    """The first of some programs."""
    def find():
        for name in names:
            path = shutil.which(name, path=PATHS) or next(iter(sorted(glob.glob(name), reverse=True)), None)
            if path:
                return path
        raise Skip(f'{names[0].rsplit("/", 1)[-1]} is not installed')
    return find


# ---- servers that are asked in their own protocol

def redis(place, path):
    return Start([path, '--port', '0', '--unixsocket', place.path('s'), '--save', '', '--appendonly', 'no',
                  '--dir', place.folder, '--daemonize', 'no'], place.path('s'))


def memcached(place, path):
    return Start([path, '-s', place.path('s'), '-m', '64', '-t', '2'], place.path('s'))


def mosquitto(place, path):
    port = free_port()
    conf = place.write('conf', f'listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type error\n')
    return Start([path, '-c', conf], str(port))


def nginx(place, path):
    os.mkdir(place.path('www'))
    for n in range(HttpFile.FILES):
        place.write(f'www/{n}', HttpFile.file_content(n))
    temporary = ''.join(f'{kind}_temp_path {place.path(kind)};\n' for kind in
                        ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
    conf = place.write('conf', f'''daemon off;
worker_processes 2;
pid {place.path('pid')};
error_log stderr;
events {{}}
http {{
access_log off;
keepalive_requests 1000000;
{temporary}
gzip_types *;
server {{ listen unix:{place.path('s')}; root {place.path('www')}; }}
}}
''')
    # the master has nothing to give back, and waits in rt_sigsuspend(), out of which no thread is taken
    return Start([path, '-p', place.folder, '-c', conf], place.path('s'), leave='master process')


def postgres(place, path):
    data = place.path('data')
    place.run(os.path.join(os.path.dirname(os.path.realpath(path)), 'initdb'), '-D', data, '-U', 'plateau', '-A', 'trust',
              '--no-sync', '--no-locale', '-E', 'UTF8')
    return Start([path, '-D', data, '-k', place.folder, '-c', 'listen_addresses=', '-c', 'fsync=off', '-c',
                  'shared_buffers=32MB', '-c', 'log_min_messages=warning'], place.path('.s.PGSQL.5432'),
                 # until version 15 the postmaster forks these in a signal handler, in which they stay all their life
                 leave='walwriter|autovacuum|logical replication')


def mariadb(place, path):
    data = place.path('data')
    os.mkdir(data)
    place.give(data)
    # a small log makes it wait for its own flushing, for a second at a time
    return Start([path, '--no-defaults', f'--datadir={data}', '--skip-networking', f'--socket={place.path("s")}',
                  f'--pid-file={place.path("pid")}', f'--tmpdir={place.folder}', '--skip-grant-tables',
                  '--innodb-flush-log-at-trx-commit=0', '--innodb-log-file-size=96M', '--innodb-doublewrite=0',
                  '--loose-innodb-flush-method=nosync', '--innodb-buffer-pool-size=64M'], place.path('s'))


def php_fpm(place, path):
    conf = place.write('conf', f'''[global]
error_log = {place.path('log')}
daemonize = no
[www]
listen = {place.path('s')}
pm = static
pm.max_children = 3
''')
    script = place.copy(os.path.join(SERVERS, 'server.php'))
    return Start([path, '-n', '-F', '-y', conf], f'{place.path("s")}?{script}')


# ---- languages: servers/

def script(name, *options):
    def start(place, path):
        return Start([path, *options, place.copy(os.path.join(SERVERS, name))])
    return start


def java(place, path):
    place.build(path, '-d', place.folder, os.path.join(SERVERS, 'Server.java'))
    return Start([os.path.join(os.path.dirname(os.path.realpath(path)), 'java'), '-XX:-UsePerfData', '-Xmx64m',
                  '-Dsun.net.httpserver.nodelay=true', '-cp',
                  place.folder, 'Server'])


def go(place, path):
    place.build(path, 'build', '-o', place.path('server'), place.copy(os.path.join(SERVERS, 'server.go')),
                env={'CGO_ENABLED': '0', 'GO111MODULE': 'off', 'GOFLAGS': '', 'GOTOOLCHAIN': 'local',
                     'GOCACHE': place.cache('go')})
    return Start([place.path('server')])


def rust(place, path):
    place.build(path, '-O', '--edition', '2021', '-A', 'unexpected_cfgs', '-o', place.path('server'),
                os.path.join(SERVERS, 'server.rs'))
    return Start([place.path('server')])


CARGO = '''[package]
name = "server"
version = "0.0.0"
edition = "2021"
[features]
jemalloc = []
[dependencies]
tikv-jemallocator = "0.6"
[[bin]]
name = "server"
path = "server.rs"
'''


def rust_jemalloc(place, path):
    place.write('Cargo.toml', CARGO)
    place.copy(os.path.join(SERVERS, 'server.rs'))
    try:
        place.build(path, 'build', '--release', '--features', 'jemalloc', '--manifest-path', place.path('Cargo.toml'),
                    '--target-dir', place.path('target'))
    except subprocess.CalledProcessError as e:
        raise Skip('cargo cannot build tikv-jemallocator: ' + e.stderr.strip().splitlines()[-1]) from None
    return Start([place.path('target/release/server')])


def pythons():
    """Every CPython and PyPy of the machine: the system's, then what pyenv has."""
    found = [('python3', which('/usr/bin/python3'))]
    for path in sorted(glob.glob(os.path.expanduser('~/.pyenv/versions/*/bin/python')),
                       key=lambda p: [int(w) if w.isdigit() else 0 for w in p.split('/')[-3].split('.')]):
        found.append((f'python {path.split("/")[-3]}', which(path)))
    found.append(('pypy3', which('pypy3')))
    return [Program(name, find, ['--version'], script('server.py'), 'Http') for name, find in found]


TABLE = [
    Program('redis', which('redis-server'), ['--version'], redis, 'Redis'),
    Program('nginx', which('nginx'), ['-v'], nginx, 'HttpFile', threads='borrowed'),
    Program('postgres', which('/usr/lib/postgresql/*/bin/postgres', 'postgres'), ['--version'], postgres, 'Postgres',
            threads='borrowed'),
    Program('mariadb', which('mariadbd', 'mysqld'), ['--version'], mariadb, 'MySql', threads='own'),
    Program('memcached', which('memcached'), ['--version'], memcached, 'Memcached', threads='own'),
    Program('mosquitto', which('mosquitto'), ['-h'], mosquitto, 'Mqtt', threads='borrowed'),
    Program('php-fpm', which('/usr/sbin/php-fpm[0-9]*', 'php-fpm'), ['-v'], php_fpm, 'FastCgi', threads='borrowed'),
    Program('node', which('node', 'nodejs'), ['--version'], script('server.js'), 'Http', threads='own'),
    Program('java', which('javac'), ['-version'], java, 'Http', threads='own'),
    Program('ruby', which('ruby'), ['--version'], script('server.rb'), 'Http', threads='own'),
    Program('perl', which('perl'), ['-e', 'print $^V'], script('server.pl'), 'Http', threads='borrowed'),
    Program('asyncio', which('/usr/bin/python3'), ['--version'], script('server-asyncio.py'), 'Http', threads='borrowed'),
    *pythons(),
    Program('go', which('go'), ['version'], go, 'Http', want='no_libc', says='a Go program'),
    Program('rust', which('rustc'), ['--version'], rust, 'Http', threads='own'),
    Program('rust-jemalloc', which('cargo'), ['--version'], rust_jemalloc, 'Http', build=True),
]
