{{/* The parts that the pods of the service, the seed Job and the test share. */}}
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

{{/* The parts that the containers of these pods share. */}}
{{- define "mylist.container" -}}
image: {{ include "mylist.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "mylist.securityContext" (dict "context" . "security" .Values.securityContext) | nindent 2 }}
envFrom:
  - configMapRef:
      name: {{ include "mylist.fullname" . }}
{{- end }}
