#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sidecars that fight for Leases of a real API server, with the rights and the policy of deploy/: tests/integration/slots-driver.c."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'integration'))
import tap # pylint: disable=wrong-import-position
from lib import wait_until # pylint: disable=wrong-import-position
from plane import Plane # pylint: disable=wrong-import-position

NS = 'shop'
PODS = f'/api/v1/namespaces/{NS}/pods'
LEASES = f'/apis/coordination.k8s.io/v1/namespaces/{NS}/leases'
EVENTS = f'/apis/events.k8s.io/v1/namespaces/{NS}/events'
RBAC = f'/apis/rbac.authorization.k8s.io/v1/namespaces/{NS}'
DRIVER = os.environ.get('SLOTS_DRIVER', '')
TTL_S = 10


class World:
    plane = None
    folder = None


def api():
    return World.plane.api


def start():
    """The namespace, the account with tier T1's rights, and the policy that limits it."""
    if World.plane:
        return
    World.plane = Plane()
    World.folder = tempfile.TemporaryDirectory(prefix='plateau-slots-')
    api().post('/api/v1/namespaces', {'metadata': {'name': NS}})
    api().post(f'/api/v1/namespaces/{NS}/serviceaccounts', {'metadata': {'name': 'plateau'}})
    deploy = os.path.join(HERE, '..', '..', 'deploy', 'kustomize')
    with open(os.path.join(deploy, 'rbac', 't1-evict', 'role.yaml'), encoding='utf-8') as f:
        World.plane.kubectl('apply', '-n', NS, '-f', '-', stdin=f.read().replace('namespace: default', f'namespace: {NS}'))
    World.plane.kubectl('apply', '-f', os.path.join(deploy, 'policy', 'leases.yaml'))


def stop():
    if World.plane:
        World.plane.stop()
        World.folder.cleanup()


def leases(workload, n):
    """Made beforehand, as deploy/ has it."""
    start()
    names = [f'plateau-{workload}-{i}' for i in range(n)]
    for name in names:
        api().post(LEASES, {'metadata': {'name': name, 'labels': {'keep': 'me'}, 'annotations': {'a.example/keep': 'me'}}})
    role = {'apiGroup': 'rbac.authorization.k8s.io', 'kind': 'Role', 'name': f'slots-{workload}'}
    api().post(f'{RBAC}/roles', {'metadata': {'name': role['name']}, 'rules': [
        {'apiGroups': ['coordination.k8s.io'], 'resources': ['leases'], 'resourceNames': names,
         'verbs': ['get', 'update', 'patch', 'watch']}]})
    api().post(f'{RBAC}/rolebindings', {'metadata': {'name': role['name']}, 'roleRef': role, 'subjects': [
        {'kind': 'ServiceAccount', 'name': 'plateau', 'namespace': NS}]})


def lease(workload, i=0):
    return api().get(f'{LEASES}/plateau-{workload}-{i}')


