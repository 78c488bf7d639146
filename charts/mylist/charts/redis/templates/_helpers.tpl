{{- define "redis.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "redis.fullname" -}}
{{- .Values.fullnameOverride | default (printf "%s-%s" .Release.Name (include "redis.name" .)) | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "redis.selectorLabels" -}}
app.kubernetes.io/name: {{ include "redis.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: redis
{{- end }}

{{- define "redis.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "redis.selectorLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: mylist
{{- end }}

{{- define "redis.metadata" -}}
name: {{ include "redis.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "redis.labels" . | nindent 2 }}
{{- end }}

{{- define "redis.host" -}}
{{ include "redis.fullname" . }}.{{ .Release.Namespace }}
{{- end }}

{{- define "redis.secretName" -}}
{{- .Values.auth.existingSecret | default (include "redis.fullname" .) }}
{{- end }}

{{/* Which key of the Secret has the password: another one only in a Secret of one's own. */}}
{{- define "redis.secretKey" -}}
{{- ternary .Values.auth.passwordKey "redis-password" (not (empty .Values.auth.existingSecret)) }}
{{- end }}

{{/*
The password of the Secret made here: the one of the values, else the one that the cluster has, else one that is made up; empty if
none may be. It is remembered, so that all who ask in one rendering get the same.
*/}}
{{- define "redis.password" -}}
{{- $auth := .Values.auth -}}
{{- if not $auth.existingSecret -}}
{{- if not $auth.password -}}
{{- $kept := (lookup "v1" "Secret" .Release.Namespace (include "redis.fullname" .)).data | default dict -}}
{{- $made := ternary "" (randAlphaNum 32) (eq (toString (.Values.global).generatePasswords) "false") -}}
{{- $_ := set $auth "password" (get $kept "redis-password" | b64dec | default $made) -}}
{{- end -}}
{{- $auth.password }}
{{- end -}}
{{- end }}

{{/* The options of redis-server that values decide; `extraArgs` may have others. */}}
{{- define "redis.options" -}}
# Nothing but a cache. Any key may go, so the least recently used do: a fence or a lease in force was written just now.
- --port
- {{ .Values.service.port | quote }}
- --save
- {{ ternary .Values.persistence.save "" .Values.persistence.enabled | quote }}
- --appendonly
- "no"
- --maxmemory
- {{ .Values.maxMemory | quote }}
- --maxmemory-policy
- allkeys-lru
- --requirepass
- $(REDISCLI_AUTH)
{{- end }}

{{/* The variables of Redis' container; `extraEnv` may have others. */}}
{{- define "redis.variables" -}}
- name: REDISCLI_AUTH
  valueFrom:
    secretKeyRef: {name: {{ include "redis.secretName" . }}, key: {{ include "redis.secretKey" . }}}
{{- end }}
