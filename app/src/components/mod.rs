//! The parts that pages are built of. They take values and callbacks and fetch nothing; their looks stand in
//! `style/components/<name>.css`.

mod badge;
mod bar;
mod button;
mod checkbox_field;
mod code_block;
mod confirm;
mod copy_field;
mod done_notice;
mod empty_state;
mod error_note;
mod experiment;
mod filter_bar;
mod form_error;
mod form_field;
mod format;
mod frame;
mod icon;
mod kpi_card;
mod left_alone;
mod live_indicator;
mod nav;
mod page_header;
mod pager;
mod panel;
mod range_picker;
mod skeleton;
mod state_badge;
mod table;
mod tabs;

pub use badge::{Badge, StatusDot, Tone};
pub use bar::Bar;
pub use button::{ButtonLink, SubmitButton};
pub use checkbox_field::CheckboxField;
pub use code_block::CodeBlock;
pub use confirm::Confirm;
pub use copy_field::CopyField;
pub use done_notice::DoneNotice;
pub use empty_state::EmptyState;
pub use error_note::{ErrorNote, Notice};
pub use experiment::{
    StatusBadge, kind_meaning, kind_word, layout_name, method_word, metric_meaning, metric_word, payload_words, percent_text, reason_word,
    share_words, unit_word,
};
pub use filter_bar::{FilterBar, choices, with_all};
pub use form_error::{FormError, about, failure};
pub use form_field::{FormField, SelectField, TextAreaField};
pub use format::{Time, age, count, date_time, day, percent, percent_of_decimal, short_count, time_of_day};
pub use frame::Frame;
pub use icon::{Icon, Symbol};
pub use kpi_card::{Delta, KpiCard};
pub use left_alone::LeftAlone;
pub use live_indicator::LiveIndicator;
pub use nav::Nav;
pub use page_header::PageHeader;
pub use pager::{Pager, Steps};
pub use panel::Panel;
pub use range_picker::RangePicker;
pub use skeleton::{ChartSkeleton, KpiSkeleton, TableSkeleton};
pub use state_badge::StateBadge;
pub use table::{DataTable, NumberCell};
pub use tabs::{Tab, Tabs};
