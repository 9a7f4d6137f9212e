//! Sites with their analysis, offers and links. What is only read comes as HTML that was rendered on the server, see `panels`.

use domain::SiteId;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteList {
    pub table: String,
    /// The cursor of the older ones.
    pub next: Option<SiteId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteDetail {
    pub name: String,
    /// What it is and when it was added.
    pub lead: String,
    pub url: Option<String>,
    pub demo: String,
    /// The line for the site's pages.
    pub embed: String,
    pub offers: String,
    pub analysis: String,
    pub links: Vec<LinkView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkView {
    pub partner_id: String,
    pub referral_code: String,
    pub url: String,
}

/// The newest sites first, 50 a page; an empty cursor asks for the newest.
#[server]
pub async fn list_sites(before: String) -> Result<SiteList, AppError> {
    let (engine, who) = super::backend().await?;
    let mut sites = engine::site::overview(&engine, &who, read_cursor(&before)?, PAGE_LENGTH + 1).await?;
    let more = sites.len() > usize::try_from(PAGE_LENGTH).unwrap_or(usize::MAX);
    if more {
        sites.pop();
    }
    Ok(SiteList { next: sites.last().filter(|_| more).map(|site| site.site_id), table: crate::panels::site_table(sites) })
}

#[server]
pub async fn find_site(id: String) -> Result<SiteDetail, AppError> {
    let (engine, who) = super::backend().await?;
    let site_id = id.parse().map_err(|_| engine::Error::not_found(format!("site `{id}`")))?;
    let site = engine::site::find(&engine, &who, site_id).await?;
    let offers = match site.analysis {
        Some(_) => engine::recommendation::preview(&engine, &who, site_id).await?,
        None => Vec::new(),
    };
    Ok(detail(site, offers))
}

#[cfg(feature = "ssr")]
mod server {
    use domain::{
        SiteId,
        recommendation::LinkedOffer,
        site::{Site, SiteLink},
    };

    use super::{LinkView, SiteDetail};
    use crate::{
        AppError,
        api::request::{invalid, origin},
        components::date_time,
        panels,
    };

    pub const PAGE_LENGTH: i64 = 50;

    pub fn read_cursor(text: &str) -> Result<Option<SiteId>, AppError> {
        if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|error| invalid("before", error)) }
    }

    pub fn detail(site: Site, offers: Vec<LinkedOffer>) -> SiteDetail {
        let origin = origin();
        let link = |link: SiteLink| LinkView {
            partner_id: link.partner_id.to_string(),
            referral_code: link.referral_code,
            url: format!("{origin}/r/{}", link.alias),
        };
        let kind = site.analysis.as_ref().map_or("not analysed yet", |analysis| analysis.kind.describe());
        SiteDetail {
            lead: format!("{}. Added {}.", panels::capitalised(kind), date_time(site.created_at)),
            demo: format!("/demo?site={}", site.site_id),
            embed: format!(r#"<script src="{origin}/widget.js" data-site="{}" async></script>"#, site.site_id),
            name: site.name,
            url: site.url,
            offers: panels::offers(offers),
            analysis: panels::analysis(site.analysis),
            links: site.links.into_iter().map(link).collect(),
        }
    }
}

#[cfg(feature = "ssr")]
use server::{PAGE_LENGTH, detail, read_cursor};
