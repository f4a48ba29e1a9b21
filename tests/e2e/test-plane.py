#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the rotation takes for granted about Kubernetes, asked of the real one; its nodes are hollow.py.

  test-plane.py [--record DIR] [--only TEST...]
  --record  write the answers to DIR, as tests/fixtures/kube has them
"""
import json
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'integration'))
import tap
from lib import Skip, wait_until
from hollow import Hollow
from objects import access, budget, eviction, service, template, workload
from plane import Plane

NS = 'shop'
PODS = f'/api/v1/namespaces/{NS}/pods'
APPS = f'/apis/apps/v1/namespaces/{NS}'
LEASES = f'/apis/coordination.k8s.io/v1/namespaces/{NS}/leases'
BUDGETS = f'/apis/policy/v1/namespaces/{NS}/poddisruptionbudgets'
SLICES = f'/apis/discovery.k8s.io/v1/namespaces/{NS}/endpointslices'
JSON_PATCH = 'application/json-patch+json'
MERGE_PATCH = 'application/merge-patch+json'
STRATEGIC = 'application/strategic-merge-patch+json'
HASH = 'pod-template-hash'
RULES = [('', ['pods'], ['get', 'list', 'watch', 'patch']), ('', ['pods/eviction'], ['create']),
         ('', ['pods/resize'], ['patch']), ('apps', ['replicasets', 'deployments'], ['get', 'list', 'watch']),
         ('discovery.k8s.io', ['endpointslices'], ['list', 'watch']),
         ('coordination.k8s.io', ['leases'], ['get', 'update']), ('events.k8s.io', ['events'], ['create', 'patch'])]


class World:
    """The plane, and what its answers were."""
    plane = node = None
    record_to = None

    @classmethod
    def recorded(cls, name, api, method, path, body=None, kind='application/json', only=None):
        """(status, body) of a request, kept as a fixture when asked to; only that of one status, if told."""
        c = api.connect()
        try:
            c.request(method, path, json.dumps(body) if body is not None else None, api.headers(kind))
            r = c.getresponse()
            status, data = r.status, r.read()
            data = json.loads(data) if r.getheader('Content-Type', '').startswith('application/json') else data.decode()
            headers = {k: v for k, v in r.getheaders() if k.lower() in ('retry-after', 'warning', 'content-type')}
        finally:
            c.close()
        request = {'method': method, 'path': path}
        if body is not None:
            request.update({'type': kind, 'body': body})
        if only in (None, status):
            cls.keep(f'{name}.json', {'request': request, 'status': status, 'headers': headers, 'body': data})
        return status, data

    @classmethod
    def keep(cls, name, value):
        if not cls.record_to:
            return
        with open(os.path.join(cls.record_to, name), 'w', encoding='utf-8') as f:
            f.write(value if isinstance(value, str) else json.dumps(value, indent=1) + '\n')


def admin():
    return World.plane.api


def is_ready(pod):
    return 'deletionTimestamp' not in pod['metadata'] and any(
        c['type'] == 'Ready' and c['status'] == 'True' for c in pod['status'].get('conditions', []))


def pods_of(app):
    return admin().get(f'{PODS}?labelSelector=app%3D{app}')['items']


def ready_pods(app, n):
    """The pods of an app, when so many of them are ready and there is no other."""
    def look():
        pods = pods_of(app)
        return pods if len(pods) == n and all(map(is_ready, pods)) else None
    return wait_until(f'{n} ready pods of {app}', look)


def endpoints(app):
    """Names of the pods that get traffic."""
    out = set()
    for s in admin().get(f'{SLICES}?labelSelector=kubernetes.io%2Fservice-name%3D{app}')['items']:
        out |= {e['targetRef']['name'] for e in s.get('endpoints') or [] if e['conditions']['ready']}
    return out


def names(pods):
    return {p['metadata']['name'] for p in pods}


def owner(pod):
    return next((o['name'] for o in pod['metadata'].get('ownerReferences', []) if o.get('controller')), None)


def sidecar_of(pod):
    """Access as this pod's sidecar has it."""
    return World.plane.as_token(World.plane.token(NS, 'plateau', pod))


def make(*objects):
    for path, obj in objects:
        status, answer = admin().ask('POST', path, obj)
        assert status == 201, (path, answer)


