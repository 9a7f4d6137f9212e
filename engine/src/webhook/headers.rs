//! What came with a delivery beside its body.

use std::collections::BTreeMap;

use domain::{WebhookDeliveryId, auth::Principal};
use sqlx::types::Json;

use crate::{Engine, Error, Result, access::require_read};

/// The headers that were kept with a delivery, by their lower-case names. A postback has none.
///
/// # Errors
/// [`Error::NotFound`] if there is no such delivery; refuses who may not read.
pub async fn headers(engine: &Engine, who: &Principal, id: WebhookDeliveryId) -> Result<BTreeMap<String, String>> {
    require_read(who, "see webhook deliveries")?;
    let headers = sqlx::query_scalar!(
        r#"select headers as "headers: Json<BTreeMap<String, String>>" from webhook_deliveries where webhook_delivery_id = $1"#,
        id.0,
    )
    .fetch_optional(&engine.db)
    .await?;
    headers.map(|headers| headers.0).ok_or_else(|| Error::not_found(format!("webhook delivery `{id}`")))
}
