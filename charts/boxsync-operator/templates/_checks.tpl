{{- /* Values that contradict each other. values.schema.json refuses those that are wrong by themselves. */}}
{{- define "boxsync-operator.checks" -}}
{{- if eq (toString .Values.enabled) "false" }}
{{- fail "enabled=false has no effect here: it is for `condition: boxsync-operator.enabled` of a chart that depends on this one. Add that condition to its Chart.yaml." }}
{{- end }}

{{- $reserved := "^(helm\\.sh/chart|app\\.kubernetes\\.io/(name|instance|version|managed-by)|boxsync\\.dev/.*|rbac\\.authorization\\.k8s\\.io/aggregate-to-.*)$" }}
{{- $metrics := .Values.metrics }}
{{- range $value, $labels := dict "commonLabels" .Values.commonLabels "podLabels" .Values.podLabels
      "metrics.serviceMonitor.labels" $metrics.serviceMonitor.labels "metrics.podMonitor.labels" $metrics.podMonitor.labels
      "metrics.prometheusRule.labels" $metrics.prometheusRule.labels "metrics.dashboard.labels" $metrics.dashboard.labels }}
{{- range $label, $_ := default dict $labels }}
{{- if regexMatch $reserved $label }}
{{- fail (printf "%s: the chart sets the label %s itself. Choose another name; nameOverride and fullnameOverride change the chart's own." $value $label) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $value, $pairs := dict "objectLabels" .Values.objectLabels "objectAnnotations" .Values.objectAnnotations }}
{{- range $key, $_ := default dict $pairs }}
{{- if regexMatch "^(app\\.kubernetes\\.io/managed-by|(.*\\.)?boxsync\\.dev/.*)$" $key }}
{{- fail (printf "%s: the operator sets %s itself. Choose another name." $value $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $label, $_ := default dict $metrics.prometheusRule.alertLabels }}
{{- if has $label (list "severity" "operator" "namespace" "connection_namespace" "watched_namespace" "name" "kind" "reason") }}
{{- fail (printf "metrics.prometheusRule.alertLabels: the alerts set the label %s themselves. Choose another name." $label) }}
{{- end }}
{{- end }}

{{- /* Kubernetes refuses lists with two items of one name, or keeps one of them, as the way of installing decides. */}}
{{- range $check := list (list "extraEnv" "name") (list "extraVolumes" "name") (list "extraVolumeMounts" "mountPath") (list "hostAliases" "ip") }}
{{- $value := first $check }}
{{- $seen := dict }}
{{- range default list (get $.Values $value) }}
{{- $name := toString (get . (last $check)) }}
{{- if hasKey $seen $name }}
{{- fail (printf "%s: %s occurs twice. Remove one of the two." $value $name) }}
{{- end }}
{{- $_ := set $seen $name true }}
{{- end }}
{{- end }}

{{- $bundle := default dict .Values.caBundle }}
{{- if and $bundle.configMap $bundle.secret }}
{{- fail "caBundle: configMap and secret exclude each other. Set one of them." }}
{{- end }}
{{- range .Values.extraVolumes }}
{{- if and (include "boxsync-operator.caBundle" $) (eq .name "ca-bundle") }}
{{- fail "extraVolumes: the volume ca-bundle is the one of caBundle. Choose another name." }}
{{- end }}
{{- end }}

{{- /* A flag and its variable with the value that sets them. */}}
{{- $owned := dict "watch-namespace" "set watchNamespaces" "box-api-url" "set boxApiUrl" "paused" "set paused"
      "oauth" "set oauth.enabled, which also grants the rights" "lease-duration" "set leaderElection.leaseDuration"
      "renew-deadline" "set leaderElection.renewDeadline" "retry-period" "set leaderElection.retryPeriod"
      "ca-bundle" "set caBundle"
      "object-labels" "set objectLabels" "object-annotations" "set objectAnnotations"
      "lease-namespace" "the Role for the Lease, and `helm test`, are for the namespace of the release"
      "listen" "the probes and the Service use port 8080" "identity" "it is the name of the pod" }}
{{- $variables := dict "POD_NAME" "the chart sets it" "POD_NAMESPACE" "the chart sets it" }}
{{- range $flag, $instead := $owned }}
{{- $_ := set $variables (printf "BOXSYNC_%s" ($flag | upper | replace "-" "_")) $instead }}
{{- end }}
{{- with .Values.proxy.https }}
{{- range list "HTTPS_PROXY" "https_proxy" }}{{ $_ := set $variables . "proxy.https sets it; set one of the two" }}{{ end }}
{{- end }}
{{- with .Values.proxy.except }}
{{- range list "NO_PROXY" "no_proxy" }}{{ $_ := set $variables . "proxy.except sets it; set one of the two" }}{{ end }}
{{- end }}
{{- range $variable := .Values.extraEnv }}
{{- with get $variables $variable.name }}
{{- fail (printf "extraEnv: %s cannot be set here: %s." $variable.name .) }}
{{- end }}
{{- end }}
{{- $flags := dict }}
{{- range .Values.extraArgs }}
{{- $flag := . | trimPrefix "--" | splitList "=" | first }}
{{- with get $owned $flag }}
{{- fail (printf "extraArgs: --%s cannot be set here: %s." $flag .) }}
{{- end }}
{{- if hasKey $flags $flag }}
{{- fail (printf "extraArgs: --%s occurs twice. Remove one of the two." $flag) }}
{{- end }}
{{- $_ := set $flags $flag true }}
{{- end }}

{{- if include "boxsync-operator.leaderless" . }}
{{- if gt (int .Values.replicaCount) 1 }}
{{- fail "--leader-elect=false needs replicaCount=1: without an election every replica would write the same lists." }}
{{- end }}
{{- if eq (default "Recreate" (default dict .Values.strategy).type) "RollingUpdate" }}
{{- fail "--leader-elect=false needs strategy.type=Recreate, which is its default: during a rolling update the old and the new replica would write the same lists." }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Not empty if the operator runs without leader election. */}}
{{- define "boxsync-operator.leaderless" -}}
{{- if has "--leader-elect=false" (default list .Values.extraArgs) }}true{{ end }}
{{- range .Values.extraEnv }}
{{- if and (eq .name "BOXSYNC_LEADER_ELECT") (eq (toString .value) "false") }}true{{ end }}
{{- end }}
{{- end }}
