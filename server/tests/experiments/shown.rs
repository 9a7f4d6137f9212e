//! What visitors are shown: with and without a wish not to be tracked, in a preview, and once a test is decided.

use domain::SiteId;
use engine::Engine;
use serde_json::json;

use crate::support::{Client, TEXTS, add_site, button_test, count, serve, with_place};

const TESTS: &str = "/api/v1/experiments";
const VISITOR: &str = "visitor=0123456789abcdef";

/// Reports that Supabase's offer was seen.
async fn see(visitor: &Client, recommendation: &serde_json::Value) {
    let report = json!({ "recommendationId": recommendation["recommendationId"], "partnerIds": ["supabase"] });
    assert_eq!(visitor.post("/api/v1/impressions", &report).await.status, 204);
}

async fn exposures(engine: &Engine) -> i64 {
    count(engine, "select count(*) from experiment_exposures").await
}

#[test]
fn who_asks_not_to_be_tracked_is_in_no_test_that_deals_by_visitor() {
    with_place("experiments-private", async |place, engine| {
        let (_server, api) = serve(place, engine).await;
        let site_id = add_site(engine).await;
        let visitor = Client::anonymous(&api.address());
        let plain = visitor.offers(site_id, VISITOR).await.button().to_owned();
        assert!(!TEXTS.contains(&plain.as_str()));
        assert_eq!(visitor.offers(site_id, VISITOR).await.body["keepsVisitor"], json!(false), "no test needs the id");
        api.start(&button_test("button", "visitor")).await;

        let open = visitor.offers(site_id, VISITOR).await;
        assert!(TEXTS.contains(&open.button()) && open.body["keepsVisitor"] == true, "{open:?}");
        assert_eq!(open.body.get("variants"), None, "only our people see which test it is");
        for header in ["dnt", "sec-gpc"] {
            let path = format!("/api/v1/sites/{site_id}/recommendations?{VISITOR}");
            let private = visitor.send("GET", &path, &[(header, "1")], None).await;
            assert_eq!((private.button(), &private.body["keepsVisitor"]), (plain.as_str(), &json!(false)), "{header}");
            see(&visitor, &private.body).await;
        }
        let unknown = visitor.offers(site_id, "").await;
        assert_eq!((unknown.button(), &unknown.body["keepsVisitor"]), (plain.as_str(), &json!(true)), "without an id there is no variant");
        see(&visitor, &unknown.body).await;
        assert_eq!(exposures(engine).await, 0);
        assert_eq!(visitor.offers(site_id, "visitor=short").await.refusal(), (422, "visitor"));

        see(&visitor, &open.body).await;
        see(&visitor, &visitor.offers(site_id, VISITOR).await.body).await;
        assert_eq!(exposures(engine).await, 1, "a unit is exposed once");
    });
}

#[test]
fn a_preview_shows_a_variant_and_counts_nothing() {
    with_place("experiments-preview", async |place, engine| {
        let (_server, api) = serve(place, engine).await;
        let site_id = add_site(engine).await;
        let visitor = Client::anonymous(&api.address());
        assert_eq!(api.post(TESTS, &button_test("button", "site")).await.status, 201);
        let draft = visitor.offers(site_id, "p4s_variant=button:short").await;
        assert_eq!(draft.refusal(), (422, "p4s_variant"), "a draft is not for everybody");
        api.step("button", "start").await;
        for (variant, text) in ["control", "short"].into_iter().zip(TEXTS) {
            let shown = visitor.offers(site_id, &format!("{VISITOR}&p4s_variant=button:{variant}")).await;
            assert_eq!(shown.button(), text);
            see(&visitor, &shown.body).await;
        }
        assert_eq!(exposures(engine).await, 0);
        assert_eq!(count(engine, "select count(*) from recommendations where experiments is not null").await, 0);
        for wrong in ["button:loud", "nothing:short", "button"] {
            assert_eq!(visitor.offers(site_id, &format!("p4s_variant={wrong}")).await.refusal(), (422, "p4s_variant"), "{wrong}");
        }
        see(&visitor, &visitor.offers(site_id, "").await.body).await;
        assert_eq!(exposures(engine).await, 1, "the site itself takes part");
    });
}

