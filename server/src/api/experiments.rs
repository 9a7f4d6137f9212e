//! `/api/v1/experiments`: tests as machines write them down, run them, and read what came of them.
//!
//! Names are in camel case, as in all answers of the API; `design` of an answer is what a change takes. See `docs/EXPERIMENTS.md`.

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{
        Path, Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::StatusCode,
};
use domain::{
    Problem, SiteId,
    auth::Principal,
    experiment::{Assignment, Design, Experiment, Reason, Step, UnitKind, growthbook_rule},
};
use engine::{
    Engine, Error,
    experiment::{self, Edited, Filter},
    recommendation::Asker,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::conversions::read_object;
use crate::problem::{ApiError, ApiResult};

type Body = Result<Bytes, BytesRejection>;
type Asked<T> = Result<Query<T>, QueryRejection>;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EditQuery {
    /// A new phase may begin, in which everybody is dealt anew.
    confirm_new_phase: bool,
    /// Only tell what the change would do.
    dry_run: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResultsQuery {
    phase: Option<i32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitQuery {
    site: String,
    visitor: Option<String>,
}

/// What one test says of a unit.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AssignmentAnswer {
    experiment: String,
    name: String,
    unit: UnitKind,
    phase: Option<i32>,
    /// The variant's key.
    variant: Option<String>,
    reason: Reason,
    explanation: &'static str,
    /// Hashes, at least 0 and below 1, as far as they were asked for.
    bucket: Option<f64>,
    traffic_bucket: Option<f64>,
    exclusion_bucket: Option<f64>,
    holdout_bucket: Option<f64>,
}

/// `GET /api/v1/experiments?status&kind&search`: the newest first, at most 500.
pub async fn list(State(engine): State<Engine>, Extension(who): Extension<Principal>, filter: Asked<Filter>) -> ApiResult<Json<Value>> {
    let found = experiment::list(&engine, &who, &asked(filter)?).await?;
    let answers: Vec<Value> = found.iter().map(answer).collect::<ApiResult<_>>()?;
    Ok(Json(json!({ "experiments": answers })))
}

/// `POST /api/v1/experiments`: a design and perhaps a `key` become a draft.
pub async fn create(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    body: Body,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let mut fields = read_object(body)?;
    let key = match fields.remove("key") {
        None | Some(Value::Null) => None,
        Some(Value::String(key)) => Some(key),
        Some(_) => return Err(Error::invalid("key", "must be a text").into()),
    };
    let created = experiment::create(&engine, &who, key.as_deref(), read(fields)?).await.map_err(in_camel_case)?;
    Ok((StatusCode::CREATED, Json(answer(&created)?)))
}

/// `GET /api/v1/experiments/{key}`
pub async fn show(State(engine): State<Engine>, Extension(who): Extension<Principal>, Path(key): Path<String>) -> ApiResult<Json<Value>> {
    Ok(Json(answer(&experiment::find(&engine, &who, &key).await?)?))
}

/// `PUT /api/v1/experiments/{key}?confirmNewPhase&dryRun`: another design, and what it does to who takes part.
pub async fn edit(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    Path(key): Path<String>,
    query: Asked<EditQuery>,
    body: Body,
) -> ApiResult<Json<Value>> {
    let query = asked(query)?;
    let design: Design = read(read_object(body)?)?;
    let done = if query.dry_run {
        experiment::preview_edit(&engine, &who, &key, &design).await
    } else {
        experiment::edit(&engine, &who, &key, design, query.confirm_new_phase).await
    };
    let Edited { experiment, edit, moves } = done.map_err(in_camel_case)?;
    Ok(Json(json!({ "experiment": answer(&experiment)?, "edit": edit, "moves": moves })))
}

/// `POST /api/v1/experiments/{key}/{start|pause|resume|stop|archive}`
pub async fn step(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    Path((key, step)): Path<(String, String)>,
) -> ApiResult<Json<Value>> {
    let step: Step = serde_json::from_value(step.as_str().into()).map_err(|_| Error::not_found(format!("step `{step}`")))?;
    Ok(Json(answer(&experiment::step(&engine, &who, &key, step).await.map_err(in_camel_case)?)?))
}

/// `POST /api/v1/experiments/{key}/ship`: the `variant` becomes the default, and the test is over.
pub async fn ship(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    Path(key): Path<String>,
    body: Body,
) -> ApiResult<Json<Value>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Decision {
        variant: String,
    }
    let Decision { variant } = read(read_object(body)?)?;
    Ok(Json(answer(&experiment::ship(&engine, &who, &key, &variant).await?)?))
}

/// `GET /api/v1/experiments/{key}/results?phase`: what a phase has shown, the present one if none is named.
pub async fn results(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    Path(key): Path<String>,
    query: Asked<ResultsQuery>,
) -> ApiResult<Json<Value>> {
    let found = experiment::results(&engine, &who, &key, asked(query)?.phase).await?;
    Ok(Json(respelled(serde_json::to_value(found).map_err(Error::from)?, camel_case)))
}

/// `GET /api/v1/experiments/{key}/growthbook`: the rule by which any GrowthBook SDK assigns the same.
pub async fn growthbook(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    Path(key): Path<String>,
) -> ApiResult<Json<Value>> {
    let found = experiment::find(&engine, &who, &key).await?;
    let running = experiment::reload(&engine, 0).await?;
    let rule = growthbook_rule(&found, &running.holdout);
    Ok(Json(rule.ok_or_else(|| Error::Conflict(format!("the test `{key}` was never started: it has no seed yet")))?))
}

/// `GET /api/v1/experiments/holdout`
pub async fn show_holdout(State(engine): State<Engine>, Extension(who): Extension<Principal>) -> ApiResult<Json<Value>> {
    Ok(Json(json!({ "share": experiment::holdout(&engine, &who).await? })))
}

/// `PUT /api/v1/experiments/holdout`
pub async fn set_holdout(State(engine): State<Engine>, Extension(who): Extension<Principal>, body: Body) -> ApiResult<Json<Value>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Holdout {
        share: f64,
    }
    let Holdout { share } = read(read_object(body)?)?;
    experiment::set_holdout(&engine, &who, share).await?;
    Ok(Json(json!({ "share": share })))
}

