use chrono::{DateTime, TimeDelta};
use domain::{ClickId, RecommendationId, attribution::Model, conversion::ConversionState};
use engine::simulation::Credit as Found;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::*;
use crate::simulate::{
    plan::{Credit, Expected, Site, Step, Touch, Value, Visitor},
    truth::{Book, PerEuro, Rates, Version},
};

const LINK: Link = Link { site: Site::Shared(0), partner: 0 };

struct Scene {
    outcomes: Vec<Outcome>,
    clicks: HashMap<Link, ClickCounts>,
    impressions: ImpressionCounts,
    balances: Vec<Balance>,
    rederived: Rederived,
}

/// One person, two clicks, an offer seen and reported twice, one sale of 49.00 at 20 %, shared in halves; `change` spoils the outcome.
fn report(change: impl Fn(&mut Scene)) -> Report {
    let at = DateTime::UNIX_EPOCH;
    let ids = [1, 2].map(|id| ClickId(Uuid::from_u128(id)));
    let value = Value { minor: 4900, currency: "USD", digits: 2 };
    let touches: Vec<_> = [0, 1].map(|click| Touch { click, site: LINK.site, at }).into();
    let credit = Some(Credit { touches, last: 1 });
    let expected = Expected { partner: 0, id: "order".to_owned(), value, at, credit, reversed_minor: 0 };
    let journeys = [Journey {
        steps: vec![Step::Click { visitor: Visitor::Person(0), link: LINK, at, reports: 0 }; 2],
        conversions: vec![expected],
        repeats: vec![LINK],
        ..Journey::default()
    }];
    let version = Version {
        from: at,
        model: Model::Linear,
        rates: Rates { commission_ppm: 200_000, bonus_ppm: 0, cap_ppm: 3_000_000 },
        metrics: HashMap::new(),
        currency: "USD".to_owned(),
        hold: TimeDelta::days(1),
        adjustment: TimeDelta::days(1),
    };
    let books = [Book { partner_id: "p1".parse().unwrap(), versions: vec![version] }];
    let outcome = Outcome {
        partner_id: books[0].partner_id.clone(),
        external_event_id: "order".to_owned(),
        state: ConversionState::Attributed,
        credits: ids.map(|click_id| Found { click_id, share: Decimal::new(5, 1), commission_minor: 490, own_partner: true }).into(),
        currency: Some("USD".to_owned()),
        commission_minor: 980,
        bonus_minor: 0,
        imbalance_minor: 0,
    };
    let balance = |account: &str, amount_minor| Balance {
        partner_id: books[0].partner_id.clone(),
        currency: "USD".to_owned(),
        account: account.to_owned(),
        amount_minor,
    };
    let mut scene = Scene {
        outcomes: vec![outcome],
        clicks: HashMap::from([(LINK, ClickCounts { people: 2, bots: 0, counted: 1 })]),
        impressions: ImpressionCounts { found: 1, recorded: 1, counted: 1 },
        balances: vec![balance("partner_receivable", 980), balance("held_commission", -980)],
        rederived: Rederived { commissions: 1, differing: vec![] },
    };
    change(&mut scene);
    let mut played = Played::with_clicks(&ids);
    played.seen = vec![(RecommendationId(Uuid::from_u128(9)), books[0].partner_id.clone()); 2];
    let per_euro = PerEuro::new();
    let facts = Facts::new(&books, &per_euro, &journeys, |_| 0, at);
    compare(&Evidence {
        journeys: &journeys,
        played: &[played],
        facts: &facts,
        outcomes: &scene.outcomes,
        balances: &scene.balances,
        deliveries: DeliveryCounts::default(),
        clicks: &scene.clicks,
        impressions: scene.impressions,
        rederived: &scene.rederived,
        held: Held::default(),
    })
}

#[test]
fn the_truth_passes() {
    let report = report(|_| ());
    assert!(report.passes() && report.right == 1 && report.shared == 1, "{report}");
    assert_eq!((report.impressions, report.pages), (1, 1));
}

#[test]
fn each_difference_from_the_truth_fails() {
    type Spoil = fn(&mut Scene);
    let spoiled: [(&str, Spoil); 17] = [
        ("missing", |scene| scene.outcomes.clear()),
        ("a minor unit too much", |scene| scene.outcomes[0].commission_minor += 1),
        ("a bonus too much", |scene| scene.outcomes[0].bonus_minor = 1),
        ("another currency", |scene| scene.outcomes[0].currency = Some("EUR".to_owned())),
        ("another click", |scene| scene.outcomes[0].credits[1].click_id = ClickId(Uuid::from_u128(3))),
        ("a click too few", |scene| {
            scene.outcomes[0].credits.pop();
        }),
        ("another share", |scene| scene.outcomes[0].credits[0].share = Decimal::new(4, 1)),
        ("a part of the money too much", |scene| scene.outcomes[0].credits[0].commission_minor += 1),
        ("another partner's code", |scene| scene.outcomes[0].credits[0].own_partner = false),
        ("two whole credits", |scene| scene.outcomes[0].credits[0].share = Decimal::ONE),
        ("a conversion that nobody sent", |scene| {
            scene.outcomes.push(Outcome { external_event_id: "other".to_owned(), ..scene.outcomes[0].clone() });
        }),
        ("a lost click", |scene| scene.clicks.clear()),
        ("an impression that is not recorded", |scene| {
            scene.impressions.found -= 1;
            scene.impressions.recorded -= 1;
        }),
        ("an impression that nobody reported", |scene| scene.impressions.recorded += 1),
        ("an impression that counts twice", |scene| scene.impressions.counted += 1),
        ("an account that is off", |scene| scene.balances[1].amount_minor -= 1),
        ("a commission that cannot be derived again", |scene| scene.rederived.differing.push("order".to_owned())),
    ];
    for (what, spoil) in spoiled {
        assert!(!report(spoil).passes(), "{what}");
    }
}
