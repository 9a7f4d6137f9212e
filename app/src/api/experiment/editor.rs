//! The editor of a test. Every button sends the whole form; what is not saved comes back in the page's URL, so that nothing typed is lost,
//! whatever is wrong with it, and back, reload and a copied link work.

use std::collections::BTreeMap;

use domain::{Problem, experiment::Edit};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::form::DesignForm;
use crate::AppError;

/// What the editor shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Editor {
    /// The test's key; empty for a new one.
    pub key: String,
    /// Its present name.
    pub name: String,
    /// Units take part already, so that an edit may move them.
    pub has_begun: bool,
    pub form: DesignForm,
    /// What is wrong, by field; empty before anything was sent.
    pub faults: BTreeMap<String, String>,
    /// What else kept it from being saved.
    pub problem: Option<AppError>,
    /// What the edit would do, if that was asked for.
    pub effect: Option<EditEffect>,
    /// What the effect was computed of, to be sent along with the confirmation.
    pub checked: String,
    /// The version of the test that this page shows; empty for a new one. To be sent along, so that nobody undoes unseen what others change.
    pub base: String,
    /// HTML, see `panels`.
    pub planner: String,
    /// What the planner goes by where nothing is typed.
    pub measured: Measured,
    /// Id and name of what the test can be narrowed to.
    pub partners: Vec<(String, String)>,
    pub sites: Vec<(String, String)>,
    pub segments: Vec<(String, String)>,
    /// Where a visitor sees the widget.
    pub demo: Option<String>,
}

/// What an edit of a test that has begun would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EditEffect {
    pub edit: Edit,
    pub words: String,
    /// On the button that does it.
    pub label: String,
}

/// What the units of the test did last week, as it would be typed; empty where that says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    pub baseline: String,
    pub spread: String,
    pub daily_units: String,
}

/// How far somebody has come with a form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Typing: nothing is judged yet.
    #[default]
    Typing,
    /// Sent: what is wrong is named, or what it would do.
    Sent,
}

/// A form on its way back to its page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    pub form: DesignForm,
    pub stage: Stage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// The version of the test that the form was typed over.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub base: String,
}

/// The editor of a test, or of a new one if the key is empty. `draft` is what the URL carries; `kind` is what a new one starts with.
#[server]
pub async fn load_editor(key: String, draft: String, kind: String) -> Result<Editor, AppError> {
    let (engine, who) = crate::api::backend().await?;
    server::load(&engine, &who, &key, &draft, &kind).await
}

/// Does what the pressed button says: `save`, `add`, `even`, `plan`, or `remove-1`. A test is saved only as long as it is the one of `base`,
/// and one that has begun only if `checked` shows that the effect of just this form on it was looked at; leads back to the editor if
/// anything is left to be done.
#[server]
pub async fn save_experiment(
    key: String,
    form: DesignForm,
    #[server(default)] act: String,
    #[server(default)] checked: String,
    #[server(default)] base: String,
) -> Result<(), AppError> {
    let (engine, who) = crate::api::backend().await?;
    server::save(&engine, &who, &key, server::Sent { form, act, checked, base }).await
}

#[cfg(feature = "ssr")]
mod server {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use domain::{
        Problem,
        auth::Principal,
        experiment::{Design, Edit, Experiment, VARIANTS_MAX},
    };
    use engine::{Engine, experiment::Edited};

    use super::{Draft, EditEffect, Editor, Stage};
    use crate::{
        AppError,
        api::{
            experiment::{form::DesignForm, planner, read},
            request::{invalid, lead_plain_form_to, origin},
        },
        components::share_words,
        panels::capitalised,
    };

    /// Sites that are offered to be ticked; others are named by id.
    const SITES_OFFERED: i64 = 12;
    /// Pages beside those of the tests.
    const RESERVED: [&str; 3] = ["new", "unit", "compare"];
    /// Far more than the longest texts of eight variants take.
    const DRAFT_BYTES_MAX: usize = 60_000;

    /// The form as a button sent it.
    pub struct Sent {
        pub form: DesignForm,
        pub act: String,
        pub checked: String,
        pub base: String,
    }

