//! The multi-touch report of the whole programme: the models side by side, what they say, and what was counted.

use domain::{
    Money,
    money::group_thousands,
    multitouch::{CHANNELS_MAX, Model},
};
use engine::multitouch::{By, Channel, Commission, MultitouchReport};
use leptos::prelude::*;
use rust_decimal::{Decimal, prelude::ToPrimitive};

use super::html;
use crate::{
    charts::{self, MODELS_SHOWN},
    components::{Badge, ButtonLink, DataTable, EmptyState, Notice, NumberCell, Panel, Symbol, Tone, count, date_time},
};

/// Lines of the table; the file has all.
const LINES_MAX: usize = 100;
/// Channels of the chart.
const BARS_MAX: usize = 6;

/// The head of a model's column.
fn column(model: Model) -> &'static str {
    match model {
        Model::First => "#First",
        Model::Last => "#Last",
        Model::Linear => "#Linear",
        Model::Position => "#40/20/40",
        Model::TimeDecayByStep => "#Time decay",
        Model::MarkovWithNulls => "#Markov",
        Model::MarkovWithoutNulls => "#Markov, converted",
        Model::Shapley => "#Shapley",
    }
}

fn title(model: Model) -> &'static str {
    column(model).trim_start_matches('#')
}

/// In plain words what a model says.
fn meaning(model: Model) -> &'static str {
    match model {
        Model::First => "Where people came from: all goes to the first click of a path.",
        Model::Last => "What closed the sale: all goes to the last click before the conversion.",
        Model::Linear => "Every click of a path gets the same.",
        Model::Position => "40 % to the first click, 40 % to the last, 20 % shared by those between; half each if there are two.",
        Model::TimeDecayByStep => "Each step further from the end gets half as much.",
        Model::MarkovWithNulls => {
            "How many conversions would be missing without the channel, reckoned from all paths, with those that led to nothing, too. \
             Scaled so that all channels together make all conversions."
        }
        Model::MarkovWithoutNulls => "The same, from the paths that ended in a conversion alone.",
        Model::Shapley => {
            "A fair division of joint work: what a channel adds on average to any group of others. Order and repeats do not count."
        }
    }
}

/// The whole report; `file` is where it can be downloaded.
pub fn attribution_report(report: MultitouchReport, by_value: bool, file: String) -> String {
    let basis = basis(&report);
    let (cut, folded) = (cut_note(&report), folded_note(&report));
    let body = if report.conversions == 0 {
        view! { <NothingToShare had_clicks={report.clicks > 0}/> }.into_any()
    } else {
        let shown = Shown::new(&report, by_value);
        let title = format!("{} by {}", if by_value { "Value" } else { "Conversions" }, report.by);
        let chart = chart(&shown);
        view! {
            <div class="columns">
                <Panel title="Models compared" hint=basis.clone()>{chart}</Panel>
                <Panel title="What each model says"><Meanings/></Panel>
            </div>
            <Panel title hint=basis.clone() actions=view! { <ButtonLink href=file>"Download CSV"</ButtonLink> }.into_any() flush=true>
                <ChannelTable shown/>
            </Panel>
        }
        .into_any()
    };
    html(view! {
        <div class="stack">
            <Notice>
                <strong>"This report pays nobody."</strong>
                <p>
                    "Commissions follow the per-order rule in each partner's terms; what it booked stands in the last columns, for comparison. \
                     The other columns are statistics over all paths together."
                </p>
            </Notice>
            {cut.map(|note| view! { <Notice tone=Tone::Warning>{note}</Notice> })}
            {folded.map(|note| view! { <Notice>{note}</Notice> })}
            {body}
            <Panel title="What was counted" hint=basis><Counted report/></Panel>
        </div>
    })
}

/// What the figures rest on: n and the period.
fn basis(report: &MultitouchReport) -> String {
    let end = report.cut_at.unwrap_or(report.period.to);
    let (from, to) = (date_time(report.period.from), date_time(end));
    format!("conversions: n = {}, paths without one: n = {}; {from} to {to}", number(report.conversions), number(report.nulls))
}

