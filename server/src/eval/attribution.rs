//! `eval attribution`: the journeys of a log of events, and what each partner gets of each order.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::Read,
    path::Path,
};

use chrono::TimeDelta;
use domain::attribution::{Click, History, Identify, Model, Order, Policy, Recorded, shares};
use rust_decimal::Decimal;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};

use super::input::{Malformed, Row, Table, json_decimal, open, seconds};

const COLUMNS: [&str; 10] =
    ["received_at", "type", "id", "occurred_at", "partner", "cookie", "customer", "order_id", "click_id", "prefetch_or_amount"];

/// What stands between the partners of a split, so it cannot stand in their names.
const SEPARATOR: char = ';';

type Windows = BTreeMap<String, TimeDelta>;
type Split = BTreeMap<String, Decimal>;

/// The answer for one order; without an eligible click the fields are empty.
#[derive(Debug, Serialize)]
struct Attributed {
    order_id: String,
    last_click: Option<String>,
    last_partner: Option<String>,
    first_click: Option<String>,
    linear: Split,
    position_40_20_40: Split,
    time_decay_7d: Split,
}

#[derive(Serialize)]
struct Output {
    orders: Vec<Attributed>,
}

pub fn evaluate(events: &Path, windows: &str, json: bool) -> Result<String, Malformed> {
    let windows = read_windows(windows)?;
    let history = read_events(events, &windows)?;
    let orders = attribute(&history, &windows);
    let without = orders.iter().filter(|order| order.last_click.is_none()).count();
    eprintln!("note: {} orders, {without} of them without an eligible click", orders.len());
    Ok(if json { to_json(orders) } else { to_csv(&orders) })
}

/// Reads `{partner: seconds}` from a file, or from the text itself if it begins with a brace.
fn read_windows(argument: &str) -> Result<Windows, Malformed> {
    let inline = argument.trim_start().starts_with('{');
    let file = if inline { "--windows".to_owned() } else { argument.to_owned() };
    let mut text = argument.to_owned();
    if !inline {
        text.clear();
        let read = open(Path::new(argument))?.read_to_string(&mut text);
        read.map_err(|source| Malformed::File { file: file.clone(), source })?;
    }
    let wrong = |what: String| Malformed::Whole { file: file.clone(), what };
    let Pairs(pairs) =
        serde_json::from_str(&text).map_err(|error| wrong(format!("expected a JSON object of seconds by partner: {error}")))?;
    let mut windows = Windows::new();
    for (partner, value) in pairs {
        let window = json_decimal(&value).and_then(seconds).filter(|window| *window >= TimeDelta::zero());
        let window = window.ok_or_else(|| wrong(format!("partner `{partner}`: `{value}` is not a window in seconds, 0 or more")))?;
        if windows.insert(partner.clone(), window).is_some() {
            return Err(wrong(format!("partner `{partner}` is in it twice, expected once")));
        }
    }
    Ok(windows)
}

