{{/* What the subcharts need as well. Nothing here reads the values of one chart: each gives its own. */}}

{{/* An image, (dict "image" .Values.image "tag" "1.0.0" "global" .Values.global): `global.imageRegistry` stands in the place of its registry. */}}
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

{{/* The Secrets to pull a pod's images with, by the values of its chart: those of `global`, then its own. */}}
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

{{/* Maps over each other, the later over the earlier; nothing if all are empty. For labels and annotations: of every pod, of one, the chart's own. */}}
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
A security context, (dict "context" . "security" map). OpenShift gives every namespace a range of ids of its own and refuses others, so
none is named there.
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

{{/* Requests and limits without those that are empty, which is how an umbrella chart leaves out what is a default here. */}}
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
Refuses values that are null and needed, (dict "values" .Values "needed" map "chart" "mongodb"). `needed` has the keys of each
group, by its path; those of the whole by "". Helm takes a key that is null away, its default too, before a schema sees it.
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
