//! Who asks, and what they may do.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ApiTokenId, OperatorId, PartnerId};

/// What an operator may do: analysts read, operators change, owners also say who may sign in and as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(type_name = "text", rename_all = "lowercase"))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Analyst,
    Operator,
    Owner,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Analyst, Self::Operator, Self::Owner];

    /// As the database, forms and the command line write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Analyst => "analyst",
            Self::Operator => "operator",
            Self::Owner => "owner",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of analyst, operator, owner")]
pub struct UnknownRole(pub String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// The one who asks, as the middleware found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Principal {
    Anonymous,
    Operator {
        id: OperatorId,
        email: String,
        role: Role,
    },
    /// A machine with an API token and the scopes that it was given.
    Machine {
        id: ApiTokenId,
        name: String,
        scopes: Vec<String>,
        /// The only partner that it may speak for; `None` for a service of our own, which speaks for all.
        partner_id: Option<PartnerId>,
    },
    /// The command line on the server's own machine.
    CommandLine,
}

impl Principal {
    /// May see the operators' pages.
    pub fn may_read(&self) -> bool {
        matches!(self, Self::Operator { .. } | Self::CommandLine)
    }

    /// May change partners, terms, secrets and deliveries.
    pub fn may_operate(&self) -> bool {
        match self {
            Self::Operator { role, .. } => *role >= Role::Operator,
            Self::CommandLine => true,
            Self::Anonymous | Self::Machine { .. } => false,
        }
    }

    /// May add and remove people, and change their roles and passwords.
    pub fn may_manage_people(&self) -> bool {
        match self {
            Self::Operator { role, .. } => *role == Role::Owner,
            Self::CommandLine => true,
            Self::Anonymous | Self::Machine { .. } => false,
        }
    }

    /// May do what an API scope such as `sites:write` names.
    pub fn has_scope(&self, scope: &str) -> bool {
        match self {
            Self::Machine { scopes, .. } => scopes.iter().any(|granted| granted == scope),
            other => other.may_operate(),
        }
    }

    /// May send or see what is this partner's, as far as scopes and role go. To who may not, the partner does not exist.
    pub fn may_speak_for(&self, partner_id: &PartnerId) -> bool {
        match self {
            Self::Machine { partner_id: Some(own), .. } => own == partner_id,
            _ => true,
        }
    }

    /// The name under which the audit log records what was done.
    pub fn actor(&self) -> String {
        match self {
            Self::Anonymous => "anonymous".to_owned(),
            Self::Operator { email, .. } => email.clone(),
            Self::Machine { name, .. } => format!("api token {name}"),
            Self::CommandLine => "command line".to_owned(),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_partners_machine_speaks_for_that_partner_alone() {
        let (own, other): (PartnerId, PartnerId) = ("supabase".parse().unwrap(), "railway".parse().unwrap());
        let machine = |partner_id: Option<&PartnerId>| Principal::Machine {
            id: ApiTokenId(Uuid::nil()),
            name: "billing".to_owned(),
            scopes: vec!["conversions:write".to_owned()],
            partner_id: partner_id.cloned(),
        };
        assert!(machine(Some(&own)).may_speak_for(&own));
        assert!(!machine(Some(&own)).may_speak_for(&other));
        assert!(machine(None).may_speak_for(&other), "a service of our own speaks for all");
        assert!(Principal::CommandLine.may_speak_for(&other));
    }

    #[test]
    fn only_owners_and_the_command_line_manage_people() {
        let operator = |role| Principal::Operator { id: OperatorId(Uuid::nil()), email: "ada@example.com".to_owned(), role };
        assert_eq!(Role::ALL.map(|role| operator(role).may_manage_people()), [false, false, true]);
        assert!(Principal::CommandLine.may_manage_people());
        assert!(!Principal::Anonymous.may_manage_people());
    }

    #[test]
    fn a_role_is_read_as_it_is_written() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert_eq!("Owner".parse::<Role>().unwrap_err().to_string(), "`Owner` is none of analyst, operator, owner");
    }
}
