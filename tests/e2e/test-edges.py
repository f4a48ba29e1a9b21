#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What may go wrong between a sidecar that rotates its pod and the API server, on a real control plane: see scene.py.

Where each edge case is tested (all with plateaud itself, the API server, its controllers and policies):
  sidecar killed in each state, emptyDir or annotation lost                     killed, killed_forgetful
  API refused, hanging, away for long; in each state                            away, away_for_long
  403 halfway, in each state                                                    forbidden
  409 (others write the pod), 410, 429 of both kinds, 500, 504, no JSON         odd_answers
  an answer that is lost                                                        odd_answers
  a webhook or policy denies detachment, eviction                               denied
  token expired, CA rotated                                                     token_and_ca
  rolled, scaled to zero, paused, deleted, namespace terminating while detached test-edges-owner: workload
  replacement Pending, not to be made (quota), leaks at once                    test-edges-owner: replacement
  growth stops, main restarted, pod deleted by others, spike                    test-edges-owner: need
  holder gone, holder paused, two sidecars of a pod, a slow drain               test-edges-owner: others
  orphan of a lost node                                                         test-edges-owner: others; test-reap
  a fleet armed together; sidecars killed and paused at random                  test-storm
  budgets, two budgets, limit changed by resize                                 test-strategies
  a stale lastState.OOMKilled                                                   nothing reads it
