#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is left to read afterwards: Events of the pod, its annotation, and the place in each alert."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'integration'))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap # pylint: disable=wrong-import-position
from fleet import CONFIG, NAMESPACE, Fleet, cluster, main as fleet_main # pylint: disable=wrong-import-position
from lib import Receiver # pylint: disable=wrong-import-position

EVIDENCE = CONFIG.replace('startup_grace: 0', 'startup_grace: 0\n  last_moment: none') \
    .replace('alert: {enabled: false}', 'alert: {used: 30%, eta: none, for: 0}') \
    .replace('reclaim: {enabled: false}', 'reclaim: {used: 30%, eta: none, for: 3s, cooldown: 10s, settle: 0}') \
    .replace('bytes: 100MiB', 'bytes: 300MiB') \
    .replace('report: {listen: ":9464"}', 'report: {listen: ":9464", webhook: {url: "@URL@"}}')


def alerts(receiver):
    out = []
    while not receiver.requests.empty():
        out.append(receiver.requests.get().json())
    return out


def events_of(fleet, pod):
    """By reason; of a rotation by its state, too."""
    items = fleet.api.get(f'/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events')['items']
    return {e['reason'] + (f' {e["action"]}' if e['reason'] == 'PodRotation' else ''): e for e in items
            if e['regarding'].get('uid') == pod['metadata']['uid'] and e.get('reportingController') == 'plateau.dev/plateau'}


def check_event(event, pod, kind, action):
    regarding, m = event['regarding'], pod['metadata']
    assert (regarding['kind'], regarding['name'], regarding['namespace']) == ('Pod', m['name'], NAMESPACE), regarding
    assert (event['type'], event['action'], event['reportingInstance']) == (kind, action, m['name']), event
    assert 0 < len(event['note']) <= 1024 and event['eventTime'], event


@tap.deadline(300)
def test_alert_reclaim_rotation():
    """An alert, its end, a reclaim and a rotation are Events of the pod; the last forecast is its annotation; alerts name the place."""
    with cluster() as (plane, kubelet), Receiver() as receiver:
        fleet = Fleet(plane, kubelet, replicas=1, config=EVIDENCE.replace('@URL@', receiver.url))
        fleet.wait_ready()
        pod = fleet.pods()[0]
        name = pod['metadata']['name']
        fleet.app(name, f'/holes?bytes={200 << 20}')
        fleet.wait('alert, reclaim and its end', lambda: {'MemoryAlert', 'MemoryReclaim', 'MemoryAlertResolved'} <= set(
            events_of(fleet, pod)))
        seen = events_of(fleet, pod)
        check_event(seen['MemoryAlert'], pod, 'Warning', 'Alert')
        check_event(seen['MemoryAlertResolved'], pod, 'Normal', 'Alert')
        check_event(seen['MemoryReclaim'], pod, 'Normal', 'Reclaim')
        assert 'MB' in seen['MemoryReclaim']['note'], seen['MemoryReclaim']['note']
        note = fleet.wait('the forecast', lambda: fleet.pods()[0]['metadata'].get('annotations', {}).get('plateau.dev/forecast'))
        forecast = json.loads(note)
        assert forecast['target'] == 'main' and forecast['limit_bytes'] == 400 << 20 and 'forecast' in forecast, forecast
        print(f'# {note}')
        fleet.leak(name, 320 << 20)
        fleet.wait_gone(name)
        seen = events_of(fleet, pod)
        states = {name.split()[1] for name in seen if name.startswith('PodRotation ')}
        assert {'lease_wait', 'surging', 'wait_ready', 'unready', 'draining', 'terminating'} <= states, states
        assert 'signalled' not in states, seen['PodRotation signalled'] # it stands still: nothing is urgent
        for event in seen.values():
            print(f'# {event["type"]} {event["reason"]} {event["action"]}: {event["note"]}')
        got = alerts(receiver)
        kinds = {a['type'] for a in got}
        assert len(got) >= 3, got
        for a in got:
            place = {'namespace': NAMESPACE, 'pod': name, 'node': pod['spec']['nodeName'],
                     'owner_kind': 'Deployment', 'owner_name': 'shop'}
            assert a['data']['kubernetes'] == place, a
        print(f'# {len(got)} alerts of {sorted(kinds)}')


if __name__ == '__main__':
    fleet_main(lambda: tap.main(globals()))
