//! What a database's URL means.

use std::net::IpAddr;
use std::str::FromStr as _;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::schema;
use crate::store::JournalError;

pub(super) fn connect_options(url: &str, schema: &str) -> Result<PgConnectOptions, JournalError> {
    schema::check_name(schema)?;
    // The parser's own words could hold a part of the password.
    let unreadable = || {
        JournalError::Storage(
            "the database's URL cannot be read: it is to be postgres://USER:PASSWORD@HOST:PORT/DATABASE"
                .to_owned(),
        )
    };
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(unreadable());
    }
    let options = PgConnectOptions::from_str(url).map_err(|_| unreadable())?;
    Ok(encrypted(options, url)
        .application_name("mainstay")
        .options([
            ("search_path", schema),
            // A leader that was stopped in a transaction, or whose machine is gone, must not keep the lock.
            ("idle_in_transaction_session_timeout", "5s"),
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
            ("lock_timeout", "5s"),
        ])
        .disable_statement_logging())
}

/// To another machine nothing goes in clear text, and to nobody who cannot prove its name, unless the URL says otherwise.
/// What PostgreSQL's clients do by themselves, `prefer`, falls back to clear text without a word.
fn encrypted(options: PgConnectOptions, url: &str) -> PgConnectOptions {
    let host = options.get_host();
    let is_here = options.get_socket().is_some()
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let is_asked_for = url.contains("sslmode=") || url.contains("ssl-mode=");
    match options.get_ssl_mode() {
        PgSslMode::Prefer if !is_here && !is_asked_for => options.ssl_mode(PgSslMode::VerifyFull),
        _ => options,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_machine_must_encrypt_and_prove_its_name_unless_the_url_says_otherwise() {
        for (rest, expected) in [
            ("@db.bank.example/mainstay", PgSslMode::VerifyFull),
            ("@10.0.0.7:5433/mainstay", PgSslMode::VerifyFull),
            ("@db.bank.example/mainstay?sslmode=disable", PgSslMode::Disable),
            ("@db.bank.example/mainstay?sslmode=prefer", PgSslMode::Prefer),
            ("@localhost/mainstay", PgSslMode::Prefer),
            ("@127.0.0.1/mainstay", PgSslMode::Prefer),
            (
                "@db.bank.example/mainstay?host=/run/postgresql",
                PgSslMode::Prefer,
            ),
        ] {
            let options = connect_options(&format!("postgres://ada{rest}"), "mainstay").expect("a URL");
            let mode = options.get_ssl_mode();
            assert!(
                std::mem::discriminant(&mode) == std::mem::discriminant(&expected),
                "{rest}: {mode:?}"
            );
        }
    }
}
