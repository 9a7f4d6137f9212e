//! One import: map the columns, see what it would do, run it, see what it did. The URL says whether a dry run is shown.

use domain::import::Field;
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

use crate::{
    AppError,
    api::{ImportDetail, MappingForm, SaveImportMapping, StartImport, find_import, use_viewer},
    components::{
        ButtonLink, DoneNotice, ErrorNote, FormError, FormField, LiveIndicator, Notice, PageHeader, Panel, SelectField, SubmitButton,
        TableSkeleton, Tone, about, failure,
    },
};

/// What an error of the mapping's form may be about.
const FIELDS: &[&str] = &[
    "kind",
    "external_event_id",
    "reversal_id",
    "conversion_reference",
    "type",
    "occurred_at",
    "amount",
    "currency",
    "refunded_amount",
    "status",
    "click_id",
    "referral_code",
    "session_id",
    "user_id",
    "reason",
    "fixed_currency",
];

#[derive(Clone, Copy)]
struct Actions {
    map: ServerAction<SaveImportMapping>,
    start: ServerAction<StartImport>,
}

#[component]
pub fn ImportPage() -> impl IntoView {
    let (params, query) = (use_params_map(), use_query_map());
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let asked = move |name: &'static str| Memo::new(move |_| query.with(|query| query.get_str(name).is_some()));
    let (dry, remap) = (asked("dry"), asked("remap"));
    let actions = Actions { map: ServerAction::new(), start: ServerAction::new() };
    let import = Resource::new(
        move || (id.get(), dry.get(), actions.map.version().get(), actions.start.version().get()),
        |(id, dry, ..)| find_import(id, dry),
    );
    let may_operate = Memo::new(move |_| use_viewer().with(|viewer| viewer.as_ref().is_some_and(crate::api::Viewer::may_operate)));
    view! {
        <Transition fallback=|| view! { <Panel title="Import"><TableSkeleton/></Panel> }>
            {move || Suspend::new(async move {
                match import.await {
                    Ok(detail) => view! { <ImportView detail actions may_operate=may_operate.get() remap=remap.get()/> }.into_any(),
                    Err(error) => view! {
                        <PageHeader title="Import"><ButtonLink href="/imports">"All imports"</ButtonLink></PageHeader>
                        <ErrorNote error/>
                    }
                    .into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn ImportView(detail: ImportDetail, actions: Actions, may_operate: bool, remap: bool) -> impl IntoView {
    let ImportDetail { id, file_name, lead, is_previewed, is_running, story, preview, misfit, mapping, headers, dry_run } = detail;
    let failed = failure(actions.map);
    let ready = misfit.is_none();
    let maps = may_operate && (is_previewed || remap && !is_running);
    let mapped = id.clone();
    view! {
        <div class="stack">
            <PageHeader title=file_name lead=lead>
                <LiveIndicator topics="import delivery"/>
                <ButtonLink href="/imports">"All imports"</ButtonLink>
            </PageHeader>
            <DoneNotice/>
            <FormError failure=failure(actions.start)/>
            <Panel title="Progress"><div id="import-story" data-live-region inner_html=story></div></Panel>
            {maps.then(move || view! { <MappingPanel id=mapped mapping headers misfit failed actions/> })}
            {is_previewed.then(move || view! { <DryRunPanel id dry_run ready may_operate actions/> })}
            <div class="stack" inner_html=preview></div>
        </div>
    }
}

/// Each field of ours, in words, and what its column should hold.
fn words(field: Field) -> (&'static str, &'static str) {
    match field {
        Field::Kind => ("Conversion or refund", "Such as `sale` and `refund`."),
        Field::ExternalEventId => ("Id", "The partner's own id: one id is one conversion."),
        Field::ReversalId => ("Refund's id", "Of refunds that stand in rows of their own."),
        Field::ConversionReference => ("Refunded conversion", "The id of what a refund takes back."),
        Field::Type => ("Type", "Lead, sale, renewal, upgrade or custom."),
        Field::OccurredAt => ("Time", "When it happened; UTC where no zone is given."),
        Field::Amount => ("Amount", "What the customer paid, not what is owed to us."),
        Field::Currency => ("Currency", "A code such as USD."),
        Field::RefundedAmount => ("Refunded amount", "What was given back of the conversion so far."),
        Field::Status => ("Status", "Paid, refunded, canceled …: some take the conversion back."),
        Field::ClickId => ("Click id", "Of our link: the best proof of a click."),
        Field::ReferralCode => ("Referral code", "The long code of our link."),
        Field::SessionId => ("Session", "A UUID that we gave."),
        Field::UserId => ("Customer", "The partner's own id of the customer."),
        Field::Reason => ("Reason", "Of a refund."),
    }
}

#[component]
fn MappingPanel(
    id: String,
    mapping: MappingForm,
    headers: Vec<String>,
    misfit: Option<String>,
    failed: Signal<Option<AppError>>,
    actions: Actions,
) -> impl IntoView {
    let mut choices = vec![(String::new(), "– none –".to_owned())];
    choices.extend(headers.into_iter().map(|header| (header.clone(), header)));
    let column = |field: Field| {
        let (label, hint) = words(field);
        let value = mapping.columns.get(field.name()).cloned().unwrap_or_default();
        let name = format!("mapping[columns][{}]", field.name());
        view! { <SelectField name label hint=hint options=choices.clone() value error=about(failed, field.name())/> }
    };
    let columns = Field::ALL.into_iter().map(column).collect_view();
    let choice = |pairs: &[(&str, &str)]| pairs.iter().map(|(value, label)| ((*value).to_owned(), (*label).to_owned())).collect::<Vec<_>>();
    view! {
        <Panel title="Columns" hint="which column of the file is what">
            <ActionForm action=actions.map attr:class="stack">
                <input type="hidden" name="id" value=id/>
                {misfit.map(|misfit| view! { <Notice tone=Tone::Warning>{format!("The file cannot be read like this yet: {misfit}")}</Notice> })}
                <div class="field-grid">{columns}</div>
                <div class="field-grid">
                    <SelectField name="mapping[amount_unit]" label="Amounts are" value=mapping.amount_unit.clone()
                        options=choice(&[("major", "49.00: dollars"), ("minor", "4900: cents"), ("marked", "$49.00 or 4900, as Dub writes")])/>
                    <FormField name="mapping[currency]" label="Currency, if no column says it" value=mapping.currency.clone() placeholder="USD"
                        error=about(failed, "fixed_currency")/>
                    <SelectField name="mapping[conversion_type]" label="Type, if no column says it" value=mapping.conversion_type.clone()
                        options=choice(&[("sale", "Sale"), ("lead", "Lead"), ("renewal", "Renewal"), ("upgrade", "Upgrade"), ("custom", "Custom")])/>
                    <SelectField name="mapping[kind]" label="Rows are, if no column says it" value=mapping.kind.clone()
                        options=choice(&[("conversion", "Conversions"), ("reversal", "Refunds")])/>
                    <SelectField name="mapping[format]" label="Read as" value=mapping.format.clone()
                        options=choice(&[("own", "Our own columns"), ("dub", "Dub"), ("rewardful", "Rewardful"), ("custom", "Another program")])/>
                </div>
                <FormError failure=failed fields=FIELDS/>
                <div class="row"><SubmitButton label="Save the mapping" kind="quiet" pending=actions.map.pending()/></div>
            </ActionForm>
        </Panel>
    }
}

#[component]
fn DryRunPanel(id: String, dry_run: Option<String>, ready: bool, may_operate: bool, actions: Actions) -> impl IntoView {
    let href = format!("/imports/{id}?dry=1");
    let seen = dry_run.is_some();
    view! {
        <Panel title="Dry run" hint="what a run would do now; nothing is written">
            <div class="stack">
                {dry_run.map(|html| view! { <div inner_html=html></div> })}
                <div class="row">
                    {if ready {
                        let label = if seen { "Dry run again" } else { "Dry run" };
                        view! { <ButtonLink href>{label}</ButtonLink> }.into_any()
                    } else {
                        view! { <p class="muted">"Map the columns first."</p> }.into_any()
                    }}
                    {(ready && may_operate).then(|| view! {
                        <ActionForm action=actions.start>
                            <input type="hidden" name="id" value=id/>
                            <SubmitButton label="Import" pending=actions.start.pending()/>
                        </ActionForm>
                    })}
                </div>
            </div>
        </Panel>
    }
}
