//! Sites: a developer's project with its analysis, and one link to each partner.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{DeveloperId, PartnerId, SiteId, analysis::Analysis};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Site {
    pub site_id: SiteId,
    pub developer_id: DeveloperId,
    pub name: String,
    pub url: Option<String>,
    pub created_at: DateTime<Utc>,
    /// Since when it is retired: it shows no offers, while its links still lead on.
    pub archived_at: Option<DateTime<Utc>>,
    pub analysed_at: Option<DateTime<Utc>>,
    /// Absent for sites that were never analysed.
    pub analysis: Option<Analysis>,
    /// By partner.
    pub links: Vec<SiteLink>,
}

/// The referral code of a site for a partner, and its short form for `/r/{alias}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteLink {
    pub partner_id: PartnerId,
    pub referral_code: String,
    pub alias: String,
}

/// A site in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteSummary {
    pub site_id: SiteId,
    pub name: String,
    pub url: Option<String>,
    /// As `ProjectKind`, in JSON's form.
    pub kind: Option<String>,
    pub created_at: DateTime<Utc>,
}
