{{/* Names and labels. */}}

{{- define "mylist.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 50 characters, so that the name fits into 63 with a suffix too. */}}
{{- define "mylist.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "mylist.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "mylist.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "mylist.selectorLabels" -}}
app.kubernetes.io/name: {{ include "mylist.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mylist.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "mylist.selectorLabels" . }}
{{- with .Values.image.tag | default .Chart.AppVersion }}
app.kubernetes.io/version: {{ . | trunc 63 | quote }}
{{- end }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: mylist
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The labels that identify a pod. The chart's version is not among them: it would restart every pod at each upgrade. */}}
{{- define "mylist.podIdentity" -}}
{{ include "mylist.selectorLabels" .context }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: mylist
{{- end }}

{{/* Labels of a pod, (dict "context" . "component" "seed" "labels" map). */}}
{{- define "mylist.podLabels" -}}
{{- include "mylist.overlaid" (list (.context.Values.global).podLabels .labels (include "mylist.podIdentity" . | fromYaml)) }}
{{- end }}

{{/* Name, namespace, labels and annotations of an object: (dict "context" $ "suffix" "seed" "component" "seed" ...). */}}
{{- define "mylist.metadata" -}}
{{- $root := .context -}}
name: {{ include "mylist.fullname" $root }}{{ with .suffix }}-{{ . }}{{ end }}
namespace: {{ .namespace | default $root.Release.Namespace }}
labels:
  {{- $labels := include "mylist.labels" $root | fromYaml }}
  {{- with .component }}
  {{- $_ := set $labels "app.kubernetes.io/component" . }}
  {{- end }}
  {{- range $name, $value := .labels }}
  {{- $_ := set $labels $name $value }}
  {{- end }}
  {{- toYaml $labels | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) ($root.Values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "mylist.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "mylist.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "mylist.image" -}}
{{- $tag := .Values.image.tag | default (ternary .Chart.AppVersion "" (empty .Values.image.digest)) -}}
{{- include "mylist.imageName" (dict "image" .Values.image "tag" $tag "global" .Values.global) }}
{{- end }}

{{/* The grace period of a pod in seconds: the time of its regular shutdown, and 10 to close its connections. */}}
{{- define "mylist.gracePeriod" -}}
{{- $sum := addf .Values.preStopSleepSeconds .Values.settings.shutdownDelay .Values.settings.shutdownTimeout -}}
{{- .Values.terminationGracePeriodSeconds | default (add (ceil $sum) 10) }}
{{- end }}
