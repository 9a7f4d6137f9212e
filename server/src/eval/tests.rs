//! The tasks from file to output, on generated logs and on wrong input.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::HashMap, fmt::Write as _, fs, path::Path};

use flate2::{Compression, write::GzEncoder};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::*;

const HEADER: &str = "received_at,type,id,occurred_at,partner,cookie,customer,order_id,click_id,prefetch_or_amount";
const WINDOWS: &str = r#"{"acme": 2592000, "brio": 604800, "corex": 86400.5, "never": 0}"#;
const WINDOW_SECONDS: [(&str, f64); 4] = [("acme", 2_592_000.0), ("brio", 604_800.0), ("corex", 86_400.5), ("never", 0.0)];

/// Writes a file that is gone when the folder is dropped.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("eval-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(super) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A log of people who click on several devices, become known on them at some time, and buy: rows without `received_at`.
fn generate(seed: u64) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(seed);
    let day = 86_400;
    let start = 1_750_000_000_i64;
    let mut rows = Vec::new();
    let mut clicks = 0;
    for person in 0..60 {
        let devices: Vec<String> = (0..random.random_range(1..4)).map(|device| format!("cookie-{person}-{device}")).collect();
        // Some devices are shared with the neighbour.
        let shared = format!("cookie-{}-0", person / 2);
        let mut mine = Vec::new();
        for _ in 0..random.random_range(0..12) {
            let device = if random.random_bool(0.1) { &shared } else { &devices[random.random_range(0..devices.len())] };
            let device = if random.random_bool(0.05) { "" } else { device };
            let (partner, _) = WINDOW_SECONDS[random.random_range(0..4)];
            // Whole hours, so that equal times and the ends of windows do occur.
            let time = start + random.random_range(0..40 * 24) * 3_600;
            let prefetch = u8::from(random.random_bool(0.1));
            rows.push(format!("click,c{clicks},{time},{partner},{device},,,,{prefetch}"));
            mine.push(format!("c{clicks}"));
            clicks += 1;
        }
        for (number, device) in devices.iter().chain([&shared]).enumerate() {
            if random.random_bool(0.6) {
                let time = start + random.random_range(0..40 * 24) * 3_600;
                rows.push(format!("identify,i{person}-{number},{time},,{device},customer-{person},,,"));
            }
        }
        for order in 0..random.random_range(0..4) {
            let time = start + random.random_range(0..45 * 24) * 3_600;
            let device = if random.random_bool(0.2) { "" } else { &devices[random.random_range(0..devices.len())] };
            let customer = if random.random_bool(0.3) { String::new() } else { format!("customer-{person}") };
            let click = match random.random_range(0..4) {
                0 if !mine.is_empty() => mine[random.random_range(0..mine.len())].clone(),
                1 => format!("c{}", random.random_range(0..900)),
                _ => String::new(),
            };
            let amount = random.random_range(-500..50_000) as f64 / 100.0;
            rows.push(format!("conversion,e{person}-{order},{time},,{device},{customer},order-{person}-{order},{click},{amount}"));
            // The same order told as another event, later, from another device.
            if random.random_bool(0.2) {
                let later = time + random.random_range(0..3) * day;
                rows.push(format!("conversion,f{person}-{order},{later},,{shared},,order-{person}-{order},,1"));
            }
        }
    }
    rows
}

fn log_of(rows: &[String]) -> String {
    let mut text = format!("{HEADER}\n");
    for (received_at, row) in rows.iter().enumerate() {
        writeln!(text, "{},{row}", 1_800_000_000 + received_at).unwrap();
    }
    text
}

/// The order of columns in the rows of `generate`.
const TYPE: usize = 0;
const ID: usize = 1;
const TIME: usize = 2;
const PARTNER: usize = 3;
const COOKIE: usize = 4;
const CUSTOMER: usize = 5;
const ORDER: usize = 6;
const CLICK: usize = 7;
const PREFETCH: usize = 8;

/// What the oracle says of an order: its clicks as (time, id, partner), oldest first.
type Journey = Vec<(i64, String, String)>;

