//! What happened just now, as it is pushed to every open browser.

use serde::{Deserialize, Serialize};

use crate::{ConversionId, ExperimentId, ImportId, PartnerId, SuccessEventId, WebhookDeliveryId};

/// An event names what changed and carries no figures: who may see them asks for them.
///
/// As JSON, `{"topic":"conversion","conversion_id":"…","partner_id":"…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "topic", rename_all = "snake_case")]
pub enum LiveEvent {
    /// A conversion came in, or its attribution, commission or reversal changed.
    Conversion { conversion_id: ConversionId, partner_id: PartnerId },
    /// Clicks or impressions were counted; sent at most once a second.
    Traffic,
    /// A success came in, or was verified or rejected.
    Success { success_event_id: SuccessEventId, partner_id: PartnerId },
    /// A webhook delivery came in or changed its state.
    Delivery { webhook_delivery_id: WebhookDeliveryId },
    /// An import made progress.
    Import { import_id: ImportId },
    /// Commissions were approved, held back or released, a statement was issued, or a payout was made or paid.
    Books { partner_id: PartnerId },
    /// A test was changed, or its figures moved; figures are announced at most once a second.
    Experiment { experiment_id: ExperimentId },
    /// Events may have been missed: every page is to be fetched anew, whatever it shows.
    Resync,
}

impl LiveEvent {
    /// Whether a page that shows things of these topics has to be fetched anew. `text` is the event as JSON, `topics` are parted by blanks.
    pub fn concerns(text: &str, topics: &str) -> bool {
        // The browser has no use for the rest, and a parser would weigh on its bundle.
        let is_of = |topic: &str| text.contains(&format!("\"topic\":\"{topic}\""));
        is_of("resync") || topics.split(' ').any(is_of)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_back_as_it_was_sent() {
        let events = [
            LiveEvent::Traffic,
            LiveEvent::Conversion { conversion_id: ConversionId(uuid::Uuid::nil()), partner_id: "supabase".parse().unwrap() },
            LiveEvent::Delivery { webhook_delivery_id: WebhookDeliveryId(uuid::Uuid::nil()) },
            LiveEvent::Import { import_id: ImportId(uuid::Uuid::nil()) },
            LiveEvent::Experiment { experiment_id: ExperimentId(uuid::Uuid::nil()) },
            LiveEvent::Resync,
        ];
        for event in events {
            let json = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<LiveEvent>(&json).unwrap(), event);
        }
        assert_eq!(serde_json::to_string(&LiveEvent::Traffic).unwrap(), r#"{"topic":"traffic"}"#);
    }

    #[test]
    fn a_page_heeds_its_own_topics_and_every_resync() {
        let books = serde_json::to_string(&LiveEvent::Books { partner_id: "traffic".parse().unwrap() }).unwrap();
        assert!(LiveEvent::concerns(&books, "conversion books"));
        assert!(!LiveEvent::concerns(&books, "conversion traffic"), "a name in the event is no topic");
        let resync = serde_json::to_string(&LiveEvent::Resync).unwrap();
        assert!(LiveEvent::concerns(&resync, "conversion"));
        assert!(!LiveEvent::concerns("still here", "conversion"));
    }

    #[test]
    fn an_unknown_topic_is_refused() {
        assert!(serde_json::from_str::<LiveEvent>(r#"{"topic":"weather"}"#).is_err());
        assert!(serde_json::from_str::<LiveEvent>(r#"{"topic":"conversion"}"#).is_err());
    }
}
