//! The servers of a project, each seen by itself: what hosts one of them says nothing about the next.

use super::{Analysis, Component, Evidence, Finding, ProjectKind, Score, tree::is_below};

/// Each server of a project as if there were no other; the whole project if that is its only server, or has none.
pub fn servers(analysis: &Analysis) -> Vec<Analysis> {
    let servers: Vec<&Component> = analysis.components.iter().filter(|component| is_server(analysis, component)).collect();
    let are_beside_the_point = match analysis.kind {
        ProjectKind::MobileApp | ProjectKind::DesktopApp => servers.is_empty(),
        // A server that is the smaller part of a library or of a site is its demonstration or its documentation.
        kind => !kind.has_server() || servers.len() < 2,
    };
    if are_beside_the_point {
        return vec![analysis.clone()];
    }
    servers.into_iter().map(|server| alone(analysis, server)).collect()
}

/// A program that nothing is known of but how it starts is often a tool of the project: it counts only with a container file of its own.
fn is_server(analysis: &Analysis, component: &Component) -> bool {
    let has_container = || containers(analysis).any(|evidence| is_below(&evidence.path, &component.path));
    match component.kind {
        ProjectKind::FullStackApp | ProjectKind::ApiService => true,
        ProjectKind::Worker => !component.path.is_empty() && has_container(),
        _ => false,
    }
}

const CONTAINER_FILE: &str = "container file";

fn containers(analysis: &Analysis) -> impl Iterator<Item = &Evidence> {
    analysis.deployment_readiness.part(CONTAINER_FILE).into_iter().flat_map(|part| &part.evidence)
}

/// The project without what only its other programs show. What lies beside them all, such as a compose file, counts for each.
fn alone(analysis: &Analysis, server: &Component) -> Analysis {
    let others: Vec<&Component> = analysis.components.iter().filter(|other| *other != server && is_program(other)).collect();
    let concerns = |place: &Evidence| !others.iter().any(|other| belongs_to(place, other, server));
    let of_server = |findings: &[Finding]| -> Vec<Finding> {
        findings.iter().filter(|finding| finding.evidence.iter().any(concerns)).cloned().collect()
    };
    Analysis {
        kind: server.kind,
        is_static: false,
        start_command: analysis.start_command.clone().filter(|start| concerns(&start.evidence)),
        frameworks: of_server(&analysis.frameworks),
        databases: of_server(&analysis.databases),
        data_access: of_server(&analysis.data_access),
        services: of_server(&analysis.services),
        design: of_server(&analysis.design),
        libraries: of_server(&analysis.libraries),
        components: vec![server.clone()],
        deployment_readiness: readiness(&analysis.deployment_readiness, concerns),
        ..analysis.clone()
    }
}

fn is_program(component: &Component) -> bool {
    component.kind.is_deployed() || matches!(component.kind, ProjectKind::MobileApp | ProjectKind::DesktopApp)
}

/// A place that is the other program's and not the server's: its manifest, or a file below a folder that does not hold the server.
fn belongs_to(place: &Evidence, other: &Component, server: &Component) -> bool {
    let holds_server = other.path == server.path || is_below(&server.path, &other.path);
    let is_manifest_of = |component: &Component| component.evidence.iter().any(|manifest| manifest.path == place.path);
    (is_manifest_of(other) && !is_manifest_of(server)) || (!holds_server && is_below(&place.path, &other.path))
}

fn readiness(score: &Score, concerns: impl Fn(&Evidence) -> bool) -> Score {
    let mut score = score.clone();
    for part in score.parts.iter_mut().filter(|part| part.name == CONTAINER_FILE) {
        part.evidence.retain(&concerns);
        part.points = if part.evidence.is_empty() { 0 } else { part.points };
    }
    score
}
