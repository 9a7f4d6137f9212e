//! Who runs the servers: this user, or, for root, one who is nobody in particular.

use std::{
    fs, io,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use crate::{Error, Result};

/// The user to whom root's children drop; `None` for any other user, whose children stay as they are.
#[derive(Clone, Debug)]
pub(crate) struct Account(Option<User>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    pub(crate) fn for_children() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        let passwd =
            fs::read_to_string("/etc/passwd").map_err(|source| Error::File { what: "cannot read", path: "/etc/passwd".into(), source })?;
        let user = find_user(&passwd, "postgres").or_else(|| find_user(&passwd, "nobody"));
        user.map(|user| Self(Some(user))).ok_or(Error::NoAccount)
    }

    /// Makes `command` run as this account, with no supplementary groups.
    pub(crate) fn apply(&self, command: &mut Command) {
        if let Some(user) = &self.0 {
            command.uid(user.uid).gid(user.gid);
        }
    }

    /// Gives the account a file or folder.
    pub(crate) fn own(&self, path: &Path) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |user| chown(path, Some(user.uid), Some(user.gid)))
    }

    /// # Errors
    /// The outermost folder on the way to `folder`, itself included, that the account may not enter.
    pub(crate) fn check_passable(&self, folder: &Path) -> Result<()> {
        let Some(user) = &self.0 else { return Ok(()) };
        let ancestors: Vec<&Path> = folder.ancestors().collect();
        for step in ancestors.into_iter().rev() {
            let status = fs::metadata(step).map_err(|source| Error::File { what: "cannot read", path: step.to_owned(), source })?;
            let shift = if status.uid() == user.uid { 6 } else { 3 * u32::from(status.gid() == user.gid) };
            if (status.mode() >> shift) & 1 == 0 {
                return Err(Error::NotPassable { user: user.name.clone(), folder: step.to_owned() });
            }
        }
        Ok(())
    }
}

/// Reads a line `name:x:uid:gid:...` of a passwd file.
fn find_user(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        found.then(|| User { name: name.to_owned(), uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/bash\npostgresql:x:7:8::/:/bin/sh\npostgres:x:105:112:PostgreSQL:/var/lib/postgresql:/bin/bash\n";

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        assert_eq!(find_user(PASSWD, "postgres"), Some(User { name: "postgres".into(), uid: 105, gid: 112 }));
    }

    #[test]
    fn an_unknown_user_and_a_broken_line_are_not_found() {
        assert_eq!(find_user(PASSWD, "nobody"), None);
        assert_eq!(find_user("nobody:x:not-a-number:1::/:/bin/sh\nnobody\n", "nobody"), None);
    }

    #[test]
    fn a_folder_behind_a_closed_one_is_refused_and_the_closed_one_named() {
        use std::os::unix::fs::PermissionsExt;
        let closed = std::env::temp_dir().join(format!("orchestrator-closed-{}", std::process::id()));
        let inner = closed.join("inner");
        fs::create_dir_all(&inner).expect("a folder in the temporary folder");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("our own folder");
        let stranger = Account(Some(User { name: "stranger".into(), uid: 4_000_000, gid: 4_000_000 }));
        let refused = stranger.check_passable(&inner);
        fs::remove_dir_all(&closed).expect("our own folder");
        assert!(matches!(refused, Err(Error::NotPassable { folder, .. }) if folder == closed));
    }
}