fn cut_note(report: &MultitouchReport) -> Option<String> {
    report.cut_at.map(|at| {
        format!(
            "This period holds more than one report takes. What happened from {} on was not looked at; choose a shorter period.",
            date_time(at)
        )
    })
}

fn folded_note(report: &MultitouchReport) -> Option<String> {
    let what = match report.by {
        By::Partner => "partners",
        By::Site => "sites",
    };
    let (folded, most) = (number(report.folded), number(CHANNELS_MAX));
    (report.folded > 0)
        .then(|| format!("{folded} {what} with the fewest clicks stand together as one channel, since a report takes {most}."))
}

/// What is shown of the credits: conversions or value.
#[derive(Clone)]
struct Shown {
    channels: Vec<Channel>,
    by: By,
    /// All of it; none if conversions are shown.
    value: Option<Money>,
    conversions: f64,
}

impl Shown {
    fn new(report: &MultitouchReport, by_value: bool) -> Self {
        // The models all share out the same conversions; their number is read from one of them, since it is a sum already.
        let conversions = report.channels.iter().map(|channel| channel.conversions.last).sum();
        Self { channels: report.channels.clone(), by: report.by, value: by_value.then_some(report.value), conversions }
    }

    /// 0 to 1; nothing of nothing.
    fn share(&self, channel: &Channel, model: Model) -> Option<f64> {
        match self.value {
            Some(value) => Decimal::from(*channel.value_minor.of(model)).checked_div(Decimal::from(value.amount_minor))?.to_f64(),
            None => (self.conversions > 0.0).then(|| channel.conversions.of(model) / self.conversions),
        }
    }

    fn amount(&self, channel: &Channel, model: Model) -> String {
        match self.value {
            Some(value) => Money::new(*channel.value_minor.of(model), value.currency).to_string(),
            None => two_digits(*channel.conversions.of(model)),
        }
    }
}

/// The largest channels under four of the models, with a key to the colours.
fn chart(shown: &Shown) -> AnyView {
    let bars: Vec<(String, [f64; 4])> = shown
        .channels
        .iter()
        .take(BARS_MAX)
        .map(|channel| {
            let models = [Model::First, Model::Last, Model::MarkovWithNulls, Model::Shapley];
            (channel.name.clone(), models.map(|model| shown.share(channel, model).unwrap_or_default()))
        })
        .collect();
    let Some(drawing) = charts::models(&bars) else {
        return view! {
            <EmptyState title="No value to compare" symbol=Symbol::Chart><p>"Share out conversions instead, or choose another currency."</p></EmptyState>
        }
        .into_any();
    };
    let key = (1..)
        .zip(MODELS_SHOWN)
        .map(|(series, name): (u8, _)| {
            view! { <li><span class="models__swatch" data-series=series.to_string() aria-hidden="true"></span>{name}</li> }
        })
        .collect_view();
    let hidden = shown.channels.len().saturating_sub(BARS_MAX);
    view! {
        <div class="models">
            <ul class="models__key">{key}</ul>
            <div inner_html=drawing></div>
            {(hidden > 0).then(|| view! { <p class="muted">"And "{number(hidden)}" more in the table."</p> })}
        </div>
    }
    .into_any()
}

#[component]
fn Meanings() -> impl IntoView {
    let meanings = Model::ALL.map(|model| view! { <div><dt>{title(model)}</dt><dd>{meaning(model)}</dd></div> });
    view! {
        <dl class="models__meanings">
            {meanings}
            <div>
                <dt>"Removal"</dt>
                <dd>"The part of all conversions that would be missing without the channel, as Markov reckons it. It is not scaled, so the channels together may pass 100 %."</dd>
            </div>
            <div><dt>"Per order"</dt><dd>"What the rule in force gave each order, and the commission booked for it. Only this is paid."</dd></div>
        </dl>
    }
}

#[component]
fn NothingToShare(had_clicks: bool) -> impl IntoView {
    view! {
        <Panel title="Report">
            <EmptyState title=if had_clicks { "No conversion to share out" } else { "No clicks in this period" } symbol=Symbol::Chart>
                <p>
                    {if had_clicks {
                        "People clicked, but no attributed conversion followed in this period. Choose a longer one."
                    } else {
                        "Paths are made of clicks on offers. Choose another period, or see whether a site shows the widget."
                    }}
                </p>
            </EmptyState>
        </Panel>
    }
}