#[test]
fn what_is_shipped_is_shown_next_and_stands_in_the_audit_log() {
    with_place("experiments-ship", async |place, engine| {
        let (_first, api) = serve(place, engine).await;
        let (_second, elsewhere) = serve(place, engine).await;
        let site_id = add_site(engine).await;
        api.start(&button_test("button", "visitor")).await;
        assert!(TEXTS.contains(&elsewhere.offers(site_id, VISITOR).await.button()));
        let ship = |variant: &str| json!({ "variant": variant });
        let path = format!("{TESTS}/button/ship");
        assert_eq!(api.post(&path, &ship("loud")).await.refusal(), (422, "variant"));
        assert_eq!(api.get(&format!("{TESTS}/button")).await.body["status"], "running", "a refusal stops nothing");

        let shipped = api.post(&path, &ship("short")).await;
        assert_eq!((&shipped.body["status"], &shipped.body["shippedVariant"]), (&json!("stopped"), &json!("short")), "{shipped:?}");
        for (client, query) in [(&api, VISITOR), (&elsewhere, VISITOR), (&elsewhere, "")] {
            let next = client.offers(site_id, query).await;
            assert_eq!((next.button(), &next.body["variants"]), ("Go", &json!([])));
        }
        let entry: (String, String, serde_json::Value) =
            sqlx::query_as("select actor, subject, detail from audit_entries where action = 'experiment.shipped'")
                .fetch_one(&engine.db)
                .await
                .expect("one entry");
        assert_eq!((entry.0.as_str(), entry.1.as_str()), ("api token the tests", "experiment button"));
        assert_eq!((&entry.2["variant"], &entry.2["payload"]["text"]), (&json!("short"), &json!("Go")));
    });
}

#[test]
fn two_tests_that_would_change_the_same_are_not_run_at_once() {
    with_place("experiments-collision", async |place, engine| {
        let (_server, api) = serve(place, engine).await;
        let site_id = add_site(engine).await;
        api.start(&button_test("first", "visitor")).await;
        let rival = |key: &str, group: serde_json::Value| {
            let mut design = button_test(key, "visitor");
            design["exclusionGroup"] = group;
            design
        };
        let second = rival("second", json!(null));
        assert_eq!(api.post(TESTS, &second).await.status, 201);
        let refused = api.post(&format!("{TESTS}/second/start"), &json!({})).await;
        assert_eq!(refused.status, 409, "{refused:?}");
        assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains("`first`")), "{refused:?}");
        api.step("first", "stop").await;

        api.step("second", "start").await;
        api.step("second", "stop").await;
        api.start(&rival("left", json!({ "name": "buttons", "start": 0.0, "end": 0.5 }))).await;
        api.start(&rival("right", json!({ "name": "buttons", "start": 0.5, "end": 1.0 }))).await;
        assert_eq!(tests_of_many(&api, site_id).await, (true, true), "each has some, none has both");
    });
}

/// Whether the tests `left` and `right` have some of 40 visitors; nobody may be in both.
async fn tests_of_many(api: &Client, site_id: SiteId) -> (bool, bool) {
    let mut has = (false, false);
    for number in 0..40 {
        let shown = api.offers(site_id, &format!("visitor=somebody-{number:016}")).await;
        let variants = shown.body["variants"].as_array().expect("a list").clone();
        assert_eq!(variants.len(), 1, "{shown:?}");
        has.0 |= variants[0]["experiment"] == "left";
        has.1 |= variants[0]["experiment"] == "right";
    }
    has
}

#[test]
fn a_place_that_has_its_own_layout_is_in_no_test_of_it() {
    with_place("experiments-layout", async |place, engine| {
        let (_server, api) = serve(place, engine).await;
        let site_id = add_site(engine).await;
        let visitor = Client::anonymous(&api.address());
        let variant = |key: &str, payload| json!({ "key": key, "name": key, "weight": 0.5, "payload": payload });
        api.start(&json!({
            "key": "layout",
            "name": "Layout",
            "kind": "widget_layout",
            "unit": "site",
            "variants": [
                variant("cards", json!({ "type": "widget_layout", "layout": "cards" })),
                variant("compact", json!({ "type": "widget_layout", "layout": "compact" })),
            ],
            "primaryMetric": "click_rate",
            "currency": "USD",
        }))
        .await;

        let browser = [("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")];
        let frame = visitor.send("GET", &format!("/embed/{site_id}"), &browser, None).await;
        assert!(frame.status == 200 && count(engine, "select count(*) from impressions").await > 0, "{frame:?}");
        let fixed = visitor.offers(site_id, "layout=fixed").await;
        assert_eq!(fixed.body.get("layout"), None);
        see(&visitor, &fixed.body).await;
        assert_eq!(exposures(engine).await, 0, "a frame and such a page look alike in every variant");
        assert_eq!(visitor.offers(site_id, "layout=compact").await.refusal(), (422, "layout"));

        let open = visitor.offers(site_id, "").await;
        assert!(["cards", "compact"].map(|layout| json!(layout)).contains(&open.body["layout"]), "{open:?}");
        see(&visitor, &open.body).await;
        assert_eq!(exposures(engine).await, 1);
    });
}
