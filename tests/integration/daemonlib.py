# SPDX-License-Identifier: Apache-2.0
"""plateaud as a process under test: a configuration in, its JSON log, status socket and metrics out."""
import json
import os
import queue
import socket
import subprocess
import tempfile
import threading

from lib import DEADLINE_S, free_port, get, wait_until


class Daemon:
    """Daemon(path, probe, 'targets: ...'): runs until the with block ends, then must stop cleanly."""

    def __init__(self, path, probe, config, env=None, args=(), listen=True):
        self.dir = tempfile.TemporaryDirectory(prefix='plateau-test-')
        self.config_path = os.path.join(self.dir.name, 'plateau.yaml')
        self.socket_path = os.path.join(self.dir.name, 'plateau.sock')
        self.port = free_port()
        self.config = config
        self.tail = f'\nsocket: {self.socket_path}\nlog: {{format: json, level: debug}}\n'
        if listen and 'report:' not in config:
            self.tail += f'report: {{listen: "127.0.0.1:{self.port}"}}\n'
        self.write(config)
        self.lines = queue.Queue()
        self.seen = []
        self.process = subprocess.Popen([path, '--config', self.config_path, *args], stderr=subprocess.PIPE,
                                        env={**os.environ, 'PLATEAU_PROBE': probe, **(env or {})})
        threading.Thread(target=self.read, daemon=True).start()

    def write(self, config):
        with open(self.config_path, 'w', encoding='utf-8') as f:
            f.write(config.replace('@PORT@', str(self.port)) + self.tail)

    def read(self):
        for line in self.process.stderr:
            try:
                self.lines.put(json.loads(line))
            except ValueError:
                self.lines.put({'event': 'text', 'message': line.decode(errors='replace')})
        self.lines.put(None)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.terminate() if not kind else self.process.kill()
        status = self.process.wait(DEADLINE_S)
        self.dir.cleanup()
        if not kind:
            assert status == 0, (status, self.seen[-5:], list(self.lines.queue)[-20:])

    def event(self, name, **fields):
        """The next log line of this event with these fields; earlier ones are passed over but kept in `seen`."""
        while True:
            try:
                line = self.lines.get(timeout=DEADLINE_S)
            except queue.Empty:
                raise AssertionError(f'no {name} {fields} in time; the last lines: {self.seen[-8:]}') from None
            assert line is not None, f'the daemon ended before {name}: {self.seen[-8:]}'
            self.seen.append(line)
            if line['event'] == name and all(line.get(k) == v for k, v in fields.items()):
                return line

    def status(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(DEADLINE_S)
            s.connect(self.socket_path)
            data = b''
            while chunk := s.recv(65536):
                data += chunk
        return json.loads(data)

    def target(self, index=0):
        return self.status()['targets'][index]

    def wait_status(self, what, predicate):
        return wait_until(what, lambda: (lambda s: s if predicate(s) else None)(self.status()))

    def get(self, path):
        return get(f'http://127.0.0.1:{self.port}{path}')

    def metrics(self):
        """{(name, frozenset of labels): value}"""
        status, _, body = self.get('/metrics')
        assert status == 200, status
        out = {}
        for line in body.decode().splitlines():
            if line.startswith('#') or not line:
                continue
            series, value = line.rsplit(' ', 1)
            name, _, labels = series.partition('{')
            out.setdefault(name, {})[labels.rstrip('}')] = float(value)
        return out

    def proc(self, pid=None):
        with open(f'/proc/{pid or self.process.pid}/status', encoding='ascii', errors='replace') as f:
            return dict(line.rstrip('\n').split(':\t', 1) for line in f if ':\t' in line)
