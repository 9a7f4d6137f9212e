//! How well a partner fits what a project lacks, with the reasons.

use serde::{Deserialize, Serialize};

use super::{Reason, Settings, engines, words};
use crate::{
    analysis::{Analysis, Category, Evidence, Finding},
    partner::Partner,
};

/// 0 to 1. The reasons stand with the offer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    pub value: f64,
}

pub struct Judged {
    pub fit: Fit,
    pub reasons: Vec<Reason>,
    pub down_ranked: Option<String>,
}

/// A need of the partner's category makes the fit; a project that already fills it, or does not have it, leaves little.
pub fn judge(analysis: &Analysis, partner: &Partner, settings: &Settings) -> Judged {
    let Ok(category) = partner.category.parse::<Category>() else {
        return unfit(0.1, format!("we cannot tell from the code whether your project needs {}", partner.category), Vec::new());
    };
    if let Some(own) = analysis.in_use().find(|finding| is_same(finding, partner)) {
        return unfit(0.02, format!("your project already uses {}", own.name), own.evidence.clone());
    }
    // The need comes first: what one server of the project has, another may lack.
    let Some(need) = analysis.needs.iter().find(|need| need.category == category) else {
        return without_need(analysis, category);
    };
    let foreign = if category == Category::Database { engines::foreign(analysis, partner) } else { Vec::new() };
    if let Some(database) = foreign.first() {
        let text = format!("your project uses {}, and {} hosts {}", database.name, partner.name, engines::hosted_names(partner));
        return unfit(0.05, text, database.evidence.clone());
    }
    let mut reasons = vec![Reason { text: need.reason.clone(), evidence: need.evidence.clone() }];
    let value = need.strength * analysis.confidence.mul_add(0.5, 0.5);
    reasons.extend(support(analysis, category));
    if value < settings.fit_min {
        return Judged {
            fit: Fit { value },
            reasons,
            down_ranked: Some(format!("your project shows little need of {}", category.with_article())),
        };
    }
    Judged { fit: Fit { value }, reasons, down_ranked: None }
}

/// Something fills it, or such a project has no use for it.
fn without_need(analysis: &Analysis, category: Category) -> Judged {
    match analysis.filling(category).next() {
        Some(other) => unfit(0.05, format!("your project already uses {} as its {category}", other.name), other.evidence.clone()),
        None => unfit(0.1, format!("{} does not call for {}", analysis.kind.describe(), category.with_article()), Vec::new()),
    }
}

fn unfit(value: f64, text: String, evidence: Vec<Evidence>) -> Judged {
    Judged { fit: Fit { value }, reasons: vec![Reason { text: text.clone(), evidence }], down_ranked: Some(text) }
}

fn is_same(finding: &Finding, partner: &Partner) -> bool {
    finding.id == partner.partner_id.as_str() || finding.name.eq_ignore_ascii_case(&partner.name)
}

/// What else in the project speaks for the category.
fn support(analysis: &Analysis, category: Category) -> Vec<Reason> {
    let part = |name: &str| analysis.deployment_readiness.part(name).filter(|part| part.points > 0 && !part.evidence.is_empty());
    match category {
        Category::Hosting => {
            let container = part("container file").map(|part| Reason {
                text: "your container file runs on any host that takes containers".to_owned(),
                evidence: part.evidence.clone(),
            });
            let start = analysis
                .start_command
                .as_ref()
                .filter(|start| start.stated)
                .map(|start| Reason { text: format!("it is ready to start: `{}`", start.command), evidence: vec![start.evidence.clone()] });
            container.into_iter().chain(start).collect()
        }
        Category::Database => words::server_framework(analysis)
            .map(|framework| Reason {
                text: format!("{} works with it from the server", framework.name),
                evidence: framework.evidence.clone(),
            })
            .into_iter()
            .collect(),
        Category::Design => analysis
            .design
            .first()
            .map(|design| Reason { text: format!("your styles are made with {}", design.name), evidence: design.evidence.clone() })
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}
