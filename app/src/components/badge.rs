//! States in a word, told apart by colour and text, never by colour alone.

use leptos::prelude::*;

/// What a state means for the reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Neutral,
    /// The one accent colour.
    Accent,
    Good,
    Warning,
    Bad,
}

impl Tone {
    pub fn name(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Accent => "accent",
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// A state in a small pill: `<Badge tone=Tone::Good>"approved"</Badge>`.
#[component]
pub fn Badge(#[prop(optional)] tone: Tone, #[prop(optional, into)] title: Option<String>, children: Children) -> impl IntoView {
    view! { <span class="badge" data-tone=tone.name() title=title>{children()}</span> }
}

/// A coloured dot with its meaning beside it.
#[component]
pub fn StatusDot(#[prop(into)] tone: Signal<Tone>, children: Children) -> impl IntoView {
    view! { <span class="status-dot" data-tone=move || tone.get().name()>{children()}</span> }
}
