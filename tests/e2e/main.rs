//! End-to-end tests: the real API server, the operator's binary with the chart's RBAC, kubectl, and the simulated Box on a
//! socket. Each test has its own namespace; all but two tests share one control plane.

#[path = "../../src/test_support.rs"]
mod test_support;

mod conditions;
mod env;
mod helm_release;
mod manifests;
mod metric_names;
mod promql;
mod rendered;
mod table;
mod user_actions;

mod admission;
mod alerts;
mod api_server_outage;
mod chart;
mod chart_embedded;
mod chart_install;
mod chart_values;
mod connecting;
mod consuming;
mod coverage;
mod crash;
mod crd_validation;
mod dashboard;
mod docs;
mod explain;
mod field_owners;
mod generated;
mod gitops;
mod health;
mod idle;
mod image;
mod installing;
mod invalid_credentials;
mod kubectl_get;
mod leader_election;
mod like_kubectl;
mod oauth;
mod plugin_connect;
mod publishing;
mod reading;
mod reconnecting;
mod refusals;
mod requesting;
mod samples;
mod trusted_certificates;
mod upgrading;
