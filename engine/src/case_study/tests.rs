//! Case studies on a real database.

use domain::{
    CaseStudyId, DeveloperId,
    auth::{Principal, Role},
    case_study::{to_html, to_markdown},
};
use sqlx::PgPool;
use uuid::Uuid;

use super::{State, Texts, draft, edit, eligible, export, find, list, publish, record_consent, rewrite, withdraw};
use crate::{
    Error, Result,
    success::tests::{It, it, operator},
};

const WHO: Principal = Principal::CommandLine;

/// With three verified successes of the first developer, a value, and a sale.
async fn with_successes(db: PgPool) -> It {
    let it = it(db).await;
    it.sell("ord_1").await;
    let mut event = it.success("s_1", "project_created");
    event["data"]["amount"] = "1500.00".into();
    event["data"]["currency"] = "USD".into();
    it.submitted(&event).await;
    it.submitted(&it.success("s_2", "first_table_created")).await;
    let id = it.submitted(&it.deployment("s_3")).await.success_event_id;
    assert_eq!(eligible(&it.engine, &WHO).await.unwrap(), [], "one is not verified yet");
    it.verify(id).await;
    it
}

impl It {
    fn developer(&self) -> DeveloperId {
        self.links[0].developer_id
    }

    async fn drafted(&self) -> CaseStudyId {
        draft(&self.engine, &WHO, &self.partner_id, self.developer()).await.unwrap()
    }

