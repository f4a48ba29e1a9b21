# SPDX-License-Identifier: Apache-2.0
"""A stand-in for scheduler and kubelet that runs nothing: a pod is bound, said to be ready, and gone once it is deleted.

  with Hollow(plane) as node:
      node.unready('default', 'web-1')      its pod's status from now on, until ready(...) is called

For what the controllers and the API server do with pods; where pods must be processes, that is kubelet.py. Addresses are
documentation's (RFC 5737): an EndpointSlice takes no loopback address, and these are nobody's.
"""
import http.client
import threading
from datetime import datetime, timezone

NODE = 'hollow'
MERGE = 'application/strategic-merge-patch+json'


def now():
    return datetime.now(timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')


class Hollow:
    def __init__(self, plane):
        self.api = plane.api
        self.held = set()   # (namespace, name) of pods that are to be unready
        self.addresses = {} # uid: address
        self.lock = threading.Lock()
        self.stopped = False
        self.api.post('/api/v1/nodes', {'metadata': {'name': NODE}})
        room = {'cpu': '64', 'memory': '64Gi', 'pods': '500'} # the API server refuses a resize that no node could grant
        self.api.patch(f'/api/v1/nodes/{NODE}/status', {'status': {'capacity': room, 'allocatable': room, 'conditions': [
            {'type': 'Ready', 'status': 'True', 'lastTransitionTime': now()}]}})
        self.api.patch(f'/api/v1/nodes/{NODE}', {'spec': {'taints': None}}) # it begins as not ready, and who would change it?
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped = True # a thread in a watch ends with the plane

    def run(self):
        for kind, obj in self.api.watch('/api/v1/pods'):
            if self.stopped:
                return
            pods = obj.get('items', []) if kind == 'SYNC' else [obj] if kind in ('ADDED', 'MODIFIED') else []
            for pod in pods:
                try:
                    self.mind(pod)
                except (OSError, http.client.HTTPException):
                    if not self.stopped:
                        raise

    def mind(self, pod):
        meta = pod['metadata']
        url = f'/api/v1/namespaces/{meta["namespace"]}/pods/{meta["name"]}'
        if 'deletionTimestamp' in meta:
            self.api.ask('DELETE', url, {'gracePeriodSeconds': 0, 'preconditions': {'uid': meta['uid']}})
        elif not pod['spec'].get('nodeName'):
            self.api.ask('POST', f'{url}/binding', {'metadata': {'name': meta['name']},
                                                    'target': {'kind': 'Node', 'name': NODE}})
        elif pod['status'].get('phase') == 'Pending':
            self.tell(pod, (meta['namespace'], meta['name']) not in self.held)

    def tell(self, pod, is_ready):
        """Status as a kubelet's, of all containers alike."""
        meta, spec = pod['metadata'], pod['spec']
        with self.lock:
            n = len(self.addresses) + 1
            ip = self.addresses.setdefault(meta['uid'], f'203.0.113.{n % 250 + 1}')

        def statuses(containers):
            return [{'name': c['name'], 'image': c['image'], 'imageID': '', 'ready': is_ready, 'started': True,
                     'restartCount': 0, 'state': {'running': {'startedAt': now()}},
                     'resources': c.get('resources', {})} for c in containers]
        conditions = [{'type': t, 'status': 'True' if t in ('PodScheduled', 'Initialized') or is_ready else 'False',
                       'lastTransitionTime': now()}
                      for t in ('PodScheduled', 'Initialized', 'ContainersReady', 'Ready')]
        status = {'phase': 'Running', 'podIP': ip, 'podIPs': [{'ip': ip}], 'hostIP': '192.0.2.1', 'startTime': now(),
                  'hostIPs': [{'ip': '192.0.2.1'}],
                  'conditions': conditions, 'containerStatuses': statuses(spec['containers'])}
        if spec.get('initContainers'):
            status['initContainerStatuses'] = statuses(spec['initContainers'])
        self.api.ask('PATCH', f'/api/v1/namespaces/{meta["namespace"]}/pods/{meta["name"]}/status',
                     {'metadata': {'uid': meta['uid']}, 'status': status}, MERGE)

    def set_ready(self, namespace, name, is_ready):
        """The answer of a pod's probes; pods that do not exist yet may be held before they come."""
        (self.held.discard if is_ready else self.held.add)((namespace, name))
        self.tell(self.api.get(f'/api/v1/namespaces/{namespace}/pods/{name}'), is_ready)
