#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Orphans removed and headroom asked for, with a sidecar's token and the policies on a real API server: reap-driver.c."""
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'integration'))
import tap
from lib import Skip, wait_until
from hollow import Hollow
from objects import MAIN, access
from plane import Plane

NS = 'shop'
BASE = f'/api/v1/namespaces/{NS}'
PODS = f'{BASE}/pods'
ROLE = f'/apis/rbac.authorization.k8s.io/v1/namespaces/{NS}/roles/plateau'
LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases'
POLICY = os.path.join(HERE, '..', '..', 'deploy', 'kustomize', 'policy')
DRIVER = sys.argv.pop(1)
MIB = 1 << 20
HOUR = 3600


class World:
    plane = node = None


def admin():
    return World.plane.api


def stamp(seconds, form='%Y-%m-%dT%H:%M:%SZ'):
    """A time from now."""
    return time.strftime(form, time.gmtime(time.time() + seconds))


def make_pod(name, rotation=None, deadline=None, main=None):
    metadata = {'name': name, 'labels': {'app': 'web'}, 'annotations': {}}
    if rotation:
        metadata['labels']['plateau.dev/rotation'] = rotation
    if deadline is not None:
        metadata['annotations']['plateau.dev/deadline'] = stamp(deadline)
    return admin().post(PODS, {'metadata': metadata, 'spec': {
        'serviceAccountName': 'plateau', 'automountServiceAccountToken': False, 'terminationGracePeriodSeconds': 1,
        'containers': [{**MAIN, **(main or {})}]}})


def is_there(name):
    status, pod = admin().ask('GET', f'{PODS}/{name}')
    return status == 200 and 'deletionTimestamp' not in pod['metadata']


def may(*verbs):
    admin().patch(ROLE, {'rules': [{'apiGroups': [''], 'resources': ['pods'], 'verbs': ['get', *verbs]},
                                   {'apiGroups': [''], 'resources': ['pods/resize'], 'verbs': ['patch']}]})


