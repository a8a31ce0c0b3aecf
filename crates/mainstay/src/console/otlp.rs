//! OTLP metrics: unpacked, read, stored, answered.

use mainstay_ingest::otlp::{self, OtlpEncoding, OtlpError, OtlpSettings};
use mainstay_plane::Telemetry;
use mainstay_plane::telemetry::IntakeError;
use mainstay_web::view::{OtlpAnswer, WriteRequest};

/// Takes a request in; `limit_bytes` bounds it once it is unpacked. Blocks until what is taken is durable.
pub(super) fn receive(
    telemetry: &Telemetry,
    request: &WriteRequest,
    tenant: Option<&str>,
    limit_bytes: usize,
) -> OtlpAnswer {
    let content_type = request.content_type.as_deref().unwrap_or_default();
    let Some(encoding) = OtlpEncoding::of_content_type(content_type) else {
        let error = OtlpError::ContentType(content_type.chars().take(100).collect());
        // What it cannot read it would not understand in protobuf either.
        return refusal(error.status(), &error.to_string(), OtlpEncoding::Json);
    };
    let read = otlp::unpack(&request.body, request.content_encoding.as_deref(), limit_bytes)
        .and_then(|body| otlp::read(&body, encoding, &OtlpSettings::default()));
    let mut batch = match read {
        Ok(batch) => batch,
        Err(error) => return refusal(error.status(), &error.to_string(), encoding),
    };
    match telemetry.receive_otlp(&mut batch, tenant) {
        Ok(()) => OtlpAnswer {
            status: 200,
            content_type: encoding.content_type(),
            body: batch.response(encoding),
            problem: None,
            retry_after_s: None,
        },
        Err(IntakeError::Overrun(overrun)) => OtlpAnswer {
            retry_after_s: overrun.retry_after_s(),
            ..refusal(
                if overrun.retry_after_s().is_some() {
                    429
                } else {
                    413
                },
                &overrun.to_string(),
                encoding,
            )
        },
        Err(IntakeError::Store(error)) => {
            tracing::error!(%error, "an OTLP request could not be stored");
            refusal(503, "the samples cannot be stored now", encoding)
        }
    }
}

fn refusal(status: u16, message: &str, encoding: OtlpEncoding) -> OtlpAnswer {
    OtlpAnswer {
        status,
        content_type: encoding.content_type(),
        body: otlp::refusal(message, encoding),
        problem: Some(message.to_owned()),
        retry_after_s: None,
    }
}
