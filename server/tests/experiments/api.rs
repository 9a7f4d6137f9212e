//! The life of a test by the API, and what it refuses.

use serde_json::{Value, json};

use crate::support::{Client, add_site, button_test, serve, with_place};

const TESTS: &str = "/api/v1/experiments";

/// The design of an answer, changed.
fn changed(answer: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let mut design = answer["design"].clone();
    change(&mut design);
    design
}

#[test]
fn a_test_is_led_through_its_life_by_the_api() {
    with_place("experiments-api", async |place, engine| {
        let (_server, api) = serve(place, engine).await;
        let site_id = add_site(engine).await;

        let created = api.post(TESTS, &button_test("button", "visitor")).await;
        assert_eq!((created.status, &created.body["status"], &created.body["phase"]), (201, &json!("draft"), &Value::Null));
        assert_eq!(created.body["owner"], "api token the tests");
        assert_eq!(created.body["steps"], json!(["start", "archive"]));
        let named = api.post(TESTS, &changed(&created.body, |design| design["name"] = json!("Which Words? Ours!"))).await;
        assert_eq!((named.status, &named.body["key"]), (201, &json!("which-words-ours")), "a key is made of the name");
        let path = format!("{TESTS}/button");
        assert_eq!(api.get(&path).await.body, created.body);

        let draft = api.put(&path, &changed(&created.body, |design| design["hypothesis"] = json!("It is shorter."))).await;
        assert_eq!(
            (draft.status, &draft.body["edit"], &draft.body["moves"]),
            (200, &Value::Null, &Value::Null),
            "nobody takes part in a draft"
        );
        let growthbook = format!("{path}/growthbook");
        assert_eq!(api.get(&growthbook).await.status, 409, "a draft has no seed");

        let running = api.step("button", "start").await;
        assert_eq!(
            (&running["status"], &running["phase"]["number"], &running["steps"]),
            (&json!("running"), &json!(1), &json!(["pause", "stop"]))
        );
        assert_eq!(running["design"]["hypothesis"], "It is shorter.");
        edits_of_a_running_test(&api, &path, &running).await;

        let visitor = "visitor-0123456789";
        let shown = api.offers(site_id, &format!("visitor={visitor}")).await;
        let told = api.get(&format!("{TESTS}/assignments?site={site_id}&visitor={visitor}")).await;
        let assignment = &told.body["assignments"][0];
        assert_eq!((&assignment["experiment"], &assignment["reason"]), (&json!("button"), &json!("assigned")), "{told:?}");
        assert_eq!(shown.body["variants"], json!([{ "experiment": "button", "variant": assignment["variant"] }]));
        assert!(assignment["bucket"].is_number() && assignment["holdoutBucket"].is_null(), "only what was asked for: {told:?}");
        let nobody = api.get(&format!("{TESTS}/assignments?site={site_id}")).await;
        assert_eq!(nobody.body["assignments"][0]["reason"], "no_unit");

        let rule = api.get(&growthbook).await;
        assert_eq!((&rule.body["hashVersion"], &rule.body["seed"]), (&json!(2), &json!("button:2")), "{rule:?}");

        api.step("button", "pause").await;
        assert_eq!(api.offers(site_id, &format!("visitor={visitor}")).await.body["variants"], json!([]));
        api.step("button", "resume").await;
        assert_eq!(api.step("button", "stop").await["steps"], json!(["archive"]));
        let again = api.post(&format!("{path}/start"), &json!({})).await;
        assert_eq!((again.status, &again.body["code"]), (409, &json!("conflict")));
        assert!(again.body["detail"].as_str().is_some_and(|detail| detail.contains("stopped cannot be started")), "{again:?}");
        api.step("button", "archive").await;
        let keys = async |query: &str| {
            let listed = api.get(&format!("{TESTS}?{query}")).await;
            let tests = listed.body["experiments"].as_array().expect("a list").clone();
            tests.into_iter().map(|test| test["key"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(keys("").await, ["which-words-ours"], "without the archived");
        assert_eq!(keys("status=archived&kind=cta&search=button").await, ["button"]);
        assert_eq!(keys("kind=positioning").await, [""; 0]);
    });
}

/// From phase 1 to phase 2.
async fn edits_of_a_running_test(api: &Client, path: &str, running: &Value) {
    let less = changed(running, |design| design["trafficAllocation"] = json!(0.5));
    let dry = api.put(&format!("{path}?dryRun=true"), &less).await;
    assert_eq!((dry.status, &dry.body["edit"]), (200, &json!("new_phase")), "{dry:?}");
    let close = |value: &Value, expected: f64| value.as_f64().is_some_and(|value| (value - expected).abs() < 0.01);
    assert!(close(&dry.body["moves"]["left"], 0.5) && close(&dry.body["moves"]["moved"], 0.25), "{dry:?}");
    assert_eq!(api.get(path).await.body["design"]["trafficAllocation"], json!(1.0), "nothing was changed");

    let refused = api.put(path, &less).await;
    assert_eq!(refused.status, 409);
    assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains("new phase")), "{refused:?}");
    let second = api.put(&format!("{path}?confirmNewPhase=true"), &less).await;
    assert_eq!((second.status, &second.body["experiment"]["phase"]["number"]), (200, &json!(2)), "{second:?}");

    let more = api.put(path, &changed(running, |design| design["trafficAllocation"] = json!(1.0))).await;
    assert_eq!((more.status, &more.body["edit"], &more.body["experiment"]["phase"]["number"]), (200, &json!("more_traffic"), &json!(2)));
    assert!(close(&more.body["moves"]["moved"], 0.0) && close(&more.body["moves"]["joined"], 0.5), "{more:?}");
}

#[test]
fn what_is_wrong_is_named_and_changes_nothing() {
    with_place("experiments-refusals", async |place, engine| {
        let (_server, api) = serve(place, engine).await;
        let design = |change: &dyn Fn(&mut Value)| {
            let mut design = button_test("button", "visitor");
            change(&mut design);
            design
        };
        for (field, change) in [
            ("key", (|design| design["key"] = json!("No Key")) as fn(&mut Value)),
            ("key", |design| design["key"] = json!("holdout")),
            ("key", |design| design["key"] = json!(7)),
            ("name", |design| design["name"] = json!(" ")),
            ("kind", |design| design["kind"] = json!("weather")),
            ("variants", |design| design["variants"] = json!([])),
            ("variants.1.weight", |design| {
                design["variants"][0]["weight"] = json!(1);
                design["variants"][1]["weight"] = json!(0);
            }),
            ("variants.1.weight", |design| design["variants"][1]["weight"] = json!("half")),
            ("variants.1.key", |design| design["variants"][1]["key"] = json!("control")),
            ("variants.1.payload", |design| design["variants"][1]["payload"] = json!({ "type": "positioning", "text": "A" })),
            ("variants.1.payload", |design| design["variants"][1]["payload"]["text"] = json!("")),
            ("trafficAllocation", |design| design["trafficAllocation"] = json!(1.5)),
            ("primaryMetric", |design| design["primaryMetric"] = json!("luck")),
            ("plan.plannedUnits", |design| design["plan"] = json!({ "plannedUnits": 3 })),
            ("exclusionGroup", |design| design["exclusionGroup"] = json!({ "name": "a", "start": 0.5, "end": 0.5 })),
            ("hypotesis", |design| design["hypotesis"] = json!("Mistyped")),
        ] {
            let refused = api.post(TESTS, &design(&change)).await;
            assert_eq!(refused.refusal(), (422, field), "{refused:?}");
        }
        assert_eq!(api.get(TESTS).await.body, json!({ "experiments": [] }));

        assert_eq!(api.send("POST", TESTS, &[("content-type", "application/json")], None).await.status, 400);
        let large = json!({ "name": "x".repeat(70_000) });
        assert_eq!(api.post(TESTS, &large).await.status, 413);
        assert_eq!(api.get(&format!("{TESTS}?status=lost")).await.refusal(), (422, "query"));
        assert_eq!(api.get(&format!("{TESTS}/nothing")).await.status, 404);
        assert_eq!(api.put(&format!("{TESTS}/nothing"), &button_test("a", "site")).await.refusal(), (422, "key"), "a key does not change");
        assert_eq!(api.post(&format!("{TESTS}/nothing/start"), &json!({})).await.status, 404);

        assert_eq!(api.post(TESTS, &button_test("button", "visitor")).await.status, 201);
        assert_eq!(api.post(TESTS, &button_test("button", "visitor")).await.status, 409, "the key is taken");
        assert_eq!(api.post(&format!("{TESTS}/button/explode"), &json!({})).await.status, 404);
        assert_eq!(api.post(&format!("{TESTS}/button/ship"), &json!({})).await.refusal(), (422, "variant"));
        assert_eq!(
            api.post(&format!("{TESTS}/button/ship"), &json!({ "variant": "short" })).await.status,
            409,
            "a draft has nothing to ship"
        );
        assert_eq!(api.put(&format!("{TESTS}/holdout"), &json!({ "share": 0.9 })).await.refusal(), (422, "share"));
        assert_eq!(api.put(&format!("{TESTS}/holdout"), &json!({ "share": 0.1 })).await.status, 200);
        assert_eq!(api.get(&format!("{TESTS}/holdout")).await.body, json!({ "share": 0.1 }));
        assert_eq!(api.get(&format!("{TESTS}/assignments?site=nowhere")).await.refusal(), (422, "site"));
        let unknown = format!("{TESTS}/assignments?site=00000000-0000-0000-0000-000000000000");
        assert_eq!(api.get(&unknown).await.status, 404);
        assert_eq!(api.get(&format!("{unknown}&visitor=short")).await.refusal(), (422, "visitor"));
    });
}

#[test]
fn who_may_only_read_changes_nothing_and_strangers_see_nothing() {
    with_place("experiments-scopes", async |place, engine| {
        let (_server, api) = serve(place, engine).await;
        assert_eq!(api.post(TESTS, &button_test("button", "visitor")).await.status, 201);
        let address = api.address();
        let stranger = Client::anonymous(&address);
        let other = Client::machine(engine, &address, &["sites:write"]).await;
        let reader = Client::machine(engine, &address, &["experiments:read"]).await;
        let reads = [TESTS.to_owned(), format!("{TESTS}/button"), format!("{TESTS}/holdout")];
        let changes = [
            ("POST", TESTS.to_owned(), button_test("another", "visitor")),
            ("PUT", format!("{TESTS}/button"), api.get(&reads[1]).await.body["design"].clone()),
            ("PUT", format!("{TESTS}/holdout"), json!({ "share": 0.1 })),
            ("POST", format!("{TESTS}/button/start"), json!({})),
            ("POST", format!("{TESTS}/button/ship"), json!({ "variant": "short" })),
        ];
        for (who, read, change) in [(&stranger, 401, 401), (&other, 403, 403), (&reader, 200, 403)] {
            for path in &reads {
                assert_eq!(who.get(path).await.status, read, "{path}");
            }
            for (method, path, body) in &changes {
                let refused = who.send(method, path, &[], Some(body)).await;
                assert_eq!(refused.status, change, "{method} {path}: {refused:?}");
            }
        }
        assert_eq!(api.get(&format!("{TESTS}/button")).await.body["status"], "draft");
    });
}