def expect(answer, status, words=''):
    assert answer[0] == status, f'{answer[0]} where {status} was expected: {answer[1]}'
    assert re.search(words, json.dumps(answer[1])), f'no "{words}" in {answer[1]}'
    return answer[1]


def detach(api, pod):
    return [{'op': 'test', 'path': '/metadata/uid', 'value': pod['metadata']['uid']},
            {'op': 'test', 'path': f'/metadata/labels/{HASH}', 'value': pod['metadata']['labels'][HASH]},
            {'op': 'remove', 'path': f'/metadata/labels/{HASH}'},
            {'op': 'add', 'path': '/metadata/labels/plateau.dev~1rotation', 'value': 'detached'}]


def causes(status):
    return [c['reason'] for c in status.get('details', {}).get('causes', [])]


@tap.deadline(180)
def test_workload():
    """Three pods with a sidecar become ready behind a Service, with a budget that lets none go."""
    make(('/api/v1/namespaces', {'metadata': {'name': NS}}),
         *[(path.format(ns=NS), obj) for path, obj in access(RULES)],
         (f'{APPS}/deployments', workload('Deployment', 'web', 3)),
         (f'/api/v1/namespaces/{NS}/services', service('web')), (BUDGETS, budget('web', 'web', minAvailable=3)))
    pods = ready_pods('web', 3)
    wait_until('three endpoints', lambda: endpoints('web') == names(pods))
    status = wait_until('the budget', lambda: (lambda s: s if s.get('currentHealthy') == 3 else None)(
        admin().get(f'{BUDGETS}/web')['status']))
    assert status['disruptionsAllowed'] == 0, status
    me = sidecar_of(pods[0])
    expect(World.recorded('pod', me, 'GET', f'{PODS}/{pods[0]["metadata"]["name"]}'), 200)
    expect(World.recorded('pod-list', me, 'GET', f'{PODS}?labelSelector=app%3Dweb'), 200)
    expect(World.recorded('replicaset', me, 'GET', f'{APPS}/replicasets/{owner(pods[0])}'), 200)
    expect(World.recorded('deployment', me, 'GET', f'{APPS}/deployments/web'), 200)
    expect(World.recorded('endpointslice-list', me, 'GET',
                          f'{SLICES}?labelSelector=kubernetes.io%2Fservice-name%3Dweb'), 200)


def test_identity():
    """A token that is bound to a pod names it to admission and audit; 401 without one, 403 with too little."""
    pod = pods_of('web')[0]
    me, name = sidecar_of(pod), pod['metadata']['name']
    expect(World.recorded('forbidden-403', me, 'DELETE', f'{PODS}/{name}'), 403, 'pods .*is forbidden')
    expect(World.recorded('unauthorized-401', World.plane.as_token('x'), 'GET', f'{PODS}/{name}'), 401)
    expect(World.recorded('not-found-404', me, 'GET', f'{PODS}/nobody'), 404, 'NotFound')
    what = {'namespace': NS, 'verb': 'create', 'resource': 'pods', 'subresource': 'eviction'}
    review = {'apiVersion': 'authorization.k8s.io/v1', 'kind': 'SelfSubjectAccessReview',
              'spec': {'resourceAttributes': what}}
    url = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
    assert expect(World.recorded('access-review-yes', me, 'POST', url, review), 201)['status']['allowed'] is True
    what.update({'verb': 'delete', 'subresource': ''})
    assert expect(World.recorded('access-review-no', me, 'POST', url, review), 201)['status']['allowed'] is False
    seen = wait_until('the audit', lambda: [e for e in World.plane.audit() if e['verb'] == 'delete' and
                                            e['user']['username'] == f'system:serviceaccount:{NS}:plateau'])
    assert seen[0]['user']['extra']['authentication.kubernetes.io/pod-name'] == [name], seen[0]


