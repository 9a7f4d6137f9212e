//! Line icons on a 16 px grid, in the colour of the text beside them. They are decoration: what they mean is written out.

use leptos::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    Dashboard,
    Sites,
    Partners,
    Conversions,
    Commissions,
    Statements,
    Payouts,
    Successes,
    Experiments,
    CaseStudies,
    Webhooks,
    Imports,
    Rates,
    Audit,
    Demo,
    Menu,
    SignOut,
    Copy,
    Check,
    Warning,
    Info,
    Empty,
    Chart,
    External,
    Account,
    People,
}

impl Symbol {
    /// The strokes, as SVG path data.
    fn path(self) -> &'static str {
        match self {
            Self::Dashboard => "M2.5 2.5h4.5v6H2.5zM9 2.5h4.5v3.5H9zM9 8.5h4.5v5H9zM2.5 11h4.5v2.5H2.5z",
            Self::Sites => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM2.2 8h11.6M8 2c2 2 2.6 4 2.6 6S10 12 8 14c-2-2-2.6-4-2.6-6S6 4 8 2z",
            Self::Partners => {
                "M6 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.5 13.5c0-2.5 2-4 4.5-4s4.5 1.5 4.5 4M10.5 2.8a2.4 2.4 0 0 1 0 4.4M12 9.9c1.5.6 2.5 1.9 2.5 3.6"
            }
            Self::Conversions => "M2.5 5.5h9M9 3l2.5 2.5L9 8M13.5 10.5h-9M7 8 4.5 10.5 7 13",
            Self::Commissions => {
                "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM10 6c-.4-.7-1.1-1-2-1-1.2 0-2 .6-2 1.5 0 2 4 1 4 3 0 .9-.8 1.5-2 1.5-.9 0-1.6-.3-2-1M8 3.8v1.2M8 11v1.2"
            }
            Self::Statements => "M3.5 2.500h6l3 3v8h-9zM9.5 2.500v3h3M5.5 8h5M5.5 10.500h5",
            Self::Payouts => "M2 5.500h12v7H2zM2 8h12M4.5 10.500h2M4 5.500v-2h8v2",
            Self::Successes => {
                "M5 2.500h6v4a3 3 0 0 1-6 0zM5 3.500H2.800c0 2 .8 3 2.3 3M11 3.500h2.200c0 2-.8 3-2.3 3M8 9.500v2.500M5.5 13.500h5"
            }
            Self::Experiments => {
                "M6 2.500h4M6.500 2.500v4L2.800 12.300a.8.8 0 0 0 .7 1.200h9a.8.8 0 0 0 .7-1.200L9.500 6.500v-4M4.500 10h7"
            }
            Self::CaseStudies => {
                "M8 4c-1.5-1-3.5-1.5-5.5-1.500v9.500c2 0 4 .5 5.5 1.5 1.5-1 3.5-1.5 5.5-1.500V2.500c-2 0-4 .5-5.5 1.500zM8 4v9.5"
            }
            Self::Imports => "M8 10V2.500M5.5 5 8 2.5 10.5 5M2.5 9.500v3a1 1 0 0 0 1 1h9a1 1 0 0 0 1-1v-3",
            Self::Rates => "M2.5 11.5 6 7.500l2.5 2 5-6M10.5 3.500h3v3M2.5 13.500h11",
            Self::Audit => "M3 2.500h7v11H3zM5 5.500h3M5 8h3M12 13.500a1.5 1.5 0 0 0 1.5-1.500V5.500H12",
            Self::Webhooks => "M8 2v6M5.5 5.5 8 8l2.5-2.5M2.5 9.5v3a1 1 0 0 0 1 1h9a1 1 0 0 0 1-1v-3",
            Self::Demo => "M2.5 3h11v10h-11zM2.5 6h11M7 8l2.6 1.5L7 11z",
            Self::Menu => "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
            Self::SignOut => "M6 13.5H3.5a1 1 0 0 1-1-1v-9a1 1 0 0 1 1-1H6M10.5 11l3-3-3-3M13.5 8H6",
            Self::Copy => "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
            Self::Check => "m3 8.5 3.2 3.2L13 4.8",
            Self::Warning => "M8 2.2 14.3 13.4H1.7zM8 6.3v3.2M8 11.4v.2",
            Self::Info => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.5v3.3M8 5.1v.2",
            Self::Empty => "M2 9.5 4 3h8l2 6.5v4H2zM2 9.5h3.5l1 1.8h3l1-1.8H14",
            Self::Chart => "M2.5 2.5v11h11M5 10.5l2.5-3 2.2 1.8L13 5",
            Self::Account => {
                "M8 8a2.7 2.7 0 1 0 0-5.4A2.7 2.7 0 0 0 8 8zM2.8 13.5c.6-2.400 2.600-3.700 5.200-3.700s4.600 1.300 5.200 3.700"
            }
            Self::People => {
                "M2 3.500h12v9H2zM5.800 8.200a1.300 1.300 0 1 0 0-2.600 1.300 1.300 0 0 0 0 2.600zM3.800 10.700c.3-1 1-1.500 2-1.500s1.700.500 2 1.500M9.700 6.500h2.300M9.700 9h2.300"
            }
            Self::External => "M9.5 2.5h4v4M13.5 2.5 7.5 8.5M11.5 9.5v3a1 1 0 0 1-1 1h-7a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1h3",
        }
    }
}

#[component]
pub fn Icon(symbol: Symbol) -> impl IntoView {
    view! {
        <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
            <path d=symbol.path()></path>
        </svg>
    }
}
