#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every way of rotating but detach-surge (that is test-rotation.py) on a real control plane, with the rights files of deploy/:
a sidecar for each pod, processes for its containers. See fleet.py, kubelet.py. One plane for all; a namespace each."""
import concurrent.futures
import contextlib
import functools
import json
import os
import signal
import sys
import threading
import time
from datetime import datetime

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'integration'))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap # pylint: disable=wrong-import-position
from fleet import CONFIG, Fleet, cluster # pylint: disable=wrong-import-position
from lib import Skip, get # pylint: disable=wrong-import-position
from objects import budget, eviction # pylint: disable=wrong-import-position
from plane import own_network # pylint: disable=wrong-import-position

TREND = 'trend: {min_span: 2s, min_samples: 10}\n'
HEADROOM = 'headroom: {step: 25%, max: 50%}\n  '
AT_ONCE = 4
DEADLINE_S = 900 # of all
PATIENT = 'IfHealthyBudget' # the default policy: an unready pod goes only while the others are as many as the budget wants


class World:
    """What the tests share, made by the first of them. They mostly wait, so several run at once."""
    stack = contextlib.ExitStack()
    plane = kubelet = None
    tests, results = [], {}
    mine = threading.local() # the namespaces of the test that this thread runs

    @classmethod
    def start(cls):
        if not cls.plane:
            cls.plane, cls.kubelet = cls.stack.enter_context(cluster())
            pool = cls.stack.enter_context(concurrent.futures.ThreadPoolExecutor(AT_ONCE))
            wanted = sys.argv[sys.argv.index('--only') + 1:] if '--only' in sys.argv else []
            cls.results = {t: pool.submit(cls.run, t) for t in cls.tests if t.__name__ in wanted or not wanted}

    @classmethod
    def run(cls, test):
        cls.mine.names = []
        try:
            test()
        finally:
            for name in cls.mine.names: # its processes would only take time from the others
                cls.plane.api.ask('DELETE', f'/api/v1/namespaces/{name}')


def together(test):
    """A test that runs beside the others from when the first of them is asked for."""
    World.tests.append(test)

    @functools.wraps(test)
    def wait():
        World.start()
        World.results[test].result()
    wait.deadline_s = DEADLINE_S
    return wait


def fleet(name, **options):
    """A workload in a namespace of its own, in which these rights are all there are."""
    World.mine.names.append(name)
    f = Fleet(World.plane, World.kubelet, **{'name': name, 'namespace': name, 'config': config(), **options})
    f.wait_ready()
    return f


def config(*replaced):
    """fleet.py's, told to the application by HTTP, with other values: pairs of what stands there and what is to."""
    text = CONFIG
    for old, new in (('file: /shared/drain', 'url: "http://@POD_IP@:8080/drain"'), *replaced):
        assert old in text, old
        text = text.replace(old, new)
    return text


def uid(f, name):
    return next((p['metadata']['uid'] for p in f.pods() if p['metadata']['name'] == name), None)


def requests(f, verb, resource):
    """What the sidecars of this namespace asked for, in order: the audit log's entries. resource: pods, pods/eviction ..."""
    name, _, sub = resource.partition('/')
    return [e for e in World.plane.audit() if e['verb'] == verb and (ref := e.get('objectRef', {})).get('resource') == name and
            ref.get('subresource', '') == sub and ref.get('namespace') == f.namespace and
            e['user']['username'].endswith(':plateau')]


def evictions(f):
    """The answers' status, of those that were meant."""
    return [e['responseStatus']['code'] for e in requests(f, 'create', 'pods/eviction') if 'dryRun' not in e['requestURI']]


def eviction_times(f):
    return [datetime.fromisoformat(e['requestReceivedTimestamp'].replace('Z', '+00:00')).timestamp()
            for e in requests(f, 'create', 'pods/eviction') if 'dryRun' not in e['requestURI']]


def ended(f, name):
    """How the main container's runs in this pod came to an end, in order."""
    return [code for c, code, _ in World.kubelet.pod(name).ends if c == 'app']