"""
import base64
import json
import os
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'integration'))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap # pylint: disable=wrong-import-position
from faults import answer, anything, detaches, evicts, hang, lost, mute, patches # pylint: disable=wrong-import-position
from fleet import main as fleet_main # pylint: disable=wrong-import-position
from kubelet import write_file # pylint: disable=wrong-import-position
from scene import STATES, Scene, Stage, time, together # pylint: disable=wrong-import-position

DETACHED = ('surging_done', 'wait_ready', 'unready', 'draining', 'terminating')


class World:
    """What all tests share."""
    stage = None


# ---- the sidecar is killed ----

def killed(state, *lose):
    with Scene(World.stage, f'killed-{state}') as s:
        with s.at(state):
            s.kill(*lose)
        s.ends_well()
        assert s.pod.container('app').restarts == 0


@tap.deadline(300)
def test_killed():
    """A sidecar killed in any state goes on when it is started again: one replacement, no orphan."""
    together(killed, [(state,) for state in STATES])


@tap.deadline(300)
def test_killed_forgetful():
    """Also without its emptyDir, without its annotation, without both."""
    together(killed, [(s, 'file') for s in STATES] + [(s, 'annotation') for s in DETACHED] +
             [(s, 'file', 'annotation') for s in DETACHED])


# ---- the API is away ----

def away(state, how, deadline_s=120):
    """Until the sidecar says so, then it is back."""
    with Scene(World.stage, f'away-{state}') as s:
        with s.at(state):
            before, begin = len(s.told('kube.no_api')), time.monotonic()
            fault = s.faults.add(anything, hang) if how == 'hangs' else s.faults.refuse()
        s.wait(f'{s.victim} says so', lambda: len(s.told('kube.no_api')) > before, 90)
        took = time.monotonic() - begin
        asked = len(s.faults.of(s.victim, since=begin))
        if how == 'hangs':
            s.faults.remove(fault)
        else:
            s.faults.listen()
        s.ends_well(deadline_s=deadline_s)
        assert s.pod.container('app').restarts == 0
        assert asked <= 15 + took, (asked, took)


@tap.deadline(400)
def test_away():
    """The API server refuses connections, or hangs, in any state: the rotation goes on when it is back."""
    together(away, [(state, how) for how in ('hangs', 'refuses') for state in STATES])


def away_for_long(state):
    """Longer than the state may last: main is restarted in place, once; what was detached is taken back."""
    with Scene(World.stage, f'long-{state}', ttl='180s') as s:
        with s.at(state):
            s.faults.refuse()
            s.wait_history('signalled', 120)
        s.wait('main is started again', lambda: s.pod.container('app').restarts == 1)
        s.faults.listen()
        if state == 'terminating':
            s.ends_well()
            return
        s.wait('it is over', lambda: s.state() == 'normal' or not s.object())
        s.is_whole(replacements=0 if state == 'surging' else 1) # who of the two stays is the ReplicaSet's choice
        assert s.pod.container('app').restarts == 1
        assert state != 'surging' or s.object()


@tap.deadline(300)
def test_away_for_long():
    """And when it is away for minutes, main is restarted in place, and nothing is left of the rotation."""
    together(away_for_long, [('surging',), ('surging_done',), ('terminating',)])


# ---- it is forbidden ----

def forbidden(state):
    with Scene(World.stage, f'forbidden-{state}', ttl='30s') as s:
        with s.at(state):
            bindings = s.forbid()
            s.wait('it is not allowed any more', lambda: World.stage.plane.as_token(s.token()).ask(
                'GET', s.path('pods', s.victim))[0] == 403)
        s.wait('main is started again', lambda: s.pod.container('app').restarts == 1, 120)
        begin = time.monotonic()
        s.wait('it rests', lambda: time.monotonic() > begin + 30, 40) # a loop would show
        asked = s.faults.of(s.victim, since=begin)
        assert s.pod.container('app').restarts == 1, s.history()
        assert len(asked) <= 40, (len(asked), asked)
        s.allow(bindings)
        s.wait('it is over', lambda: s.state() == 'normal' or not s.object(), 150)
        s.is_whole(len(s.seen) - 1)
        assert len(s.seen) <= 2 and s.pod.container('app').restarts <= 1, s.seen


@tap.deadline(400)
def test_forbidden():
    """All rights go in the middle: main is restarted in place once, nothing is asked over and over; they come back, it ends."""
    together(forbidden, [(state,) for state in STATES])


# ---- odd answers ----

def odd(name, when, do, times, most=None):
    with Scene(World.stage, f'odd-{name}') as s:
        fault = s.faults.add(when, do, pod=s.victim, times=times)
        s.start()
        fault.wait(1, 90)
        s.ends_well()
        assert s.pod.container('app').restarts == 0
        asked = s.faults.of(s.victim, when)
        assert most is None or len(asked) <= most, [(r.time, r) for r in asked]


def writers():
    """Somebody else writes the pod all the time."""
    with Scene(World.stage, 'writers') as s:
        ending = threading.Event()

        def write():
            n = 0
            while not ending.wait(0.02):
                n += 1
                s.api.ask('PATCH', s.path('pods', s.victim), {'metadata': {'annotations': {'example.com/n': str(n)}}},
                          'application/merge-patch+json')
        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        try:
            s.start()
            s.ends_well()
        finally:
            ending.set()
            thread.join(10)


@tap.deadline(300)
def test_odd_answers():
    """409, 410, 429, 500, 504 and answers that are lost, a few times each: it goes on, and asks no more than it must."""
    budget = answer(429, 'TooManyRequests', causes=[{'reason': 'DisruptionBudget', 'message': 'by the test'}])
    busy = answer(429, 'TooManyRequests', headers={'Retry-After': '2'}, retryAfterSeconds=2)
    reads = lambda r: r.method == 'GET' # pylint: disable=unnecessary-lambda-assignment
    cases = [('conflict', patches, answer(409, 'Conflict'), 2), ('gone', reads, answer(410, 'Expired'), 3),
             ('busy', anything, busy, 4), ('error', anything, answer(500, 'InternalError'), 4),
             ('late', evicts, answer(504, 'Timeout', retryAfterSeconds=1), 2), ('budget', evicts, budget, 2),
             ('lost-evict', evicts, lost, 1), ('lost-detach', detaches, mute, 1, 1), # that it was done can be seen
             ('no-json', reads, lambda *_: (200, {}, b'<html>'), 3)]
    together(lambda f, *a: f(*a), [(odd, *c) for c in cases] + [(writers,)])


# ---- admission denies ----

def policy(s, operation, resource, expression):
    """A ValidatingAdmissionPolicy of the namespace's owner, against sidecars."""
    name = f'{s.namespace}-denies'
    base = '/apis/admissionregistration.k8s.io/v1'
    s.api.post(f'{base}/validatingadmissionpolicies', {'metadata': {'name': name}, 'spec': {
        'matchConstraints': {'namespaceSelector': {'matchLabels': {'kubernetes.io/metadata.name': s.namespace}},
                             'resourceRules': [{'apiGroups': [''], 'apiVersions': ['v1'], 'operations': [operation],
                                                'resources': [resource]}]},
        'matchConditions': [{'name': 'sidecar', 'expression': "request.userInfo.username.endsWith(':plateau')"}],
        'validations': [{'expression': expression, 'message': 'not here'}]}})
    s.api.post(f'{base}/validatingadmissionpolicybindings', {'metadata': {'name': name}, 'spec': {
        'policyName': name, 'validationActions': ['Deny']}})
    return lambda: [s.api.delete(f'{base}/{kind}/{name}') for kind in
                    ('validatingadmissionpolicybindings', 'validatingadmissionpolicies')]


