//! Whether a partner hosts the kind of database that a project has: an engine is not swapped for the asking.

use crate::{
    analysis::{Analysis, Category, FILE_DATABASE, Finding, database_of_record},
    partner::Partner,
};

/// Whether a project's database, with the code that talks to it, can move to the partner as it is. A file on a disk has to be carried over.
pub fn can_take_over(analysis: &Analysis, partner: &Partner) -> bool {
    let wanted = wanted(analysis);
    foreign(analysis, partner).is_empty() && (wanted.is_empty() || wanted.iter().any(|database| database.id != FILE_DATABASE))
}

/// The databases of the project, if the partner hosts none of them. A file counts as none: it may become anything.
pub fn foreign<'a>(analysis: &'a Analysis, partner: &Partner) -> Vec<&'a Finding> {
    let mut wanted = wanted(analysis);
    if partner.engines.is_empty() || wanted.iter().any(|database| partner.engines.contains(&database.id)) {
        return Vec::new();
    }
    wanted.retain(|database| database.id != FILE_DATABASE);
    wanted
}

/// "PostgreSQL and MySQL", as the partner hosts them.
pub fn hosted_names(partner: &Partner) -> String {
    partner.engines.iter().filter_map(|engine| database_of_record(engine)).collect::<Vec<_>>().join(" and ")
}

/// The databases that the project's need speaks of, which may be none; all of record if it does not say, as in analyses of earlier versions.
fn wanted(analysis: &Analysis) -> Vec<&Finding> {
    let need = analysis.needs.iter().find(|need| need.category == Category::Database);
    let named = need.and_then(|need| need.engines.as_ref());
    analysis.databases_of_record().filter(|database| named.is_none_or(|named| named.contains(&database.id))).collect()
}