class Sidecar:
    """A pod object without a node, and the driver with its token."""

    def __init__(self, name, workload, slots, hold_ms, *more):
        self.name = name
        self.pod = api().post(PODS, {'metadata': {'name': name}, 'spec': {
            'serviceAccountName': 'plateau', 'automountServiceAccountToken': False,
            'containers': [{'name': 'app', 'image': 'app:1'}]}})
        folder = os.path.join(World.folder.name, name)
        os.mkdir(folder)
        for file, text in (('token', World.plane.token(NS, 'plateau', self.pod)), ('namespace', NS)):
            with open(os.path.join(folder, file), 'w', encoding='ascii') as f:
                f.write(text)
        os.symlink(World.plane.path('ca.crt'), os.path.join(folder, 'ca.crt'))
        self.env = {**os.environ, 'PLATEAU_SERVICEACCOUNT_DIR': folder, 'KUBERNETES_SERVICE_HOST': '127.0.0.1',
                    'KUBERNETES_SERVICE_PORT': str(World.plane.port), 'PLATEAU_POD_NAME': name, 'PLATEAU_NAMESPACE': NS,
                    'PLATEAU_POD_UID': self.pod['metadata']['uid']}
        self.out = os.path.join(folder, 'out')
        self.arguments = [DRIVER, workload, str(slots), str(TTL_S), str(hold_ms), *map(str, more)]
        self.process = None
        self.run()

    def run(self):
        with open(self.out, 'ab') as f:
            self.process = subprocess.Popen(self.arguments, env=self.env, stdin=subprocess.DEVNULL, stdout=f)

    def lines(self, word):
        with open(self.out, encoding='utf-8') as f:
            return [line.split() for line in f if line.endswith('\n') and line.split()[0] == word]

    def spans(self):
        """[begin, end] in ms in which it acted: looks less than 300 ms apart."""
        out = []
        for _, at in self.lines('acting'):
            if out and int(at) - out[-1][1] < 300:
                out[-1][1] = int(at)
            else:
                out.append([int(at), int(at)])
        return out

    def acts(self):
        """At this moment, and for a second more."""
        at = [int(at) for _, at in self.lines('acting')]
        now = time.clock_gettime(time.CLOCK_BOOTTIME) * 1000
        return bool(at) and now - at[-1] < 200 and now - self.spans()[-1][0] < 3000

    def wait_acting(self, deadline_s=60):
        wait_until(f'{self.name} acts', lambda: self.lines('acting'), deadline_s)

    def wait_end(self, deadline_s=60):
        assert self.process.wait(deadline_s) == 0, self.process.returncode

    def kill(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


def most_at_once(sidecars):
    edges = sorted(e for s in sidecars for b, end in s.spans() for e in ((b, 1), (end + 1, -1)))
    now = most = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most


def end(sidecars):
    for s in sidecars:
        s.kill()


def test_one():
    """A free slot is had at once, given back, and what was learned stays in it; the rest of the Lease stays."""
    leases('one', 1)
    begin = time.monotonic()
    first = Sidecar('one-a', 'one', 1, 1500)
    try:
        first.wait_acting()
        print(f'# had after {time.monotonic() - begin:.2f} s', flush=True)
        assert lease('one')['spec']['holderIdentity'] == f'one-a/{first.pod["metadata"]["uid"]}'
        first.wait_end()
        left = lease('one')
        assert 'holderIdentity' not in left['spec'] and left['spec']['leaseTransitions'] == 1, left
        notes = left['metadata']['annotations']
        assert json.loads(notes['plateau.dev/learned']) == {'count': 1, 'replace_s': 2, 'drain_s': 0, 'young': 3}, notes
        assert notes['a.example/keep'] == 'me' and left['metadata']['labels'] == {'keep': 'me'}
        second = Sidecar('one-b', 'one', 1, 100)
        second.wait_end()
        assert lease('one')['spec']['leaseTransitions'] == 2
        assert json.loads(lease('one')['metadata']['annotations']['plateau.dev/learned'])['count'] == 2
    finally:
        end([first])


def test_events():
    """Events of the pod: the same again is a series."""
    leases('tell', 1)
    a = Sidecar('tell-a', 'tell', 1, 1000)
    a.wait_end()
    found = [e for e in api().get(EVENTS)['items'] if e['regarding']['name'] == 'tell-a']
    assert len(found) == 1 and found[0]['reason'] == 'SlotTest' and found[0]['note'] == 'it changed', found
    assert found[0]['regarding']['uid'] == a.pod['metadata']['uid'] and found[0]['type'] == 'Normal'
    assert found[0]['series']['count'] >= 2, found[0]


def test_without_leases():
    """Where none was made, nothing is coordinated, and that is said."""
    start()
    a = Sidecar('bare-a', 'bare', 2, 100)
    try:
        wait_until('the word', lambda: a.lines('not-needed'), 30)
        print('#', ' '.join(a.lines('not-needed')[0]), flush=True)
    finally:
        end([a])


@tap.deadline(300)
def test_fight():
    """Eight fight for two: one is killed, one stopped; never more than two act, all others get through."""
    leases('fight', 2)
    all_of_them = [Sidecar(f'fight-{i}', 'fight', 2, 4000, 600 - 50 * i) for i in range(8)]
    try:
        wait_until('two act', lambda: sum(bool(s.lines('acting')) for s in all_of_them) >= 2, 60)
        killed, stopped = [s for s in all_of_them if s.lines('acting')][:2]
        killed.process.kill()
        killed.process.wait()
        stopped.process.send_signal(signal.SIGSTOP)
        before = len(stopped.spans())
        others = [s for s in all_of_them if s not in (killed, stopped)]
        wait_until('two others act', lambda: sum(s.acts() for s in others) == 2, 120)
        stopped.process.send_signal(signal.SIGCONT) # while both slots are others'
        for s in all_of_them:
            if s is not killed:
                s.wait_end(90)
        assert stopped.lines('lost'), 'the one that was stopped did not notice'
        assert len(stopped.spans()) > before
        assert most_at_once(all_of_them) == 2, [(s.name, s.spans()) for s in all_of_them]
        requests = [r for r in World.plane.audit() if 'leases/plateau-fight' in r['requestURI']]
        print(f'# at most 2 at once; {len(requests)} requests about leases by 8 pods', flush=True)
    finally:
        end(all_of_them)


@tap.deadline(120)
def test_pod_gone():
    """The slot of a pod that is gone is taken at once."""
    leases('gone', 1)
    first, second = Sidecar('gone-a', 'gone', 1, 60000), None
    try:
        first.wait_acting()
        first.process.kill()
        first.process.wait()
        api().delete(f'{PODS}/gone-a?gracePeriodSeconds=0')
        begin = time.monotonic()
        second = Sidecar('gone-b', 'gone', 1, 200)
        second.wait_acting()
        took = time.monotonic() - begin
        print(f'# taken after {took:.2f} s', flush=True)
        assert took < TTL_S / 2, took
        second.wait_end()
    finally:
        end([s for s in (first, second) if s])


@tap.deadline(120)
def test_order_and_restart():
    """The most urgent is next; a sidecar that was started again has its slot still."""
    leases('order', 1)
    first = Sidecar('order-a', 'order', 1, 12000)
    rest = []
    try:
        first.wait_acting()
        first.process.kill()
        first.process.wait()
        first.run()
        rest = [Sidecar(f'order-{n}', 'order', 1, 500, eta) for n, eta in (('late', 5000), ('soon', 300), ('mid', 1500))]
        for s in [first, *rest]:
            s.wait_end(90)
        assert lease('order')['spec']['leaseTransitions'] == 4, lease('order')
        assert min(s.spans()[0][0] for s in rest) == rest[1].spans()[0][0], [(s.name, s.spans()) for s in rest]
        assert most_at_once([first, *rest]) == 1
        assert 'plateau.dev/waiting' not in lease('order')['metadata']['annotations'], lease('order')['metadata']
    finally:
        end([first, *rest])


if __name__ == '__main__':
    try:
        tap.main(globals())
    finally:
        stop()