def denied(what):
    with Scene(World.stage, f'denied-{what}') as s:
        if what == 'detach':
            policy(s, 'UPDATE', 'pods', "has(object.metadata.labels) && 'pod-template-hash' in object.metadata.labels")
            probe = ('PATCH', f'{s.path("pods", s.victim)}?dryRun=All', {'metadata': {'labels': {'pod-template-hash': None}}},
                     'application/merge-patch+json')
        else:
            remove = policy(s, 'CREATE', 'pods/eviction', 'false')
            probe = ('POST', f'{s.path("pods", s.victim, "eviction")}?dryRun=All', {
                'apiVersion': 'policy/v1', 'kind': 'Eviction', 'metadata': {'name': s.victim}})
        me = World.stage.plane.as_token(s.token())
        s.wait('the policy is in force', lambda: me.ask(*probe)[0] == 422)
        s.start()
        if what == 'detach':
            s.ends_well()
            assert ('unready', 'refused') in s.history(), s.history()
            return
        s.wait_history('signalled', 90)
        s.wait('main is started again', lambda: s.pod.container('app').restarts == 1)
        begin = time.monotonic()
        s.wait('it rests', lambda: time.monotonic() > begin + 20, 30)
        assert len(s.faults.of(s.victim, evicts)) <= 12 and s.pod.container('app').restarts == 1, s.history()
        remove()
        s.ends_well(deadline_s=150)


@tap.deadline(300)
def test_denied():
    """A policy denies the detachment: evicted instead; the eviction: main is restarted once, and it goes when it may."""
    together(denied, [('detach',), ('evict',)])


# ---- token and CA ----

def expired(token, key):
    """The same, of two hours ago, with the server's signature. (It makes those of 3607 s valid for a year.)"""
    part = lambda data: base64.urlsafe_b64encode(data).rstrip(b'=') # pylint: disable=unnecessary-lambda-assignment
    head, claims, _ = token.split('.')
    claims = json.loads(base64.urlsafe_b64decode(claims + '=='))
    claims.update(iat=claims['iat'] - 7200, nbf=claims['nbf'] - 7200, exp=claims['iat'] - 3600)
    text = head.encode() + b'.' + part(json.dumps(claims).encode())
    der = subprocess.run(['openssl', 'dgst', '-sha256', '-sign', key], input=text, stdout=subprocess.PIPE, check=True).stdout
    raw, at = b'', 2
    for _ in range(2): # two integers, DER
        n = der[at + 1]
        raw += der[at + 2:at + 2 + n].lstrip(b'\0').rjust(32, b'\0')
        at += 2 + n
    return (text + b'.' + part(raw)).decode()


def stale_token(state):
    with Scene(World.stage, f'token-{state}') as s:
        good = s.token()
        with s.at(state):
            s.faults.tokens[good] = expired(good, World.stage.plane.path('sa.key')) # its time is over
            begin, before = time.monotonic(), len(s.told('kube.no_api'))
        s.wait(f'{s.victim} says so', lambda: len(s.told('kube.no_api')) > before, 90)
        refused = [r for r in s.faults.of(s.victim, since=begin) if r.status == 401]
        took = time.monotonic() - begin
        assert refused and len(refused) <= 15 + took, (len(refused), took)
        write_file(os.path.join(s.pod.volume('plateau-token'), 'token'), s.token(new=True))
        s.ends_well()
        assert s.pod.container('app').restarts == 0


def new_ca(state):
    with Scene(World.stage, f'ca-{state}') as s, tempfile.TemporaryDirectory() as folder:
        at = lambda name: os.path.join(folder, name) # pylint: disable=unnecessary-lambda-assignment
        for args in (['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=another',
                      '-days', '2', '-keyout', at('ca.key'), '-out', at('ca.crt')],
                     ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=kube-apiserver',
                      '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', at('s.key'), '-out', at('s.csr')],
                     ['x509', '-req', '-in', at('s.csr'), '-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial',
                      '-copy_extensions', 'copy', '-days', '2', '-out', at('s.crt')]):
            subprocess.run(['openssl', *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with s.at(state):
            before = len(s.told('kube.no_api'))
            s.faults.refuse()
            s.faults.show_certificate(at('s.crt'), at('s.key'))
            s.faults.listen()
        s.wait(f'{s.victim} trusts nobody', lambda: len(s.told('kube.no_api')) > before, 90)
        assert s.faults.broken
        with open(at('ca.crt'), encoding='ascii') as f:
            text = f.read()
        for pod in s.kubelet.running():
            if pod.namespace == s.namespace:
                write_file(os.path.join(pod.volume('plateau-token'), 'ca.crt'), text)
        s.ends_well()


@tap.deadline(300)
def test_token_and_ca():
    """An expired token, a CA that was replaced: it waits, asks rarely, and goes on with the new one."""
    together(lambda f, *a: f(*a), [(stale_token, 'wait_ready'), (stale_token, 'terminating'), (stale_token, 'lease_wait'),
                                   (new_ca, 'wait_ready'), (new_ca, 'draining')])


def main():
    with Stage() as World.stage:
        tap.main(globals())


if __name__ == '__main__':
    fleet_main(main)
