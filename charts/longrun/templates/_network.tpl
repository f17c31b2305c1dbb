{{/* Selector of pods that do a run's work: all in this namespace that are neither the chart's nor an operator's. */}}
{{- define "longrun.network.workloads" -}}
matchExpressions:
  - key: app.kubernetes.io/name
    operator: NotIn
    values: [longrun, flyte-binary, kuberay-operator]
{{- end }}

{{- define "longrun.network.flyte" -}}
matchLabels:
  app.kubernetes.io/name: flyte-binary
{{- end }}

{{- define "longrun.network.kuberay" -}}
matchLabels:
  app.kubernetes.io/name: kuberay-operator
{{- end }}

{{- define "longrun.network.blocks" -}}
{{- range . }}
- ipBlock:
    cidr: {{ . }}
{{- end }}
{{- end }}

{{/* Start of a NetworkPolicy: (list root name) */}}
{{- define "longrun.network.head" -}}
{{- $root := index . 0 -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ $root.Release.Name }}-{{ index . 1 }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "longrun.labels" $root | nindent 4 }}
{{- end }}

{{/* Egress rule to the Kubernetes API */}}
{{- define "longrun.network.apiServer" -}}
- to: {{- include "longrun.network.blocks" .Values.networkPolicy.apiServerCidrs | nindent 4 }}
  ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}

{{/* Egress rule to Postgres */}}
{{- define "longrun.network.database" -}}
- to:
    {{- if .Values.database.bundled.enabled }}
    - podSelector:
        matchLabels: {{- include "longrun.selector" (list . "postgres") | nindent 10 }}
    {{- else }}
    {{- include "longrun.network.blocks" .Values.networkPolicy.databaseCidrs | nindent 4 }}
    {{- end }}
  ports:
    - {port: {{ include "longrun.database.port" . }}, protocol: TCP}
{{- end }}

{{/* Egress rules to the store, and to a cloud's identity service if it provides the credentials */}}
{{- define "longrun.network.store" -}}
- to:
    {{- if .Values.store.bundled.enabled }}
    - podSelector:
        matchLabels: {{- include "longrun.selector" (list . "store") | nindent 10 }}
    {{- else }}
    {{- include "longrun.network.blocks" .Values.networkPolicy.storeCidrs | nindent 4 }}
    {{- end }}
  ports:
    - {port: {{ include "longrun.store.port" . }}, protocol: TCP}
{{- with .Values.networkPolicy.identityCidrs }}
- to: {{- include "longrun.network.blocks" . | nindent 4 }}
  ports:
    - {port: 80, protocol: TCP}
    - {port: 988, protocol: TCP}
{{- end }}
{{- end }}

{{- define "longrun.store.port" -}}
{{- $endpoint := include "longrun.store.endpoint" . -}}
{{- if not $endpoint }}443
{{- else if regexMatch ":[0-9]+/?$" $endpoint }}{{ regexFind "[0-9]+/?$" $endpoint | trimSuffix "/" }}
{{- else }}{{ hasPrefix "https:" $endpoint | ternary 443 80 }}
{{- end -}}
{{- end }}
