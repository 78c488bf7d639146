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

{{/* The key of the password in the Secret. Only an existing Secret may have another key. */}}
{{- define "redis.secretKey" -}}
{{- ternary .Values.auth.passwordKey "redis-password" (not (empty .Values.auth.existingSecret)) }}
{{- end }}

{{/*
The password of the chart's Secret: from the values, else from the cluster, else generated. It is empty if the chart must not generate
it. All callers in one rendering get the same password, because the first one stores it.
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
# Redis is only a cache, so it may evict any key. It evicts the least recently used keys: a current fence or lease was written just now.
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