/// The stated rules as nested loops over the rows of the text, in floating point: no code of the product.
fn oracle(rows: &[String]) -> Vec<(String, i64, Journey)> {
    let rows: Vec<Vec<&str>> = rows.iter().map(|row| row.split(',').collect()).collect();
    let time = |row: &[&str]| row[TIME].parse::<i64>().unwrap();
    let mut answers: Vec<(String, i64, Journey)> = Vec::new();
    for conversion in rows.iter().filter(|row| row[TYPE] == "conversion") {
        let same = |row: &&Vec<&str>| row[TYPE] == "conversion" && row[ORDER] == conversion[ORDER];
        let first = rows.iter().filter(same).map(|row| (time(row), row[ID])).min().unwrap();
        if first != (time(conversion), conversion[ID]) || answers.iter().any(|answer| answer.0 == conversion[ORDER]) {
            continue;
        }
        let mut journey = Journey::new();
        for click in rows.iter().filter(|row| row[TYPE] == "click" && row[PREFETCH] == "0") {
            let known = rows.iter().any(|row| {
                row[TYPE] == "identify"
                    && row[COOKIE] == click[COOKIE]
                    && row[CUSTOMER] == conversion[CUSTOMER]
                    && time(row) <= time(conversion)
            });
            let own = !click[COOKIE].is_empty() && click[COOKIE] == conversion[COOKIE];
            let named = click[ID] == conversion[CLICK];
            let window = WINDOW_SECONDS.iter().find(|(partner, _)| *partner == click[PARTNER]).unwrap().1;
            let age = (time(conversion) - time(click)) as f64;
            if (known || own || named) && (0.0..=window).contains(&age) {
                journey.push((time(click), click[ID].to_owned(), click[PARTNER].to_owned()));
            }
        }
        journey.sort();
        journey.dedup();
        answers.push((conversion[ORDER].to_owned(), time(conversion), journey));
    }
    answers.sort();
    answers
}

fn expected_split(journey: &Journey, weight: impl Fn(usize) -> f64) -> HashMap<String, f64> {
    let sum: f64 = (0..journey.len()).map(&weight).sum();
    let mut split = HashMap::new();
    for (place, (_, _, partner)) in journey.iter().enumerate() {
        *split.entry(partner.clone()).or_insert(0.0) += weight(place) / sum;
    }
    split
}

fn assert_split(found: &str, expected: &HashMap<String, f64>, journey: &Journey) {
    let parts: Vec<(&str, &str)> = found.split(';').filter(|part| !part.is_empty()).map(|part| part.split_once(':').unwrap()).collect();
    assert!(parts.is_sorted(), "{found}");
    assert_eq!(parts.len(), expected.len(), "{found} should be {expected:?}");
    for (partner, share) in &parts {
        // Each click's share is rounded to the ninth digit.
        let off = (share.parse::<f64>().unwrap() - expected[*partner]).abs();
        assert!(off < 1e-9 * (journey.len() + 1) as f64, "{found} should be {expected:?}");
    }
    let sum: rust_decimal::Decimal = parts.iter().map(|(_, share)| share.parse::<rust_decimal::Decimal>().unwrap()).sum();
    assert_eq!(sum, if parts.is_empty() { 0 } else { 1 }.into());
}

fn assert_equals_the_oracle(csv: &str, rows: &[String]) {
    let expected = oracle(rows);
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("order_id,last_click,last_partner,first_click,linear,position_40_20_40,time_decay_7d"));
    assert_eq!(lines.clone().count(), expected.len());
    for (line, (order_id, time, journey)) in lines.zip(&expected) {
        let fields: Vec<&str> = line.split(',').collect();
        let (first, last) = (journey.first(), journey.last());
        assert_eq!(fields[0], order_id);
        assert_eq!(fields[1], last.map_or("", |click| &click.1), "last click of {order_id}");
        assert_eq!(fields[2], last.map_or("", |click| &click.2), "last partner of {order_id}");
        assert_eq!(fields[3], first.map_or("", |click| &click.1), "first click of {order_id}");
        assert_split(fields[4], &expected_split(journey, |_| 1.0), journey);
        let middle = match journey.len() {
            1 => |_: usize, _: usize| 1.0,
            2 => |_: usize, _: usize| 0.5,
            _ => |place: usize, length: usize| if place == 0 || place + 1 == length { 0.4 } else { 0.2 / (length - 2) as f64 },
        };
        assert_split(fields[5], &expected_split(journey, |place| middle(place, journey.len())), journey);
        let decay = |place: usize| (-((time - journey[place].0) as f64) / (7.0 * 86_400.0)).exp2();
        assert_split(fields[6], &expected_split(journey, decay), journey);
    }
}

