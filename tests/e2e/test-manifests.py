#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""deploy/ against a real API server: every manifest, and what each policy allows and denies.

The ServiceAccount's tokens are real and bound to their pods. Pods never run: there is no kubelet here.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import yaml

ROOT = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(ROOT / 'tests' / 'integration'))
sys.path.insert(1, str(ROOT / 'tests' / 'e2e'))
import plane
import tap

KUSTOMIZE = ROOT / 'deploy' / 'kustomize'
api = None
tokens = {}


def server():
    global api
    if not api:
        api = plane.Plane(controllers=())
        api.kubectl('create', 'namespace', 'pusher')
        install()
    return api


def apply(*documents):
    api.kubectl('apply', '-f', '-', stdin=json.dumps({'apiVersion': 'v1', 'kind': 'List', 'items': documents}))


def render(folder):
    return api.kubectl('kustomize', str(KUSTOMIZE / folder))


def pod(name, **more):
    labels = {'app': 'pusher', 'pod-template-hash': 'abc', **more.pop('labels', {})}
    spec = {'containers': [{'name': 'pusher', 'image': 'pusher:1', 'resources': {'limits': {'memory': '64Mi', 'cpu': '1'}}}],
            'serviceAccountName': 'plateau', 'automountServiceAccountToken': False, **more.pop('spec', {})}
    return {'apiVersion': 'v1', 'kind': 'Pod', 'spec': spec,
            'metadata': {'name': name, 'namespace': 'pusher', 'labels': labels, **more}}


def expired(name, when, label='detached'):
    return pod(name, labels={'plateau.dev/rotation': label}, annotations={'plateau.dev/deadline': when})


def install():
    """Policies, all rights there are, and pods to act on."""
    for folder in ('policy', 'injection'):
        api.kubectl('apply', '-f', '-', stdin=render(folder))
    for folder in ('rbac/t3-resize', 'rbac/extras/reap', 'rbac/extras/readiness-gate'):
        rights = render(folder).replace('namespace: default', 'namespace: pusher')
        api.kubectl('apply', '-n', 'pusher', '-f', '-', stdin=rights)
    api.kubectl('apply', '-n', 'pusher', '-f', '-',
           stdin=(KUSTOMIZE / 'example' / 'slots.yaml').read_text().replace('namespace: default', 'namespace: pusher'))
    # kubectl reads before it patches; the sidecar does not, and has no such right
    api.kubectl('create', 'role', 'reads', '-n', 'pusher', '--verb=get', '--resource=pods/status,pods/resize')
    api.kubectl('create', 'rolebinding', 'reads', '-n', 'pusher', '--role=reads', '--serviceaccount=pusher:plateau')
    apply({'apiVersion': 'v1', 'kind': 'ServiceAccount', 'metadata': {'name': 'default', 'namespace': 'pusher'}},
              pod('own'), pod('other'), expired('over', '2026-01-01T00:00:00Z'), expired('later', '2999-01-01T00:00:00Z'),
              expired('serving', '2026-01-01T00:00:00Z', 'evicting'),
              expired('odd', 'yesterday'))
    apply({'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': {'name': 'strict', 'labels': {
        'pod-security.kubernetes.io/enforce': 'restricted'}}},
              *({'apiVersion': 'v1', 'kind': 'ServiceAccount', 'metadata': {'name': n, 'namespace': 'strict'}}
                for n in ('default', 'plateau')))
    uid = json.loads(api.kubectl('get', 'pod', 'own', '-n', 'pusher', '-o', 'json'))['metadata']['uid']
    tokens['own'] = api.kubectl('create', 'token', 'plateau', '-n', 'pusher', '--bound-object-kind', 'Pod',
                           '--bound-object-name', 'own', '--bound-object-uid', uid).strip()
    tokens['unbound'] = api.kubectl('create', 'token', 'plateau', '-n', 'pusher').strip()
    end = time.monotonic() + 60
    while try_patch('other', {'metadata': {'labels': {'plateau.dev/x': 'y'}}}).returncode == 0: # until policies are seen
        assert time.monotonic() < end, 'the policies take no effect'
        time.sleep(0.2)


