//! Commands in a folder that holds no installation.

use std::{fs, process::Command};

#[test]
fn whoever_asks_about_the_books_in_another_folder_is_told_so_and_gets_no_empty_ones() {
    let folder = std::env::temp_dir().join(format!("orchestrator-elsewhere-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder");
    let data = folder.join("data");
    for arguments in [&["ledger", "verify"][..], &["explain", "sub_1"], &["secret", "list", "supabase"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
        command.args(arguments).current_dir(&folder).env("ORCHESTRATOR_DATA", &data).env_remove("DATABASE_URL").env_remove("REDIS_URL");
        let output = command.output().expect("the command runs");
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {words}");
        assert!(words.contains("there is no installation in") && words.contains("ORCHESTRATOR_DATA"), "{words}");
        assert!(!data.exists(), "{arguments:?} made something");
    }
    fs::remove_dir_all(&folder).expect("the folder was empty");
}
