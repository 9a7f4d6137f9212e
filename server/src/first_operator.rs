//! The first person who may sign in: made at the first start, with a password that is kept in a file until it is changed.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use domain::auth::{Principal, Role};
use engine::{
    Engine, Error,
    operator::{self, NewOperator},
    secret::new_token,
};

use crate::settings::variable;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Makes the first person who may sign in, unless there is one, and says how to sign in.
///
/// A password that is made here is kept in `first-sign-in.txt` in the data folder, which only its owner may read.
pub async fn ensure(engine: &Engine, data_dir: &Path) -> Result<String> {
    let file = data_dir.join("first-sign-in.txt");
    if operator::count(engine).await? > 0 {
        return as_before(engine, &file).await;
    }
    let email = variable("ORCHESTRATOR_ADMIN_EMAIL").unwrap_or_else(|| "owner@example.com".to_owned());
    let chosen = variable("ORCHESTRATOR_ADMIN_PASSWORD");
    let made = chosen.is_none();
    let password = chosen.map_or_else(|| first_password(&file, &email), Ok)?;
    let how = if made {
        format!("{email}  {password}   (kept in {})", file.display())
    } else {
        format!("{email}, with the password of ORCHESTRATOR_ADMIN_PASSWORD")
    };
    let new = NewOperator { email: &email, password: &password, role: Role::Owner, password_is_temporary: made };
    match operator::create(engine, &Principal::CommandLine, new).await {
        Ok(_) => Ok(how),
        // Another process that started at the same time was faster.
        Err(Error::Conflict(_)) => as_before(engine, &file).await,
        Err(error) => Err(error.into()),
    }
}

/// Names the file only as long as its password holds.
async fn as_before(engine: &Engine, file: &Path) -> Result<String> {
    let holds = match read_first_sign_in(file) {
        Some((email, password)) => operator::has_password(engine, &email, &password).await?,
        None => false,
    };
    Ok(if holds { format!("see {}", file.display()) } else { "as before".to_owned() })
}

/// The password in the file, if that is there for this e-mail: another process that starts now wrote it, or a start that was cut short. Else
/// a new one, which is in the file before anything uses it, so that no process takes it along when it is killed.
fn first_password(file: &Path, email: &str) -> io::Result<String> {
    let of_another = file.exists();
    if let Some((_, password)) = read_first_sign_in(file).filter(|(of, _)| of == email) {
        return Ok(password);
    }
    let password = new_token("");
    let draft = file.with_extension(format!("{:016x}", rand::random::<u64>()));
    write_private(&draft, &format!("e-mail    {email}\npassword  {password}\n"))?;
    if of_another {
        fs::rename(&draft, file)?;
        return Ok(password);
    }
    // A link fails if another process was faster, and nobody sees half a file.
    let linked = fs::hard_link(&draft, file);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            read_first_sign_in(file).map(|(_, password)| password).ok_or(io::ErrorKind::InvalidData.into())
        }
        linked => linked.map(|()| password),
    }
}

/// E-mail and password of the file.
fn read_first_sign_in(file: &Path) -> Option<(String, String)> {
    let text = fs::read_to_string(file).ok()?;
    let value = |name: &str| text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
    Some((value("e-mail ")?, value("password ")?))
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const EMAIL: &str = "owner@example.com";

    /// A folder of this test alone.
    fn with_folder(test: impl FnOnce(&Path)) {
        let folder = std::env::temp_dir().join(format!("orchestrator-first-sign-in-{:016x}", rand::random::<u64>()));
        fs::create_dir(&folder).unwrap();
        test(&folder.join("first-sign-in.txt"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_start_that_was_cut_short_leaves_its_password_for_the_next() {
        with_folder(|file| {
            let password = first_password(file, EMAIL).unwrap();
            assert_eq!(read_first_sign_in(file), Some((EMAIL.to_owned(), password.clone())));
            assert_eq!(fs::metadata(file).unwrap().mode() & 0o777, 0o600);
            assert_eq!(first_password(file, EMAIL).unwrap(), password);
        });
    }

    #[test]
    fn first_starts_at_once_agree_on_one_password() {
        with_folder(|file| {
            let passwords: Vec<String> = std::thread::scope(|scope| {
                let starts: Vec<_> = (0..16).map(|_| scope.spawn(|| first_password(file, EMAIL).unwrap())).collect();
                starts.into_iter().map(|start| start.join().unwrap()).collect()
            });
            let (_, kept) = read_first_sign_in(file).unwrap();
            assert!(passwords.iter().all(|password| *password == kept), "{passwords:?}");
            assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "no draft is left");
        });
    }

    #[test]
    fn a_file_of_another_e_mail_or_of_nothing_is_replaced() {
        with_folder(|file| {
            let others = first_password(file, "other@example.com").unwrap();
            let password = first_password(file, EMAIL).unwrap();
            assert_ne!(password, others);
            assert_eq!(read_first_sign_in(file), Some((EMAIL.to_owned(), password)));
            fs::write(file, "").unwrap();
            let password = first_password(file, EMAIL).unwrap();
            assert_eq!(read_first_sign_in(file), Some((EMAIL.to_owned(), password)));
        });
    }
}
