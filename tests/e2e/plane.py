# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes control plane on loopback: etcd, kube-apiserver and kube-controller-manager, built by tests/e2e/build.

  with Plane() as plane:
      plane.api.post('/api/v1/namespaces', {...})         admin's access, JSON in and out
      plane.kubectl('apply', '-f', 'x.yaml')
      plane.token('default', 'plateau', pod)               a token of a ServiceAccount, bound to a pod
      plane.restart('kube-apiserver')
      plane.audit()                                        what was asked of the API server, by whom

Real are authentication, RBAC, admission (with its policies), the controllers, the garbage collector. No node and no scheduler:
those are kubelet.py. What the plane writes lies in one folder, which goes with it; it starts in some seconds.
"""
import base64
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from urllib.parse import urlencode

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'integration'))
from lib import Skip, free_port, need, wait_until # pylint: disable=wrong-import-position

HERE = os.path.dirname(os.path.abspath(__file__))
CONTROLLERS = ('deployment-controller', 'replicaset-controller', 'statefulset-controller', 'daemonset-controller',
               'job-controller', 'endpointslice-controller', 'disruption-controller', 'serviceaccount-controller',
               'garbage-collector-controller', 'namespace-controller', 'resourcequota-controller',
               'root-ca-certificate-publisher-controller', 'pod-garbage-collector-controller')
START_S = 120
AUDIT_POLICY = {'apiVersion': 'audit.k8s.io/v1', 'kind': 'Policy', 'omitStages': ['RequestReceived', 'ResponseStarted'],
                'rules': [{'level': 'Metadata', 'users': [], 'userGroups': ['system:serviceaccounts']}, {'level': 'None'}]}


class ApiError(Exception):
    """An answer that is no success; .status is HTTP's, .body the Status object."""

    def __init__(self, method, path, status, body):
        super().__init__(f'{method} {path}: {status} {body.get("message", body) if isinstance(body, dict) else body}')
        self.status, self.body = status, body


class Api:
    """JSON over TLS to the API server as one user. A connection a call: calls may come from any thread."""

    def __init__(self, port, context, token=None):
        self.port, self.context, self.token = port, context, token

    def connect(self, timeout=30):
        return http.client.HTTPSConnection('127.0.0.1', self.port, context=self.context, timeout=timeout)

    def headers(self, kind='application/json'):
        out = {'Accept': 'application/json', 'Content-Type': kind}
        if self.token:
            out['Authorization'] = f'Bearer {self.token}'
        return out

    def ask(self, method, path, body=None, kind='application/json'):
        """(status, decoded body), whatever the status."""
        c = self.connect()
        try:
            c.request(method, path, json.dumps(body) if body is not None else None, self.headers(kind))
            r = c.getresponse()
            data = r.read()
            try:
                return r.status, json.loads(data)
            except ValueError:
                return r.status, data.decode(errors='replace')
        finally:
            c.close()

    def call(self, method, path, body=None, kind='application/json'):
        status, answer = self.ask(method, path, body, kind)
        if status >= 300:
            raise ApiError(method, path, status, answer)
        return answer

    def get(self, path):
        return self.call('GET', path)

    def post(self, path, body):
        return self.call('POST', path, body)

    def put(self, path, body):
        return self.call('PUT', path, body)

    def delete(self, path, body=None):
        return self.call('DELETE', path, body)

    def patch(self, path, body, kind='application/merge-patch+json'):
        return self.call('PATCH', path, body, kind)

    def watch(self, path, **query):
        """Yields (type, object) for ever: what is there first (ADDED), then changes. For a thread of its own."""
        while True:
            try:
                listed = self.get(f'{path}?{urlencode(query)}')
            except (OSError, http.client.HTTPException):
                time.sleep(0.2)
                continue
            yield 'SYNC', listed
            version = listed['metadata']['resourceVersion']
            c = self.connect(timeout=None)
            try:
                c.request('GET', f'{path}?{urlencode({**query, "watch": "1", "resourceVersion": version})}', None,
                          self.headers())
                r = c.getresponse()
                while line := r.readline():
                    event = json.loads(line)
                    if event['type'] == 'ERROR':
                        break
                    yield event['type'], event['object']
            except (OSError, http.client.HTTPException, ValueError):
                pass
            finally:
                c.close()