def set_budget(f, name='budget', **spec):
    path = f'/apis/policy/v1/namespaces/{f.namespace}/poddisruptionbudgets'
    World.plane.api.ask('DELETE', f'{path}/{name}')
    World.plane.api.post(path, budget(name, f.name, **spec))


@together
def test_evict():
    """A StatefulSet's pod leaves its Service, drains and is evicted: nothing cut, and no ready pod could have been."""
    f = fleet('evict', kind='StatefulSet', rbac='t1-evict', min_available=3)
    f.wait('the budget counts', lambda: World.plane.api.get(
        f'/apis/policy/v1/namespaces/evict/poddisruptionbudgets/evict')['status'].get('currentHealthy') == 3)
    status, _ = World.plane.api.ask('POST', '/api/v1/namespaces/evict/pods/evict-1/eviction', eviction('evict-1', dryRun=['All']))
    assert status == 429, status
    f.endpoints.count_from_now()
    load, first = f.load(sessions=12, session_s=(20, 30)), uid(f, 'evict-1') # longer than a drain lasts: who is not told is cut
    try:
        f.wait('sessions', lambda: f.app('evict-1', '/healthz', 'GET')['sessions'])
        f.leak('evict-1')
        f.wait('another evict-1', lambda: uid(f, 'evict-1') not in (None, first))
        f.wait_ready()
    finally:
        count = load.stop()
    assert f.endpoints.fewest == 2, f.endpoints.fewest
    assert not count['sessions_cut'] and not count['session_errors'] and not count['http_errors'], (count, load.notes)
    assert count['asked'] and count['sessions'] and count['http'] > 50, count
    assert evictions(f) == [201], evictions(f)


def template(f):
    """The pod that this workload would have, sidecar and all."""
    return {'spec': World.plane.api.get(f'/apis/apps/v1/namespaces/{f.namespace}/deployments/{f.name}')['spec']['template']['spec']}


def memory(f, name):
    """(limit, request) of main as the pod asks for it."""
    pod = next(p for p in f.pods() if p['metadata']['name'] == name)
    return tuple(pod['spec']['containers'][0]['resources'][k]['memory'] for k in ('limits', 'requests'))


def restarted(f, name, n=1):
    """The main container runs for the nth time again, in the same pod."""
    main = World.kubelet.pod(name).container('app')
    return main.restarts >= n and main.running()


@together
def test_budget_late():
    """A budget that refuses for a while is asked again with growing pauses, and the pod goes as soon as it may."""
    f = fleet('late', kind='StatefulSet', replicas=1, rbac='t1-evict')
    set_budget(f, minAvailable=1, unhealthyPodEvictionPolicy=PATIENT)
    first = uid(f, 'late-0')
    f.leak('late-0')
    f.wait('four refusals', lambda: evictions(f).count(429) >= 4)
    times = eviction_times(f)
    pauses = [b - a for a, b in zip(times, times[1:])]
    assert pauses[2] > 1.5 and max(pauses) < 15, pauses # at least half of 4 s; never more than 10 s and the way
    assert uid(f, 'late-0') == first and not restarted(f, 'late-0')
    set_budget(f, minAvailable=1, unhealthyPodEvictionPolicy='AlwaysAllow')
    f.wait('another late-0', lambda: uid(f, 'late-0') not in (None, first))
    f.wait_ready()
    assert evictions(f)[-1] == 201, evictions(f)


@together
def test_budget_never():
    """A budget that goes on refusing does not lead past the limit: main is ended in order before, in its pod."""
    f = fleet('never', kind='StatefulSet', replicas=1, rbac='t1-evict', grace=5,
              config=config(('log:', TREND + 'log:'), ('bytes: 100MiB', 'bytes: 50MiB'), ('margin: 1s', 'margin: 3s')))
    set_budget(f, minAvailable=1, unhealthyPodEvictionPolicy=PATIENT)
    first = uid(f, 'never-0')
    f.app('never-0', '/rate?bytes=8000000')
    f.wait('a refusal', lambda: evictions(f))
    f.wait('main runs again', lambda: restarted(f, 'never-0'), 120)
    assert uid(f, 'never-0') == first
    assert set(evictions(f)) == {429}, evictions(f)
    assert ended(f, 'never-0') == [0], ended(f, 'never-0') # by SIGTERM; the kernel's SIGKILL would be 137
    f.wait_ready()


