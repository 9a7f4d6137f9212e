//! Names in an archive, and what its links lead to.

use super::ArchiveError;

/// What Linux takes for a path: a longer one was not packed from any disk.
pub const NAME_BYTES_MAX: usize = 4_096;

/// Refuses a name that would lead anywhere but into the archive's own folder, on any system.
pub fn check(name: &str) -> Result<(), ArchiveError> {
    let entry = || name.to_owned();
    if name.len() > NAME_BYTES_MAX {
        Err(ArchiveError::LongName { start: name.chars().take(40).collect::<String>().escape_debug().to_string(), bytes: name.len() })
    } else if name.contains('\\') || name.chars().any(char::is_control) {
        Err(ArchiveError::ForbiddenCharacter { entry: entry().escape_debug().to_string() })
    } else if is_absolute(name) {
        Err(ArchiveError::AbsolutePath { entry: entry() })
    } else if name.split('/').any(|part| part == "..") {
        Err(ArchiveError::PathTraversal { entry: entry() })
    } else {
        Ok(())
    }
}

/// Refuses a link whose target, as seen from `folder`, lies outside the archive: nobody follows it, but it was made to be followed.
pub fn check_link(entry: &str, folder: &str, target: &str) -> Result<(), ArchiveError> {
    let target = target.replace('\\', "/");
    let leaves = is_absolute(&target) || target.len() > NAME_BYTES_MAX || leaves(&format!("{folder}/{target}"));
    if leaves { Err(ArchiveError::Link { entry: entry.to_owned() }) } else { Ok(()) }
}

/// `/x`, `C:/x`, `c:x`.
fn is_absolute(path: &str) -> bool {
    let mut characters = path.chars();
    let has_drive = characters.next().is_some_and(|first| first.is_ascii_alphabetic()) && characters.next() == Some(':');
    path.starts_with('/') || has_drive
}

/// Whether a path climbs above where it begins, if only on its way.
fn leaves(path: &str) -> bool {
    let mut depth = 0_usize;
    path.split('/').any(|part| match part {
        "" | "." => false,
        ".." => match depth.checked_sub(1) {
            Some(above) => {
                depth = above;
                false
            }
            None => true,
        },
        _ => {
            depth += 1;
            false
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leaves_if_it_climbs_above_the_top() {
        for (folder, target) in [("", "AGENTS.md"), ("a/b", "../../c"), ("a", "./../x/.."), ("a", "b\\c")] {
            assert_eq!(check_link("l", folder, target), Ok(()), "{folder} {target}");
        }
        for (folder, target) in [("", ".."), ("a", "../../x"), ("a", "../../a/x"), ("a/b", "/etc"), ("a", "C:\\x"), ("a", "..\\..\\x")] {
            assert_eq!(check_link("l", folder, target), Err(ArchiveError::Link { entry: "l".into() }), "{folder} {target}");
        }
    }
}