    async fn study_state(&self, id: CaseStudyId) -> State {
        find(&self.engine, &WHO, id).await.unwrap().listed.state
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result {
        Err(Error::Conflict(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn texts(title: &str) -> Texts {
    Texts { title: title.to_owned(), summary: "In short.".to_owned(), story: "First.\r\n\r\nSecond.".to_owned() }
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn a_draft_tells_the_real_figures_and_where_they_come_from(db: PgPool) {
    let it = with_successes(db).await;
    let candidate = eligible(&it.engine, &WHO).await.unwrap().remove(0);
    assert_eq!((candidate.developer_id, candidate.successes, candidate.consented_at), (it.developer(), 3, None));
    let id = it.drafted().await;
    assert_eq!(it.drafted().await, id, "a second draft is the first one");
    assert_eq!(eligible(&it.engine, &WHO).await.unwrap(), []);
    let study = find(&it.engine, &WHO, id).await.unwrap().case_study;
    assert_eq!(study.developer_name, format!("Developer {}", it.links[0].developer_hash));
    let figures: Vec<_> = study.draft.figures.iter().map(|figure| (figure.label.as_str(), figure.value.as_str(), figure.n)).collect();
    assert_eq!(
        figures,
        [
            ("Verified successes", "3", 3),
            ("Value created (USD)", "$1,500.00", 1),
            ("Value of conversions (USD)", "$100.00", 1),
            ("Time to first success", "less than a day", 1)
        ]
    );
    assert!(study.draft.figures.iter().all(|figure| figure.source.contains("success_event") || figure.source.contains("conversions")));
    assert_eq!(study.draft.timeline.len(), 4);
    assert!(!study.draft.story.contains("user-1"));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn too_few_successes_make_no_case_study(db: PgPool) {
    let it = with_successes(db).await;
    let other = draft(&it.engine, &WHO, &it.partner_id, it.links[1].developer_id).await;
    assert_eq!(refused(other), "a case study takes 3 verified successes with `supabase` within 90 days");
    it.engine.clock.advance(chrono::TimeDelta::days(91));
    assert!(draft(&it.engine, &WHO, &it.partner_id, it.developer()).await.is_err());
    assert_eq!(eligible(&it.engine, &WHO).await.unwrap(), []);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn nothing_is_published_without_consent(db: PgPool) {
    let it = with_successes(db).await;
    let id = it.drafted().await;
    let words = refused(publish(&it.engine, &WHO, id).await);
    assert!(words.ends_with("has not consented to be written about: record the consent first"), "{words}");
    assert!(refused(export(&it.engine, &WHO, id).await).contains("not published"));

    let without_words = record_consent(&it.engine, &WHO, it.developer(), true, " ").await;
    assert!(matches!(without_words, Err(Error::Invalid { field, .. }) if field == "how"));
    record_consent(&it.engine, &WHO, it.developer(), true, "letter of 22 November").await.unwrap();
    publish(&it.engine, &WHO, id).await.unwrap();
    publish(&it.engine, &WHO, id).await.unwrap();
    let exported = export(&it.engine, &WHO, id).await.unwrap();
    assert!(to_html(&exported).contains("$1,500.00") && to_markdown(&exported).contains("## Timeline"));

    record_consent(&it.engine, &WHO, it.developer(), false, "letter of 23 November").await.unwrap();
    assert_eq!(it.study_state(id).await, State::Withdrawn);
    refused(publish(&it.engine, &WHO, id).await);
    refused(export(&it.engine, &WHO, id).await);
    let actions: Vec<String> =
        sqlx::query_scalar("select action from audit_entries where action ~ '^(case_study|developer)' order by audit_entry_id")
            .fetch_all(&it.engine.db)
            .await
            .unwrap();
    assert_eq!(actions, ["case_study.drafted", "developer.consented", "case_study.published", "developer.consent_withdrawn"]);
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn texts_are_edited_and_written_anew_while_they_are_not_published(db: PgPool) {
    let it = with_successes(db).await;
    let id = it.drafted().await;
    for (field, wrong) in [
        ("title", texts(" ")),
        ("title", texts(&"x".repeat(201))),
        ("summary", Texts { summary: "\0".to_owned(), ..texts("A") }),
        ("story", Texts { story: String::new(), ..texts("A") }),
    ] {
        assert!(matches!(edit(&it.engine, &WHO, id, wrong).await, Err(Error::Invalid { field: named, .. }) if named == field));
    }
    edit(&it.engine, &WHO, id, texts("A title of ours")).await.unwrap();
    let edited = find(&it.engine, &WHO, id).await.unwrap().case_study.draft;
    assert_eq!((edited.title.as_str(), edited.story.as_str(), edited.figures.len()), ("A title of ours", "First.\n\nSecond.", 4));

    record_consent(&it.engine, &WHO, it.developer(), true, "letter").await.unwrap();
    refused(withdraw(&it.engine, &WHO, id).await);
    publish(&it.engine, &WHO, id).await.unwrap();
    assert_eq!(refused(edit(&it.engine, &WHO, id, texts("B")).await), "the case study is published: withdraw it to edit it");
    refused(rewrite(&it.engine, &WHO, id).await);
    withdraw(&it.engine, &WHO, id).await.unwrap();
    withdraw(&it.engine, &WHO, id).await.unwrap();
    rewrite(&it.engine, &WHO, id).await.unwrap();
    let listed = list(&it.engine, &WHO).await.unwrap().remove(0);
    assert_eq!((listed.state, listed.title.ends_with("3 verified milestones")), (State::Withdrawn, true));
}

#[sqlx::test(migrator = "crate::MIGRATOR")]
async fn analysts_read_and_change_nothing(db: PgPool) {
    let it = with_successes(db).await;
    let id = it.drafted().await;
    let who = operator(Role::Analyst);
    assert!(find(&it.engine, &who, id).await.is_ok());
    for result in [
        draft(&it.engine, &who, &it.partner_id, it.developer()).await.map(|_| ()),
        edit(&it.engine, &who, id, texts("A")).await,
        rewrite(&it.engine, &who, id).await,
        publish(&it.engine, &who, id).await,
        withdraw(&it.engine, &who, id).await,
        record_consent(&it.engine, &who, it.developer(), true, "letter").await,
    ] {
        assert!(matches!(result, Err(Error::Forbidden(_))));
    }
    assert!(matches!(list(&it.engine, &Principal::Anonymous).await, Err(Error::Unauthenticated)));
    let unknown = CaseStudyId(Uuid::nil());
    assert!(matches!(publish(&it.engine, &WHO, unknown).await, Err(Error::NotFound { .. })));
    assert!(matches!(record_consent(&it.engine, &WHO, DeveloperId(Uuid::nil()), true, "letter").await, Err(Error::NotFound { .. })));
}