/// `GET /api/v1/experiments/assignments?site&visitor`: which variants a unit has, and why.
pub async fn assignments(
    State(engine): State<Engine>,
    Extension(who): Extension<Principal>,
    query: Asked<UnitQuery>,
) -> ApiResult<Json<Value>> {
    let UnitQuery { site, visitor } = asked(query)?;
    let site_id: SiteId = site.parse().map_err(|_| Error::invalid("site", format!("`{site}` is no id of a site")))?;
    let visitor = visitor.as_deref().filter(|visitor| !visitor.is_empty()).map(Asker::visitor).transpose()?;
    let found = experiment::why(&engine, &who, site_id, visitor.as_deref()).await?;
    let answers: Vec<AssignmentAnswer> = found.into_iter().map(|(experiment, assignment)| assigned(experiment, assignment)).collect();
    Ok(Json(json!({ "siteId": site_id, "visitor": visitor, "assignments": answers })))
}

fn assigned(experiment: Experiment, assignment: Assignment) -> AssignmentAnswer {
    let Experiment { key, design, phase, .. } = experiment;
    let Assignment { reason, variant, bucket, traffic_bucket, exclusion_bucket, holdout_bucket } = assignment;
    AssignmentAnswer {
        experiment: key,
        variant: variant.and_then(|index| design.variants.get(index)).map(|variant| variant.key.clone()),
        name: design.name,
        unit: design.unit,
        phase: phase.map(|phase| phase.number),
        reason,
        explanation: reason.sentence(),
        bucket,
        traffic_bucket,
        exclusion_bucket,
        holdout_bucket,
    }
}

/// A test with the steps that may follow.
fn answer(experiment: &Experiment) -> ApiResult<Value> {
    let mut answer = respelled(serde_json::to_value(experiment).map_err(Error::from)?, camel_case);
    answer["steps"] = json!(experiment.status.steps());
    Ok(answer)
}

fn asked<T>(query: Asked<T>) -> ApiResult<T> {
    let wrong = |rejection: QueryRejection| Problem::new(422, "invalid", "invalid input").field("query").detail(rejection.body_text());
    Ok(query.map_err(wrong)?.0)
}

/// Reads a body's fields, which are spelled in camel case. What is wrong is named by its path: `variants.1.weight`.
fn read<T: DeserializeOwned>(fields: Map<String, Value>) -> ApiResult<T> {
    let fields = respelled(Value::Object(fields), snake_case);
    serde_path_to_error::deserialize(fields).map_err(|error| {
        let segments = error.path().iter().map(ToString::to_string).filter(|segment| segment != "?");
        // The path of an element of a list ends with its place in brackets.
        let mut path: Vec<String> = segments.map(|segment| segment.trim_matches(['[', ']']).to_owned()).collect();
        let mut reason = error.into_inner().to_string();
        if let Some(name) = reason.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            path.push(name.to_owned());
            reason = "is missing".to_owned();
        } else if reason.starts_with("unknown field") {
            reason = camel_case(&reason);
        }
        Error::invalid(camel_case(&path.join(".")), reason).into()
    })
}