@together
def test_two_budgets():
    """Two budgets for one pod are a 500 that stays: told apart from a server's trouble, and main is restarted in place."""
    f = fleet('two', kind='StatefulSet', replicas=1, rbac='t1-evict')
    first = uid(f, 'two-0')
    set_budget(f, 'one', minAvailable=0)
    set_budget(f, 'other', minAvailable=0)
    f.leak('two-0')
    f.wait('main runs again', lambda: restarted(f, 'two-0'))
    f.wait_ready()
    asked = evictions(f)
    assert uid(f, 'two-0') == first
    assert asked and set(asked) == {500} and len(asked) <= 3, asked
    assert ended(f, 'two-0') == [0], ended(f, 'two-0')


@together
def test_foreseen():
    """That evictions would be refused is told before one is needed; it is asked again when one is, and main restarted if so."""
    f = fleet('foreseen', kind='StatefulSet', replicas=1, rbac='t1-evict')
    first = uid(f, 'foreseen-0')
    set_budget(f, 'one', minAvailable=0)
    set_budget(f, 'other', minAvailable=0)
    f.wait('an Event', lambda: any('would be refused' in note for _, note in f.events('foreseen-0')))
    f.leak('foreseen-0')
    f.wait('main runs again', lambda: restarted(f, 'foreseen-0'))
    f.wait_ready()
    assert not evictions(f) and uid(f, 'foreseen-0') == first, evictions(f)
    for name in ('one', 'other'):
        World.plane.api.delete(f'/apis/policy/v1/namespaces/foreseen/poddisruptionbudgets/{name}')
    f.leak('foreseen-0')
    f.wait('another foreseen-0', lambda: uid(f, 'foreseen-0') not in (None, first))
    tried = [e['responseStatus']['code'] for e in requests(f, 'create', 'pods/eviction') if 'dryRun' in e['requestURI']]
    assert tried[:1] == [500] and 201 in tried, tried


ALIVE = {'httpGet': {'path': '/alive', 'port': 9464}, 'periodSeconds': 1}


@together
def test_in_place():
    """Without any right, /alive fails once the sessions are done: the kubelet restarts main alone, out of its Service."""
    f = fleet('place', rbac='t0', slots=0, replicas=2, main={'livenessProbe': ALIVE})
    name = f.names()[0]
    pod, first = World.kubelet.pod(name), uid(f, name)
    load, begin = f.load(sessions=8, session_s=(20, 30)), time.time()
    try:
        f.wait('sessions', lambda: f.app(name, '/healthz', 'GET')['sessions'])
        f.leak(name)
        f.wait('main runs again', lambda: restarted(f, name))
        f.wait_ready()
    finally:
        count = load.stop()
    assert 'rotation: in_place' in World.kubelet.log(name, 'plateau')
    assert uid(f, name) == first and World.kubelet.pod(name).ip == pod.ip and pod.container('plateau').restarts == 0
    (_, code, when), = [e for e in pod.ends if e[0] == 'app']
    out = [at for at, ready in f.endpoints.history if at > begin and name not in ready]
    assert code == 0 and out and out[0] < when, (code, out, when)
    assert not count['sessions_cut'] and not count['session_errors'] and not count['http_errors'], (count, load.notes)
    assert count['asked'] and count['http'] > 50, count
    assert not [e for e in World.plane.audit() if e['user']['username'].startswith('system:serviceaccount:place:') and
                e['verb'] not in ('get', 'create')], 'it has no rights'


