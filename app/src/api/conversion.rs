//! Conversions: the list under a filter, one with all that is known of it, and attribution by hand.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;

/// What the list's URL asks for, as typed; empty texts ask for everything. The CSV file takes the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConversionQuery {
    pub partner: String,
    pub state: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub source: String,
    /// The first and the last day.
    pub from: String,
    pub to: String,
    pub search: String,
    pub sort: String,
    /// Where the page begins.
    pub after: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversionList {
    /// HTML, see `panels`.
    pub table: String,
    /// Where the next page begins.
    pub next: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversionDetail {
    pub id: String,
    pub title: String,
    pub lead: String,
    /// Everything that is only read: HTML, see `panels`.
    pub story: String,
    pub delivery: Option<RawDelivery>,
    /// Absent if it may not be attributed by hand.
    pub by_hand: Option<ByHand>,
}

/// What the form for an attribution by hand starts from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByHand {
    /// Clicks to choose from, as (value, words).
    pub clicks: Vec<(String, String)>,
    /// What was typed, if it has just been refused.
    pub typed: ByHandForm,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ByHandForm {
    /// One of the clicks offered, as `code click`.
    pub click: String,
    /// The link to credit, if no click is chosen.
    pub referral_code: String,
    pub reason: String,
}

/// What it came in with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawDelivery {
    pub id: String,
    pub message_id: String,
    pub body: String,
    /// The same, indented, if it is JSON.
    pub pretty_body: Option<String>,
}

/// A page of conversions.
#[server]
pub async fn list_conversions(query: ConversionQuery) -> Result<ConversionList, AppError> {
    let (engine, who) = super::backend().await?;
    let page = engine::conversion::list(&engine, &who, &read_conversion_query(&query)?).await?;
    let next = page.next.map(|next| next.to_string());
    Ok(ConversionList { table: crate::panels::conversion_table(page.lines, query == ConversionQuery::default()), next })
}

/// A page of those that earn nothing yet: unattributed, expired, refused or held.
#[server]
pub async fn list_unattributed(query: ConversionQuery) -> Result<ConversionList, AppError> {
    let (engine, who) = super::backend().await?;
    let mut filter = read_conversion_query(&query)?;
    if filter.states.is_empty() {
        use domain::conversion::ConversionState::{Expired, Held, Refused, Unattributed};
        filter.states = vec![Unattributed, Expired, Refused, Held];
    }
    let page = engine::conversion::list(&engine, &who, &filter).await?;
    let next = page.next.map(|next| next.to_string());
    Ok(ConversionList { table: crate::panels::unattributed_table(page.lines, query == ConversionQuery::default()), next })
}

/// The refunds that wait for their sale: HTML, see `panels`; empty if none does.
#[server]
pub async fn list_waiting_refunds() -> Result<String, AppError> {
    let (engine, who) = super::backend().await?;
    Ok(crate::panels::waiting_refunds(engine::reversal::list_waiting(&engine, &who).await?))
}

#[server]
pub async fn find_conversion(id: String) -> Result<ConversionDetail, AppError> {
    let (engine, who) = super::backend().await?;
    let conversion_id: domain::ConversionId = id.parse().map_err(|_| engine::Error::not_found(format!("conversion `{id}`")))?;
    let detail = engine::conversion::find(&engine, &who, conversion_id).await?;
    let by_hand = match &detail.not_by_hand {
        None => Some(ByHand {
            clicks: candidates(engine::attribution::manual::candidates(&engine, &who, conversion_id).await?, detail.line.occurred_at),
            typed: super::request::take_draft(BY_HAND_DRAFT, &format!("/conversions/{conversion_id}")).unwrap_or_default(),
        }),
        Some(_) => None,
    };
    Ok(ConversionDetail {
        id,
        title: format!("{} {}", crate::panels::type_word(detail.line.conversion_type), detail.line.external_event_id),
        lead: format!("{} from {}", detail.line.value, detail.line.partner_name),
        delivery: detail.delivery.clone().map(|delivery| RawDelivery {
            id: delivery.webhook_delivery_id.to_string(),
            message_id: delivery.message_id,
            pretty_body: super::delivery::indented(&delivery.body),
            body: delivery.body,
        }),
        by_hand,
        story: crate::panels::conversion(detail, engine.now()),
    })
}

