//! Series, the names of their labels, and the values of these.

use std::sync::Arc;

use axum::extract::{Path, State};
use mainstay_kernel::Labels;

use super::answer::{Answered, Good, Remarks};
use super::given::{Given, wrong};
use super::{json, name};
use crate::app::App;
use crate::view::{QueryError, Selection};

pub(super) async fn series(State(app): State<App>, given: Given) -> Answered {
    if given.all("match[]").next().is_none() {
        return Err(QueryError::BadData("no match[] parameter provided".to_owned()));
    }
    let limit = given.limit()?;
    let selectors = given
        .selectors()
        .map_err(|error| wrong("match[]", &error.to_string()))?;
    let selection = Selection {
        selectors,
        ..given.selection()?
    };
    let mut found = app.console.series(&selection).await?;
    let mut remarks = Remarks::default();
    remarks.truncate(&mut found, limit);
    let write = |out: &mut String, labels: &Arc<Labels>| json::labels(out, labels);
    Ok(Good::list(found, write, &remarks))
}

pub(super) async fn label_names(State(app): State<App>, given: Given) -> Answered {
    let limit = given.limit()?;
    let found = app.console.label_names(&given.selection()?).await?;
    Ok(texts(found, limit))
}

pub(super) async fn label_values(
    State(app): State<App>,
    Path(label): Path<String>,
    given: Given,
) -> Answered {
    let label = name::unescaped(&label);
    if label.is_empty() {
        return Err(QueryError::BadData(format!("invalid label name: {label:?}")));
    }
    let limit = given.limit()?;
    let found = app.console.label_values(&label, &given.selection()?).await?;
    Ok(texts(found, limit))
}

fn texts(mut found: Vec<String>, limit: Option<usize>) -> Good {
    let mut remarks = Remarks::default();
    remarks.truncate(&mut found, limit);
    Good::list(found, |out, text| json::text(out, text), &remarks)
}
