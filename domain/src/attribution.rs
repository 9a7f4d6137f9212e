//! Which click a conversion belongs to.
//!
//! The match order (SPEC 3.4): a valid click id token; the click's row by its id; referral code and session; referral
//! code and its most recent click within the window. Who may claim a conversion is its partner's [`Policy`]; how the credit is
//! shared among the touches of a journey is the policy's [`Model`].

mod history;
mod policy;
mod share;

pub use history::{Click, History, Identify, Order, Recorded};
pub use policy::{Model, Policy, UnknownModel};
pub use share::{SHARE_DIGITS, Touched, UNITS_MAX, journey, journey_by, shares, split_minor, split_units};

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use crate::{ClickId, SessionId};

/// Version of the rules in this file; it is kept with each attribution, so that it can be replayed.
pub const POLICY_VERSION: i32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "snake_case"))]
#[serde(rename_all = "snake_case")]
pub enum MatchedBy {
    /// The signed click id that came with the conversion.
    ClickToken,
    /// The same session followed the same referral code.
    Session,
    /// The referral code's most recent click.
    RecentClick,
    /// An operator, with a reason.
    Manual,
}

/// A click that may have led to a conversion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    pub click_id: ClickId,
    pub clicked_at: DateTime<Utc>,
    pub session_id: Option<SessionId>,
}

impl Touched for Touch {
    type Id = ClickId;

    fn touched_at(&self) -> DateTime<Utc> {
        self.clicked_at
    }

    fn touch_id(&self) -> &ClickId {
        &self.click_id
    }
}

/// Whether a click may claim a conversion: `click ≤ conversion ≤ click + window`, both ends included.
pub fn within_window(clicked_at: DateTime<Utc>, converted_at: DateTime<Utc>, window_hours: u32) -> bool {
    clicked_at <= converted_at && converted_at - clicked_at <= Duration::hours(i64::from(window_hours))
}

/// Chooses among the clicks of one referral code: the last within the window of the conversion's own session, else the
/// last of all. Equal times are decided by the greater click id, so that any order of `touches` gives the same answer.
pub fn last_touch(
    touches: &[Touch],
    session_id: Option<SessionId>,
    converted_at: DateTime<Utc>,
    window_hours: u32,
) -> Option<(&Touch, MatchedBy)> {
    let last = |session: Option<SessionId>| {
        touches
            .iter()
            .filter(|touch| within_window(touch.clicked_at, converted_at, window_hours))
            .filter(|touch| session.is_none() || touch.session_id == session)
            .max_by_key(|touch| (touch.clicked_at, touch.click_id))
    };
    let own = session_id.and_then(|_| last(session_id)).map(|touch| (touch, MatchedBy::Session));
    own.or_else(|| last(None).map(|touch| (touch, MatchedBy::RecentClick)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use chrono::TimeZone;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn at(hour: i64) -> DateTime<Utc> {
        Utc.timestamp_opt(1_800_000_000 + hour * 3600, 0).unwrap()
    }

    fn touch(id: u128, hour: i64, session: Option<u128>) -> Touch {
        Touch { click_id: ClickId(Uuid::from_u128(id)), clicked_at: at(hour), session_id: session.map(|id| SessionId(Uuid::from_u128(id))) }
    }

    #[test]
    fn the_own_session_wins_over_a_later_click_of_another() {
        let touches = [touch(1, 0, Some(7)), touch(2, 5, Some(8))];
        let (found, by) = last_touch(&touches, Some(SessionId(Uuid::from_u128(7))), at(6), 24).unwrap();
        assert_eq!((found.click_id.0.as_u128(), by), (1, MatchedBy::Session));
        let (found, by) = last_touch(&touches, None, at(6), 24).unwrap();
        assert_eq!((found.click_id.0.as_u128(), by), (2, MatchedBy::RecentClick));
    }

    #[test]
    fn clicks_after_the_conversion_or_before_the_window_do_not_count() {
        assert!(last_touch(&[touch(1, 7, None)], None, at(6), 24).is_none());
        assert!(last_touch(&[touch(1, 0, None)], None, at(24), 24).is_some());
        assert!(last_touch(&[touch(1, 0, None)], None, at(25), 24).is_none());
    }

    proptest! {
        #[test]
        fn the_order_of_touches_does_not_matter(mut clicks in proptest::collection::vec((0_u128..50, 0_i64..10, proptest::option::of(0_u128..3)), 0..12), session in proptest::option::of(0_u128..3)) {
            clicks.sort();
            clicks.dedup_by_key(|click| click.0);
            let mut touches: Vec<_> = clicks.into_iter().map(|(id, hour, session)| touch(id, hour, session)).collect();
            let session = session.map(|id| SessionId(Uuid::from_u128(id)));
            let forward = last_touch(&touches, session, at(9), 5).map(|(touch, by)| (touch.clone(), by));
            touches.reverse();
            prop_assert_eq!(forward, last_touch(&touches, session, at(9), 5).map(|(touch, by)| (touch.clone(), by)));
        }
    }
}