@together
def test_other_port():
    """The same where the sidecar listens at another port than the usual one."""
    at = '/spec/template/spec/initContainers/0'
    patches = [{'op': 'replace', 'path': f'{at}/{p}', 'value': 9470} for p in
               ('ports/0/containerPort', 'readinessProbe/httpGet/port', 'livenessProbe/httpGet/port')]
    f = fleet('port', rbac='t1-evict', slots=0, replicas=1, patches=patches, config=config(('margin:', 'strategy: in_place\n  margin:')),
              main={'livenessProbe': {'httpGet': {'path': '/alive', 'port': 9470}, 'periodSeconds': 1}})
    name, = f.names()
    f.leak(name)
    f.wait('main runs again', lambda: restarted(f, name))
    f.wait_ready()
    assert f.names() == [name] and ended(f, name) == [0] and not evictions(f)
    assert 'rotation: in_place' in World.kubelet.log(name, 'plateau')


@together
def test_last_moment():
    """Where nothing else is to be done: SIGTERM to main, seconds before the limit; the kubelet runs it again."""
    f = fleet('moment', rbac='t0', slots=0, replicas=1, grace=5,
              config=config(('log:', TREND + 'log:'), ('margin: 1s', 'strategy: signal\n  margin: 5s')))
    name, = f.names()
    f.app(name, '/rate?bytes=8000000')
    f.wait('main runs again', lambda: restarted(f, name), 120)
    f.wait_ready()
    told = World.kubelet.log(name, 'plateau')
    assert f.names() == [name] and ended(f, name) == [0], (ended(f, name), told)
    assert 'signalled (signal): last_moment' in told and 'unready' not in told, told


@together
def test_bare():
    """A pod that nobody would make again is not removed, whatever the rights: its main container is restarted."""
    f = fleet('bare', replicas=0, slots=0)
    World.plane.api.post('/api/v1/namespaces/bare/pods', {'metadata': {'name': 'bare', 'labels': {'app': 'bare'}}, **template(f)})
    f.wait_ready(1)
    f.leak('bare')
    f.wait('main runs again', lambda: restarted(f, 'bare'))
    f.wait_ready(1)
    assert not evictions(f) and ended(f, 'bare') == [0]
    assert not any('plateau.dev/rotation' in p['metadata']['labels'] for p in f.pods())


@together
def test_job():
    """A Job's pod is given room, and neither evicted, which counts as failed, nor ended, which counts as done."""
    f = fleet('job', replicas=0, slots=0, rbac='t3-resize',
              config=config(('log:', TREND + 'log:'), ('margin: 1s', HEADROOM + 'margin: 1h')))
    spec = template(f)['spec']
    World.plane.api.post('/apis/batch/v1/namespaces/job/jobs', {'metadata': {'name': 'job'}, 'spec': {
        'backoffLimit': 0, 'template': {'metadata': {'labels': {'app': 'job'}}, 'spec': {**spec, 'restartPolicy': 'Never'}}}})
    f.wait_ready(1)
    name, = f.names()
    f.app(name, '/rate?bytes=8000000')
    f.wait('much is used', lambda: f.app(name, '/healthz', 'GET')['kept'] > 200_000_000)
    f.wait('all the room there may be', lambda: memory(f, name) == ('600Mi', '600Mi'))
    f.app(name, '/rate?bytes=0')
    assert f.ready() == [name] and not evictions(f) and not ended(f, name), (f.ready(), evictions(f), ended(f, name))
    World.kubelet.pod(name).container('app').signal(signal.SIGTERM) # its work is done
    job = '/apis/batch/v1/namespaces/job/jobs/job'
    f.wait('the Job is complete', lambda: World.plane.api.get(job)['status'].get('succeeded') == 1)


@together
def test_drain_ways():
    """The application is told by HTTP, by a signal and by a file."""
    by = {'url': 'url: "http://@POD_IP@:8080/drain"', 'signal': 'signal: SIGUSR1', 'file': 'file: /shared/drain'}
    text = lambda way: config((by['url'], by[way])) # pylint: disable=unnecessary-lambda-assignment
    f = fleet('ways', replicas=1, config=text('url'))
    load = f.load(sessions=3, session_s=(20, 30))
    asked = []
    try:
        for next_way in ('signal', 'file', 'url'):
            f.configure(text(next_way))
            name, = f.names()
            f.wait('sessions', lambda n=name: f.app(n, '/healthz', 'GET')['sessions'])
            f.leak(name)
            f.wait_gone(name)
            asked.append([json.loads(line)['asked'] for line in World.kubelet.log(name, 'app').splitlines() if '"asked"' in line])
            f.wait_ready()
    finally:
        count = load.stop()
    assert asked == [['url'], ['signal'], ['file']], asked
    assert count['asked'] >= 3 and not count['sessions_cut'] and not count['http_errors'], (count, load.notes)