/// The members of a JSON object as they stand, so that one which is there twice is seen.
struct Pairs(Vec<(String, serde_json::Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs;
            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a map")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

fn read_events(path: &Path, windows: &Windows) -> Result<History, Malformed> {
    let mut history = History::default();
    let (mut again, mut disagree) = (0, BTreeSet::new());
    let rows = Table::open(path, &COLUMNS)?.for_each(|row| {
        match record(&mut history, row, windows)? {
            Recorded::New => {}
            Recorded::Again => again += 1,
            Recorded::Disagrees => {
                disagree.insert(row.text("id").to_owned());
            }
        }
        Ok(())
    })?;
    eprintln!("note: {rows} rows read, {again} of them repeat an event");
    if let Some(id) = disagree.first() {
        eprintln!("note: the copies of {} events disagree, such as those of `{id}`; the earlier one counts", disagree.len());
    }
    Ok(history)
}

fn record(history: &mut History, row: &Row, windows: &Windows) -> Result<Recorded, Malformed> {
    row.time("received_at")?;
    let occurred_at = row.time("occurred_at")?;
    let id = row.required("id")?;
    match row.text("type") {
        "click" => {
            let partner = row.required("partner")?;
            if partner.contains(SEPARATOR) {
                return Err(row.wrong("partner", &format!("`{partner}` contains `{SEPARATOR}`, which separates partners in the answer")));
            }
            if !windows.contains_key(&partner) {
                return Err(row.wrong("partner", &format!("partner `{partner}` has no window in `--windows`")));
            }
            let prefetch = match row.text("prefetch_or_amount") {
                "1" => true,
                "0" | "" => false,
                other => return Err(row.wrong("prefetch_or_amount", &format!("`{other}` is neither 1 for a prefetch nor 0"))),
            };
            Ok(history.record_click(Click { occurred_at, click_id: id, partner, cookie: row.optional("cookie"), prefetch }))
        }
        "identify" => {
            let (cookie, customer) = (row.required("cookie")?, row.required("customer")?);
            Ok(history.record_identify(Identify { occurred_at, event_id: id, cookie, customer }))
        }
        "conversion" => {
            row.decimal("prefetch_or_amount")?;
            let order_id = row.required("order_id")?;
            let (cookie, customer, click_id) = (row.optional("cookie"), row.optional("customer"), row.optional("click_id"));
            Ok(history.record_conversion(Order { occurred_at, event_id: id, order_id, cookie, customer, click_id }))
        }
        other => Err(row.wrong("type", &format!("`{other}` is none of click, identify, conversion"))),
    }
}

fn attribute(history: &History, windows: &Windows) -> Vec<Attributed> {
    // The choice of clicks does not depend on the model.
    let policy_of = |click: &Click| Policy { model: Model::LastTouch, window: windows[&click.partner], minimum: TimeDelta::zero() };
    let answer = |(order, journey): (&Order, Vec<&Click>)| {
        let taker = |model| {
            let shares = shares(model, &journey, order.occurred_at);
            journey.iter().zip(shares).find(|(_, share)| *share == Decimal::ONE).map(|(click, _)| *click)
        };
        let last = taker(Model::LastTouch);
        let split = |model| split(&journey, &shares(model, &journey, order.occurred_at));
        Attributed {
            order_id: order.order_id.clone(),
            last_click: last.map(|click| click.click_id.clone()),
            last_partner: last.map(|click| click.partner.clone()),
            first_click: taker(Model::FirstTouch).map(|click| click.click_id.clone()),
            linear: split(Model::Linear),
            position_40_20_40: split(Model::PositionBased),
            time_decay_7d: split(Model::TimeDecay),
        }
    };
    history.journeys(policy_of).into_iter().map(answer).collect()
}

/// The shares of each partner's clicks together.
fn split(journey: &[&Click], shares: &[Decimal]) -> Split {
    let mut split = Split::new();
    for (click, share) in journey.iter().zip(shares) {
        *split.entry(click.partner.clone()).or_default() += share;
    }
    split.into_iter().map(|(partner, share)| (partner, share.normalize())).collect()
}

fn to_csv(orders: &[Attributed]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let text = |optional: &Option<String>| optional.clone().unwrap_or_default();
    let shares = |split: &Split| {
        let parts: Vec<String> = split.iter().map(|(partner, share)| format!("{partner}:{share}")).collect();
        parts.join(&SEPARATOR.to_string())
    };
    let header =
        ["order_id", "last_click", "last_partner", "first_click", "linear", "position_40_20_40", "time_decay_7d"].map(str::to_owned);
    let rows = orders.iter().map(|order| {
        [
            order.order_id.clone(),
            text(&order.last_click),
            text(&order.last_partner),
            text(&order.first_click),
            shares(&order.linear),
            shares(&order.position_40_20_40),
            shares(&order.time_decay_7d),
        ]
    });
    for row in std::iter::once(header).chain(rows) {
        writer.write_record(row).expect("memory takes every row, and all rows have seven fields");
    }
    String::from_utf8(writer.into_inner().expect("memory can always be flushed")).expect("all fields were text")
}

fn to_json(orders: Vec<Attributed>) -> String {
    serde_json::to_string(&Output { orders }).expect("texts and decimals have a form in JSON") + "\n"
}
