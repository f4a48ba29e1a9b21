# SPDX-License-Identifier: Apache-2.0
"""A workload with plateau beside each pod, from the files of deploy/, and what its clients and the API server saw of it.

  with cluster() as (plane, kubelet):
      fleet = Fleet(plane, kubelet, replicas=3, slots=2)
      fleet.wait_ready()
      fleet.leak(fleet.pods()[0], 80 << 20)      past the limit of policy.rotate.bytes: this pod wants to go
"""
import contextlib
import json
import os
import sys
import tempfile
import threading
import urllib.request

import plane as plane_module
from kubelet import Kubelet
from lib import Skip, wait_until
from load import Endpoints, Load
from plane import ApiError, Plane

HERE = os.path.dirname(os.path.abspath(__file__))
DEPLOY = os.path.join(HERE, '..', '..', 'deploy', 'kustomize')
NAMESPACE = 'shop'
PORT = 8080

CONFIG = '''
targets:
  - name: main
    match: {main: true}
sample: {interval: 200ms, survey_budget: 0, smaps_budget: 0}
policy:
  startup_grace: 0
  alert: {enabled: false}
  reclaim: {enabled: false}
  rotate: {method: kubernetes, used: none, eta: none, bytes: 100MiB, for: 0, cooldown: 10s, max: unlimited}
kubernetes:
  min_age: 0
  soak: 1s
  margin: 1s
  slots: {max: @SLOTS@, ttl: @TTL@}
  drain: {propagate: 1s, max: 15s, file: /shared/drain}
log: {format: json, level: debug}
report: {listen: ":9464"}
'''

# kubernetes.drain.file is written by the sidecar into a volume that it shares with the application.
SHARED = [{'op': 'add', 'path': '/spec/template/spec/initContainers/0/volumeMounts/-',
           'value': {'name': 'shared', 'mountPath': '/shared'}}]


def probe_port(container):
    return container.spec.get('readinessProbe', {'httpGet': {'port': 9464}})['httpGet']['port']


def main(run):
    """run(), in a network of its own. First of all: it begins the program anew, which must not have printed its plan."""
    try:
        plane_module.own_network()
    except Skip as e:
        print(f'1..0 # SKIP {e}')
        return
    run()


@contextlib.contextmanager
def cluster(more=None, start=None, **options):
    """plateaud and plateau-probe come from the environment, as in the other suites. more: variables for the sidecar.
    start(kubelet): is called before there is any pod."""
    plane_module.own_network()
    daemon, probe = os.environ['PLATEAUD'], os.environ['PLATEAU_PROBE']
    environment = lambda c: {'PLATEAU_LISTEN': f'{c.pod.ip}:{probe_port(c)}', 'PLATEAU_PROBE': probe, # pylint: disable=unnecessary-lambda-assignment
                             **(more or {}), **{k: v for k, v in os.environ.items() if k in ('ASAN_OPTIONS', 'UBSAN_OPTIONS')}} \
        if c.name == 'plateau' else {}
    images = {'plateau': [daemon], 'app': ['/usr/bin/python3', os.path.join(HERE, 'app.py')]}
    with Plane() as plane, Kubelet(plane, images, environment, **options) as kubelet:
        if start:
            start(kubelet)
        plane.kubectl('apply', '-k', os.path.join(DEPLOY, 'policy'))
        yield plane, kubelet


def block(value, indent=''):
    """YAML in block style: kustomize writes the patch's comments into what it merges, and breaks JSON by that."""
    if isinstance(value, dict) and value:
        return ''.join(f'\n{indent}{json.dumps(k)}:{block(v, indent + "  ")}' for k, v in value.items())
    if isinstance(value, list) and value:
        return ''.join(f'\n{indent}-{block(v, indent + "  ")}' for v in value)
    return ' ' + json.dumps(value)


