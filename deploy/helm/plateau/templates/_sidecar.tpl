{{/*
For charts that embed the sidecar; the dictionary has image, and container (the main container's name), for its limit.
    initContainers:
      {{- include "plateau.sidecar" (dict "image" "plateau:0.1.0" "container" "pusher") | nindent 6 }}
    volumes:
      {{- include "plateau.volumes" . | nindent 6 }}
    shareProcessNamespace: true, automountServiceAccountToken: false, serviceAccountName: plateau
A test holds it equal to deploy/kustomize/base/sidecar.yaml.
*/}}
{{- define "plateau.sidecar" -}}
- name: plateau
  image: {{ .image | default "plateau:0.1.0" | quote }}
  restartPolicy: Always
  args: ["--config", "/etc/plateau/plateau.yaml"]
  env:
    {{- with .container }}
    - name: PLATEAU_LIMIT_BYTES
      valueFrom: {resourceFieldRef: {containerName: {{ . }}, resource: limits.memory, divisor: "1"}}
    {{- end }}
    - name: PLATEAU_POD_NAME
      valueFrom: {fieldRef: {fieldPath: metadata.name}}
    - name: PLATEAU_POD_UID
      valueFrom: {fieldRef: {fieldPath: metadata.uid}}
    - name: PLATEAU_NAMESPACE
      valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
    - name: PLATEAU_NODE
      valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
    - name: PLATEAU_CONTAINER
      valueFrom: {fieldRef: {fieldPath: "metadata.annotations['plateau.dev/container']"}}
    - name: PLATEAU_INSTANCE
      valueFrom: {fieldRef: {fieldPath: metadata.name}}
    - name: PLATEAU_STATE_DIR
      value: /var/lib/plateau
    - name: PLATEAU_SOCKET
      value: /var/lib/plateau/plateau.sock
  ports:
    - {name: plateau, containerPort: 9464, protocol: TCP}
  readinessProbe:
    httpGet: {path: /ready, port: 9464}
    periodSeconds: 1
    failureThreshold: 3           # one late answer is no reason to leave the Services
  livenessProbe:
    httpGet: {path: /healthz, port: 9464}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 6
  resources:
    requests: {cpu: 10m, memory: 32Mi}
    limits: {cpu: 10m, memory: 32Mi}
  securityContext:
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    runAsNonRoot: true
    capabilities: {drop: [ALL]}
    seccompProfile: {type: RuntimeDefault}
  volumeMounts:
    - {name: plateau-config, mountPath: /etc/plateau, readOnly: true}
    - {name: plateau-state, mountPath: /var/lib/plateau}
    - {name: plateau-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end }}
{{- define "plateau.volumes" -}}
- name: plateau-config
  configMap: {name: plateau}
- name: plateau-state
  emptyDir: {sizeLimit: 4Mi}
- name: plateau-token
  projected:
    defaultMode: 0444
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3607}
      - configMap:
          name: kube-root-ca.crt
          items: [{key: ca.crt, path: ca.crt}]
      - downwardAPI:
          items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]
{{- end }}