/// Names the field as the request named it.
fn in_camel_case(error: Error) -> ApiError {
    let ApiError(mut problem) = error.into();
    problem.field = problem.field.as_deref().map(camel_case);
    ApiError(problem)
}

/// The same value with the names of all fields spelled anew.
fn respelled(value: Value, spelling: fn(&str) -> String) -> Value {
    match value {
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (spelling(&name), respelled(value, spelling))).collect(),
        Value::Array(values) => values.into_iter().map(|value| respelled(value, spelling)).collect(),
        other => other,
    }
}

/// `primary_metric` becomes `primaryMetric`.
fn camel_case(name: &str) -> String {
    let mut is_start = false;
    let mut letter = |letter: char| {
        let spelled = if is_start { letter.to_ascii_uppercase() } else { letter };
        is_start = letter == '_';
        (!is_start).then_some(spelled)
    };
    name.chars().filter_map(&mut letter).collect()
}

/// `primaryMetric` becomes `primary_metric`.
fn snake_case(name: &str) -> String {
    let mut spelled = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            spelled.push('_');
        }
        spelled.push(letter.to_ascii_lowercase());
    }
    spelled
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn design() -> Value {
        json!({
            "name": "Shorter button",
            "kind": "cta",
            "variants": [
                { "key": "control", "name": "As it is", "weight": 0.5, "payload": { "type": "unchanged" } },
                { "key": "short", "name": "Short", "weight": 0.5, "payload": { "type": "cta", "text": "Go" } },
            ],
            "trafficAllocation": 0.8,
            "primaryMetric": "click_rate",
            "eligibility": { "partnerIds": ["supabase"] },
            "plan": { "minimumDetectableLift": 0.2 },
            "currency": "USD",
        })
    }

    fn fields(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn refused(change: impl FnOnce(&mut Value)) -> (String, String) {
        let mut design = design();
        change(&mut design);
        let ApiError(problem) = read::<Design>(fields(design)).unwrap_err();
        assert_eq!((problem.status, problem.code.as_str()), (422, "invalid"));
        (problem.field.unwrap(), problem.detail.unwrap())
    }

    #[test]
    fn a_design_in_camel_case_is_read_and_told_alike() {
        let read: Design = read(fields(design())).unwrap();
        assert_eq!((read.traffic_allocation, read.plan.minimum_detectable_lift), (0.8, 0.2));
        let told = respelled(serde_json::to_value(&read).unwrap(), camel_case);
        assert_eq!(told["primaryMetric"], "click_rate");
        assert_eq!(told["eligibility"]["partnerIds"], json!(["supabase"]));
        assert_eq!(super::read::<Design>(fields(told)).unwrap(), read);
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_path() {
        assert_eq!(refused(|design| design["variants"][1]["weight"] = json!("half")).0, "variants.1.weight");
        assert_eq!(refused(|design| design["variants"][0]["payload"] = json!({ "type": "poem" })).0, "variants.0.payload.type");
        assert_eq!(refused(|design| design["plan"]["plannedUnits"] = json!(-1)).0, "plan.plannedUnits");
        assert_eq!(refused(|design| design["primaryMetric"] = json!("luck")).0, "primaryMetric");
        assert_eq!(refused(|design| drop(design["variants"][1].as_object_mut().unwrap().remove("weight"))).0, "variants.1.weight");
        let missing = refused(|design| drop(design.as_object_mut().unwrap().remove("primaryMetric")));
        assert_eq!(missing, ("primaryMetric".to_owned(), "is missing".to_owned()));
    }

    #[test]
    fn an_unknown_field_is_named_with_what_there_is() {
        let (field, reason) = refused(|design| design["trafficAlocation"] = json!(1));
        assert_eq!(field, "trafficAlocation");
        assert!(reason.contains("unknown field `trafficAlocation`") && reason.contains("`trafficAllocation`"), "{reason}");
    }

    #[test]
    fn a_fault_of_a_design_is_named_as_the_request_names_it() {
        let ApiError(problem) = in_camel_case(Error::invalid("plan.minimum_detectable_lift", "is wrong"));
        assert_eq!(problem.field.as_deref(), Some("plan.minimumDetectableLift"));
    }
}
