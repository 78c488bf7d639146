{{/* The environment of the service: its settings, and the addresses of the stores. */}}

{{/* The environment variable of a setting. */}}
{{- define "mylist.variable" -}}
{{- . | snakecase | upper }}
{{- end }}

{{/* A number as the service reads it: never 1e+06. */}}
{{- define "mylist.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* Every variable that is not secret, as YAML. */}}
{{- define "mylist.configuration" -}}
{{- $variables := dict -}}
{{- range $name, $value := .Values.settings -}}
{{- with include "mylist.text" $value -}}
{{- $_ := set $variables (include "mylist.variable" $name) . -}}
{{- end -}}
{{- end -}}
{{- $variables = merge $variables (include "mylist.mongodbVariables" . | fromYaml) (include "mylist.redisVariables" . | fromYaml) -}}
{{- toYaml $variables }}
{{- end }}

{{- define "mylist.mongodbVariables" -}}
{{- if .Values.mongodb.enabled -}}
MONGODB_URI: {{ include "mongodb.uri" .Subcharts.mongodb | quote }}
MONGODB_USER: {{ .Subcharts.mongodb.Values.auth.username | quote }}
{{- else }}
{{- with include "mylist.externalMongodbUri" . }}
MONGODB_URI: {{ . | quote }}
{{- end }}
{{- with .Values.externalMongodb.user }}
MONGODB_USER: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* The connection string, with the TLS options in its query. */}}
{{- define "mylist.externalMongodbUri" -}}
{{- $external := .Values.externalMongodb -}}
{{- if $external.uri -}}
{{- $uri := $external.uri -}}
{{- if $external.tls.enabled -}}
{{- $options := list "tls=true" -}}
{{- if include "mylist.mongodbCa" . -}}
{{- $options = append $options "tlsCAFile=/etc/mylist/mongodb/ca.crt" -}}
{{- end -}}
{{- if not (contains "?" $uri) -}}
{{- $uri = printf "%s%s?" $uri (ternary "" "/" (regexMatch "^[^:]+://[^/]+/" $uri)) -}}
{{- else if not (hasSuffix "?" $uri) -}}
{{- $uri = printf "%s&" $uri -}}
{{- end -}}
{{- $uri = print $uri (join "&" $options) -}}
{{- end -}}
{{- $uri }}
{{- end -}}
{{- end }}

{{- define "mylist.redisVariables" -}}
{{- if .Values.redis.enabled -}}
REDIS_HOST: {{ include "redis.host" .Subcharts.redis | quote }}
REDIS_PORT: {{ .Subcharts.redis.Values.service.port | quote }}
{{- else if not .Values.externalRedis.urlKey -}}
REDIS_URL: {{ include "mylist.externalRedisUrl" . | quote }}
{{- end }}
{{- end }}

{{/* REDIS_URL without the password, which is another variable. */}}
{{- define "mylist.externalRedisUrl" -}}
{{- $external := .Values.externalRedis -}}
{{- $form := get (dict "standalone" "" "sentinel" "+sentinel" "cluster" "+cluster") $external.mode -}}
{{- $path := "" -}}
{{- if ne $external.mode "cluster" -}}
{{- $path = printf "/%v" (int $external.database) -}}
{{- end -}}
{{- if eq $external.mode "sentinel" -}}
{{- $path = printf "/%s%s" $external.sentinelName $path -}}
{{- end -}}
{{- $query := list -}}
{{- if $external.tls.enabled -}}
{{- if include "mylist.redisCa" . -}}
{{- $query = append $query "ssl_ca_certs=/etc/mylist/redis/ca.crt" -}}
{{- end -}}
{{- if $external.tls.clientSecret -}}
{{- $query = concat $query (list "ssl_certfile=/etc/mylist/redis/tls.crt" "ssl_keyfile=/etc/mylist/redis/tls.key") -}}
{{- end -}}
{{- if not $external.tls.checkHostname -}}
{{- $query = append $query "ssl_check_hostname=false" -}}
{{- end -}}
{{- end -}}
{{- if and (eq $external.mode "sentinel") (not $external.sentinelAuth) -}}
{{- $query = concat $query (list "sentinel_username=" "sentinel_password=") -}}
{{- end -}}
{{- ternary "rediss" "redis" $external.tls.enabled }}{{ $form }}://{{ with $external.user }}{{ . }}@{{ end }}
{{- join "," ($external.hosts | default list) }}{{ $path }}{{ with $query }}?{{ join "&" . }}{{ end }}
{{- end }}

{{/* One variable from a Secret. */}}
{{- define "mylist.secretVariable" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end }}

