//! Step: the list is compared with what a backup tool protects; one person has no backup.

use harness::Result;

use crate::{format_count, requests::NEW_LOGIN, story::DemoRun};

const EXPORT: &str = "backup.csv";

pub(crate) async fn find_unprotected_user(demo: &mut DemoRun<'_>) -> Result<()> {
    demo.screen.step("Who has no backup?");
    demo.screen
        .explain("Acme's backup tool chose its users before Grace was hired. Its export is compared with the list:");
    let users = demo.demo_box.acme.users();
    let rows = users.iter().map(|user| format!("\"{}\";{};Protected\n", user.name.replace('"', "'"), user.login));
    let all: String = std::iter::once("Name;Email;Backup Status\n".to_owned()).chain(rows).collect();
    let without_her: Vec<&str> = all.lines().filter(|row| !row.contains(NEW_LOGIN)).collect();
    demo.write_file(EXPORT, &without_her.join("\n"))?;
    let command = format!("coverage acme --protected {EXPORT}");
    let compared = demo.run_plugin(&command).await?;
    demo.screen.blank_line();
    demo.screen.check(
        compared.status.code() == Some(9) && compared.stdout.contains(NEW_LOGIN),
        "one person has no backup, and is named: exit code 9",
        format!("kubectl boxsync coverage exited with {}", compared.status),
    );
    demo.screen.explain("The tool protects her too:");
    demo.write_file(EXPORT, &all)?;
    let compared = demo.run_plugin(&command).await?;
    demo.screen.blank_line();
    demo.screen.check(
        compared.status.success(),
        format!("all {} users have a backup: exit code 0", format_count(users.len() as u64)),
        format!("kubectl boxsync coverage exited with {}", compared.status),
    );
    Ok(())
}
