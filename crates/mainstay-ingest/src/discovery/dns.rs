//! Prometheus' DNS service discovery: records of a name, looked up with the name servers of `resolv.conf`.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mainstay_kernel::Labels;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::dns_message::{Record, Response, question, response};
use super::{Discovered, DiscoveryError};
use crate::config::TargetGroup;

const PORT: u16 = 53;
/// The most name servers that are asked, and domains that are tried, as `resolv.conf` has them.
const SERVERS_MAX: usize = 3;
const SEARCH_MAX: usize = 6;

/// What is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordType {
    /// Services: host and port.
    Srv,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Mail exchanges.
    Mx,
    /// Name servers.
    Ns,
}

/// An element of `dns_sd_configs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsDiscovery {
    /// The names.
    pub names: Vec<String>,
    /// What is looked up of them.
    pub record: RecordType,
    /// The port of targets; of services their own.
    pub port: u16,
    /// `refresh_interval`
    pub refresh: Duration,
}

/// Whom to ask, and how: what `resolv.conf` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    dots: usize,
    timeout: Duration,
    attempts: usize,
}

impl Resolver {
    /// Reads the text of a `resolv.conf`. What it does not say, or says in another way, is as the manual has it: the
    /// name server of this machine, names with a dot as they stand first, 5 s, two attempts.
    #[must_use]
    pub fn parse(resolv_conf: &str) -> Self {
        let mut resolver = Self {
            servers: Vec::new(),
            search: Vec::new(),
            dots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        };
        for line in resolv_conf.lines() {
            let mut words = line
                .split(['#', ';'])
                .next()
                .unwrap_or_default()
                .split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    resolver
                        .servers
                        .extend(address.map(|address| SocketAddr::new(address, PORT)));
                }
                Some("search" | "domain") => {
                    resolver.search = words.take(SEARCH_MAX).map(str::to_owned).collect();
                }
                Some("options") => {
                    for (name, value) in words.filter_map(|word| word.split_once(':')) {
                        let Ok(value) = value.parse::<u8>() else { continue };
                        match name {
                            "ndots" => resolver.dots = usize::from(value.min(15)),
                            "timeout" => {
                                resolver.timeout = Duration::from_secs(u64::from(value.clamp(1, 30)))
                            }
                            "attempts" => resolver.attempts = usize::from(value.clamp(1, 5)),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        resolver.servers.truncate(SERVERS_MAX);
        if resolver.servers.is_empty() {
            resolver.servers.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        resolver
    }

    /// The same with these name servers.
    #[must_use]
    pub fn with_servers(mut self, servers: Vec<SocketAddr>) -> Self {
        self.servers = servers;
        self
    }

    /// The names that are tried for `name`, in order.
    fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let as_it_stands = format!("{name}.");
        let mut names: Vec<String> = self
            .search
            .iter()
            .map(|domain| format!("{name}.{}.", domain.trim_end_matches('.')))
            .collect();
        let first = name.matches('.').count() >= self.dots;
        names.insert(if first { 0 } else { names.len() }, as_it_stands);
        names
    }

    /// The records of a name; none if there is no such name.
    async fn look_up(&self, name: &str, record: RecordType) -> Result<Vec<Record>, DiscoveryError> {
        let mut failure = None;
        for candidate in self.candidates(name) {
            match self.ask(&candidate, record).await {
                Ok(Some(records)) if !records.is_empty() => return Ok(records),
                Ok(_) => {}
                Err(reason) => failure = Some(format!("{candidate} {reason}")),
            }
        }
        // That a name is not there is certain only if every server that was asked knew.
        failure.map_or(Ok(Vec::new()), |reason| Err(DiscoveryError(reason)))
    }

    /// `None` if there is no such name.
    async fn ask(&self, name: &str, record: RecordType) -> Result<Option<Vec<Record>>, String> {
        let mut failure = "cannot be looked up".to_owned();
        for _ in 0..self.attempts {
            for server in &self.servers {
                match timeout(self.timeout, ask_server(*server, name, record)).await {
                    Ok(Ok(Response::Records(records))) => return Ok(Some(records)),
                    Ok(Ok(Response::NoName)) => return Ok(None),
                    Ok(Ok(Response::Failed(code))) => failure = format!("was answered with code {code}"),
                    Ok(Ok(Response::Truncated)) => failure = "has more records than fit".to_owned(),
                    Ok(Err(error)) => failure = format!("cannot be asked of {server}: {error}"),
                    Err(_) => failure = format!("was not answered by {server} within {:?}", self.timeout),
                }
            }
        }
        Err(failure)
    }
}

async fn ask_server(server: SocketAddr, name: &str, record: RecordType) -> std::io::Result<Response> {
    // What a forger must guess, together with the port that the system chooses.
    let id = (RandomState::new().build_hasher().finish() & 0xffff) as u16;
    let Some(asked) = question(id, name, record) else {
        return Ok(Response::NoName);
    };
    let any: SocketAddr = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(&asked).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match response(&buffer[..length], &asked, record) {
            Some(Response::Truncated) => break,
            Some(answer) => return Ok(answer),
            None => {} // Not for us, or not from whom we asked.
        }
    }
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(asked.len()).unwrap_or(u16::MAX);
    stream
        .write_all(&[&length.to_be_bytes(), asked.as_slice()].concat())
        .await?;
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    response(&message, &asked, record)
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "no DNS message"))
}

