//! The registry against a real database.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use chrono::{Duration, SubsecRound};
use domain::{
    OperatorId,
    auth::Role,
    partner::{PartnerEdit, PartnerSecret, SecretPurpose, TermsValues, WebhookScheme},
    signature,
};
use rust_decimal::Decimal;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::*;

pub(super) const WHO: Principal = Principal::CommandLine;

pub(super) fn acme() -> PartnerId {
    "acme".parse().unwrap()
}

fn analyst() -> Principal {
    Principal::Operator { id: OperatorId(Uuid::nil()), email: "reader@example.com".to_owned(), role: Role::Analyst }
}

/// A folder with partner files that is removed with its contents.
struct Folder(PathBuf);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("orchestrator-partners-{:016x}", rand::random::<u64>()));
        std::fs::create_dir_all(&path).unwrap();
        for (name, text) in files {
            std::fs::write(path.join(name), text).unwrap();
        }
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const SUPABASE: &str = include_str!("../../../partners/supabase.toml");

fn acme_file() -> String {
    SUPABASE.replacen("id = \"supabase\"", "id = \"acme\"", 1)
}

/// An engine whose registry holds the partner `acme`.
pub(super) async fn engine_with_acme(db: PgPool) -> Engine {
    let engine = crate::testing::engine(db);
    import_files(&engine, &Folder::with(&[("acme.toml", &acme_file())]).0).await.unwrap();
    engine
}

pub(super) async fn audited(engine: &Engine, action: &str) -> Vec<serde_json::Value> {
    sqlx::query_scalar!("select detail from audit_entries where action = $1 order by happened_at, audit_entry_id", action)
        .fetch_all(&engine.db)
        .await
        .unwrap()
}

