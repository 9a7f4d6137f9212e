//! The installation's keys, and everything that is sealed or digested with them.
//!
//! One master key of 32 bytes is all that has to be kept; the others are derived from it. Who loses it loses the sealed secrets, who
//! changes it makes every click id out there a forged one.

use std::{
    fmt, fs,
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};

/// The file in the data folder that holds the master key as 64 hex digits.
pub const MASTER_KEY_FILE: &str = "master.key";

/// First byte of what [`Keys::seal`] makes, so that another cipher can follow: version, nonce of 24 bytes, ciphertext with tag.
const SEAL_VERSION: u8 = 1;
const NONCE_LENGTH: usize = 24;

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    #[error("{place} must be 64 hex digits, such as `openssl rand -hex 32` prints")]
    Malformed { place: String },
    #[error("{path} may be read by others: allow only its owner, as `chmod 600` does")]
    Exposed { path: PathBuf },
    #[error("cannot read or create {path}")]
    Io { path: PathBuf, source: io::Error },
}

/// What was sealed cannot be opened: it was changed, sealed for another purpose, or with another master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed data cannot be opened: it was changed, or sealed for another purpose or with another master key")]
pub struct CannotOpen;

impl From<CannotOpen> for crate::Error {
    fn from(error: CannotOpen) -> Self {
        Self::internal(error)
    }
}

/// The master key: `configured` (64 hex digits) if given, else the file [`MASTER_KEY_FILE`] in `data_dir`, which is made on the first call.
/// Two processes that start at once get the same key.
///
/// # Errors
/// Refuses a malformed key, and a file that others than its owner may read.
pub fn master_key(configured: Option<&str>, data_dir: &Path) -> Result<[u8; 32], MasterKeyError> {
    if let Some(text) = configured {
        return parse_key(text).ok_or_else(|| MasterKeyError::Malformed { place: "ORCHESTRATOR_MASTER_KEY".to_owned() });
    }
    let path = data_dir.join(MASTER_KEY_FILE);
    read_or_create(data_dir, &path).map_err(|source| MasterKeyError::Io { path: path.clone(), source }).and_then(|(text, mode)| {
        if mode & 0o077 != 0 {
            return Err(MasterKeyError::Exposed { path });
        }
        parse_key(&text).ok_or_else(|| MasterKeyError::Malformed { place: path.display().to_string() })
    })
}

fn parse_key(text: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    hex::decode_to_slice(text.trim(), &mut key).ok().map(|()| key)
}

/// The key file's text and mode.
fn read_or_create(data_dir: &Path, path: &Path) -> io::Result<(String, u32)> {
    if !fs::exists(path)? {
        fs::create_dir_all(data_dir)?;
        create_once(data_dir, path)?;
    }
    Ok((fs::read_to_string(path)?, fs::metadata(path)?.mode()))
}

/// Writes a whole file beside the key's place, then links it there: a link fails if another process was faster, and nobody ever sees
/// half a key.
fn create_once(data_dir: &Path, path: &Path) -> io::Result<()> {
    let draft = data_dir.join(format!("{MASTER_KEY_FILE}.{:016x}", rand::random::<u64>()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    writeln!(file, "{}", hex::encode(rand::random::<[u8; 32]>()))?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::File::open(data_dir)?.sync_all(),
    }
}

/// The keys of one installation, each for one use only.
#[derive(Clone)]
pub struct Keys {
    /// Authenticates click ids.
    pub click_mac: [u8; 32],
    /// Hashes user ids, site ids and metadata in referral codes.
    pub hash_salt: [u8; 32],
    /// Root of the daily keys that addresses of visitors are hashed with.
    pub visitor_hash: [u8; 32],
    /// Authenticates what the server hands to a browser and wants back unchanged, such as the state of a form.
    pub cookie_mac: [u8; 32],
    seal: [u8; 32],
}

impl Keys {
    /// Derives every key by HKDF-SHA256 ([RFC 5869](https://www.rfc-editor.org/rfc/rfc5869)). The labels are part of the format.
    pub fn from_master(master: &[u8; 32]) -> Self {
        let hkdf = Hkdf::<Sha256>::new(Some(b"developer-toolkit-orchestrator"), master);
        let derive = |label: &str| {
            let mut key = [0; 32];
            hkdf.expand(label.as_bytes(), &mut key).expect("32 bytes are far below the limit of HKDF");
            key
        };
        Self {
            click_mac: derive("click-mac/1"),
            hash_salt: derive("hash-salt/1"),
            visitor_hash: derive("visitor-hash/1"),
            cookie_mac: derive("cookie-mac/1"),
            seal: derive("seal/1"),
        }
    }

    /// Encrypts with XChaCha20-Poly1305 under a random nonce. Only [`open`](Self::open) with the same purpose gives it back: a purpose that
    /// names the row keeps sealed values from being swapped between rows.
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LENGTH] = rand::random();
        let payload = Payload { msg: plain, aad: purpose.as_bytes() };
        let ciphertext = self.cipher().encrypt(&XNonce::from(nonce), payload).expect("a secret is far below the limit of the cipher");
        [&[SEAL_VERSION], nonce.as_slice(), &ciphertext].concat()
    }

    /// Decrypts what [`seal`](Self::seal) made.
    ///
    /// # Errors
    /// [`CannotOpen`] for everything else.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, CannotOpen> {
        let (version, rest) = sealed.split_first().ok_or(CannotOpen)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or(CannotOpen)?;
        if *version != SEAL_VERSION {
            return Err(CannotOpen);
        }
        let payload = Payload { msg: ciphertext, aad: purpose.as_bytes() };
        self.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| CannotOpen)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.seal.into())
    }
}

