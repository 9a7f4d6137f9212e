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
    pub id: SiteId,
    pub name: String,
    /// What it is, and when it was added and analysed.
    pub lead: String,
    /// It shows no offers any more.
    pub retired: bool,
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
        Some(_) if site.archived_at.is_none() => engine::recommendation::preview(&engine, &who, site_id).await?,
        _ => Vec::new(),
    };
    Ok(detail(site, offers))
}

/// Corrects a site's name and address; an empty address says that it is served nowhere.
#[server]
pub async fn edit_site(id: SiteId, name: String, #[server(default)] url: String) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    let url = Some(url.trim().to_owned()).filter(|url| !url.is_empty());
    let change = engine::site::Change { name: Some(name), url: Some(url), archived: None };
    engine::site::edit(&engine, &who, id, &change).await?;
    super::request::lead_plain_form_to(&format!("/sites/{id}?done=site-saved"));
    Ok(())
}

/// Ends a site's offers, or brings them back.
#[server]
pub async fn retire_site(id: SiteId, retired: bool) -> Result<(), AppError> {
    let (engine, who) = super::backend().await?;
    let change = engine::site::Change { archived: Some(retired), ..Default::default() };
    engine::site::edit(&engine, &who, id, &change).await?;
    let done = if retired { "site-retired" } else { "site-restored" };
    super::request::lead_plain_form_to(&format!("/sites/{id}?done={done}"));
    Ok(())
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
        let analysed = site.analysed_at.filter(|at| *at > site.created_at);
        let analysed = analysed.map(|at| format!(" Analysed again {}.", date_time(at))).unwrap_or_default();
        SiteDetail {
            id: site.site_id,
            lead: format!("{}. Added {}.{analysed}", panels::capitalised(kind), date_time(site.created_at)),
            retired: site.archived_at.is_some(),
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
