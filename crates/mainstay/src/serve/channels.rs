//! How messages leave.

use mainstay_catalog::Catalog;
use mainstay_catalog::response::{Setting, Smtp, Telephone};
use mainstay_delivery::channel::ChannelOptions;
use mainstay_delivery::smtp::SmtpOptions;
use mainstay_delivery::telephone::TelephoneOptions;

use super::ServeError;

/// What the catalog says of channels, with what `lookup` has for its variables.
pub(super) fn options(
    catalog: &Catalog,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<ChannelOptions, ServeError> {
    let channels = &catalog.response.channels;
    Ok(ChannelOptions {
        smtp: channels
            .smtp
            .as_ref()
            .map(|settings| smtp(settings, &lookup))
            .transpose()?,
        telephone: channels
            .telephone
            .as_ref()
            .map(|settings| telephone(settings, &lookup))
            .transpose()?,
        ..ChannelOptions::default()
    })
}

fn smtp(smtp: &Smtp, lookup: impl Fn(&str) -> Option<String>) -> Result<SmtpOptions, ServeError> {
    let port = smtp.port.resolve(&lookup)?;
    let port = port
        .parse()
        .map_err(|_| ServeError::Channel(format!("the port of the mail server is {port:?}, not a number")))?;
    let mut options = SmtpOptions::new(
        smtp.host.resolve(&lookup)?,
        port,
        smtp.tls,
        smtp.from.resolve(&lookup)?,
    );
    if let (Some(username), Some(password)) = (&smtp.username, &smtp.password) {
        options.login = Some((username.resolve(&lookup)?, password.value.resolve(&lookup)?));
    }
    Ok(options)
}

fn telephone(
    telephone: &Telephone,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<TelephoneOptions, ServeError> {
    let mut options = TelephoneOptions::new(
        telephone.account_sid.resolve(&lookup)?,
        telephone.auth_token.value.resolve(&lookup)?,
        telephone.from.resolve(&lookup)?,
    );
    let url = |setting: &Setting| -> Result<String, ServeError> {
        Ok(setting.resolve(&lookup)?.trim_end_matches('/').to_owned())
    };
    if let Some(setting) = &telephone.url {
        options.url = url(setting)?;
    }
    options.callback_url = telephone.callback_url.as_ref().map(url).transpose()?;
    Ok(options)
}
