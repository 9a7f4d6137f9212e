//! One's own account: the password, and where one is signed in.

use leptos::prelude::*;

use crate::{
    api::{AccountDetail, ChangePassword, SignOutEverywhere, Viewer, show_account, use_viewer},
    components::{
        Confirm, DoneNotice, ErrorNote, FormError, FormField, Notice, PageHeader, Panel, SubmitButton, TableSkeleton, Tone, about, count,
        day, failure,
    },
};

#[component]
pub fn AccountPage() -> impl IntoView {
    let change = ServerAction::<ChangePassword>::new();
    let leave = ServerAction::<SignOutEverywhere>::new();
    let account = Resource::new(move || change.version().get(), |_| show_account());
    let viewer = use_viewer();
    let lead = viewer.with_untracked(|viewer| viewer.as_ref().map(words).unwrap_or_default());
    view! {
        <div class="stack">
            <PageHeader title="Your account" lead/>
            <DoneNotice/>
            <Transition fallback=|| view! { <Panel title="Password"><TableSkeleton/></Panel> }>
                {move || Suspend::new(async move {
                    match account.await {
                        Ok(account) => view! { <PasswordPanel account=account.clone() change/><SessionsPanel account leave/> }.into_any(),
                        Err(error) => view! { <ErrorNote error/> }.into_any(),
                    }
                })}
            </Transition>
        </div>
    }
}

fn words(viewer: &Viewer) -> String {
    format!("{}, {}", viewer.email, viewer.role.name())
}

#[component]
fn PasswordPanel(account: AccountDetail, change: ServerAction<ChangePassword>) -> impl IntoView {
    let failed = failure(change);
    let hint = format!("At least {} characters. A few words that belong only to you are better than signs.", account.password_chars_min);
    let temporary = account.password_is_temporary.then(|| {
        view! { <Notice tone=Tone::Warning>"Choose a password of your own: whoever gave you the present one knows it."</Notice> }
    });
    view! {
        {temporary}
        <Panel title="Password" hint="changing it signs you out in every other browser">
            <ActionForm action=change attr:class="stack account-form">
                <FormField
                    name="present_password" label="Present password" kind="password" autocomplete="current-password" required=true
                    error=about(failed, "present_password")
                />
                <FormField
                    name="new_password" label="New password" kind="password" autocomplete="new-password" required=true hint
                    error=about(failed, "new_password")
                />
                <FormField
                    name="repeated_password" label="New password again" kind="password" autocomplete="new-password" required=true
                    error=about(failed, "repeated_password")
                />
                <FormError failure=failed fields=&["present_password", "new_password", "repeated_password"]/>
                <div class="row"><SubmitButton label="Change password" pending=change.pending()/></div>
            </ActionForm>
        </Panel>
    }
}

#[component]
fn SessionsPanel(account: AccountDetail, leave: ServerAction<SignOutEverywhere>) -> impl IntoView {
    let browsers = if account.sessions == 1 { "1 browser".to_owned() } else { format!("{} browsers", count(account.sessions)) };
    view! {
        <Panel title="Where you are signed in" hint="a session ends by itself after 14 days">
            <div class="stack">
                <p>{format!("You are signed in on {browsers}, this one included. Your account was made on {}.", day(account.created_at.date_naive()))}</p>
                <Confirm label="Sign out everywhere" question="Sign out in every browser, this one too? You can sign in again with your password.">
                    <ActionForm action=leave>
                        <SubmitButton label="Sign out everywhere now" kind="danger" pending=leave.pending()/>
                    </ActionForm>
                </Confirm>
                <FormError failure=failure(leave)/>
            </div>
        </Panel>
    }
}