    pub async fn load(engine: &Engine, who: &Principal, key: &str, draft: &str, kind: &str) -> Result<Editor, AppError> {
        let before = find(engine, who, key).await?;
        let present = version(before.as_ref())?;
        let draft = if draft.is_empty() { None } else { Some(decode(draft)?) };
        let Draft { form, stage, problem, base } = draft.unwrap_or_else(|| {
            let form = before.as_ref().map_or_else(|| read::new_form(kind), |before| DesignForm::from(&before.design));
            Draft { form, base: present.clone(), ..Draft::default() }
        });
        let problem = if base == present { problem } else { Some(changed_meanwhile()) };
        let (design, faults) = faults_of(&form, before.as_ref());
        let has_begun = before.as_ref().is_some_and(|before| before.phase.is_some());
        let effect = match stage {
            Stage::Sent if has_begun && faults.is_empty() => {
                Some(effect(engine::experiment::preview_edit(engine, who, key, &design).await?, before.as_ref()))
            }
            Stage::Sent | Stage::Typing => None,
        };
        let began_at = before.as_ref().and_then(|before| before.phase.as_ref()).map(|phase| phase.started_at);
        let (planner, measured) = planner::plan(engine, who, &form, &design, began_at).await?;
        let partners = engine::partner::overview(engine, who).await?;
        let newest = engine::site::list(engine, who, None, SITES_OFFERED).await?;
        let demo = newest.first().map(|site| format!("{}/demo?site={}", origin(), site.site_id));
        let mut sites: Vec<(String, String)> = newest.into_iter().map(|site| (site.site_id.to_string(), site.name)).collect();
        for id in &form.sites {
            if !sites.iter().any(|(known, _)| known == id) {
                sites.push((id.clone(), format!("Site {id}")));
            }
        }
        let segments = domain::analysis::ProjectKind::ALL.map(|kind| (kind.id().to_owned(), capitalised(kind.describe())));
        Ok(Editor {
            key: key.to_owned(),
            name: before.map(|before| before.design.name).unwrap_or_default(),
            has_begun,
            checked: if effect.is_some() { encode(&(&form, &present)) } else { String::new() },
            base: present,
            faults: if stage == Stage::Sent { faults } else { Default::default() },
            problem: problem.map(AppError),
            effect,
            planner,
            measured,
            form,
            partners: partners.into_iter().map(|partner| (partner.partner_id.to_string(), partner.display_name)).collect(),
            sites,
            segments: segments.to_vec(),
            demo,
        })
    }

    pub async fn save(engine: &Engine, who: &Principal, key: &str, mut sent: Sent) -> Result<(), AppError> {
        let is_key = key.len() <= 40 && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !is_key {
            return Err(engine::Error::not_found(format!("experiment `{key}`")).into());
        }
        let form = &mut sent.form;
        let place = match sent.act.as_str() {
            "add" if form.variants.len() >= VARIANTS_MAX => "#variants",
            "add" => {
                form.add_variant();
                "#variants"
            }
            "even" => {
                form.share_evenly();
                "#variants"
            }
            "plan" => "#plan",
            "" | "save" => return send(engine, who, key, sent).await,
            other => match other.strip_prefix("remove-").and_then(|index| index.parse().ok()) {
                Some(index) => {
                    form.remove_variant(index);
                    "#variants"
                }
                None => return Err(invalid("act", format!("`{other}` is none of save, add, even, plan, remove-1"))),
            },
        };
        lead_back(key, &Draft { form: sent.form, base: sent.base, ..Draft::default() }, place);
        Ok(())
    }

    async fn send(engine: &Engine, who: &Principal, key: &str, sent: Sent) -> Result<(), AppError> {
        let Sent { form, checked, base, .. } = sent;
        let before = find(engine, who, key).await?;
        let present = version(before.as_ref())?;
        if base != present {
            lead_back(key, &Draft { form, stage: Stage::Sent, problem: None, base }, "#faults");
            return Err(AppError(changed_meanwhile()));
        }
        let (design, faults) = faults_of(&form, before.as_ref());
        if let Some((field, reason)) = faults.into_iter().next() {
            let error = invalid(&field, reason);
            lead_back(key, &Draft { form, stage: Stage::Sent, problem: None, base }, "#faults");
            return Err(error);
        }
        let is_begun = before.as_ref().is_some_and(|before| before.phase.is_some());
        if is_begun && checked != encode(&(&form, &present)) {
            lead_back(key, &Draft { form, stage: Stage::Sent, problem: None, base }, "#effect");
            let unseen =
                Problem::new(409, "conflict", "not confirmed").detail("look at what this edit does first, and send its `checked` along");
            return Err(AppError(unseen));
        }
        match store(engine, who, key, &form, design, &base).await {
            Ok((key, done)) => {
                lead_plain_form_to(&format!("/experiments/{key}?done={done}"));
                Ok(())
            }
            Err(error) => {
                // Before the error's status, which would stand in for that of the redirect.
                let problem = Problem::from(error);
                lead_back(key, &Draft { form, stage: Stage::Sent, problem: Some(problem.clone()), base }, "#faults");
                Err(AppError(problem))
            }
        }
    }

    /// What was typed as a design, with everything that is wrong with it.
    fn faults_of(form: &DesignForm, before: Option<&Experiment>) -> (Design, read::Faults) {
        let (design, mut faults) = read::design(form, before.map(|before| &before.design));
        let wished = form.key.trim();
        let is_key = wished.len() <= 40 && wished.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if before.is_none() && !is_key {
            faults.insert("key".to_owned(), format!("`{wished}` must be at most 40 characters of a-z, 0-9 and -"));
        } else if before.is_none() && RESERVED.contains(&wished) {
            faults.insert("key".to_owned(), format!("`{wished}` is the address of another page: choose another one"));
        }
        (design, faults)
    }

