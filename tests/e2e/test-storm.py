#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Thirty pods that all want to go at once, and two slots."""
import collections
import json
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'integration'))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap # pylint: disable=wrong-import-position
from fleet import NAMESPACE, ApiError, Fleet, cluster, main as fleet_main # pylint: disable=wrong-import-position

PODS = int(os.environ.get('PLATEAU_E2E_PODS', '30'))
SLOTS = 2


class Rotating:
    """How many pods rotate at once, by the API server's own watch: detached ones that still serve, and evicted ones."""

    def __init__(self, fleet):
        self.fleet, self.now, self.most, self.seen = fleet, {}, 0, set()
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        for kind, o in self.fleet.api.watch(f'/api/v1/namespaces/{NAMESPACE}/pods', labelSelector=f'app={self.fleet.name}'):
            for event, pod in [('ADDED', i) for i in o['items']] if kind == 'SYNC' else [(kind, o)]:
                self.on_pod(event, pod)

    def on_pod(self, event, pod):
        m = pod['metadata']
        rotating = 'plateau.dev/rotation' in m.get('labels', {}) and event != 'DELETED' and 'deletionTimestamp' not in m
        if rotating:
            self.now[m['name']] = json.loads(m.get('annotations', {}).get('plateau.dev/state') or '{}').get('state', '')
            self.seen.add(m['name'])
        else:
            self.now.pop(m['name'], None)
        self.most = max(self.most, len(self.now))


def remove_at_once(fleet, name):
    try:
        fleet.api.delete(f'/api/v1/namespaces/{NAMESPACE}/pods/{name}', {'gracePeriodSeconds': 0})
    except ApiError as e:
        assert e.status == 404, e


def disturb(fleet, rotating, stop, done, seed=7):
    """Sidecars of rotating pods are killed or paused, now and then, in whatever state they are; some pods are removed at once,
    by which their slot is nobody's."""
    rng = random.Random(seed)
    while not stop.wait(rng.uniform(0.5, 1.5)):
        name = rng.choice(sorted(rotating.now) or [''])
        try:
            sidecar = fleet.kubelet.pod(name).container('plateau')
        except StopIteration:
            continue
        dice, state = rng.random(), rotating.now.get(name, '')
        if dice < 0.03:
            remove_at_once(fleet, name)
            done['removed'] += 1
        elif dice < 0.6:
            sidecar.signal(signal.SIGKILL)
            done[f'killed in {state}'] += 1
        else:
            sidecar.signal(signal.SIGSTOP)
            time.sleep(rng.uniform(0.5, 4))
            sidecar.signal(signal.SIGCONT)
            done[f'paused in {state}'] += 1


@tap.deadline(1500)
def test_storm():
    """30 pods armed at once, 2 slots: never more than 2 rotate, all are replaced, also with sidecars killed and paused."""
    with cluster(probe_scale=2.0) as (plane, kubelet):
        # longer than a sidecar can be away here: a slot that is not renewed is another's, by design
        fleet = Fleet(plane, kubelet, replicas=PODS, slots=SLOTS, min_available=PODS, ttl='30s')
        fleet.wait_ready(deadline_s=300)
        rotating, stop, done = Rotating(fleet), threading.Event(), collections.Counter()
        fleet.endpoints.count_from_now()
        first = fleet.names()
        thread = threading.Thread(target=disturb, args=(fleet, rotating, stop, done), daemon=True)
        thread.start()
        for name in first:
            fleet.leak(name)
        try:
            fleet.wait('all are replaced', lambda: not set(first) & set(fleet.names()), 1200)
        finally:
            stop.set()
            thread.join(10)
            print(f'# most at once {rotating.most}, seen rotating {len(rotating.seen)} of {PODS}, disturbed {dict(done)}, '
                  f'fewest ready {fleet.endpoints.fewest}', flush=True)
        assert rotating.most <= SLOTS, rotating.most
        fleet.wait_ready(deadline_s=120)
        assert not rotating.now, rotating.now


if __name__ == '__main__':
    fleet_main(lambda: tap.main(globals()))