/// Never shows a key.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// A new token of 256 random bits, in characters that are safe in URLs, headers and cookies. `prefix` tells people what it is for.
pub fn new_token(prefix: &str) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
}

/// What is stored of a token: its SHA-256. Plain hashing is enough, since nobody can guess 256 random bits.
pub fn token_digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder that is removed with its contents.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("orchestrator-secret-{:016x}", rand::random::<u64>()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_configured_key_wins_over_the_file() {
        let folder = Folder::new();
        assert_eq!(master_key(Some(&"0a".repeat(32)), &folder.0).unwrap(), [10; 32]);
        assert!(!folder.0.join(MASTER_KEY_FILE).exists());
    }

    #[test]
    fn a_malformed_key_is_refused_without_being_shown() {
        let folder = Folder::new();
        for wrong in ["", "0a", &"0a".repeat(33), &"zz".repeat(32)] {
            let error = master_key(Some(wrong), &folder.0).unwrap_err().to_string();
            assert!(error.starts_with("ORCHESTRATOR_MASTER_KEY must be 64 hex digits"), "{error}");
        }
        fs::write(folder.0.join(MASTER_KEY_FILE), "short").unwrap();
        fs::set_permissions(folder.0.join(MASTER_KEY_FILE), fs::Permissions::from_mode(0o600)).unwrap();
        let error = master_key(None, &folder.0).unwrap_err().to_string();
        assert!(error.contains("master.key must be 64 hex digits") && !error.contains("short"), "{error}");
    }

    #[test]
    fn the_key_file_is_made_once_for_its_owner_alone() {
        let folder = Folder::new();
        let inner = folder.0.join("new").join("data");
        let first = master_key(None, &inner).unwrap();
        assert_eq!(master_key(None, &inner).unwrap(), first);
        assert_eq!(fs::metadata(inner.join(MASTER_KEY_FILE)).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 1, "no draft stays behind");
    }

    #[test]
    fn processes_that_start_at_once_get_the_same_key() {
        let folder = Folder::new();
        let keys: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| master_key(None, &folder.0).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn a_key_file_that_others_may_read_is_refused() {
        let folder = Folder::new();
        master_key(None, &folder.0).unwrap();
        let path = folder.0.join(MASTER_KEY_FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(master_key(None, &folder.0), Err(MasterKeyError::Exposed { .. })));
    }

    /// Click ids and sealed secrets outlive a release: these values, computed by another implementation of HKDF, must never change.
    #[test]
    fn derived_keys_never_change() {
        let keys = Keys::from_master(&[7; 32]);
        assert_eq!(hex::encode(keys.click_mac), "90ca7ba393d3394ad2286442196ecc3f6535dad5f05c0f0cc1da88c7d2029069");
        assert_eq!(hex::encode(keys.hash_salt), "a085c52e8ca44a9b97268941cc00646c5367973a2d8ea98c651771422692bb75");
        assert_eq!(hex::encode(keys.seal), "984f5b66856d06138fb8351cf5a66f149b794eaf55b9e704534a7566953cf729");
    }

    #[test]
    fn what_is_sealed_opens_for_its_purpose_only() {
        let keys = Keys::from_master(&[7; 32]);
        let sealed = keys.seal("partner acme", b"hush");
        assert_eq!(keys.open("partner acme", &sealed).as_deref(), Ok(b"hush".as_slice()));
        assert_eq!(keys.open("partner apex", &sealed), Err(CannotOpen));
        assert_eq!(Keys::from_master(&[8; 32]).open("partner acme", &sealed), Err(CannotOpen));
        assert_ne!(keys.seal("partner acme", b"hush"), sealed, "each time another nonce");
    }

    #[test]
    fn a_changed_or_cut_seal_does_not_open() {
        let keys = Keys::from_master(&[7; 32]);
        let sealed = keys.seal("p", b"hush");
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(keys.open("p", &changed), Err(CannotOpen), "byte {index}");
            assert_eq!(keys.open("p", &sealed[..index]), Err(CannotOpen), "cut at {index}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", Keys::from_master(&[7; 32])), "Keys(..)");
    }

    #[test]
    fn tokens_differ_and_digest_to_sha_256() {
        let token = new_token("p4s_");
        assert!(token.starts_with("p4s_") && token.len() == 47 && token != new_token("p4s_"));
        assert_eq!(hex::encode(token_digest("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