    async fn store(
        engine: &Engine,
        who: &Principal,
        key: &str,
        form: &DesignForm,
        design: Design,
        base: &str,
    ) -> engine::Result<(String, &'static str)> {
        if key.is_empty() {
            let wished = form.key.trim();
            let made = engine::experiment::create(engine, who, Some(wished).filter(|key| !key.is_empty()), design).await?;
            return Ok((made.key, "experiment-created"));
        }
        let edited = engine::experiment::edit_as_seen(engine, who, key, design, base).await?;
        let done = if edited.edit == Some(Edit::NewPhase) { "experiment-new-phase" } else { "experiment-edited" };
        Ok((edited.experiment.key, done))
    }

    async fn find(engine: &Engine, who: &Principal, key: &str) -> Result<Option<Experiment>, AppError> {
        Ok(if key.is_empty() { None } else { Some(engine::experiment::find(engine, who, key).await?) })
    }

    /// Empty for a test that is not there yet.
    fn version(experiment: Option<&Experiment>) -> Result<String, AppError> {
        Ok(experiment.map(engine::experiment::version).transpose()?.unwrap_or_default())
    }

    fn changed_meanwhile() -> Problem {
        Problem::new(409, "conflict", "the test was changed meanwhile").detail(
            "somebody else has changed it since you opened it here; its log says what. Nothing was saved. To keep their change, cancel and edit the test anew. To put what you typed in its place, save below: you see first what that does to a test that has begun",
        )
    }

    fn effect(edited: Edited, before: Option<&Experiment>) -> EditEffect {
        let edit = edited.edit.unwrap_or(Edit::Description);
        let phase = before.and_then(|before| before.phase.as_ref()).map_or(1, |phase| phase.number);
        let (words, label) = match (edit, edited.moves) {
            (Edit::Description, _) | (_, None) => {
                ("Nobody is assigned otherwise: the phase and its results go on.".to_owned(), "Save the changes".to_owned())
            }
            (Edit::MoreTraffic, Some(moves)) => (
                format!(
                    "Everybody who takes part keeps their variant, and {} of the eligible units join them. The phase and its results go on.",
                    rounded(moves.joined)
                ),
                "Let more units take part".to_owned(),
            ),
            (Edit::NewPhase, Some(moves)) => (
                format!(
                    "Phase {phase} ends and phase {} begins: everybody is dealt anew. Of those who take part now, {} will see another variant, {} go on seeing the same and {} take part no more. Results begin from zero; those of phase {phase} stay to be read.",
                    phase + 1,
                    rounded(moves.moved),
                    rounded(moves.kept),
                    rounded(moves.left),
                ),
                format!("End phase {phase} and begin phase {}", phase + 1),
            ),
        };
        EditEffect { edit, words, label }
    }

    fn rounded(share: f64) -> String {
        share_words((share * 1_000.0).round() / 1_000.0)
    }

    fn page_of(key: &str) -> String {
        if key.is_empty() { "/experiments/new".to_owned() } else { format!("/experiments/{key}/edit") }
    }

    fn lead_back(key: &str, draft: &Draft, place: &str) {
        lead_plain_form_to(&format!("{}?draft={}{place}", page_of(key), encode(draft)));
    }

    fn encode(value: &impl serde::Serialize) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap_or_default())
    }

    fn decode(draft: &str) -> Result<Draft, AppError> {
        let json = (draft.len() <= DRAFT_BYTES_MAX).then(|| URL_SAFE_NO_PAD.decode(draft).ok()).flatten();
        json.and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or_else(|| invalid("draft", "the link to this draft is damaged: open the editor anew"))
    }

    #[cfg(test)]
    #[expect(clippy::unwrap_used, reason = "a test may panic")]
    mod tests {
        use super::*;

        #[test]
        fn a_draft_comes_back_as_it_was_typed() {
            let form = DesignForm { hypothesis: "Ümläute & \"quotes\"\n%".to_owned(), ..read::new_form("positioning") };
            let draft = Draft { form, stage: Stage::Sent, problem: None, base: "a-version".to_owned() };
            assert_eq!(decode(&encode(&draft)).unwrap(), draft);
        }

        #[test]
        fn a_damaged_or_endless_draft_is_refused() {
            let is_refused = |text: &str| decode(text).is_err_and(|error| error.0.field.as_deref() == Some("draft"));
            assert!(is_refused("not base64!") && is_refused("AAAA") && is_refused(&"A".repeat(DRAFT_BYTES_MAX + 1)));
        }
    }
}