impl DnsDiscovery {
    /// Looks the names up.
    ///
    /// # Errors
    /// If one of them cannot be looked up; the caller then keeps what it has, as Prometheus does. A name that is not
    /// there has no targets, which is no error.
    pub async fn groups(&self, resolver: &Resolver) -> Discovered {
        let mut groups = Vec::new();
        for name in &self.names {
            for record in resolver.look_up(name, self.record).await? {
                groups.push(self.group(name, &record));
            }
        }
        Ok(groups)
    }

    fn group(&self, name: &str, record: &Record) -> TargetGroup {
        let host = |target: &str, port| format!("{}:{port}", target.trim_end_matches('.'));
        let mut labels = Labels::new().with("__meta_dns_name", name);
        let target = match record {
            Record::Address(address) => SocketAddr::new(*address, self.port).to_string(),
            Record::Service(target, port) => {
                labels.set("__meta_dns_srv_record_target", target);
                labels.set("__meta_dns_srv_record_port", port.to_string());
                host(target, *port)
            }
            Record::Host(target) => {
                let label = match self.record {
                    RecordType::Mx => "__meta_dns_mx_record_target",
                    _ => "__meta_dns_ns_record_target",
                };
                labels.set(label, target);
                host(target, self.port)
            }
        };
        TargetGroup {
            targets: vec![target],
            labels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_says_whom_to_ask_and_for_what() {
        let resolver = Resolver::parse(
            "# made by hand\nnameserver 10.0.0.2 # first\nnameserver fd00::1\nnameserver nobody\n\
             search ns.svc.cluster.local svc.cluster.local\noptions ndots:2 timeout:1 edns0\n",
        );
        assert_eq!(
            resolver.servers,
            [
                "10.0.0.2:53".parse().expect("one"),
                "[fd00::1]:53".parse().expect("one")
            ]
        );
        assert_eq!((resolver.timeout, resolver.attempts), (Duration::from_secs(1), 2));
        assert_eq!(
            resolver.candidates("pay.x"),
            [
                "pay.x.ns.svc.cluster.local.",
                "pay.x.svc.cluster.local.",
                "pay.x."
            ]
        );
        assert_eq!(resolver.candidates("a.b.c")[0], "a.b.c.");
        assert_eq!(resolver.candidates("a.b."), ["a.b."]);
        assert_eq!(
            Resolver::parse("").servers,
            ["127.0.0.1:53".parse().expect("one")]
        );
    }
}
