# SPDX-License-Identifier: Apache-2.0
"""plateau doctor in a sidecar, against a real API server with the manifests of deploy/: what it says is so there, and
nothing that it asks changes anything."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'integration'))
import yaml

import tap # pylint: disable=wrong-import-position
from fleet import DEPLOY, NAMESPACE, Fleet, cluster, main as fleet_main # pylint: disable=wrong-import-position
from lib import wait_until # pylint: disable=wrong-import-position

PLATEAU, PROBE = os.environ['PLATEAU'], os.environ['PLATEAU_PROBE']

CONFIG = '''
targets: [{name: main, match: {main: true}}]
policy: {rotate: {method: signal}}
kubernetes: {slots: {max: @SLOTS@}}
report: {listen: ":9464"}
'''


def doctor(kubelet, name):
    """(findings, exit status) as the sidecar of that pod would get them."""
    sidecar = kubelet.pod(name).container('plateau')
    wait_until('the sidecar runs', lambda: sidecar.host_pid() and sidecar.running(), 60)
    done = subprocess.run(['nsenter', '--target', str(sidecar.host_pid()), '--pid', '--mount', '--', *sidecar.identity(),
                           PLATEAU, 'doctor', '--json', '--probe', PROBE], env=sidecar.environment(), capture_output=True,
                          text=True, timeout=120, check=False)
    try:
        document = json.loads(done.stdout)
    except ValueError:
        raise AssertionError((done.returncode, done.stdout, done.stderr)) from None
    for f in document['findings']:
        print(f'# {f["mark"]:5} {f["section"]}/{f["name"]}: {f["text"]}' + (f' -> {f["change"]}' if f['change'] else ''))
    return {(f['section'], f['name']): f for f in document['findings']}, done.returncode


def pod_without_status(plane, name):
    pod = plane.api.get(f'/api/v1/namespaces/{NAMESPACE}/pods/{name}')
    return pod['metadata']['uid'], pod['metadata'].get('labels'), pod['metadata'].get('annotations'), pod['spec']


@tap.deadline(400)
def test_doctor():
    """rights, owner, wiring, slots and budget are told as they are; the pod is what it was before"""
    with cluster() as (plane, kubelet):
        fleet = Fleet(plane, kubelet, name='web', replicas=1, slots=1, min_available=1, config=CONFIG)
        fleet.wait_ready()
        (name,) = fleet.names()
        before = pod_without_status(plane, name)
        found, _ = doctor(kubelet, name)
        assert found['target', 'process']['mark'] == 'good', found
        assert found['pod', 'identity']['text'].startswith(f'{NAMESPACE}/{name}'), found
        assert 'ReplicaSet' in found['pod', 'api']['text'], found
        assert found['rights', 'detach']['mark'] == 'good', found
        assert found['rights', 'evict']['mark'] == 'good', found
        assert found['rights', 'eviction']['mark'] == 'half', found # minAvailable: 1 of 1
        assert found['rights', 'resize']['mark'] == 'none' and 'pods/resize' in found['rights', 'resize']['change'], found
        assert found['rotate', 'kubernetes']['text'].startswith('detach'), found
        assert found['slots', 'leases']['mark'] == 'good' and 'plateau-web-0' in found['slots', 'leases']['text'], found
        assert found['pod', 'readiness']['mark'] == 'good', found
        assert ('pod', 'shared-processes') not in found and ('pod', 'limit') not in found, found
        assert pod_without_status(plane, name) == before

        plane.api.delete(f'/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets/web')
        plane.api.delete(f'/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/plateau-web-0')
        found, _ = doctor(kubelet, name)
        assert found['rights', 'eviction']['mark'] == 'good', found
        assert found['slots', 'leases']['mark'] == 'half', found
        assert 'plateau-web-0' in found['slots', 'leases']['change'], found
        assert fleet.names() == [name] and pod_without_status(plane, name) == before


def config_of(tier):
    """What the ConfigMap of that folder has."""
    folder = os.path.join(DEPLOY, 'rbac', 't0' if tier == 't0' else 't1-evict')
    with open(os.path.join(folder, 'config.yaml'), encoding='utf-8') as f:
        return yaml.safe_load(f)['data']['plateau.yaml']


@tap.deadline(400)
def test_tiers():
    """as deploy/ is, without a change: what each tier of rights gives, and the line that gives the next"""
    want = { # strategy, its mark; exit status; what else is good
        't0': ('', '', 0, []),
        't1-evict': ('evict', 'half', 0, [('rights', 'evict'), ('rights', 'events')]),
        't2-detach': ('detach', 'good', 0, [('rights', 'detach'), ('slots', 'leases')]),
        't3-resize': ('detach', 'good', 0, [('rights', 'detach'), ('rights', 'resize'), ('slots', 'leases')]),
    }
    with cluster() as (plane, kubelet):
        for tier, (strategy, mark, status, good) in want.items(): # in this order: the ServiceAccount keeps what it got
            print(f'# -- {tier}', flush=True)
            fleet = Fleet(plane, kubelet, name=tier, replicas=1, slots=2, rbac=tier, config=config_of(tier))
            fleet.wait_ready()
            found, code = doctor(kubelet, fleet.names()[0])
            assert code == status, (tier, code, found)
            if tier == 't0':
                assert 'pods' in found['pod', 'api']['change'], found['pod', 'api']
                assert found['rotate', 'method']['mark'] == 'half', found
                continue
            assert ('rotate', 'method') not in found, found
            assert found['rotate', 'kubernetes']['text'].startswith(strategy), (tier, found['rotate', 'kubernetes'])
            assert found['rotate', 'kubernetes']['mark'] == mark, (tier, found['rotate', 'kubernetes'])
            assert all(found[g]['mark'] == 'good' for g in good), (tier, found)
            assert (('rotate', 'not-detach') in found) == (strategy != 'detach'), found
            assert ('slots', 'leases') in good or 'replicasets' in found['slots', 'leases']['change'], found
        plane.api.patch(f'/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{fleet.name}', {'spec': {'paused': True}})
        found, _ = doctor(kubelet, fleet.names()[0])
        assert found['rotate', 'kubernetes']['mark'] == 'half' and 'paused' in found['rotate', 'not-detach']['text'], found
        fleet = Fleet(plane, kubelet, name='db', replicas=1, slots=1, kind='StatefulSet', config=config_of('t2-detach'))
        fleet.wait_ready()
        found, _ = doctor(kubelet, fleet.names()[0])
        assert found['rotate', 'kubernetes']['text'].startswith('evict'), found
        assert found['rotate', 'kubernetes']['mark'] == 'good' and ('rotate', 'not-detach') not in found, found
        assert found['slots', 'leases']['mark'] == 'half' and found['slots', 'leases']['text'].startswith('1 of 2'), found


if __name__ == '__main__':
    fleet_main(lambda: tap.main(globals()))
