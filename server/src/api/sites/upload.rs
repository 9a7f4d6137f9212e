//! Reading an upload: a multipart form of an archive and a few texts.

use axum::{
    extract::{
        Multipart,
        multipart::{Field, MultipartError},
    },
    http::StatusCode,
};
use domain::{Problem, auth::Principal};
use engine::{Error, access::require_scope};

use crate::{
    auth::REFUSED_BODY_BYTES,
    problem::{ApiError, ApiResult},
};

/// Of a field that is no file.
const TEXT_BYTES_MAX: usize = 2_000;

/// The fields that came; empty ones did not.
#[derive(Default)]
pub struct Upload {
    name: Option<String>,
    pub url: Option<String>,
    user_ref: Option<String>,
    archive: Option<Vec<u8>>,
}

impl Upload {
    /// Reads the fields in any order and ignores others. Who may not add sites is refused first: nobody shall make us read 64 MiB before
    /// we ask who it is.
    pub async fn read(who: &Principal, mut upload: Multipart) -> ApiResult<Self> {
        if let Err(refusal) = require_scope(who, "sites:write", "add or change sites") {
            skip(upload).await;
            return Err(refusal.into());
        }
        let mut read = Self::default();
        while let Some(field) = upload.next_field().await.map_err(|error| broken("body", &error))? {
            match field.name() {
                Some("name") => read.name = text("name", field).await?,
                Some("url") => read.url = text("url", field).await?,
                Some("user_ref") => read.user_ref = text("user_ref", field).await?,
                Some("archive") => read.archive = archive(field).await?,
                _ => {}
            }
        }
        Ok(read)
    }

    pub fn name(&mut self) -> ApiResult<String> {
        present("name", self.name.take())
    }

    pub fn user_ref(&mut self) -> ApiResult<String> {
        present("user_ref", self.user_ref.take())
    }

    pub fn archive(&mut self) -> ApiResult<Vec<u8>> {
        present("archive", self.archive.take())
    }
}

fn present<T>(field: &str, value: Option<T>) -> ApiResult<T> {
    value.ok_or_else(|| Error::invalid(field, "is missing").into())
}

async fn text(name: &'static str, field: Field<'_>) -> ApiResult<Option<String>> {
    let text = field.text().await.map_err(|error| broken(name, &error))?;
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::invalid(name, format!("is longer than {TEXT_BYTES_MAX} bytes")).into());
    }
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// Takes the bytes over as they were gathered: a copy would hold 64 MiB twice.
async fn archive(field: Field<'_>) -> ApiResult<Option<Vec<u8>>> {
    let bytes = field.bytes().await.map_err(|error| broken("archive", &error))?;
    Ok(Some(Vec::from(bytes)).filter(|bytes| !bytes.is_empty()))
}

/// Reads a little of what is refused, so that its sender gets to read the answer.
async fn skip(mut upload: Multipart) {
    let mut left = REFUSED_BODY_BYTES;
    while let Ok(Some(mut field)) = upload.next_field().await {
        while let Ok(Some(chunk)) = field.chunk().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                return;
            }
        }
    }
}

fn broken(field: &str, error: &MultipartError) -> ApiError {
    let problem = match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(413, "too_large", "body too large").detail("the archive may have 64 MiB"),
        _ => Problem::new(400, "malformed", "malformed body").detail(error.body_text()),
    };
    problem.field(field).into()
}
