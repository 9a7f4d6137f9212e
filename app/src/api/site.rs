//! Sites with their analysis, offers and links.
//!
//! Pages get plain texts: what an analysis is made of stays on the server.

use chrono::{DateTime, Utc};
use domain::SiteId;
use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;
use serde::{Deserialize, Serialize};

use crate::AppError;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteRow {
    pub site_id: SiteId,
    pub name: String,
    pub url: Option<String>,
    pub kind: Option<String>,
    pub languages: Vec<String>,
    pub offers: i64,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteList {
    pub sites: Vec<SiteRow>,
    /// The cursor of the older ones.
    pub next: Option<SiteId>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiteDetail {
    pub site_id: SiteId,
    pub name: String,
    pub url: Option<String>,
    pub created_at: DateTime<Utc>,
    /// Absent for sites that were never analysed.
    pub analysis: Option<AnalysisView>,
    /// The best first.
    pub offers: Vec<OfferView>,
    pub links: Vec<LinkView>,
    /// The line for the site's pages.
    pub embed: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnalysisView {
    /// "a full-stack app".
    pub kind: String,
    pub runtime: Option<String>,
    pub start_command: Option<String>,
    pub languages: Vec<LanguageView>,
    pub groups: Vec<FindingGroup>,
    pub scores: Vec<ScoreView>,
    pub needs: Vec<NeedView>,
    pub confidence_percent: f64,
    /// What could not be read, and why it stopped early.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageView {
    pub name: String,
    pub percent: f64,
    pub files: u32,
}

/// Technologies of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingGroup {
    pub title: String,
    pub findings: Vec<FindingView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingView {
    pub name: String,
    pub evidence: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreView {
    pub title: String,
    /// 0 to 100.
    pub value: u8,
    pub parts: Vec<PartView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartView {
    pub name: String,
    pub points: u8,
    pub of: u8,
    pub reason: String,
    pub evidence: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NeedView {
    pub category: String,
    pub percent: f64,
    pub reason: String,
    pub evidence: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfferView {
    pub partner_id: String,
    pub display_name: String,
    pub category: String,
    pub score_percent: f64,
    pub fit_percent: f64,
    /// "2.4 %, 95 % between 1.1 % and 4.2 %".
    pub conversion: String,
    pub expected_revenue: String,
    pub positioning: String,
    pub reasons: Vec<FindingView>,
    /// Why it stands below the fit ones, if it does.
    pub down_ranked: Option<String>,
    pub link: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkView {
    pub partner_id: String,
    pub referral_code: String,
    pub url: String,
}

/// The newest sites first, 50 a page.
#[server(input = GetUrl)]
pub async fn list_sites(before: String) -> Result<SiteList, AppError> {
    let (engine, who) = super::backend().await?;
    let mut sites = engine::site::overview(&engine, &who, read_cursor(&before)?, PAGE_LENGTH + 1).await?;
    let more = sites.len() > usize::try_from(PAGE_LENGTH).unwrap_or(usize::MAX);
    if more {
        sites.pop();
    }
    Ok(SiteList { next: sites.last().filter(|_| more).map(|site| site.site_id), sites: sites.into_iter().map(row).collect() })
}

#[server(input = GetUrl)]
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
        Money, SiteId,
        analysis::{Analysis, Evidence, Finding, ProjectKind, Score},
        recommendation::LinkedOffer,
        site::Site,
    };
    use engine::site::Overview;
    use serde::{Deserialize, de::value::StrDeserializer};

    use super::{
        AnalysisView, FindingGroup, FindingView, LanguageView, LinkView, NeedView, OfferView, PartView, ScoreView, SiteDetail, SiteRow,
    };
    use crate::{
        AppError,
        api::request::{invalid, origin},
    };

    pub const PAGE_LENGTH: i64 = 50;

    pub fn read_cursor(text: &str) -> Result<Option<SiteId>, AppError> {
        if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|error| invalid("before", error)) }
    }

    pub fn row(site: Overview) -> SiteRow {
        let kind = site.kind.map(|kind| {
            let known = ProjectKind::deserialize(StrDeserializer::<serde::de::value::Error>::new(&kind)).ok();
            known.map_or_else(|| kind.replace('_', " "), |known| known.describe().to_owned())
        });
        SiteRow {
            site_id: site.site_id,
            name: site.name,
            url: site.url,
            kind,
            languages: site.languages,
            offers: site.offers,
            created_at: site.created_at,
        }
    }

    pub fn detail(site: Site, offers: Vec<LinkedOffer>) -> SiteDetail {
        let origin = origin();
        let link = |link: domain::site::SiteLink| LinkView {
            partner_id: link.partner_id.to_string(),
            referral_code: link.referral_code,
            url: format!("{origin}/r/{}", link.alias),
        };
        SiteDetail {
            embed: format!(r#"<script src="{origin}/widget.js" data-site="{}" async></script>"#, site.site_id),
            site_id: site.site_id,
            name: site.name,
            url: site.url,
            created_at: site.created_at,
            analysis: site.analysis.map(analysis_view),
            offers: offers.into_iter().map(offer_view).collect(),
            links: site.links.into_iter().map(link).collect(),
        }
    }

    fn analysis_view(analysis: Analysis) -> AnalysisView {
        let groups = [
            ("Frameworks", analysis.frameworks),
            ("Databases", analysis.databases),
            ("Data access", analysis.data_access),
            ("Services in use", analysis.services),
            ("Design", analysis.design),
            ("Package managers", analysis.package_managers),
        ];
        let scores = [
            ("Complexity", analysis.complexity),
            ("Deployment readiness", analysis.deployment_readiness),
            ("Design needs", analysis.design_needs),
        ];
        let need = |need: domain::analysis::Need| NeedView {
            category: need.category.to_string(),
            percent: need.strength * 100.0,
            reason: need.reason,
            evidence: texts(&need.evidence),
        };
        let language = |language: domain::analysis::LanguageShare| LanguageView {
            name: language.name,
            percent: language.share * 100.0,
            files: language.files,
        };
        AnalysisView {
            kind: analysis.kind.describe().to_owned(),
            runtime: analysis.runtime,
            start_command: analysis.start_command.map(|start| start.command),
            languages: analysis.languages.into_iter().map(language).collect(),
            groups: groups
                .into_iter()
                .filter(|(_, findings)| !findings.is_empty())
                .map(|(title, findings)| group(title, findings))
                .collect(),
            scores: scores.map(|(title, score)| score_view(title, score)).to_vec(),
            needs: analysis.needs.into_iter().map(need).collect(),
            confidence_percent: analysis.confidence * 100.0,
            warnings: analysis.partial.into_iter().chain(analysis.warnings).collect(),
        }
    }

    fn group(title: &str, findings: Vec<Finding>) -> FindingGroup {
        let view = |finding: Finding| FindingView { name: finding.name, evidence: texts(&finding.evidence) };
        FindingGroup { title: title.to_owned(), findings: findings.into_iter().map(view).collect() }
    }

    fn score_view(title: &str, score: Score) -> ScoreView {
        let part = |part: domain::analysis::Part| PartView {
            name: part.name,
            points: part.points,
            of: part.of,
            reason: part.reason,
            evidence: texts(&part.evidence),
        };
        ScoreView { title: title.to_owned(), value: score.value, parts: score.parts.into_iter().map(part).collect() }
    }

    fn offer_view(linked: LinkedOffer) -> OfferView {
        let LinkedOffer { offer, link } = linked;
        let chance = offer.conversion_probability;
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let reason = |reason: domain::recommendation::Reason| FindingView { evidence: texts(&reason.evidence), name: reason.text };
        OfferView {
            partner_id: offer.partner_id.to_string(),
            display_name: offer.display_name,
            category: offer.category,
            score_percent: offer.score * 100.0,
            fit_percent: offer.fit.value * 100.0,
            conversion: format!("{} (95 % between {} and {})", percent(chance.mean), percent(chance.low), percent(chance.high)),
            expected_revenue: format!("{} per click", Money::new(offer.expected_revenue_minor, offer.currency)),
            positioning: offer.positioning,
            reasons: offer.reasons.into_iter().map(reason).collect(),
            down_ranked: offer.down_ranked,
            link,
        }
    }

    /// Each place once, in the order given.
    fn texts(evidence: &[Evidence]) -> Vec<String> {
        let mut texts = Vec::with_capacity(evidence.len());
        for text in evidence.iter().map(ToString::to_string) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts
    }
}

#[cfg(feature = "ssr")]
use server::{PAGE_LENGTH, detail, read_cursor, row};
