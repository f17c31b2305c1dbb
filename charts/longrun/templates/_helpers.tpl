{{- define "longrun.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/name: longrun
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: longrun
{{- end }}

{{/* Labels that select the pods of one component: (list root component) */}}
{{- define "longrun.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: longrun
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Reference of an image: (list root "name") */}}
{{- define "longrun.image" -}}
{{- $root := index . 0 -}}
{{- $image := index $root.Values.images (index . 1) -}}
{{- $repository := include "longrun.mirrored" (list $root.Values.images.registry $image.repository) -}}
{{- if $image.digest -}}
{{ $repository }}@{{ $image.digest }}
{{- else -}}
{{ $repository }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* A repository moved to a registry: (list registry repository). Replaces the host, unless it is in the registry already */}}
{{- define "longrun.mirrored" -}}
{{- $registry := index . 0 -}}
{{- $repository := index . 1 -}}
{{- if or (not $registry) (hasPrefix (printf "%s/" $registry) $repository) -}}
{{ $repository }}
{{- else -}}
{{ $registry }}/{{ regexReplaceAll "^(localhost|[^/]*[.:][^/]*)/" $repository "" }}
{{- end -}}
{{- end }}

{{/* Environment variables of every container: telemetry off */}}
{{- define "longrun.quiet" -}}
- name: DO_NOT_TRACK
  value: "true"
{{- end }}

{{- define "longrun.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Security context for restricted Pod Security, for a pod that runs as the given user */}}
{{- define "longrun.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "longrun.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Names and addresses of the services of this release */}}
{{- define "longrun.database.host" -}}
{{- if .Values.database.bundled.enabled }}{{ .Release.Name }}-postgres{{ else }}{{ .Values.database.host }}{{ end -}}
{{- end }}

{{- define "longrun.database.secret" -}}
{{- .Values.database.existingSecret | default (printf "%s-postgres" .Release.Name) -}}
{{- end }}

{{- define "longrun.database.port" -}}
{{- if .Values.database.bundled.enabled }}5432{{ else }}{{ .Values.database.port }}{{ end -}}
{{- end }}

{{/* Whether the database's certificate is checked against a certificate authority */}}
{{- define "longrun.database.verified" -}}
{{- if and (not .Values.database.bundled.enabled) (hasPrefix "verify-" .Values.database.sslMode) }}true{{ end -}}
{{- end }}

{{/* URI of the database without the password, which libpq reads from PGPASSWORD */}}
{{- define "longrun.database.uri" -}}
{{- $tls := ternary "disable" .Values.database.sslMode .Values.database.bundled.enabled -}}
postgresql+psycopg2://{{ .Values.database.user }}@{{ include "longrun.database.host" . }}:{{ include "longrun.database.port" . }}/{{ .Values.database.name }}?sslmode={{ $tls }}
{{- if include "longrun.database.verified" . }}&sslrootcert=/etc/postgres/ca.crt{{ end -}}
{{- end }}

{{/* The certificate authority's certificate, as a volume */}}
{{- define "longrun.database.authority" -}}
{{- if include "longrun.database.verified" . }}
- name: authority
  secret:
    secretName: {{ include "longrun.database.secret" . }}
    items:
      - {key: ca.crt, path: ca.crt}
{{- end }}
{{- end }}

{{- define "longrun.store.endpoint" -}}
{{- if .Values.store.bundled.enabled }}http://{{ .Release.Name }}-store:8333{{ else }}{{ .Values.store.endpoint }}{{ end -}}
{{- end }}

{{- define "longrun.store.secret" -}}
{{- if .Values.store.bundled.enabled }}{{ .Values.store.existingSecret | default (printf "%s-store" .Release.Name) }}{{ else }}{{ .Values.store.existingSecret }}{{ end -}}
{{- end }}

{{/* Whether this is a trial: both stores are bundled, and secrets may be generated */}}
{{- define "longrun.trial" -}}
{{- if and .Values.database.bundled.enabled .Values.store.bundled.enabled }}true{{ end -}}
{{- end }}

{{- define "longrun.mlflow.secret" -}}
{{- .Values.mlflow.auth.existingSecret | default (printf "%s-mlflow" .Release.Name) -}}
{{- end }}

{{/* A generated secret value that upgrades keep: (list secret key length), where secret is the result of lookup */}}
{{- define "longrun.kept" -}}
{{- $found := index . 0 -}}
{{- $key := index . 1 -}}
{{- if and $found (hasKey ($found.data | default dict) $key) -}}
{{ index $found.data $key }}
{{- else -}}
{{ randAlphaNum (index . 2) | b64enc }}
{{- end -}}
{{- end }}

{{/* Environment variables of containers that use the database */}}
{{- define "longrun.database.env" -}}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "longrun.database.secret" . }}
      key: password
{{- end }}

{{/* Environment variables of containers that use the store */}}
{{- define "longrun.store.env" -}}
- name: AWS_DEFAULT_REGION
  value: {{ .Values.store.region }}
{{- with include "longrun.store.endpoint" . }}
- name: MLFLOW_S3_ENDPOINT_URL
  value: {{ . }}
- name: MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE
  value: path
{{- end }}
{{- with include "longrun.store.secret" . }}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: AWS_ACCESS_KEY_ID
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: AWS_SECRET_ACCESS_KEY
{{- end }}
{{- end }}

{{/* Fail early, with a clear message, on values that would fail later */}}
{{- define "longrun.validate" -}}
{{- with .Values.database }}
{{- if not .bundled.enabled }}
{{- if not .host }}{{ fail "database.host is empty: set it to your Postgres, or set database.bundled.enabled=true for a trial" }}{{ end }}
{{- if not .existingSecret }}{{ fail "database.existingSecret is empty: name a Secret with the key password" }}{{ end }}
{{- if and $.Values.networkPolicy.enabled (not $.Values.networkPolicy.databaseCidrs) }}{{ fail "networkPolicy.databaseCidrs is empty: MLflow could not reach database.host; list its addresses" }}{{ end }}
{{- end }}
{{- end }}
{{- if and (not .Values.store.bundled.enabled) .Values.networkPolicy.enabled (not .Values.networkPolicy.storeCidrs) }}{{ fail "networkPolicy.storeCidrs is empty: pods could not reach the store; list its addresses" }}{{ end }}
{{- if and (not (include "longrun.trial" .)) (not .Values.mlflow.auth.existingSecret) }}{{ fail "mlflow.auth.existingSecret is empty: name a Secret with the keys username, password and secret-key" }}{{ end }}
{{- if .Values.mlflow.ingress.enabled }}
{{- if not .Values.mlflow.ingress.host }}{{ fail "mlflow.ingress.host is empty" }}{{ end }}
{{- if not .Values.mlflow.ingress.tlsSecret }}{{ fail "mlflow.ingress.tlsSecret is empty: basic auth must not be sent unencrypted" }}{{ end }}
{{- end }}
{{- if and .Values.retention.enabled (not .Values.retention.homeClaim) }}{{ fail "retention.homeClaim is empty: name the PersistentVolumeClaim that holds the home" }}{{ end }}
{{- if not (gt (int .Values.priorityClasses.services) (int .Values.priorityClasses.training)) }}{{ fail "priorityClasses.services must be above priorityClasses.training" }}{{ end }}
{{- if not (gt (int .Values.priorityClasses.training) (int .Values.priorityClasses.evaluation)) }}{{ fail "priorityClasses.training must be above priorityClasses.evaluation" }}{{ end }}
{{- end }}
