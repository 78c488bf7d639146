{{/* The data of the chart's Secret: passwords of external stores and the secret of tokens, if the values have them. */}}
{{- define "mylist.ownSecrets" -}}
{{- if and (not .Values.mongodb.enabled) .Values.externalMongodb.password }}
mongodb-password: {{ .Values.externalMongodb.password | b64enc }}
{{- end }}
{{- if and (not .Values.redis.enabled) .Values.externalRedis.password }}
redis-password: {{ .Values.externalRedis.password | b64enc }}
{{- end }}
{{- if .Values.jwt.secret }}
jwt-secret: {{ .Values.jwt.secret | b64enc }}
{{- end }}
{{- end }}

{{/* Every password that the chart knows, for the checksum on the pod: a changed password restarts the pods. */}}
{{- define "mylist.secrets" -}}
{{- include "mylist.ownSecrets" . }}
{{- if .Values.mongodb.enabled }}
{{ include "mongodb.password" (dict "context" .Subcharts.mongodb "key" "mongodb-password") }}
{{- end }}
{{- if .Values.redis.enabled }}
{{ include "redis.password" .Subcharts.redis }}
{{- end }}
{{- end }}