#[cfg(feature = "ssr")]
const BY_HAND_DRAFT: &str = "by_hand";

/// Attributes a conversion by hand.
#[server]
pub async fn attribute_by_hand(conversion_id: String, form: ByHandForm) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    let id: domain::ConversionId = conversion_id.parse().map_err(|_| engine::Error::not_found(format!("conversion `{conversion_id}`")))?;
    let page = format!("/conversions/{id}");
    let saved = async {
        let (code, click_id) = read_choice(&form)?;
        engine::attribution::manual::attribute_by_hand(&engine, &who, id, code, click_id, &form.reason).await.map_err(AppError::from)
    };
    saved.await.inspect_err(|_| super::request::keep_draft(BY_HAND_DRAFT, &page, &form))?;
    super::request::lead_plain_form_to(&format!("{page}?done=attributed"));
    Ok(())
}

#[cfg(feature = "ssr")]
mod server {
    use std::str::FromStr;

    use chrono::{DateTime, Duration, NaiveDate, Utc};
    use domain::{ClickId, dashboard::midnight};
    use engine::{
        attribution::manual::Candidate,
        conversion::{Filter, Sort},
    };
    use serde::de::{DeserializeOwned, value::StrDeserializer};

    use super::{ByHandForm, ConversionQuery};
    use crate::{AppError, api::request::invalid, components::date_time, panels};

    /// Letters of a search: longer than any id.
    const SEARCH_LENGTH_MAX: usize = 200;

    /// Reads what the URL asks for.
    ///
    /// # Errors
    /// Names the value that cannot be read.
    pub fn read_conversion_query(query: &ConversionQuery) -> Result<Filter, AppError> {
        let from = read_day("from", &query.from)?;
        let to = read_day("to", &query.to)?;
        if let (Some(from), Some(to)) = (from, to)
            && to < from
        {
            return Err(invalid("to", format!("the period ends on {to}, before it starts on {from}")));
        }
        let search = query.search.trim();
        if search.chars().count() > SEARCH_LENGTH_MAX {
            return Err(invalid("search", format!("the search has more than {SEARCH_LENGTH_MAX} characters")));
        }
        Ok(Filter {
            partner_id: read("partner", &query.partner)?,
            states: read_word("state", &query.state)?.into_iter().collect(),
            conversion_type: read_word("type", &query.kind)?,
            source: read_word("source", &query.source)?,
            from: from.map(midnight),
            to: to.map(|day| midnight(day + Duration::days(1))),
            search: (!search.is_empty()).then(|| search.to_owned()),
            sort: match query.sort.as_str() {
                "" | "newest" => Sort::Newest,
                "oldest" => Sort::Oldest,
                "value" => Sort::Value,
                "commission" => Sort::Commission,
                other => return Err(invalid("sort", format!("`{other}` is none of newest, oldest, value, commission"))),
            },
            after: read("after", &query.after)?,
        })
    }

