#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Rotations on a real control plane: no replica fewer, no connection cut that would have finished. See fleet.py, kubelet.py."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'integration'))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap # pylint: disable=wrong-import-position
from fleet import Fleet, cluster, main as fleet_main # pylint: disable=wrong-import-position

ROTATIONS = int(os.environ.get('PLATEAU_E2E_ROTATIONS', '20'))


def rotate_all(fleet, times, load):
    """One pod after the other leaks past its bound and is replaced; tells by what."""
    for i in range(times):
        victim = fleet.ready()[i % fleet.replicas]
        fleet.leak(victim)
        fleet.wait_gone(victim, 120)
        fleet.wait_ready()
        print(f'# {i + 1}/{times}: {victim} replaced; {dict(load.count)}', flush=True)


def check(fleet, load):
    count = load.stop()
    history = fleet.endpoints.history
    dips = [history[max(0, i - 2):i + 3] for i, (_, ready) in enumerate(history) if len(ready) < fleet.replicas]
    assert fleet.endpoints.fewest >= fleet.replicas, (fleet.endpoints.fewest, dips[-3:])
    assert not count['sessions_cut'] and not count['session_errors'] and not count['http_errors'], (count, load.notes)
    assert count['http'] > 100 and count['sessions'] > 10 and count['asked'] > 0, count
    return count


def run(replicas, times):
    with cluster() as (plane, kubelet):
        fleet = Fleet(plane, kubelet, replicas=replicas, min_available=replicas)
        fleet.wait_ready()
        fleet.endpoints.count_from_now()
        load = fleet.load(sessions=12, session_s=(2.0, 12.0)) # longer than it takes to be out of the endpoints
        try:
            rotate_all(fleet, times, load)
        finally:
            load.ending = True
        count = check(fleet, load)
        reasons = {r for r, _ in fleet.events()}
        assert reasons, 'no Event'
        print(f'# {times} rotations of {replicas}: {dict(count)}, never fewer than {fleet.endpoints.fewest} ready, '
              f'Events {sorted(reasons)}', flush=True)


@tap.deadline(1200)
def test_no_dip():
    """A 3-replica Deployment with a budget of 3 rotates 20 times under load: never fewer than 3 ready, nothing cut."""
    run(3, ROTATIONS)


@tap.deadline(300)
def test_single():
    """One replica with a budget of 1: likewise."""
    run(1, min(4, ROTATIONS))


if __name__ == '__main__':
    fleet_main(lambda: tap.main(globals()))
