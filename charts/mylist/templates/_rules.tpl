{{/* The rules of a file, changed as the values require. The templates of Prometheus in them remain unchanged. */}}

{{/* The end of an expression that has a threshold. A comparison with 0 has none: it only checks whether there is anything. */}}
{{- define "mylist.threshold" -}}
([<>]=? )(0\.[0-9]*[1-9]|[1-9][0-9.]*)\s*$
{{- end }}

{{/* Every alert with its expression, as YAML. If an alert has several rules, for several burn rates, the last one counts. */}}
{{- define "mylist.alerts" -}}
{{- $alerts := dict -}}
{{- range $path, $_ := .Files.Glob "files/rules/*.yaml" -}}
{{- range ($.Files.Get $path | fromYaml).groups -}}
{{- range .rules -}}
{{- if .alert -}}
{{- $_ := set $alerts .alert .expr -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $alerts -}}
{{- end }}

{{/* The groups of a file, (dict "context" $ "path" "files/rules/service.yaml"), as YAML; a group without rules is left out. */}}
{{- define "mylist.ruleGroups" -}}
{{- $values := .context.Values.prometheusRule -}}
{{- $prefix := "" -}}
{{- with $values.runbookUrl -}}
{{- $prefix = printf "%s/" (trimSuffix "/" .) -}}
{{- end -}}
{{- $groups := list -}}
{{- range $group := (.context.Files.Get .path | fromYaml).groups -}}
{{- $rules := list -}}
{{- range $rule := $group.rules -}}
{{- if $rule.alert -}}
{{- $change := get ($values.alerts | default dict) $rule.alert | default dict -}}
{{- $severity := get ($values.severities | default dict) $rule.labels.severity | default $rule.labels.severity -}}
{{- $labels := merge (dict) ($change.labels | default dict) (dict "severity" ($change.severity | default $severity)) ($values.alertLabels | default dict) $rule.labels -}}
{{- $runbook := dict "runbook_url" (print $prefix $rule.annotations.runbook_url) -}}
{{- $annotations := merge (dict) ($change.annotations | default dict) ($values.alertAnnotations | default dict) $runbook $rule.annotations -}}
{{- $rule = merge (dict "labels" $labels "annotations" $annotations) $rule -}}
{{- with $change.for -}}
{{- $_ := set $rule "for" . -}}
{{- end -}}
{{- if not (kindIs "invalid" $change.threshold) -}}
{{- $_ := set $rule "expr" (regexReplaceAll (include "mylist.threshold" $) $rule.expr (print "${1}" (include "mylist.text" $change.threshold))) -}}
{{- end -}}
{{- if ne (toString $change.enabled) "false" -}}
{{- $rules = append $rules $rule -}}
{{- end -}}
{{- else -}}
{{- $rules = append $rules $rule -}}
{{- end -}}
{{- end -}}
{{- with $rules -}}
{{- $groups = append $groups (dict "name" $group.name "rules" .) -}}
{{- end -}}
{{- end -}}
{{- with $groups -}}
{{- toYaml . -}}
{{- end -}}
{{- end }}
