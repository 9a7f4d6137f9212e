//! Fields of forms: a label, a hint, and what is wrong, tied together for screen readers.

use leptos::prelude::*;

/// One line of input. `error` marks the field and stands under it.
#[component]
pub fn FormField(
    /// Also the id of the input, so it is unique on its page.
    #[prop(into)]
    name: String,
    #[prop(into)] label: String,
    #[prop(default = "text")] kind: &'static str,
    #[prop(optional, into)] value: String,
    #[prop(optional, into)] hint: Option<String>,
    #[prop(optional, into)] error: Signal<Option<String>>,
    #[prop(optional)] required: bool,
    #[prop(optional, into)] autocomplete: Option<String>,
    #[prop(optional, into)] placeholder: Option<String>,
    #[prop(optional, into)] inputmode: Option<String>,
    #[prop(optional, into)] step: Option<String>,
    #[prop(optional, into)] min: Option<String>,
    #[prop(optional, into)] max: Option<String>,
    /// The id of a `datalist` that offers values.
    #[prop(optional, into)]
    list: Option<String>,
    /// Puts the cursor here when the page opens.
    #[prop(optional)]
    autofocus: bool,
) -> impl IntoView {
    let has_hint = hint.is_some();
    let described_by = described_by(name.clone(), has_hint, error);
    view! {
        <Field name=name.clone() label hint error>
            <input
                class="form-field__input"
                id=name.clone()
                name=name.clone()
                type=kind
                value=value
                required=required
                autofocus=autofocus
                autocomplete=autocomplete
                placeholder=placeholder
                inputmode=inputmode
                step=step
                min=min
                max=max
                list=list
                aria-invalid=move || error.with(Option::is_some).then_some("true")
                aria-describedby=described_by
            />
        </Field>
    }
}

/// A choice among `options`, given as (value, label).
#[component]
pub fn SelectField(
    #[prop(into)] name: String,
    #[prop(into)] label: String,
    options: Vec<(String, String)>,
    #[prop(optional, into)] value: String,
    #[prop(optional, into)] hint: Option<String>,
    #[prop(optional, into)] error: Signal<Option<String>>,
) -> impl IntoView {
    let has_hint = hint.is_some();
    let described_by = described_by(name.clone(), has_hint, error);
    let options = options
        .into_iter()
        .map(|(option, label)| {
            let selected = option == value;
            view! { <option value=option selected=selected>{label}</option> }
        })
        .collect_view();
    view! {
        <Field name=name.clone() label hint error>
            <select
                class="form-field__input"
                id=name.clone()
                name=name.clone()
                aria-invalid=move || error.with(Option::is_some).then_some("true")
                aria-describedby=described_by
            >
                {options}
            </select>
        </Field>
    }
}

/// Several lines of input.
#[component]
pub fn TextAreaField(
    #[prop(into)] name: String,
    #[prop(into)] label: String,
    #[prop(default = 4)] rows: u32,
    #[prop(optional, into)] value: String,
    #[prop(optional, into)] hint: Option<String>,
    #[prop(optional, into)] error: Signal<Option<String>>,
    #[prop(optional)] required: bool,
) -> impl IntoView {
    let has_hint = hint.is_some();
    let described_by = described_by(name.clone(), has_hint, error);
    view! {
        <Field name=name.clone() label hint error>
            <textarea
                class="form-field__input"
                id=name.clone()
                name=name.clone()
                rows=rows.to_string()
                required=required
                aria-invalid=move || error.with(Option::is_some).then_some("true")
                aria-describedby=described_by
            >
                {value}
            </textarea>
        </Field>
    }
}

#[component]
fn Field(name: String, label: String, hint: Option<String>, error: Signal<Option<String>>, children: Children) -> impl IntoView {
    let hint_id = format!("{name}-hint");
    let error_id = format!("{name}-error");
    view! {
        <div class="form-field">
            <label class="form-field__label" for=name>{label}</label>
            {children()}
            {hint.map(|hint| view! { <p class="form-field__hint" id=hint_id>{hint}</p> })}
            {move || error.get().map(|error| view! { <p class="form-field__error" id=error_id.clone()>{error}</p> })}
        </div>
    }
}

/// The ids of hint and error, as far as they are there.
fn described_by(
    name: String,
    has_hint: bool,
    error: Signal<Option<String>>,
) -> impl Fn() -> Option<String> + Send + Sync + Clone + 'static {
    move || match (has_hint, error.with(Option::is_some)) {
        (true, true) => Some(format!("{name}-hint {name}-error")),
        (true, false) => Some(format!("{name}-hint")),
        (false, true) => Some(format!("{name}-error")),
        (false, false) => None,
    }
}
