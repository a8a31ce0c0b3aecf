//! How messages leave.

use mainstay_catalog::Catalog;
use mainstay_delivery::channel::ChannelOptions;
use mainstay_delivery::smtp::SmtpOptions;

use super::{ServeError, environment};

/// What the catalog says of channels, with what the environment has for its variables.
pub(super) fn options(catalog: &Catalog) -> Result<ChannelOptions, ServeError> {
    let Some(smtp) = &catalog.response.channels.smtp else {
        return Ok(ChannelOptions::default());
    };
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
    Ok(ChannelOptions {
        smtp: Some(options),
        ..ChannelOptions::default()
    })
}
