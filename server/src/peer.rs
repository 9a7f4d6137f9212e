//! Whose request it is: the peer's, or that of whoever a trusted proxy speaks for.

use std::{
    net::{AddrParseError, IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The proxies whose `X-Forwarded-For` is believed. Nobody else's is: any visitor can send one.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

/// Addresses and networks (CIDR), with commas between them.
impl FromStr for TrustedProxies {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(|entry| entry.parse().or_else(|_| entry.parse::<IpAddr>().map(IpNet::from))).collect::<Result<_, _>>().map(Self)
    }
}

impl TrustedProxies {
    /// The visitor's address: the last one in the chain of those who passed the request on that is no trusted proxy's. What stands before
    /// it may be invented. `None` if a trusted proxy names somebody by something else than an address.
    pub fn visitor(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let mut nearest = peer.to_canonical();
        if self.0.is_empty() {
            return Some(nearest);
        }
        // Bytes, since the entries before may be anything: one that is no text says nothing of those after it.
        let passed_on = headers.get_all("x-forwarded-for").iter();
        let mut chain = passed_on.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).rev();
        while self.trusts(nearest)
            && let Some(entry) = chain.next()
        {
            nearest = address(std::str::from_utf8(entry).ok()?.trim())?;
        }
        Some(nearest)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Some proxies add the port.
fn address(entry: &str) -> Option<IpAddr> {
    let address = entry.parse::<IpAddr>().or_else(|_| entry.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    /// Who is seen behind `peer`, if these values of `X-Forwarded-For` came along.
    fn seen<Value: AsRef<[u8]>>(trusted: &str, peer: &str, values: &[Value]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(value.as_ref()).unwrap());
        }
        let trusted: TrustedProxies = trusted.parse().unwrap();
        trusted.visitor(peer.parse().unwrap(), &headers).map(|address| address.to_string())
    }

    #[test]
    fn nobody_is_believed_unless_trusted() {
        assert_eq!(seen("", "192.0.2.1", &["198.51.100.7"]).as_deref(), Some("192.0.2.1"));
        assert_eq!(seen("10.0.0.0/8", "192.0.2.1", &["198.51.100.7"]).as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn the_last_address_that_is_no_proxys_is_the_visitors() {
        let trusted = "10.0.0.0/8, 2001:db8::1";
        assert_eq!(seen(trusted, "10.1.2.3", &["198.51.100.7"]).as_deref(), Some("198.51.100.7"));
        assert_eq!(
            seen(trusted, "10.1.2.3", &["6.6.6.6, 198.51.100.7, 10.9.9.9"]).as_deref(),
            Some("198.51.100.7"),
            "the first is invented"
        );
        assert_eq!(seen(trusted, "10.1.2.3", &["6.6.6.6", "198.51.100.7, 10.9.9.9"]).as_deref(), Some("198.51.100.7"));
        assert_eq!(seen(trusted, "2001:db8::1", &["2001:db8::7"]).as_deref(), Some("2001:db8::7"));
        assert_eq!(
            seen(trusted, "::ffff:10.1.2.3", &["::ffff:198.51.100.7"]).as_deref(),
            Some("198.51.100.7"),
            "on a socket for both versions"
        );
        assert_eq!(seen(trusted, "10.1.2.3", &["198.51.100.7:4711"]).as_deref(), Some("198.51.100.7"));
        assert_eq!(seen(trusted, "10.1.2.3", &["[2001:db8::7]:4711"]).as_deref(), Some("2001:db8::7"));
    }

    #[test]
    fn a_request_of_the_proxy_itself_is_its_own_and_words_are_nobodys() {
        assert_eq!(seen::<&str>("10.0.0.0/8", "10.1.2.3", &[]).as_deref(), Some("10.1.2.3"));
        assert_eq!(seen("10.0.0.0/8", "10.1.2.3", &["10.4.4.4"]).as_deref(), Some("10.4.4.4"));
        assert_eq!(seen("10.0.0.0/8", "10.1.2.3", &["unknown"]), None);
    }

    #[test]
    fn an_entry_that_is_no_text_hides_nobody_after_it() {
        assert_eq!(seen("10.0.0.0/8", "10.1.2.3", &[b"caf\xe9, 198.51.100.7"]).as_deref(), Some("198.51.100.7"));
        assert_eq!(seen("10.0.0.0/8", "10.1.2.3", &[b"198.51.100.7, caf\xe9"]), None, "as words");
    }

    #[test]
    fn a_setting_that_names_no_address_is_refused() {
        for wrong in ["proxy.example", "10.0.0.0/33", "10.0.0.1;10.0.0.2"] {
            assert!(wrong.parse::<TrustedProxies>().is_err(), "{wrong}");
        }
    }
}