def condition(f, name, kind):
    pod = next(p for p in f.pods() if p['metadata']['name'] == name)
    return next((c for c in pod['status']['conditions'] if c['type'] == kind), {})


@together
def test_gate():
    """A readiness gate is set at the start, else no pod would ever be ready, and taken back before the drain."""
    gate = 'plateau.dev/serving'
    f = fleet('gate', replicas=1, rbac='t2-detach+extras/readiness-gate', spec={'readinessGates': [{'conditionType': gate}]},
              patches=[{'op': 'remove', 'path': '/spec/template/spec/initContainers/0/readinessProbe'}],
              config=config(('margin:', f'readiness_gate: {gate}\n  margin:')))
    name, = f.names()
    assert condition(f, name, gate)['reason'] == 'Serving', condition(f, name, gate)
    f.endpoints.count_from_now()
    f.leak(name)
    f.wait('the gate is shut', lambda: condition(f, name, gate)['status'] == 'False')
    f.wait('the pod is not ready', lambda: condition(f, name, 'Ready')['status'] == 'False')
    assert condition(f, name, 'ContainersReady')['status'] == 'True' # it was the gate alone
    f.wait_gone(name)
    f.wait_ready()
    assert f.endpoints.fewest == 1, f.endpoints.fewest


CLONE_SETS = '/apis/apps.kruise.io/v1alpha1/namespaces/{}/clonesets'
CLONE_SET_CRD = {
    'metadata': {'name': 'clonesets.apps.kruise.io'},
    'spec': {'group': 'apps.kruise.io', 'scope': 'Namespaced', 'names': {'plural': 'clonesets', 'kind': 'CloneSet'}, 'versions': [
        {'name': 'v1alpha1', 'served': True, 'storage': True,
         'schema': {'openAPIV3Schema': {'type': 'object', 'x-kubernetes-preserve-unknown-fields': True}}}]}}


class CloneSets(threading.Thread):
    """A stand-in for OpenKruise's controller: keeps so many pods, and replaces what has apps.kruise.io/specified-delete, first a
    new one, then away with the old."""

    def __init__(self, f, clone_set, replicas):
        super().__init__(daemon=True)
        self.f, self.owner, self.replicas, self.count, self.told = f, clone_set, replicas, 0, []
        self.over = threading.Event()

    def run(self):
        path = f'/api/v1/namespaces/{self.f.namespace}/pods'
        while not self.over.wait(0.2):
            pods = [p for p in self.f.pods() if 'deletionTimestamp' not in p['metadata']]
            marked = [p for p in pods if p['metadata']['labels'].get('apps.kruise.io/specified-delete') == 'true']
            ready = [p for p in pods if p not in marked and
                     any(c['type'] == 'Ready' and c['status'] == 'True' for c in p['status'].get('conditions', []))]
            for p in marked:
                self.told.append(p['metadata']['name'])
                if len(ready) >= self.replicas:
                    World.plane.api.ask('DELETE', f'{path}/{p["metadata"]["name"]}')
            for _ in range(self.replicas - len([p for p in pods if p not in marked])):
                World.plane.api.post(path, self.pod())

    def pod(self):
        self.count += 1
        m = self.owner['metadata']
        owner = {'apiVersion': 'apps.kruise.io/v1alpha1', 'kind': 'CloneSet', 'name': m['name'], 'uid': m['uid'], 'controller': True}
        return {'metadata': {'name': f'{m["name"]}-{self.count}', 'labels': {'app': self.f.name}, 'ownerReferences': [owner]},
                'spec': self.owner['spec']['template']['spec']}


