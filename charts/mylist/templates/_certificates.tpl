{{/* Certificates of external stores: mounted below /etc/mylist. */}}

{{- define "mylist.mongodbCa" -}}
{{- with .Values.externalMongodb.tls }}{{ .caSecret | default .caConfigMap | default "" }}{{ end }}
{{- end }}

{{- define "mylist.redisCa" -}}
{{- with .Values.externalRedis.tls }}{{ .caSecret | default .caConfigMap | default "" }}{{ end }}
{{- end }}

{{- define "mylist.caSource" -}}
{{- if .caSecret -}}
- secret:
    name: {{ .caSecret }}
{{- else if .caConfigMap -}}
- configMap:
    name: {{ .caConfigMap }}
{{- end }}
    items:
      - {key: {{ .caKey | quote }}, path: ca.crt}
{{- end }}

{{/* Volumes for the pods of the service, the seed Job and the test: the settings of all three name these files. */}}
{{- define "mylist.volumes" -}}
{{- $volumes := .Values.extraVolumes | default list -}}
{{- if and (not .Values.mongodb.enabled) (include "mylist.mongodbCa" .) -}}
{{- $sources := include "mylist.caSource" .Values.externalMongodb.tls | fromYamlArray -}}
{{- $volumes = prepend $volumes (dict "name" "mongodb-certificates" "projected" (dict "sources" $sources)) -}}
{{- end -}}
{{- $sources := include "mylist.redisSources" . | fromYamlArray -}}
{{- if $sources -}}
{{- $volumes = prepend $volumes (dict "name" "redis-certificates" "projected" (dict "sources" $sources)) -}}
{{- end -}}
{{- with $volumes }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{- define "mylist.volumeMounts" -}}
{{- $mounts := .Values.extraVolumeMounts | default list -}}
{{- if and (not .Values.mongodb.enabled) (include "mylist.mongodbCa" .) -}}
{{- $mounts = prepend $mounts (dict "name" "mongodb-certificates" "mountPath" "/etc/mylist/mongodb" "readOnly" true) -}}
{{- end -}}
{{- if include "mylist.redisSources" . | fromYamlArray -}}
{{- $mounts = prepend $mounts (dict "name" "redis-certificates" "mountPath" "/etc/mylist/redis" "readOnly" true) -}}
{{- end -}}
{{- with $mounts }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{- define "mylist.redisSources" -}}
{{- $tls := .Values.externalRedis.tls -}}
{{- if not .Values.redis.enabled }}
{{- if include "mylist.redisCa" . }}
{{ include "mylist.caSource" $tls }}
{{- end }}
{{- with $tls.clientSecret }}
- secret:
    name: {{ . }}
    items:
      - {key: tls.crt, path: tls.crt}
      - {key: tls.key, path: tls.key}
{{- end }}
{{- end }}
{{- end }}