{{- define "mylist.mongodbSecrets" -}}
{{- $external := .Values.externalMongodb -}}
{{- if .Values.mongodb.enabled }}
{{ include "mylist.secretVariable" (dict "name" "MONGODB_PASSWORD" "secret" (include "mongodb.secretName" .Subcharts.mongodb) "key" (include "mongodb.secretKey" (dict "context" .Subcharts.mongodb "key" "mongodb-password"))) }}
{{- else if $external.existingSecret }}
{{- if $external.uriKey }}
{{ include "mylist.secretVariable" (dict "name" "MONGODB_URI" "secret" $external.existingSecret "key" $external.uriKey) }}
{{- else }}
{{- if not $external.user }}
{{ include "mylist.secretVariable" (dict "name" "MONGODB_USER" "secret" $external.existingSecret "key" $external.userKey) }}
{{- end }}
{{ include "mylist.secretVariable" (dict "name" "MONGODB_PASSWORD" "secret" $external.existingSecret "key" $external.passwordKey) }}
{{- end }}
{{- else if $external.password }}
{{ include "mylist.secretVariable" (dict "name" "MONGODB_PASSWORD" "secret" (include "mylist.fullname" .) "key" "mongodb-password") }}
{{- end }}
{{- end }}

{{- define "mylist.redisSecrets" -}}
{{- $external := .Values.externalRedis -}}
{{- if .Values.redis.enabled }}
{{ include "mylist.secretVariable" (dict "name" "REDIS_PASSWORD" "secret" (include "redis.secretName" .Subcharts.redis) "key" (include "redis.secretKey" .Subcharts.redis)) }}
{{- else if $external.existingSecret }}
{{- if $external.urlKey }}
{{ include "mylist.secretVariable" (dict "name" "REDIS_URL" "secret" $external.existingSecret "key" $external.urlKey) }}
{{- else if $external.passwordKey }}
{{ include "mylist.secretVariable" (dict "name" "REDIS_PASSWORD" "secret" $external.existingSecret "key" $external.passwordKey) }}
{{- end }}
{{- else if $external.password }}
{{ include "mylist.secretVariable" (dict "name" "REDIS_PASSWORD" "secret" (include "mylist.fullname" .) "key" "redis-password") }}
{{- end }}
{{- end }}

{{- define "mylist.jwtSecrets" -}}
{{- with .Values.jwt }}
{{- if .existingSecret }}
{{ include "mylist.secretVariable" (dict "name" "JWT_SECRET" "secret" .existingSecret "key" .secretKey) }}
{{- else if .secret }}
{{ include "mylist.secretVariable" (dict "name" "JWT_SECRET" "secret" (include "mylist.fullname" $) "key" "jwt-secret") }}
{{- end }}
{{- end }}
{{- end }}

{{/* The secret variables that the commands need, except those that only the server needs. */}}
{{- define "mylist.commandSecrets" -}}
{{- print (include "mylist.mongodbSecrets" . | trim) "\n" (include "mylist.jwtSecrets" . | trim) | trim }}
{{- end }}

{{/* The variables for traces, with the pod and its node. */}}
{{- define "mylist.tracingVariables" -}}
{{- with .Values.tracing }}
{{- if .endpoint }}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_UID
  valueFrom: {fieldRef: {fieldPath: metadata.uid}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
- name: OTEL_SERVICE_NAME
  value: mylist
- name: OTEL_TRACES_SAMPLER
  value: parentbased_traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ .ratio | quote }}
{{- if .existingSecret }}
{{ include "mylist.secretVariable" (dict "name" "OTEL_EXPORTER_OTLP_HEADERS" "secret" .existingSecret "key" .headersKey) }}
{{- end }}
{{- $attributes := dict
    "k8s.namespace.name" $.Release.Namespace
    "k8s.deployment.name" (include "mylist.fullname" $)
    "k8s.container.name" "mylist"
    "k8s.pod.name" "$(POD_NAME)"
    "k8s.pod.uid" "$(POD_UID)"
    "k8s.node.name" "$(NODE_NAME)" }}
{{- $pairs := list }}
{{- range $name, $value := merge $attributes (.resourceAttributes | default dict) }}
{{- $pairs = append $pairs (printf "%s=%v" $name $value) }}
{{- end }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ join "," $pairs | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* Every variable of the container that is not in the ConfigMap. */}}
{{- define "mylist.env" -}}
{{- $parts := list -}}
{{- range list "mylist.mongodbSecrets" "mylist.redisSecrets" "mylist.jwtSecrets" "mylist.tracingVariables" -}}
{{- $parts = append $parts (include . $ | trim) -}}
{{- end -}}
{{- with .Values.extraEnv -}}
{{- $parts = append $parts (toYaml .) -}}
{{- end -}}
{{- join "\n" (compact $parts) }}
{{- end }}
