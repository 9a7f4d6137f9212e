//! What another attribution policy would have done to a past period.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;

/// What the URL asks for, as typed. Without a model nothing is asked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhatIfQuery {
    /// Empty for all partners.
    pub partner: String,
    pub model: String,
    pub window_hours: String,
    pub minimum_seconds: String,
    /// The first and the last day.
    pub from: String,
    pub to: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhatIfAnswer {
    /// Who gains and loses: HTML, see `panels`.
    pub report: String,
    /// Partners whose terms may take the policy over: their names, and the form filled in.
    pub adopt: Vec<(String, String)>,
}

/// What the form starts from: the last 30 days and the policy that a partner has now, or the usual one.
#[server]
pub async fn start_what_if(query: WhatIfQuery) -> Result<WhatIfQuery, AppError> {
    let (engine, who) = super::backend().await?;
    engine::access::require_read(&who, "compare attribution policies")?;
    let today = engine.now().date_naive();
    let or = |typed: String, usual: String| if typed.is_empty() { usual } else { typed };
    let terms = match query.partner.parse() {
        Ok(partner_id) => engine::partner::list_terms(&engine, &who, &partner_id).await?.into_iter().next().map(|terms| terms.values),
        Err(_) => None,
    };
    let (window, minimum) = terms.map_or((24, 0), |values| (values.attribution_window_hours, values.attribution_minimum_seconds));
    Ok(WhatIfQuery {
        partner: query.partner,
        model: or(query.model, "linear".to_owned()),
        window_hours: or(query.window_hours, window.to_string()),
        minimum_seconds: or(query.minimum_seconds, minimum.to_string()),
        from: or(query.from, (today - chrono::Duration::days(29)).to_string()),
        to: or(query.to, today.to_string()),
    })
}

#[server]
pub async fn what_if(query: WhatIfQuery) -> Result<WhatIfAnswer, AppError> {
    let (engine, who) = super::backend().await?;
    let (partner_id, period, policy) = read_what_if(&query, engine.now())?;
    let report = engine::attribution::what_if(&engine, &who, partner_id.as_ref(), period, &policy).await?;
    let mut adopt = Vec::new();
    for partner in engine::partner::list(&engine, &who).await? {
        let is_concerned = match &partner_id {
            Some(chosen) => *chosen == partner.partner_id,
            None => report.partners.iter().any(|change| change.partner_id == partner.partner_id),
        };
        if is_concerned {
            let href = format!(
                "/partners/{}?attribution_model={}&attribution_window_hours={}&attribution_minimum_seconds={}#new-terms",
                partner.partner_id, report.model, report.window_hours, report.minimum_seconds
            );
            adopt.push((partner.display_name, href));
        }
    }
    Ok(WhatIfAnswer { report: crate::panels::what_if(report), adopt })
}

#[cfg(feature = "ssr")]
mod server {
    use std::str::FromStr;

    use chrono::{DateTime, Duration, Utc};
    use domain::{
        PartnerId,
        attribution::{Model, Policy},
        dashboard::{Period, Range},
    };

    use super::WhatIfQuery;
    use crate::{AppError, api::request::invalid};

    /// Reads the URL; the bounds of the policy are the engine's business.
    pub fn read_what_if(query: &WhatIfQuery, now: DateTime<Utc>) -> Result<(Option<PartnerId>, Period, Policy), AppError> {
        let partner_id = match query.partner.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|error| invalid("partner", error))?),
        };
        let policy = Policy {
            model: query.model.parse::<Model>().map_err(|error| invalid("model", error))?,
            window: Duration::hours(read::<u32>("window_hours", &query.window_hours, "a whole number of hours")?.into()),
            minimum: Duration::seconds(read::<u32>("minimum_seconds", &query.minimum_seconds, "a whole number of seconds")?.into()),
        };
        let range = Range::parse(None, Some(&query.from), Some(&query.to)).map_err(|error| invalid("from", error))?;
        Ok((partner_id, range.period(now), policy))
    }

    fn read<T: FromStr>(field: &str, text: &str, expected: &str) -> Result<T, AppError> {
        let text = text.trim();
        text.parse().map_err(|_| invalid(field, format!("`{text}` must be {expected}")))
    }

    #[cfg(test)]
    #[expect(clippy::unwrap_used, reason = "a test may panic")]
    mod tests {
        use super::*;

        fn query() -> WhatIfQuery {
            let text = |text: &str| text.to_owned();
            WhatIfQuery {
                partner: text("supabase"),
                model: text("linear"),
                window_hours: text("48"),
                minimum_seconds: text("0"),
                from: text("2026-11-01"),
                to: text("2026-11-22"),
            }
        }

        #[test]
        fn a_policy_and_its_period_are_read() {
            let (partner_id, period, policy) = read_what_if(&query(), "2026-11-22T12:30:00Z".parse().unwrap()).unwrap();
            assert_eq!(partner_id.unwrap().as_str(), "supabase");
            assert_eq!(period.to.to_rfc3339(), "2026-11-22T13:00:00+00:00");
            assert_eq!((policy.model, policy.window.num_hours()), (Model::Linear, 48));
        }

        #[test]
        fn what_cannot_be_read_is_named() {
            type Change = fn(&mut WhatIfQuery);
            let cases: [(&str, Change); 6] = [
                ("partner", |query| query.partner = "No Partner".to_owned()),
                ("model", |query| query.model = "best".to_owned()),
                ("window_hours", |query| query.window_hours = "a day".to_owned()),
                ("minimum_seconds", |query| query.minimum_seconds = "-1".to_owned()),
                ("from", |query| query.from = String::new()),
                ("from", |query| query.to = "2026-10-01".to_owned()),
            ];
            for (field, change) in cases {
                let mut query = query();
                change(&mut query);
                assert_eq!(read_what_if(&query, Utc::now()).unwrap_err().0.field.as_deref(), Some(field));
            }
        }
    }
}

#[cfg(feature = "ssr")]
use server::read_what_if;