@together
def test_clone_set():
    """A CloneSet's pod asks for its replacement by the label that its controller knows, and evicts nothing."""
    f = fleet('clone', replicas=0)
    World.plane.api.post('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', CLONE_SET_CRD)
    path = CLONE_SETS.format('clone')
    f.wait('the new kind', lambda: World.plane.api.ask('GET', path)[0] == 200)
    owner = World.plane.api.post(path, {'apiVersion': 'apps.kruise.io/v1alpha1', 'kind': 'CloneSet', 'metadata': {'name': 'clone'},
                                        'spec': {'replicas': 2, 'template': template(f)}})
    controller = CloneSets(f, owner, 2)
    controller.start()
    try:
        f.wait_ready(2)
        f.leak('clone-1')
        f.wait_gone('clone-1')
        f.wait_ready(2)
    finally:
        controller.over.set()
        controller.join(20)
    assert set(controller.told) == {'clone-1'} and f.names() == ['clone-2', 'clone-3'], (controller.told, f.names())
    assert not evictions(f) and not requests(f, 'delete', 'pods')


@contextlib.contextmanager
def no_room(namespace):
    """The node takes no further pod of it meanwhile."""
    World.kubelet.set_full(namespace, True)
    try:
        yield
    finally:
        World.kubelet.set_full(namespace, False)


@together
def test_headroom():
    """While no replacement finds room the limit is raised, in its class; the sidecar sees it, and rotates when there is room."""
    f = fleet('room', replicas=1, rbac='t3-resize', grace=5,
              config=config(('log:', TREND + 'log:'), ('margin:', HEADROOM + 'margin:')))
    name, = f.names()
    with no_room(f.namespace):
        f.leak(name)
        f.wait('it is detached', lambda: len(f.names()) == 2)
        f.app(name, '/rate?bytes=8000000')
        f.wait('a resize', lambda: memory(f, name) == ('500Mi', '500Mi'))
        f.app(name, '/rate?bytes=0')
        pod = next(p for p in f.pods() if p['metadata']['name'] == name)
        assert pod['status']['qosClass'] == 'Guaranteed', pod['status']
        f.wait('it was given', lambda: World.kubelet.pod(name).container('app').limit == '500Mi')
        f.wait('the sidecar sees it', lambda: limit_seen(f, name) == 500 << 20)
        assert name in f.ready() and not ended(f, name)
    f.wait_gone(name)
    f.wait_ready()
    assert [e['responseStatus']['code'] for e in requests(f, 'patch', 'pods/resize')] == [200]
    assert memory(f, f.names()[0]) == ('400Mi', '400Mi')


def limit_seen(f, name):
    """The limit that the sidecar goes by, by its own metrics."""
    text = get(f'http://{World.kubelet.pod(name).ip}:9464/metrics')[2].decode()
    value = next(line.split()[-1] for line in text.splitlines() if line.startswith('plateau_target_limit_bytes'))
    return int(float(value))


@together
def test_headroom_refused():
    """A node without room for it (Deferred, Infeasible) is asked once, and one that would restart main for it never."""
    restart = {'resizePolicy': [{'resourceName': 'memory', 'restartPolicy': 'RestartContainer'}]}
    for kind, main, asked in (('Deferred', {}, [200]), ('Infeasible', {}, [200]), ('Restart', restart, [])):
        refused(kind, main, asked)


def refused(kind, main, asked):
    World.kubelet.no_resize[kind.lower()] = kind
    f = fleet(kind.lower(), replicas=1, rbac='t3-resize', main=main, grace=5,
              config=config(('log:', TREND + 'log:'), ('margin:', HEADROOM + 'margin:')))
    name, = f.names()
    with no_room(f.namespace):
        f.leak(name)
        f.wait('it is detached', lambda: len(f.names()) == 2)
        f.app(name, '/rate?bytes=8000000')
        f.wait_gone(name) # in order, while there was time for that
    assert [e['responseStatus']['code'] for e in requests(f, 'patch', 'pods/resize')] == asked
    assert '"cut": 0' in World.kubelet.log(name, 'app'), World.kubelet.log(name, 'app') # it ended by itself
    f.wait_ready()


if __name__ == '__main__':
    with contextlib.suppress(Skip): # each test says so
        own_network() # here, because it begins the program anew
    try:
        tap.main(globals())
    finally:
        World.stack.close()
