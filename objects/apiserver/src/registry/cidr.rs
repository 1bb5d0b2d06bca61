//! The range of service addresses.

use std::fmt;
use std::net::Ipv4Addr;

/// An IPv4 range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    base: u32,
    bits: u32,
}

impl Cidr {
    /// Reads `10.0.0.0/24`; of a list of ranges the first. *Errors*: it is none, or too small.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no IPv4 range such as 10.0.0.0/24");
        let first = text.split(',').next().unwrap_or_default().trim();
        let (base, bits) = first.split_once('/').ok_or_else(bad)?;
        let base: Ipv4Addr = base.parse().map_err(|_| bad())?;
        let bits: u32 = bits.parse().map_err(|_| bad())?;
        if !(1..=30).contains(&bits) {
            return Err(bad());
        }
        let range = Self { base: 0, bits };
        Ok(Self { base: u32::from(base) & !(range.size() - 1), ..range })
    }

    /// Addresses in the range, network and broadcast among them.
    fn size(self) -> u32 {
        1 << (32 - self.bits)
    }

    /// The first address that can be used: that of the service `kubernetes`.
    #[must_use]
    pub fn first(self) -> Ipv4Addr {
        Ipv4Addr::from(self.base + 1)
    }

    /// Whether an address can be given to a service.
    pub(super) fn holds(self, address: Ipv4Addr) -> bool {
        let offset = u32::from(address).wrapping_sub(self.base);
        (1..self.size() - 1).contains(&offset)
    }

    /// Every address that can be given, those for which nobody asks by name first, from a random
    /// one on.
    pub(super) fn candidates(self, random: u64) -> impl Iterator<Item = Ipv4Addr> + use<> {
        let usable = self.size() - 2;
        let fixed = (self.size() / 16).clamp(16, 256).min(usable);
        let free = usable - fixed;
        let start =
            if free == 0 { 0 } else { u32::try_from(random % u64::from(free)).unwrap_or(0) };
        (0..free)
            .map(move |step| fixed + (start + step) % free)
            .chain(0..fixed)
            .map(move |offset| Ipv4Addr::from(self.base + 1 + offset))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.bits)
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

    #[test]
    fn each_address_but_the_first_and_the_last_is_a_candidate_once() {
        for text in ["10.0.0.0/30", "10.0.0.0/28", "10.0.0.0/24"] {
            let cidr = Cidr::parse(text).expect("a range");
            let mut all: Vec<_> = cidr.candidates(77).collect();
            assert!(all.iter().all(|address| cidr.holds(*address)), "{text}");
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "{text}");
            assert_eq!(count, 2_usize.pow(32 - cidr.bits) - 2, "{text}");
        }
        let cidr = Cidr::parse("10.0.0.0/24").expect("a range");
        for outside in ["10.0.0.0", "10.0.0.255", "10.0.1.1", "9.255.255.255"] {
            assert!(!cidr.holds(outside.parse().expect("an address")), "{outside}");
        }
    }
}
