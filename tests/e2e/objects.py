# SPDX-License-Identifier: Apache-2.0
"""The objects that the tests of the control plane work with: a workload with plateau's sidecar, its Service, its budget."""

SIDECAR = {
    'name': 'plateau', 'image': 'plateau:test', 'restartPolicy': 'Always',
    'ports': [{'name': 'plateau', 'containerPort': 9464}],
    'resources': {'requests': {'cpu': '10m', 'memory': '32Mi'}, 'limits': {'cpu': '10m', 'memory': '32Mi'}},
    'readinessProbe': {'httpGet': {'path': '/ready', 'port': 'plateau'}, 'periodSeconds': 1},
    'env': [{'name': 'PLATEAU_POD_NAME', 'valueFrom': {'fieldRef': {'fieldPath': 'metadata.name'}}},
            {'name': 'PLATEAU_LIMIT_BYTES', 'valueFrom': {'resourceFieldRef': {'containerName': 'main',
                                                                             'resource': 'limits.memory'}}}],
}
MAIN = {
    'name': 'main', 'image': 'app:test', 'ports': [{'name': 'http', 'containerPort': 8080}],
    'resources': {'requests': {'cpu': '100m', 'memory': '256Mi'}, 'limits': {'cpu': '100m', 'memory': '256Mi'}},
    'livenessProbe': {'httpGet': {'path': '/alive', 'port': 9464}, 'periodSeconds': 10},
}


def template(name):
    return {'metadata': {'labels': {'app': name}},
            'spec': {'serviceAccountName': 'plateau', 'automountServiceAccountToken': False, 'shareProcessNamespace': True,
                     'terminationGracePeriodSeconds': 30, 'initContainers': [SIDECAR], 'containers': [MAIN]}}


def workload(kind, name, replicas, **spec):
    spec = {'selector': {'matchLabels': {'app': name}}, 'template': template(name), **spec}
    if replicas is not None:
        spec['replicas'] = replicas
    return {'apiVersion': 'apps/v1', 'kind': kind, 'metadata': {'name': name}, 'spec': spec}


def service(name):
    return {'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': name},
            'spec': {'selector': {'app': name}, 'ports': [{'port': 80, 'targetPort': 'http'}]}}


def budget(name, app, **spec):
    return {'apiVersion': 'policy/v1', 'kind': 'PodDisruptionBudget', 'metadata': {'name': name},
            'spec': {'selector': {'matchLabels': {'app': app}}, **spec}}


def eviction(pod, **options):
    return {'apiVersion': 'policy/v1', 'kind': 'Eviction', 'metadata': {'name': pod},
            **({'deleteOptions': options} if options else {})}


def access(rules):
    """ServiceAccount plateau with a Role of these (apiGroups, resources, verbs)."""
    return [('/api/v1/namespaces/{ns}/serviceaccounts', {'metadata': {'name': 'plateau'}}),
            ('/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles',
             {'metadata': {'name': 'plateau'},
              'rules': [{'apiGroups': [g], 'resources': r, 'verbs': v} for g, r, v in rules]}),
            ('/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings',
             {'metadata': {'name': 'plateau'}, 'roleRef': {'apiGroup': 'rbac.authorization.k8s.io', 'kind': 'Role',
                                                           'name': 'plateau'},
              'subjects': [{'kind': 'ServiceAccount', 'name': 'plateau'}]})]