@tap.deadline(180)
def test_detach():
    """Without its pod-template-hash a pod is released and replaced, and serves on; with it again, it is taken back."""
    before = ready_pods('web', 3)
    old = before[0]
    name, replicaset = old['metadata']['name'], owner(old)
    me = sidecar_of(old)
    wrong = [{'op': 'test', 'path': f'/metadata/labels/{HASH}', 'value': 'other'},
             {'op': 'remove', 'path': f'/metadata/labels/{HASH}'}]
    # 422 as for an invalid object, but without a cause: the answer does not say which test failed
    answer = expect(World.recorded('json-patch-test-failed', me, 'PATCH', f'{PODS}/{name}', wrong, JSON_PATCH), 422)
    assert answer['reason'] == 'Invalid' and not causes(answer), answer
    patched = expect(World.recorded('pod-patched', me, 'PATCH', f'{PODS}/{name}', detach(me, old), JSON_PATCH), 200)
    assert HASH not in patched['metadata']['labels']
    pods = ready_pods('web', 4)
    released = next(p for p in pods if p['metadata']['name'] == name)
    assert owner(released) is None and released['metadata']['uid'] == old['metadata']['uid'], released['metadata']
    assert {owner(p) for p in pods if p is not released} == {replicaset}
    wait_until('four endpoints, the old pod among them', lambda: endpoints('web') == names(pods))

    back = [{'op': 'add', 'path': f'/metadata/labels/{HASH}', 'value': old['metadata']['labels'][HASH]},
            {'op': 'remove', 'path': '/metadata/labels/plateau.dev~1rotation'}]
    assert me.ask('PATCH', f'{PODS}/{name}', back, JSON_PATCH)[0] == 200
    after = ready_pods('web', 3)
    assert {owner(p) for p in after} == {replicaset}
    wait_until('three endpoints', lambda: endpoints('web') == names(after))


@tap.deadline(180)
def test_detach_given_up():
    """A pod that is taken back before its replacement is ready stays, and the replacement goes."""
    before = ready_pods('web', 3)
    old, known = before[0], names(before)
    name = old['metadata']['name']
    tell, World.node.tell = World.node.tell, lambda pod, ready: tell(pod, ready and pod['metadata']['name'] in known)
    try:
        assert admin().ask('PATCH', f'{PODS}/{name}', detach(None, old), JSON_PATCH)[0] == 200
        wait_until('a replacement that is not ready', lambda: [
            p for p in pods_of('web')
            if p['metadata']['name'] not in known and p['status'].get('podIP') and not is_ready(p)])
        back = [{'op': 'add', 'path': f'/metadata/labels/{HASH}', 'value': old['metadata']['labels'][HASH]}]
        assert admin().ask('PATCH', f'{PODS}/{name}', back, JSON_PATCH)[0] == 200
        assert names(ready_pods('web', 3)) == known
    finally:
        World.node.tell = tell


@tap.deadline(180)
def test_eviction():
    """Eviction: dry run, wrong uid, wrong name, a budget that is used up, two budgets, a longer grace."""
    pods = ready_pods('web', 3)
    pod = pods[0]
    name, me = pod['metadata']['name'], sidecar_of(pod)
    url = f'{PODS}/{name}/eviction'
    answer = World.recorded('eviction-429-budget', me, 'POST', url, eviction(name))
    assert causes(expect(answer, 429)) == ['DisruptionBudget'], answer
    assert 'retryAfterSeconds' not in answer[1]['details'], answer # zero: told by its absence
    expect(World.recorded('eviction-dry-run-429', me, 'POST', f'{url}?dryRun=All', eviction(name)), 429)
    expect(World.recorded('eviction-400-name', me, 'POST', url, eviction('other')), 400)

    make((BUDGETS, budget('web-2', 'web', maxUnavailable=1)))
    wait_until('the second budget', lambda: admin().get(f'{BUDGETS}/web-2')['status'].get('disruptionsAllowed'))
    expect(World.recorded('eviction-500-two-budgets', me, 'POST', url, eviction(name)), 500, 'more than one')
    admin().delete(f'{BUDGETS}/web')
    wrong = eviction(name, preconditions={'uid': '00000000-0000-0000-0000-000000000000'})
    expect(World.recorded('eviction-409-uid', me, 'POST', url, wrong), 409, 'UID in the precondition')
    # the budget is charged before the uid is looked at, and has it back after two minutes only
    used = admin().get(f'{BUDGETS}/web-2')['status']
    assert used['disruptionsAllowed'] == 0 and name in used['disruptedPods'], used
    admin().delete(f'{BUDGETS}/web-2')
    make((BUDGETS, budget('web-3', 'web', maxUnavailable=1)))
    wait_until('the third budget', lambda: admin().get(f'{BUDGETS}/web-3')['status'].get('disruptionsAllowed'))
    mine = eviction(name, preconditions={'uid': pod['metadata']['uid']}, gracePeriodSeconds=120)
    expect(World.recorded('eviction-dry-run-201', me, 'POST', f'{url}?dryRun=All', mine), 201)
    assert 'deletionTimestamp' not in admin().get(f'{PODS}/{name}')['metadata']

    mind, World.node.mind = World.node.mind, lambda pod: None if 'deletionTimestamp' in pod['metadata'] else mind(pod)
    try: # a kubelet that takes its time, so that one can see what was asked of it
        expect(World.recorded('eviction-201', me, 'POST', url, mine), 201)
        leaving = expect(World.recorded('pod-terminating', me, 'GET', f'{PODS}/{name}'), 200)
        assert leaving['metadata']['deletionGracePeriodSeconds'] == 120, leaving['metadata'] # the manifest says 30
        assert any(c['type'] == 'DisruptionTarget' for c in leaving['status']['conditions'])
    finally:
        World.node.mind = mind
    admin().delete(f'{PODS}/{name}', {'gracePeriodSeconds': 0})
    ready_pods('web', 3)