def as_sidecar(*args, token='own', stdin=None):
    return api.kubectl('-n', 'pusher', *args, token=tokens[token], stdin=stdin, check=False)


def try_patch(name, patch, *more, kind='pod', token='own', how='merge'):
    return as_sidecar('patch', kind, name, '--type', how, '-p', json.dumps(patch), '--dry-run=server', *more, token=token)


def allowed(result):
    assert result.returncode == 0, result.stderr


def denied(result, *texts):
    """By a policy that says one of these: where two deny, the server tells one of them."""
    assert result.returncode and any(t in result.stderr for t in texts), (result.returncode, result.stdout, result.stderr)


def evict(name, token='own'):
    body = {'apiVersion': 'policy/v1', 'kind': 'Eviction', 'metadata': {'name': name}, 'deleteOptions': {'dryRun': ['All']}}
    return as_sidecar('create', '--raw', f'/api/v1/namespaces/pusher/pods/{name}/eviction', '-f', '-', token=token,
                      stdin=json.dumps(body))


@tap.deadline(300)
def test_dry_run():
    """Every folder of deploy/kustomize passes a dry run on the server"""
    server()
    for folder in ('rbac/t0', 'rbac/t1-evict', 'rbac/t2-detach', 'rbac/t3-resize', 'rbac/extras/reap', 'policy', 'injection',
                   'rbac/extras/services', 'rbac/extras/rollout', 'rbac/extras/readiness-gate', 'example'):
        api.kubectl('apply', '--dry-run=server', '-f', '-', stdin=render(folder))


def test_types():
    """The server's type checker has no warning about a policy"""
    server()
    for kind in ('validatingadmissionpolicies', 'mutatingadmissionpolicies'):
        for item in json.loads(api.kubectl('get', kind, '-o', 'json'))['items']:
            assert 'expressionWarnings' not in json.dumps(item.get('status', {})), item['status']


def test_own():
    """A sidecar may detach, annotate, evict, resize and gate its own pod"""
    server()
    allowed(try_patch('own', [{'op': 'test', 'path': '/metadata/labels/pod-template-hash', 'value': 'abc'},
                              {'op': 'remove', 'path': '/metadata/labels/pod-template-hash'},
                              {'op': 'add', 'path': '/metadata/labels/plateau.dev~1rotation', 'value': 'detached'},
                              {'op': 'add', 'path': '/metadata/annotations/plateau.dev~1state', 'value': '{}'},
                              {'op': 'add', 'path': '/metadata/ownerReferences', 'value': [
                                  {'apiVersion': 'apps/v1', 'kind': 'Deployment', 'name': 'pusher', 'uid': 'u'}]}],
                      how='json'))
    allowed(evict('own'))
    allowed(try_patch('own', {'spec': {'containers': [{'name': 'pusher', 'resources': {
        'limits': {'memory': '80Mi'}, 'requests': {'memory': '80Mi'}}}]}}, '--subresource=resize', how='strategic'))
    allowed(try_patch('own', {'status': {'conditions': [{'type': 'plateau.dev/ready', 'status': 'True'}]}},
                      '--subresource=status', how='strategic'))


def test_others():
    """and none of that to another pod, nor with a token that is bound to none"""
    server()
    for name, token in (('other', 'own'), ('own', 'unbound')):
        denied(try_patch(name, {'metadata': {'labels': {'plateau.dev/x': 'y'}}}, token=token), 'its own pod only')
        denied(evict(name, token), 'its own pod only')
        denied(try_patch(name, {'status': {'conditions': [{'type': 'plateau.dev/ready', 'status': 'True'}]}},
                         '--subresource=status', how='strategic', token=token), 'its own pod only')
        denied(try_patch(name, {'spec': {'containers': [{'name': 'pusher', 'resources': {
            'limits': {'memory': '80Mi'}, 'requests': {'memory': '80Mi'}}}]}},
                         '--subresource=resize', how='strategic', token=token), 'its own pod only')