class Driver:
    """The driver in a process of its own, as the sidecar of a pod (an object)."""

    def __init__(self, pod):
        # pylint: disable=consider-using-with
        self.dir = tempfile.TemporaryDirectory(prefix='plateau-reap-')
        self.pod, self.token = pod, World.plane.token(NS, 'plateau', pod)
        for name, text in (('token', self.token), ('namespace', NS)):
            with open(os.path.join(self.dir.name, name), 'w', encoding='ascii') as f:
                f.write(text)
        os.symlink(World.plane.path('ca.crt'), os.path.join(self.dir.name, 'ca.crt'))
        env = {**os.environ, 'KUBERNETES_SERVICE_HOST': '127.0.0.1', 'KUBERNETES_SERVICE_PORT': str(World.plane.port),
               'PLATEAU_SERVICEACCOUNT_DIR': self.dir.name, 'PLATEAU_POD_NAME': pod['metadata']['name'],
               'PLATEAU_NAMESPACE': NS, 'PLATEAU_POD_UID': pod['metadata']['uid'], 'PLATEAU_CONTAINER': 'main'}
        self.process = subprocess.Popen([DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def ask(self, line):
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f'the driver ended: {self.process.wait()}'
        return json.loads(answer)

    def would_delete(self, name):
        """What the server says to the token, without the driver: status and body."""
        return World.plane.as_token(self.token).ask('DELETE', f'{PODS}/{name}?dryRun=All')

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        ended = self.process.wait(20) # it frees all it has: a sanitizer speaks up here
        self.process.stdout.close()
        self.dir.cleanup()
        assert kind or ended == 0, f'the driver ended with {ended}'


def start():
    """The namespace and the account, once."""
    if admin().ask('GET', f'/api/v1/namespaces/{NS}')[0] == 200:
        return
    admin().post('/api/v1/namespaces', {'metadata': {'name': NS}})
    for path, obj in access([('', ['pods'], ['get'])]):
        admin().post(path.format(ns=NS), obj)


def lead(seconds):
    """The control plane's clock, as the policy sees it: the Lease of kube-controller-manager."""
    spec = {'holderIdentity': 'test', 'renewTime': stamp(seconds, '%Y-%m-%dT%H:%M:%S.000000Z')}
    if admin().ask('GET', f'{LEASES}/kube-controller-manager')[0] == 200:
        admin().patch(f'{LEASES}/kube-controller-manager', {'spec': spec})
    else:
        admin().post(LEASES, {'metadata': {'name': 'kube-controller-manager'}, 'spec': spec})


@tap.deadline(120)
def test_rights():
    """Who may not list or remove says so; nothing is removed."""
    start()
    make_pod('orphan', 'detached', -HOUR)
    own = make_pod('own')
    with Driver(own) as d:
        may()
        wait_until('no right to list', lambda: World.plane.as_token(d.token).ask('GET', PODS)[0] == 403)
        seen = d.ask('look')
        assert seen['refused'] and 'listed' in seen['why'] and seen['removed'] == 0, seen
    with Driver(own) as d:
        may('list')
        wait_until('the right to list', lambda: World.plane.as_token(d.token).ask('GET', PODS)[0] == 200)
        seen = d.ask('look')
        assert seen['refused'] and 'pod orphan cannot be removed' in seen['why'] and seen['failed'] == 1, seen
        again = d.ask('look')
        assert again['refused'] and again['failed'] == 2, again
    assert is_there('orphan')


@tap.deadline(180)
def test_orphans():
    """Only a detached pod whose deadline is over goes, five a look; what the policy refuses does not end it."""
    start()
    own = make_pod('self', 'detached', -HOUR)
    for name, rotation, deadline in (('later', 'detached', HOUR), ('odd', 'detached', None), ('skewed', 'detached', -20),
                                     ('evicting', 'evicting', -HOUR), ('serving', None, -HOUR)):
        make_pod(name, rotation, deadline)
    may('list', 'delete')
    World.plane.kubectl('apply', '-k', POLICY)
    lead(0)
    with Driver(own) as d:
        make_pod('probe', 'detached', -2 * HOUR)
        wait_until('the policy knows the time', lambda: d.would_delete('probe')[0] == 200)
        wait_until('the policy refuses', lambda: d.would_delete('serving')[0] not in (200, 403))
        gone = ['probe'] + [f'gone-{i}' for i in range(6)]
        for name in gone[1:]:
            make_pod(name, 'detached', -HOUR)
        if is_there('orphan'):
            gone.append('orphan')
        first = d.ask('look')
        assert (first['removed'], first['failed'], first['refused']) == (5, 0, False), first
        second = d.ask('look')
        assert (second['removed'], second['failed'], second['why']) == (len(gone), 0, ''), second
        assert not any(map(is_there, gone))
        assert d.ask('look') == second
        lead(-2 * HOUR) # a control plane whose clock is behind: its word counts
        make_pod('disputed', 'detached', -HOUR)
        wait_until('the policy is behind', lambda: d.would_delete('disputed')[0] != 200)
        seen = d.ask('look')
        assert (seen['removed'], seen['failed'], seen['refused']) == (len(gone), 1, False), seen
        assert 'deadline is not over' in seen['why'], seen
    assert all(map(is_there, ('self', 'later', 'odd', 'skewed', 'evicting', 'serving', 'disputed')))


@tap.deadline(180)
def test_headroom():
    """A Guaranteed and a Burstable pod get more within the maximum; a node without room and RestartContainer refuse."""
    start()
    may('list')
    burstable = {'resources': {'requests': {'memory': '128Mi'}, 'limits': {'memory': '256Mi'}}}
    restarts = {'resizePolicy': [{'resourceName': 'memory', 'restartPolicy': 'RestartContainer'}]}
    huge = {'resources': {'requests': {'cpu': '100m', 'memory': '60Gi'}, 'limits': {'cpu': '100m', 'memory': '60Gi'}}}
    for name, main, first, want in (('guaranteed', {}, 256 * MIB, 320 * MIB), ('burstable', burstable, 256 * MIB, 320 * MIB),
                                    ('restarts', restarts, 256 * MIB, 'RestartContainer'),
                                    ('huge', huge, 60 << 30, 'memory')):
        pod = make_pod(name, main=main)
        wait_until(f'{name} runs', lambda n=name: admin().get(f'{PODS}/{n}')['status']['phase'] == 'Running')
        with Driver(pod) as d:
            seen = d.ask(f'resize {first} 25')
            if isinstance(want, str):
                assert seen['error'] != 'ok' and want in seen['why'], (name, seen)
                continue
            assert (seen['error'], seen['limit']) == ('ok', want), (name, seen)
        resources = admin().get(f'{PODS}/{name}')['spec']['containers'][0]['resources']
        assert resources['limits']['memory'] == '320Mi', resources
        assert resources['requests']['memory'] == ('320Mi' if name == 'guaranteed' else '128Mi'), resources


def main():
    try:
        with Plane() as World.plane, Hollow(World.plane) as World.node:
            tap.main(globals())
    except Skip as e:
        print(f'1..0 # SKIP {e}')


if __name__ == '__main__':
    main()
