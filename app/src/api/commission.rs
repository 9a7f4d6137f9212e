//! Commissions by state, and what operators decide about them.

use chrono::{DateTime, Utc};
use domain::CommissionId;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;

/// The query of the page, as it stands in the URL; empty texts do not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CommissionQuery {
    /// `pending`, `held` (pending and held back), `approved`, `invoiced`, `paid` or `reversed`.
    pub state: String,
    pub partner: String,
    pub search: String,
    pub from: String,
    pub to: String,
    /// `newest`, `oldest`, `due` or `largest`.
    pub sort: String,
    pub page: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommissionRow {
    pub id: CommissionId,
    pub conversion_id: String,
    pub external_id: String,
    pub partner: String,
    pub occurred_at: DateTime<Utc>,
    pub value: String,
    pub amount: String,
    pub state: String,
    pub hold_until: DateTime<Utc>,
    pub hold_reason: Option<String>,
    pub approved: Option<(DateTime<Utc>, String)>,
    /// Id and number.
    pub statement: Option<(String, String)>,
}

/// What a state comes to, over all currencies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSum {
    /// As in the query; empty for all.
    pub state: String,
    pub count: i64,
    /// Per currency.
    pub amounts: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommissionList {
    pub rows: Vec<CommissionRow>,
    pub sums: Vec<StateSum>,
    pub count: i64,
    pub page: i64,
    pub pages: i64,
}

/// A page of commissions, with what each state comes to under the same filter.
#[server]
pub async fn list_commissions(query: CommissionQuery) -> Result<CommissionList, AppError> {
    let (engine, who) = super::backend().await?;
    let filter = read_filter(&query)?;
    let page = engine::commission::list(&engine, &who, &filter).await?;
    let pages = super::request::pages(page.count, engine::commission::PAGE_LENGTH);
    let sums = state_sums(&page.sums);
    Ok(CommissionList {
        rows: page.commissions.into_iter().map(CommissionRow::from).collect(),
        sums,
        count: page.count,
        page: filter.page,
        pages,
    })
}

/// Holds back, releases or approves the chosen commissions; the first and the last want a reason. `back` is the list's query.
#[server]
pub async fn decide_commissions(
    #[server(default)] ids: Vec<CommissionId>,
    decision: String,
    #[server(default)] reason: String,
    #[server(default)] back: String,
) -> Result<u64, AppError> {
    let (engine, who) = super::backend().await?;
    if ids.is_empty() {
        return Err(super::request::invalid("ids", "choose at least one commission"));
    }
    let (changed, done) = match decision.as_str() {
        "hold" => (engine::commission::hold(&engine, &who, &ids, &reason).await?, "commissions-held"),
        "release" => (engine::commission::release(&engine, &who, &ids).await?, "commissions-released"),
        "approve" => (engine::commission::approve_early(&engine, &who, &ids, &reason).await?, "commissions-approved"),
        other => return Err(super::request::invalid("decision", format!("`{other}` is none of hold, release, approve"))),
    };
    if changed == 0 {
        return Err(engine::Error::Conflict(nothing_changed(&decision).to_owned()).into());
    }
    super::request::lead_back("/commissions", &back, done);
    Ok(changed)
}

#[cfg(feature = "ssr")]
mod server {
    use domain::money::Money;
    use engine::commission::{Filter, Listed, Sort, State, Sum};

    use super::{CommissionQuery, CommissionRow, StateSum};
    use crate::{
        AppError,
        api::request::{invalid, read, read_page},
    };

    const STATES: [(&str, State); 5] = [
        ("pending", State::Pending),
        ("approved", State::Approved),
        ("invoiced", State::Invoiced),
        ("paid", State::Paid),
        ("reversed", State::Reversed),
    ];

    fn state_name(state: State) -> &'static str {
        STATES.into_iter().find(|(_, known)| *known == state).map_or("", |(name, _)| name)
    }

    pub fn read_filter(query: &CommissionQuery) -> Result<Filter, AppError> {
        let held_back = query.state == "held";
        let state = match query.state.as_str() {
            "" => None,
            "held" => Some(State::Pending),
            other => match STATES.into_iter().find(|(name, _)| *name == other) {
                Some((_, state)) => Some(state),
                None => return Err(invalid("state", format!("`{other}` is no state of a commission"))),
            },
        };
        let sort = match query.sort.as_str() {
            "" | "newest" => Sort::Newest,
            "oldest" => Sort::Oldest,
            "due" => Sort::Due,
            "largest" => Sort::Largest,
            other => return Err(invalid("sort", format!("`{other}` is none of newest, oldest, due, largest"))),
        };
        Ok(Filter {
            state,
            partner_id: read("partner", &query.partner)?,
            held_back,
            search: Some(query.search.clone()),
            from: read("from", &query.from)?,
            to: read("to", &query.to)?,
            sort,
            page: read_page(&query.page)?,
        })
    }

    /// One per tab: all, then each state, with those that are held back after the pending ones.
    pub fn state_sums(sums: &[Sum]) -> Vec<StateSum> {
        let of = |name: &str, state: Option<State>| {
            let within: Vec<&Sum> = sums.iter().filter(|sum| state.is_none_or(|state| sum.state == state)).collect();
            let mut amounts: Vec<Money> = Vec::new();
            for sum in &within {
                match amounts.iter_mut().find(|amount| amount.currency == sum.amount.currency) {
                    Some(amount) => amount.amount_minor = amount.amount_minor.saturating_add(sum.amount.amount_minor),
                    None => amounts.push(sum.amount),
                }
            }
            let count = within.iter().map(|sum| sum.commissions).sum();
            StateSum { state: name.to_owned(), count, amounts: amounts.into_iter().map(|amount| amount.to_string()).collect() }
        };
        let mut tabs = vec![of("", None)];
        for (name, state) in STATES {
            tabs.push(of(name, Some(state)));
            if state == State::Pending {
                let held = sums.iter().filter(|sum| sum.state == State::Pending).map(|sum| sum.held_back).sum();
                tabs.push(StateSum { state: "held".to_owned(), count: held, amounts: vec![] });
            }
        }
        tabs
    }

    pub fn nothing_changed(decision: &str) -> &'static str {
        match decision {
            "hold" => "none of the chosen commissions is pending: only those can be held back",
            "release" => "none of the chosen commissions is held back",
            _ => "none of the chosen commissions is pending and not held back: nothing was approved",
        }
    }

    impl From<Listed> for CommissionRow {
        fn from(listed: Listed) -> Self {
            Self {
                id: listed.commission_id,
                conversion_id: listed.conversion_id.to_string(),
                external_id: listed.external_event_id,
                partner: listed.partner_id.to_string(),
                occurred_at: listed.occurred_at,
                value: listed.value.to_string(),
                amount: listed.amount.to_string(),
                state: state_name(listed.state).to_owned(),
                hold_until: listed.hold_until,
                hold_reason: listed.hold_reason,
                approved: listed.approved_at.zip(listed.approved_by),
                statement: listed.statement.map(|(id, number)| (id.to_string(), number)),
            }
        }
    }
}

#[cfg(feature = "ssr")]
use server::{nothing_changed, read_filter, state_sums};
