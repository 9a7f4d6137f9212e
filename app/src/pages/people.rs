//! Who may sign in, and as what: for owners.

use domain::auth::Role;
use leptos::prelude::*;

use crate::{
    api::{AddPerson, MadePassword, People, PersonRow, RemovePerson, ResetPassword, SetPersonRole, list_people, use_viewer},
    components::{
        Badge, Confirm, CopyField, DataTable, DoneNotice, ErrorNote, FormError, FormField, NumberCell, PageHeader, Panel, SelectField,
        SubmitButton, TableSkeleton, Time, Tone, about, failure,
    },
};

#[derive(Clone, Copy)]
struct Actions {
    add: ServerAction<AddPerson>,
    set_role: ServerAction<SetPersonRole>,
    reset: ServerAction<ResetPassword>,
    remove: ServerAction<RemovePerson>,
}

#[component]
pub fn PeoplePage() -> impl IntoView {
    let actions =
        Actions { add: ServerAction::new(), set_role: ServerAction::new(), reset: ServerAction::new(), remove: ServerAction::new() };
    let people = Resource::new(|| (), |()| list_people());
    view! {
        <div class="stack">
            <PageHeader title="People" lead="Who may sign in. Analysts read, operators change things, owners also manage people."/>
            <DoneNotice/>
            <FormError failure=failure(actions.set_role)/>
            <FormError failure=failure(actions.reset)/>
            <FormError failure=failure(actions.remove)/>
            <Transition fallback=|| view! { <Panel title="People"><TableSkeleton/></Panel> }>
                {move || Suspend::new(async move {
                    match people.await {
                        Ok(people) => view! { <Listing people actions/> }.into_any(),
                        Err(error) => view! { <ErrorNote error/> }.into_any(),
                    }
                })}
            </Transition>
        </div>
    }
}

#[component]
fn Listing(people: People, actions: Actions) -> impl IntoView {
    let People { people, typed, made } = people;
    let own = use_viewer().with_untracked(|viewer| viewer.as_ref().map(|viewer| viewer.email.clone())).unwrap_or_default();
    let rows = people.into_iter().map(|person| view! { <PersonLine is_self=person.email == own person actions/> }).collect_view();
    view! {
        {made.map(|made| view! { <Made made/> })}
        <Panel title="Everyone" hint="what they do is in the audit log, also after they are removed" flush=true>
            <DataTable caption="People who may sign in" cards=true columns=vec!["E-mail", "Role", "Added", "Signed in last", "#Browsers", "Change"]>
                {rows}
            </DataTable>
        </Panel>
        <AddForm typed add=actions.add/>
    }
}

/// The new password, this once: from the cookie that came with the page.
#[component]
fn Made(made: MadePassword) -> impl IntoView {
    let MadePassword { email, password } = made;
    view! {
        <div class="secret-once" role="status">
            <p><strong>"Copy this password now. It is never shown again."</strong></p>
            <CopyField label=format!("Password of {email}") value=password/>
            <p>"Give it to them over a safe channel. When they sign in, they are asked to choose their own."</p>
        </div>
    }
}

#[component]
fn PersonLine(person: PersonRow, is_self: bool, actions: Actions) -> impl IntoView {
    let PersonRow { email, role, created_at, last_signed_in_at, sessions } = person;
    let seen = match last_signed_in_at {
        Some(at) => view! { <Time at/> }.into_any(),
        None => view! { <span class="muted">"never"</span> }.into_any(),
    };
    view! {
        <tr>
            <td data-label="E-mail"><span class="people__email">{email.clone()}</span>{is_self.then(|| view! { " "<Badge>"you"</Badge> })}</td>
            <td data-label="Role"><Badge tone=tone(role)>{role.name()}</Badge></td>
            <td data-label="Added"><Time at=created_at/></td>
            <td data-label="Signed in last">{seen}</td>
            <NumberCell label="Browsers">{sessions.to_string()}</NumberCell>
            <td data-label="Change"><Changes email role is_self actions/></td>
        </tr>
    }
}

fn tone(role: Role) -> Tone {
    if role == Role::Owner { Tone::Accent } else { Tone::Neutral }
}

#[component]
fn Changes(email: String, role: Role, is_self: bool, actions: Actions) -> impl IntoView {
    let roles = Role::ALL
        .into_iter()
        .filter(|other| *other != role)
        .map(|other| {
            let hidden = email.clone();
            view! {
                <ActionForm action=actions.set_role>
                    <input type="hidden" name="email" value=hidden/>
                    <input type="hidden" name="role" value=other.name()/>
                    <SubmitButton label=format!("Make {}", other.name()) kind="quiet" pending=actions.set_role.pending()/>
                </ActionForm>
            }
        })
        .collect_view();
    let question = if is_self {
        "A new role of your own holds at once, and removing yourself ends every session. Your password is changed under Account."
    } else {
        "A new role holds at once. A new password, and removing, end every session."
    };
    let other = (!is_self).then(|| email.clone());
    view! {
        <Confirm label="Change" question>
            <div class="row">{roles}</div>
            {other.map(|email| view! { <ResetForm email reset=actions.reset/> })}
            <ActionForm action=actions.remove>
                <input type="hidden" name="email" value=email/>
                <SubmitButton label="Remove for good" kind="danger" pending=actions.remove.pending()/>
            </ActionForm>
        </Confirm>
    }
}

/// For others alone: one's own new password would never be seen, since one's session ends with it.
#[component]
fn ResetForm(email: String, reset: ServerAction<ResetPassword>) -> impl IntoView {
    view! {
        <ActionForm action=reset>
            <input type="hidden" name="email" value=email/>
            <SubmitButton label="Make new password" kind="quiet" pending=reset.pending()/>
        </ActionForm>
    }
}

#[component]
fn AddForm(typed: String, add: ServerAction<AddPerson>) -> impl IntoView {
    let failed = failure(add);
    let options = Role::ALL.map(|role| (role.name().to_owned(), role.name().to_owned())).to_vec();
    view! {
        <Panel title="Add somebody" hint="their password is made, and shown to you once">
            <ActionForm action=add attr:class="stack account-form">
                <FormField name="email" label="E-mail" kind="email" value=typed required=true error=about(failed, "email")/>
                <SelectField name="role" label="Role" options value="operator"/>
                <FormError failure=failed fields=&["email"]/>
                <div class="row"><SubmitButton label="Add" pending=add.pending()/></div>
            </ActionForm>
        </Panel>
    }
}