    fn read<T: FromStr<Err: ToString>>(field: &str, text: &str) -> Result<Option<T>, AppError> {
        if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|error: T::Err| invalid(field, error.to_string())) }
    }

    /// One of an enum's words.
    fn read_word<T: DeserializeOwned>(field: &str, text: &str) -> Result<Option<T>, AppError> {
        if text.is_empty() {
            return Ok(None);
        }
        let word = T::deserialize(StrDeserializer::<serde::de::value::Error>::new(text));
        word.map(Some).map_err(|_| invalid(field, format!("`{text}` is no {field} of a conversion")))
    }

    fn read_day(field: &str, text: &str) -> Result<Option<NaiveDate>, AppError> {
        let in_reach = |day: &NaiveDate| (1970..=9000).contains(&chrono::Datelike::year(day));
        match text.trim() {
            "" => Ok(None),
            text => match text.parse().ok().filter(in_reach) {
                Some(day) => Ok(Some(day)),
                None => Err(invalid(field, format!("`{text}` is no day such as 2026-11-22"))),
            },
        }
    }

    /// The link and, if one was chosen, the click.
    pub fn read_choice(form: &ByHandForm) -> Result<(&str, Option<ClickId>), AppError> {
        let typed = form.referral_code.trim();
        match form.click.split_once(' ') {
            Some(_) if !typed.is_empty() => Err(invalid("referral_code", "choose a click or name a code, not both")),
            Some((code, click)) => Ok((code, Some(click.parse().map_err(|_| invalid("click_id", format!("`{click}` is no click")))?))),
            None if typed.is_empty() => Err(invalid("referral_code", "choose a click or name a referral code or alias")),
            None => Ok((typed, None)),
        }
    }

    /// The clicks as choices of a form, as (value, words).
    pub fn candidates(candidates: Vec<Candidate>, occurred_at: DateTime<Utc>) -> Vec<(String, String)> {
        let choice = |candidate: Candidate| {
            let before = panels::span(occurred_at - candidate.clicked_at);
            let own = if candidate.same_session { ", same browser session" } else { "" };
            let words = format!("{}: {before} before, at {}{own}", candidate.site_name, date_time(candidate.clicked_at));
            (format!("{} {}", candidate.referral_code, candidate.click_id), words)
        };
        candidates.into_iter().map(choice).collect()
    }

    #[cfg(test)]
    #[expect(clippy::unwrap_used, reason = "a test may panic")]
    mod tests {
        use super::*;

        #[test]
        fn an_empty_query_asks_for_everything() {
            assert_eq!(read_conversion_query(&ConversionQuery::default()).unwrap(), Filter::default());
        }

        #[test]
        fn the_last_day_is_included() {
            let query = ConversionQuery { from: "2026-11-01".to_owned(), to: "2026-11-30".to_owned(), ..ConversionQuery::default() };
            let filter = read_conversion_query(&query).unwrap();
            assert_eq!(filter.from.unwrap().to_rfc3339(), "2026-11-01T00:00:00+00:00");
            assert_eq!(filter.to.unwrap().to_rfc3339(), "2026-12-01T00:00:00+00:00");
        }

        #[test]
        fn either_a_click_or_a_code_is_chosen() {
            let id = "0192b7a0-0000-7000-8000-000000000001";
            let form =
                |click: &str, code: &str| ByHandForm { click: click.to_owned(), referral_code: code.to_owned(), ..Default::default() };
            assert_eq!(read_choice(&form("", " abcdefgh ")).unwrap(), ("abcdefgh", None));
            let chosen = form(&format!("p4s_1_supabase_2 {id}"), "");
            assert_eq!(read_choice(&chosen).unwrap(), ("p4s_1_supabase_2", Some(id.parse().unwrap())));
            let field = |form: ByHandForm| read_choice(&form).unwrap_err().0.field.unwrap();
            assert_eq!([field(form("", "")), field(form(&format!("code {id}"), "abcdefgh"))], ["referral_code", "referral_code"]);
            assert_eq!(field(form("code 7", "")), "click_id");
        }

        #[test]
        fn a_query_names_what_it_cannot_read() {
            type Change = fn(&mut ConversionQuery);
            let cases: [(&str, Change); 9] = [
                ("partner", |query| query.partner = "No Partner".to_owned()),
                ("state", |query| query.state = "lost".to_owned()),
                ("type", |query| query.kind = "gift".to_owned()),
                ("source", |query| query.source = "fax".to_owned()),
                ("from", |query| query.from = "yesterday".to_owned()),
                ("to", |query| (query.from, query.to) = ("2026-11-02".to_owned(), "2026-11-01".to_owned())),
                ("search", |query| query.search = "x".repeat(201)),
                ("sort", |query| query.sort = "random".to_owned()),
                ("after", |query| query.after = "7".to_owned()),
            ];
            for (field, change) in cases {
                let mut query = ConversionQuery::default();
                change(&mut query);
                assert_eq!(read_conversion_query(&query).unwrap_err().0.field.as_deref(), Some(field));
            }
        }
    }
}

#[cfg(feature = "ssr")]
pub use server::read_conversion_query;
#[cfg(feature = "ssr")]
use server::{candidates, read_choice};
