{{/* Ports and peers of the network policies. */}}

{{- define "mylist.dnsRule" -}}
- {{ if .Values.networkPolicy.dnsTo }}to:
    {{- toYaml .Values.networkPolicy.dnsTo | nindent 4 }}
  {{ end }}ports:
    {{- range .Values.networkPolicy.dnsPorts }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}

{{/* Egress to some peers, or to any address, on these ports: (dict "to" list "ports" list). */}}
{{- define "mylist.egressRule" -}}
- {{ if .to }}to:
    {{- toYaml .to | nindent 4 }}
  {{ end }}ports:
    {{- range .ports | uniq }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}

{{/* One pod of the release, by its component. */}}
{{- define "mylist.componentPeer" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/instance: {{ .context.Release.Name }}
      app.kubernetes.io/part-of: mylist
      app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "mylist.mongodbRule" -}}
{{- if .Values.mongodb.enabled }}
{{- $to := include "mylist.componentPeer" (dict "context" . "component" "mongodb") | fromYamlArray }}
{{- include "mylist.egressRule" (dict "to" $to "ports" (list .Subcharts.mongodb.Values.service.port)) }}
{{- else }}
{{- include "mylist.egressRule" (dict "to" .Values.networkPolicy.mongodbTo "ports" (include "mylist.externalMongodbPorts" . | fromJsonArray)) }}
{{- end }}
{{- end }}

{{- define "mylist.redisRule" -}}
{{- if .Values.redis.enabled }}
{{- $to := include "mylist.componentPeer" (dict "context" . "component" "redis") | fromYamlArray }}
{{- include "mylist.egressRule" (dict "to" $to "ports" (list .Subcharts.redis.Values.service.port)) }}
{{- else }}
{{- include "mylist.egressRule" (dict "to" .Values.networkPolicy.redisTo "ports" (include "mylist.externalRedisPorts" . | fromJsonArray)) }}
{{- end }}
{{- end }}

{{/* Egress to some peers, or to any address, on the port of a URL: (dict "to" list "url" string). */}}
{{- define "mylist.urlRule" -}}
{{- $url := urlParse .url }}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary "443" "80" (eq $url.scheme "https")) }}
{{- include "mylist.egressRule" (dict "to" .to "ports" (list $port)) }}
{{- end }}

{{- define "mylist.tracingRule" -}}
{{- with .Values.tracing.endpoint }}
{{- include "mylist.urlRule" (dict "to" $.Values.networkPolicy.tracingTo "url" .) }}
{{- end }}
{{- end }}

{{- define "mylist.jwksRule" -}}
{{- with .Values.settings.jwtJwksUrl }}
{{- include "mylist.urlRule" (dict "to" $.Values.networkPolicy.jwksTo "url" .) }}
{{- end }}
{{- end }}

{{/* The ports that the hosts of a connection string name, as JSON. */}}
{{- define "mylist.externalMongodbPorts" -}}
{{- with .Values.externalMongodb -}}
{{- $ports := .ports | default list -}}
{{- if not $ports -}}
{{- range regexFind "^[^/?]+" (regexReplaceAll "^mongodb(\\+srv)?://" (.uri | default "") "") | splitList "," -}}
{{- $ports = append $ports (regexFind "[0-9]+$" (regexFind ":[0-9]+$" .) | default "27017" | int) -}}
{{- end -}}
{{- end -}}
{{- $ports | uniq | toJson }}
{{- end -}}
{{- end }}

{{- define "mylist.externalRedisPorts" -}}
{{- with .Values.externalRedis -}}
{{- $ports := .ports | default list -}}
{{- if not $ports -}}
{{- $usual := ternary "26379" "6379" (eq .mode "sentinel") -}}
{{- range .hosts -}}
{{- $ports = append $ports (regexFind "[0-9]+$" (regexFind ":[0-9]+$" .) | default $usual | int) -}}
{{- end -}}
{{- if eq .mode "sentinel" -}}
{{- $ports = append $ports 6379 -}}
{{- end -}}
{{- end -}}
{{- $ports | uniq | toJson }}
{{- end -}}
{{- end }}