def test_fields():
    """Of its own pod it may change no other label, annotation, owner, finalizer, image or condition"""
    server()
    denied(try_patch('own', {'metadata': {'labels': {'app': 'x'}}}), 'labels')
    denied(try_patch('own', {'metadata': {'labels': {'app': None}}}), 'labels')
    denied(try_patch('own', {'metadata': {'annotations': {'a': 'x'}}}), 'annotations')
    denied(try_patch('own', {'metadata': {'finalizers': ['a.example/b']}}), 'finalizers')
    denied(try_patch('own', {'metadata': {'ownerReferences': [
        {'apiVersion': 'apps/v1', 'kind': 'ReplicaSet', 'name': 'x', 'uid': 'u', 'controller': True}]}}), 'owner')
    denied(try_patch('own', {'spec': {'containers': [{'name': 'pusher', 'image': 'x'}]}}, how='strategic'), 'the spec')
    denied(try_patch('own', {'status': {'phase': 'Failed'}}, '--subresource=status'), 'conditions')
    denied(try_patch('own', {'status': {'conditions': [{'type': 'Ready', 'status': 'True'}]}}, '--subresource=status',
                     how='strategic'), 'conditions')
    denied(try_patch('own', {'metadata': {'labels': {'app': 'x'}}}, '--subresource=status'), 'labels')


def lead(renewed):
    """The control plane's clock: what kube-controller-manager, which does not run here, would write."""
    apply({'apiVersion': 'coordination.k8s.io/v1', 'kind': 'Lease', 'spec': {'renewTime': renewed},
               'metadata': {'name': 'kube-controller-manager', 'namespace': 'kube-system'}})


def delete(name, token='own'):
    return as_sidecar('delete', 'pod', name, '--dry-run=server', token=token)


def test_reap():
    """Another pod may be deleted when it is detached and its deadline is over, by the control plane's clock"""
    server()
    lead('2026-02-01T00:00:00.000000Z')
    end = time.monotonic() + 30
    while delete('over').returncode: # until the policy has seen the lease
        assert time.monotonic() < end, delete('over').stderr
        time.sleep(0.2)
    allowed(delete('own'))
    denied(delete('later'), 'deadline')
    denied(delete('serving'), 'detached')
    denied(delete('other'), 'detached', 'deadline')
    denied(delete('odd'), 'timestamp')
    denied(delete('over', 'unbound'), 'only when they are detached')


def test_slots():
    """A slot's spec and annotations of ours may be written, its other metadata not, and no other lease at all"""
    server()
    allowed(try_patch('plateau-pusher-0', {'spec': {'holderIdentity': 'own'}}, kind='lease'))
    allowed(try_patch('plateau-pusher-0', {'metadata': {'annotations': {'plateau.dev/waiting': '{}'}}}, kind='lease'))
    denied(try_patch('plateau-pusher-0', {'metadata': {'annotations': {'a.example/b': 'c'}}}, kind='lease'), 'the spec')
    denied(try_patch('plateau-pusher-0', {'metadata': {'labels': {'a': 'b'}}}, kind='lease'), 'the spec')
    denied(try_patch('plateau-pusher-7', {'spec': {'holderIdentity': 'own'}}, kind='lease'), 'forbidden')
    denied(as_sidecar('delete', 'lease', 'plateau-pusher-0', '--dry-run=server'), 'forbidden')


def made(document):
    return json.loads(api.kubectl('create', '--dry-run=server', '-o', 'json', '-f', '-', stdin=json.dumps(document)))


def test_injection():
    """A labelled pod gets what the kustomize component gives it; twice changes nothing; without the label neither"""
    server()
    got = made(pod('new', labels={'plateau.dev/inject': 'true'}, spec={'securityContext': {'runAsUser': 1000}}))
    sidecar = got['spec']['initContainers'][0]
    assert got['spec']['shareProcessNamespace'] and sidecar['restartPolicy'] == 'Always', got['spec']
    assert 'runAsUser' not in sidecar['securityContext'], sidecar
    assert {v['name'] for v in got['spec']['volumes']} == {'plateau-config', 'plateau-state', 'plateau-token'}
    deployment = next(json.loads(d) for d in api.kubectl(
        'apply', '--dry-run=server', '-f', '-', '-o', 'jsonpath={range .items[*]}{@}{"\\n"}{end}',
        stdin=render('example')).splitlines() if '"kind":"Deployment"' in d)
    template = deployment['spec']['template']['spec']
    same = [c['env'].sort(key=lambda e: e['name']) or c for c in (sidecar, template['initContainers'][0])]
    for c in same: # by annotation there, by value here
        c['env'] = [e for e in c['env'] if e['name'] != 'PLATEAU_CONTAINER']
    assert same[0] == same[1], same
    assert sorted(map(json.dumps, got['spec']['volumes'])) == sorted(map(json.dumps, template['volumes']))
    again = pod('new', labels={'plateau.dev/inject': 'true'}, spec=got['spec'])
    assert len(made(again)['spec']['initContainers']) == 1
    assert 'initContainers' not in made(pod('new'))['spec']
    asked = made(pod('new', labels={'plateau.dev/inject': 'true'}, annotations={
        'plateau.dev/run-as-user': '4711', 'plateau.dev/container': 'pusher'}))['spec']['initContainers'][0]
    assert asked['securityContext']['runAsUser'] == 4711


