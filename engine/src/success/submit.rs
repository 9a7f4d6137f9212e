//! Successes that come by the API: recorded, logged and answered in one transaction.

use domain::{
    PartnerId, WebhookDeliveryId,
    auth::Principal,
    conversion::Source,
    success::canonical_json,
    webhook::{Event, parse_event},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Listed, Recorded, list, record};
use crate::{Engine, Error, Result, access::require_scope, inbound::record_processed, work::Work};

/// A success as it stands after it was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Submitted {
    pub success: Listed,
    /// False if it was there before.
    pub new: bool,
}

/// Records a success that one of our services states; `event` is a `success.achieved` of the webhook contract, which may lack its
/// `success_id`. It proves nothing by itself, so that a metric which needs verification leaves it waiting.
///
/// # Errors
/// [`Error::Unauthenticated`] or [`Error::Forbidden`] without the scope `successes:write`; [`Error::Invalid`] with the field,
/// as a path in the event; as [`record`]. Nothing is stored then. To a partner's own token there is no other partner.
pub async fn submit(engine: &Engine, who: &Principal, partner_id: &PartnerId, mut event: Value) -> Result<Submitted> {
    require_scope(who, "successes:write", "record successes")?;
    name_by_content(&mut event);
    let body = event.to_string();
    let parsed = parse_event(partner_id, "", body.as_bytes()).map_err(|error| Error::invalid(error.field, error.reason))?;
    let Event::SuccessAchieved(new) = parsed else { return Err(Error::invalid("type", "must be success.achieved")) };
    if engine.codes.link(partner_id).is_none() || !who.may_speak_for(partner_id) {
        return Err(Error::invalid("partner", format!("there is no partner `{partner_id}`")));
    }

    let mut work = Work::begin(engine).await?;
    let delivery: WebhookDeliveryId = engine.new_id();
    let recorded = record(&mut work, &new, Source::Api, None, Some(delivery)).await?;
    let message_id = format!("api:success:{}", new.external_event_id);
    record_processed(&mut work, delivery, partner_id, Source::Api, &message_id, &event, &recorded.to_string()).await?;
    let success = list::load(work.connection(), &[recorded.id()])
        .await?
        .pop()
        .ok_or_else(|| Error::not_found(format!("success `{}`", recorded.id())))?;
    work.commit().await?;
    Ok(Submitted { success, new: matches!(recorded, Recorded::New(..)) })
}

/// A success without an id of its own gets one from what it says: sent twice, it is the same one.
fn name_by_content(event: &mut Value) {
    let Some(data) = event.get_mut("data").filter(|data| data.is_object()) else { return };
    if data.get("success_id").is_none_or(Value::is_null) {
        let digest = Sha256::digest(canonical_json(data));
        data["success_id"] = format!("sha256:{}", hex::encode(digest)).into();
    }
}
