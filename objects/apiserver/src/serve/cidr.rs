//! The range of service addresses, as far as the start needs it.

use std::net::Ipv4Addr;

/// An IPv4 range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cidr {
    base: Ipv4Addr,
    bits: u8,
}

impl Cidr {
    /// Reads `10.0.0.0/24`; of a list of ranges the first. *Errors*: it is none, or too small.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no IPv4 range such as 10.0.0.0/24");
        let first = text.split(',').next().unwrap_or_default().trim();
        let (base, bits) = first.split_once('/').ok_or_else(bad)?;
        let base: Ipv4Addr = base.parse().map_err(|_| bad())?;
        let bits: u8 = bits.parse().map_err(|_| bad())?;
        if !(1..=30).contains(&bits) {
            return Err(bad());
        }
        let mask = u32::MAX << (32 - u32::from(bits));
        Ok(Cidr { base: Ipv4Addr::from(u32::from(base) & mask), bits })
    }

    /// The first address that can be used: that of the service `kubernetes`.
    pub(crate) fn first(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base) + 1)
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_and_its_first_address_known() {
        let cidr = Cidr::parse("10.96.3.7/12").expect("a range");
        assert_eq!(cidr.to_string(), "10.96.0.0/12");
        assert_eq!(cidr.first().to_string(), "10.96.0.1");
        for bad in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/32", "fd00::/64", "x/24"] {
            assert!(Cidr::parse(bad).is_err(), "{bad}");
        }
    }
}
