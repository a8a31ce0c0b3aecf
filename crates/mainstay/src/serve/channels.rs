//! How messages leave.

use mainstay_catalog::response::{Channels, Setting, SettingError, Smtp, Telephone};
use mainstay_delivery::channel::ChannelOptions;
use mainstay_delivery::smtp::SmtpOptions;
use mainstay_delivery::telephone::TelephoneOptions;

/// What a catalog says of channels, with what `lookup` gives for its variables.
///
/// # Errors
/// In words, if a variable is not set, or a value is none.
pub(crate) fn channel_options(
    channels: &Channels,
    lookup: impl Fn(&str) -> Option<String> + Copy,
) -> Result<ChannelOptions, String> {
    let unset = |error: SettingError| setting_error(channels, lookup, &error);
    let smtp = channels
        .smtp
        .as_ref()
        .map(|options| smtp(channels, options, lookup));
    let telephone = channels
        .telephone
        .as_ref()
        .map(|options| telephone(options, lookup).map_err(unset));
    Ok(ChannelOptions {
        smtp: smtp.transpose()?,
        telephone: telephone.transpose()?,
        ..ChannelOptions::default()
    })
}

/// What is wrong with a setting, in words; where a variable is not set, every other one that is not.
pub(super) fn setting_error(
    channels: &Channels,
    lookup: impl Fn(&str) -> Option<String>,
    error: &SettingError,
) -> String {
    let SettingError::Unset(name) = error else {
        return error.to_string();
    };
    let mut unset = channels.unset(lookup);
    // Files and secrets that were taken out of a file are no variables.
    unset.retain(|name| !name.contains(':'));
    match unset.split_last() {
        Some((last, others)) if !others.is_empty() && unset.contains(name) => {
            format!("the variables {} and {last} are not set", others.join(", "))
        }
        _ => error.to_string(),
    }
}

fn smtp(
    channels: &Channels,
    smtp: &Smtp,
    lookup: impl Fn(&str) -> Option<String> + Copy,
) -> Result<SmtpOptions, String> {
    let resolve = |setting: &Setting| {
        setting
            .resolve(lookup)
            .map_err(|error| setting_error(channels, lookup, &error))
    };
    let port = resolve(&smtp.port)?;
    let port = port
        .parse()
        .map_err(|_| format!("the port of the mail server is {port:?}, not a number"))?;
    let mut options = SmtpOptions::new(resolve(&smtp.host)?, port, smtp.tls, resolve(&smtp.from)?);
    if let (Some(username), Some(password)) = (&smtp.username, &smtp.password) {
        options.login = Some((resolve(username)?, resolve(&password.value)?));
    }
    Ok(options)
}

fn telephone(
    telephone: &Telephone,
    lookup: impl Fn(&str) -> Option<String> + Copy,
) -> Result<TelephoneOptions, SettingError> {
    let mut options = TelephoneOptions::new(
        telephone.account_sid.resolve(lookup)?,
        telephone.auth_token.value.resolve(lookup)?,
        telephone.from.resolve(lookup)?,
    );
    let url = |setting: &Setting| -> Result<String, SettingError> {
        Ok(setting.resolve(lookup)?.trim_end_matches('/').to_owned())
    };
    if let Some(setting) = &telephone.url {
        options.url = url(setting)?;
    }
    options.callback_url = telephone.callback_url.as_ref().map(url).transpose()?;
    Ok(options)
}
