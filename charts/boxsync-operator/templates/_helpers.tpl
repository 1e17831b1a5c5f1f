{{- define "boxsync-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "boxsync-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "boxsync-operator.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "boxsync-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "boxsync-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "boxsync-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "boxsync-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "boxsync-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "boxsync-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- /* The Service's own label: Argo CD replaces app.kubernetes.io/instance by the name of its Application. */}}
{{- define "boxsync-operator.serviceLabels" -}}
boxsync.dev/operator: {{ include "boxsync-operator.fullname" . | quote }}
{{- end }}

{{- /* global.imageRegistry replaces the registry of the repository: its first part, if that is a host. */}}
{{- define "boxsync-operator.image" -}}
{{- $image := .Values.image }}
{{- $repository := $image.repository }}
{{- with (default dict .Values.global).imageRegistry }}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) (regexReplaceAll "^(localhost|[^/]*[.:][^/]*)/" $repository "") }}
{{- end }}
{{- if $image.digest }}
{{- printf "%s@%s" $repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{- /* Not empty if there is a pod for `helm test`. Without leader election there is no leader to find. */}}
{{- define "boxsync-operator.tested" -}}
{{- $enabled := ne (toString (default dict .Values.tests).enabled) "false" }}
{{- if and $enabled (not (include "boxsync-operator.leaderless" .)) }}true{{ end }}
{{- end }}

{{- /* What the pods of the Deployment and of `helm test` have in common. */}}
{{- define "boxsync-operator.pod" -}}
serviceAccountName: {{ include "boxsync-operator.serviceAccountName" . | quote }}
automountServiceAccountToken: {{ ne (toString .Values.automountServiceAccountToken) "false" }}
{{- $secrets := list }}
{{- range concat (default list .Values.imagePullSecrets) (default list (default dict .Values.global).imagePullSecrets) }}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) }}
{{- end }}
{{- with uniq $secrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
# The operator needs no variables of Services.
enableServiceLinks: false
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "boxsync-operator.volumes" . }}
volumes:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "boxsync-operator.volumes" -}}
{{- if include "boxsync-operator.caBundle" . }}
- name: ca-bundle
  {{- with .Values.caBundle.configMap }}
  configMap:
    name: {{ . | quote }}
  {{- else }}
  secret:
    secretName: {{ .Values.caBundle.secret | quote }}
  {{- end }}
    items:
      - key: {{ .Values.caBundle.key | quote }}
        path: ca.crt
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Not empty if there is a CA bundle. */}}
{{- define "boxsync-operator.caBundle" -}}
{{- $bundle := default dict .Values.caBundle }}
{{- if or $bundle.configMap $bundle.secret }}true{{ end }}
{{- end }}

{{- define "boxsync-operator.volumeMounts" -}}
{{- if include "boxsync-operator.caBundle" . }}
- name: ca-bundle
  mountPath: /etc/boxsync/ca-bundle
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* A map as key=value,... with the commas in its values escaped; empty without entries. */}}
{{- define "boxsync-operator.pairs" -}}
{{- $pairs := list }}
{{- range $key, $value := default dict . }}
{{- $pairs = append $pairs (printf "%s=%s" $key ($value | replace "," "\\,")) }}
{{- end }}
{{- join "," $pairs }}
{{- end }}

{{- define "boxsync-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "boxsync-operator.serviceAccountName" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end }}

{{- /* A policy applies in the namespaces that the operator watches. */}}
{{- define "boxsync-operator.matchResources" -}}
{{- with .Values.watchNamespaces -}}
matchResources:
  namespaceSelector:
    matchExpressions:
      - key: kubernetes.io/metadata.name
        operator: In
        values:
          {{- toYaml . | nindent 10 }}
{{- end }}
{{- end }}
