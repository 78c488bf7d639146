{{- define "mongodb.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "mongodb.fullname" -}}
{{- .Values.fullnameOverride | default (printf "%s-%s" .Release.Name (include "mongodb.name" .)) | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "mongodb.selectorLabels" -}}
app.kubernetes.io/name: {{ include "mongodb.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: mongodb
{{- end }}

{{- define "mongodb.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "mongodb.selectorLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: mylist
{{- end }}

{{- define "mongodb.metadata" -}}
name: {{ include "mongodb.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "mongodb.labels" . | nindent 2 }}
{{- end }}

{{- define "mongodb.uri" -}}
mongodb://{{ include "mongodb.fullname" . }}.{{ .Release.Namespace }}:{{ .Values.service.port }}/{{ .Values.auth.database }}
{{- end }}

{{- define "mongodb.secretName" -}}
{{- .Values.auth.existingSecret | default (include "mongodb.fullname" .) }}
{{- end }}

{{/* The key of a password in the Secret, (dict "context" . "key" "mongodb-password"). Only an existing Secret may have other keys. */}}
{{- define "mongodb.secretKey" -}}
{{- $keys := dict "mongodb-root-password" "rootPasswordKey" "mongodb-password" "passwordKey" "mongodb-exporter-password" "exporterPasswordKey" -}}
{{- $auth := .context.Values.auth -}}
{{- ternary (get $auth (get $keys .key)) .key (not (empty $auth.existingSecret)) }}
{{- end }}

{{/*
A password of the chart's Secret, (dict "context" . "key" "mongodb-password"): from the values, else from the cluster, else generated.
It is empty if the chart must not generate it. All callers in one rendering get the same password, because the first one stores it.
*/}}
{{- define "mongodb.password" -}}
{{- $auth := .context.Values.auth -}}
{{- if not $auth.existingSecret -}}
{{- $name := get (dict "mongodb-root-password" "rootPassword" "mongodb-password" "password" "mongodb-exporter-password" "exporterPassword") .key -}}
{{- if not (get $auth $name) -}}
{{- $kept := (lookup "v1" "Secret" .context.Release.Namespace (include "mongodb.fullname" .context)).data | default dict -}}
{{- $made := ternary "" (randAlphaNum 32) (eq (toString (.context.Values.global).generatePasswords) "false") -}}
{{- $_ := set $auth $name (get $kept .key | b64dec | default $made) -}}
{{- end -}}
{{- get $auth $name }}
{{- end -}}
{{- end }}

{{/* The options of mongod that values decide; `extraArgs` may have others. */}}
{{- define "mongodb.options" -}}
- --quiet
# With the image's --bind_ip_all, mongod listens on addresses of both families. Without IPv6 it logs a warning and continues.
- --ipv6
- --port={{ .Values.service.port }}
- --wiredTigerCacheSizeGB={{ .Values.cacheSizeGB }}
{{- end }}

{{/* The variables of MongoDB's container; `extraEnv` may have others. */}}
{{- define "mongodb.variables" -}}
- name: MONGO_INITDB_ROOT_USERNAME
  value: root
- name: MONGO_INITDB_ROOT_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ include "mongodb.secretName" . }}, key: {{ include "mongodb.secretKey" (dict "context" . "key" "mongodb-root-password") }}}
- name: MYLIST_DATABASE
  value: {{ .Values.auth.database | quote }}
# Of the first start alone: by a reference, so that another user later starts no pod anew.
- name: MYLIST_USER
  valueFrom:
    configMapKeyRef: {name: {{ include "mongodb.fullname" . }}, key: username}
- name: MYLIST_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ include "mongodb.secretName" . }}, key: {{ include "mongodb.secretKey" (dict "context" . "key" "mongodb-password") }}}
{{- if or .Values.exporter.enabled (not .Values.auth.existingSecret) }}
- name: EXPORTER_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ include "mongodb.secretName" . }}, key: {{ include "mongodb.secretKey" (dict "context" . "key" "mongodb-exporter-password") }}}
{{- end }}
{{- end }}
