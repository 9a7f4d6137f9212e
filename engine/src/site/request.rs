//! Requests to add a site that carry a name, so that one whose answer was lost can be sent again without a second site.

use chrono::{DateTime, Utc};
use domain::{SiteId, auth::Principal, site::Site};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::{bounded, load};
use crate::{Engine, Error, Result, access::require_scope};

/// A request's name among those of its sender, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    key: String,
    digest: Vec<u8>,
}

impl Request {
    /// `parts` are all that was sent, in a fixed order.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a key that is no text of 1 to 200 bytes.
    pub fn new(key: &str, parts: &[&[u8]]) -> Result<Self> {
        let key = bounded("Idempotency-Key", key)?.to_owned();
        let mut digest = Sha256::new();
        for part in parts {
            // The lengths tell apart what is cut elsewhere.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Ok(Self { key, digest: digest.finalize().to_vec() })
    }
}

/// The site that the same request made before, if it came before.
///
/// # Errors
/// [`Error::Conflict`] if the name came before with something else; refuses who lacks the scope `sites:write`.
pub async fn made_before(engine: &Engine, who: &Principal, request: &Request) -> Result<Option<Site>> {
    require_scope(who, "sites:write", "add sites")?;
    let row = sqlx::query!(
        r#"select site_id as "site_id: SiteId", request_digest from site_requests where actor = $1 and idempotency_key = $2"#,
        who.actor(),
        request.key,
    )
    .fetch_optional(&engine.db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    if row.request_digest != request.digest {
        return Err(Error::Conflict(format!("`{}` was sent before with another site", request.key)));
    }
    load(engine, row.site_id).await.map(Some)
}

/// Notes that a request makes this site; `false` if it made one already. Waits for a twin that is under way.
pub(super) async fn note(tx: &mut PgConnection, who: &Principal, request: &Request, site_id: SiteId, now: DateTime<Utc>) -> Result<bool> {
    let noted = sqlx::query!(
        "insert into site_requests (actor, idempotency_key, request_digest, site_id, created_at)
         values ($1, $2, $3, $4, $5)
         on conflict do nothing",
        who.actor(),
        request.key,
        request.digest.as_slice(),
        site_id.0,
        now,
    )
    .execute(tx)
    .await?;
    Ok(noted.rows_affected() == 1)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::site::{
        create_once,
        tests::{engine, machine, new_site},
    };

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn the_same_request_again_makes_no_second_site(db: PgPool) {
        let engine = engine(db.clone()).await;
        let who = machine(&["sites:write"]);
        let request = Request::new("upload 1", &[b"Shop", b"archive"]).unwrap();
        assert!(made_before(&engine, &who, &request).await.unwrap().is_none());
        let twins = (0..4).map(|_| create_once(&engine, &who, Some(&request), new_site()));
        let sites = futures::future::try_join_all(twins).await.unwrap();
        assert!(sites.iter().all(|site| *site == sites[0]), "{sites:?}");
        assert_eq!(made_before(&engine, &who, &request).await.unwrap().as_ref(), Some(&sites[0]));
        let made: i64 = sqlx::query_scalar("select count(*) from sites").fetch_one(&db).await.unwrap();
        assert_eq!(made, 1);

        let other = Request::new("upload 1", &[b"Shop", b"another archive"]).unwrap();
        assert!(matches!(made_before(&engine, &who, &other).await, Err(Error::Conflict(_))));
        assert!(matches!(create_once(&engine, &who, Some(&other), new_site()).await, Err(Error::Conflict(_))));
        assert!(made_before(&engine, &Principal::CommandLine, &request).await.unwrap().is_none(), "a name is its sender's own");
        assert!(matches!(made_before(&engine, &Principal::Anonymous, &request).await, Err(Error::Unauthenticated)));
    }

    #[test]
    fn a_request_is_told_by_its_parts() {
        let digest = |parts: &[&[u8]]| Request::new("k", parts).unwrap().digest;
        assert_eq!(digest(&[b"ab", b"c"]), digest(&[b"ab", b"c"]));
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
        assert!(Request::new("", &[]).is_err() && Request::new(&"x".repeat(201), &[]).is_err());
    }
}
