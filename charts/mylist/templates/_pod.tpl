{{/* What the pods of the service, of the seed Job and of the test have in common. */}}
{{- define "mylist.podSpec" -}}
serviceAccountName: {{ include "mylist.serviceAccountName" . }}
automountServiceAccountToken: false
# A Service called redis would otherwise put its address into REDIS_PORT.
enableServiceLinks: false
securityContext:
  {{- include "mylist.securityContext" (dict "context" . "security" .Values.podSecurityContext) | nindent 2 }}
{{- with include "mylist.imagePullSecrets" .Values }}
{{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* The container that the three have in common, as the mongodb part of the settings is. */}}
{{- define "mylist.container" -}}
image: {{ include "mylist.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "mylist.securityContext" (dict "context" . "security" .Values.securityContext) | nindent 2 }}
envFrom:
  - configMapRef:
      name: {{ include "mylist.fullname" . }}
{{- end }}
