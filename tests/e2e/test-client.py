#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every call of daemon/kube/calls.h asked of a real API server, with the rights and the token of a pod's sidecar."""
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'integration'))
import tap
from lib import Skip, wait_until
from hollow import Hollow
from objects import access, budget, service, workload
from plane import Plane

NS = 'shop'
BASE = f'/api/v1/namespaces/{NS}'
PODS = f'{BASE}/pods'
APPS = f'/apis/apps/v1/namespaces/{NS}'
BUDGETS = f'/apis/policy/v1/namespaces/{NS}/poddisruptionbudgets'
EVENTS = f'/apis/events.k8s.io/v1/namespaces/{NS}/events'
DRIVER = sys.argv.pop(1)
RULES = [('', ['pods'], ['get', 'list', 'watch', 'patch', 'delete']), ('', ['pods/eviction'], ['create']),
         ('', ['pods/resize', 'pods/status'], ['patch']),
         ('apps', ['replicasets', 'deployments'], ['get', 'list', 'watch']),
         ('discovery.k8s.io', ['endpointslices'], ['list', 'watch']),
         ('coordination.k8s.io', ['leases'], ['get', 'update']), ('events.k8s.io', ['events'], ['create', 'patch'])]


class World:
    plane = node = None


def admin():
    return World.plane.api


def make(path, obj):
    status, answer = admin().ask('POST', path, obj)
    assert status == 201, (path, answer)
    return answer


