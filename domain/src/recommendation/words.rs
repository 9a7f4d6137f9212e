//! The sentences of an offer: short and plain, and nothing that the project does not show.

use super::engines;
use crate::{
    analysis::{Analysis, Category, Finding},
    partner::Partner,
};

/// One sentence that says what the partner would be to this project.
pub fn positioning(analysis: &Analysis, partner: &Partner) -> String {
    let app = server_framework(analysis).map_or_else(|| "project".to_owned(), |framework| format!("{} app", framework.name));
    let name = &partner.name;
    match partner.category.parse::<Category>() {
        Ok(Category::Database) => match analysis.data_access.first() {
            Some(access) if engines::can_take_over(analysis, partner) => {
                format!("{name} hosts the database behind your {} code.", access.name)
            }
            _ => format!("{name} gives your {app} a hosted database."),
        },
        Ok(Category::Hosting) if analysis.is_static => format!("{name} serves your site from its repository."),
        Ok(Category::Hosting) => format!("{name} runs your {app} from its repository."),
        Ok(Category::Design) => format!("{name} keeps the design of your {app} in one place."),
        Ok(category) => format!("{name} adds {category} to your {app}."),
        Err(_) => sentence(&partner.description),
    }
}

/// What the button says.
pub fn cta(partner: &Partner) -> String {
    let name = &partner.name;
    match partner.category.parse::<Category>() {
        Ok(Category::Database) => format!("Create a database with {name}"),
        Ok(Category::Hosting) => format!("Deploy on {name}"),
        Ok(Category::Design) => format!("Design in {name}"),
        Ok(Category::Monitoring) => format!("Watch it with {name}"),
        _ => format!("Try {name}"),
    }
}

/// The framework that answers requests.
pub fn server_framework(analysis: &Analysis) -> Option<&Finding> {
    let is_server = |finding: &&Finding| analysis.kind.has_server() && crate::analysis::is_server_framework(&finding.id);
    analysis.frameworks.iter().find(is_server)
}

/// The first sentence of a text.
fn sentence(text: &str) -> String {
    let first = text.split_inclusive(". ").next().unwrap_or(text).trim();
    if first.ends_with('.') { first.to_owned() } else { format!("{first}.") }
}
