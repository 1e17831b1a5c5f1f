//! `kubectl boxsync <TAB>`, as kubectl itself asks for it.

use std::os::unix::fs::symlink;

use super::{Comparison, PLUGIN};

#[tokio::test]
async fn kubectl_completes_the_plugin_with_the_names_of_connections() {
    let both = Comparison::new("completion").await;
    let file = both.write_kubeconfig("kubeconfig", &both.cluster(), &both.user());
    let bin = both.folder.join("bin");
    std::fs::create_dir_all(&bin).expect("a folder");
    for name in ["kubectl-boxsync", "kubectl_complete-boxsync"] {
        symlink(PLUGIN, bin.join(name)).expect("a link");
    }
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let env = [("KUBECONFIG", &*file), ("PATH", &*path)];
    let kubectl = both.plane.kubectl();
    let [_, second] = &both.namespaces;
    for (words, expected) in [
        (vec!["users", ""], "one\n:4\n"),
        (vec!["users", "tw"], ":4\n"),
        (vec!["-n", second, "users", "tw"], "two\n:4\n"),
        (vec!["status", "--context", "second", ""], "two\n:4\n"),
        (vec!["appr"], "approve\tApprove held removals\n:4\n"),
        (vec!["users", "one", "-o", "cs"], "csv\n:4\n"),
        (vec!["check", "--file", ""], ":0\n"),
        (vec!["users", "--context", "none", ""], ":4\n"),
    ] {
        let args: Vec<&str> = ["__complete", "boxsync"].into_iter().chain(words.iter().copied()).collect();
        let output = both.run(kubectl.program(), &args, &env, &[]).await;
        assert_eq!(output.stdout, expected, "{words:?}\n{}", output.stderr);
    }
}