class Driver:
    """The client in a process of its own, as a sidecar of a pod (an object)."""

    def __init__(self, pod):
        # pylint: disable=consider-using-with
        self.dir = tempfile.TemporaryDirectory(prefix='plateau-client-')
        self.pod = pod
        self.write('token', World.plane.token(NS, 'plateau', pod))
        with open(World.plane.path('ca.crt'), encoding='ascii') as f:
            self.write('ca.crt', f.read())
        self.write('namespace', NS)
        env = {**os.environ, 'KUBERNETES_SERVICE_HOST': '127.0.0.1', 'KUBERNETES_SERVICE_PORT': str(World.plane.port),
               'PLATEAU_SERVICEACCOUNT_DIR': self.dir.name, 'PLATEAU_POD_NAME': pod['metadata']['name'],
               'PLATEAU_POD_UID': pod['metadata']['uid'], 'PLATEAU_CONTAINER': 'main'}
        self.process = subprocess.Popen([DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        assert self.read()['event'] == 'begun'

    def write(self, name, text):
        path = os.path.join(self.dir.name, name)
        with open(f'{path}.new', 'w', encoding='ascii') as f:
            f.write(text)
        os.rename(f'{path}.new', path)

    def read(self):
        line = self.process.stdout.readline()
        assert line, f'the driver ended: {self.process.wait()}'
        return json.loads(line)

    def tell(self, *words):
        self.process.stdin.write(' '.join(w if isinstance(w, str) else json.dumps(w) for w in words) + '\n')
        self.process.stdin.flush()

    def ask(self, *words, error='ok'):
        self.tell(*words)
        answer = self.read()
        assert answer.get('error') == error, answer
        return answer

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        ended = self.process.wait(20) # at the end of stdin it frees all it has: a sanitizer speaks up here
        self.process.stdout.close()
        self.dir.cleanup()
        assert kind or ended == 0, f'the driver ended with {ended}'


def pods_of(app):
    return admin().get(f'{PODS}?labelSelector=app%3D{app}')['items']


def is_ready(pod):
    return 'deletionTimestamp' not in pod['metadata'] and any(
        c['type'] == 'Ready' and c['status'] == 'True' for c in pod['status'].get('conditions', []))


def ready_pods(app, n):
    def look():
        pods = pods_of(app)
        return pods if len(pods) == n and all(map(is_ready, pods)) else None
    return wait_until(f'{n} ready pods of {app}', look)


@tap.deadline(180)
def test_reading():
    """Pods, their owners and what we may do, as they are."""
    make('/api/v1/namespaces', {'metadata': {'name': NS}})
    for path, obj in access(RULES):
        make(path.format(ns=NS), obj)
    make(f'{APPS}/deployments', workload('Deployment', 'web', 3))
    make(f'{BASE}/services', service('web'))
    pod = ready_pods('web', 3)[0]
    name, uid = pod['metadata']['name'], pod['metadata']['uid']
    with Driver(pod) as d:
        seen = d.ask('pod', name)
        owner = pod['metadata']['ownerReferences'][0]['name']
        assert (seen['uid'], seen['ready'], seen['owner'], seen['limit'], seen['alive']) == (
            uid, True, owner, 256 << 20, True), seen
        d.ask('pod', 'nobody', error='not-found')
        d.tell('pod', '../nodes')
        assert d.read()['event'] == 'refused'
        d.tell('pods', 'app=web,plateau.dev/rotation')
        assert d.read()['n_pods'] == 0
        d.tell('pods', 'app=web')
        assert {d.read()['name'] for _ in range(3)} == {p['metadata']['name'] for p in pods_of('web')}
        assert d.read()['n_pods'] == 3
        seen = d.ask('replicaset', owner)
        assert (seen['deployment'], seen['replicas']) == ('web', 3), seen
        wait_until('the roll-out', lambda: not d.ask('deployment', 'web')['rolling'])
        assert d.ask('access', 'create', '-', 'pods', 'eviction')['allowed'] is True
        assert d.ask('access', 'update', 'coordination.k8s.io', 'leases', '-', 'plateau-web-0')['allowed'] is True
        assert d.ask('access', 'create', 'apps', 'deployments')['allowed'] is False


@tap.deadline(120)
def test_many_pages():
    """A list longer than a page is told whole."""
    for i in range(120):
        make(f'{BASE}/pods', {'metadata': {'name': f'many-{i}', 'labels': {'app': 'many'}},
                              'spec': {'containers': [{'name': 'main', 'image': 'app:test'}]}})
    with Driver(ready_pods('web', 3)[0]) as d:
        d.tell('pods', 'app=many')
        assert len({d.read()['name'] for _ in range(120)}) == 120
        end = d.read()
        assert (end['n_pods'], end['error']) == (120, 'ok'), end
    admin().delete(f'{PODS}?labelSelector=app%3Dmany')


@tap.deadline(120)
def test_patching():
    """Labels and annotations by a JSON patch that tests what it replaces; the limit by a resize; a condition."""
    pod = ready_pods('web', 3)[0]
    name, hash_ = pod['metadata']['name'], pod['metadata']['labels']['pod-template-hash']
    with Driver(pod) as d:
        patch = [{'op': 'test', 'path': '/metadata/uid', 'value': pod['metadata']['uid']},
                 {'op': 'test', 'path': '/metadata/labels/pod-template-hash', 'value': hash_},
                 {'op': 'remove', 'path': '/metadata/labels/pod-template-hash'},
                 {'op': 'add', 'path': '/metadata/labels/plateau.dev~1rotation', 'value': 'detached'}]
        seen = d.ask('json-patch', name, patch)
        assert (seen['hash'], seen['rotation']) == ('', 'detached'), seen
        d.ask('json-patch', name, patch, error='invalid')
        wait_until('a fourth pod', lambda: len(pods_of('web')) == 4)
        seen = d.ask('merge-patch', name, {'metadata': {'labels': {'pod-template-hash': hash_, 'plateau.dev/rotation': None},
                                                        'annotations': {'plateau.dev/state': '{"a": 1}'}}})
        assert (seen['hash'], seen['rotation'], seen['state']) == (hash_, '', '{"a": 1}'), seen
        ready_pods('web', 3)
        raised = {'spec': {'containers': [{'name': 'main', 'resources': {
            'requests': {'memory': '320Mi'}, 'limits': {'memory': '320Mi'}}}]}}
        assert d.ask('resize', name, raised)['limit'] == 320 << 20
        raised['spec']['containers'][0]['resources']['requests'] = {'memory': '300Mi'}
        d.ask('resize', name, raised, error='invalid') # another QoS class
        d.ask('status-patch', name, {'status': {'conditions': [{'type': 'plateau.dev/serving', 'status': 'True'}]}})
        assert is_ready(admin().get(f'{PODS}/{name}')), 'the other conditions stay'


@tap.deadline(120)
def test_events():
    """An event, and its series."""
    pod = ready_pods('web', 3)[0]
    meta = pod['metadata']
    now = time.strftime('%Y-%m-%dT%H:%M:%S.000000Z', time.gmtime())
    event = {'metadata': {'name': 'e1', 'namespace': NS}, 'eventTime': now, 'type': 'Warning', 'reason': 'Forecast',
             'action': 'Watch', 'note': 'in 5 min', 'reportingController': 'plateau.dev/plateau',
             'reportingInstance': meta['name'],
             'regarding': {'kind': 'Pod', 'apiVersion': 'v1', 'namespace': NS, 'name': meta['name'], 'uid': meta['uid']}}
    with Driver(pod) as d:
        d.ask('event', 'x', event)
        d.ask('event', 'x', event, error='conflict') # exists
        d.ask('event-patch', 'e1', {'series': {'count': 2, 'lastObservedTime': now}})
        d.ask('event', 'x', {**event, 'metadata': {'name': 'e2'}, 'note': 'x' * 1025}, error='invalid')
    assert admin().get(f'{EVENTS}/e1')['series']['count'] == 2


@tap.deadline(180)
def test_eviction():
    """Budgets, dry runs, another pod of our name, two budgets; the grace that was asked for."""
    pod = ready_pods('web', 3)[0]
    name, uid = pod['metadata']['name'], pod['metadata']['uid']
    other = '00000000-0000-0000-0000-000000000000'
    make(BUDGETS, budget('web', 'web', minAvailable=3))
    wait_until('the budget', lambda: admin().get(f'{BUDGETS}/web')['status'].get('currentHealthy') == 3)
    with Driver(pod) as d:
        d.ask('evict', name, uid, '-1', 'dry', error='budget')
        d.ask('evict', name, uid, '20', error='budget')
        d.tell('evict', name, uid, '0')
        assert d.read()['event'] == 'refused'
        d.ask('delete', name, other, '-1', error='conflict')
        make(BUDGETS, budget('web2', 'web', minAvailable=1))
        d.tell('evict', name, uid, '-1', 'dry')
        answer = d.read()
        assert answer['error'] in ('budgets', 'budget'), answer
        wait_until('the second budget', lambda: (d.tell('evict', name, uid, '-1', 'dry') or d.read())['error'] == 'budgets')
        for b in ('web', 'web2'):
            admin().delete(f'{BUDGETS}/{b}')
        d.ask('evict', name, uid, '-1', 'dry')
        d.ask('evict', name, other, '-1', error='conflict')
        World.node.held.add((NS, name))
        d.ask('evict', name, uid, '77')
        d.tell('pod', name) # the hollow node may have let it go by now
        assert d.read()['error'] in ('ok', 'not-found')
    ready_pods('web', 3)


@tap.deadline(120)
def test_authority():
    """Not trusted: another authority, and another name; a token that is replaced is read again."""
    pod = ready_pods('web', 3)[0]
    name = pod['metadata']['name']
    with Driver(pod) as d:
        good = World.plane.token(NS, 'plateau', pod)
        d.ask('pod', name)
        d.write('token', 'x.y.z')
        d.ask('pod', name, error='unauthorized')
        d.write('token', good)
        d.ask('pod', name)
    with Driver(pod) as d:
        with open(World.plane.path('admin.crt'), encoding='ascii') as f:
            d.write('ca.crt', f.read())
        answer = d.ask('pod', name, error='network')
        assert 'certificate' in answer['why'], answer


def audited(pod):
    """{"get ok": n}: what the audit log has of a pod's requests, in the words of the driver's counters."""
    verbs = {'list': 'get', 'create': 'post', 'update': 'put'}
    codes = {404: 'not-found', 409: 'conflict', 422: 'invalid'}
    out = {}
    for e in World.plane.audit():
        if e['user'].get('extra', {}).get('authentication.kubernetes.io/pod-uid') == [pod['metadata']['uid']]:
            code = e['responseStatus']['code']
            key = f'{verbs.get(e["verb"], e["verb"])} {"ok" if code < 300 else codes.get(code, code)}'
            out[key] = out.get(key, 0) + 1
    return out


def test_counted():
    """What it counts of its requests, by verb and outcome, is what the audit log of the server has of them."""
    pod = make(PODS, {'metadata': {'name': 'counted'}, 'spec': {'serviceAccountName': 'plateau', 'containers': [
        {'name': 'main', 'image': 'app:test'}]}})
    with Driver(pod) as d:
        for name, error in (('counted', 'ok'), ('nobody', 'not-found'), ('counted', 'ok')):
            d.ask('pod', name, error=error)
        d.ask('merge-patch', 'counted', {'metadata': {'annotations': {'a': 'b'}}})
        d.ask('json-patch', 'counted', [{'op': 'test', 'path': '/metadata/uid', 'value': 'another'}], error='invalid')
        d.ask('access', 'get', '-', 'pods')
        d.tell('pods', 'app=nobody')
        assert d.read()['error'] == 'ok'
        d.tell('watch', '0', '-', 'counted')
        while d.read()['watch'] != 'synced':
            pass
        admin().patch(f'{PODS}/counted', {'metadata': {'annotations': {'a': 'c'}}})
        assert d.read()['watch'] == 'changed' # so the watch was asked for
        d.tell('counters')
        got = next(e['ended'] for e in iter(d.read, None) if e['event'] == 'counters')
    got['watch ok'] = 1 # the server's word for one that nobody waits for any more; ours is told when it is let go
    wait_until('the audit log', lambda: audited(pod).get('watch ok'))
    assert got == audited(pod) and got['get ok'] == 4 and got['get not-found'] == 1 and got['post ok'] == 1, (got, audited(pod))
    admin().delete(f'{PODS}/counted', {'gracePeriodSeconds': 0})


def test_watching():
    """What is there, what comes, changes and goes; a server that ends comes back with a list; no rights are no rights."""
    pod = ready_pods('web', 3)[0]
    short = {'metadata': {'name': 'short', 'labels': {'app': 'short'}},
             'spec': {'containers': [{'name': 'main', 'image': 'app:test'}]}}
    with Driver(pod) as d:
        def until(event, name=None):
            seen = []
            while True:
                seen.append(d.read())
                if seen[-1]['watch'] == event and name in (None, seen[-1].get('name')):
                    return seen
        d.tell('watch', '0', 'app=web')
        seen = until('synced')
        assert [e['watch'] for e in seen] == ['reset', 'added', 'added', 'added', 'synced'], seen
        d.tell('watch', '0', '-', pod['metadata']['name'])
        assert [e.get('name') for e in until('synced') if e['watch'] == 'added'] == [pod['metadata']['name']]
        World.plane.restart('kube-apiserver')
        seen = until('synced')
        assert [e['watch'] for e in seen if e['watch'] != 'changed'] == ['lost', 'reset', 'added', 'synced'], seen
        assert seen[0]['error'] in ('network', 'server') and not seen[0]['over'], seen
        admin().patch(f'{PODS}/{pod["metadata"]["name"]}', {'metadata': {'annotations': {'x': 'y'}}})
        until('changed')
        d.tell('unwatch', 'at-next')
        admin().patch(f'{PODS}/{pod["metadata"]["name"]}', {'metadata': {'annotations': {'x': 'z'}}})
        until('changed') # freed in there
        d.ask('pod', pod['metadata']['name'])
        d.tell('watch', '0', 'app=short')
        until('synced')
        make(PODS, short)
        until('added', 'short')
        until('changed', 'short')
        admin().delete(f'{PODS}/short')
        until('deleted', 'short')
    with Driver(pod) as d:
        role = '/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles/plateau'
        rules = admin().get(role)['rules']
        admin().patch(role, {'rules': []})
        wait_until('no rights', lambda: (d.tell('pod', pod['metadata']['name']) or d.read())['error'] == 'forbidden')
        d.tell('watch', '0', 'app=web')
        end = d.read()
        assert (end['watch'], end['error'], end['over']) == ('lost', 'forbidden', True), end
        admin().patch(role, {'rules': rules})


def main():
    try:
        with Plane() as World.plane, Hollow(World.plane) as World.node:
            tap.main(globals())
    except Skip as e:
        print(f'1..0 # SKIP {e}')


if __name__ == '__main__':
    main()