@tap.deadline(180)
def test_eviction_of_unready():
    """An unready pod leaves although its budget is used up, when the budget says AlwaysAllow."""
    admin().delete(f'{BUDGETS}/web-3')
    make((BUDGETS, budget('web', 'web', minAvailable=3, unhealthyPodEvictionPolicy='AlwaysAllow')))
    pod = ready_pods('web', 3)[0]
    name, me = pod['metadata']['name'], sidecar_of(pod)
    wait_until('the budget', lambda: admin().get(f'{BUDGETS}/web')['status'].get('currentHealthy') == 3)
    assert me.ask('POST', f'{PODS}/{name}/eviction', eviction(name))[0] == 429
    World.node.set_ready(NS, name, False)
    wait_until('it is out of the endpoints', lambda: name not in endpoints('web'))
    mine = eviction(name, preconditions={'uid': pod['metadata']['uid']})
    expect(World.recorded('eviction-201-unready', me, 'POST', f'{PODS}/{name}/eviction', mine), 201)
    ready_pods('web', 3)


@tap.deadline(180)
def test_other_owners():
    """Pods of a StatefulSet and of a DaemonSet name their owner; a bare one has none."""
    make((f'{APPS}/statefulsets', workload('StatefulSet', 'db', 1, serviceName='db')))
    pod = ready_pods('db', 1)[0]
    me = sidecar_of(pod)
    World.recorded('pod-of-statefulset', me, 'GET', f'{PODS}/db-0')
    assert pod['metadata']['ownerReferences'][0]['kind'] == 'StatefulSet'
    make((f'{APPS}/daemonsets', workload('DaemonSet', 'agent', None)))
    try:
        daemon = wait_until('a pod of the DaemonSet', lambda: pods_of('agent'))[0]
        World.recorded('pod-of-daemonset', me, 'GET', f'{PODS}/{daemon["metadata"]["name"]}')
        assert daemon['metadata']['ownerReferences'][0]['kind'] == 'DaemonSet'
    finally:
        admin().delete(f'{APPS}/daemonsets/agent')
    bare = {'metadata': {'name': 'bare', 'labels': {'app': 'bare'}}, 'spec': template('bare')['spec']}
    make((PODS, bare))
    ready_pods('bare', 1)
    expect(World.recorded('pod-bare', me, 'GET', f'{PODS}/bare'), 200)
    admin().delete(f'{PODS}/bare')


def test_lease():
    """A Lease is written only by who saw its last state."""
    make((LEASES, {'metadata': {'name': 'plateau-web-0'}, 'spec': {}}))
    me = sidecar_of(ready_pods('web', 3)[0])
    free = expect(World.recorded('lease-free', me, 'GET', f'{LEASES}/plateau-web-0'), 200)
    mine = {**free, 'spec': {'holderIdentity': 'web-1', 'leaseDurationSeconds': 15, 'leaseTransitions': 1,
                             'acquireTime': '2026-01-01T00:00:00.000000Z', 'renewTime': '2026-01-01T00:00:00.000001Z'}}
    expect(World.recorded('lease-taken', me, 'PUT', f'{LEASES}/plateau-web-0', mine), 200)
    expect(World.recorded('lease-conflict-409', me, 'PUT', f'{LEASES}/plateau-web-0', mine), 409, 'Conflict')
    expect(World.recorded('lease-create-403', me, 'POST', LEASES, {'metadata': {'name': 'x'}}), 403)


