//! The servers of a project, each seen by itself: what hosts one of them says nothing about the next.

use super::{Analysis, Component, Evidence, Finding, ProjectKind, Score, tree::is_below};

const CONTAINER_FILE: &str = "container file";

/// Each server of a project as if there were no other; the whole project if that is its only server, or has none. `containers` are all
/// container files: the score shows the first few.
pub fn servers(analysis: &Analysis, containers: &[Evidence]) -> Vec<Analysis> {
    let servers: Vec<&Component> = analysis.components.iter().filter(|component| is_server(component, containers)).collect();
    let are_beside_the_point = match analysis.kind {
        ProjectKind::MobileApp | ProjectKind::DesktopApp => servers.is_empty(),
        // A server that is the smaller part of a library or of a site is its demonstration or its documentation.
        kind => !kind.has_server() || servers.len() < 2,
    };
    if are_beside_the_point {
        return vec![analysis.clone()];
    }
    servers.into_iter().map(|server| alone(analysis, containers, server)).collect()
}

/// A program that nothing is known of but how it starts is often a tool of the project: it counts only with a container file of its own.
fn is_server(component: &Component, containers: &[Evidence]) -> bool {
    let has_container = || containers.iter().any(|evidence| is_below(&evidence.path, &component.path));
    match component.kind {
        ProjectKind::FullStackApp | ProjectKind::ApiService => true,
        ProjectKind::Worker => !component.path.is_empty() && has_container(),
        _ => false,
    }
}

/// The project without what only its other programs show. What lies beside them all, such as a compose file, counts for each.
fn alone(analysis: &Analysis, containers: &[Evidence], server: &Component) -> Analysis {
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
        deployment_readiness: readiness(
            &analysis.deployment_readiness,
            containers.iter().filter(|place| concerns(place)).cloned().collect(),
        ),
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

/// The score with these container files.
fn readiness(score: &Score, containers: Vec<Evidence>) -> Score {
    let mut score = score.clone();
    if let Some(part) = score.parts.iter_mut().find(|part| part.name == CONTAINER_FILE) {
        part.points = if containers.is_empty() { 0 } else { part.points };
        part.evidence = containers;
    }
    score
}
