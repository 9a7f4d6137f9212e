//! Who may do what; each workflow that a person or machine can ask for begins with one of these, and so does each door that reads a
//! large body. Who is not signed in is told so; who is and still may not is told what.

use domain::auth::Principal;

use crate::{Error, Result};

/// Lets operators of any role and the command line pass. `what` completes "may not …".
pub fn require_read(who: &Principal, what: &str) -> Result<()> {
    if who.may_read() { Ok(()) } else { refuse(who, what) }
}

/// Lets owners and the command line pass: they say who may sign in.
pub fn require_manage_people(who: &Principal, what: &str) -> Result<()> {
    if who.may_manage_people() { Ok(()) } else { refuse(who, &format!("{what}, which owners do")) }
}

/// Lets those pass who may change things.
pub fn require_operate(who: &Principal, what: &str) -> Result<()> {
    if who.may_operate() { Ok(()) } else { refuse(who, what) }
}

/// Lets machines with the scope pass, and those who may change things.
pub fn require_scope(who: &Principal, scope: &str, what: &str) -> Result<()> {
    if who.has_scope(scope) { Ok(()) } else { refuse(who, &format!("{what} (this needs the scope {scope})")) }
}

fn refuse(who: &Principal, what: &str) -> Result<()> {
    match who {
        Principal::Anonymous => Err(Error::Unauthenticated),
        _ => Err(Error::Forbidden(format!("{} may not {what}", who.actor()))),
    }
}