def owned_by_deployment(name):
    """A JSON patch's operation: the pod goes with the Deployment, but no controller counts it."""
    deployment = admin().get(f'{APPS}/deployments/{name}')
    return {'op': 'add', 'path': '/metadata/ownerReferences/-', 'value': {
        'apiVersion': 'apps/v1', 'kind': 'Deployment', 'name': name, 'uid': deployment['metadata']['uid']}}


@tap.deadline(240)
def test_detached_and_left():
    """A detached pod outlives a roll and a scale to zero, goes when taken back then, or with its Deployment."""
    make((f'{APPS}/deployments', workload('Deployment', 'left', 1)))
    old = ready_pods('left', 1)[0]
    name, me = old['metadata']['name'], sidecar_of(old)
    patch = [*detach(me, old), owned_by_deployment('left')]
    patched = expect(World.recorded('pod-patched-owner', me, 'PATCH', f'{PODS}/{name}', patch, JSON_PATCH), 200)
    assert len(patched['metadata']['ownerReferences']) == 2
    released = next(p for p in ready_pods('left', 2) if p['metadata']['name'] == name)
    assert [o['kind'] for o in released['metadata']['ownerReferences']] == ['Deployment'], released['metadata']
    admin().patch(f'{APPS}/deployments/left', {'spec': {'template': {'metadata': {'annotations': {'rolled': 'yes'}}}}})
    wait_until('a new revision', lambda: (lambda s: s['observedGeneration'] == 2 and s.get('updatedReplicas') == 1 and
                                          s['replicas'] == 1)(admin().get(f'{APPS}/deployments/left')['status']))
    admin().patch(f'{APPS}/deployments/left', {'spec': {'replicas': 0}})
    assert names(ready_pods('left', 1)) == {name}

    second = {**template('left'), 'metadata': {'name': 'left-2', 'labels': {'app': 'left'},
                                               'ownerReferences': released['metadata']['ownerReferences']}}
    make((PODS, second))
    ready_pods('left', 2)
    back = [{'op': 'add', 'path': f'/metadata/labels/{HASH}', 'value': old['metadata']['labels'][HASH]}]
    assert me.ask('PATCH', f'{PODS}/{name}', back, JSON_PATCH)[0] == 200
    assert names(ready_pods('left', 1)) == {'left-2'}, 'the old ReplicaSet wants none'
    admin().delete(f'{APPS}/deployments/left', {'propagationPolicy': 'Background'})
    wait_until('the pod goes with the Deployment', lambda: not pods_of('left'))


@tap.deadline(120)
def test_budget_and_detached():
    """A budget of maxUnavailable takes a detached pod for healthy but not for expected: it allows one more."""
    make((f'{APPS}/deployments', workload('Deployment', 'share', 2)),
         (BUDGETS, budget('share', 'share', maxUnavailable=1)))
    old = ready_pods('share', 2)[0]
    assert admin().ask('PATCH', f'{PODS}/{old["metadata"]["name"]}', detach(None, old), JSON_PATCH)[0] == 200
    ready_pods('share', 3)
    status = wait_until('the budget', lambda: (lambda s: s if s.get('currentHealthy') == 3 else None)(
        admin().get(f'{BUDGETS}/share')['status']))
    World.keep('budget-with-detached.json', {'status': 200, 'body': admin().get(f'{BUDGETS}/share')})
    assert status['disruptionsAllowed'] == 2 and status['expectedPods'] == 2, status
    admin().delete(f'{APPS}/deployments/share', {'propagationPolicy': 'Background'})
    admin().delete(f'{PODS}/{old["metadata"]["name"]}')