def test_restricted():
    """By same uid a pod passes Pod Security restricted; by SYS_PTRACE it does not"""
    server()
    strict = pod('new', labels={'plateau.dev/inject': 'true'}, spec={'securityContext': {
        'runAsUser': 1000, 'runAsNonRoot': True, 'seccompProfile': {'type': 'RuntimeDefault'}}})
    strict['metadata']['namespace'] = 'strict'
    strict['spec']['containers'][0]['securityContext'] = {
        'allowPrivilegeEscalation': False, 'capabilities': {'drop': ['ALL']}}
    whole = made(strict)
    whole['spec']['initContainers'][0]['securityContext']['capabilities']['add'] = ['SYS_PTRACE']
    r = api.kubectl('create', '--dry-run=server', '-f', '-', stdin=json.dumps({**strict, 'spec': whole['spec']}),
                    check=False)
    assert r.returncode and 'SYS_PTRACE' in r.stderr, r.stderr


def test_triage():
    """The one line of deploy/README.md puts an ephemeral container beside a running main container"""
    server()
    api.kubectl('debug', 'own', '-n', 'pusher', '--image=plateau:0.1.0', '--target=pusher', '--profile=restricted', '--',
           'plateau', 'explain', '1')
    api.kubectl('debug', 'other', '-n', 'pusher', '--image=plateau:0.1.0-filecap', '--target=pusher', '--profile=general', '--',
           'plateau', 'explain', '1')
    for name, capabilities in (('own', {'drop': ['ALL']}), ('other', {'add': ['SYS_PTRACE']})):
        made_one = json.loads(api.kubectl('get', 'pod', name, '-n', 'pusher', '-o', 'json'))['spec']['ephemeralContainers'][0]
        assert made_one['targetContainerName'] == 'pusher', made_one
        assert made_one['securityContext']['capabilities'] == capabilities, made_one


def workload(kind, name, **labels):
    """Of the example, as another kind with more labels."""
    w, *_ = yaml.safe_load_all((KUSTOMIZE / 'example' / 'workload.yaml').read_text())
    w.update(kind=kind)
    w['metadata'].update(name=name, labels={**w['metadata']['labels'], **labels})
    for key in ('replicas', 'strategy') if kind != 'Deployment' else ():
        del w['spec'][key]
    if kind == 'StatefulSet':
        w['spec']['serviceName'] = name
    return w


def made_with(components, **labels):
    """{kind: object} as the server takes it (dry run) of one workload of each kind."""
    with tempfile.TemporaryDirectory(prefix='plateau-kustomize-') as folder:
        kinds = ('Deployment', 'StatefulSet', 'DaemonSet')
        (pathlib.Path(folder) / 'objects.yaml').write_text(yaml.safe_dump_all(
            [workload(k, k.lower(), **labels) for k in kinds]))
        (pathlib.Path(folder) / 'kustomization.yaml').write_text(yaml.safe_dump({
            'namespace': 'pusher', 'resources': ['objects.yaml'],
            'components': [os.path.relpath(ROOT / 'deploy' / c, os.path.realpath(folder)) for c in components]}))
        text = api.kubectl('kustomize', folder)
    items = json.loads(api.kubectl('apply', '--dry-run=server', '-o', 'json', '-f', '-', stdin=text))['items']
    assert len(items) == len(kinds), text
    return {i['kind']: i['spec']['template'] for i in items}