def kustomization(folder, documents, rbac, namespace, patches):
    """kustomize's input: these objects, the sidecar put into them, and the rights of one tier and its extras."""
    with open(os.path.join(folder, 'objects.yaml'), 'w', encoding='utf-8') as f:
        f.write('\n---'.join(block(d) for d in documents))
    at = lambda *p: os.path.relpath(os.path.join(DEPLOY, *p), os.path.realpath(folder)) # pylint: disable=unnecessary-lambda-assignment
    with open(os.path.join(folder, 'kustomization.yaml'), 'w', encoding='utf-8') as f:
        json.dump({'apiVersion': 'kustomize.config.k8s.io/v1beta1', 'kind': 'Kustomization', 'namespace': namespace,
                   'resources': ['objects.yaml', *[at('rbac', r) for r in rbac.split('+')]],
                   'components': [at('overlays', 'same-uid')],
                   'patches': [{'target': target, 'patch': json.dumps(patch)} for target, patch in patches if patch]}, f)


class Fleet:
    def __init__(self, plane, kubelet, name='shop', replicas=3, slots=1, min_available=None, rbac='t2-detach', config='',
                 kind='Deployment', ttl='10s', grace=30, spec=None, main=None, patches=(), namespace=NAMESPACE):
        """rbac: a folder of deploy/kustomize/rbac, or several: a+b. spec, main: more of the pod's and the main container's.
        patches: RFC 6902, of the workload once the sidecar is in it. name: unlike that of any other fleet on this plane."""
        self.plane, self.api, self.kubelet, self.name = plane, plane.api, kubelet, name
        self.replicas, self.slots, self.kind, self.namespace = replicas, slots, kind, namespace
        self.endpoints = Endpoints()
        self.tell_all = []
        self.api.ask('POST', '/api/v1/namespaces', {'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': {'name': namespace}})
        with tempfile.TemporaryDirectory() as folder:
            data = self.configuration(config or CONFIG, ttl) # at once: a pod reads it when it starts
            kustomization(folder, self.objects(kind, min_available, grace, spec or {}, main or {}), rbac, namespace, [
                ({'kind': 'ConfigMap', 'name': 'plateau'}, [{'op': 'replace', 'path': '/data', 'value': data}]),
                ({'labelSelector': 'plateau.dev/sidecar=true'}, [*SHARED, *patches])])
            text = plane.kubectl('kustomize', '--load-restrictor', 'LoadRestrictionsNone', folder)
        plane.kubectl('apply', '--server-side', '--force-conflicts', '-f', '-', stdin=text)
        threading.Thread(target=self.follow, daemon=True).start()

    # ---- objects ----

    def objects(self, kind, min_available, grace, more, more_of_main):
        labels = {'app': self.name}
        main = {'name': 'app', 'image': 'app:1', 'ports': [{'name': 'http', 'containerPort': PORT}],
                'env': [{'name': 'DRAIN_FILE', 'value': '/shared/drain'}],
                'volumeMounts': [{'name': 'shared', 'mountPath': '/shared'}],
                'resources': {'limits': {'memory': '400Mi', 'cpu': '1'}, 'requests': {'memory': '400Mi', 'cpu': '1'}},
                'readinessProbe': {'httpGet': {'path': '/healthz', 'port': 'http'}, 'periodSeconds': 1}, **more_of_main}
        spec = {'terminationGracePeriodSeconds': grace, 'securityContext': {'runAsUser': 65532, 'runAsGroup': 65532},
                'containers': [main], 'volumes': [{'name': 'shared', 'emptyDir': {}}], **more}
        workload = {'apiVersion': 'apps/v1', 'kind': kind,
                    'metadata': {'name': self.name, 'labels': {**labels, 'plateau.dev/sidecar': 'true'}},
                    'spec': {'replicas': self.replicas, 'selector': {'matchLabels': labels},
                             'template': {'metadata': {'labels': labels}, 'spec': spec}}}
        if kind == 'StatefulSet':
            workload['spec'].update(serviceName=self.name, podManagementPolicy='Parallel')
        service = {'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': self.name},
                   'spec': {'selector': labels, 'ports': [{'name': 'http', 'port': 80, 'targetPort': 'http'}]}}
        out = [workload, service]
        if min_available is not None:
            out.append({'apiVersion': 'policy/v1', 'kind': 'PodDisruptionBudget', 'metadata': {'name': self.name},
                        'spec': {'minAvailable': min_available, 'unhealthyPodEvictionPolicy': 'AlwaysAllow',
                                 'selector': {'matchLabels': labels}}})
        return out + self.leases()

    def leases(self):
        names = [f'plateau-{self.name}-{i}' for i in range(self.slots)]
        role = f'plateau-slots-{self.name}'
        out = [{'apiVersion': 'coordination.k8s.io/v1', 'kind': 'Lease', 'metadata': {'name': n}} for n in names]
        if names:
            out += [{'apiVersion': 'rbac.authorization.k8s.io/v1', 'kind': 'Role', 'metadata': {'name': role},
                     'rules': [{'apiGroups': ['coordination.k8s.io'], 'resources': ['leases'], 'resourceNames': names,
                                'verbs': ['get', 'update', 'patch', 'watch']}]},
                    {'apiVersion': 'rbac.authorization.k8s.io/v1', 'kind': 'RoleBinding', 'metadata': {'name': role},
                     'roleRef': {'apiGroup': 'rbac.authorization.k8s.io', 'kind': 'Role', 'name': role},
                     'subjects': [{'kind': 'ServiceAccount', 'name': 'plateau', 'namespace': self.namespace}]}]
        return out

    def configuration(self, config, ttl):
        return {'plateau.yaml': config.replace('@SLOTS@', str(self.slots)).replace('@TTL@', ttl)}

    def configure(self, config, ttl='10s'):
        """For pods that start from now on."""
        self.api.patch(f'/api/v1/namespaces/{self.namespace}/configmaps/plateau', {'data': self.configuration(config, ttl)})

    # ---- watching ----

    def follow(self):
        slices = {}
        for kind, o in self.api.watch(f'/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices',
                                      labelSelector=f'kubernetes.io/service-name={self.name}'):
            if kind == 'SYNC':
                slices = {i['metadata']['name']: i for i in o['items']}
            elif kind == 'DELETED':
                slices.pop(o['metadata']['name'], None)
            else:
                slices[o['metadata']['name']] = o
            self.endpoints.update(slices.values())

    def ready(self):
        return sorted(self.endpoints.ready.values())

    def wait_ready(self, n=None, deadline_s=90):
        n = self.replicas if n is None else n
        self.wait(f'{n} ready endpoints', lambda: len(self.ready()) == n, deadline_s)

    def wait(self, what, predicate, deadline_s=90):
        try:
            return wait_until(what, predicate, deadline_s)
        except AssertionError:
            self.show()
            raise

    def show(self):
        """What a person would look at, as TAP comments."""
        out = self.plane.kubectl('get', 'pods,leases,events', '-n', self.namespace, '-o', 'wide', '--show-labels', check=False)
        lines = out.stdout.splitlines() + self.kubelet.notes[-10:]
        for p in self.kubelet.running(self.name):
            lines += [f'== {p.name}'] + [self.brief(line) for line in self.kubelet.log(p.name, 'plateau').splitlines()[-15:]]
        for line in lines:
            print('# ' + line[:300], file=sys.stderr)

    @staticmethod
    def brief(line):
        try:
            d = json.loads(line)
            return f'{d.get("time", "")} {d["event"]}: {d["message"]}'
        except (ValueError, KeyError):
            return line

    # ---- pods ----

    def pods(self):
        return self.api.get(f'/api/v1/namespaces/{self.namespace}/pods?labelSelector=app={self.name}')['items']

    def names(self):
        return sorted(p['metadata']['name'] for p in self.pods())

    def app(self, name, path, method='POST'):
        pod = self.kubelet.pod(name)
        request = urllib.request.Request(f'http://{pod.ip}:{PORT}{path}', method=method, data=b'' if method == 'POST' else None)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as r:
            return json.loads(r.read())

    def leak(self, name, n=120 << 20):
        return self.app(name, f'/leak?bytes={n}')

    def wait_gone(self, name, deadline_s=90):
        self.wait(f'{name} is gone', lambda: name not in self.names(), deadline_s)

    def events(self, regarding=None):
        """(reason, note) of the Events that plateau wrote, of one pod or of all."""
        items = self.api.get(f'/apis/events.k8s.io/v1/namespaces/{self.namespace}/events')['items']
        return [(e['reason'], e.get('note', '')) for e in items if 'plateau' in e.get('reportingController', '') and
                (not regarding or e['regarding']['name'] == regarding)]

    def load(self, **options):
        return Load(self.endpoints, **options)


__all__ = ['ApiError', 'Fleet', 'cluster', 'main', 'NAMESPACE']