#[test]
fn every_order_equals_the_brute_force_oracle_in_five_arrival_orders_and_when_all_is_delivered_twice() {
    let folder = Folder::new("oracle");
    let mut orders = 0;
    let mut with_clicks = 0;
    for seed in 1..=6 {
        let rows = generate(seed);
        let as_made = attribution::evaluate(&folder.file("made.csv", &log_of(&rows)), WINDOWS, false).unwrap();
        assert_equals_the_oracle(&as_made, &rows);
        orders += as_made.lines().count() - 1;
        with_clicks += as_made.lines().filter(|line| !line.contains(",,,,")).count() - 1;

        let by_time = |row: &String| row.split(',').nth(TIME).unwrap().to_owned();
        let mut arrivals = vec![rows.clone(); 5];
        arrivals[0].sort_by_key(by_time);
        arrivals[1].sort_by_key(|row| std::cmp::Reverse(by_time(row)));
        // Conversions before their clicks, then identifies last.
        arrivals[2].sort();
        arrivals[2].reverse();
        arrivals[3].shuffle(&mut StdRng::seed_from_u64(seed + 100));
        arrivals[4].shuffle(&mut StdRng::seed_from_u64(seed + 200));
        for arrival in arrivals {
            let twice = [arrival.clone(), arrival.iter().rev().cloned().collect()].concat();
            for told in [arrival, twice] {
                let found = attribution::evaluate(&folder.file("log.csv", &log_of(&told)), WINDOWS, false).unwrap();
                assert_eq!(found, as_made);
            }
        }
    }
    assert!(orders > 300 && with_clicks > 150, "{orders} orders, {with_clicks} with clicks: too few to show anything");
}

#[test]
fn the_examples_of_the_manual_give_what_it_shows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/eval");
    let manual = fs::read_to_string(folder.join("../EVAL.md")).unwrap();
    let windows = folder.join("attribution-windows.json");
    let orders = attribution::evaluate(&folder.join("attribution-events.csv"), windows.to_str().unwrap(), false).unwrap();
    assert!(manual.contains(&orders), "the manual should show\n{orders}");
    let report = multitouch::evaluate(&folder.join("multitouch.csv"), false).unwrap();
    let channel = report.split("    {\n").nth(1).unwrap();
    assert!(manual.contains(channel), "the manual should show\n{channel}");
}

