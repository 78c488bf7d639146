{{/*
Templates that compare the values with the objects in the cluster, so that an upgrade changes nothing unnoticed. Without access to the
cluster (`helm template`, Argo CD), `lookup` finds nothing, and only the values decide.
*/}}

{{/*
The number of pods of the Deployment, as YAML. `replicas` is the number to set, null if an autoscaler decides. `wanted` is the number in
the values. `live` is the number in the cluster, null without a Deployment. `kept` says whether `replicas` is `live` instead of `wanted`.

Kubernetes records which client has set the number. With server-side apply, Helm must not omit a number that it has set itself, or the
number falls to one. And Helm must not set a different number than another client has set, because the upgrade would then end in a
conflict. The annotation has the number of the values at the last upgrade. If an operator has changed it in the values since then, the
new number takes precedence.
*/}}
{{- define "mylist.scale" -}}
{{- $wanted := ternary 1 (int .Values.replicas) (kindIs "invalid" .Values.replicas) -}}
{{- $scales := or .Values.autoscaling.enabled .Values.keda.enabled -}}
{{- $deployment := lookup "apps/v1" "Deployment" .Release.Namespace (include "mylist.fullname" .) -}}
{{- if not $deployment -}}
{{- dict "wanted" $wanted "replicas" (ternary nil $wanted $scales) "kept" false "live" nil | toYaml -}}
{{- else -}}
{{- $live := dig "spec" "replicas" 1 $deployment | int -}}
{{- $fields := dig "metadata" "managedFields" list $deployment -}}
{{- $applied := false -}}
{{- range $fields -}}
{{- $applied = or $applied (eq (get . "operation") "Apply") -}}
{{- end -}}
{{- $byHelm := false -}}
{{- $byOthers := false -}}
{{- range $fields -}}
{{- if hasKey (dig "fieldsV1" "f:spec" dict .) "f:replicas" -}}
{{- $byHelm = or $byHelm (eq (get . "operation") "Apply") -}}
{{- $byOthers = or $byOthers (and (ne (get . "operation") "Apply") (or $applied (eq (get . "subresource") "scale"))) -}}
{{- end -}}
{{- end -}}
{{- $before := dig "metadata" "annotations" "mylist/replicas" "" $deployment -}}
{{- if $scales -}}
{{- dict "wanted" $wanted "replicas" (ternary $live nil (or $byHelm (not $applied))) "kept" false "live" $live | toYaml -}}
{{- else if and $byOthers (ne $live $wanted) (has $before (list "" (toString $wanted))) -}}
{{- dict "wanted" $wanted "replicas" $live "kept" true "live" $live | toYaml -}}
{{- else -}}
{{- dict "wanted" $wanted "replicas" $wanted "kept" false "live" $live | toYaml -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* A quantity of Kubernetes as a whole number of bytes, because the API server writes 8192Mi as 8Gi. */}}
{{- define "mylist.bytes" -}}
{{- $text := ternary (printf "%.0f" .) (toString .) (kindIs "float64" .) -}}
{{- $number := regexFind "^[0-9.]+" $text -}}
{{- $factors := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "P" 1000000000000000 "E" 1000000000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976 -}}
{{- mulf $number (get $factors (trimPrefix $number $text)) | printf "%.0f" -}}
{{- end }}

{{/*
Changes of immutable fields, which Kubernetes would refuse in the middle of an upgrade, as a JSON list of messages with the remedy.
*/}}
{{- define "mylist.immutable" -}}
{{- $messages := list -}}
{{- $namespace := .Release.Namespace -}}
{{- range $store := list "mongodb" "redis" -}}
{{- if (get $.Values $store).enabled -}}
{{- $values := get $.Values $store -}}
{{- $name := include (printf "%s.fullname" $store) (get $.Subcharts $store) -}}
{{- $set := lookup "apps/v1" "StatefulSet" $namespace $name -}}
{{- if $set -}}
{{- $delete := printf "kubectl --namespace %s delete statefulset %s" $namespace $name -}}
{{- $claim := printf "data-%s-0" $name -}}
{{- $selector := include (printf "%s.selectorLabels" $store) (get $.Subcharts $store) | fromYaml -}}
{{- if ne (toJson $selector) (dig "spec" "selector" "matchLabels" dict $set | toJson) -}}
{{- $messages = append $messages (printf "%s.nameOverride changes the selector of StatefulSet %s, which cannot be changed; set it back or, if the change is intended, run `%s` and upgrade again" $store $name $delete) -}}
{{- end -}}
{{- $claims := dig "spec" "volumeClaimTemplates" list $set -}}
{{- if and $claims (not $values.persistence.enabled) -}}
{{- $messages = append $messages (printf "%s.persistence.enabled is false and StatefulSet %s has the volume %s: it would start without data; set it to true or, if that is intended, run `%s` and upgrade again (the volume stays)" $store $name $claim $delete) -}}
{{- else if and (not $claims) $values.persistence.enabled -}}
{{- $messages = append $messages (printf "%s.persistence.enabled is true and StatefulSet %s has no volume, so its data is lost with its pod; set it to false or, if a volume is intended, save the data, run `%s` and upgrade again" $store $name $delete) -}}
{{- else if $claims -}}
{{- $template := first $claims -}}
{{- $size := dig "spec" "resources" "requests" "storage" "" $template -}}
{{- $class := dig "spec" "storageClassName" "" $template -}}
{{- $wanted := $values.persistence -}}
{{- if ne $class (default "" $wanted.storageClass) -}}
{{- $messages = append $messages (printf "%s.persistence.storageClass is %q and the volume %s has %q, which cannot change; set it back or, for a new and empty volume, save what is needed, run `%s` and `kubectl --namespace %s delete pvc %s`, and upgrade again" $store (default "" $wanted.storageClass) $claim $class $delete $namespace $claim) -}}
{{- end -}}
{{- $now := include "mylist.bytes" $size | float64 -}}
{{- $then := include "mylist.bytes" $wanted.size | float64 -}}
{{- if gt $then $now -}}
{{- $patch := printf `{"spec":{"resources":{"requests":{"storage":"%v"}}}}` $wanted.size -}}
{{- $messages = append $messages (printf "%s.persistence.size is %v and the volume %s has %v: `helm upgrade` cannot make it larger; run `kubectl --namespace %s patch pvc %s --patch '%s'`, then `%s --cascade=orphan`, and upgrade again" $store $wanted.size $claim $size $namespace $claim $patch $delete) -}}
{{- else if lt $then $now -}}
{{- $messages = append $messages (printf "%s.persistence.size is %v and the volume %s has %v: a volume cannot be made smaller; set it back" $store $wanted.size $claim $size) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $deployment := lookup "apps/v1" "Deployment" $namespace (include "mylist.fullname" .) -}}
{{- if $deployment -}}
{{- $selector := include "mylist.selectorLabels" . | fromYaml -}}
{{- $_ := set $selector "app.kubernetes.io/component" "api" -}}
{{- if ne (toJson $selector) (dig "spec" "selector" "matchLabels" dict $deployment | toJson) -}}
{{- $messages = append $messages (printf "nameOverride changes the selector of Deployment %s, which cannot be changed; set it back or, if an outage is acceptable, run `kubectl --namespace %s delete deployment %s` and upgrade again" (include "mylist.fullname" .) $namespace (include "mylist.fullname" .)) -}}
{{- end -}}
{{- end -}}
{{- $messages | toJson -}}
{{- end }}
