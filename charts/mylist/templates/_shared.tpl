{{/* Templates that the subcharts use too. They do not read the values of one chart: each chart passes its own. */}}

{{/* An image, (dict "image" .Values.image "tag" "1.0.0" "global" .Values.global): `global.imageRegistry` replaces its registry. */}}
{{- define "mylist.imageName" -}}
{{- $repository := .image.repository -}}
{{- with (.global | default dict).imageRegistry -}}
{{- $first := splitList "/" $repository | first -}}
{{- if and (contains "/" $repository) (or (regexMatch "[.:]" $first) (eq $first "localhost")) -}}
{{- $repository = trimPrefix (print $first "/") $repository -}}
{{- end -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository -}}
{{- end -}}
{{- $repository }}{{ with .tag }}:{{ . }}{{ end }}{{ with .image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* The Secrets for pulling a pod's images: those of `global`, then those of its chart. */}}
{{- define "mylist.imagePullSecrets" -}}
{{- $secrets := list -}}
{{- range concat ((.global | default dict).imagePullSecrets | default list) (.imagePullSecrets | default list) -}}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with uniq $secrets -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end }}

{{/* Merge maps: later ones override earlier ones. Empty if all are empty. It is for labels and annotations: those of every pod, those of one pod, then the chart's own. */}}
{{- define "mylist.overlaid" -}}
{{- $all := dict -}}
{{- range . -}}
{{- range $name, $value := . -}}
{{- $_ := set $all $name $value -}}
{{- end -}}
{{- end -}}
{{- with $all }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/*
A security context, (dict "context" . "security" map). OpenShift gives every namespace its own range of ids and refuses others, so the
context has no ids on OpenShift.
*/}}
{{- define "mylist.securityContext" -}}
{{- $adapt := ((((.context.Values.global).compatibility).openshift).adaptSecurityContext) | default "auto" -}}
{{- $isOpenshift := .context.Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- if or (eq $adapt "force") (and (eq $adapt "auto") $isOpenshift) -}}
{{- omit .security "runAsUser" "runAsGroup" "fsGroup" | toYaml }}
{{- else -}}
{{- toYaml .security }}
{{- end -}}
{{- end }}

{{/* Requests and limits without empty amounts. With an empty amount, an umbrella chart removes a default of this chart. */}}
{{- define "mylist.resources" -}}
{{- $resources := dict -}}
{{- range $kind, $amounts := . -}}
{{- $given := dict -}}
{{- range $name, $amount := $amounts -}}
{{- if not (or (kindIs "invalid" $amount) (eq (toString $amount) "")) -}}
{{- $_ := set $given $name $amount -}}
{{- end -}}
{{- end -}}
{{- with $given -}}
{{- $_ := set $resources $kind . -}}
{{- end -}}
{{- end -}}
{{- toYaml $resources }}
{{- end }}

{{/* How an endpoint of a ServiceMonitor is scraped: (dict "monitor" .Values.serviceMonitor "job" "mylist"). */}}
{{- define "mylist.monitorEndpoint" -}}
{{- with .monitor.interval -}}
interval: {{ . }}
{{ end -}}
{{- with .monitor.scrapeTimeout -}}
scrapeTimeout: {{ . }}
{{ end -}}
relabelings:
  # The rules and dashboards go by the name of the job.
  - targetLabel: job
    replacement: {{ .job }}
  {{- with .monitor.relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .monitor.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
Refuse values that are required and null, (dict "values" .Values "needed" map "chart" "mongodb"). `needed` has the required keys
of each group, by the path of the group; the path "" is the top level. Helm removes a key that is null, with its default, before it
applies the schema.
*/}}
{{- define "mylist.refuseNulls" -}}
{{- $refuse := list -}}
{{- range $group, $keys := .needed -}}
{{- range $key := $keys -}}
{{- $at := $.values -}}
{{- $path := compact (list $.chart) -}}
{{- $there := true -}}
{{- range $part := compact (append (splitList "." $group) $key) -}}
{{- if $there -}}
{{- $path = append $path $part -}}
{{- $at = get $at $part -}}
{{- $there = not (or (kindIs "invalid" $at) (and (kindIs "string" $at) (eq $at ""))) -}}
{{- end -}}
{{- end -}}
{{- if not $there -}}
{{- $refuse = append $refuse (printf "%s has no value, for example because all entries below it are commented out; give it one, or delete the key to get the default" (join "." $path)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $refuse | uniq | sortAlpha -}}
{{- fail (printf "\n  - %s" (join "\n  - " .)) -}}
{{- end -}}
{{- end }}