#[component]
fn ChannelTable(shown: Shown) -> impl IntoView {
    let hidden = shown.channels.len().saturating_sub(LINES_MAX);
    let mut columns = vec!["Channel", "#Clicks"];
    columns.extend(Model::ALL.map(column));
    columns.extend(["#Removal", "#Per order", "#Commission"]);
    let caption = if shown.value.is_some() { "Value by channel under each model" } else { "Conversions by channel under each model" };
    let rows = shown.channels.iter().take(LINES_MAX).map(|channel| line(&shown, channel)).collect_view();
    view! {
        <DataTable caption cards=true columns>{rows}</DataTable>
        {(hidden > 0).then(|| view! { <p class="models__more muted">{number(hidden)}" more channels are in the file."</p> })}
    }
}

fn line(shown: &Shown, channel: &Channel) -> AnyView {
    let href = match shown.by {
        By::Partner => format!("/partners/{}", channel.key),
        By::Site => format!("/sites/{}", channel.key),
    };
    let name = channel.name.clone();
    let who = if channel.is_rest { view! { <Badge>{name}</Badge> }.into_any() } else { view! { <a href=href>{name}</a> }.into_any() };
    let cell = |model: Model| {
        let (share, amount) = (percent(shown.share(channel, model)), shown.amount(channel, model));
        view! {
            <NumberCell label=title(model)>
                <span class="two-lines"><span>{share}</span><span class="muted">{amount}</span></span>
            </NumberCell>
        }
    };
    let cells = Model::ALL.map(cell);
    let money = |commission: &Commission| {
        let (booked, paid) = (commission.booked.to_string(), commission.paid.to_string());
        view! { <span>{booked}</span><span class="muted">{paid}" paid"</span> }
    };
    let monies = match channel.commissions.as_slice() {
        [] => view! { <span class="muted">"–"</span> }.into_any(),
        commissions => view! { <span class="two-lines">{commissions.iter().map(money).collect_view()}</span> }.into_any(),
    };
    let clicks = number(channel.clicks);
    let removal = percent(Some(channel.removal_effect_with_nulls));
    let per_order = channel.per_order.round_dp(2).normalize().to_string();
    view! {
        <tr data-channel=channel.key.clone()>
            <td data-label="Channel" class="models__channel">{who}</td>
            <NumberCell label="Clicks">{clicks}</NumberCell>
            {cells}
            <NumberCell label="Removal">{removal}</NumberCell>
            <NumberCell label="Per order">{per_order}</NumberCell>
            <NumberCell label="Commission">{monies}</NumberCell>
        </tr>
    }
    .into_any()
}

