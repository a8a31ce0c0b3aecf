//! How messages leave.

use mainstay_catalog::Catalog;
use mainstay_catalog::response::{Setting, Smtp, Telephone};
use mainstay_delivery::channel::ChannelOptions;
use mainstay_delivery::smtp::SmtpOptions;
use mainstay_delivery::telephone::TelephoneOptions;

use super::{ServeError, environment};

/// What the catalog says of channels, with what the environment has for its variables.
pub(super) fn options(catalog: &Catalog) -> Result<ChannelOptions, ServeError> {
    let channels = &catalog.response.channels;
    Ok(ChannelOptions {
        smtp: channels.smtp.as_ref().map(smtp).transpose()?,
        telephone: channels.telephone.as_ref().map(telephone).transpose()?,
        ..ChannelOptions::default()
    })
}

fn smtp(smtp: &Smtp) -> Result<SmtpOptions, ServeError> {
    let port = smtp.port.resolve(environment)?;
    let port = port
        .parse()
        .map_err(|_| ServeError::Channel(format!("the port of the mail server is {port:?}, not a number")))?;
    let mut options = SmtpOptions::new(
        smtp.host.resolve(environment)?,
        port,
        smtp.tls,
        smtp.from.resolve(environment)?,
    );
    if let (Some(username), Some(password)) = (&smtp.username, &smtp.password) {
        options.login = Some((
            username.resolve(environment)?,
            password.value.resolve(environment)?,
        ));
    }
    Ok(options)
}

fn telephone(telephone: &Telephone) -> Result<TelephoneOptions, ServeError> {
    let mut options = TelephoneOptions::new(
        telephone.account_sid.resolve(environment)?,
        telephone.auth_token.value.resolve(environment)?,
        telephone.from.resolve(environment)?,
    );
    let url = |setting: &Setting| -> Result<String, ServeError> {
        Ok(setting.resolve(environment)?.trim_end_matches('/').to_owned())
    };
    if let Some(setting) = &telephone.url {
        options.url = url(setting)?;
    }
    options.callback_url = telephone.callback_url.as_ref().map(url).transpose()?;
    Ok(options)
}