def binaries():
    """The folder with etcd, kube-apiserver ..., made if it is not there."""
    made = subprocess.run([os.path.join(HERE, 'build')], stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode == 77:
        raise Skip(made.stdout.strip() or 'no Go')
    assert made.returncode == 0, f'tests/e2e/build: {made.returncode}'
    return made.stdout.strip().splitlines()[-1]


def own_network():
    """Goes on in a network namespace of its own, where the addresses of pods are this machine's. An
    EndpointSlice takes none of 127.0.0.0/8. What is to be downloaded is built before."""
    if os.environ.get('PLATEAU_E2E_NETWORK'):
        return
    need('ip')
    if os.geteuid() != 0:
        raise Skip('not root: no namespaces')
    binaries()
    os.environ['PLATEAU_E2E_NETWORK'] = 'own'
    up = 'ip link set lo up && ip route add local 198.51.100.0/24 dev lo && ip route add local 203.0.113.0/24 dev lo && exec "$@"'
    os.execvp('unshare', ['unshare', '--net', 'sh', '-c', up, 'sh', sys.executable, *sys.argv])


def openssl(*args):
    subprocess.run(['openssl', *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Plane:
    def __init__(self, controllers=CONTROLLERS):
        """controllers: of kube-controller-manager; none: for what admission and validation say, no more is needed."""
        self.controllers = controllers
        self.bin = binaries()
        self.dir = tempfile.mkdtemp(prefix='plateau-plane-')
        self.processes = []
        self.port = free_port()
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def path(self, *names):
        return os.path.join(self.dir, *names)

    # ---- certificates ----

    def key(self, name):
        openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', self.path(f'{name}.key'))

    def certificate(self, name, subject, extra):
        self.key(name)
        openssl('req', '-new', '-key', self.path(f'{name}.key'), '-subj', subject, '-out', self.path(f'{name}.csr'))
        with open(self.path(f'{name}.ext'), 'w', encoding='ascii') as f:
            f.write(extra)
        openssl('x509', '-req', '-in', self.path(f'{name}.csr'), '-CA', self.path('ca.crt'), '-CAkey', self.path('ca.key'),
                '-CAcreateserial', '-days', '2', '-extfile', self.path(f'{name}.ext'), '-out', self.path(f'{name}.crt'))

    def certificates(self):
        self.key('ca')
        openssl('req', '-x509', '-new', '-key', self.path('ca.key'), '-subj', '/CN=plateau-e2e', '-days', '2', '-addext',
                'keyUsage=critical,keyCertSign,cRLSign', '-out', self.path('ca.crt'))
        self.key('sa')
        openssl('ec', '-in', self.path('sa.key'), '-pubout', '-out', self.path('sa.pub'))
        self.certificate('server', '/CN=kube-apiserver',
                         'subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost\n')
        client = 'extendedKeyUsage=clientAuth\n'
        self.certificate('admin', '/O=system:masters/CN=admin', client)
        self.certificate('controllers', '/CN=system:kube-controller-manager', client)

    def kubeconfig(self, user):
        """Its path. None: of nobody, who has a token."""
        def data(name):
            with open(self.path(name), 'rb') as f:
                return base64.b64encode(f.read()).decode()
        config = {'apiVersion': 'v1', 'kind': 'Config', 'current-context': 'e2e',
                  'clusters': [{'name': 'e2e', 'cluster': {'server': f'https://127.0.0.1:{self.port}',
                                                           'certificate-authority-data': data('ca.crt')}}],
                  'contexts': [{'name': 'e2e', 'context': {'cluster': 'e2e', 'user': user or ''}}]}
        if user:
            config['users'] = [{'name': user, 'user': {'client-certificate-data': data(f'{user}.crt'),
                                                       'client-key-data': data(f'{user}.key')}}]
        with open(self.path(f'{user}.kubeconfig'), 'w', encoding='ascii') as f:
            json.dump(config, f)
        return self.path(f'{user}.kubeconfig')

    # ---- processes ----

    def run(self, name, *args):
        with open(self.path(f'{name}.log'), 'wb') as log:
            p = subprocess.Popen([os.path.join(self.bin, name), *args], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 cwd=self.dir, env={**os.environ, 'HOME': self.dir, 'GOMAXPROCS': '2'})
        p.name, p.arguments = name, args
        self.processes.append(p)
        return p

    def restart(self, name):
        """A part ends and is started again; waits until the API server answers. Watches break, tokens stay valid."""
        p = next(p for p in self.processes if p.name == name)
        p.kill()
        p.wait()
        self.processes.remove(p)
        self.run(name, *p.arguments)
        wait_until('the API server', lambda: self.alive() and self.is_up(), START_S)

    def alive(self):
        for p in self.processes:
            if p.poll() is not None:
                with open(self.path(f'{p.name}.log'), encoding='utf-8', errors='replace') as f:
                    raise AssertionError(f'{p.name} ended with {p.returncode}: {f.read()[-3000:]}')
        return True

    def start(self):
        self.certificates()
        etcd, peer = free_port(), free_port()
        self.run('etcd', '--data-dir', self.path('etcd'), '--listen-client-urls', f'http://127.0.0.1:{etcd}',
                 '--advertise-client-urls', f'http://127.0.0.1:{etcd}', '--listen-peer-urls', f'http://127.0.0.1:{peer}',
                 '--initial-advertise-peer-urls', f'http://127.0.0.1:{peer}', '--initial-cluster',
                 f'default=http://127.0.0.1:{peer}', '--unsafe-no-fsync', '--log-level', 'error')
        with open(self.path('audit-policy.json'), 'w', encoding='ascii') as f:
            json.dump(AUDIT_POLICY, f)
        self.run('kube-apiserver', f'--etcd-servers=http://127.0.0.1:{etcd}', '--bind-address=127.0.0.1',
                 '--advertise-address=127.0.0.1', f'--secure-port={self.port}', '--endpoint-reconciler-type=none',
                 f'--tls-cert-file={self.path("server.crt")}', f'--tls-private-key-file={self.path("server.key")}',
                 f'--client-ca-file={self.path("ca.crt")}', f'--service-account-key-file={self.path("sa.pub")}',
                 f'--service-account-signing-key-file={self.path("sa.key")}',
                 '--service-account-issuer=https://plane.example', '--authorization-mode=RBAC',
                 '--service-cluster-ip-range=192.0.2.0/24', f'--audit-log-path={self.path("audit.log")}',
                 f'--audit-policy-file={self.path("audit-policy.json")}', f'--cert-dir={self.path("certs")}',
                 '--allow-privileged=true')
        with open(self.path('admin.crt'), 'rb'):
            self.api = Api(self.port, self.context('admin'))
        wait_until('the API server', lambda: self.alive() and self.is_up(), START_S)
        self.kubeconfig('admin')
        self.kubeconfig(None)
        if not self.controllers:
            return
        self.run('kube-controller-manager', f'--kubeconfig={self.kubeconfig("controllers")}', '--leader-elect=true',
                 f'--controllers={",".join(self.controllers)}', f'--service-account-private-key-file={self.path("sa.key")}',
                 f'--root-ca-file={self.path("ca.crt")}', '--bind-address=127.0.0.1', f'--secure-port={free_port()}',
                 f'--cert-dir={self.path("certs-cm")}', '--use-service-account-credentials=true',
                 '--kube-api-qps=200', '--kube-api-burst=400')
        wait_until('the default service account', lambda: self.alive() and
                   self.api.ask('GET', '/api/v1/namespaces/default/serviceaccounts/default')[0] == 200, START_S)

    def context(self, user=None):
        c = ssl.create_default_context(cafile=self.path('ca.crt'))
        if user:
            c.load_cert_chain(self.path(f'{user}.crt'), self.path(f'{user}.key'))
        return c

    def is_up(self):
        try:
            return self.api.ask('GET', '/readyz')[0] == 200
        except (OSError, socket.timeout, http.client.HTTPException):
            return False

    def stop(self):
        for p in reversed(self.processes):
            if p.poll() is None:
                p.terminate()
        for p in self.processes:
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    # ---- what tests use ----

    def environment(self):
        """In which `kubectl` and `helm` are this plane's."""
        return {**os.environ, 'HOME': self.dir, 'KUBECONFIG': self.path('admin.kubeconfig'),
                'PATH': f'{self.bin}:{os.environ["PATH"]}'}

    def kubectl(self, *args, stdin=None, check=True, token=None):
        """Its output; raises with what it said, unless check=False: then the CompletedProcess. token: not as admin."""
        who = ['--kubeconfig', self.path('None.kubeconfig'), '--token', token] if token else []
        p = subprocess.run([os.path.join(self.bin, 'kubectl'), *who, *args], input=stdin, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, check=False, env=self.environment())
        if not check:
            return p
        assert p.returncode == 0, f'kubectl {" ".join(args)}: {p.stderr}'
        return p.stdout

    def token(self, namespace, account, pod=None, seconds=3607):
        """A token as the kubelet projects it: bound to a pod (an object), so that it carries its name."""
        spec = {'audiences': ['https://plane.example'], 'expirationSeconds': seconds}
        if pod:
            spec['boundObjectRef'] = {'kind': 'Pod', 'apiVersion': 'v1', 'name': pod['metadata']['name'],
                                      'uid': pod['metadata']['uid']}
        answer = self.api.post(f'/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token',
                               {'apiVersion': 'authentication.k8s.io/v1', 'kind': 'TokenRequest', 'spec': spec})
        return answer['status']['token']

    def as_token(self, token):
        """An Api with a token's rights."""
        return Api(self.port, self.context(), token)

    def audit(self):
        """The requests of service accounts, in order: dicts of the audit log."""
        try:
            with open(self.path('audit.log'), encoding='utf-8') as f:
                return [json.loads(line) for line in f if line.endswith('\n')]
        except FileNotFoundError:
            return []
