//! Signing in.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

use crate::{
    api::{SignIn, local_path},
    components::{ErrorNote, FormField, SubmitButton},
};

/// Works without script: the form then comes back with its error in the URL.
#[component]
pub fn SignInPage() -> impl IntoView {
    let sign_in = ServerAction::<SignIn>::new();
    let query = use_query_map();
    let next = move || query.with(|query| local_path(&query.get("next").unwrap_or_default()).to_owned());
    let error = move || sign_in.value().get().and_then(Result::err);

    view! {
        <Title text="Sign in"/>
        <div class="sign-in">
            <div class="sign-in__card">
                <h1 class="sign-in__title">"Sign in to Orchestrator"</h1>
                <p class="sign-in__lead">"Recommendations, conversions and commissions of your partners."</p>
                <ActionForm action=sign_in>
                    <input type="hidden" name="next" value=next/>
                    <FormField name="email" label="E-mail" kind="email" autocomplete="username" required=true autofocus=true/>
                    <FormField name="password" label="Password" kind="password" autocomplete="current-password" required=true/>
                    {move || error().map(|error| view! { <ErrorNote error/> })}
                    <SubmitButton label="Sign in" pending=sign_in.pending()/>
                </ActionForm>
            </div>
        </div>
    }
}
