//! Requests to a server on this machine, one connection, one after another.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A connection that stays open.
pub(crate) struct Client {
    stream: TcpStream,
    port: u16,
    read: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(300)))?;
        Ok(Self {
            stream,
            port,
            read: Vec::new(),
        })
    }

    /// The status and the body of the answer.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> std::io::Result<(u16, String)> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: {}\r\n{headers}\r\n",
            self.port,
            body.len()
        );
        self.stream.write_all(head.as_bytes())?;
        self.stream.write_all(body)?;
        self.answer()
    }

    pub(crate) fn get(&mut self, path: &str) -> std::io::Result<(u16, String)> {
        self.send("GET", path, "", b"")
    }

    pub(crate) fn write(&mut self, packed: &[u8]) -> std::io::Result<(u16, String)> {
        let headers = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n";
        self.send("POST", "/api/v1/write", headers, packed)
    }

    fn more(&mut self) -> std::io::Result<()> {
        let mut buffer = [0; 64 << 10];
        let count = self.stream.read(&mut buffer)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.read.extend_from_slice(&buffer[..count]);
        Ok(())
    }

    fn take(&mut self, count: usize) -> std::io::Result<Vec<u8>> {
        while self.read.len() < count {
            self.more()?;
        }
        Ok(self.read.drain(..count).collect())
    }

    fn line(&mut self) -> std::io::Result<String> {
        loop {
            if let Some(at) = self.read.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.take(at + 2)?;
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            self.more()?;
        }
    }

    fn answer(&mut self) -> std::io::Result<(u16, String)> {
        let status = self.line()?;
        let status = status
            .split(' ')
            .nth(1)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        }
        let mut body = Vec::new();
        if chunked {
            loop {
                let size = usize::from_str_radix(self.line()?.trim(), 16).unwrap_or(0);
                body.extend(self.take(size)?);
                self.line()?;
                if size == 0 {
                    break;
                }
            }
        } else {
            body = self.take(length)?;
        }
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