#[component]
fn Counted(report: MultitouchReport) -> impl IntoView {
    let fact = |label: &'static str, figure: usize| view! { <div><dt>{label}</dt><dd>{number(figure)}</dd></div> };
    let others: Vec<String> = report
        .currencies
        .iter()
        .filter(|(currency, _)| *currency != report.value.currency)
        .map(|(currency, conversions)| format!("{} in {currency}", number(*conversions)))
        .collect();
    let left_out = report.left_out;
    view! {
        <div class="stack">
            <div class="columns">
                <div class="stack">
                    <dl class="facts what-if__facts">
                        {fact("Clicks of people", report.clicks)}
                        {fact("People, as far as sessions tell", report.people)}
                        {fact("Different paths", report.paths)}
                        {fact("Conversions shared out", report.conversions)}
                        {fact("Paths without a conversion", report.nulls)}
                        <div><dt>"Value shared out"</dt><dd>{report.value.to_string()}</dd></div>
                    </dl>
                    {(!others.is_empty()).then(|| view! {
                        <p>"Their number counts, but their value is left out, since it is in another currency: "{others.join(", ")}"."</p>
                    })}
                </div>
                <div class="stack">
                    <h3 class="models__subtitle">"Conversions left out"</h3>
                    <dl class="facts what-if__facts">
                        {fact("Not attributed to any click", left_out.unattributed)}
                        {fact("Wholly refunded", left_out.reversed)}
                        {fact("Without a known click in the period", left_out.without_click)}
                    </dl>
                </div>
            </div>
            <p class="muted">
                "A path holds a person's clicks in the order of time, without robots and prefetches. It ends with a conversion or with the period; \
                 a renewal without a click in between counts for the path before it. Sessions that a partner named as the same customer's are one person's."
            </p>
        </div>
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// A credit in conversions, not in money: `1,234.56`.
fn two_digits(credit: f64) -> String {
    let text = format!("{credit:.2}");
    match text.split_once('.') {
        Some((whole, digits)) => format!("{}.{digits}", group_thousands(whole)),
        None => text,
    }
}

fn number(figure: usize) -> String {
    count(i64::try_from(figure).unwrap_or(i64::MAX))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use domain::{Currency, dashboard::Period, multitouch::Credits};
    use engine::multitouch::LeftOut;

    use super::*;

    fn channel(key: &str, conversions: f64, value_minor: i64) -> Channel {
        Channel {
            key: key.to_owned(),
            name: key.to_uppercase(),
            is_rest: false,
            clicks: 1_234,
            conversions: Credits::each(|_| conversions),
            value_minor: Credits::each(|_| value_minor),
            removal_effect_with_nulls: 0.5,
            removal_effect_without_nulls: 0.25,
            per_order: Decimal::ONE,
            commissions: vec![Commission { booked: Money::new(1_500, Currency::USD), paid: Money::new(500, Currency::USD) }],
        }
    }

    fn report(channels: Vec<Channel>) -> MultitouchReport {
        MultitouchReport {
            by: By::Partner,
            period: Period { from: "2026-11-01T00:00:00Z".parse().unwrap(), to: "2026-11-08T00:00:00Z".parse().unwrap() },
            cut_at: None,
            clicks: 10,
            people: 5,
            paths: 2,
            conversions: if channels.is_empty() { 0 } else { 4 },
            nulls: 3,
            value: Money::new(channels.iter().map(|channel| channel.value_minor.last).sum(), Currency::USD),
            currencies: vec![("EUR".parse().unwrap(), 1), (Currency::USD, 3)],
            left_out: LeftOut { unattributed: 7, reversed: 0, without_click: 0 },
            folded: 0,
            channels,
        }
    }

    #[test]
    fn shares_stand_with_their_amounts_their_period_and_their_number() {
        let two = || report(vec![channel("acme", 3.0, 2_500), channel("brio", 1.0, 7_500)]);
        let page = attribution_report(two(), false, "/file".to_owned());
        for part in
            ["75.0 %", "3.00", "1,234", "$15.00", "conversions: n = 4, paths without one: n = 3; 1 Nov 2026", "1 in EUR", "pays nobody"]
        {
            assert!(page.contains(part), "{part} in {page}");
        }
        let by_value = attribution_report(two(), true, "/file".to_owned());
        assert!(by_value.contains("$75.00") && by_value.contains("Value by partner"), "{by_value}");
    }

    #[test]
    fn nothing_to_share_is_said_and_a_cut_period_too() {
        let mut empty = report(Vec::new());
        assert!(attribution_report(empty.clone(), false, String::new()).contains("No conversion to share out"));
        empty.clicks = 0;
        empty.cut_at = Some("2026-11-02T00:00:00Z".parse().unwrap());
        let page = attribution_report(empty, false, String::new());
        assert!(page.contains("No clicks in this period") && page.contains("from 2 Nov 2026, 00:00 UTC on was not looked at"), "{page}");
    }

    #[test]
    fn a_value_of_nothing_has_no_shares() {
        let page = attribution_report(report(vec![channel("acme", 4.0, 0)]), true, String::new());
        assert!(page.contains("No value to compare") && !page.contains("NaN"), "{page}");
    }

    #[test]
    fn amounts_are_grouped() {
        assert_eq!([two_digits(0.0), two_digits(12_345.678)], ["0.00", "12,345.68"]);
    }
}
