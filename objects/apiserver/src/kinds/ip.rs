//! IP addresses and networks, as fields write them.

use super::at::At;
use crate::status::FieldErrors;
use std::net::{IpAddr, Ipv4Addr};

const NOT_AN_ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const NOT_A_NETWORK: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/// An address, also as old objects write it: IPv4 with leading zeros.
pub(crate) fn legacy(at: &At, errors: &mut FieldErrors) {
    if parse(at.text()).is_none() {
        at.invalid_as(errors, at.text(), NOT_AN_ADDRESS);
    }
}

/// The address that a text says; leading zeros are taken as decimal, as ever.
pub(crate) fn parse(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.parse().ok();
    }
    let mut bytes = [0u8; 4];
    let mut parts = text.split('.');
    for byte in &mut bytes {
        let part = parts.next()?;
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        *byte = digits
            .then(|| part.trim_start_matches('0'))?
            .parse()
            .or_else(|error| if part.bytes().all(|byte| byte == b'0') { Ok(0) } else { Err(error) })
            .ok()?;
    }
    parts.next().is_none().then(|| IpAddr::V4(Ipv4Addr::from(bytes)))
}

/// An address by which something can be reached from elsewhere.
pub(crate) fn usable(at: &At, errors: &mut FieldErrors) {
    let Some(address) = parse(at.text()) else { return };
    let (link_local, multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => {
            let head = v6.segments()[0];
            (head & 0xffc0 == 0xfe80, head & 0xff0f == 0xff02)
        }
    };
    for (is, words) in [
        (address.is_unspecified(), format!("may not be unspecified ({address})")),
        (address.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)".into()),
        (link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)".into()),
        (
            multicast,
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".into(),
        ),
    ] {
        if is {
            at.invalid_as(errors, at.text(), words);
        }
    }
}

/// An address and a number of leading bits.
pub(crate) fn network(at: &At, errors: &mut FieldErrors) {
    if parse_network(at.text()).is_none() {
        at.invalid_as(errors, at.text(), NOT_A_NETWORK);
    }
}

/// The network that a text says.
pub(crate) fn parse_network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let address = parse(address)?;
    let bits: u8 = bits.bytes().all(|byte| byte.is_ascii_digit()).then(|| bits.parse().ok())??;
    let most = if address.is_ipv4() { 32 } else { 128 };
    (bits <= most).then_some((address, bits))
}

/// Whether a network is a part of another, and not all of it.
pub(crate) fn is_strictly_inside(inner: (IpAddr, u8), outer: (IpAddr, u8)) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
        IpAddr::V6(v6) => u128::from(v6),
    };
    let head = |address: IpAddr| bits(address).checked_shr(128 - u32::from(outer.1)).unwrap_or(0);
    inner.0.is_ipv4() == outer.0.is_ipv4() && inner.1 > outer.1 && head(inner.0) == head(outer.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_told_from_other_texts() {
        for text in ["10.0.0.1", "010.0.0.001", "::1", "0.0.0.0"] {
            assert!(parse(text).is_some(), "{text}");
        }
        for text in ["", "10.0.0", "10.0.0.256", "a.b.c.d", "1.2.3.4.5", "::g"] {
            assert!(parse(text).is_none(), "{text}");
        }
        assert!(parse_network("10.0.0.0/8").is_some());
        assert!(parse_network("10.0.0.0/33").is_none());
        assert!(parse_network("10.0.0.0").is_none());
    }
}