#[test]
fn packed_files_and_windows_in_a_file_give_the_same() {
    let folder = Folder::new("packed");
    let text = log_of(&generate(9));
    let plain = attribution::evaluate(&folder.file("log.csv", &text), WINDOWS, false).unwrap();
    let packed = folder.0.join("log.csv.gz");
    let mut encoder = GzEncoder::new(fs::File::create(&packed).unwrap(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap();
    let windows = folder.file("windows.json", WINDOWS);
    assert_eq!(attribution::evaluate(&packed, windows.to_str().unwrap(), false).unwrap(), plain);
}

#[test]
fn json_says_the_same_as_csv() {
    let folder = Folder::new("json");
    let rows =
        ["click,c1,0,acme,desk,,,,0", "click,c2,604800,brio,desk,,,,0", "conversion,e,604800,,desk,,o,,1", "conversion,f,0,,,,none,,1"];
    let log = folder.file("log.csv", &log_of(&rows.map(str::to_owned)));
    let json: serde_json::Value = serde_json::from_str(&attribution::evaluate(&log, WINDOWS, true).unwrap()).unwrap();
    assert_eq!(json["orders"][0]["order_id"], "none");
    assert_eq!(json["orders"][0]["last_click"], serde_json::Value::Null);
    assert_eq!(json["orders"][1]["last_partner"], "brio");
    assert_eq!(json["orders"][1]["time_decay_7d"], serde_json::json!({"acme": "0.333333333", "brio": "0.666666667"}));
}

/// The error of a log with this one row after a good one, which is on line 2.
fn refused(row: &str) -> String {
    let folder = Folder::new(&format!("refused-{:x}", row.bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(byte))));
    let log = folder.file("log.csv", &format!("{HEADER}\n1,click,c0,1,acme,desk,,,,0\n{row}\n"));
    let error = attribution::evaluate(&log, WINDOWS, false).unwrap_err().to_string();
    error.split_once("log.csv").unwrap().1.to_owned()
}

#[test]
fn a_wrong_row_is_named_with_line_and_field() {
    assert_eq!(refused("x,click,c,1,acme,desk,,,,0"), ":3: field `received_at`: `x` is not a time in seconds since 1970");
    assert_eq!(refused("1,visit,c,1,acme,desk,,,,0"), ":3: field `type`: `visit` is none of click, identify, conversion");
    assert_eq!(refused("1,click,,1,acme,desk,,,,0"), ":3: field `id`: is empty, expected a text");
    assert_eq!(refused("1,click,c,,acme,desk,,,,0"), ":3: field `occurred_at`: `` is not a time in seconds since 1970");
    assert_eq!(refused("1,click,c,1,,desk,,,,0"), ":3: field `partner`: is empty, expected a text");
    assert_eq!(refused("1,click,c,1,zeta,desk,,,,0"), ":3: field `partner`: partner `zeta` has no window in `--windows`");
    assert_eq!(refused("1,click,c,1,acme,desk,,,,2"), ":3: field `prefetch_or_amount`: `2` is neither 1 for a prefetch nor 0");
    assert_eq!(refused("1,identify,i,1,,,mary,,,"), ":3: field `cookie`: is empty, expected a text");
    assert_eq!(refused("1,identify,i,1,,desk,,,,"), ":3: field `customer`: is empty, expected a text");
    assert_eq!(refused("1,conversion,e,1,,desk,,,,5"), ":3: field `order_id`: is empty, expected a text");
    assert_eq!(refused("1,conversion,e,1,,desk,,o,,five"), ":3: field `prefetch_or_amount`: `five` is not a decimal number");
    assert!(refused("1,click,c,1").starts_with(":3: "), "a row with too few fields");
}

#[test]
fn wrong_files_headers_and_windows_are_named() {
    let folder = Folder::new("wrong");
    let log = folder.file("log.csv", &log_of(&generate(3)));
    let error = |events: &Path, windows: &str| attribution::evaluate(events, windows, false).unwrap_err().to_string();
    assert!(error(&folder.0.join("absent.csv"), WINDOWS).contains("absent.csv: "));
    assert!(
        error(&folder.file("short.csv", "received_at,type\n"), WINDOWS)
            .contains("short.csv:1: field `id`: the column is not in the header")
    );
    assert!(error(&folder.file("not.csv.gz", "plain"), WINDOWS).contains("not.csv.gz:"));
    assert!(error(&log, "[]").contains("[]: "), "no such file");
    assert_eq!(error(&log, "{"), "--windows: expected a JSON object of seconds by partner: EOF while parsing an object at line 1 column 1");
    assert_eq!(error(&log, r#"{"acme": -1}"#), "--windows: partner `acme`: `-1` is not a window in seconds, 0 or more");
    assert_eq!(error(&log, r#"{"acme": "1 d"}"#), "--windows: partner `acme`: `\"1 d\"` is not a window in seconds, 0 or more");
    assert!(error(&log, r#"{"acme": 1}"#).contains("has no window"));
    for twice in [r#"{"acme": 1, "brio": 2, "acme": 3}"#, r#"{"acme": 1, "\u0061cme": 1}"#] {
        assert_eq!(error(&log, twice), "--windows: partner `acme` is in it twice, expected once");
    }
    let file = folder.file("twice.json", r#"{"acme": 1, "acme": 1}"#);
    assert!(error(&log, file.to_str().unwrap()).ends_with("twice.json: partner `acme` is in it twice, expected once"));
}

#[test]
fn multitouch_names_a_wrong_row_with_line_and_field() {
    let folder = Folder::new("multitouch");
    let error = |row: &str| {
        let file = folder.file("paths.csv", &format!("path,total_conversions,total_conversion_value,total_null\na > b,1,2,3\n{row}\n"));
        multitouch::evaluate(&file, true).unwrap_err().to_string().split_once("paths.csv").unwrap().1.to_owned()
    };
    assert_eq!(error("a >  > b,1,1,1"), ":3: field `path`: a path has no step, or a step without a name");
    assert_eq!(error("\"\",1,1,1"), ":3: field `path`: a path has no step, or a step without a name");
    assert_eq!(error("a>b,1,1,1"), ":3: field `path`: channel `a>b` contains `>`; channels are joined by ` > `");
    assert_eq!(error("a,one,1,1"), ":3: field `total_conversions`: `one` is not a number from 0 up");
    assert_eq!(error("a,1,-2,1"), ":3: field `total_conversion_value`: `-2` is not a number from 0 up");
    assert_eq!(error("a,1,two,1"), ":3: field `total_conversion_value`: `two` is not a decimal number");
    assert_eq!(error("a,1,inf,1"), ":3: field `total_conversion_value`: `inf` is not a decimal number");
    assert_eq!(error("a,1,2,inf"), ":3: field `total_null`: `inf` is not a number from 0 up");
    assert_eq!(error("a,0,2,1"), ":3: field `total_conversion_value`: a value of `2` without a conversion");
}

#[test]
fn multitouch_prints_every_model_of_every_channel() {
    let folder = Folder::new("models");
    let file = folder.file("paths.csv", "total_null,path,total_conversions,total_conversion_value\n1,a > b,2,10\n");
    let report: serde_json::Value = serde_json::from_str(&multitouch::evaluate(&file, true).unwrap()).unwrap();
    let a = &report["channels"][0];
    for model in ["first", "last", "linear", "position", "time_decay_by_step", "markov_with_nulls", "markov_without_nulls", "shapley"] {
        assert!(a[model].is_number() && a["value"][model].is_number(), "{model} in {report}");
    }
    assert_eq!((a["first"].as_f64(), a["value"]["linear"].as_f64()), (Some(2.0), Some(5.0)));
}

#[test]
fn multitouch_keeps_every_digit_of_a_value() {
    let folder = Folder::new("digits");
    let value_of = |value: &str| {
        let text = format!("path,total_conversions,total_conversion_value,total_null\na > b > c,3,{value},0\n");
        multitouch::evaluate(&folder.file("paths.csv", &text), true).unwrap()
    };
    let tenth = value_of("0.1");
    assert!(tenth.contains(r#""value":0.1,"#) && tenth.contains(r#""linear":0.033333333334,"#), "the last unit is not lost: {tenth}");
    assert!(value_of("9007199254740993.25").contains(r#""first":9007199254740993.25,"#), "more digits than floating point has");
    assert!(value_of("1.5e3").contains(r#""value":1500,"#));
}

#[test]
fn the_options_parse_before_and_after_the_task() {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: EvalArgs,
    }
    let parse = |line: &str| <Line as clap::Parser>::try_parse_from(line.split(' ')).map(|line| (line.args.json, line.args.seed));
    assert_eq!(parse("eval multitouch paths.csv --json --seed 7").unwrap(), (true, 7));
    assert_eq!(parse("eval --seed 7 attribution --events a --windows {}").unwrap(), (false, 7));
    assert!(parse("eval attribution --events a").is_err());
    assert!(parse("eval guess").is_err());
}