def in_strict_namespace(template):
    """The pod that a controller would make of it, where Pod Security restricted is enforced."""
    body = {'apiVersion': 'v1', 'kind': 'Pod', 'spec': template['spec'],
            'metadata': {**template['metadata'], 'name': 'made', 'namespace': 'strict'}}
    return api.kubectl('create', '--dry-run=server', '-o', 'json', '-f', '-', stdin=json.dumps(body), check=False)


@tap.deadline(120)
def test_overlays():
    """Each overlay puts its sidecar into each kind of workload; only by same uid restricted namespaces take the pod"""
    server()
    want = {'same-uid': (None, None, False), 'sys-ptrace': (0, ['SYS_PTRACE'], False),
            'sys-ptrace-filecap': (65532, ['SYS_PTRACE'], True)}
    for overlay, (user, add, escalates) in want.items():
        for old in (False, True):
            components = ['kustomize/overlays/' + overlay] + ['kustomize/overlays/pre-1.29'] * old
            for kind, template in made_with(components).items():
                spec = template['spec']
                sidecar = spec['containers'][-1] if old else spec['initContainers'][0]
                assert sidecar['name'] == 'plateau' and ('restartPolicy' in sidecar) != old, (overlay, kind, sidecar)
                security = sidecar['securityContext']
                assert security.get('runAsUser') == user and security['capabilities'].get('add') == add, (overlay, security)
                assert security['allowPrivilegeEscalation'] == escalates, (overlay, security)
                assert sidecar['resources']['requests'] == sidecar['resources']['limits'], sidecar
                assert ('-filecap' in sidecar['image']) == escalates, sidecar['image']
            assert (in_strict_namespace(template).returncode == 0) == (overlay == 'same-uid'), overlay


@tap.deadline(120)
def test_cure():
    """Each component of deploy/cure, also by copy, beside the sidecar: the server takes it, restricted namespaces too"""
    server()
    preloads = {'jemalloc': 'libjemalloc.so.2', 'tcmalloc': 'libtcmalloc_minimal.so.4', 'mimalloc': 'libmimalloc.so.2'}
    for cure in (*preloads, 'arena-max', 'mmap-threshold'):
        want = next(iter(yaml.safe_load_all((ROOT / 'deploy' / 'cure' / cure / 'values.yaml').read_text())))
        want = {e['name']: e['value'] for e in want['template']['spec']['containers'][0]['env']}
        for copied in (False, True) if cure in preloads else (False,):
            components = ['kustomize/overlays/same-uid', 'cure/' + cure] + ['cure/copied'] * copied
            labels = {'plateau.dev/cure': cure, **({'plateau.dev/cure-library': 'copied'} if copied else {})}
            for kind, template in made_with(components, **labels).items():
                spec = template['spec']
                got = {e['name']: e.get('value') for e in spec['containers'][0]['env']}
                if cure in preloads:
                    library = got.pop('LD_PRELOAD').rstrip(':')
                    assert library == ('/plateau-cure/' if copied else '') + preloads[cure], (cure, library)
                assert got == {k: v for k, v in want.items() if k != 'LD_PRELOAD'}, (cure, kind, got)
                names = [c['name'] for c in spec['initContainers']]
                assert sorted(names) == ['plateau'] + ['plateau-cure'] * copied, names
                sidecar = spec['initContainers'][names.index('plateau')]
                assert not {'LD_PRELOAD', *want} & {e['name'] for e in sidecar['env']}, sidecar['env']
            r = in_strict_namespace(template)
            assert r.returncode == 0, (cure, r.stderr)


def documented(text):
    """The commands in the text: lines of its sh blocks, and what stands in backticks."""
    blocks = re.findall(r'^ *```sh\n(.*?)^ *```', text, re.M | re.S)
    rest = re.sub(r'^ *```.*?^ *```', '', text, flags=re.M | re.S)
    found = [line.split('  #')[0].strip() for b in blocks for line in b.splitlines()] + re.findall(r'`([^`]+)`', rest)
    return [c for c in found if re.match(r'(kubectl|helm) [a-z]', c)]