fn field(error: &Error) -> &str {
    match error {
        Error::Invalid { field, .. } => field,
        other => panic!("another error: {other}"),
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn the_partners_that_ship_are_imported_with_their_figures(db: PgPool) {
    let engine = crate::testing::engine(db);
    let report = import_files(&engine, Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../partners"))).await.unwrap();
    assert_eq!(report.to_string(), "partners imported: figma, railway, supabase; kept as they are in the database: none");

    let partners = list(&engine, &analyst()).await.unwrap();
    assert_eq!(partners.iter().map(|partner| partner.name.as_str()).collect::<Vec<_>>(), ["Figma", "Railway", "Supabase"]);
    assert!(partners.iter().all(|partner| partner.invalid().is_none()));
    assert_eq!(partners[2].engines, ["postgresql"]);

    let mut conn = engine.db.acquire().await.unwrap();
    let supabase = "supabase".parse().unwrap();
    let terms = terms_at(&mut conn, &supabase, "1970-01-01T00:00:00Z".parse().unwrap()).await.unwrap();
    assert_eq!((terms.version, terms.values.commission_rate.to_string().as_str()), (1, "0.2"));
    assert_eq!(audited(&engine, "partner.imported").await.len(), 3);
}

/// The files are read once; a registry that was filled before they said it learns it from the migration.
#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_registry_from_before_learns_which_databases_a_partner_hosts(db: PgPool) {
    let engine = crate::testing::engine(db.clone());
    import_files(&engine, Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../partners"))).await.unwrap();
    sqlx::query("update partners set engines = '{}'").execute(&db).await.unwrap();

    let migration = include_str!("../../../migrations/20261125040000_engines_of_partners.sql");
    let fill = migration.rsplit("\n\n").next().unwrap();
    sqlx::raw_sql(fill).execute(&db).await.unwrap();
    let partners = list(&engine, &analyst()).await.unwrap();
    let engines: Vec<usize> = partners.iter().map(|partner| partner.engines.len()).collect();
    assert_eq!(engines, [0, 0, 1]);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_second_import_leaves_the_database_as_it_is(db: PgPool) {
    let engine = engine_with_acme(db).await;
    let edit = PartnerEdit { description: Some("Edited".to_owned()), ..PartnerEdit::default() };
    update(&engine, &WHO, &acme(), edit).await.unwrap();

    let folder = Folder::with(&[("acme.toml", &acme_file()), ("supabase.toml", SUPABASE), ("README.md", "not a partner")]);
    let report = import_files(&engine, &folder.0).await.unwrap();
    assert_eq!(report, ImportReport { imported: vec!["supabase".parse().unwrap()], kept: vec![acme()] });
    assert_eq!(show(&engine, &WHO, &acme()).await.unwrap().description, "Edited");
    assert_eq!(list_terms(&engine, &WHO, &acme()).await.unwrap().len(), 1);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn one_bad_file_imports_nothing_and_all_errors_are_named(db: PgPool) {
    let engine = crate::testing::engine(db);
    let folder = Folder::with(&[
        ("acme.toml", &acme_file()),
        ("apex.toml", &acme_file()),
        ("broken.toml", "id = "),
        ("tier.toml", &acme_file().replacen("tier = 1", "tier = 9", 1).replacen("\"acme\"", "\"tier\"", 1)),
    ]);
    let Err(Error::Invalid { field, reason }) = import_files(&engine, &folder.0).await else { panic!("bad files were imported") };
    assert_eq!(field, "partners");
    let lines: Vec<&str> = reason.lines().collect();
    assert_eq!(lines.len(), 3, "{reason}");
    assert!(lines[0].starts_with("apex.toml: id: "), "{reason}");
    assert!(lines[1].starts_with("broken.toml: line 1: "), "{reason}");
    assert_eq!(lines[2], "tier.toml: tier: `9` must be 1, 2 or 3");
    assert!(list(&engine, &WHO).await.unwrap().is_empty());

    let error = import_files(&engine, Path::new("/nowhere/at/all")).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_edit_changes_what_it_names_and_is_audited_with_before_and_after(db: PgPool) {
    let engine = engine_with_acme(db).await;
    let edit = PartnerEdit { active: Some(false), description: Some("New words".to_owned()), ..PartnerEdit::default() };
    let after = update(&engine, &WHO, &acme(), edit.clone()).await.unwrap();
    assert_eq!((after.active, after.description.as_str(), after.name.as_str()), (false, "New words", "Supabase"));
    assert_eq!(show(&engine, &WHO, &acme()).await.unwrap(), after);
    assert!(list_active(&mut engine.db.acquire().await.unwrap()).await.unwrap().is_empty());

    update(&engine, &WHO, &acme(), edit).await.unwrap();
    let entries = audited(&engine, "partner.updated").await;
    assert_eq!(entries.len(), 1, "an edit that changes nothing writes nothing");
    assert_eq!((&entries[0]["before"]["active"], &entries[0]["after"]["active"]), (&json!(true), &json!(false)));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_bad_edit_names_its_key_and_changes_nothing(db: PgPool) {
    let engine = engine_with_acme(db).await;
    let before = show(&engine, &WHO, &acme()).await.unwrap();
    for (edit, key) in [
        (PartnerEdit { description: Some(" ".to_owned()), ..PartnerEdit::default() }, "description"),
        (PartnerEdit { tier: Some(4), ..PartnerEdit::default() }, "tier"),
        (PartnerEdit { homepage_url: Some("http://acme.example".to_owned()), ..PartnerEdit::default() }, "homepage_url"),
        (PartnerEdit { integration_methods: Some(Vec::new()), ..PartnerEdit::default() }, "integration_methods"),
    ] {
        assert_eq!(field(&update(&engine, &WHO, &acme(), edit).await.unwrap_err()), key);
    }
    assert_eq!(show(&engine, &WHO, &acme()).await.unwrap(), before);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn an_unknown_partner_is_not_found(db: PgPool) {
    let engine = engine_with_acme(db).await;
    let other: PartnerId = "other".parse().unwrap();
    let terms = list_terms(&engine, &WHO, &acme()).await.unwrap()[0].values.clone();
    for error in [
        show(&engine, &WHO, &other).await.unwrap_err(),
        update(&engine, &WHO, &other, PartnerEdit::default()).await.unwrap_err(),
        add_terms(&engine, &WHO, &other, terms, None, engine.now()).await.unwrap_err(),
        set_secret(&engine, &WHO, &other, SecretPurpose::Webhook, None).await.unwrap_err(),
        revoke_secret(&engine, &WHO, &acme(), engine.new_id()).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
    assert!(active_secrets(&engine, &other, SecretPurpose::Webhook).await.unwrap().is_empty());
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn analysts_read_and_others_see_nothing(db: PgPool) {
    let engine = engine_with_acme(db).await;
    let terms = list_terms(&engine, &analyst(), &acme()).await.unwrap()[0].values.clone();
    for error in [
        update(&engine, &analyst(), &acme(), PartnerEdit::default()).await.unwrap_err(),
        add_terms(&engine, &analyst(), &acme(), terms, None, engine.now()).await.unwrap_err(),
        set_secret(&engine, &analyst(), &acme(), SecretPurpose::Webhook, None).await.unwrap_err(),
        revoke_secret(&engine, &analyst(), &acme(), engine.new_id()).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Forbidden(_)), "{error}");
    }
    for error in [
        list(&engine, &Principal::Anonymous).await.unwrap_err(),
        show(&engine, &Principal::Anonymous, &acme()).await.unwrap_err(),
        list_terms(&engine, &Principal::Anonymous, &acme()).await.unwrap_err(),
        list_secrets(&engine, &Principal::Anonymous, &acme()).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Unauthenticated), "{error}");
    }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn new_terms_leave_what_happened_before_them_alone(db: PgPool) {
    let engine = engine_with_acme(db).await;
    let first = list_terms(&engine, &WHO, &acme()).await.unwrap().remove(0);
    let raised = TermsValues { commission_rate: Decimal::new(225, 3), ..first.values.clone() };
    let from = engine.now() + Duration::days(1);
    let second = add_terms(&engine, &WHO, &acme(), raised.clone(), None, from).await.unwrap();
    assert_eq!((second.version, second.effective_from), (2, from));

    let mut conn = engine.db.acquire().await.unwrap();
    assert_eq!(terms_at(&mut conn, &acme(), from - Duration::microseconds(1)).await.unwrap(), first);
    assert_eq!(terms_at(&mut conn, &acme(), from).await.unwrap(), second);
    assert_eq!(list_terms(&engine, &WHO, &acme()).await.unwrap(), [second, first]);
    let entries = audited(&engine, "partner.terms_added").await;
    assert_eq!((&entries[0]["before"]["commission_rate"], &entries[0]["after"]["commission_rate"]), (&json!("0.2"), &json!("0.225")));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn terms_cannot_start_in_the_past_or_before_the_last_version(db: PgPool) {
    let engine = engine_with_acme(db).await;
    let values = list_terms(&engine, &WHO, &acme()).await.unwrap().remove(0).values;
    let now = engine.now();
    let id = acme();
    let add = |from| add_terms(&engine, &WHO, &id, values.clone(), None, from);
    assert_eq!(field(&add(now - Duration::hours(1)).await.unwrap_err()), "effective_from");

    let sent_just_now = add(now - Duration::seconds(5)).await.unwrap();
    let soonest = now + Duration::minutes(6);
    assert!(sent_just_now.effective_from >= soonest.trunc_subsecs(6), "a form that took a moment counts as now, and now is too soon");

    let next_week = now + Duration::days(7);
    add(next_week).await.unwrap();
    for too_early in [next_week, now + Duration::days(6)] {
        assert_eq!(field(&add(too_early).await.unwrap_err()), "effective_from");
    }
    let bad = TermsValues { commission_rate: Decimal::TWO, ..values.clone() };
    assert_eq!(field(&add_terms(&engine, &WHO, &acme(), bad, None, next_week + Duration::days(1)).await.unwrap_err()), "commission_rate");
    assert_eq!(list_terms(&engine, &WHO, &acme()).await.unwrap().len(), 3);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn versions_of_terms_that_are_added_at_once_are_numbered_in_turn(db: PgPool) {
    let engine = engine_with_acme(db).await;
    let values = list_terms(&engine, &WHO, &acme()).await.unwrap().remove(0).values;
    let from = engine.now() + Duration::days(1);
    let id = acme();
    let all = futures::future::join_all((0..4).map(|_| add_terms(&engine, &WHO, &id, values.clone(), None, from))).await;
    assert_eq!(all.iter().filter(|added| added.is_ok()).count(), 1, "the same time can be taken once");
    assert!(all.iter().filter_map(|added| added.as_ref().err()).all(|error| field(error) == "effective_from"));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_secret_is_sealed_and_only_its_hint_is_listed(db: PgPool) {
    let engine = engine_with_acme(db).await;
    let plain = set_secret(&engine, &WHO, &acme(), SecretPurpose::Webhook, None).await.unwrap();
    assert_eq!(signature::check_secret(WebhookScheme::StandardWebhooks, &plain), Ok(()));
    assert_eq!(active_secrets(&engine, &acme(), SecretPurpose::Webhook).await.unwrap(), std::slice::from_ref(&plain));
    assert!(active_secrets(&engine, &acme(), SecretPurpose::Postback).await.unwrap().is_empty());

    let listed = list_secrets(&engine, &analyst(), &acme()).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].hint.chars().count() == 5 && plain.contains(listed[0].hint.trim_start_matches('…')));

    let sealed = sqlx::query_scalar!("select sealed from partner_secrets").fetch_one(&engine.db).await.unwrap();
    assert!(!sealed.windows(8).any(|window| plain.as_bytes().windows(8).any(|part| part == window)), "the plain secret is not in the row");
    let trail = serde_json::to_string(&audited(&engine, "partner.secret_set").await).unwrap();
    assert!(!trail.contains(&plain[6..]), "nor in the audit log");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn two_secrets_are_active_and_a_third_waits_until_one_is_revoked(db: PgPool) {
    let engine = engine_with_acme(db).await;
    let id = acme();
    let set = || set_secret(&engine, &WHO, &id, SecretPurpose::Postback, None);
    let first = set().await.unwrap();
    engine.clock.advance(Duration::seconds(1));
    let second = set().await.unwrap();
    assert_eq!(active_secrets(&engine, &id, SecretPurpose::Postback).await.unwrap(), [second.clone(), first.clone()]);

    let refused = set().await.unwrap_err();
    assert!(matches!(refused, Error::Conflict(_)), "{refused}");
    set_secret(&engine, &WHO, &id, SecretPurpose::Webhook, None).await.unwrap();
    assert_eq!(
        active_secrets(&engine, &id, SecretPurpose::Postback).await.unwrap(),
        [second.clone(), first],
        "what the partner signs with is never ended by a new one"
    );

    let listed = list_secrets(&engine, &WHO, &id).await.unwrap();
    let oldest = listed.iter().rfind(|secret| secret.purpose == SecretPurpose::Postback).unwrap();
    revoke_secret(&engine, &WHO, &id, oldest.partner_secret_id).await.unwrap();
    let third = set().await.unwrap();
    let mut active = active_secrets(&engine, &id, SecretPurpose::Postback).await.unwrap();
    active.retain(|secret| *secret != second);
    assert_eq!(active, [third], "a change is seen at once");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn secrets_that_are_made_at_once_are_two_at_most(db: PgPool) {
    let engine = engine_with_acme(db).await;
    let id = acme();
    let all = futures::future::join_all((0..4).map(|_| set_secret(&engine, &WHO, &id, SecretPurpose::Webhook, None))).await;
    assert_eq!(all.iter().filter(|made| made.is_ok()).count(), 2);
    assert_eq!(active_secrets(&engine, &id, SecretPurpose::Webhook).await.unwrap().len(), 2);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_revoked_secret_is_refused_at_once(db: PgPool) {
    let engine = engine_with_acme(db).await;
    set_secret(&engine, &WHO, &acme(), SecretPurpose::Webhook, Some("a-plain-signing-secret".to_owned())).await.unwrap();
    assert_eq!(active_secrets(&engine, &acme(), SecretPurpose::Webhook).await.unwrap(), ["a-plain-signing-secret"]);

    let listed: Vec<PartnerSecret> = list_secrets(&engine, &WHO, &acme()).await.unwrap();
    revoke_secret(&engine, &WHO, &acme(), listed[0].partner_secret_id).await.unwrap();
    assert!(active_secrets(&engine, &acme(), SecretPurpose::Webhook).await.unwrap().is_empty());
    revoke_secret(&engine, &WHO, &acme(), listed[0].partner_secret_id).await.unwrap();
    assert_eq!(audited(&engine, "partner.secret_revoked").await.len(), 1, "a second call changes nothing");
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_secret_that_could_be_guessed_or_not_serve_is_refused(db: PgPool) {
    let engine = engine_with_acme(db).await;
    for wrong in ["", "short", "with a blank in it", "with-a-line-break\n", "whsec_", "whsec_not-base64-at-all", &"x".repeat(513)] {
        let error = set_secret(&engine, &WHO, &acme(), SecretPurpose::Webhook, Some(wrong.to_owned())).await.unwrap_err();
        assert_eq!(field(&error), "secret", "{wrong:?}");
        assert!(wrong.is_empty() || !error.to_string().contains(wrong), "the error does not repeat the secret");
    }
    assert!(list_secrets(&engine, &WHO, &acme()).await.unwrap().is_empty());
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_secret_moved_to_another_row_does_not_open(db: PgPool) {
    let engine = engine_with_acme(db).await;
    set_secret(&engine, &WHO, &acme(), SecretPurpose::Webhook, None).await.unwrap();
    sqlx::query!("update partner_secrets set purpose = 'postback'").execute(&engine.db).await.unwrap();
    let error = active_secrets(&engine, &acme(), SecretPurpose::Postback).await.unwrap_err();
    assert!(matches!(error, Error::Internal(_)), "{error}");
}
