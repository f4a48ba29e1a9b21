# SPDX-License-Identifier: Apache-2.0
"""etcd and kube-apiserver alone, for what admission and validation say: no controllers, no nodes.

ApiServer(cache) starts both on loopback in a directory of its own, .kubectl(...) speaks to it, .stop() ends both. The
binaries are those that tests/e2e/plane builds, below ${PLATEAU_E2E_CACHE:-${XDG_CACHE_HOME:-~/.cache}/plateau-e2e}.
"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

NAMES = ('etcd', 'kube-apiserver', 'kubectl')


def binaries():
    """The newest directory that has all of them, or None."""
    cache = os.environ.get('PLATEAU_E2E_CACHE') or os.path.join(
        os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'plateau-e2e')
    found = [d for d in pathlib.Path(cache).glob('*') if all(os.access(d / n, os.X_OK) for n in NAMES)]
    return max(found, key=lambda d: d.stat().st_mtime, default=None)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class ApiServer:
    def __init__(self, where):
        self.where = where
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='plateau-api-'))
        self.children = []
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def spawn(self, name, *args):
        with open(self.dir / f'{name}.log', 'wb') as log:
            self.children.append(subprocess.Popen([self.where / name, *map(str, args)], cwd=self.dir, stdout=log,
                                                  stderr=log, stdin=subprocess.DEVNULL))

    def start(self):
        etcd, peer, self.port = free_port(), free_port(), free_port()
        subprocess.run(['openssl', 'genrsa', '-out', self.dir / 'sa.key', '2048'], check=True, capture_output=True)
        subprocess.run(['openssl', 'rsa', '-in', self.dir / 'sa.key', '-pubout', '-out', self.dir / 'sa.pub'],
                       check=True, capture_output=True)
        (self.dir / 'tokens.csv').write_text('admin,admin,1,"system:masters"\n')
        self.spawn('etcd', '--data-dir', self.dir / 'etcd', '--unsafe-no-fsync',
                   '--listen-client-urls', f'http://127.0.0.1:{etcd}', '--advertise-client-urls', f'http://127.0.0.1:{etcd}',
                   '--listen-peer-urls', f'http://127.0.0.1:{peer}')
        self.spawn('kube-apiserver', '--etcd-servers', f'http://127.0.0.1:{etcd}', '--secure-port', self.port,
                   '--bind-address', '127.0.0.1', '--advertise-address', '127.0.0.1', '--cert-dir', self.dir / 'certs',
                   '--service-account-key-file', 'sa.pub', '--service-account-signing-key-file', 'sa.key',
                   '--service-account-issuer', 'https://issuer.example', '--authorization-mode', 'RBAC',
                   '--token-auth-file', 'tokens.csv', '--service-cluster-ip-range', '192.0.2.0/24',
                   '--endpoint-reconciler-type', 'none')
        end = time.monotonic() + 120
        while self.kubectl('get', '--raw', '/readyz').returncode:
            if time.monotonic() > end or any(c.poll() is not None for c in self.children):
                raise RuntimeError((self.dir / 'kube-apiserver.log').read_text(errors='replace')[-2000:])
            time.sleep(0.2) # between two looks

    def kubectl(self, *args, stdin=None, token='admin'):
        return subprocess.run(
            [self.where / 'kubectl', '--server', f'https://127.0.0.1:{self.port}', '--insecure-skip-tls-verify',
             '--cache-dir', self.dir / 'kube-cache', '--token', token, *args],
            input=stdin, capture_output=True, text=True, env={'HOME': str(self.dir), 'PATH': os.environ['PATH']})

    def environment(self):
        """For a shell: kubectl and helm are this server's admin's."""
        (self.dir / 'config').write_text(json.dumps({
            'apiVersion': 'v1', 'kind': 'Config', 'current-context': 'x', 'users': [{'name': 'x', 'user': {'token': 'admin'}}],
            'contexts': [{'name': 'x', 'context': {'cluster': 'x', 'user': 'x'}}], 'clusters': [{'name': 'x', 'cluster': {
                'server': f'https://127.0.0.1:{self.port}', 'insecure-skip-tls-verify': True}}]}))
        return {'HOME': str(self.dir), 'PATH': f'{self.where}:{os.environ["PATH"]}', 'KUBECONFIG': str(self.dir / 'config')}

    def do(self, *args, stdin=None):
        """kubectl that has to work; its output."""
        r = self.kubectl(*args, stdin=stdin)
        assert r.returncode == 0, f'{args}: {r.stderr}'
        return r.stdout

    def apply(self, *documents):
        return self.do('apply', '-f', '-', stdin=json.dumps({'apiVersion': 'v1', 'kind': 'List', 'items': documents}))

    def stop(self):
        for child in reversed(self.children):
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