def test_denied():
    """What else may stop a request: a policy (422), the API server's own flow control (429 in plain text)."""
    pod = ready_pods('web', 3)[0]
    me, url, mine = sidecar_of(pod), f'{PODS}/{pod["metadata"]["name"]}/eviction', eviction(pod['metadata']['name'])
    policies = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic'
    rule = {'apiGroups': [''], 'apiVersions': ['v1'], 'operations': ['CREATE'], 'resources': ['pods/eviction']}
    make((policies + 'ies', {'metadata': {'name': 'no-eviction'}, 'spec': {
        'matchConstraints': {'resourceRules': [rule]},
        'validations': [{'expression': 'false', 'message': 'not today'}]}}),
         (policies + 'ybindings', {'metadata': {'name': 'no-eviction'}, 'spec': {'policyName': 'no-eviction',
                                                                                 'validationActions': ['Deny']}}))
    try: # a policy counts a moment after it was made
        wait_until('the policy', lambda: me.ask('POST', f'{url}?dryRun=All', mine)[0] == 422)
        expect(World.recorded('eviction-422-policy', me, 'POST', url, mine), 422, 'not today')
    finally:
        admin().delete(policies + 'ybindings/no-eviction')
        admin().delete(policies + 'ies/no-eviction')
    flow = '/apis/flowcontrol.apiserver.k8s.io/v1/'
    make((flow + 'prioritylevelconfigurations', {'metadata': {'name': 'closed'}, 'spec': {
        'type': 'Limited', 'limited': {'nominalConcurrencyShares': 0, 'lendablePercent': 0, 'borrowingLimitPercent': 0,
                                       'limitResponse': {'type': 'Reject'}}}}),
         (flow + 'flowschemas', {'metadata': {'name': 'closed'}, 'spec': {
             'priorityLevelConfiguration': {'name': 'closed'}, 'matchingPrecedence': 2, 'rules': [{
                 'subjects': [{'kind': 'ServiceAccount', 'serviceAccount': {'namespace': NS, 'name': 'plateau'}}],
                 'resourceRules': [{'verbs': ['*'], 'apiGroups': ['*'], 'resources': ['*'], 'namespaces': ['*']}]}]}}))
    try:
        # no seats of its own: one request at a time is let in all the same
        def ask(_):
            return World.recorded('throttled-429', me, 'GET', PODS, only=429)[0]
        with ThreadPoolExecutor(16) as pool:
            wait_until('a request too many', lambda: 429 in pool.map(ask, range(64)))
    finally:
        admin().delete(flow + 'flowschemas/closed')
        admin().delete(flow + 'prioritylevelconfigurations/closed')
    wait_until('it is served again', lambda: me.ask('GET', PODS)[0] == 200)


def resize(memory):
    return {'spec': {'containers': [{'name': 'main', 'resources': memory}]}}


def test_resize():
    """The limit of a running pod: raised, refused where the QoS class would change, refused by a LimitRange."""
    pod = ready_pods('web', 3)[0]
    name, me = pod['metadata']['name'], sidecar_of(pod)
    url, both = f'{PODS}/{name}/resize', {'requests': {'memory': '320Mi'}, 'limits': {'memory': '320Mi'}}
    assert pod['status']['qosClass'] == 'Guaranteed'
    answer = expect(World.recorded('resize-200', me, 'PATCH', url, resize(both), STRATEGIC), 200)
    assert answer['spec']['containers'][0]['resources']['limits']['memory'] == '320Mi'
    other = resize({'limits': {'memory': '400Mi'}})
    expect(World.recorded('resize-refused-qos', me, 'PATCH', url, other, STRATEGIC), 422, 'QOS|QoS')
    ranges = f'/api/v1/namespaces/{NS}/limitranges'
    huge = resize({'requests': {'memory': '100Gi'}, 'limits': {'memory': '100Gi'}})
    answer = expect(World.recorded('resize-refused-node', me, 'PATCH', url, huge, STRATEGIC), 403, 'allocatable')
    assert causes(answer) == ['NodeCapacity'], answer
    make((ranges, {'metadata': {'name': 'small'},
                   'spec': {'limits': [{'type': 'Container', 'max': {'memory': '384Mi'}}]}}))
    more = resize({'requests': {'memory': '512Mi'}, 'limits': {'memory': '512Mi'}})
    try: # the plugin's cache is a moment late
        answer = wait_until('the LimitRange to count', lambda: (lambda a: a if a[0] != 200 else None)(
            me.ask('PATCH', f'{url}?dryRun=All', more, STRATEGIC)))
        expect(World.recorded('resize-refused-limitrange', me, 'PATCH', url, more, STRATEGIC), 403, 'maximum memory')
    finally:
        admin().delete(f'{ranges}/small')


