//! Prints the logins of a published list, sorted: read CONNECTION [NAMESPACE]
//! Needs the crates kube (with client, aws-lc-rs and rustls-tls), ring, rustls, serde_json and tokio.
//! Exit code: 0 printed, 1 not read, 3 no list has been published.

use std::{error::Error, io::Write, process::ExitCode, time::Duration};

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::Value;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let mut args = std::env::args().skip(1);
    let connection = args.next().ok_or("usage: read CONNECTION [NAMESPACE]")?;
    let client = Client::try_default().await?;
    let namespace = args.next().unwrap_or_else(|| client.default_namespace().to_owned());
    let kind = |kind| ApiResource::from_gvk(&GroupVersionKind::gvk("boxsync.dev", "v1alpha1", kind));
    let rosters: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &kind("UserRoster"));
    let slices: Api<DynamicObject> = Api::namespaced_with(client, &namespace, &kind("UserSlice"));

    for _ in 0..5 {
        let Some(roster) = rosters.get_opt(&connection).await? else {
            eprintln!("no list has been published for {connection}; that is not an empty list");
            return Ok(ExitCode::from(3));
        };
        if roster.data["format"] != 1 {
            return Err(format!("the list is in format {}", roster.data["format"]).into());
        }
        if let Some(mut logins) = logins(&roster.data, &slices).await? {
            logins.sort_unstable();
            let mut out = std::io::stdout().lock();
            // A reader that has ended, as head does, is no error.
            logins.iter().try_for_each(|login| writeln!(out, "{login}")).ok();
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Err(format!("a slice of the list of {connection} is missing or damaged; nothing was printed").into())
}

/// The logins of all slices that the roster names; `None` if a slice is missing or has another digest.
async fn logins(roster: &Value, slices: &Api<DynamicObject>) -> Result<Option<Vec<String>>, Box<dyn Error>> {
    let mut logins = Vec::new();
    for slice_ref in roster["slices"].as_array().into_iter().flatten() {
        if slice_ref["state"] != "Live" && slice_ref["state"] != "Held" {
            continue;
        }
        let name = slice_ref["name"].as_str().ok_or("a slice without a name")?;
        let Some(slice) = slices.get_opt(name).await? else { return Ok(None) };
        let data = slice.data["data"].as_str().unwrap_or_default();
        let digest = ring::digest::digest(&ring::digest::SHA256, data.as_bytes());
        let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        if slice_ref["digest"] != digest {
            return Ok(None);
        }
        for line in data.lines() {
            let user: Value = serde_json::from_str(line)?;
            logins.push(user["login"].as_str().ok_or("a line without a login")?.to_owned());
        }
    }
    Ok(Some(logins))
}
