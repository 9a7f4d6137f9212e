//! What the whole project is: what its weightiest part is, unless parts complete each other.

use super::{Built, ProjectKind, StartCommand, start::with_manager};
use crate::analysis::{language, surroundings::Surroundings, tree::Tree};

pub struct Verdict {
    pub kind: ProjectKind,
    pub runtime: Option<String>,
    pub is_static: bool,
    pub start_command: Option<StartCommand>,
}

pub fn judge(tree: &Tree<'_>, components: &[Built], surroundings: &Surroundings) -> Verdict {
    let main = components.iter().filter(|built| built.component.kind != ProjectKind::Unknown).max_by(|a, b| by_weight(a, b));
    let Some(main) = main.or_else(|| components.iter().max_by(|a, b| by_weight(a, b))) else {
        return without_components(tree);
    };
    let other = |kinds: &[ProjectKind]| {
        components.iter().filter(|built| kinds.contains(&built.component.kind) && built.weight > 0.25).max_by(|a, b| by_weight(a, b))
    };
    let pages = other(&[ProjectKind::SinglePageApp, ProjectKind::StaticSite]);
    let server = other(&[ProjectKind::FullStackApp, ProjectKind::ApiService]);
    let (kind, leader) = match (main.component.kind, pages, server) {
        (ProjectKind::SinglePageApp | ProjectKind::StaticSite, _, Some(server)) => (ProjectKind::FullStackApp, server),
        (ProjectKind::ApiService, Some(pages), _) if pages.component.kind == ProjectKind::SinglePageApp => {
            (ProjectKind::FullStackApp, main)
        }
        (ProjectKind::Unknown, ..) => (without_components(tree).kind, main),
        (kind, ..) => (kind, main),
    };
    let is_static = matches!(kind, ProjectKind::StaticSite | ProjectKind::SinglePageApp);
    let start_command = if is_static && !leader.start.as_ref().is_some_and(|start| start.stated) { None } else { leader.start.clone() };
    let start_command = start_command.or_else(|| {
        let web = surroundings.procfile_web.as_ref()?;
        Some(StartCommand { command: web.command.clone(), stated: true, evidence: web.evidence.clone() })
    });
    Verdict { kind, runtime: leader.component.runtime.clone(), is_static, start_command: with_manager(start_command, tree) }
}

fn by_weight(a: &Built, b: &Built) -> std::cmp::Ordering {
    // Of equals the one whose path comes first wins, so that the order of the files does not matter.
    a.weight
        .total_cmp(&b.weight)
        .then_with(|| b.component.path.cmp(&a.component.path))
        .then_with(|| b.component.runtime.cmp(&a.component.runtime))
}

/// A project without any manifest, told by its files alone.
fn without_components(tree: &Tree<'_>) -> Verdict {
    let shares = language::shares(tree);
    let kind = match shares.first().map(|share| share.name.as_str()) {
        Some("HTML" | "CSS" | "SCSS" | "JavaScript" | "TypeScript") if shares.iter().any(|share| share.name == "HTML") => {
            ProjectKind::StaticSite
        }
        Some("HCL" | "Nix" | "Dockerfile") => ProjectKind::Infrastructure,
        Some("Jupyter Notebook" | "R" | "Julia") => ProjectKind::DataProject,
        _ => ProjectKind::Unknown,
    };
    let is_static = kind == ProjectKind::StaticSite;
    Verdict { kind, runtime: is_static.then(|| "static".to_owned()), is_static, start_command: None }
}