def test_event():
    """An Event about a pod, and its series."""
    pod = ready_pods('web', 3)[0]
    me, name = sidecar_of(pod), pod['metadata']['name']
    url = f'/apis/events.k8s.io/v1/namespaces/{NS}/events'
    event = {'apiVersion': 'events.k8s.io/v1', 'kind': 'Event', 'metadata': {'name': f'{name}.1', 'namespace': NS},
             'eventTime': '2026-01-01T00:00:00.000000Z', 'reportingController': 'plateau.dev/plateau',
             'reportingInstance': name, 'action': 'Rotate', 'reason': 'RotationStarted', 'type': 'Normal', 'note': 'x',
             'regarding': {'apiVersion': 'v1', 'kind': 'Pod', 'name': name, 'namespace': NS,
                           'uid': pod['metadata']['uid']}}
    expect(World.recorded('event-201', me, 'POST', url, event), 201)
    series = {'series': {'count': 2, 'lastObservedTime': '2026-01-01T00:01:00.000000Z'}}
    expect(World.recorded('event-series', me, 'PATCH', f'{url}/{name}.1', series, MERGE_PATCH), 200)
    event['metadata']['name'], event['note'] = f'{name}.2', 'x' * 1025
    expect(World.recorded('event-422-note', me, 'POST', url, event), 422, '1024')


def lines_of_watch(api, path, meanwhile=None, **query):
    """All lines of a watch, until the server ends it; what is done meanwhile begins once it is answered."""
    c = api.connect()
    c.request('GET', f'{path}?{urlencode({"watch": "1", **query})}', None, api.headers())
    r = c.getresponse()
    if meanwhile:
        meanwhile()
    lines = r.read().decode().splitlines()
    c.close()
    return r.status, lines


def come_and_go():
    make((PODS, {'metadata': {'name': 'short', 'labels': {'app': 'short'}}, 'spec': template('short')['spec']}))
    ready_pods('short', 1)
    admin().delete(f'{PODS}/short')
    wait_until('it is gone', lambda: not pods_of('short'))


@tap.deadline(120)
def test_watch():
    """A watch tells what came, changed and went, sends bookmarks, and says 410 when asked for what is forgotten."""
    me = sidecar_of(ready_pods('web', 3)[0])
    # a bookmark comes two seconds before the end
    version = me.get(f'{PODS}?limit=1')['metadata']['resourceVersion']
    status, lines = lines_of_watch(me, PODS, come_and_go, resourceVersion=version, allowWatchBookmarks='true',
                                   timeoutSeconds=8, labelSelector='app=short')
    kinds = [json.loads(line)['type'] for line in lines]
    World.keep('watch.jsonl', '\n'.join(lines) + '\n')
    assert status == 200 and kinds[0] == 'ADDED' and {'MODIFIED', 'DELETED', 'BOOKMARK'} <= set(kinds), kinds
    World.plane.restart('kube-apiserver') # it remembers changes from its start on
    status, lines = lines_of_watch(me, PODS, resourceVersion=1, timeoutSeconds=4)
    first = json.loads(lines[0])
    assert status == 200 and first['type'] == 'ERROR' and first['object']['code'] == 410, (status, lines[0][:200])
    World.keep('watch-410.jsonl', lines[0] + '\n')


def test_policies():
    """Both kinds of admission policy are served without a feature gate."""
    found = {r['name'] for r in admin().get('/apis/admissionregistration.k8s.io/v1')['resources']}
    expected = {'validatingadmissionpolicies', 'mutatingadmissionpolicies', 'mutatingadmissionpolicybindings'}
    assert expected <= found, found
    version = expect(World.recorded('version', admin(), 'GET', '/version'), 200)
    assert (version['major'], version['minor']) == ('1', '37'), version


def main():
    if '--record' in sys.argv:
        at = sys.argv.index('--record')
        World.record_to = sys.argv[at + 1]
        del sys.argv[at:at + 2]
        os.makedirs(World.record_to, exist_ok=True)
    try:
        with Plane() as World.plane, Hollow(World.plane) as World.node:
            tap.main(globals())
    except Skip as e:
        print(f'1..0 # SKIP {e}')


if __name__ == '__main__':
    main()