@tap.deadline(120)
def test_documented():
    """Each kubectl and helm command of deploy/README.md does what it says, but for those that need a kubelet"""
    server()
    commands = documented((ROOT / 'deploy' / 'README.md').read_text())
    assert len(commands) >= 6, commands
    for command in commands:
        if ' exec ' in command or ' debug ' in command or command == 'kubectl drain': # test_triage has debug
            continue
        line = command
        if command.startswith('helm '): # the server was built without its version, which the chart asks for
            line = command.replace('install', 'template') + (' -n pusher --kube-version 1.37.0 | '
                                                             'kubectl apply -n pusher --dry-run=server -f -')
        r = subprocess.run(['sh', '-c', line], cwd=ROOT / 'deploy', env=api.environment(), capture_output=True, text=True)
        assert r.returncode == 0 and r.stdout, (command, r.stdout, r.stderr)
        print(f'# {command}: {r.stdout.splitlines()[-1]}')


@tap.deadline(120)
def test_helm():
    """The chart makes the objects that kustomize makes"""
    server()
    helm = pathlib.Path(plane.binaries()) / 'helm'
    helm = str(helm) if helm.exists() else shutil.which('helm')
    if not helm:
        raise tap.Skip('no helm')
    chart = helm_template(helm, '-n', 'pusher', '--set', 'tier=t3-resize,extras={reap,services},policy.enabled=true',
                          '--set', 'injection.enabled=true,workloads[0].name=pusher,workloads[0].slots=2')
    assert chart.returncode == 0, chart.stderr
    parts = ['rbac/t3-resize', 'rbac/extras/reap', 'rbac/extras/services', 'policy', 'injection']
    texts = [render(p) for p in parts] + [(KUSTOMIZE / 'example' / 'slots.yaml').read_text()]
    theirs = objects(chart.stdout)
    ours = {k: v for t in texts for k, v in objects(t).items()}
    assert theirs.keys() == ours.keys(), theirs.keys() ^ ours.keys()
    for key, value in ours.items():
        assert theirs[key] == value, (key, theirs[key], value)
    wrong = helm_template(helm, '--set', 'tier=t9')
    assert wrong.returncode and 'tier' in wrong.stderr, wrong.stderr
    embedded(helm)


def helm_template(helm, *args, chart=ROOT / 'deploy' / 'helm' / 'plateau'):
    return subprocess.run([helm, 'template', 'x', str(chart), '--kube-version', '1.37.0', *args], capture_output=True,
                          text=True)


def embedded(helm):
    """The named templates, as a chart that embeds them has them, against the kustomize component."""
    with tempfile.TemporaryDirectory(prefix='plateau-chart-') as folder:
        chart = pathlib.Path(folder) / 'plateau'
        shutil.copytree(ROOT / 'deploy' / 'helm' / 'plateau', chart)
        (chart / 'templates' / 'embedded.yaml').write_text(
            'kind: Embedded\nmetadata: {name: x}\ncontainers:\n{{ include "plateau.sidecar" (dict) }}\n'
            'volumes:\n{{ include "plateau.volumes" . }}\n')
        r = helm_template(helm, '-s', 'templates/embedded.yaml', chart=chart)
        assert r.returncode == 0, r.stderr
        got = yaml.safe_load(r.stdout)
    want = yaml.safe_load((KUSTOMIZE / 'base' / 'sidecar.yaml').read_text())['spec']['template']['spec']
    assert got['containers'] == want['initContainers'], (got['containers'], want['initContainers'])
    assert got['volumes'] == want['volumes'], got['volumes']


def objects(text):
    """{kind/name: object} of YAML, less where it is."""
    out = {}
    for o in yaml.safe_load_all(text):
        if not o:
            continue
        o['metadata'].pop('namespace', None)
        for subject in o.get('subjects', []):
            subject.pop('namespace', None)
        if o['kind'] == 'ConfigMap':
            o['data'] = {k: yaml.safe_load(v) for k, v in o['data'].items()}
        out[o['kind'] + '/' + o['metadata']['name']] = o
    return out


if __name__ == '__main__':
    try:
        tap.main(globals())
    finally:
        if api:
            api.stop()
